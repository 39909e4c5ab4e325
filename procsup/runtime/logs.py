"""The workers' logs: what is written where, with or without stamps, and what could not be.

Laws: what cannot be written is dropped and counted, for each worker over all its lives. The first of it is reported,
and the line that follows in the log, once there can be one, says how much is missing and why.
"""

import os
import time
from collections.abc import Callable

from procsup.runtime.logfile import Log, LogFiles, NotWritten
from procsup.runtime.logtime import stamped
from procsup.runtime.spawn import errno_name

_REPORT_EVERY = 1.0
"""Seconds between two reports of one worker's loss: on a disk that is nearly full a loss may begin with every line."""

OnLost = Callable[[int, int, str], None]
"""Called with a life, the bytes that its worker has lost so far and the errno's name, when output begins to be lost."""


class _Loss:
    """Of one worker. `reported` is in seconds of the monotonic clock."""

    __slots__ = ("bytes", "reported")

    def __init__(self) -> None:
        self.bytes = 0
        self.reported = -_REPORT_EVERY


class _Gap:
    """What is missing at the end of a log."""

    __slots__ = ("bytes", "errno")

    def __init__(self) -> None:
        self.bytes = 0
        self.errno = 0


class Logs:
    """Writes to log files. Grows only with what was lost: an entry for each worker that lost something."""

    def __init__(self, files: LogFiles, on_lost: OnLost) -> None:
        self._files = files
        self._on_lost = on_lost
        self._losses: dict[str, _Loss] = {}
        self._gaps: dict[tuple[str, str], _Gap] = {}
        """By worker and path of the log"""

    def write(self, log: Log, lines: bytes, worker: str, life: int) -> None:
        """Append lines of a worker, the last one perhaps without its end."""
        now = time.time()
        gap = self._gaps.get((worker, log.path)) if self._gaps else None
        data = _with_stamps(lines, log, now, is_continued=log.begun > 0 and gap is None)
        if gap is not None:
            data = _with_stamps(_in_words(gap), log, now) + data
            if log.begun:
                data = b"\n" + data
        try:
            self._files.append(log, data, now)
        except NotWritten as failure:
            if failure.lost < len(data):
                self._gaps.pop((worker, log.path), None)  # its words were the first to be written
            self._lose(log, min(failure.lost, len(lines)), failure.errno, worker, life)
        else:
            if gap is not None:
                del self._gaps[worker, log.path]

    def write_ended(self, log: Log, before: bytes, lines: memoryview) -> bool:
        """The same, in a hurry, of what ends a line. False: nothing was written, for there is more to it."""
        if self._gaps or log.settings.timestamps:
            return False
        return self._files.append_ended(log, before, lines, time.time())

    def tell_of_gap(self, log: Log, worker: str, life: int) -> None:
        """Nothing follows: if something is missing at the end of the log, say so there, if there is room by now."""
        if (worker, log.path) in self._gaps:
            self.write(log, b"", worker, life)

    def lost_bytes(self, worker: str) -> int:
        """What could not be written of the output of the worker of this path."""
        loss = self._losses.get(worker)
        return 0 if loss is None else loss.bytes

    def _lose(self, log: Log, lost: int, errno: int, worker: str, life: int) -> None:
        loss = self._losses.setdefault(worker, _Loss())
        loss.bytes += lost
        key = worker, log.path
        is_first = key not in self._gaps
        gap = self._gaps.setdefault(key, _Gap())
        gap.bytes += lost
        gap.errno = errno
        now = time.monotonic()
        if is_first and now - loss.reported >= _REPORT_EVERY:
            loss.reported = now
            self._on_lost(life, loss.bytes, errno_name(errno))


def _with_stamps(lines: bytes, log: Log, now: float, is_continued: bool = False) -> bytes:
    return stamped(lines, now, is_continued) if log.settings.timestamps else lines


def _in_words(gap: _Gap) -> bytes:
    why = f"{os.strerror(gap.errno).lower()} ({errno_name(gap.errno)})"
    return f"procsup: {gap.bytes} bytes of output are missing here: {why}\n".encode()
