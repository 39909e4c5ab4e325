"""Which failure is told, and what belongs to it: of random runs, and of worlds that a test arranges."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given

from procsup.cli.paint import plain
from procsup.cli.why import inquiry
from procsup.cli.why.answer import Answer, NobodyOfThatName
from procsup.cli.why.words import answer_in_words
from procsup.core.actions import Record
from procsup.core.events import Event
from procsup.core.readiness import Notify
from procsup.core.spec import Bonds
from tests.cli.why.journals import NOW, asked, events_of, facts, of_world, write
from tests.core.runs import CHILD_CALLS, COMMANDS, SHUT_DOWN, RandomWorld, Run, runs
from tests.core.trees import one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, NORMAL, SLOW, World

# The poison pill, small


def poison_pill() -> World:
    tree = one_for_one("kingdom", "crier", one_for_one("library", "cache", "scribe", intensity=2), intensity=0)
    world = World(tree).boot()
    return world.kill("cache").wait(1.0).kill("cache").wait(1.0).kill("cache")


CHAIN = [
    "Died cache",
    "Restarted library cache",
    "Died cache",
    "Restarted library cache",
    "Died cache",
    "GaveUp library cache",
    "Stopped scribe",
    "WentDown library",
    "GaveUp kingdom library",
    "Stopped crier",
    "WentDown kingdom",
    "DaemonEnded",
]


@pytest.mark.parametrize("name", ["cache", "library", "kingdom", "scribe", "crier", "library/cache", None])
def test_the_whole_chain_is_told_whomever_one_asks_after(tmp_path: Path, name: str | None) -> None:
    of_world(tmp_path, poison_pill())
    assert facts(asked(tmp_path, name).steps) == CHAIN


def test_times_are_relative_to_the_first_step(tmp_path: Path) -> None:
    of_world(tmp_path, poison_pill())
    steps = asked(tmp_path, "cache").steps
    assert [step.offset for step in steps] == [round((step.seq - steps[0].seq) / 10, 6) for step in steps]


def test_a_failure_that_was_healed_ends_with_the_return(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_all("root", "a", "b")).boot().kill("a"))
    assert facts(asked(tmp_path, "b", is_alive=True).steps) == [
        "Died a", "Restarted root a", "Stopped b", "CameBack a b",
    ]  # fmt: skip


def test_only_the_last_failure_is_told_with_those_that_the_supervisor_counted(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a", "b", intensity=1)).boot()
    world.kill("a").wait(60.0).kill("b").wait(1.0).kill("a")
    of_world(tmp_path, world)
    assert facts(asked(tmp_path, None).steps)[:4] == ["Died b", "Restarted root b", "Died a", "GaveUp root a"]


def test_restarts_of_the_same_sweep_are_counted_too(tmp_path: Path) -> None:
    """Both deaths are known before the first one is decided: the second incident begins before that restart."""
    world = World(one_for_one("root", "a", "b", intensity=1)).boot().kill("a", "b")
    of_world(tmp_path, world)
    assert facts(asked(tmp_path, None).steps)[:4] == ["Died a", "Died b", "Restarted root a", "GaveUp root b"]


def test_a_supervisor_that_was_restarted_before_tells_of_the_pill_each_time(tmp_path: Path) -> None:
    tree = one_for_one("root", one_for_one("s", "x", intensity=0), intensity=1)
    world = World(tree).boot().kill("x").wait(1.0).kill("x")
    of_world(tmp_path, world)
    assert facts(asked(tmp_path, "root").steps)[:6] == [
        "Died x", "GaveUp s x", "WentDown s", "Restarted root s", "Died x", "GaveUp s x",
    ]  # fmt: skip


def test_failed_restarts_are_told_as_such(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a", intensity=2)).fate("a", GOOD, FAILS, FAILS, FAILS).boot().kill("a")
    of_world(tmp_path, world)
    assert facts(asked(tmp_path, "a").steps)[:6] == [
        "Died a", "Restarted root a", "CouldNotStart a", "Restarted root a", "CouldNotStart a", "GaveUp root a",
    ]  # fmt: skip


def test_who_was_not_ready_in_time_could_not_start_and_was_not_stopped_for_another(tmp_path: Path) -> None:
    slow = worker("a", ready=Notify(), start_timeout=2.0)
    world = World(one_for_one("root", slow, intensity=1)).fate("a", SLOW, SLOW).boot().become_ready("a")
    world.kill("a").wait(10.0)
    of_world(tmp_path, world)
    assert facts(asked(tmp_path, "a").steps)[:5] == [
        "Died a", "Restarted root a", "CouldNotStart a", "GaveUp root a", "WentDown root",
    ]  # fmt: skip


def test_a_tree_that_cannot_start_is_told_from_the_start_that_failed(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", "a", one_for_one("s", "x"))).every_fate("x", FAILS).boot())
    found = asked(tmp_path, "a")
    assert facts(found.steps) == [
        "CouldNotStart x", "CouldNotStart s", "Stopped a", "CouldNotStart root", "DaemonEnded",
    ]  # fmt: skip
    assert found.steps[0].seq == found.first


def test_of_a_supervisor_its_own_failure_goes_before_later_ones_below_it(tmp_path: Path) -> None:
    tree = one_for_one("root", one_for_one("s", "x", "y", intensity=1))
    world = World(tree).boot().kill("x").kill("x").wait(60.0).kill("y")
    of_world(tmp_path, world)
    assert "GaveUp s x" in facts(asked(tmp_path, "s", is_alive=True).steps)
    assert facts(asked(tmp_path, "y", is_alive=True).steps)[0] == "Died y"
    assert facts(asked(tmp_path, None, is_alive=True).steps)[0] == "Died y"


def test_of_a_supervisor_that_never_failed_the_last_failure_below_is_told(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", one_for_one("s", "x", "y"))).boot().kill("x").kill("y"))
    assert facts(asked(tmp_path, "s", is_alive=True).steps)[0] == "Died y"


def test_an_operator_and_a_shutdown_are_no_failures(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.stop("a")
    world.restart("b")
    of_world(tmp_path, world.shut_down())
    for name in ("a", "b", "root", None):
        assert asked(tmp_path, name).steps == ()


def test_a_normal_end_that_led_to_nothing_is_no_failure(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", worker("a", "transient"))).boot().kill("a", end=NORMAL))
    assert asked(tmp_path, "a", is_alive=True).steps == ()


def test_a_failure_of_an_earlier_run_is_told_when_there_is_none_since(tmp_path: Path) -> None:
    healthy = World(poison_pill().node.root.spec).boot()  # type: ignore[arg-type]  # the root is a supervisor
    write(tmp_path, events_of(poison_pill().records), events_of(healthy.records))
    found = asked(tmp_path, "cache", is_alive=True)
    assert facts(found.steps) == CHAIN
    assert found.is_of_earlier_run


def test_a_failure_whose_beginning_was_rotated_away_is_told_without_it(tmp_path: Path) -> None:
    world = poison_pill()
    gave_up = world.record_of("gave_up", "library").seq
    write(tmp_path, events_of(record for record in world.records if record.seq >= gave_up))
    found = asked(tmp_path, "cache")
    assert found.is_cut
    assert facts(found.steps) == CHAIN[5:]
    assert "how it began is not in the journal any more" in "\n".join(answer_in_words(found, NOW, plain))


def test_of_an_incident_without_end_only_the_end_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that fails each time, and so slowly that the limit is never reached, is one incident for ever."""
    monkeypatch.setattr(inquiry, "MOST_HELD", 50)
    world = World(one_for_one("root", "a", intensity=300, period=1000.0)).fate("a", GOOD, *[FAILS] * 200, GOOD).boot()
    of_world(tmp_path, world.kill("a"))
    found = asked(tmp_path, "a", is_alive=True)
    assert found.is_cut
    assert 20 < len(found.steps) < 60
    assert facts(found.steps)[-1] == "CameBack a"


