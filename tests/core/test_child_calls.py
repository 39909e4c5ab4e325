"""OTP's start_child, terminate_child, restart_child and delete_child: OTP-SEMANTICS § 8."""

import pytest

from procsup.core.calls import (
    Call,
    DeleteChild,
    Refusal,
    RestartChild,
    StartChild,
    Stop,
    TerminateChild,
)
from procsup.core.child import State
from procsup.core.events import ShutdownRequested
from procsup.core.reason import BadStartSpec, FailedToStartChild, StartFailed
from procsup.core.spec import ChildSpec, DuplicateChildName
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, LEAVES_STUBBORN_REST, NORMAL, STUBBORN, Outcome, World

ENOENT = StartFailed("exec", "ENOENT")
STATES = ["running", "down", "clearing", "absent"]


def world_with_child(state: str) -> World:
    """root has the child "a" in this state, and nothing else goes on. After "restarting" the retry is next; "clearing"
    says that it ended, and something of its group is left.
    """
    world = World(one_for_one("root", worker("a", "transient"), "b"))
    match state:
        case "running":
            world.boot()
        case "down":
            world.boot().kill("a", end=NORMAL)
        case "restarting":
            world.fate("a", GOOD, FAILS).boot().exits("a").deliver()
        case "clearing":
            world.fate("a", LEAVES_STUBBORN_REST).boot().kill("a", end=NORMAL)
        case _:
            world.boot().terminate_child("a")
            world.delete_child("a")
    return world


def ask_first(world: World, call: Call) -> Outcome:
    """The call was waiting when what is pending happened."""
    ref = world.ask(call)
    world.pending.insert(0, world.pending.pop())
    world.settle()
    return world.answer(ref)


@pytest.mark.parametrize(
    ("call", "answers"),
    [
        (StartChild("root", worker("a")), ["already_started", "already_present", "already_present", "ok"]),
        (TerminateChild("root", "a"), ["ok", "ok", "unanswered", "not_found"]),
        (RestartChild("root", "a"), ["running", "ok", "running", "not_found"]),
        (DeleteChild("root", "a"), ["running", "ok", "running", "not_found"]),
    ],
    ids=["start_child", "terminate_child", "restart_child", "delete_child"],
)
@pytest.mark.parametrize("state", STATES)
def test_answer_to_a_child_call_depends_on_the_state_of_the_child(call: Call, answers: list[str], state: str) -> None:
    assert world_with_child(state).call(call) == answers[STATES.index(state)]


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (StartChild("root", worker("a")), "already_present"),
        (RestartChild("root", "a"), "restarting"),
        (DeleteChild("root", "a"), "restarting"),
    ],
)
def test_child_that_waits_for_its_retry_is_restarting(call: Call, answer: str) -> None:
    assert ask_first(world_with_child("restarting"), call) == answer


def test_terminate_child_cancels_the_retry() -> None:
    world = world_with_child("restarting")
    assert ask_first(world, TerminateChild("root", "a")) == "ok"
    assert (world.up(), world.starts("a")) == (["b"], 2)


@pytest.mark.parametrize(
    "call",
    [
        StartChild("root/nobody", worker("z")),
        StartChild("root/a", worker("z")),
        TerminateChild("root/nobody", "a"),
        RestartChild("root/s", "x"),
        DeleteChild("root/s", "x"),
        TerminateChild("", "root"),
    ],
)
def test_call_to_who_is_no_running_supervisor_is_noproc(call: Call) -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x"))).boot()
    world.stop("s")
    assert world.call(call) is Refusal.NOPROC


def test_started_child_is_last_in_start_order() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    assert world.start_child("root", worker("z")) == "ok"
    world.tell()
    world.shut_down()
    assert world.tell()[:3] == ["stop z shutdown", "stop b shutdown", "stop a shutdown"]


def test_child_that_was_deleted_and_started_again_is_last() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.terminate_child("a")
    world.delete_child("a")
    world.start_child("root", worker("a"))
    world.tell()
    world.shut_down()
    assert world.tell()[:2] == ["stop a shutdown", "stop b shutdown"]


def test_restarted_child_keeps_its_place() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.terminate_child("a")
    world.restart_child("a")
    world.tell()
    world.shut_down()
    assert world.tell()[:2] == ["stop b shutdown", "stop a shutdown"]


def test_whole_supervisor_can_be_started_as_a_child() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.tell()
    assert world.start_child("root", one_for_one("s", "x", "y")) == "ok"
    assert world.tell() == ["child_added s", "start x", "start y", "start s"]


def test_start_child_that_fails_leaves_no_spec() -> None:
    world = World(one_for_one("root", "a")).fate("root/z", FAILS).boot()
    assert world.start_child("root", worker("z")) == ENOENT
    assert not world.has("z")
    assert world.start_child("root", worker("z")) == "ok"


def test_start_child_of_a_supervisor_that_fails_stops_what_had_started() -> None:
    world = World(one_for_one("root", "a")).fate("root/s/y", FAILS).boot()
    world.tell()
    assert world.start_child("root", one_for_one("s", "x", "y")) == FailedToStartChild("y", ENOENT)
    assert world.tell() == [
        "child_added s", "start x", "fail y", "stop x shutdown", "fail s", "remove s start_failed",
    ]  # fmt: skip
    assert {child.path for child in world.node.children()} == {"root", "root/a"}


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (worker("z", "transient", significant=True), Refusal.BAD_COMBINATION),
        (one_for_one("z", "x", "x"), BadStartSpec(DuplicateChildName("x"))),
    ],
)
def test_spec_that_contradicts_itself_is_refused(spec: ChildSpec, answer: Outcome) -> None:
    world = World(one_for_one("root", "a")).boot()
    assert world.start_child("root", spec) == answer
    assert not world.has("z")


