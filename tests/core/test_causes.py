"""It can always say why: every record knows the record that led to it. DESIGN § 7."""

import pytest

from procsup.core.actions import Record
from procsup.core.calls import Command, Restart, Start, Stop
from procsup.core.child import State
from procsup.core.events import Booted
from procsup.core.node import Node
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, NORMAL, STUBBORN, World


def test_poison_pill_can_be_followed_from_the_end_of_the_daemon_to_the_last_crash() -> None:
    tree = one_for_one("kingdom", one_for_one("api", "cache", "web", intensity=1), "lab", intensity=0)
    world = World(tree).boot().kill("cache").kill("cache")
    assert chain(world, world.records[-1]) == [
        "daemon_stopped kingdom",
        "exited kingdom",
        "gave_up kingdom",
        "escalated kingdom",
        "exited kingdom/api",
        "gave_up kingdom/api",
        "exited kingdom/api/cache",
    ]


def test_last_crash_of_the_chain_is_the_one_with_the_last_words() -> None:
    world = World(one_for_one("root", "a", intensity=1)).boot().kill("a").kill("a")
    crash = by_seq(world, by_seq(world, world.record_of("exited", "root").cause).cause)
    assert (crash.event, crash.path, crash.details["tail"]) == ("exited", "root/a", ("last words",))


def test_every_crash_before_the_last_one_led_to_a_restart_with_its_budget() -> None:
    world = World(one_for_one("root", "a", intensity=2)).boot().kill("a").kill("a").kill("a")
    crashes = [record for record in world.records if (record.event, record.path) == ("exited", "root/a")]
    budgets = [effect.details["used"] for crash in crashes for effect in effects(world, crash)]
    assert budgets == [1, 2, 3]
    assert [effects(world, crash)[0].event for crash in crashes] == ["restarting", "restarting", "gave_up"]


def test_start_of_a_worker_is_caused_by_the_restart_that_was_caused_by_a_crash() -> None:
    world = World(one_for_one("root", "a")).boot().kill("a")
    assert chain(world, world.record_of("ready", "a")) == [
        "ready root/a", "started root/a", "starting root/a", "restarting root", "exited root/a",
    ]  # fmt: skip


def test_sibling_that_was_stopped_knows_whose_crash_it_was() -> None:
    world = World(one_for_all("root", "a", "b")).boot().kill("a")
    assert chain(world, world.record_of("stopped", "b")) == [
        "stopped root/b", "stopping root/b", "restarting root", "exited root/a",
    ]  # fmt: skip


def test_retry_is_caused_by_the_start_that_failed() -> None:
    world = World(one_for_one("root", "a")).fate("a", GOOD, FAILS).boot().kill("a")
    assert chain(world, world.record_of("ready", "a"))[3:] == [
        "restarting root", "start_failed root/a", "starting root/a", "restarting root", "exited root/a",
    ]  # fmt: skip


def test_failed_boot_can_be_followed_to_the_worker() -> None:
    world = World(one_for_one("root", one_for_one("s", "a", "x"))).every_fate("x", FAILS).boot()
    assert chain(world, world.records[-1])[:4] == [
        "daemon_stopped root", "start_failed root", "start_failed root/s", "start_failed root/s/x",
    ]  # fmt: skip


def test_auto_shutdown_is_caused_by_the_end_of_the_significant_child() -> None:
    tree = one_for_one("root", worker("a", "transient", significant=True), "b", auto_shutdown="any_significant")
    world = World(tree).boot().kill("a", end=NORMAL)
    assert chain(world, world.record_of("stopped", "b")) == [
        "stopped root/b", "stopping root/b", "auto_shutdown root", "exited root/a",
    ]  # fmt: skip
    assert chain(world, world.records[-1]) == [
        "daemon_stopped root", "exited root", "auto_shutdown root", "exited root/a",
    ]  # fmt: skip


def test_first_start_is_caused_by_the_start_of_the_daemon() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"))).boot()
    starting = world.record_of("starting", "x")
    assert chain(world, starting) == [
        "starting root/s/x", "starting root/s", "starting root", "daemon_started root",
    ]  # fmt: skip