def test_unknown_events_are_passed_on(tmp_path: Path) -> None:
    world = World(one_for_all("root", "a", "b")).boot().kill("a")
    events = events_of(world.records)
    crash = next(number for number, event in enumerate(events) if event.event == "exited")
    events.append(type(events[0])(len(events) + 1, "", 99.0, "ate_the_dog", "root/b", events[crash].seq, {"bones": 3}))
    write(tmp_path, events)
    text = "\n".join(answer_in_words(asked(tmp_path, "b", is_alive=True), NOW, plain))
    assert "ate_the_dog" in text
    assert '"bones": 3' in text


def test_a_link_is_a_cause_like_any_other(tmp_path: Path) -> None:
    tree = one_for_one("root", "a", worker("b", bonds=Bonds(links=("a",))), worker("c", bonds=Bonds(links=("b",))))
    of_world(tmp_path, World(tree).boot().kill("a"))
    assert facts(asked(tmp_path, "c", is_alive=True).steps) == [
        "Died a", "LinkFired b", "LinkFired c", "Restarted root a", "CameBack a", "Restarted root b",
        "Restarted root c", "CameBack b c",
    ]  # fmt: skip


def test_nobody_of_that_name_is_said_with_the_names_that_there_are(tmp_path: Path) -> None:
    of_world(tmp_path, poison_pill())
    with pytest.raises(NobodyOfThatName) as nobody:
        asked(tmp_path, "cach")
    assert set(nobody.value.known) == {"kingdom", "library", "cache", "scribe", "crier"}


