"""Log files: what is appended is on the disk in whole lines, in files that never grow over their limit.

A log is the file at its path and, numbered from the youngest to the oldest, PATH.1, PATH.2 …: when the next line would
make the file larger than `max_bytes`, the numbers move up by one and a new file begins. Read from the oldest to the
youngest, the files are exactly what was appended. A line that is appended in parts is moved to the new file as a whole;
only one that is longer than a file may be, or than _LONGEST_MOVED, goes on in the next file.

Laws: what cannot be written whole is not written at all, and NotWritten says how much that is. The limit holds also for
a line without an end. A few descriptors serve thousands of logs: those last used stay open. A file that somebody has
removed is made anew at once; one that was renamed is written on until `close`, as logrotate(8) expects of a daemon that
it signals. What is no regular file (a FIFO, a terminal) is neither renamed nor marked, and what it took stays written.
"""

import os
import stat
import threading
import time
from collections import OrderedDict, deque

from procsup.core.spec import LogSettings
from procsup.runtime.failure import CannotRun
from procsup.runtime.logtime import MARK_EVERY, Mark, add_mark, marks_path

_MOST_OPEN = 64

_LONGEST_MOVED = 1024 * 1024
"""Bytes: the loop waits while the beginning of a line is moved."""

_LARGE = 4 * 1024 * 1024
"""Bytes of a file that takes longer to be freed than a thread takes to start: the loop does not wait for it."""

_MARKS_SECONDS = 0.001
"""For marks at a time: a new file of them took 0.4 ms on ext4."""

_MARK_WAITS = 1.0
"""Seconds at most, while there is something more urgent."""

_MOST_MARKS = 1000
"""That wait."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Not blocking, and no terminal of ours, in case somebody put a FIFO or a terminal there."""


class NotWritten(Exception):
    """The last `lost` bytes of what was to be appended are not in the log; `errno` is why."""

    def __init__(self, lost: int, errno: int) -> None:
        super().__init__(lost, errno)
        self.lost = lost
        self.errno = errno


class Log:
    """A log as one writer sees it, to be appended to. `begun` counts the bytes that it has written of a line that has
    not ended; `marked` is when it last marked the time for the worker of that name, in seconds since 1970.
    """

    __slots__ = ("begun", "marked", "path", "settings", "worker")

    def __init__(self, path: str, settings: LogSettings, worker: str) -> None:
        self.path = path
        self.settings = settings
        self.worker = worker
        self.begun = 0
        self.marked = 0.0


class LogFiles:
    """Owns the descriptors. Times are marked in the state directory, if there is one; who appends does not wait for
    that.
    """

    def __init__(self, state_dir: str | None = None) -> None:
        self._state_dir = state_dir
        self._open: OrderedDict[str, int] = OrderedDict()
        """By path; the one used last is the last."""
        self._marks: deque[tuple[Log, Mark]] = deque()
        """To be written, the oldest first."""
        self._freeing: threading.Thread | None = None

    def append(self, log: Log, data: bytes, now: float) -> None:
        """Append lines at the time `now` (seconds since 1970). The last one may be without its end: what is appended
        next goes on with it.

        Raises:
            NotWritten: the log holds the beginning of `data`, or nothing of it.
        """
        rest = data
        while rest:
            try:
                fd, status = self._file(log.path)
                is_regular = stat.S_ISREG(status.st_mode)
                if not is_regular:
                    count = os.write(fd, rest)
                elif status.st_size + len(rest) <= log.settings.max_bytes:
                    count = self._write_whole(fd, rest, log, status, now)
                else:
                    moved, count = _last_of_file(rest, log, status.st_size)
                    if moved:
                        rest = _take_back(fd, status.st_size, moved) + rest
                        log.begun = 0
                    self._write_whole(fd, rest[:count], log, status, now)
                _count_begun(log, rest[:count])
                rest = rest[count:]
                if rest and is_regular:
                    self._rotate(log, status)
            except OSError as error:
                if not self._has_freed():
                    raise NotWritten(len(rest), error.errno or 0) from None

    def append_ended(self, log: Log, before: bytes, lines: memoryview, now: float) -> bool:
        """Append both, which end a line, by one writev(2), if that is all there is to do. False: nothing is."""
        size = len(before) + len(lines)
        try:
            fd, status = self._file(log.path)
            if log.begun or not stat.S_ISREG(status.st_mode) or status.st_size + size > log.settings.max_bytes:
                return False
            self._mark(log, status, now)
            written = os.writev(fd, (before, lines))
            if written < size:
                os.ftruncate(fd, status.st_size)
        except OSError:
            return False
        return written == size

    def has_marks(self) -> bool:
        """Whether there is something to do for `write_marks`."""
        return bool(self._marks)

    def write_marks(self, is_busy: bool = False) -> None:
        """Write some of the marks of the time; those that can wait are not for now when `is_busy`."""
        end = time.monotonic() + _MARKS_SECONDS
        while self._marks and not (is_busy and abs(time.time() - self._marks[0][1].seconds) < _MARK_WAITS):
            self._write_mark()
            if time.monotonic() > end:
                return

    def descriptor(self, path: str) -> int:
        """Of the file that was appended to last."""
        return self._open[path]

    def close(self) -> None:
        """Write all marks, and close every file. What is at its path by then is opened when there is something to
        append.
        """
        while self._marks:
            self._write_mark()
        while self._open:
            os.close(self._open.popitem()[1])

    def _file(self, path: str) -> tuple[int, os.stat_result]:
        """The file that is to be appended to, as it is now."""
        fd = self._open.get(path, -1)
        if fd >= 0:
            status = os.fstat(fd)
            if status.st_nlink > 0:
                self._open.move_to_end(path)
                return fd, status
            self._close(path)
        fd = os.open(path, _FLAGS, 0o640)
        self._open[path] = fd
        if len(self._open) > _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return fd, os.fstat(fd)

    def _write_whole(self, fd: int, data: bytes, log: Log, status: os.stat_result, now: float) -> int:
        """All of `data`, or, with an OSError, nothing of it."""
        if not data:
            return 0
        self._mark(log, status, now)
        written = 0
        try:
            while written < len(data):
                written += os.write(fd, data[written:])
        except OSError:
            if written:
                os.ftruncate(fd, status.st_size)
            raise
        return written

    def _mark(self, log: Log, status: os.stat_result, now: float) -> None:
        is_due = status.st_size == 0 or abs(now - log.marked) >= MARK_EVERY
        if is_due and self._state_dir is not None and not log.settings.timestamps:
            self._marks.append((log, Mark(status.st_dev, status.st_ino, now, status.st_size)))
            log.marked = now
            if len(self._marks) > _MOST_MARKS:
                self._write_mark()

    def _write_mark(self) -> None:
        """The next write makes another one if this one cannot be written."""
        log, mark = self._marks.popleft()
        if self._state_dir is not None and not add_mark(marks_path(self._state_dir, log.worker), mark):
            log.marked = 0.0

    def _rotate(self, log: Log, status: os.stat_result) -> None:
        doomed = _doomed(log)
        try:
            if _is_at(log.path, status):
                _rename(log.path, log.settings.backups)
        except OSError:
            if doomed >= 0:
                os.close(doomed)
            raise
        self._close(log.path)
        if doomed >= 0:
            self._close_aside(doomed)

    def _close_aside(self, fd: int) -> None:
        """Whoever closes the last descriptor of a removed file frees all of it."""
        self._has_freed()
        self._freeing = threading.Thread(target=os.close, args=(fd,), daemon=True)
        try:
            self._freeing.start()
        except RuntimeError:  # there can be no more threads
            self._freeing = None
            os.close(fd)

    def _has_freed(self) -> bool:
        """What is still being freed may be what is missing: wait for it. False when there is nothing."""
        if self._freeing is None:
            return False
        self._freeing.join()
        self._freeing = None
        return True

    def _close(self, path: str) -> None:
        os.close(self._open.pop(path))


