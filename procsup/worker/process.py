"""Processes, as a program sees them: Elixir's Process module, and what its Kernel knows of processes.

What one has of a process is its address (values.Pid) or, of a worker of the tree, its name; for names, this process
must have attached to its channel. `timeout` is in seconds; None waits for ever.

Whatever waits, sends or spawns may raise Exit: "noconnection" when the daemon or the node has died; and in the script
the reason of an exit signal (the processes that it has spawned are killed instead).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar, overload

from procsup.worker.mailbox import Letter, Mailbox, mine
from procsup.worker.values import Exit, Exited, NoChannel, Pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from procsup.worker.channel import Channel
    from procsup.worker.connection import Connection

    class HasFileno(Protocol):
        def fileno(self) -> int: ...


P = ParamSpec("P")
T = TypeVar("T")


class Process:
    """Elixir's module of this name; there are no instances."""

    @staticmethod
    def spawn(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """Run a function in a process of its own: a fork of this one, which has all that this one has as of now. When
        the function returns, the process ends "normal"; when it raises, with a Crash, with the reason of an Exit, or as
        SystemExit says. It ends with this process at the latest.

        Raises:
            OSError: no process or no descriptor to be had.
        """
        return start_process(partial(function, *args, **kwargs))

    @staticmethod
    def spawn_link(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """As `spawn`, and linked to this process from the beginning."""
        return start_process(partial(function, *args, **kwargs), (mine().pid,))

    @staticmethod
    def spawn_monitor(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> tuple[Pid, int]:
        """As `spawn`, and monitored from the beginning: its address and the ref of the Down."""
        ref = expect_answer()
        return start_process(partial(function, *args, **kwargs), ref=ref), ref

    @staticmethod
    def exit(pid: Pid, reason: object) -> None:
        """Send an exit signal: "normal" is ignored, "kill" cannot be; of any other the process dies, or gets an Exited
        if it traps exits. To oneself it is as if one raised Exit, unless one traps exits.
        """
        box = mine()
        if pid != box.pid:
            _node(box).signal(pid, reason)
        elif reason == "kill":
            _node(box).signal(pid, reason)
            box.wait(lambda: False, None)
        elif box.traps:
            box.put(Letter(lambda: Exited(pid, reason)))
        else:
            raise Exit(reason)

    @staticmethod
    def alive(pid: Pid) -> bool:
        """Whether it lives and has not begun to end. A round trip to the node."""
        box = mine()
        return pid == box.pid or _node(box).is_alive(pid)


def self_() -> Pid:
    """The address of this process."""
    return mine().pid


def send(target: Pid | str, message: object) -> None:
    """Send a message, and never mind whether anybody gets it. To a process of this script go copies of whatever can be
    pickled, and functions (parcel.py); to a name goes JSON.

    Raises:
        pickle.PicklingError, TypeError, AttributeError: it cannot be pickled.
        TypeError, ValueError: it is not JSON, or more than a line can hold.
        NoChannel: a name, and this process has not attached.
    """
    box = mine()
    if isinstance(target, str):
        _channel(box, target).send(target, message)
    elif target == box.pid:
        box.put(_copy_of(message))
    else:
        _node(box).send(target, message)


@overload
def receive(match: type[T], timeout: float | None = None) -> T: ...


@overload
def receive(match: Callable[[object], bool] | None = None, timeout: float | None = None) -> object: ...


def receive(match: Callable[[object], bool] | type | None = None, timeout: float | None = None) -> object:
    """Take the oldest message that matches, or that is of this type, out of the mailbox; wait for it if there is none.
    The others stay where they are. `timeout` 0 only looks.

    Raises:
        TimeoutError: none came in time.
        Exception: what unpickling a message has raised; that message is lost.
    """
    if isinstance(match, type):
        match = partial(_is_of, match)
    return mine().receive(match, timeout)


def _is_of(kind: type, message: object) -> bool:
    return isinstance(message, kind)


def send_after(pid: Pid, message: object, seconds: float) -> int:
    """Send a message later; the timer, for `cancel_timer`.

    Raises:
        ValueError: seconds is negative or not finite.
        As `send`.
    """
    box = mine()
    if not 0 <= seconds < math.inf:
        raise ValueError(f"cannot send after {seconds!r} seconds: expected a finite number from 0 up")
    if pid == box.pid:
        return box.put_later(seconds, _copy_of(message))
    timer = box.new_number()
    _node(box).send_later(timer, pid, seconds, message)
    return timer


def when_readable(file: "int | HasFileno") -> None:
    """Be sent a Readable, once, when there is something to read from a socket or pipe, to accept, or its end: so a
    process can wait for messages and for bytes at the same time. As Erlang's sockets with {active, once}, but that the
    bytes are still to be read. Keep it open until then.

    Raises:
        ValueError: it is closed.
    """
    mine().watch(file if isinstance(file, int) else file.fileno())


def cancel_timer(timer: int) -> float | None:
    """The seconds that were left, or None when the message was sent already."""
    box = mine()
    left = box.cancel(timer)
    return left if left is not None or box.node is None else box.node.cancel(timer)


def link(target: Pid | str) -> None:
    """Tie the fates of two processes: when one ends with any reason but "normal", the other gets an exit signal with
    this reason. Who is not there: an Exited if this process traps exits.

    Raises:
        Exit: "noproc": not there, and this process does not trap exits.
    """
    box = mine()
    if target == box.pid:
        return
    is_there = _channel(box, target).link(target) if isinstance(target, str) else _node(box).link(target)
    if not is_there and not box.traps:
        raise Exit("noproc")
    if not is_there:
        box.put(Letter(lambda: Exited(target, "noproc")))


def unlink(target: Pid | str) -> None:
    """From now on no Exited of it arrives; one that lies in the mailbox stays there."""
    box = mine()
    if isinstance(target, str):
        _channel(box, target).unlink(target)
    else:
        _node(box).unlink(target)


def monitor(target: Pid | str) -> int:
    """Be told of its end with a Down; at once and with "noproc" if it is not there. The ref of that Down."""
    box = mine()
    ref = box.new_number()
    if isinstance(target, str):
        channel = _channel(box, target)
        box.expect(ref, channel)
        channel.monitor(ref, target)
    else:
        node = _node(box)
        box.expect(ref, node)
        node.monitor(ref, target)
    return ref


def demonitor(ref: int, flush: bool = False) -> None:
    """From now on no Down of this ref arrives; with `flush`, one that lies in the mailbox is thrown away."""
    mine().forget(ref, flush=flush)


def trap_exits(flag: bool) -> bool:
    """Whether exit signals become Exited messages instead of ending this process; what it was before."""
    return mine().trap(flag)


def whereis(name: str) -> int | None:
    """The number of the main process of a worker of the tree; None when it does not run.

    Raises:
        NoChannel: this process has not attached.
    """
    return _channel(mine(), name).whereis(name)


# For the library


def start_process(function: Callable[[], object], peers: tuple[Pid, ...] = (), ref: int | None = None) -> Pid:
    """A process linked to `peers`; if it cannot be started, `ref` is forgotten."""
    from procsup.worker.spawn import spawn

    try:
        return spawn(function, peers, ref)
    except BaseException:
        if ref is not None:
            mine().forget(ref)
        raise


def expect_answer() -> int:
    """A ref that is let in."""
    box = mine()
    ref = box.new_number()
    box.expect(ref, _node(box))
    return ref


def answer(to: Pid, ref: int, value: object) -> None:
    """To a process that awaits this ref, be it this one."""
    box = mine()
    if to == box.pid:
        box.put_answer(ref, _copy_of(value).open)
    else:
        _node(box).answer(to, ref, value)


def _node(box: Mailbox) -> "Connection":
    if box.node is not None:
        return box.node
    from procsup.worker.spawn import node_of

    return node_of(box)


def _channel(box: Mailbox, name: str) -> "Channel":
    if box.channel is None:
        raise NoChannel(f"cannot reach {name!r}: this process has no channel to a daemon; has it called attach()?")
    return box.channel


def _copy_of(message: object) -> Letter:
    from procsup.worker.parcel import unwrap, wrap

    return Letter(partial(unwrap, wrap(message)))
