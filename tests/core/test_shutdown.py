"""The stop sequence, and the way down: DESIGN § 3.8, OTP-SEMANTICS § 7."""

import pytest

from procsup.core.calls import Stop
from procsup.core.child import State
from procsup.core.events import Booted, ShutdownRequested, TimePassed
from tests.core.trees import one_for_all, one_for_one, worker
from tests.core.world import FAILS, STUBBORN, World

TERM_CONT = ["SIGTERM", "SIGCONT"]


def test_tree_starts_in_order_and_stops_in_reverse() -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x", "y"), "b")).boot()
    assert world.tell() == ["start a", "start x", "start y", "start s", "start b", "start root"]
    world.shut_down()
    stops = ["b", "y", "x", "s", "a", "root"]
    assert world.tell() == [*(f"stop {name} shutdown" for name in stops), "end 0"]


@pytest.mark.parametrize(
    ("shutdown", "at_once", "after_time"),
    [
        (5.0, TERM_CONT, [*TERM_CONT, "SIGKILL"]),
        ("infinity", TERM_CONT, TERM_CONT),
        ("brutal_kill", ["SIGKILL"], ["SIGKILL"]),
        (0, [*TERM_CONT, "SIGKILL"], [*TERM_CONT, "SIGKILL"]),
    ],
)
def test_stop_sequence_of_a_worker_that_ignores_it(
    shutdown: float | str, at_once: list[str], after_time: list[str]
) -> None:
    world = World(one_for_one("root", worker("a", shutdown=shutdown))).every_fate("a", STUBBORN).boot()
    world.stop("a")
    assert world.signals_to("a") == at_once
    world.wait(4.999)
    assert world.signals_to("a") == at_once
    world.wait(0.001)
    assert world.signals_to("a") == after_time


def test_worker_that_obeys_is_not_killed() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.wait(60.0)
    assert world.signals_to("a") == TERM_CONT


def test_stop_signal_is_the_one_of_the_spec() -> None:
    world = World(one_for_one("root", worker("a", stop_signal="SIGQUIT"))).boot()
    world.stop("a")
    assert world.signals_to("a") == ["SIGQUIT", "SIGCONT"]


@pytest.mark.parametrize(
    ("shutdown", "how", "reason", "ended"),
    [
        (5.0, "killed", "killed", "signal SIGKILL"),
        ("brutal_kill", "brutal_kill", "killed", "signal SIGKILL"),
    ],
)
def test_stopped_tells_that_we_killed_it(shutdown: float | str, how: str, reason: str, ended: str) -> None:
    world = World(one_for_one("root", worker("a", shutdown=shutdown))).every_fate("a", STUBBORN).boot()
    pid = world.child("a").pid
    world.stop("a")
    world.wait(5.0)
    details = dict(world.record_of("stopped", "a").details)
    assert details == {"type": "worker", "reason": reason, "how": how, "pid": pid, "ended": ended}


def test_stopped_tells_that_it_obeyed_and_what_the_kernel_said() -> None:
    world = World(one_for_one("root", "a")).boot()
    pid = world.child("a").pid
    world.stop("a")
    details = dict(world.record_of("stopped", "a").details)
    assert details == {
        "type": "worker", "reason": "shutdown", "how": "shutdown", "pid": pid, "ended": "signal SIGTERM",
    }  # fmt: skip


def test_spawn_of_a_worker_that_is_told_to_stop_is_cancelled() -> None:
    world = World(one_for_one("root", "a"))
    world.boot_until(lambda: world.state("a") is State.STARTING).delay().shut_down().arrive()
    assert world.signals == []
    assert world.tell() == ["fail a", "stop root shutdown", "end 0"]


def test_worker_whose_spawn_is_cancelled_too_late_is_signalled() -> None:
    world = World(one_for_one("root", "a", "b"))
    world.boot_until(lambda: world.state("b") is State.STARTING).delay().shut_down().arrive()
    assert world.signals_to("b") == TERM_CONT
    assert world.tell()[-4:] == ["stop b shutdown", "stop a shutdown", "stop root shutdown", "end 0"]


