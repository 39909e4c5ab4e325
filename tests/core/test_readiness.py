"""Starts that wait: the next child starts when the one before is ready, and a start that takes too long has failed.
DESIGN § 5.
"""

from typing import Any

import pytest

from procsup.core.calls import Restart, RestartChild, Start, StartChild, Stop
from procsup.core.child import State
from procsup.core.events import BecameReady, Exited, NotReadyYet, ShutdownRequested, TimePassed
from procsup.core.readiness import (
    AT_EXEC,
    Connection,
    Elapsed,
    Line,
    Newline,
    Notify,
    OnChannel,
    Ready,
    Response,
    Success,
)
from procsup.core.reason import TIMEOUT, ExitCode, FailedToStartChild, KilledBySignal, NotReady, WorkerExit
from procsup.core.spec import WorkerSpec
from procsup.core.view import shown, tree
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, rest_for_one, worker
from tests.core.world import (
    FAILS,
    GOOD,
    HANGS,
    LEAVES_STUBBORN_REST,
    NORMAL,
    SLOW,
    SLOW_AND_STUBBORN,
    STUBBORN,
    Fate,
    World,
)

TERM_CONT = ["SIGTERM", "SIGCONT"]
SLOW_WITH_REST = Fate(is_slow=True, leaves_rest=True, rest_ignores_stop=True)


def notifying(name: str, restart: str = "permanent", **keys: Any) -> WorkerSpec:
    return worker(name, restart, ready=Notify(), **keys)


def booted(strategy: str = "one_for_one", **keys: Any) -> World:
    """a, b and c, all up; they are slow to get ready from now on."""
    world = World(BY_STRATEGY[strategy]("root", *map(notifying, "abc"), **keys)).boot()
    for name in "abc":
        world.every_fate(name, SLOW)
    world.tell()
    return world


# What is ready


@pytest.mark.parametrize(
    "ready",
    [
        Notify(), OnChannel(), Newline(4), Connection("localhost", 80), Response("localhost", 80, "/"),
        Success(("true",)), Line("up"), Elapsed(1.0),
    ],
)  # fmt: skip
def test_worker_is_not_ready_before_what_its_spec_speaks_of_has_happened(ready: Ready) -> None:
    world = World(one_for_one("root", worker("a", ready=ready))).fate("a", SLOW).boot()
    assert (world.state("a"), world.state("root")) == (State.STARTING, State.STARTING)
    world.become_ready("a")
    assert (world.state("a"), world.state("root")) == (State.RUNNING, State.RUNNING)


def test_worker_that_needs_no_more_is_ready_as_soon_as_it_was_executed() -> None:
    world = World(one_for_one("root", worker("a", ready=AT_EXEC))).fate("a", SLOW).boot()
    assert world.state("a") is State.RUNNING
    assert "after" not in world.record_of("ready", "a").details


def test_ready_tells_how_long_it_took() -> None:
    world = World(one_for_one("root", notifying("a"))).fate("a", SLOW).boot().wait(1.25).become_ready("a")
    assert dict(world.record_of("ready", "a").details) == {"type": "worker", "after": 1.25}


def test_worker_has_its_pid_and_counts_as_started_before_it_is_ready() -> None:
    world = World(one_for_one("root", notifying("a"))).fate("a", SLOW).boot()
    child = world.child("a")
    assert (child.pid, child.starts, shown(child)) == (1000 + child.life, 1, "starting")


def test_ready_is_said_once() -> None:
    world = World(one_for_one("root", notifying("a"))).boot()
    world.happen(BecameReady(world.child("a").life), BecameReady(world.child("a").life))
    assert [record.event for record in world.records].count("ready") == 2  # a and root


def test_ready_of_a_life_that_is_over_is_not_that_of_the_next() -> None:
    world = World(one_for_one("root", notifying("a"))).fate("a", GOOD, SLOW).boot()
    life = world.child("a").life
    world.kill("a").happen(BecameReady(life))
    assert world.state("a") is State.STARTING


# What it waits for

AWAITED: list[tuple[Ready, str | None]] = [
    (AT_EXEC, None), (Notify(), "READY=1 at its NOTIFY_SOCKET"), (OnChannel(), "ready on its channel"),
    (Newline(4), "a newline on descriptor 4"), (Connection("localhost", 80), "tcp localhost:80"),
    (Connection("::1", 80), "tcp [::1]:80"), (Response("h", 80, "/up?x"), "http://h:80/up?x"),
    (Success(("test", "-e", "x")), "command test -e x"), (Line("^up$"), "line ^up$"), (Elapsed(0.25), "0.25s to pass"),
]  # fmt: skip


