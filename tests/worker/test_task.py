"""Tasks and task supervisors."""

import itertools
import os
import time

import pytest

from procsup.worker import (
    Agent,
    Answer,
    Crash,
    Down,
    Exit,
    Exited,
    GenServer,
    Ok,
    Pid,
    Process,
    Task,
    TaskSupervisor,
    receive,
    self_,
    send,
    trap_exits,
)
from tests.kit.wait import DEADLINE, let_pass, wait_until
from tests.worker.kit import end_of, next_message, sit, spin


def double(number: int) -> int:
    return 2 * number


def spin_for_nothing() -> int:
    spin()
    return 0


def fail(why: str) -> int:
    raise ValueError(why)


def test_the_value_of_a_task_is_awaited() -> None:
    assert Task.await_(Task.async_(double, 21), DEADLINE) == 42


def test_tasks_run_in_processes_of_their_own_at_the_same_time() -> None:
    first, second = Task.async_(exchange, "first"), Task.async_(exchange, "second")
    for one, other in ((first, second), (second, first)):
        send(one.pid, other.pid)

    assert [first.await_(DEADLINE), second.await_(DEADLINE)] == ["second", "first"]


def exchange(word: str) -> object:
    """Tell it to whom one is told to, and be told theirs."""
    peer = receive(lambda message: isinstance(message, Pid))
    assert isinstance(peer, Pid)
    send(peer, word)
    return receive()


def test_a_crash_of_a_task_is_a_crash_of_its_caller() -> None:
    with pytest.raises(Exit, match="because"):
        Task.async_(fail, "because").await_(DEADLINE)


def test_a_caller_that_traps_exits_sees_the_crash_with_its_traceback() -> None:
    trap_exits(True)
    task = Task.async_(fail, "because")

    with pytest.raises(Exit) as raised:
        task.await_(DEADLINE)
    match raised.value.reason:
        case (Crash(ValueError(), traceback), str(call)):
            assert "raise ValueError(why)" in traceback
            assert call.startswith("Task.await_(")
        case reason:
            pytest.fail(repr(reason))
    assert "in fail" in str(raised.value)
    assert next_message(Exited).pid == task.pid


def test_an_await_that_takes_too_long_is_an_exit_and_the_value_comes_to_nobody() -> None:
    task = Task.async_(receive)

    with pytest.raises(Exit) as raised:
        task.await_(0.01)
    assert raised.value.reason == ("timeout", f"Task.await_({task.pid}, 0.01)")

    send(task.pid, "late")
    assert end_of(task.pid) in ("normal", "noproc")
    with pytest.raises(TimeoutError):
        receive(timeout=0)


def test_a_task_that_was_not_awaited_answers_with_messages() -> None:
    task = Task.async_(double, 21)

    assert receive(timeout=DEADLINE) == Answer(task.ref, 42)
    assert receive(timeout=DEADLINE) == Down(task.ref, task.pid, "normal")


def test_only_the_owner_may_wait_and_only_once() -> None:
    trap_exits(True)
    task = Task.async_(double, 21)
    thief = Task.async_(task.await_)
    with pytest.raises(Exit, match="only process"):
        thief.await_(DEADLINE)
    task.await_(DEADLINE)

    with pytest.raises(ValueError, match="awaited already"):
        task.await_(DEADLINE)


def test_yield_gives_the_value_or_nothing_yet_or_how_it_ended() -> None:
    trap_exits(True)
    task = Task.async_(receive)
    assert task.yield_(0) is None
    send(task.pid, "go")
    assert task.yield_(DEADLINE) == Ok("go")

    crashed = Task.async_(fail, "because").yield_(DEADLINE)
    assert isinstance(crashed, Down)
    assert isinstance(crashed.reason, Crash)


def test_yield_many_waits_for_all_and_not_longer_than_told() -> None:
    trap_exits(True)
    good, bad, slow = Task.async_(double, 1), Task.async_(fail, "because"), Task.async_(double, 0)
    assert [task for task, _ in Task.yield_many([good, bad], DEADLINE)] == [good, bad]

    stuck = Task.async_(spin_for_nothing)
    began = time.monotonic()
    outcomes = Task.yield_many([stuck, slow], 0.2)
    assert time.monotonic() - began >= 0.2
    assert outcomes == [(stuck, None), (slow, Ok(0))]
    assert stuck.shutdown("brutal_kill") is None


def test_a_hundred_tasks_awaited_in_any_order() -> None:
    tasks = [Task.async_(double, number) for number in range(100)]

    assert [task.await_(DEADLINE) for task in reversed(tasks)] == [2 * number for number in reversed(range(100))]


def test_a_task_dies_with_its_caller() -> None:
    here = self_()

    def call_and_crash() -> None:
        send(here, Task.async_(spin).pid)
        receive()
        raise Exit("boom")

    caller = Process.spawn(call_and_crash)
    task = receive(timeout=DEADLINE)
    assert isinstance(task, Pid)
    send(caller, "now")

    assert end_of(task) in ("boom", "noproc")