@pytest.mark.parametrize(
    ("shutdown", "at_once", "after_time"),
    [
        (5.0, [], ["SIGKILL"]),
        ("infinity", [], []),
        ("brutal_kill", ["SIGKILL"], ["SIGKILL"]),
        (0, ["SIGKILL"], ["SIGKILL"]),
    ],
)
def test_spawn_that_hangs_is_killed_when_the_shutdown_time_is_over(
    shutdown: float | str, at_once: list[str], after_time: list[str]
) -> None:
    world = World(one_for_one("root", worker("a", shutdown=shutdown)))
    world.boot_until(lambda: world.state("a") is State.STARTING).delay().shut_down()
    assert world.signals_to("a") == at_once
    world.wait(5.0)
    assert world.signals_to("a") == after_time
    assert (world.end is not None) == ("SIGKILL" in after_time)
    world.arrive()
    assert world.end is not None


def test_worker_that_was_executed_when_its_spawn_is_killed_is_killed() -> None:
    world = World(one_for_one("root", "a", worker("b", shutdown="brutal_kill")))
    world.boot_until(lambda: world.state("b") is State.STARTING).delay().shut_down()
    assert world.signals_to("b") == ["SIGKILL"]
    assert world.tell()[-4:] == ["stop b brutal_kill", "stop a shutdown", "stop root shutdown", "end 0"]


def test_worker_that_is_told_to_stop_and_then_cannot_be_executed_is_down() -> None:
    world = World(one_for_one("root", "a", "b")).every_fate("b", FAILS)
    world.boot_until(lambda: world.state("b") is State.STARTING).delay()
    world.shut_down().arrive()
    assert world.tell()[-3:] == ["stop a shutdown", "stop root shutdown", "end 0"]


@pytest.mark.parametrize("strategy", ["boot", "restart"])
def test_shutdown_pre_empts_what_is_going_on(strategy: str) -> None:
    world = World(one_for_all("root", "a", "b", "c"))
    if strategy == "boot":
        world.boot_until(lambda: world.starts("a") == 1)
    else:
        world.boot().exits("a").deliver().deliver_until(lambda: world.starts("a") == 2)
    before = dict(world.spawned)
    world.shut_down()
    assert world.end is not None
    assert world.spawned == before


def test_what_is_doomed_does_not_restart() -> None:
    world = World(one_for_one("root", "a", "b")).every_fate("b", STUBBORN).boot()
    world.shut_down().kill("a").wait(5.0)
    assert world.starts("a") == 1
    assert world.tell()[-4:] == ["exit a exit 1", "stop b killed", "stop root shutdown", "end 0"]


def test_second_request_hurries_when_it_comes_late_enough() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    world.shut_down().wait(0.5).shut_down()
    assert world.signals_to("a") == TERM_CONT
    world.wait(0.001).shut_down()
    assert world.signals_to("a") == [*TERM_CONT, "SIGKILL"]


def test_hurry_makes_every_later_shutdown_time_zero() -> None:
    tree = one_for_one("root", worker("a", shutdown="infinity"), one_for_one("s", "x"), "b")
    world = World(tree)
    for name in ("a", "x", "b"):
        world.every_fate(name, STUBBORN)
    world.boot().shut_down().wait(1.0).shut_down()
    assert world.end is not None
    assert world.tell()[-6:] == [
        "stop b killed", "stop x killed", "stop s shutdown", "stop a killed", "stop root shutdown", "end 0",
    ]  # fmt: skip


def test_hurry_kills_what_was_not_executed_yet() -> None:
    world = World(one_for_one("root", worker("a", shutdown="infinity")))
    world.boot_until(lambda: world.state("a") is State.STARTING).delay()
    world.shut_down().wait(1.0)
    assert world.end is None
    world.shut_down()
    assert world.signals_to("a") == ["SIGKILL"]
    assert world.end is not None


def test_supervisor_has_all_the_time_it_needs_by_default() -> None:
    world = World(one_for_one("root", one_for_one("s", worker("x", shutdown="infinity")))).every_fate("x", STUBBORN)
    world.boot().shut_down().wait(1_000_000.0)
    assert world.signals_to("x") == TERM_CONT


@pytest.mark.parametrize(("shutdown", "killed_after"), [(2.0, 2.0), (0, 0.0), ("brutal_kill", 0.0)])
def test_finite_shutdown_of_a_supervisor_bounds_the_whole_subtree(shutdown: float | str, killed_after: float) -> None:
    tree = one_for_one("s", "x", one_for_one("t", "y"), shutdown=shutdown)
    world = World(one_for_one("root", tree)).every_fate("x", STUBBORN).every_fate("y", STUBBORN).boot()
    stopped_at = world.now
    world.stop("s")
    world.wait(60.0)
    kills = [(time - stopped_at, name) for time, name, signal in world.signals if signal == "SIGKILL"]
    assert kills == [(killed_after, "y"), (killed_after, "x")]