def open_log(path: str) -> int:
    """A log file to append to for long; one that has grown too large is rotated first.

    Raises:
        CannotRun: 73.
    """
    settings = LogSettings()
    try:
        if os.path.exists(path) and os.stat(path).st_size > settings.max_bytes:
            _rename(path, settings.backups)
        return os.open(path, _FLAGS, 0o640)
    except OSError as error:
        raise CannotRun(f"cannot write the log {path!r}: {error.strerror}", 73) from None


def _last_of_file(data: bytes, log: Log, size: int) -> tuple[int, int]:
    """How a file that cannot take all of `data` ends: so many bytes of its end are moved to the next file, and so many
    of `data` still go into this one.
    """
    room = max(0, max(1, log.settings.max_bytes) - size)
    whole = data.rfind(b"\n", 0, room) + 1
    if whole or (log.begun == 0 and size):
        return 0, whole
    if 0 < log.begun < size and log.begun <= _LONGEST_MOVED:
        return log.begun, 0
    return 0, room  # the line is longer than the file may be


def _take_back(fd: int, size: int, count: int) -> bytes:
    """Remove the last bytes of a file."""
    with open(f"/proc/self/fd/{fd}", "rb", buffering=0) as file:
        taken = os.pread(file.fileno(), count, size - count)
    os.ftruncate(fd, size - count)
    return taken


def _count_begun(log: Log, written: bytes) -> None:
    end = written.rfind(b"\n") + 1
    log.begun = len(written) - end if end else log.begun + len(written)


def _doomed(log: Log) -> int:
    """A descriptor of the file that is about to be removed, if it is a large one; or -1."""
    backups = log.settings.backups
    try:
        fd = os.open(f"{log.path}.{backups}" if backups else log.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    if os.fstat(fd).st_size >= _LARGE:
        return fd
    os.close(fd)
    return -1


def _is_at(path: str, status: os.stat_result) -> bool:
    """False when somebody has renamed or removed the file."""
    try:
        return os.path.samestat(os.stat(path), status)
    except FileNotFoundError:
        return False


def _rename(path: str, backups: int) -> None:
    if backups == 0:
        _empty(path)
        return
    free = 1
    while free < backups and os.path.lexists(f"{path}.{free}"):
        free += 1
    for number in range(free, 1, -1):
        os.replace(f"{path}.{number - 1}", f"{path}.{number}")
    os.replace(path, f"{path}.1")


def _empty(path: str) -> None:
    """By a new file, so that who follows the old one can read it to its end; where that cannot be, by truncation."""
    try:
        os.unlink(path)
    except OSError:
        os.truncate(path, 0)