def test_a_started_task_concerns_nobody() -> None:
    pid = Task.start(fail, "because")

    assert isinstance(end_of(pid), Crash | str)
    with pytest.raises(TimeoutError):
        receive(timeout=0)


def test_a_started_and_linked_task_concerns_its_caller() -> None:
    def start_and_wait() -> None:
        Task.start_link(fail, "because")
        receive(timeout=DEADLINE)

    with pytest.raises(Exit, match="because"):
        start_and_wait()


def obey(here: Pid) -> None:
    trap_exits(True)
    send(here, "ready")
    receive(lambda message: isinstance(message, Exited))
    raise Exit("shutdown")


def tell_and_sit(here: Pid) -> None:
    send(here, "ready")
    sit()


def disobey(here: Pid) -> None:
    trap_exits(True)
    send(here, "ready")
    spin()


def answer_at_last(here: Pid) -> str:
    trap_exits(True)
    send(here, "ready")
    receive(lambda message: isinstance(message, Exited))
    return "done"


def test_a_task_that_obeys_its_shutdown_leaves_nothing() -> None:
    for function in (obey, tell_and_sit):
        task = Task.async_(function, self_())
        receive(timeout=DEADLINE)
        assert task.shutdown(DEADLINE) is None

    with pytest.raises(TimeoutError):
        receive(timeout=0)


def test_a_task_that_does_not_obey_its_shutdown_is_killed() -> None:
    task = Task.async_(disobey, self_())
    receive(timeout=DEADLINE)

    assert task.shutdown(0.01) == Down(task.ref, task.pid, "killed")


def test_a_task_that_answers_to_its_shutdown_has_a_value() -> None:
    task = Task.async_(answer_at_last, self_())
    receive(timeout=DEADLINE)

    assert task.shutdown(DEADLINE) == Ok("done")


def test_a_task_that_ended_otherwise_tells_its_shutdown_how() -> None:
    trap_exits(True)
    task = Task.async_(fail, "because")
    next_message(Exited)

    outcome = task.shutdown(DEADLINE)
    assert isinstance(outcome, Down)
    assert isinstance(outcome.reason, Crash)


def test_a_value_that_cannot_be_pickled_is_a_crash_of_the_task() -> None:
    trap_exits(True)
    outcome = Task.async_(lambda: (number for number in range(3))).yield_(DEADLINE)

    assert isinstance(outcome, Down)
    assert isinstance(outcome.reason, Crash)
    assert "pickle" in str(outcome.reason.exception)


# Many at once


def test_many_are_awaited_in_the_order_of_the_tasks() -> None:
    tasks = [Task.async_(receive) for _ in range(3)]
    for task in reversed(tasks):
        send(task.pid, task.pid.number)

    assert Task.await_many(tasks, DEADLINE) == [task.pid.number for task in tasks]
    assert Task.await_many([]) == []


def test_the_first_of_many_that_crashes_ends_the_wait() -> None:
    trap_exits(True)
    tasks = [Task.async_(spin_for_nothing), Task.async_(fail, "because")]

    with pytest.raises(Exit, match="ValueError: because"):
        Task.await_many(tasks, timeout=None)
    with pytest.raises(ValueError, match="awaited already"):
        tasks[0].await_()


def test_many_that_take_too_long_are_an_exit() -> None:
    tasks = [Task.async_(double, 21), Task.async_(spin_for_nothing)]

    with pytest.raises(Exit) as raised:
        Task.await_many(tasks, 0.05)
    assert raised.value.reason == ("timeout", "Task.await_many(2 tasks, 0.05)")


def test_the_same_task_is_not_awaited_twice() -> None:
    task = Task.async_(double, 21)

    with pytest.raises(ValueError, match="twice"):
        Task.await_many([task, task])
    assert task.await_(DEADLINE) == 42


def test_a_stream_gives_the_outcomes_in_the_order_of_the_items() -> None:
    outcomes = Task.async_stream([0.2, 0.1, 0], sleep, max_concurrency=3, timeout=DEADLINE)

    assert list(outcomes) == [Ok(0.2), Ok(0.1), Ok(0)]


def sleep(seconds: float) -> float:
    let_pass(seconds)
    return seconds


def test_a_stream_without_order_gives_the_outcomes_as_they_come() -> None:
    here = self_()

    def wait_or_not(waits: bool) -> bool:
        if waits:
            send(here, self_())
            receive()
        return waits

    outcomes = Task.async_stream([True, False], wait_or_not, max_concurrency=2, ordered=False, timeout=DEADLINE)
    assert next(outcomes) == Ok(False)
    send(receive(Pid, DEADLINE), "go")
    assert list(outcomes) == [Ok(True)]