# Random runs


class TimedWorld(RandomWorld):
    """`times` has the time of every record, by its seq."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.times: dict[int, float] = {}

    def handle(self, events: Iterable[Event]) -> None:
        super().handle(events)
        for record in self.records[len(self.times) :]:
            self.times[record.seq] = self.now


@given(runs(COMMANDS, CHILD_CALLS, SHUT_DOWN))
def test_of_everybody_the_right_first_cause_is_told_whatever_happened(
    tmp_path_factory: pytest.TempPathFactory, run: Run
) -> None:
    world = TimedWorld(run)
    world.play()
    folder = tmp_path_factory.mktemp("journal")
    write(folder, events_of(world.records, world.times))
    for name in (None, *{record.path for record in world.records}):
        found = asked(folder, name)
        assert all(line.isprintable() for line in answer_in_words(found, NOW, plain))
        assert (found.first if found.steps else None) == expected_first(world.records, name)
        assert_budgets_are_told(found)


def assert_budgets_are_told(found: Answer) -> None:
    """Whoever gave up, the restarts that it had granted are told before."""
    told = [step.as_json() for step in found.steps]
    for number, step in enumerate(told):
        if step["fact"] == "gave_up" and step["seq"] >= found.first:
            granted = [one for one in told[:number] if one["fact"] == "restarted"]
            assert sum(one["supervisor"] == step["supervisor"] for one in granted) >= step["used"] - 1


def expected_first(records: Sequence[Record], path: str | None) -> int | None:
    """By looking at all of it: the incidents by their first record, and the last one that is a failure of `path`, or
    else of somebody below."""
    incidents: dict[int, list[Record]] = {}
    first_of: dict[int, int] = {}
    for record in records:
        first_of[record.seq] = first_of[record.cause] if record.cause is not None else record.seq
        incidents.setdefault(first_of[record.seq], []).append(record)
    failures = [incident for _, incident in sorted(incidents.items()) if trouble_of(incident)]
    own = [incident for incident in failures if befell(incident, path)]
    below = [one for one in failures if any(record.path.startswith(f"{path}/") for record in trouble_of(one))]
    chosen = (own or below)[-1:]
    return min(record.seq for record in trouble_of(chosen[0])) if chosen else None


def trouble_of(incident: Sequence[Record]) -> list[Record]:
    if len(incident) == 1 and incident[0].details.get("reason") == "normal":
        return []
    trouble = ("exited", "start_failed", "gave_up", "escalated", "link_fired")
    return [record for record in incident if record.event in trouble]


def befell(incident: Iterable[Record], path: str | None) -> bool:
    ends = ("exited", "start_failed", "gave_up", "stopping", "stopped", "auto_shutdown", "child_removed")
    return any(
        path is None or (record.path == path and record.event in (*ends, "daemon_stopped")) for record in incident
    )
