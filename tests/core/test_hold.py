"""An operator's stop is a hold: DESIGN § 3.9."""

import pytest

from procsup.core.calls import Start, Stop
from procsup.core.child import State
from procsup.core.events import TimePassed
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, LEAVES_STUBBORN_REST, NORMAL, STUBBORN, World


def test_stop_holds_and_start_releases() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.tell()
    assert world.stop("a") == "ok"
    assert world.child("a").held
    assert world.start("a") == "ok"
    assert not world.child("a").held
    assert world.tell() == ["held a", "stop a shutdown", "released a", "start a"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_group_restart_respects_a_hold(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).boot()
    world.stop("b")
    world.tell()
    world.kill("a")
    assert world.tell() == ["exit a exit 1", "stop c shutdown", "start a", "start c"]


def test_started_again_it_restarts_with_its_group() -> None:
    world = World(one_for_all("root", "a", "b")).boot()
    world.stop("b")
    world.start("b")
    world.kill("a")
    assert world.up() == ["a", "b"]


def test_hold_survives_an_escalation() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y", intensity=0))).boot()
    world.stop("y")
    world.kill("x")
    assert world.child("s").starts == 2
    assert world.up() == ["x"]


def test_hold_survives_the_restart_of_its_supervisor_by_an_operator() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y"))).boot()
    world.stop("y")
    assert world.restart("s") == "ok"
    assert world.up() == ["x"]


def test_terminated_child_is_not_held_and_comes_back_as_in_otp() -> None:
    world = World(one_for_all("root", "a", "b")).boot()
    world.terminate_child("b")
    world.kill("a")
    assert world.up() == ["a", "b"]


def test_hold_of_a_starting_child_stops_it_and_the_boot_goes_on_without_it() -> None:
    world = World(one_for_one("root", "a", "b", "c")).fate("b", STUBBORN)
    world.boot_until(lambda: world.state("b") is State.STARTING).delay()
    assert world.stop("b") == "unanswered"
    world.arrive()
    assert (world.answers, world.up()) == ({}, ["a", "b"])
    world.wait(5.0)
    assert (world.answers, world.up()) == ({1: "ok"}, ["a", "c"])
    assert world.tell()[-1] == "start root"


def test_hold_of_a_child_whose_turn_has_not_come_is_done_at_once() -> None:
    world = World(one_for_one("root", "a", "b"))
    world.boot_until(lambda: world.state("a") is State.STARTING)
    assert world.stop("b") == "ok"
    assert world.up() == ["a"]


def test_hold_of_a_child_that_was_starting_and_could_not_fails_nobody() -> None:
    world = World(one_for_one("root", "a", "b")).every_fate("b", FAILS)
    world.boot_until(lambda: world.state("b") is State.STARTING).delay()
    assert world.stop("b") == "unanswered"
    world.arrive()
    assert (world.answers, world.up(), world.end) == ({1: "ok"}, ["a"], None)


def test_hold_of_a_restarting_child_cancels_the_retry() -> None:
    world = World(one_for_one("root", "a", "b")).fate("a", GOOD, FAILS).boot()
    world.exits("a").deliver()
    ref = world.ask(Stop("root/a"))
    world.settle()
    assert (world.answer(ref), world.up(), world.starts("a")) == ("ok", ["b"], 2)


def test_hold_of_a_child_whose_death_is_undecided_is_no_restart() -> None:
    world = World(one_for_one("root", "a", intensity=0)).boot()
    world.exits("a")
    ref = world.ask(Stop("root/a"))
    world.settle()
    assert (world.answer(ref), world.up(), world.end) == ("ok", [], None)


def test_undecided_death_of_a_life_before_the_hold_is_not_taken_for_that_of_the_life_after_it() -> None:
    """While a call is open nothing is decided: a crashes, is held and started again, and ends normally."""
    world = World(one_for_one("root", worker("a", "transient"), "b", intensity=0)).fate("b", STUBBORN).boot()
    world.terminate_child("b")
    world.kill("a")
    assert world.stop("a") == "ok"
    assert world.start("a") == "ok"
    world.kill("a", end=NORMAL).wait(5.0)
    assert (world.end, world.up(), world.starts("a")) == (None, [], 2)


def test_hold_of_a_doomed_child_lets_its_group_restart_without_it() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("c", STUBBORN).boot()
    world.kill("a")
    assert world.child("b").state is State.DOOMED
    assert world.stop("b") == "unanswered"
    world.wait(5.0)
    assert world.answers == {1: "ok"}
    assert sorted(world.up()) == ["a", "c"]


def test_hold_of_a_child_whose_rest_is_ending_lets_no_next_life_begin() -> None:
    world = World(one_for_one("root", "a")).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a")
    assert world.child("a").state is State.CLEARING
    assert world.stop("a") == "unanswered"
    world.wait(5.0)
    assert (world.answers, world.starts("a")) == ({1: "ok"}, 1)


def test_hold_on_a_supervisor_stops_all_of_it_and_is_no_restart_of_its_parent() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y"), "a", intensity=0)).boot()
    world.tell()
    assert world.stop("s") == "ok"
    assert world.tell() == ["held s", "stop y shutdown", "stop x shutdown", "stop s shutdown"]
    assert world.up() == ["a"]
    assert world.start("s") == "ok"
    assert world.tell() == ["released s", "start x", "start y", "start s"]


def test_hold_on_a_supervisor_that_gives_up_lets_it_end_and_stay_down() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y", intensity=0))).every_fate("y", STUBBORN).boot()
    world.kill("x")
    assert world.stop("s") == "unanswered"
    world.wait(5.0)
    assert world.answers == {1: "ok"}
    assert (world.up(), world.end) == ([], None)


def test_held_supervisor_is_left_out_by_the_restart_of_its_group() -> None:
    world = World(one_for_all("root", one_for_one("s", "x"), "a")).boot()
    world.stop("s")
    world.kill("a")
    assert world.up() == ["a"]


def test_child_of_a_supervisor_that_is_down_can_be_held_for_later() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y"))).boot()
    world.stop("s")
    assert world.stop("x") == "ok"
    world.start("s")
    assert world.up() == ["y"]


def test_held_temporary_child_keeps_its_spec_and_can_be_started_again() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).boot()
    assert world.stop("a") == "ok"
    assert world.has("a")
    assert world.start("a") == "ok"
    assert world.up() == ["a"]


