"""The operator's start, stop and restart: DESIGN § 3.9 and procsup/core/calls.py. Holds have their own file."""

import pytest

from procsup.core.calls import Call, Refusal, Restart, Start, Stop, TerminateChild
from procsup.core.child import State
from procsup.core.reason import FailedToStartChild, StartFailed
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, LEAVES_STUBBORN_REST, NORMAL, STUBBORN, World

ENOENT = StartFailed("exec", "ENOENT")


@pytest.mark.parametrize("command", [Start, Stop, Restart])
def test_root_and_unknown_paths_are_refused(command: type[Start | Stop | Restart]) -> None:
    world = World(one_for_one("root", "a")).boot()
    assert world.call(command("root")) is Refusal.ROOT
    assert world.call(command("root/nobody")) is Refusal.UNKNOWN
    assert world.call(command("a")) is Refusal.UNKNOWN


def test_start_of_a_running_child_is_ok_and_changes_nothing() -> None:
    world = World(one_for_one("root", "a")).boot()
    assert world.start("a") == "ok"
    assert world.starts("a") == 1


def test_start_brings_a_transient_child_back_that_had_ended() -> None:
    world = World(one_for_one("root", worker("a", "transient"))).boot().kill("a", end=NORMAL)
    assert world.start("a") == "ok"
    assert world.up() == ["a"]


