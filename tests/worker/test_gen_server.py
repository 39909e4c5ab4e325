"""GenServer and Agent."""

import os
from typing import Any

import pytest

from procsup.worker import (
    Agent,
    Continue,
    Crash,
    Exit,
    Exited,
    From,
    GenServer,
    NoReply,
    Ok,
    Pid,
    Process,
    Reply,
    StartFailed,
    Stop,
    receive,
    self_,
    send,
    trap_exits,
)
from tests.kit.wait import DEADLINE
from tests.worker.kit import end_of, next_message, spin


class Stack(GenServer[list[Any]]):
    """What Elixir's documentation begins with."""

    def init(self, arg: Any) -> Ok[list[Any]]:
        return Ok([arg])

    def handle_call(self, request: Any, from_: From, state: list[Any]) -> Reply[list[Any]]:
        top, *rest = state
        return Reply(top, rest)

    def handle_cast(self, request: Any, state: list[Any]) -> NoReply[list[Any]]:
        return NoReply([request, *state])


def test_a_server_keeps_a_state_and_answers() -> None:
    stack = GenServer.start_link(Stack, "hello")
    GenServer.cast(stack, "world")

    assert [GenServer.call(stack, "pop") for _ in range(2)] == ["world", "hello"]


def test_a_call_of_a_server_that_crashes_ends_with_its_reason() -> None:
    stack = GenServer.start(Stack, "hello")
    GenServer.call(stack, "pop")

    with pytest.raises(Exit) as raised:
        GenServer.call(stack, "pop")
    match raised.value.reason:
        case (Crash(ValueError(), traceback), str(call)):
            assert "top, *rest = state" in traceback
            assert call == f"GenServer.call({stack}, 'pop', 5.0)"
        case reason:
            pytest.fail(repr(reason))


def test_a_call_of_nobody_and_of_oneself_is_an_exit() -> None:
    stack = GenServer.start(Stack)
    GenServer.stop(stack)

    for server, reason in ((stack, "noproc"), (self_(), "calling_self")):
        with pytest.raises(Exit) as raised:
            GenServer.call(server, "pop")
        assert raised.value.reason == (reason, f"GenServer.call({server}, 'pop', 5.0)")


class Desk(GenServer[dict[str, From]]):
    """Answers who comes when somebody calls him in."""

    def init(self, arg: Any) -> Ok[dict[str, From]]:
        return Ok({})

    def handle_call(self, request: str, from_: From, state: dict[str, From]) -> NoReply[dict[str, From]]:
        return NoReply({**state, request: from_})

    def handle_cast(self, request: str, state: dict[str, From]) -> NoReply[dict[str, From]]:
        GenServer.reply(state[request], f"come in, {request}")
        return NoReply(state)


def test_a_reply_may_come_later() -> None:
    here, desk = self_(), GenServer.start_link(Desk)

    def visit(name: str) -> None:
        send(here, (name, GenServer.call(desk, name, DEADLINE)))

    for name in ("ann", "bob"):
        Process.spawn(visit, name)
    wait_until_both_wait(desk)
    for name in ("bob", "ann"):
        GenServer.cast(desk, name)

    answers = [receive(timeout=DEADLINE) for _ in range(2)]
    assert sorted(map(str, answers)) == ["('ann', 'come in, ann')", "('bob', 'come in, bob')"]


def wait_until_both_wait(desk: Pid) -> None:
    with pytest.raises(Exit):
        GenServer.call(desk, "nobody", 0.2)


def test_a_reply_that_comes_too_late_is_thrown_away() -> None:
    desk = GenServer.start_link(Desk)
    with pytest.raises(Exit) as raised:
        GenServer.call(desk, "ann", 0.01)
    assert raised.value.reason == ("timeout", f"GenServer.call({desk}, 'ann', 0.01)")
    GenServer.cast(desk, "ann")

    with pytest.raises(Exit):
        GenServer.call(desk, "bob", 0.1)  # by then it has replied to ann
    with pytest.raises(TimeoutError):
        receive(timeout=0)


class Diary(GenServer[Pid]):
    """Tells what happens to it."""

    def init(self, arg: Pid) -> Ok[Pid]:
        trap_exits(True)
        return Ok(arg)

    def handle_call(self, request: Any, from_: From, state: Pid) -> Stop:
        return Stop(request, state, "bye")

    def handle_info(self, message: Any, state: Pid) -> NoReply[Pid] | Stop:
        send(state, ("info", message))
        return Stop("told to", state) if message == "stop" else NoReply(state)

    def terminate(self, reason: object, state: Pid) -> None:
        send(state, ("terminate", reason))


