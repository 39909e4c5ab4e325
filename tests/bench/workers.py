"""The workers of one supervisor: who they are, when each began, and how they are killed.

Every worker reports its birth into a FIFO (worker.c) with the time of its first instruction, on the same clock as
time.monotonic_ns(). Whoever waits for many births only asks the kernel how much lies in the FIFO, a hundred times a
second, so that it takes no CPU from those who are measured.
"""

import array
import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench.figure import CannotMeasure

DEADLINE = 60.0
"""Seconds that any birth may take."""

_REPORT = struct.Struct("QQQ")
_LOOK = 0.01
_ROOM = 1024 * 1024
"""Bytes in the FIFO, as many as anyone may have (pipe(7)): reports of 40,000 workers."""


def patience(count: int) -> float:
    """Seconds that so many workers may take beyond what a thousand may."""
    return max(0, count - 1000) * 0.01


class Birth(NamedTuple):
    slot: int
    pid: int
    time: int
    """Nanoseconds of the monotonic clock."""


class Program(NamedTuple):
    """What the workers run. `title` says how it was compiled; `reports` is false for a stand-in that only sleeps.
    `words` follow what every worker is told.
    """

    title: str
    path: str
    reports: bool = True
    words: tuple[str, ...] = ()

    def command(self, fifo: str, slot: int) -> list[str]:
        return [self.path, fifo, str(slot), *self.words] if self.reports else [self.path, "infinity"]


class Workers:
    """`whose` names their supervisor; `explain` says why no birth comes, or "" when it still may."""

    def __init__(self, fifo: Path, whose: str, explain: Callable[[], str]) -> None:
        self.fifo = str(fifo)
        self._whose = whose
        self._explain = explain
        self._pids: dict[int, int] = {}
        os.mkfifo(fifo)
        self._fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _ROOM)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def close(self) -> None:
        os.close(self._fd)

    def wait_for_birth(self, deadline: float = DEADLINE) -> Birth:
        """Raises:
        CannotMeasure: none came in time.
        """
        if not self._poll.poll(deadline * 1000):
            raise self._in_vain("a birth", deadline)
        return self._take(1)[0]

    def wait_for_births(self, count: int, deadline: float = DEADLINE) -> list[Birth]:
        """`deadline` is for the first thousand; each further one may take ten milliseconds.

        Raises:
        CannotMeasure: they did not come in time, or never will.
        """
        deadline += patience(count)
        end = time.monotonic() + deadline
        while (waiting := self._waiting()) < count:
            if time.monotonic() > end or self._explain():
                raise self._in_vain(f"{count} births; there were {waiting}", deadline)
            time.sleep(_LOOK)
        return self._take(count)

    def kill(self, slot: int) -> int:
        """The time just before, in nanoseconds of the monotonic clock."""
        victim = self._pids[slot]
        zero = time.monotonic_ns()
        os.kill(victim, signal.SIGKILL)
        return zero

    def kill_all(self) -> int:
        """The time just before the first."""
        victims = list(self._pids.values())
        zero = time.monotonic_ns()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        return zero

    def _waiting(self) -> int:
        size = array.array("i", [0])
        fcntl.ioctl(self._fd, termios.FIONREAD, size)
        return size[0] // _REPORT.size

    def _take(self, count: int) -> list[Birth]:
        births = [Birth(*report) for report in _REPORT.iter_unpack(os.read(self._fd, count * _REPORT.size))]
        self._pids.update((birth.slot, birth.pid) for birth in births)
        return births

    def _in_vain(self, what: str, deadline: float) -> CannotMeasure:
        why = self._explain() or f"nothing for {deadline:g} seconds"
        return CannotMeasure(f"cannot measure {self._whose}: waited for {what}: {why}")