@pytest.mark.parametrize("command", [Start, Restart])
def test_child_of_a_supervisor_that_is_down_cannot_be_started(command: type[Start | Restart]) -> None:
    world = World(one_for_one("root", one_for_one("s", "x"))).boot()
    world.stop("s")
    assert world.call(command("root/s/x")) is Refusal.NOPROC


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_restart_stops_and_starts_this_child_alone(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).boot()
    world.tell()
    assert world.restart("b") == "ok"
    assert world.tell() == ["stop b shutdown", "start b"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_restart_of_a_child_that_is_down_starts_it(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).boot()
    world.stop("b")
    assert world.restart("b") == "ok"
    assert sorted(world.up()) == ["a", "b", "c"]


def test_restart_of_a_supervisor_restarts_all_of_it() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y"))).boot()
    world.tell()
    assert world.restart("s") == "ok"
    stops = ["stop y shutdown", "stop x shutdown", "stop s shutdown"]
    assert world.tell() == [*stops, "start x", "start y", "start s"]


def test_restart_waits_until_the_child_is_down_and_up_again() -> None:
    world = World(one_for_one("root", "a")).fate("a", STUBBORN).boot()
    assert world.restart("a") == "unanswered"
    world.wait(4.999)
    assert world.answers == {}
    world.wait(0.001)
    assert world.answers == {1: "ok"}


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_restarted_temporary_child_is_not_lost(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", worker("a", "temporary"), "b")).boot()
    assert world.restart("a") == "ok"
    assert world.has("a")
    assert sorted(world.up()) == ["a", "b"]


def test_temporary_child_whose_rest_is_ending_can_be_started_again() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a")
    assert world.start("a") == "unanswered"
    world.wait(5.0)
    assert world.has("a") is (world.answers == {1: "ok"})
    assert world.has("a") is (world.up() == ["a"])


@pytest.mark.parametrize("command", [Start, Restart])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_start_that_arrives_with_the_death_of_its_child_leaves_nothing_open(
    command: type[Start | Restart], restart: str
) -> None:
    world = World(one_for_one("root", worker("a", restart), "b")).boot()
    world.exits("a")
    ref = world.ask(command("root/a"))
    world.settle()
    assert world.answer(ref) in ("ok", Refusal.NOT_FOUND)
    assert world.has("a") is ("a" in world.up())
    assert world.terminate_child("b") == "ok"


@pytest.mark.parametrize("command", [Start, Restart])
def test_failed_start_is_the_answer_and_is_not_tried_again(command: type[Start | Restart]) -> None:
    world = World(one_for_one("root", "a", intensity=0)).fate("a", GOOD, FAILS).boot()
    world.stop("a")
    assert world.call(command("root/a")) == ENOENT
    assert (world.starts("a"), world.end) == (2, None)


def test_failed_restart_of_a_temporary_child_is_the_answer_and_the_spec_goes() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).fate("a", GOOD, FAILS).boot()
    assert world.restart("a") == ENOENT
    assert not world.has("a")


def test_failed_start_of_a_supervisor_names_the_child() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"))).fate("x", GOOD, FAILS).boot()
    assert world.restart("s") == FailedToStartChild("x", ENOENT)
    assert world.end is None


def test_start_of_a_starting_child_waits_until_it_is_up() -> None:
    world = World(one_for_one("root", "a"))
    world.boot_until(lambda: world.state("a") is State.STARTING)
    assert world.start("a") == "ok"
    assert world.starts("a") == 1


def test_start_of_a_child_whose_boot_fails_is_answered() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", FAILS)
    world.boot_until(lambda: world.state("a") is State.STARTING)
    assert world.start("a") is Refusal.NOPROC


def test_waiting_start_is_answered_when_its_supervisor_gives_up() -> None:
    world = World(one_for_one("root", "a", intensity=1)).fate("a", GOOD, FAILS, FAILS).boot()
    world.exits("a").deliver()
    ref = world.ask(Start("root/a"))
    world.settle()
    assert world.answer(ref) is Refusal.NOPROC


@pytest.mark.parametrize(
    ("earlier", "later"), [(Start, Stop), (Restart, Stop), (Stop, Start), (Stop, Restart)], ids=lambda c: c.__name__
)
def test_earlier_of_two_contrary_commands_is_overtaken(
    earlier: type[Start | Stop | Restart], later: type[Start | Stop | Restart]
) -> None:
    world = World(one_for_one("root", "a", "b")).fate("a", STUBBORN).boot()
    if earlier is Start:
        world.terminate_child("a")
    first = world.ask(earlier("root/a"))
    world.deliver()
    second = world.ask(later("root/a"))
    world.settle().wait(5.0)
    assert (world.answer(first), world.answer(second)) == (Refusal.OVERTAKEN, "ok")
    assert ("a" in world.up()) is (later is not Stop)


def test_contrary_commands_of_one_batch_leave_the_last_ones_wish() -> None:
    world = World(one_for_one("root", "a")).boot()
    commands: list[Call] = [Stop("root/a"), Start("root/a"), Stop("root/a"), Restart("root/a"), Stop("root/a")]
    refs = [world.ask(command) for command in commands]
    world.settle()
    assert [world.answer(ref) for ref in refs] == [*[Refusal.OVERTAKEN] * 4, "ok"]
    assert world.up() == []


def test_restart_does_not_overtake_a_restart() -> None:
    world = World(one_for_one("root", "a")).boot()
    refs = [world.ask(Restart("root/a")), world.ask(Restart("root/a"))]
    world.settle()
    assert [world.answer(ref) for ref in refs] == ["ok", "ok"]


def test_commands_on_other_children_overtake_nothing() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    refs = [world.ask(Stop("root/a")), world.ask(Restart("root/b"))]
    world.settle()
    assert [world.answer(ref) for ref in refs] == ["ok", "ok"]


def test_start_that_waits_for_a_retry_is_overtaken_by_the_call_that_cancels_it() -> None:
    world = World(one_for_one("root", "a")).fate("a", GOOD, FAILS).boot()
    world.exits("a").deliver().delay()
    start, call = world.ask(Start("root/a")), world.ask(TerminateChild("root", "a"))
    world.settle().arrive()
    assert (world.answer(start), world.answer(call), world.up()) == (Refusal.OVERTAKEN, "ok", [])


def test_start_of_a_child_that_is_doomed_by_a_call_starts_it_after_the_call() -> None:
    world = World(one_for_one("root", "a")).fate("a", STUBBORN).boot()
    call = world.ask(TerminateChild("root", "a"))
    world.settle()
    start = world.ask(Start("root/a"))
    world.settle().wait(5.0)
    assert (world.answer(call), world.answer(start), world.up()) == ("ok", "ok", ["a"])


def test_commands_are_obeyed_while_a_group_restarts() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("c", STUBBORN).boot()
    world.kill("a")
    refs = [world.ask(Restart("root/a")), world.ask(Restart("root/b")), world.ask(Restart("root/c"))]
    world.settle().wait(5.0)
    assert [world.answer(ref) for ref in refs] == ["ok", "ok", "ok"]
    assert sorted(world.up()) == ["a", "b", "c"]


def test_commands_after_the_end_are_refused() -> None:
    world = World(one_for_one("root", "a")).boot().shut_down()
    assert [world.start("a"), world.restart("a")] == [Refusal.NOPROC, Refusal.NOPROC]


def test_restarts_by_an_operator_are_no_restarts_of_the_child() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.restart("a")
    assert (world.child("a").restarts, world.child("a").starts) == (0, 2)