@pytest.mark.parametrize(("ready", "words"), AWAITED)
def test_what_is_waited_for_is_told_when_it_was_executed_and_as_long_as_it_is_waited_for(
    ready: Ready, words: str | None
) -> None:
    world = World(one_for_one("root", worker("a", ready=ready))).fate("a", SLOW).boot()
    assert world.record_of("started", "a").details.get("waits_for") == words
    assert waits_for(world, "a") == words
    world.become_ready("a")
    assert waits_for(world, "a") is None


def test_a_worker_that_was_not_executed_yet_waits_for_nothing_else() -> None:
    assert waits_for(World(one_for_one("root", notifying("a"))).fate("a", HANGS).boot(), "a") is None


def test_the_last_thing_that_was_in_the_way_is_told_until_the_next_life() -> None:
    connecting = worker("a", ready=Connection("db", 1), start_timeout=2.0)
    world = World(one_for_one("root", connecting, "b")).fate("a", GOOD, SLOW, SLOW).boot().kill("a")
    life = world.child("a").life
    world.happen(NotReadyYet(life, "refused"), NotReadyYet(life, "reset"))
    assert waits_for(world, "a") == "tcp db:1 (reset)"
    world.wait(2.5)
    assert world.record_of("start_failed", "a").details["waited_for"] == "tcp db:1 (reset)"
    assert waits_for(world, "a") == "tcp db:1"


def test_what_is_in_the_way_of_a_life_that_is_over_or_ready_is_nobodys_business() -> None:
    world = World(one_for_one("root", notifying("a"), "b")).boot()
    life = world.child("a").life
    world.happen(NotReadyYet(life, "late"))
    world.fate("a", SLOW).kill("a").happen(NotReadyYet(life, "later"))
    assert waits_for(world, "a") == "READY=1 at its NOTIFY_SOCKET"


def waits_for(world: World, name: str) -> str | None:
    return next(tree(world.node, f"root/{name}")).waits_for


# The order


def test_next_child_starts_when_the_one_before_is_ready() -> None:
    world = World(one_for_one("root", notifying("a"), "b")).fate("a", SLOW).boot()
    assert (world.up(), world.starts("b")) == (["a"], 0)
    world.become_ready("a")
    assert world.up() == ["a", "b"]


def test_supervisor_is_up_when_its_last_child_is_ready() -> None:
    world = World(one_for_one("root", one_for_one("s", notifying("x")), "b")).fate("x", SLOW).boot()
    assert (world.state("s"), world.starts("b")) == (State.STARTING, 0)
    world.become_ready("x")
    assert (world.state("s"), world.starts("b")) == (State.RUNNING, 1)


@pytest.mark.parametrize(("strategy", "first"), [("one_for_all", "a"), ("rest_for_one", "b")])
def test_group_restart_waits_for_each_of_the_group(strategy: str, first: str) -> None:
    world = booted(strategy).kill("b")
    group = "abc"["abc".index(first) :]
    for ready, name in enumerate(group):
        assert [world.starts(other) for other in group] == [2] * (ready + 1) + [1] * (len(group) - ready - 1)
        world.become_ready(name)
    assert {world.state(name) for name in "abc"} == {State.RUNNING}


def test_siblings_under_one_for_one_restart_without_waiting_for_one_another() -> None:
    world = booted().kill("a").kill("b")
    assert (world.state("a"), world.state("b")) == (State.STARTING, State.STARTING)
    world.become_ready("b")
    assert (world.state("a"), world.state("b")) == (State.STARTING, State.RUNNING)


def test_crash_of_a_sibling_waits_until_the_group_is_ready() -> None:
    world = booted("one_for_all", intensity=9).kill("b").become_ready("a").kill("a")
    assert world.child("a").state is State.EXITED
    world.become_ready("b").become_ready("c")
    assert [world.starts(name) for name in "abc"] == [3, 2, 2]


def test_restart_is_counted_when_it_is_ready() -> None:
    world = booted().kill("a")
    assert world.child("a").restarts == 0
    world.become_ready("a")
    assert world.child("a").restarts == 1


# Too late


@pytest.mark.parametrize("timeout", [1.0, 60.0])
def test_start_that_is_not_ready_in_time_is_stopped_and_has_failed(timeout: float) -> None:
    world = (
        World(one_for_one("root", notifying("a", start_timeout=timeout))).fate("a", SLOW).boot().wait(timeout - 0.001)
    )
    assert (world.signals, world.end) == ([], None)
    world.wait(0.001)
    assert world.signals_to("a") == TERM_CONT
    assert world.end is not None
    assert world.end.reason == FailedToStartChild("a", TIMEOUT)
    assert world.end.status == 69