def test_permanent_child_must_not_be_significant() -> None:
    world = World(one_for_one("root", "a", auto_shutdown="any_significant")).boot()
    assert world.start_child("root", worker("z", significant=True)) is Refusal.BAD_COMBINATION
    assert world.start_child("root", worker("z", "temporary", significant=True)) == "ok"


def test_restart_child_that_fails_is_not_tried_again_and_keeps_its_spec() -> None:
    world = World(one_for_one("root", "a", intensity=0)).fate("a", GOOD, FAILS).boot()
    world.terminate_child("a")
    assert world.restart_child("a") == ENOENT
    assert (world.has("a"), world.starts("a"), world.end) == (True, 2, None)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_terminate_child_touches_no_sibling_and_keeps_the_spec(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).boot()
    world.tell()
    assert world.terminate_child("b") == "ok"
    assert world.tell() == ["stop b shutdown"]
    assert world.has("b")


def test_terminated_temporary_child_is_removed() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).boot()
    assert world.terminate_child("a") == "ok"
    assert not world.has("a")
    assert world.terminate_child("a") is Refusal.NOT_FOUND


def test_call_is_answered_though_its_supervisor_is_told_to_stop_at_the_same_time() -> None:
    world = World(one_for_one("root", worker("a", "temporary"))).boot()
    ref = world.ask(TerminateChild("root", "a"))
    world.deliver()
    world.pending.append(ShutdownRequested())
    world.settle()
    assert world.answer(ref) in ("ok", Refusal.NOPROC)


def test_calls_wait_their_turn_and_are_served_in_order() -> None:
    world = World(one_for_one("root", "a", "b")).fate("a", STUBBORN).boot()
    calls: list[Call] = [TerminateChild("root", "a"), TerminateChild("root", "b"), DeleteChild("root", "b")]
    refs = [world.ask(call) for call in calls]
    world.settle()
    assert [world.answer(ref) for ref in refs] == ["unanswered"] * 3
    world.wait(5.0)
    assert [world.answer(ref) for ref in refs] == ["ok"] * 3


def test_calls_wait_while_a_group_restarts() -> None:
    world = World(one_for_all("root", "a", "b")).fate("b", STUBBORN).boot()
    world.kill("a")
    assert world.delete_child("b") == "unanswered"
    world.wait(5.0)
    assert world.answers == {1: Refusal.RUNNING}


def test_retry_does_not_go_past_a_call_that_was_waiting() -> None:
    """The call waits for a, which is slow to start; then the restart of b fails, and its retry waits for the call."""
    world = World(one_for_one("root", "a", "b")).fate("b", GOOD, FAILS).boot()
    world.exits("a").deliver().delay()
    call = world.ask(TerminateChild("root", "b"))
    world.exits("b").settle().arrive()
    assert (world.answer(call), world.up(), world.starts("b")) == ("ok", ["a"], 2)


def test_calls_of_one_supervisor_do_not_wait_for_another() -> None:
    tree = one_for_one("root", one_for_one("s", "x"), one_for_one("t", "y"))
    world = World(tree).fate("x", STUBBORN).boot()
    assert world.terminate_child("x") == "unanswered"
    assert world.terminate_child("y") == "ok"


def test_calls_that_wait_when_the_supervisor_ends_are_noproc() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y"))).fate("y", STUBBORN).boot()
    refs = [world.ask(call) for call in (TerminateChild("root/s", "y"), TerminateChild("root/s", "x"))]
    world.settle().stop("s")
    world.wait(5.0)
    assert [world.answer(ref) for ref in refs] == [Refusal.NOPROC, Refusal.NOPROC]


def test_calls_that_come_while_the_supervisor_boots_wait_until_it_is_up() -> None:
    world = World(one_for_one("root", "a", "b"))
    world.boot_until(lambda: world.state("a") is State.STARTING)
    assert world.terminate_child("a") == "ok"
    assert world.up() == ["b"]
    assert world.tell()[:3] == ["start a", "start b", "start root"]


def test_start_child_that_an_operator_stops_meanwhile_does_not_say_that_it_started() -> None:
    world = World(one_for_one("root", "a")).boot()
    call = world.ask(StartChild("root", worker("z")))
    world.deliver().delay()
    stop = world.ask(Stop("root/z"))
    world.settle().arrive()
    assert (world.answer(call), world.answer(stop)) == (Refusal.OVERTAKEN, "ok")


def test_dynamic_children_survive_the_group_restarts_of_their_supervisor() -> None:
    world = World(one_for_all("root", "a")).boot()
    world.start_child("root", worker("z"))
    world.kill("a")
    assert world.up() == ["a", "z"]


def test_dynamic_children_are_lost_when_their_supervisor_restarts_and_it_is_recorded() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", intensity=0))).boot()
    world.start_child("s", worker("z"))
    world.kill("x")
    assert not world.has("z")
    assert [r.path for r in world.records if r.event == "child_removed"] == ["root/s/z"]


def test_added_and_removed_are_recorded() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.start_child("root", worker("z"))
    world.terminate_child("z")
    world.delete_child("z")
    assert dict(world.record_of("child_added", "z").details) == {"type": "worker"}
    assert dict(world.record_of("child_removed", "z").details) == {"why": "deleted"}
