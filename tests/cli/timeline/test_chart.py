"""The chart: out of the events, lives, marks and arrows."""

from procsup.cli.answers import as_status
from procsup.cli.timeline.chart import Arrow, Life, chart_of
from tests.cli import rows
from tests.cli.timeline.charts import BEGAN, chart, chart_of_world, happenings, kinds, lane
from tests.core.trees import one_for_all, one_for_one
from tests.core.world import STUBBORN, World


def test_a_life_has_its_beginning_its_readiness_and_its_end() -> None:
    events = happenings(
        (0.0, "starting", "root/a"),
        (1.0, "started", "root/a"),
        (2.0, "ready", "root/a"),
        (5.0, "stopping", "root/a"),
        (6.0, "stopped", "root/a", {"how": "killed"}),
    )
    found = lane(chart(events), "a")
    assert found.lives == (Life(BEGAN, BEGAN + 2, BEGAN + 5, BEGAN + 6, "killed"),)
    assert kinds(found) == ["killed"]


def test_the_poison_pill_is_marked_from_the_crash_to_the_end() -> None:
    tree = one_for_one("kingdom", one_for_one("api", "cache", "web", intensity=1), "lab", intensity=0)
    drawn = chart_of_world(World(tree).boot().kill("cache").kill("cache"))
    assert [one.path for one in drawn.lanes] == [
        "kingdom", "kingdom/api", "kingdom/api/cache", "kingdom/api/web", "kingdom/lab",
    ]  # fmt: skip
    assert kinds(lane(drawn, "cache")) == ["crash", "crash"]
    assert kinds(lane(drawn, "api")) == ["restart", "gave_up", "stopped"]
    assert kinds(lane(drawn, "kingdom")) == ["escalated", "gave_up", "stopped"]
    assert [life.ended for life in lane(drawn, "cache").lives] == ["crash", "crash"]
    assert drawn.epilogue == "the daemon ended with exit status 70"


def test_arrows_lead_from_the_crash_over_the_supervisor_to_those_who_were_stopped_for_it() -> None:
    drawn = chart_of_world(World(one_for_all("root", "a", "b")).boot().kill("a"))
    assert [(arrow.source, arrow.target, arrow.is_strong) for arrow in drawn.arrows] == [
        ("root/a", "root", False),
        ("root", "root/b", False),
    ]


def test_a_give_up_makes_strong_arrows() -> None:
    drawn = chart_of_world(World(one_for_one("root", "a", "b", intensity=0)).boot().kill("a"))
    assert [(arrow.source, arrow.target) for arrow in drawn.arrows if arrow.is_strong] == [
        ("root/a", "root"),
        ("root", "root/b"),
    ]


def test_who_did_not_obey_was_killed() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    assert kinds(lane(chart_of_world(world.shut_down().wait(10.0)), "a")) == ["killed"]


def test_a_daemon_that_died_without_a_word_ends_every_life_with_its_last_event() -> None:
    drawn = chart(happenings((0.0, "starting", "root/a"), (1.0, "ready", "root/a"), (9.0, "ready", "root/b")))
    assert [life.ended for life in lane(drawn, "a").lives] == ["lost"]
    assert lane(drawn, "a").lives[0].end == BEGAN + 9
    assert drawn.epilogue == "the daemon died without a word"


def test_a_living_worker_lives_until_now() -> None:
    drawn = chart(happenings((0.0, "starting", "root/a"), (1.0, "ready", "root/a")), is_alive=True)
    assert lane(drawn, "a").lives == (Life(BEGAN, BEGAN + 1, None, BEGAN + 100, "alive"),)
    assert drawn.epilogue == ""


def test_it_is_of_the_last_daemon_unless_asked_since_when() -> None:
    events = happenings(
        (0.0, "daemon_started", "root"),
        (1.0, "starting", "root/old"),
        (2.0, "daemon_started", "root"),
        (3.0, "starting", "root/new"),
    )
    assert [one.path for one in chart(events).lanes] == ["root/new"]
    both = chart(events, since=BEGAN)
    assert [one.path for one in both.lanes] == ["root/old", "root/new"]
    assert [absence.words for absence in both.absences] == ["the daemon died without a word"]


def test_what_ended_before_the_time_asked_for_is_left_out() -> None:
    events = happenings(
        (0.0, "starting", "root/a"), (10.0, "exited", "root/a", {"reason": "exit 1"}), (60.0, "starting", "root/b")
    )
    assert [one.path for one in chart(events, since=BEGAN + 50).lanes] == ["root/b"]


def test_it_begins_with_the_first_event_though_an_earlier_time_was_asked_for() -> None:
    assert chart(happenings((0.0, "starting", "root/a")), since=BEGAN - 86400).begin == BEGAN


def test_a_hold_lasts_until_it_is_released() -> None:
    drawn = chart(happenings((1.0, "held", "root/a"), (4.0, "released", "root/a")))
    assert lane(drawn, "a").holds == ((BEGAN, BEGAN + 3),)


def test_an_arrow_needs_both_ends() -> None:
    events = happenings((0.0, "exited", "root/a", {"reason": "exit 1"}), (1.0, "restarting", "root", {"cause": 1}))
    assert chart(events).arrows == (Arrow("root/a", "root", BEGAN, BEGAN + 1, False),)
    assert chart(events[1:]).arrows == ()


def test_an_event_of_a_newer_daemon_is_a_mark_too() -> None:
    assert kinds(lane(chart(happenings((0.0, "moved_house", "root/a"))), "a")) == ["moved_house"]


def test_who_has_been_quiet_for_longer_than_the_journal_goes_back_lives_too() -> None:
    answer = as_status(rows.status(rows.supervisor("root"), rows.worker("root/a", since=BEGAN - 5000)))
    tree = {row["path"]: row for row in answer["tree"]}
    drawn = chart_of(happenings((0.0, "held", "root/b")), None, BEGAN + 100, True, tree)
    assert [one.path for one in drawn.lanes] == ["root", "root/a", "root/b"]
    assert lane(drawn, "a").lives == (Life(BEGAN - 5000, BEGAN - 5000, None, BEGAN + 100, "alive"),)
