"""GenServer: a process that keeps a state and answers. As Elixir's GenServer.

    class Stack(GenServer[list[str]]):
        def init(self, arg):
            return Ok([arg])

        def handle_call(self, request, from_, state):
            top, *rest = state
            return Reply(top, rest)

        def handle_cast(self, request, state):
            return NoReply([request, *state])

    stack = GenServer.start_link(Stack, "hello")
    GenServer.cast(stack, "world")
    GenServer.call(stack, "pop")

The callbacks run in the server's process, one after another, and give back the new state. `from_` may be kept, and
GenServer.reply be called with it later, by any process. Requests and replies are pickled on their way.

What a callback gives back may also say what comes next. NoReply(state, 5.0): if no message comes within these seconds,
handle_info is called with "timeout". Ok(state, Continue("load")): before any message, handle_continue is called with
"load"; so whoever starts a server need not wait for what it does first.

`terminate` runs when a callback stops the server or raises, for GenServer.stop and, if the server traps exits, when the
process that started it ends, whose reason is then its own. Exiteds of others go to handle_info.
"""

from functools import partial
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

from procsup.worker.mailbox import end_of, mine
from procsup.worker.process import Process, answer, expect_answer, monitor, receive, send, start_process, unlink
from procsup.worker.values import Answer, Continue, Down, Exit, Exited, Ok, Pid, StartFailed, Then

S = TypeVar("S")


class From(NamedTuple):
    """Who waits for a reply."""

    pid: Pid
    ref: int


class Reply(NamedTuple, Generic[S]):
    reply: object
    state: S
    then: Then = None


class NoReply(NamedTuple, Generic[S]):
    state: S
    then: Then = None


class _Nothing:
    """No reply, where None is one."""


class Stop(NamedTuple):
    """End with this reason: `terminate(reason, state)`, then the reply if there is one (in handle_call). From `init` it
    needs no state, and `terminate` is not called.
    """

    reason: object
    state: Any = None
    reply: object = _Nothing


class GenServer(Generic[S]):
    """Derive from it what a server does. Instances are made by the library, in the server's process."""

    def init(self, arg: Any) -> Ok[S] | Stop:
        """The first state. Who starts the server waits for it."""
        raise NotImplementedError(f"cannot start {type(self).__name__}: it has no init")

    def handle_call(self, request: Any, from_: From, state: S) -> Reply[S] | NoReply[S] | Stop:
        raise RuntimeError(f"cannot handle the call {request!r}: {type(self).__name__} has no handle_call")

    def handle_cast(self, request: Any, state: S) -> NoReply[S] | Stop:
        raise RuntimeError(f"cannot handle the cast {request!r}: {type(self).__name__} has no handle_cast")

    def handle_continue(self, argument: Any, state: S) -> NoReply[S] | Stop:
        raise RuntimeError(f"cannot continue with {argument!r}: {type(self).__name__} has no handle_continue")

    def handle_info(self, message: Any, state: S) -> NoReply[S] | Stop:
        """Any other message, or "timeout". Without this they are thrown away."""
        return NoReply(state)

    def terminate(self, reason: object, state: S) -> None:
        """Clean up; not called when the server is killed."""

    @staticmethod
    def start(server: "type[GenServer[Any]]", arg: object = None, timeout: float | None = None) -> Pid:
        """A server that is not linked to this process. Returns when `init` has returned.

        Raises:
            StartFailed: `init` has crashed, or stopped; or "timeout": it took too long, and the server was killed.
            OSError: no process or no descriptor to be had.
        """
        return _start(server, arg, (), timeout)

    @staticmethod
    def start_link(server: "type[GenServer[Any]]", arg: object = None, timeout: float | None = None) -> Pid:
        """As `start`, and linked to this process, which also gets the exit signal of a failed start, but for that of a
        timeout.
        """
        return _start(server, arg, (mine().pid,), timeout)

    @staticmethod
    def call(server: Pid, request: object, timeout: float | None = 5.0) -> Any:
        """Its reply.

        Raises:
            Exit: ("timeout", ...): not in time; a reply that comes later is thrown away.
                (reason, ...): the server has ended, or there is none ("noproc").
                ("calling_self", ...)
            pickle.PicklingError, TypeError, AttributeError: the request cannot be pickled.
        """
        box = mine()
        if server == box.pid:
            _fail("calling_self", "call", server, request, timeout)
        ref = monitor(server)
        try:
            send(server, _Call(From(box.pid, ref), request))
            letter = box.wait_for(ref, end_of(timeout))
        finally:
            box.forget(ref)
        match letter:
            case Answer(_, value):
                return value
            case Down(reason=reason):
                _fail(reason, "call", server, request, timeout)
        return _fail("timeout", "call", server, request, timeout)

    @staticmethod
    def cast(server: Pid, request: object) -> None:
        """Send a request that nobody answers, and never mind whether anybody gets it."""
        send(server, _Cast(request))

    @staticmethod
    def reply(to: From, value: object) -> None:
        """Answer a call whose handle_call returned NoReply."""
        answer(to.pid, to.ref, value)

    @staticmethod
    def stop(server: Pid, reason: object = "normal", timeout: float | None = None) -> None:
        """Have it terminate with this reason, and wait until it is down.

        Raises:
            Exit: ("timeout", ...), or (reason, ...) if it was another one, as "noproc".
        """
        box = mine()
        ref = monitor(server)
        try:
            send(server, _Terminate(reason))
            letter = box.wait_for(ref, end_of(timeout))
        finally:
            box.forget(ref)
        match letter:
            case Down(reason=found) if found == reason:
                return
            case Down(reason=found):
                _fail(found, "stop", server, reason, timeout)
            case _:
                _fail("timeout", "stop", server, reason, timeout)


