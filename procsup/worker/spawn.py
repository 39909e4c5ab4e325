"""Processes come to be and are waited for: the only place of the library that forks or waits.

    spawn       socketpair, fork, pidfd; the parent hands one end of the pair and the pidfd to the node
    the child   gives up what belonged to its parent, ties itself to the node's life, runs the function, tells the node
                the reason of its end, waits until its own children are down, and is gone
    reap        one waitpid of one number, when the node has seen that it is a zombie

The tie is the *lifeline*, a pipe that only the node could write to and never does. The child opens its read end anew
(so that its settings are its own) and asks for SIGKILL when something happens to it (F_SETSIG in fcntl(2)). What may
happen is that the node has died.

Handlers of signals are put off until the child is registered, and has given up its parent's things: one that raises in
between would leave a child of which nobody knows, or run the parent's program twice. The signals themselves are
blocked, so that none that is meant for the child is lost before it has settled.

In the child, exit handlers (atexit) do not run, and its threads are not waited for.
"""

import atexit
import fcntl
import gc
import os
import signal
import sys
import time
import traceback
from _socket import socket, socketpair
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from procsup.worker.connection import Connection
from procsup.worker.mailbox import Mailbox, become, mine
from procsup.worker.node_process import run_node
from procsup.worker.reasons import reason_of
from procsup.worker.signals import Held
from procsup.worker.values import Crash, Exit, Pid


def node_of(box: Mailbox) -> Connection:
    """This process's connection to the node. Without one, this process is the script, and the node is started."""
    if box.node is None:
        _start_node(box)
        assert box.node is not None
    return box.node


def spawn(function: Callable[[], object], peers: tuple[Pid, ...] = (), ref: int | None = None) -> Pid:
    """A new process that runs `function`, linked to these from the beginning, and monitored by us if a ref is given.

    Raises:
        OSError: no process or no descriptor to be had.
    """
    box = mine()
    node = node_of(box)
    box.take_in(0.0)  # also reaps: a script that only ever spawns must not collect zombies
    if not node.is_open:
        raise Exit("noconnection")
    _flush_streams()
    with Held() as held:
        node_end, child_end = socketpair()
        tie = -1
        held.block()
        try:
            tie = _new_tie(node.lifeline)
            born = time.monotonic_ns()
            announcement = node.announcement(born, peers, ref)
            number = os.fork()
            if number == 0:
                node_end.close()
                _live(box, born, child_end, node.lifeline, tie, function, held)
            _hand_over(node, announcement, number, node_end, tie)
        finally:
            held.unblock()
            node_end.close()
            child_end.close()
            if tie >= 0:
                os.close(tie)
    return Pid(number, born)


def reap(number: int) -> None:
    with suppress(ChildProcessError):  # somebody in this program waits for any child
        os.waitpid(number, 0)


def leave(box: Mailbox) -> None:
    """The script ends, and all its processes with it; return when they are gone. Only who traps exits is given time."""
    node, box.node = box.node, None
    if node is None or box.pid.number != os.getpid():
        return
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGURG) is _look_into_the_mailbox:
            signal.signal(signal.SIGURG, signal.SIG_DFL)
    _flush_streams()
    if node.is_open:
        with suppress(Exit):
            node.exit("shutdown")
        while node.is_open:
            box.pump(None)
    os.close(node.lifeline)
    if node.process is not None:
        reap(node.process)
    become(None)


# The parent


def _new_tie(lifeline: int) -> int:
    tie = os.open(f"/proc/self/fd/{lifeline}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(tie, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(tie, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    return tie


def _hand_over(node: Connection, announcement: bytes, number: int, stream: socket, tie: int) -> None:
    """The child exists; if the node cannot get to know it, it must not. It is tied first: if the node dies before that,
    the announcement fails.
    """
    try:
        fcntl.fcntl(tie, fcntl.F_SETOWN, number)
        pidfd = os.pidfd_open(number)
        try:
            node.announce(announcement, number, stream, pidfd)
        finally:
            os.close(pidfd)
    except BaseException:
        os.kill(number, signal.SIGKILL)
        reap(number)
        raise


# The child


def _live(
    parent: Mailbox,
    born: int,
    stream: socket,
    lifeline: int,
    tie: int,
    function: Callable[[], object],
    held: Held,
) -> NoReturn:
    status = 1
    try:
        pid = Pid(os.getpid(), born)
        fcntl.fcntl(tie, fcntl.F_SETOWN, pid.number)  # the parent does it too, if it lives long enough
        gc.freeze()  # what is inherited is shared as long as the collector does not look at it
        parent.close()
        box = Mailbox(pid)
        box.node = Connection(stream, lifeline, tie, box, reap)
        box.connect(box.node)
        box.is_under_daemon = parent.is_under_daemon
        become(box)
        held.settle()
        reason = _run(function)
        if os.getpid() == pid.number:  # and not of a process that the function has forked
            _end(box, reason)
        status = 0 if isinstance(reason, str) and reason in ("normal", "shutdown") else 1
    except BaseException:  # noqa: BLE001  # the parent's program must not go on here
        traceback.print_exc()
    finally:
        os._exit(status)


def _run(function: Callable[[], object]) -> object:
    """The exit reason."""
    try:
        function()
        return "normal"
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the reason
        reason = reason_of(error)
        if isinstance(reason, Crash):
            _tell(f"procsup: process {os.getpid()} crashed:\n{reason.traceback}")
        elif isinstance(error, SystemExit) and not isinstance(error.code, int | None):
            _tell(f"{error.code}\n")  # as sys.exit does
        return reason


def _end(box: Mailbox, reason: object) -> None:
    _flush_streams()
    node = node_of(box)
    node.exit(reason)
    while node.children:
        box.pump(None)


def _tell(text: str) -> None:
    with suppress(AttributeError, OSError, ValueError):  # there may be no standard error
        sys.stderr.write(text)


# The script


def _start_node(box: Mailbox) -> None:
    """Raises:
    OSError: no process or no descriptor to be had.
    """
    with suppress(ValueError):  # not the main thread; then whoever set it so must live with it
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited, it would have the kernel reap for us
        if signal.getsignal(signal.SIGURG) == signal.SIG_DFL:
            signal.signal(signal.SIGURG, _look_into_the_mailbox)
    with Held():
        ours, theirs = socketpair()
        lifeline, write_end = os.pipe2(os.O_CLOEXEC)
        os.fchmod(lifeline, 0o444)  # for processes that have become another user's
        try:
            number = os.fork()
            if number == 0:
                run_node((box.pid.number, box.pid.born), theirs.fileno(), write_end)
        except OSError:
            ours.close()
            os.close(lifeline)
            raise
        finally:
            theirs.close()
            os.close(write_end)
        box.node = Connection(ours, lifeline, None, box, reap)
        box.node.process = number
        box.connect(box.node)
    atexit.register(leave, box)


def _look_into_the_mailbox(number: int, frame: FrameType | None) -> None:
    """The node interrupts the script: an exit signal has struck it."""
    mine().take_in(0.0)


def _flush_streams() -> None:
    """What is not written yet would be written by parent and child."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
