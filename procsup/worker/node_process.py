"""The process of the node: it performs what node.py decides, and is always there to do so.

It is a child of the script, forked when the first process is spawned, and runs none of the user's code: so a death is
noticed, a link crossed and a process killed while everybody else is busy, stuck or stopped. It ends with the last
process. If it should die before, nobody goes on: it holds the write end of the *lifeline*, a pipe for whose hang-up
every spawned process has asked the kernel for SIGKILL (spawn.py), and the script finds its stream closed.

Every process has two descriptors here: its stream, and a pidfd, made by its parent, which alone can be sure that the
number is still the child's. The stream may end early (exec, close); the end of a process is what the pidfd says. How it
ended stands in /proc/NUMBER/stat as long as it is a zombie, and that it stays until its parent is told to reap it.

Mailboxes know no bounds, as in Elixir: what a process does not read is kept here.
"""

import _socket
import gc
import heapq
import itertools
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from functools import partial
from typing import assert_never

from procsup.worker import frames
from procsup.worker.node import GRACE, Address, Deliver, Interrupt, Kill, KillLater, Node, spawned_address

_PIECE = 65536
_TWO_DESCRIPTORS = _socket.CMSG_SPACE(8)
_BUG = 70
_LONGEST = 86400.0
"""Seconds that are waited at a time; epoll_wait(2) takes no more than some weeks."""


def run_node(script: Address, stream: int, lifeline: int) -> None:
    """Never returns. `stream` leads to the script; it and `lifeline` are all that is left open, but for stderr."""
    status = _BUG
    try:
        gc.disable()  # the script's objects are shared with it as long as nobody touches them
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # ^C and TERM are for the script
        _close_all_but({2, stream, lifeline})
        _raise_descriptor_limit()
        with suppress(OSError), open("/proc/self/comm", "w") as comm:
            comm.write("procsup-node")
        NodeProcess(script, stream).run()
        status = 0
    except BaseException:  # noqa: BLE001  # the last thing that this process does is to tell
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


class _Peer:
    """A process, as seen from here."""

    __slots__ = ("address", "decoder", "descriptors", "is_open", "is_waiting", "pidfd", "stream", "unsent")

    def __init__(self, address: Address, stream: int, pidfd: int) -> None:
        self.address = address
        self.stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, stream)
        self.stream.setblocking(False)
        self.pidfd = pidfd
        self.decoder = frames.Decoder()
        self.descriptors: deque[int] = deque()
        """Received, and not yet claimed by a frame"""
        self.unsent = bytearray()
        self.is_open = True
        self.is_waiting = False
        """For room to send more"""


