"""Orders to the spawner, and what comes of them.

The spawner is started with the first order, and again after its death; an order that died with it is given once more.
An order is a memfd and the descriptors that go with it, so that it may be of any size; what the socket does not take
now waits. Nothing here blocks: a spawner that is stopped, or a child that hangs in chdir(2), holds up only those it
concerns.
"""

import errno
import marshal
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from procsup.runtime.loop import READ, WRITE, Loop
from procsup.runtime.passing import send_descriptors
from procsup.runtime.spawner import Order
from procsup.runtime.wait import kill_and_wait_for, wait_for

_ATTEMPTS = 2

Done = Callable[[int, str, int], None]
"""Called with the pid, or 0, the stage that failed, or "", and its errno."""


@dataclass(slots=True, eq=False)
class _Errand:
    """One order on its way. Owns its descriptors."""

    order: bytes
    fds: list[int]
    done: Done
    attempts: int = 0
    report: int = -1
    told: bytes = field(default=b"")


class Dispatcher:
    """`start` starts a spawner whose standard input is the descriptor that it is given; its pid."""

    def __init__(self, loop: Loop, start: Callable[[int], int]) -> None:
        self._loop = loop
        self._start = start
        self._socket: socket.socket | None = None
        self._pid = 0
        self._waiting: deque[_Errand] = deque()
        self._under_way: set[_Errand] = set()
        self._is_blocked = False

    def dispatch(self, order: Order, fds: Sequence[int], done: Done) -> None:
        """Have it executed. `fds` (stdin, stdout, stderr and, perhaps, cgroup) stay the caller's. The loop will call
        `done`.
        """
        errand = _Errand(marshal.dumps(tuple(order)), [], done)
        try:
            for fd in fds:
                errand.fds.append(os.dup(fd))
        except OSError as error:
            self._fail(errand, "pipe", error.errno or 0)
            return
        self._waiting.append(errand)
        self._send()

    @property
    def pid(self) -> int:
        """The spawner's, or 0 when there is none."""
        return self._pid

    def close(self) -> None:
        """Errands that are under way are forgotten."""
        for errand in [*self._waiting, *self._under_way]:
            self._release(errand)
        self._waiting.clear()
        if self._socket is not None:
            self._lose_spawner()

    def _send(self) -> None:
        while self._waiting:
            errand = self._waiting[0]
            try:
                if self._socket is None:
                    self._start_spawner()
                self._send_one(errand)
            except BlockingIOError:
                self._wait_for_room(True)
                return
            except BrokenPipeError:  # it has died: the loop will tell, and begin anew
                return
            except OSError as error:
                self._waiting.popleft()
                self._fail(errand, "spawner", error.errno or 0)
            else:
                self._waiting.popleft()
        self._wait_for_room(False)

    def _send_one(self, errand: _Errand) -> None:
        """Raises:
        OSError: it was not sent, and nothing stays open.
        """
        assert self._socket is not None
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        order = -1
        try:
            order = os.memfd_create("order", os.MFD_CLOEXEC)
            os.write(order, errand.order)
            self._loop.watch(report_read, READ, lambda mask: self._hear(errand))
            try:
                send_descriptors(self._socket, b"!", [report_write, order, *errand.fds])
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
        self._under_way.add(errand)

    def _hear(self, errand: _Errand) -> None:
        data = os.read(errand.report, 4096)
        if data:
            errand.told += data
            return
        self._loop.forget(errand.report)
        os.close(errand.report)
        errand.report = -1
        self._under_way.discard(errand)
        pid, stage, number = _understood(errand.told)
        if not pid and not stage:
            if errand.attempts < _ATTEMPTS:  # the spawner died with it
                self._waiting.append(errand)
                self._send()
                return
            stage, number = "spawner", errno.ECHILD
        if stage and pid:
            wait_for(pid)  # it is ending, or has ended
        self._release(errand)
        errand.done(0 if stage else pid, stage, number)

    def _fail(self, errand: _Errand, stage: str, number: int) -> None:
        self._release(errand)
        self._loop.soon(lambda: errand.done(0, stage, number))

    def _release(self, errand: _Errand) -> None:
        for fd in errand.fds:
            os.close(fd)
        errand.fds.clear()
        if errand.report >= 0:
            self._loop.forget(errand.report)
            os.close(errand.report)
            errand.report = -1

    def _start_spawner(self) -> None:
        """Raises:
        OSError: no process, no descriptor.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._pid = self._start(theirs.fileno())
                ours.setblocking(False)
                self._loop.watch(ours.fileno(), READ, self._ready)
            except OSError:
                ours.close()
                raise
        self._socket = ours

    def _ready(self, mask: int) -> None:
        if mask & ~WRITE:  # it says nothing: this is its end
            self._lose_spawner()
        self._send()

    def _lose_spawner(self) -> None:
        assert self._socket is not None
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._socket = None
        self._is_blocked = False
        kill_and_wait_for(self._pid)  # it may be stopped, or have closed its socket only
        self._pid = 0

    def _wait_for_room(self, wanted: bool) -> None:
        if self._socket is not None and wanted != self._is_blocked:
            self._is_blocked = wanted
            self._loop.change(self._socket.fileno(), READ | WRITE if wanted else READ)


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