def test_timeout_has_the_ordinary_stop_sequence() -> None:
    world = booted().fate("a", SLOW_AND_STUBBORN).kill("a").wait(60.0)
    assert world.signals_to("a") == TERM_CONT
    assert (world.state("a"), shown(world.child("a"))) == (State.FAILING, "stopping")
    world.wait(4.999)
    assert (world.signals_to("a"), world.starts("a")) == (TERM_CONT, 2)
    world.wait(0.001)
    assert (world.signals_to("a"), world.starts("a")) == ([*TERM_CONT, "SIGKILL"], 3)


def test_timeout_of_a_worker_with_brutal_kill_kills_it() -> None:
    tree = one_for_one("root", notifying("a", shutdown="brutal_kill"))
    world = World(tree).fate("a", SLOW_AND_STUBBORN).boot().wait(60.0)
    assert world.signals_to("a") == ["SIGKILL"]
    assert world.end is not None


def test_start_that_may_take_for_ever_does() -> None:
    world = World(one_for_one("root", notifying("a", start_timeout="infinity"))).fate("a", SLOW).boot()
    assert world.node.next_deadline() is None
    world.wait(1e9)
    assert world.state("a") is State.STARTING


def test_time_is_counted_anew_for_each_attempt() -> None:
    world = booted(period=1000.0).kill("a").wait(60.0)
    assert (world.state("a"), world.starts("a")) == (State.STARTING, 3)
    world.wait(59.999)
    assert world.starts("a") == 3
    world.wait(0.001)
    assert world.starts("a") == 4


def test_time_to_start_is_no_time_to_stop() -> None:
    """The deadline of the start passes while it is being stopped."""
    world = World(one_for_one("root", notifying("a", start_timeout=1.0))).fate("a", SLOW_AND_STUBBORN).boot()
    world.wait(0.5).stop("a")
    world.wait(4.999)
    assert world.signals_to("a") == TERM_CONT
    world.wait(0.001)
    assert world.signals_to("a") == [*TERM_CONT, "SIGKILL"]


def test_ready_in_the_batch_of_the_deadline_is_in_time() -> None:
    world = World(one_for_one("root", notifying("a"))).fate("a", SLOW).boot()
    world.now += 60.0
    world.happen(TimePassed(), BecameReady(world.child("a").life))
    assert world.state("a") is State.RUNNING


def test_ready_after_the_deadline_is_too_late() -> None:
    world = booted().fate("a", SLOW_AND_STUBBORN).kill("a").wait(60.0).become_ready("a")
    assert world.state("a") is State.FAILING


def test_timeout_counts_as_a_failed_restart() -> None:
    world = booted(intensity=1, period=1000.0).kill("a").wait(60.0)
    assert world.end is not None
    assert world.end.status == 70


def test_record_of_a_timeout_tells_how_it_ended() -> None:
    world = booted().fate("a", SLOW_AND_STUBBORN).kill("a")
    pid = world.child("a").pid
    world.wait(65.0)
    assert dict(world.record_of("start_failed", "a").details) == {
        "type": "worker", "reason": "timeout", "command": ("program",), "pid": pid, "uptime": 65.0,
        "tail": ("last words",), "ended": "signal SIGKILL", "how": "killed",
        "waited_for": "READY=1 at its NOTIFY_SOCKET",
    }  # fmt: skip


# The spawn itself


def test_spawn_that_hangs_is_given_up_in_time() -> None:
    world = World(one_for_one("root", worker("a"))).fate("a", HANGS).boot().wait(59.999)
    assert world.signals == []
    world.wait(0.001)
    assert world.signals_to("a") == ["SIGKILL"]
    assert world.end is not None
    assert world.end.reason == FailedToStartChild("a", TIMEOUT)


def test_worker_that_was_executed_when_its_spawn_is_given_up_has_failed_too() -> None:
    world = World(one_for_one("root", "a", "b"))
    world.boot_until(lambda: world.state("b") is State.STARTING).delay().wait(60.0)
    assert world.signals_to("b") == ["SIGKILL"]
    assert world.end is not None
    assert world.end.reason == FailedToStartChild("b", TIMEOUT)