def test_other_messages_go_to_handle_info() -> None:
    diary = GenServer.start(Diary, self_())
    send(diary, "something")

    assert receive(timeout=DEADLINE) == ("info", "something")


def test_exit_signals_that_are_trapped_go_to_handle_info_but_for_the_parents() -> None:
    diary = GenServer.start(Diary, self_())

    def exit_and_wait() -> None:
        Process.exit(diary, "boom")
        receive()

    other = Process.spawn(exit_and_wait)
    assert receive(timeout=DEADLINE) == ("info", Exited(other, "boom"))
    Process.exit(diary, "enough")
    assert receive(timeout=DEADLINE) == ("terminate", "enough")


def test_a_callback_may_stop_the_server() -> None:
    diary = GenServer.start(Diary, self_())
    send(diary, "stop")

    assert [receive(timeout=DEADLINE) for _ in range(2)] == [("info", "stop"), ("terminate", "told to")]
    assert end_of(diary) in ("told to", "noproc")


def test_a_call_may_stop_the_server_and_be_answered() -> None:
    diary = GenServer.start(Diary, self_())

    assert GenServer.call(diary, "enough", DEADLINE) == "bye"
    assert receive(timeout=DEADLINE) == ("terminate", "enough")
    assert end_of(diary) in ("enough", "noproc")


def test_a_server_that_is_stopped_terminates_first() -> None:
    diary = GenServer.start(Diary, self_())
    GenServer.stop(diary, ("shutdown", 1), DEADLINE)

    assert receive(timeout=0) == ("terminate", ("shutdown", 1))


def test_a_stop_that_does_not_end_as_asked_is_an_exit() -> None:
    stack = GenServer.start(Stack)
    GenServer.stop(stack)
    with pytest.raises(Exit) as raised:
        GenServer.stop(stack)
    assert raised.value.reason == ("noproc", f"GenServer.stop({stack}, 'normal', None)")

    stuck = GenServer.start(Sleeper)
    GenServer.cast(stuck, "sleep")
    with pytest.raises(Exit) as raised:
        GenServer.stop(stuck, timeout=0.01)
    assert raised.value.reason == ("timeout", f"GenServer.stop({stuck}, 'normal', 0.01)")


class Sleeper(GenServer[None]):
    def init(self, arg: Any) -> Ok[None] | Stop:
        match arg:
            case "stop":
                return Stop("no")
            case "crash":
                raise ValueError("no")
            case "wrong":
                return 5  # type: ignore[return-value]  # on purpose
        return Ok(None)

    def handle_cast(self, request: Any, state: None) -> NoReply[None]:
        spin()
        return NoReply(None)

    def terminate(self, reason: object, state: None) -> None:
        raise AssertionError("not to be called")


def test_a_server_whose_parent_ends_terminates_if_it_traps_exits() -> None:
    here = self_()

    def start_and_crash() -> None:
        GenServer.start_link(Diary, here)
        raise Exit("boom")

    Process.spawn(start_and_crash)

    assert receive(timeout=DEADLINE) == ("terminate", "boom")


def test_a_server_that_crashes_terminates_with_the_crash() -> None:
    class Clumsy(Diary):
        def handle_info(self, message: Any, state: Pid) -> NoReply[Pid] | Stop:
            raise KeyError(message)

    clumsy = GenServer.start(Clumsy, self_())
    send(clumsy, "something")

    match receive(timeout=DEADLINE):
        case ("terminate", Crash(KeyError(), traceback)):
            assert "raise KeyError(message)" in traceback
        case other:
            pytest.fail(repr(other))
    assert isinstance(end_of(clumsy), Crash | str)


@pytest.mark.parametrize(("how", "words"), [("stop", "no"), ("crash", "ValueError: no"), ("wrong", "init returned 5")])
def test_a_server_that_does_not_start_says_why(how: str, words: str) -> None:
    with pytest.raises(StartFailed, match=words):
        GenServer.start(Sleeper, how)


def test_a_failed_start_of_a_linked_server_is_an_exit_signal_too() -> None:
    trap_exits(True)
    with pytest.raises(StartFailed):
        GenServer.start_link(Sleeper, "stop")

    assert next_message(Exited).reason == "no"


class Stuck(GenServer[None]):
    def init(self, arg: Pid) -> Ok[None]:
        send(arg, self_())
        spin()
        return Ok(None)


def test_a_server_that_takes_too_long_to_start_is_killed() -> None:
    with pytest.raises(StartFailed, match="timeout"):
        GenServer.start_link(Stuck, self_(), timeout=0.5)

    assert not Process.alive(receive(Pid, DEADLINE))