def test_temporary_child_that_was_held_once_is_removed_when_it_ends() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).boot()
    world.stop("a")
    world.start("a")
    world.kill("a", end=NORMAL)
    assert not world.has("a")


def test_temporary_child_started_before_it_was_down_runs_again() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).fate("a", STUBBORN).boot()
    assert world.stop("a") == "unanswered"
    ref = world.ask(Start("root/a"))
    world.settle().wait(5.0)
    assert world.answer(ref) == "ok"
    assert world.up() == ["a"]
    assert world.has("a")


def test_second_stop_waits_with_the_first() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    refs = [world.ask(Stop("root/a")), world.ask(Stop("root/a"))]
    world.settle()
    assert [world.answer(ref) for ref in refs] == ["unanswered"] * 2
    world.wait(5.0)
    assert [world.answer(ref) for ref in refs] == ["ok"] * 2


def test_second_stop_records_no_second_hold() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.tell()
    assert world.stop("a") == "ok"
    assert world.tell() == []


def test_restart_child_of_a_held_child_releases_it_and_says_so() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.tell()
    assert world.restart_child("a") == "ok"
    assert world.tell() == ["released a", "start a"]


def test_held_child_stays_held_when_time_passes() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.wait(1_000_000.0).happen(TimePassed())
    assert world.up() == []


def test_held_significant_child_fires_no_auto_shutdown() -> None:
    tree = one_for_one("root", worker("a", "transient", significant=True), "b", auto_shutdown="any_significant")
    world = World(tree).boot()
    assert world.stop("a") == "ok"
    assert world.end is None


def test_stop_after_the_end_records_nothing() -> None:
    world = World(one_for_one("root", "a", intensity=0)).boot().kill("a")
    world.stop("a")
    assert world.tell()[-1] == "end 70"
