"""A worker is down when its whole process group is gone: DESIGN § 3.8."""

import pytest

from procsup.core.child import State
from procsup.core.events import ShutdownRequested
from procsup.core.reason import ExitCode
from tests.core.trees import one_for_all, one_for_one, worker
from tests.core.world import LEAVES_REST, LEAVES_STUBBORN_REST, NORMAL, STUBBORN, World

TERM_CONT = ["SIGTERM", "SIGCONT"]


def test_reason_of_the_main_process_stands_and_the_rest_gets_the_stop_sequence() -> None:
    world = World(one_for_one("root", "a")).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a", end=ExitCode(3))
    assert dict(world.record_of("exited", "a").details)["reason"] == "exit 3"
    assert world.signals_to("a") == TERM_CONT
    world.wait(5.0)
    assert world.signals_to("a") == [*TERM_CONT, "SIGKILL"]


def test_next_life_waits_until_nothing_of_the_group_is_left() -> None:
    world = World(one_for_one("root", "a")).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a")
    world.wait(4.999)
    assert world.starts("a") == 1
    world.wait(0.001)
    assert world.starts("a") == 2


def test_rest_that_obeys_delays_nothing() -> None:
    world = World(one_for_one("root", "a")).fate("a", LEAVES_REST).boot()
    world.kill("a")
    assert world.up() == ["a"]
    assert world.starts("a") == 2


def test_brutal_kill_kills_the_rest_at_once() -> None:
    tree = one_for_one("root", worker("a", shutdown="brutal_kill"))
    world = World(tree).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a")
    assert world.signals_to("a") == ["SIGKILL"]
    assert world.starts("a") == 2


def test_restart_is_counted_at_the_death_and_not_when_the_rest_is_gone() -> None:
    world = World(one_for_one("root", "a", intensity=1, period=5.0)).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a").wait(5.0)
    assert world.up() == ["a"]
    world.wait(0.001).kill("a")
    assert world.end is None


def test_siblings_restart_while_the_rest_of_one_ends_under_one_for_one() -> None:
    world = World(one_for_one("root", "a", "b")).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a").kill("b")
    assert world.starts("b") == 2


def test_group_waits_for_the_rest_of_its_offender() -> None:
    world = World(one_for_all("root", "a", "b")).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a")
    assert world.up() == []
    world.wait(5.0)
    assert world.up() == ["a", "b"]


def test_transient_worker_is_down_only_when_its_rest_is() -> None:
    world = World(one_for_one("root", worker("a", "transient"))).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a", end=NORMAL)
    assert world.child("a").state is State.CLEARING
    world.wait(5.0)
    assert world.child("a").state is State.DOWN


def test_temporary_worker_is_removed_only_when_its_rest_is_gone() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a")
    assert world.has("a")
    world.wait(5.0)
    assert not world.has("a")


def test_stop_is_done_when_the_whole_group_is_gone() -> None:
    world = World(one_for_one("root", "a")).fate("a", LEAVES_STUBBORN_REST).boot()
    assert world.stop("a") == "unanswered"
    assert world.up() == []
    world.wait(5.0)
    assert world.answers == {1: "ok"}
    assert world.signals_to("a") == [*TERM_CONT, "SIGKILL"]


def test_how_a_worker_ended_while_it_was_stopped_is_what_its_main_process_said() -> None:
    world = World(one_for_one("root", "a")).fate("a", LEAVES_STUBBORN_REST).boot()
    world.stop("a")
    world.wait(5.0)
    assert world.record_of("stopped", "a").details["ended"] == "signal SIGTERM"


def test_rest_that_is_gone_before_its_supervisor_decides_is_no_obstacle() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("a", LEAVES_REST).every_fate("c", STUBBORN).boot()
    world.kill("b").kill("a")
    world.wait(5.0)
    assert sorted(world.up()) == ["a", "b", "c"]


def test_giving_up_waits_for_the_rest_of_the_last_straw() -> None:
    world = World(one_for_one("root", "a", "b", intensity=0)).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a").wait(4.999)
    assert world.end is None
    world.wait(0.001)
    assert world.end is not None


def test_hurry_kills_the_rest_too() -> None:
    tree = one_for_one("root", worker("a", "transient", shutdown="infinity"))
    world = World(tree).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a", end=NORMAL).shut_down().wait(1.0).shut_down()
    assert world.end is not None


@pytest.mark.parametrize("shutdown", [1.0, 0, "brutal_kill"])
def test_rest_of_a_worker_whose_fate_is_undecided_ends_with_the_time_of_its_supervisor(shutdown: float | str) -> None:
    """s waits for stubborn b, so that the death of a, whose rest lives on, is not decided when s is told to stop."""
    tree = one_for_all("s", worker("a", shutdown="infinity"), "b", worker("c", shutdown="infinity"), shutdown=shutdown)
    world = World(one_for_one("root", tree)).fate("a", LEAVES_STUBBORN_REST).fate("c", STUBBORN).boot()
    world.stop("c")
    world.kill("a")
    assert world.child("a").state is State.EXITED
    world.stop("s")
    world.wait(60.0)
    assert world.child("s").state is State.DOWN


def test_hurry_kills_the_rest_of_a_worker_whose_fate_is_undecided() -> None:
    """s is doomed, and waits for stubborn z before it is told: it decides nothing any more."""
    tree = one_for_one("root", one_for_one("s", worker("a", shutdown="infinity")), "z")
    world = World(tree).fate("a", LEAVES_STUBBORN_REST).fate("z", STUBBORN).boot()
    world.happen(ShutdownRequested()).kill("a").wait(1.0).shut_down()
    assert world.end is not None