class Slow(GenServer[list[object]]):
    """What it is started or called with says what it does next; its state is what it has done."""

    def init(self, arg: Any) -> Ok[list[object]]:
        return Ok([], arg)

    def handle_continue(self, argument: Any, state: list[object]) -> NoReply[list[object]] | Stop:
        if argument == "stop":
            return Stop("told to", state)
        first, *others = argument
        return NoReply([*state, first], Continue(others) if others else None)

    def handle_call(self, request: Any, from_: From, state: list[object]) -> Reply[list[object]]:
        return Reply(state, state, request)


def test_a_server_goes_on_with_what_is_left_to_do_before_any_message() -> None:
    slow = GenServer.start_link(Slow, Continue(["load", "index"]))

    assert GenServer.call(slow, Continue(["save"]), DEADLINE) == ["load", "index"]
    assert GenServer.call(slow, None, DEADLINE) == ["load", "index", "save"]


class Sleepy(GenServer[Pid]):
    """Tells whom it was started with what comes; a cast is for how long it waits after that."""

    def init(self, arg: Pid) -> Ok[Pid]:
        return Ok(arg, 0.01)

    def handle_cast(self, request: float | None, state: Pid) -> NoReply[Pid]:
        return NoReply(state, request)

    def handle_info(self, message: Any, state: Pid) -> NoReply[Pid]:
        send(state, message)
        return NoReply(state)


def test_a_server_is_told_once_when_no_message_has_come_in_time() -> None:
    sleepy = GenServer.start_link(Sleepy, self_())

    assert receive(timeout=DEADLINE) == "timeout"
    GenServer.cast(sleepy, 0.01)
    assert receive(timeout=DEADLINE) == "timeout"
    with pytest.raises(TimeoutError):
        receive(timeout=0.1)


def test_a_message_in_time_is_all_that_a_server_is_told() -> None:
    sleepy = GenServer.start_link(Sleepy, self_())
    assert receive(timeout=DEADLINE) == "timeout"
    GenServer.cast(sleepy, DEADLINE)
    send(sleepy, "hello")

    assert receive(timeout=DEADLINE) == "hello"


def test_a_server_may_stop_where_it_goes_on() -> None:
    trap_exits(True)
    GenServer.start_link(Slow, Continue("stop"))

    assert next_message(Exited).reason == "told to"


def test_what_is_left_to_do_needs_a_handler() -> None:
    trap_exits(True)

    class Forgetful(Sleepy):
        def init(self, arg: Pid) -> Ok[Pid]:
            return Ok(arg, Continue("load"))

    GenServer.start_link(Forgetful, self_())
    assert "has no handle_continue" in str(next_message(Exited).reason)


class Deaf(GenServer[None]):
    def init(self, arg: Any) -> Ok[None]:
        return Ok(None)


def test_a_call_that_is_not_handled_crashes_the_server() -> None:
    with pytest.raises(Exit, match="has no handle_call"):
        GenServer.call(GenServer.start(Deaf), "x", DEADLINE)


def test_a_cast_that_is_not_handled_crashes_the_server() -> None:
    trap_exits(True)
    GenServer.cast(GenServer.start_link(Deaf), "x")

    assert "has no handle_cast" in str(next_message(Exited).reason)


def test_a_callback_that_gives_back_something_else_crashes_the_server() -> None:
    class Odd(Stack):
        def handle_call(self, request: Any, from_: From, state: list[Any]) -> Any:
            return request

    with pytest.raises(Exit, match="cannot go on after"):
        GenServer.call(GenServer.start(Odd), "odd", DEADLINE)


def test_messages_without_a_handler_are_thrown_away() -> None:
    stack = GenServer.start_link(Stack, "hello")
    send(stack, "what?")

    assert GenServer.call(stack, "pop") == "hello"


# Agents


def test_an_agent_runs_the_functions_that_it_is_sent() -> None:
    counter = Agent.start_link(lambda: 40)
    step = 1
    Agent.update(counter, lambda count: count + step)
    Agent.cast(counter, lambda count: count + step)

    assert Agent.get(counter, lambda count: (count, os.getpid())) == (42, counter.number)
    assert Agent.get_and_update(counter, lambda count: ("was", 0)) == "was"
    assert Agent.get(counter, bool) is False
    Agent.stop(counter)
    assert not Process.alive(counter)


def test_a_function_that_crashes_takes_the_agent_and_its_caller_along() -> None:
    agent = Agent.start(dict)

    with pytest.raises(Exit, match="KeyError"):
        Agent.get(agent, lambda state: state["nothing"])
    assert not Process.alive(agent)


def test_an_agent_whose_first_function_crashes_does_not_start() -> None:
    with pytest.raises(StartFailed, match="ZeroDivisionError"):
        Agent.start(lambda: 1 / 0)