@pytest.mark.parametrize(("shutdown", "seconds"), [(5.0, 5.0), ("infinity", 30.0), (0, 0.0), ("brutal_kill", 0.0)])
def test_spawn_that_hangs_and_is_to_stop_is_given_up_after_the_shutdown_time_or_the_start_timeout(
    shutdown: float | str, seconds: float
) -> None:
    world = World(one_for_one("root", worker("a", shutdown=shutdown))).fate("a", HANGS).boot()
    world.wait(30.0).stop("a")
    if seconds:
        world.wait(seconds - 0.001)
        assert (world.signals, world.answers) == ([], {})
        world.wait(0.001)
    assert (world.signals_to("a"), world.answers) == (["SIGKILL"], {1: "ok"})


def test_worker_that_may_shut_down_for_ever_is_not_killed_for_a_slow_spawn() -> None:
    world = World(one_for_one("root", "a", worker("b", shutdown="infinity"))).every_fate("b", STUBBORN)
    world.boot_until(lambda: world.state("b") is State.STARTING).delay()
    world.stop("b")
    world.arrive().wait(1000.0)
    assert world.signals_to("b") == TERM_CONT


def test_spawn_that_hangs_is_given_up_at_once_by_a_hurried_shutdown() -> None:
    world = World(one_for_one("root", worker("a"))).fate("a", HANGS).boot()
    world.happen(ShutdownRequested(hurried=True))
    assert world.end is not None


# Its end comes first


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ExitCode(0), "not_ready exit 0"),
        (ExitCode(1), "not_ready exit 1"),
        (KilledBySignal("SIGSEGV", core=True), "not_ready signal SIGSEGV core"),
    ],
)
def test_end_before_being_ready_is_a_failed_start_whatever_the_status(end: WorkerExit, reason: str) -> None:
    world = World(one_for_one("root", notifying("a"))).fate("a", SLOW).boot().kill("a", end=end)
    assert world.end is not None
    assert str(world.end.reason) == f"failed_to_start_child a {reason}"
    details = dict(world.record_of("start_failed", "a").details)
    assert (details["reason"], details["how"], details["tail"]) == (reason, "", ("last words",))


@pytest.mark.parametrize("restart", ["permanent", "transient"])
def test_restart_that_ends_normally_before_it_is_ready_is_tried_again(restart: str) -> None:
    world = (
        World(one_for_one("root", notifying("a", restart))).fate("a", GOOD, SLOW).boot().kill("a").kill("a", end=NORMAL)
    )
    assert (world.state("a"), world.starts("a")) == (State.RUNNING, 3)


def test_ready_and_dead_in_one_batch_was_ready() -> None:
    world = booted().kill("a")
    life = world.child("a").life
    world.process("a").main = False
    world.happen(BecameReady(life), Exited(life, ExitCode(3)))
    assert dict(world.record_of("exited", "a").details)["reason"] == "exit 3"


def test_failure_is_handed_on_when_nothing_of_its_group_is_left() -> None:
    world = booted().fate("a", SLOW_WITH_REST).kill("a").kill("a")
    assert (world.state("a"), world.starts("a")) == (State.FAILING, 2)
    assert world.signals_to("a") == TERM_CONT
    world.wait(5.0)
    assert (world.signals_to("a"), world.starts("a")) == ([*TERM_CONT, "SIGKILL"], 3)


def test_retry_of_a_group_waits_until_nothing_of_the_failed_one_is_left() -> None:
    world = booted("one_for_all").fate("b", SLOW_WITH_REST).kill("a").become_ready("a").kill("b")
    assert [world.starts(name) for name in "abc"] == [2, 2, 1]
    world.wait(5.0)
    assert [world.starts(name) for name in "abc"] == [3, 2, 1]


# Commands


@pytest.mark.parametrize("command", [Stop, None])
def test_start_that_waits_is_pre_empted(command: type[Stop] | None) -> None:
    world = World(rest_for_one("root", "a", notifying("b"), "c")).fate("b", GOOD, SLOW).boot().kill("b")
    if command is None:
        world.shut_down()
        assert world.end is not None
    else:
        assert world.stop("b") == "ok"
        assert world.up() == ["a", "c"]
    assert world.signals_to("b") == TERM_CONT
    assert dict(world.record_of("stopped", "b").details)["reason"] == "shutdown"


def test_stop_that_finds_the_dead_waiting_for_readiness_signals_nobody() -> None:
    world = booted().kill("a").exits("a")
    ref = world.ask(Stop("root/a"))
    world.pending.reverse()
    world.settle()
    assert (world.answer(ref), world.signals_to("a"), world.state("a")) == ("ok", [], State.DOWN)