class _Call(NamedTuple):
    from_: From
    request: object


class _Cast(NamedTuple):
    request: object


class _Terminate(NamedTuple):
    reason: object


class _Resume(NamedTuple):
    """What Continue has said, as a message that goes before the others."""

    argument: object


def _start(server: type[GenServer[Any]], arg: object, peers: tuple[Pid, ...], timeout: float | None) -> Pid:
    box = mine()
    ref = expect_answer()
    try:
        pid = start_process(partial(_serve, server, arg, From(box.pid, ref)), peers, ref)
        letter = box.wait_for(ref, end_of(timeout))
        if letter is None:
            unlink(pid)
            Process.exit(pid, "kill")
            box.wait_down(ref, None)
            raise StartFailed("timeout")
    finally:
        box.forget(ref)
    if isinstance(letter, Down):
        raise StartFailed(letter.reason)
    return pid


def _serve(kind: type[GenServer[S]], arg: object, starter: From) -> NoReturn:
    """The life of a server. It ends with Exit or whatever a callback raises."""
    server = kind()
    match server.init(arg):
        case Ok(state, then):
            answer(starter.pid, starter.ref, None)
        case Stop(reason):
            raise Exit(reason)
        case other:
            raise TypeError(f"cannot start {kind.__name__}: init returned {other!r}, expected Ok or Stop")
    while True:
        try:
            message = _next(then)
            outcome = _handle(server, message, state, starter.pid)
        except BaseException as error:
            from procsup.worker.reasons import reason_of

            server.terminate(reason_of(error), state)
            raise
        from_ = message.from_ if isinstance(message, _Call) else None
        match outcome:
            case Reply(reply, state, then) if from_:
                GenServer.reply(from_, reply)
            case NoReply(state, then):
                pass
            case Stop(reason, state, reply):
                try:
                    server.terminate(reason, state)
                finally:
                    if from_ and reply is not _Nothing:
                        GenServer.reply(from_, reply)
                raise Exit(reason)


def _next(then: Then) -> object:
    if then is None:
        return receive()
    if isinstance(then, Continue):
        return _Resume(then.argument)
    try:
        return receive(timeout=then)
    except TimeoutError:
        return "timeout"


def _handle(server: GenServer[S], message: object, state: S, parent: Pid) -> Reply[S] | NoReply[S] | Stop:
    outcome: object
    match message:
        case _Call(from_, request):
            outcome, allowed = server.handle_call(request, from_, state), Reply | NoReply | Stop
        case _Cast(request):
            outcome, allowed = server.handle_cast(request, state), NoReply | Stop
        case _Resume(argument):
            outcome, allowed = server.handle_continue(argument, state), NoReply | Stop
        case _Terminate(reason):
            return Stop(reason, state)
        case Exited(pid, reason) if pid == parent:
            return Stop(reason, state)
        case _:
            outcome, allowed = server.handle_info(message, state), NoReply | Stop
    if isinstance(outcome, allowed):
        return outcome
    found = f"{type(server).__name__} gave back {outcome!r}"
    raise TypeError(f"cannot go on after {message!r}: {found}, expected one of {allowed}")


def _fail(reason: object, what: str, server: Pid, request: object, timeout: float | None) -> NoReturn:
    raise Exit((reason, f"GenServer.{what}({server}, {request!r:.80}, {timeout})"))
