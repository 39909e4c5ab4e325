"""What processes know of each other: addresses, exit reasons, and the messages that the library itself makes.

An exit reason is any value that can be pickled. As in Elixir some have a meaning; its atoms are strings here:

    "normal"                        it did what it had to do: links do not fire
    "shutdown"                      it was asked to end
    "kill"                          with Process.exit: dies even if it traps exits; the reason is then "killed"
    "noproc"                        there is no such process (any more)
    "noconnection"                  it has ended, and nobody was left who could say how
    "system_limit"                  the node has no descriptors left for it
    "exit N", "signal S [core]"     what the kernel says of one that did not say it itself (DESIGN § 3.2)
    Crash(exception, traceback)     Elixir's {exception, stacktrace}
    (reason, "Task.await_(...)")    why a call has ended its caller, and which
"""

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Pid(NamedTuple):
    """The address of a process of this script: the kernel's number, and when it was born, in nanoseconds of the
    monotonic clock, since numbers are used again.
    """

    number: int
    born: int

    def __str__(self) -> str:
        return f"process {self.number}"


class Crash(NamedTuple):
    """An exception that nobody caught. `traceback` is the text that Python prints for it. The exception is what became
    of it on the way from one process to another: without traceback and cause, and a RuntimeError in its stead if it
    cannot be pickled.
    """

    exception: BaseException
    traceback: str


class Exited(NamedTuple):
    """Elixir's {:EXIT, pid, reason}: an exit signal, which one gets who traps exits. A str is a name of the tree; when
    that is the supervisor's and the reason "shutdown", the stop signal is about to follow.
    """

    pid: Pid | str
    reason: object


class Down(NamedTuple):
    """Elixir's {:DOWN, ref, :process, pid, reason}: somebody whom we monitored has ended."""

    ref: int
    pid: Pid | str
    reason: object


class Answer(NamedTuple):
    """Elixir's {ref, result}: what a task came to."""

    ref: int
    value: object


class Continue(NamedTuple):
    """Elixir's {:continue, argument}."""

    argument: object


Then = float | Continue | None
"""What a server does next: wait for a message, so many seconds at most, or go on with handle_continue."""


class Ok(NamedTuple, Generic[T]):
    """Elixir's {:ok, value}: what Task.yield_ found, or, with what it does next, the first state of a server."""

    value: T
    then: Then = None


class Message(NamedTuple):
    """What another worker of the tree has sent; `body` is JSON."""

    sender: str
    body: object


class Readable(NamedTuple):
    """There is something to read from this descriptor, or to accept, or its end (when_readable)."""

    fd: int


class Exit(BaseException):
    """Ends the process that raises it, with this reason, unless it is caught: Elixir's exit/1. What fails because
    another process has failed raises it: Task.await_, GenServer.call.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return describe(self.reason)


class StartFailed(Exception):
    """A server's `init` crashed or returned Stop. `reason` is its exit reason."""

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot start the server: {describe(self.reason)}"


class NoChannel(Exception):
    """A name of the tree means nothing to a process without a channel to the daemon."""


class Refused(Exception):
    """The daemon does not do what it was asked for. `reason` is the name of the error: "noproc", "not_found", ..."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[1])


def describe(reason: object) -> str:
    """For people: one line, or, of a crash, its traceback on the lines below."""
    match reason:
        case str():
            return reason
        case Crash(exception, traceback):
            return f"{type(exception).__name__}: {exception}\n{traceback.rstrip()}"
        case (inner, str(where)):
            first, *others = describe(inner).split("\n")
            return "\n".join([f"{first}, in {where}", *others])
        case _:
            return repr(reason)
