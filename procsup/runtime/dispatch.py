"""Orders to the spawner, and what comes of them.

The spawner is started with the first order, and again after its death. An order is a memfd and the descriptors that go
with it, so that it may be of any size. Only so many lie in the socket at a time: the next goes when one was heard of.
Nothing here blocks: a spawner that is stopped, or a child that hangs in chdir(2), holds up only those it concerns.

What became of an order is known by its report, a pipe that ends with the program's execution, with the child's death,
or with the spawner's, if there was no child yet: then the order is given again. A start that is not wanted any more is
ended the same way: by the death of the child as soon as its pid is known, and if that takes too long, of the spawner.
"""

import contextlib
import errno
import marshal
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from procsup.runtime.loop import READ, Loop
from procsup.runtime.passing import send_descriptors
from procsup.runtime.procfs import has_executed
from procsup.runtime.spawner import Order
from procsup.runtime.wait import kill_and_wait_for, wait_for

_ATTEMPTS = 3
"""Spawners that may die with an order before it has failed."""

_QUEUE = 16
"""Orders that the spawner is given ahead."""

_NO_ROOM = (errno.EAGAIN, errno.ETOOMANYREFS)

Done = Callable[[int, str, int], None]
"""Called with the pid, or 0, the stage that failed, or "", and its errno."""


@dataclass(slots=True, eq=False)
class _Errand:
    """One order on its way. Owns its descriptors: `report`, -1 while it waits, and `copies`, by what they are of."""

    life: int
    order: bytes
    fds: Sequence[int]
    cgroup: int
    done: Done
    copies: dict[int, int]
    attempts: int = 0
    report: int = -1
    told: bytes = b""
    is_unwanted: bool = False

    @property
    def cgroups(self) -> tuple[int, ...]:
        return (self.cgroup,) if self.cgroup >= 0 else ()