def test_supervisor_whose_time_was_over_is_recorded_as_killed() -> None:
    tree = one_for_one("root", one_for_one("s", "x", shutdown=2.0))
    world = World(tree).every_fate("x", STUBBORN).boot()
    world.stop("s")
    world.wait(2.0)
    assert dict(world.record_of("stopped", "s").details) == {"type": "supervisor", "reason": "killed", "how": "killed"}


def test_supervisor_that_was_in_time_is_recorded_as_shut_down() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", shutdown=2.0))).boot()
    world.stop("s")
    world.wait(2.0)
    details = dict(world.record_of("stopped", "s").details)
    assert details == {"type": "supervisor", "reason": "shutdown", "how": "shutdown"}


@pytest.mark.parametrize("shutdown", [0, 1.0, "brutal_kill"])
def test_shutdown_time_of_the_root_does_not_matter(shutdown: float | str) -> None:
    world = World(one_for_one("root", "a", shutdown=shutdown)).every_fate("a", STUBBORN).boot()
    world.shut_down().wait(2.0)
    assert world.signals_to("a") == TERM_CONT


def test_no_deadline_is_left_of_what_is_down() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.restart("a")
    assert world.node.next_deadline() is None


def test_deadline_is_the_earliest_that_still_matters() -> None:
    tree = one_for_one("root", worker("a", shutdown=1.0), worker("b", shutdown=3.0))
    world = World(tree).every_fate("b", STUBBORN).every_fate("a", STUBBORN).boot()
    now = world.now
    world.ask(Stop("root/a"))
    world.ask(Stop("root/b"))
    world.settle()
    assert world.node.next_deadline() == now + 1.0
    world.kill("a")
    assert world.node.next_deadline() == now + 3.0


def test_deadline_of_the_killed_is_over_though_they_are_not_dead_yet() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    world.shut_down().now += 1.0
    world.pending.append(ShutdownRequested())
    world.deliver()
    assert world.signals_to("a") == [*TERM_CONT, "SIGKILL"]
    assert world.node.next_deadline() is None


def test_time_that_passes_too_early_kills_nobody() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    world.stop("a")
    world.happen(TimePassed(), TimePassed())
    assert world.signals_to("a") == TERM_CONT


def test_worker_is_not_killed_when_its_end_and_its_deadline_arrive_together() -> None:
    """The runtime has reaped it before the node is told: its number may be somebody else's."""
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    world.stop("a")
    world.now += 5.0
    world.pending.append(TimePassed())
    world.kill("a")
    assert world.signals_to("a") == TERM_CONT


def test_worker_is_not_killed_when_its_end_and_a_hurry_arrive_together() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    world.shut_down()
    world.now += 1.0
    world.pending.append(ShutdownRequested())
    world.kill("a")
    assert world.signals_to("a") == TERM_CONT


def test_worker_is_not_killed_when_its_end_and_the_kill_of_its_supervisor_arrive_together() -> None:
    tree = one_for_one("s", "x", "y", shutdown="brutal_kill")
    world = World(one_for_one("root", tree)).every_fate("x", STUBBORN)
    world.boot_until(lambda: world.state("y") is State.STARTING).delay()
    world.stop("x")
    world.ask(Stop("root/s"))
    world.kill("x")
    assert world.signals_to("x") == TERM_CONT


def test_worker_that_dies_while_it_was_to_be_stopped_before_it_was_executed_is_not_signalled() -> None:
    world = World(one_for_one("root", "a"))
    world.boot_until(lambda: world.state("a") is State.STARTING).exits("a").delay()
    world.shut_down().arrive()
    assert world.signals == []
    assert world.tell()[-3:] == ["exit a exit 1", "stop root shutdown", "end 0"]


def test_shutdown_before_the_boot_is_not_forgotten() -> None:
    world = World(one_for_one("root", "a"))
    world.happen(ShutdownRequested(), Booted(1, "", ""))
    assert world.end is not None
    assert world.end.status == 0


def test_shutdown_after_the_end_changes_nothing() -> None:
    world = World(one_for_one("root", "a", intensity=0)).boot().kill("a")
    world.shut_down().wait(1.0).shut_down()
    assert world.tell()[-1] == "end 70"