def test_stop_of_an_operator_is_caused_by_his_hold() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    assert chain(world, world.record_of("stopped", "a")) == ["stopped root/a", "stopping root/a", "held root/a"]


def test_start_of_an_operator_is_caused_by_his_release() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.start("a")
    assert chain(world, world.record_of("starting", "a")) == ["starting root/a", "released root/a"]


@pytest.mark.parametrize("commands", [[Stop, Start], [Restart, Stop, Start], [Stop, Start, Stop, Start, Start]])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_start_that_overtakes_a_stop_is_caused_by_the_release(strategy: str, commands: list[type[Command]]) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b")).boot()
    for command in commands:
        world.ask(command("root/a"))
    world.settle()
    starting = world.record_of("starting", "a")
    assert chain(world, starting) == ["starting root/a", "released root/a"]
    assert starting.cause == world.record_of("released", "a").seq


def test_stop_that_a_start_overtakes_was_still_caused_by_the_hold() -> None:
    world = World(one_for_one("root", "a")).fate("a", STUBBORN).boot()
    world.stop("a")
    world.start("a")
    world.wait(5.0)
    assert chain(world, world.record_of("stopped", "a")) == ["stopped root/a", "stopping root/a", "held root/a"]


def test_hold_is_no_cause_of_a_stop_that_was_under_way() -> None:
    world = World(one_for_all("root", "a", "b")).fate("b", STUBBORN).boot().kill("a")
    world.stop("b")
    world.wait(5.0)
    assert chain(world, world.record_of("stopped", "b")) == [
        "stopped root/b", "stopping root/b", "restarting root", "exited root/a",
    ]  # fmt: skip


def test_restart_of_an_operator_has_no_cause_in_the_tree() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.restart("a")
    assert chain(world, world.record_of("stopped", "a")) == ["stopped root/a", "stopping root/a"]
    assert chain(world, world.record_of("starting", "a")) == ["starting root/a"]


def test_start_of_an_operator_is_not_caused_by_the_exit_before_it() -> None:
    world = World(one_for_one("root", worker("a", "transient"))).boot().kill("a", end=NORMAL)
    world.start("a")
    assert chain(world, world.record_of("starting", "a")) == ["starting root/a"]


def test_old_release_is_no_cause_of_a_later_start() -> None:
    world = World(one_for_one("root", worker("a", "transient"))).boot()
    world.stop("a")
    world.start("a")
    world.kill("a", end=NORMAL).start("a")
    assert chain(world, world.record_of("starting", "a")) == ["starting root/a"]


def test_restart_child_of_a_held_child_is_caused_by_the_release() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.restart_child("a")
    assert chain(world, world.record_of("starting", "a")) == ["starting root/a", "released root/a"]


def test_group_that_starts_without_its_child_was_let_go_by_the_hold() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("b", GOOD, FAILS).boot()
    world.exits("a").deliver_until(lambda: world.state("b") is State.STARTING)
    world.ask(Stop("root/b"))
    world.ask(Start("root/b"))
    world.settle()
    assert chain(world, world.record_of("starting", "c")) == ["starting root/c", "held root/b"]
    assert chain(world, world.record_of("starting", "b")) == ["starting root/b", "released root/b"]


def chain(world: World, record: Record) -> list[str]:
    """What led to it, the record itself first."""
    found = [f"{record.event} {record.path}"]
    while record.cause is not None:
        record = by_seq(world, record.cause)
        found.append(f"{record.event} {record.path}")
    return found


def effects(world: World, cause: Record) -> list[Record]:
    return [record for record in world.records if record.cause == cause.seq]


def by_seq(world: World, seq: int | None) -> Record:
    assert seq is not None
    return world.records[seq - 1]


def test_records_go_on_from_those_of_the_daemon_before() -> None:
    actions = Node(one_for_one("root", "a")).handle([Booted(1, "", "", last_seq=41)], 100.0)
    records = [action for action in actions if isinstance(action, Record)]
    assert [record.seq for record in records] == list(range(42, 42 + len(records)))
    assert [record.cause for record in records][:2] == [None, 42]