class NodeProcess:
    """Owns the descriptors; the node owns who is tied to whom. A turn reads, decides, and sends what came of it."""

    def __init__(self, script: Address, stream: int) -> None:
        self._node = Node(script)
        self._epoll = select.epoll()
        self._peers: dict[Address, _Peer] = {}
        self._by_fd: dict[int, _Peer] = {}
        """Streams and pidfds"""
        self._dirty: dict[Address, _Peer] = {}
        """Who has something unsent that can be tried"""
        self._timers: list[tuple[float, int, Address, tuple[Address, int] | None]] = []
        """When, a number for order, whom, and the key of a message for it, or None: kill it at last"""
        self._messages: dict[tuple[Address, int], tuple[float, bytes]] = {}
        """By who set the timer and its number there: when, and the message"""
        self._closed: list[int] = []
        self._numbers = itertools.count()
        pidfd = os.pidfd_open(script[0])
        self._meet(script, stream, pidfd)
        if os.getppid() != script[0]:
            raise ProcessLookupError("cannot serve the script: it has ended already")

    def run(self) -> None:
        while not self._node.is_over:
            for fd, mask in self._epoll.poll(self._patience()):
                peer = self._by_fd.get(fd)
                if peer is None:
                    continue  # it was gone earlier in this very batch
                if fd == peer.pidfd:
                    self._bury(peer)
                    continue
                if mask & select.EPOLLOUT:
                    self._dirty[peer.address] = peer
                if mask & ~select.EPOLLOUT:
                    self._read(peer)
            self._fire_timers()
            for peer in self._dirty.values():
                self._flush(peer)
            self._dirty.clear()
            self._close_what_is_closed()

    # Who is there

    def _meet(self, address: Address, stream: int, pidfd: int) -> None:
        peer = self._peers[address] = _Peer(address, stream, pidfd)
        self._by_fd[stream] = self._by_fd[pidfd] = peer
        self._epoll.register(stream, select.EPOLLIN)
        self._epoll.register(pidfd, select.EPOLLIN)

    def _bury(self, peer: _Peer) -> None:
        while self._read(peer):
            pass
        self._hang_up(peer)
        self._epoll.unregister(peer.pidfd)
        self._closed.append(peer.pidfd)
        del self._by_fd[peer.pidfd], self._peers[peer.address]
        self._dirty.pop(peer.address, None)
        self._node.gone(peer.address, partial(how_it_ended, peer.address[0]))
        self._perform()

    def _hang_up(self, peer: _Peer) -> None:
        if peer.is_open:
            peer.is_open = False
            fd = peer.stream.fileno()
            self._epoll.unregister(fd)
            del self._by_fd[fd]
            self._closed += [peer.stream.detach(), *peer.descriptors]

    def _close_what_is_closed(self) -> None:
        """Not before the batch is over: another descriptor would get the number, and an event that was not meant for
        it.
        """
        for fd in self._closed:
            os.close(fd)
        self._closed.clear()

    # What they say

    def _read(self, peer: _Peer) -> bool:
        """Take one piece. False when there is none now."""
        if not peer.is_open:
            return False
        try:
            piece, ancillary, flags, _ = peer.stream.recvmsg(_PIECE, _TWO_DESCRIPTORS)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # it ended without having read all
            piece, ancillary, flags = b"", [], 0
        received = [fd for _, _, fds in ancillary for fd in memoryview(fds).cast("i")]
        if flags & _socket.MSG_CTRUNC:
            self._closed += received
        else:
            peer.descriptors.extend(received)
        for head, body in peer.decoder.feed(piece):
            self._handle(peer, head, body)
        if not piece:
            self._hang_up(peer)
        return bool(piece)

    def _handle(self, peer: _Peer, head: frames.Head, body: bytes) -> None:
        match head[0]:
            case "later":
                self._set_timer(peer, body, *head[1:])
            case "cancel":
                self._cancel_timer(peer, *head[1:])
            case "spawned":
                self._node.handle(peer.address, head, body)
                self._welcome(peer, spawned_address(body, head[1]))
                self._perform()
            case _:
                self._node.handle(peer.address, head, body)
                self._perform()

    def _welcome(self, parent: _Peer, child: Address) -> None:
        if len(parent.descriptors) >= 2:
            self._meet(child, parent.descriptors.popleft(), parent.descriptors.popleft())
        else:  # they did not come through, since we have too many (unix(7)); it is a child that nobody reaps before us
            with suppress(ProcessLookupError):
                os.kill(child[0], signal.SIGKILL)
            self._node.gone(child, lambda: "system_limit")

    def _set_timer(self, peer: _Peer, message: bytes, timer: int, to: Address, seconds: float) -> None:
        due = time.monotonic() + seconds
        key = (peer.address, timer)
        self._messages[key] = due, message
        heapq.heappush(self._timers, (due, next(self._numbers), to, key))

    def _cancel_timer(self, peer: _Peer, request: int, timer: int) -> None:
        due, _ = self._messages.pop((peer.address, timer), (None, b""))
        left = None if due is None else max(0.0, due - time.monotonic())
        self._send(peer.address, ("done", request, left), b"")

    # What follows

    def _perform(self) -> None:
        actions, self._node.actions = self._node.actions, []
        for action in actions:
            match action:
                case Deliver(to, head, body):
                    self._send(to, head, body)
                case Kill(whom):
                    self._signal(whom, signal.SIGKILL)
                case Interrupt(whom):
                    self._flush(self._peers[whom])
                    self._signal(whom, signal.SIGURG)
                case KillLater(whom):
                    due = time.monotonic() + GRACE
                    heapq.heappush(self._timers, (due, next(self._numbers), whom, None))
                case _:
                    assert_never(action)

    def _send(self, to: Address, head: frames.Head, body: bytes) -> None:
        peer = self._peers.get(to)
        if peer is not None and peer.is_open:
            peer.unsent += frames.encode(head, body)
            self._dirty[to] = peer

    def _flush(self, peer: _Peer) -> None:
        """Send what it takes now, the rest when it has room."""
        if not peer.is_open:
            return
        try:
            while peer.unsent:
                del peer.unsent[: peer.stream.send(peer.unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it has closed the stream: nobody will read the rest
            peer.unsent.clear()
        if peer.is_waiting != bool(peer.unsent):
            peer.is_waiting = not peer.is_waiting
            self._epoll.modify(peer.stream, select.EPOLLIN | (select.EPOLLOUT if peer.is_waiting else 0))

    def _signal(self, whom: Address, number: int) -> None:
        peer = self._peers.get(whom)
        if peer is not None:
            with suppress(ProcessLookupError, PermissionError):  # a zombie; or it has become another user's
                signal.pidfd_send_signal(peer.pidfd, number)

    # Time

    def _patience(self) -> float | None:
        return min(max(0.0, self._timers[0][0] - time.monotonic()), _LONGEST) if self._timers else None

    def _fire_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, address, key = heapq.heappop(self._timers)
            if key is None:
                self._node.kill_at_last(address)
                self._perform()
            elif key in self._messages:
                self._send(address, ("message",), self._messages.pop(key)[1])


def how_it_ended(number: int) -> str:
    """As core/reason.py says it; see proc_pid_stat(5). Code 0 is what the kernel also shows to who may not know."""
    try:
        with open(f"/proc/{number}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
            is_ours = os.fstat(file.fileno()).st_uid == os.geteuid()
    except OSError:
        return "noconnection"
    status = int(fields[49])
    if fields[0] != b"Z" or (status == 0 and not is_ours):
        return "noconnection"
    if os.WIFSIGNALED(status):
        return f"signal {_signal_name(os.WTERMSIG(status))}{' core' if os.WCOREDUMP(status) else ''}"
    return f"exit {os.WEXITSTATUS(status)}" if status else "normal"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _close_all_but(kept: set[int]) -> None:
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd not in kept:
            with suppress(OSError):  # the one that listed them
                os.close(fd)


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