def test_stop_while_a_failed_start_is_cleared_ends_the_attempts() -> None:
    world = booted().fate("a", SLOW_AND_STUBBORN).kill("a").wait(60.0)
    assert world.stop("a") == "unanswered"
    world.wait(5.0)
    assert (world.answers, world.starts("a")) == ({1: "ok"}, 2)
    assert world.signals_to("a") == [*TERM_CONT, "SIGKILL"]
    assert dict(world.record_of("start_failed", "a").details)["reason"] == "timeout"


def test_shutdown_while_a_failed_start_is_cleared_waits_for_it() -> None:
    world = booted().fate("a", SLOW_AND_STUBBORN).kill("a").wait(60.0).shut_down()
    assert world.end is None
    world.wait(5.0)
    assert (world.end is not None, world.starts("a")) == (True, 2)


def test_hurry_kills_what_is_left_of_a_failed_start() -> None:
    tree = one_for_one("root", notifying("a", shutdown="infinity"))
    world = World(tree).fate("a", SLOW_AND_STUBBORN).boot().wait(60.0).shut_down().wait(1.0).shut_down()
    assert world.end is not None


@pytest.mark.parametrize("command", [Start, Restart])
def test_start_of_an_operator_is_answered_when_it_is_ready(command: type[Start | Restart]) -> None:
    world = booted()
    world.stop("a")
    ref = world.ask(command("root/a"))
    world.settle()
    assert world.answer(ref) == "unanswered"
    world.become_ready("a")
    assert world.answer(ref) == "ok"


@pytest.mark.parametrize("command", [Start, Restart, RestartChild, StartChild])
def test_start_that_fails_is_answered_with_the_failure(
    command: type[Start | Restart | RestartChild | StartChild],
) -> None:
    world = booted()
    if command is StartChild:
        world.fate("root/d", SLOW)
        ref = world.ask(StartChild("root", notifying("d")))
    elif command is RestartChild:
        world.terminate_child("a")
        ref = world.ask(RestartChild("root", "a"))
    else:
        assert command in (Start, Restart)
        world.stop("a")
        ref = world.ask(Start("root/a"))
    world.settle().wait(60.0)
    assert world.answer(ref) == TIMEOUT
    assert not world.has("d")


def test_command_that_finds_a_failed_start_being_cleared_has_its_answer() -> None:
    world = booted().fate("a", GOOD, SLOW_WITH_REST)
    world.restart("a")
    world.stop("a")
    first = world.ask(Start("root/a"))
    world.settle().kill("a")
    second = world.ask(Restart("root/a"))
    world.settle()
    assert (world.answer(first), world.answer(second)) == ("unanswered", "unanswered")
    world.wait(5.0)
    assert (world.answer(first), world.answer(second)) == (NotReady(ExitCode(1)), NotReady(ExitCode(1)))


def test_start_child_is_answered_when_it_is_ready() -> None:
    world = World(one_for_one("root", "a")).boot().fate("root/d", SLOW)
    ref = world.ask(StartChild("root", notifying("d")))
    world.settle()
    assert world.answer(ref) == "unanswered"
    world.happen(BecameReady(next(p for p in world.processes.values() if p.path == "root/d").life))
    assert world.answer(ref) == "ok"


# Why


def test_retry_after_a_timeout_can_be_followed_to_the_attempt_before() -> None:
    world = booted().kill("a").wait(60.0)
    story = []
    record = world.record_of("starting", "a")
    while record.cause is not None:
        record = world.records[record.cause - 1]
        story.append(f"{record.event} {record.path}")
    assert story == [
        "restarting root", "start_failed root/a", "stopping root/a", "started root/a", "starting root/a",
        "restarting root", "exited root/a",
    ]  # fmt: skip


def test_failed_spawn_in_a_restart_is_tried_again_beside_a_sibling_that_waits() -> None:
    world = booted().kill("b").fate("a", FAILS).kill("a")
    assert (world.state("a"), world.starts("a"), world.state("b")) == (State.STARTING, 3, State.STARTING)


def test_boot_that_fails_late_stops_those_before_in_reverse() -> None:
    world = World(one_for_all("root", "a", "b", notifying("c"))).fate("c", SLOW).boot().wait(60.0)
    assert world.tell()[-5:] == ["fail c", "stop b shutdown", "stop a shutdown", "fail root", "end 69"]


def test_rest_of_a_worker_that_was_ready_and_died_is_no_failed_start() -> None:
    world = World(one_for_one("root", notifying("a"))).fate("a", LEAVES_STUBBORN_REST).boot().kill("a").wait(5.0)
    assert [record.event for record in world.records if record.event == "start_failed"] == []
    assert world.state("a") is State.RUNNING