def test_a_stream_runs_no_more_tasks_at_the_same_time_than_it_may() -> None:
    counter = Agent.start_link(lambda: [0, 0])

    def enter_and_leave(number: int) -> int:
        Agent.update(counter, lambda counts: [counts[0] + 1, max(counts[1], counts[0] + 1)])
        let_pass(0.01)
        Agent.update(counter, lambda counts: [counts[0] - 1, counts[1]])
        return number

    outcomes = Task.async_stream(range(9), enter_and_leave, max_concurrency=3, timeout=DEADLINE)
    assert sum(outcome.value for outcome in outcomes if isinstance(outcome, Ok)) == 36
    assert Agent.get(counter, lambda counts: counts[1]) in (2, 3)


def test_a_stream_starts_nothing_that_nobody_asks_for() -> None:
    started = Agent.start_link(list)

    def note(number: int) -> None:
        Agent.update(started, lambda numbers: [*numbers, number])

    outcomes = Task.async_stream(itertools.count(), note, max_concurrency=1, timeout=DEADLINE)
    assert Agent.get(started, len) == 0
    next(outcomes)
    next(outcomes)
    assert Agent.get(started, list) == [0, 1]


def test_a_task_of_a_stream_that_takes_too_long_is_an_exit_or_killed() -> None:
    with pytest.raises(Exit, match=r"timeout, in Task\.async_stream"):
        list(Task.async_stream([0], sit_down, timeout=0.05))

    [outcome] = Task.async_stream([0], sit_down, timeout=0.05, on_timeout="kill_task")
    assert isinstance(outcome, Down)
    assert outcome.reason == "timeout"


def sit_down(number: int) -> None:
    receive()


def test_a_crash_in_a_stream_is_a_crash_of_its_caller_unless_that_traps_exits() -> None:
    trap_exits(True)
    crashed, well = Task.async_stream(["0", "1"], invert, timeout=DEADLINE)

    assert isinstance(crashed, Down)
    assert "ZeroDivisionError" in str(crashed.reason)
    assert well == Ok(1)
    trap_exits(False)
    with pytest.raises(Exit, match="ZeroDivisionError"):
        list(Task.async_stream(["0"], invert, timeout=DEADLINE))


def invert(number: str) -> float:
    return 1 / int(number)


def test_a_stream_that_is_closed_kills_what_it_has_started() -> None:
    here = self_()

    def tell_and_sit(number: int) -> None:
        if number:
            send(here, self_())
            spin()

    outcomes = Task.async_stream([0, 1], tell_and_sit, max_concurrency=2, timeout=None)
    next(outcomes)
    running = receive(Pid, DEADLINE)
    outcomes.close()

    assert not Process.alive(running)


# Task supervisors


def test_a_crash_under_a_supervisor_leaves_the_caller_and_the_supervisor_alone() -> None:
    supervisor = TaskSupervisor.start_link()
    bad = TaskSupervisor.async_nolink(supervisor, fail, "because")
    outcome = bad.yield_(DEADLINE)
    assert isinstance(outcome, Down)

    assert TaskSupervisor.async_nolink(supervisor, double, 21).await_(DEADLINE) == 42


def test_a_supervisor_knows_its_tasks_until_they_have_ended() -> None:
    supervisor = TaskSupervisor.start_link()
    first, second = (TaskSupervisor.start_child(supervisor, sit) for _ in range(2))
    third = TaskSupervisor.async_(supervisor, receive)
    assert TaskSupervisor.children(supervisor) == [first, second, third.pid]

    TaskSupervisor.terminate_child(supervisor, first)
    send(third.pid, "go")
    third.await_(DEADLINE)
    wait_until(lambda: TaskSupervisor.children(supervisor) == [second], "only the second is left")
    with pytest.raises(ValueError, match="no task of this supervisor"):
        TaskSupervisor.terminate_child(supervisor, first)


def test_tasks_end_with_their_supervisor() -> None:
    supervisor = TaskSupervisor.start_link()
    tasks = [TaskSupervisor.async_nolink(supervisor, spin) for _ in range(3)]
    TaskSupervisor.stop(supervisor)

    assert [task.yield_(DEADLINE) for task in tasks] == [Down(task.ref, task.pid, "shutdown") for task in tasks]


def test_tasks_end_with_their_supervisor_also_if_that_is_killed() -> None:
    trap_exits(True)
    supervisor = TaskSupervisor.start_link()
    task = TaskSupervisor.async_nolink(supervisor, spin)
    TaskSupervisor.children(supervisor)
    os.kill(supervisor.number, 9)

    assert task.yield_(DEADLINE) == Down(task.ref, task.pid, "signal SIGKILL")


def test_a_task_for_a_supervisor_that_is_gone_is_gone_too() -> None:
    supervisor = TaskSupervisor.start_link()
    GenServer.stop(supervisor)
    task = TaskSupervisor.async_nolink(supervisor, spin)

    assert task.yield_(DEADLINE) == Down(task.ref, task.pid, "noproc")