class Dispatcher:
    """`start` starts a spawner whose standard input is the descriptor that it is given; its pid. One that `is_kept` and
    has been of use is started again as soon as it is gone, so that the next order need not wait for that.
    """

    def __init__(self, loop: Loop, start: Callable[[int], int], *, is_kept: bool = False) -> None:
        self._loop = loop
        self._start = start
        self._is_kept = is_kept
        self._has_served = False
        self._socket: socket.socket | None = None
        self._pid = 0
        self._errands: dict[int, _Errand] = {}
        """by life"""
        self._waiting: dict[int, _Errand] = {}
        """by life, the first to be sent first"""
        self._unheard: set[_Errand] = set()
        """Sent, and without a pid so far"""

    @property
    def pid(self) -> int:
        """The spawner's, or 0 when there is none."""
        return self._pid

    def dispatch(self, life: int, order: Order, fds: Sequence[int], done: Done, cgroup: int = -1) -> None:
        """Have it executed. `fds` are what the worker has from 0 on; they and `cgroup` stay the caller's. The loop will
        call `done`.
        """
        errand = _Errand(life, marshal.dumps(tuple(order)), fds, cgroup, done, {})
        self._errands[life] = errand
        try:
            for fd in {*fds, *errand.cgroups}:
                errand.copies[fd] = os.dup(fd)
        except OSError as error:
            self._fail(errand, "pipe", error.errno or 0)
            return
        self._waiting[life] = errand
        self._send()

    def cancel(self, life: int) -> None:
        """What was dispatched for this life is not wanted any more. `done` will be told that it failed with ECANCELED,
        or that it was too late for that.
        """
        errand = self._errands.get(life)
        if errand is None:
            return
        errand.is_unwanted = True
        if self._waiting.pop(life, None) is not None:
            self._fail(errand, "spawner", errno.ECANCELED)
        elif errand.report >= 0:
            self._hear(errand)

    def kill(self, life: int) -> bool:
        """The same, even if the spawner does not react. False when it is over (by now)."""
        self.cancel(life)
        errand = self._errands.get(life)
        if errand in self._unheard:
            for other in self._unheard:
                other.attempts -= 1  # that will be no fault of theirs
            self._lose_spawner()
        return errand is not None

    def close(self) -> None:
        """What is under way is killed."""
        self._waiting.clear()
        if self._socket is not None:
            self._lose_spawner()
        for errand in self._errands.values():
            if errand.report >= 0:
                self._listen(errand)
                _end(errand)
            self._release(errand)
        self._errands.clear()

    def _send(self) -> None:
        while self._waiting and len(self._unheard) < _QUEUE:
            errand = next(iter(self._waiting.values()))
            stage = "spawner"
            try:
                if self._socket is None:
                    self._socket = self._start_spawner()
                stage = "pipe"
                self._send_one(errand, self._socket)
            except ConnectionError:  # it has died: the loop will tell, and begin anew; but not for ever
                errand.attempts += 1
                if errand.attempts >= _ATTEMPTS:
                    del self._waiting[errand.life]
                    self._fail(errand, "spawner", errno.ECHILD)
                return
            except OSError as error:
                if self._unheard and error.errno in _NO_ROOM:
                    return
                del self._waiting[errand.life]
                self._fail(errand, stage, error.errno or 0)
            else:
                del self._waiting[errand.life]

    def _send_one(self, errand: _Errand, spawner: socket.socket) -> None:
        """Raises:
        OSError: it was not sent, and nothing stays open.
        """
        report_read, report_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        order = -1
        try:
            order = os.memfd_create("order", os.MFD_CLOEXEC)
            os.write(order, errand.order)
            fds = [report_write, order, *(errand.copies[fd] for fd in (*errand.fds, *errand.cgroups))]
            self._loop.watch(report_read, READ, lambda mask: self._hear(errand))
            try:
                send_descriptors(spawner, b"%d %d" % (len(fds), len(errand.fds)), fds)
            except OSError:
                self._loop.forget(report_read)
                raise
        except OSError:
            os.close(report_read)
            raise
        finally:
            os.close(report_write)
            if order >= 0:
                os.close(order)
        errand.report, errand.told = report_read, b""
        errand.attempts += 1
        self._unheard.add(errand)

    def _hear(self, errand: _Errand) -> None:
        is_all = self._listen(errand) or _runs(errand)  # it need not end then: what a target forks may hold the pipe
        pid, stage, number = _understood(errand.told)
        if pid or is_all:
            self._unheard.discard(errand)
        self._has_served = self._has_served or _runs(errand)
        if is_all:
            self._conclude(errand, pid, stage, number)
        elif errand.is_unwanted:
            _end(errand)
        self._send()

    def _listen(self, errand: _Errand) -> bool:
        """Whether it was told to the end."""
        try:
            while data := os.read(errand.report, 4096):
                errand.told += data
        except BlockingIOError:
            return False
        return True

    def _conclude(self, errand: _Errand, pid: int, stage: str, number: int) -> None:
        self._loop.forget(errand.report)
        os.close(errand.report)
        errand.report = -1
        if not pid and not stage:  # the spawner died with it
            if errand.is_unwanted:
                stage, number = "spawner", errno.ECANCELED
            elif errand.attempts < _ATTEMPTS:
                self._waiting[errand.life] = errand
                return
            else:
                stage, number = "spawner", errno.ECHILD
        if pid and not stage and errand.is_unwanted and not (_runs(errand) or has_executed(pid)):
            stage, number = "spawner", errno.ECANCELED
        if pid and stage:
            wait_for(pid)  # it is ending, or has ended
        self._finish(errand, 0 if stage else pid, stage, number)

    def _fail(self, errand: _Errand, stage: str, number: int) -> None:
        self._loop.soon(lambda: self._finish(errand, 0, stage, number))

    def _finish(self, errand: _Errand, pid: int, stage: str, number: int) -> None:
        if self._errands.pop(errand.life, None) is not None:
            self._release(errand)
            errand.done(pid, stage, number)

    def _release(self, errand: _Errand) -> None:
        for fd in errand.copies.values():
            os.close(fd)
        errand.copies.clear()
        if errand.report >= 0:
            self._loop.forget(errand.report)
            os.close(errand.report)
            errand.report = -1

    def _start_spawner(self) -> socket.socket:
        """Raises:
        OSError: no process, no descriptor.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                ours.setblocking(False)
                self._loop.watch(ours.fileno(), READ, lambda mask: self._begin_anew())  # it says nothing, but its end
                try:
                    self._pid = self._start(theirs.fileno())
                except OSError:
                    self._loop.forget(ours.fileno())
                    raise
            except OSError:
                ours.close()
                raise
        return ours

    def _begin_anew(self) -> None:
        self._lose_spawner()
        if self._is_kept and self._has_served:
            self._has_served = False
            with contextlib.suppress(OSError):  # the next order will try again, and fail
                self._socket = self._start_spawner()
        self._send()

    def _lose_spawner(self) -> None:
        assert self._socket is not None
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._socket = None
        kill_and_wait_for(self._pid)  # it may be stopped, or have closed its socket only
        self._pid = 0


def _end(errand: _Errand) -> None:
    """Its child, which we have not waited for as long as its report has not ended."""
    pid, _, _ = _understood(errand.told)
    if pid:
        with contextlib.suppress(PermissionError):  # it has just executed a program of another user's
            os.kill(pid, signal.SIGKILL)


def _runs(errand: _Errand) -> bool:
    """Of a target, which executes nothing: its function is being called."""
    return b"runs\n" in errand.told


def _understood(told: bytes) -> tuple[int, str, int]:
    """The pid, the stage that failed and its errno, from the lines that were told; 0 and "" for what was not."""
    pid, stage, number = 0, "", 0
    for line in told.decode("ascii").splitlines():
        match line.split():
            case ["pid", text]:
                pid = int(text)
            case ["failed", stage, text]:
                number = int(text)
    return pid, stage, number
