"""Workers' output: a pipe per life, read when there is something, written to a log file per name, whole lines only.

Each worker writes stdout and stderr, joined in the order written, into one pipe. What comes out is appended to
`log_dir/NAME.log`, which is renamed to NAME.log.1, .2 … when it would grow over MAX_BYTES; a line without an end is
held back until its end comes, or the worker's. The last lines of a life are remembered for its exit.

Laws: a worker never waits for the disk, nor does the loop for a worker: what cannot be written is counted and dropped.
No log file stays open: with thousands of workers that would be thousands of descriptors.
"""

import contextlib
import os
from collections.abc import Callable

from procsup.runtime.failure import CannotRun
from procsup.runtime.loop import READ, Loop
from procsup.runtime.spawn import errno_name

MAX_BYTES = 10_000_000
BACKUPS = 5

_CHUNK = 65536
_TAIL_BYTES = 2048
_TAIL_LINES = 10
_LAST_READS = 64
"""Reads of a dead worker's pipe at most: more than a pipe holds, even the largest (1 MiB)."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking, in case somebody put a FIFO there."""

OnLost = Callable[[int, int, str], None]
"""Called with the life, the bytes lost so far and the errno's name, when output begins to be lost."""


class Output:
    """The output of one life. Owns the read end of its pipe."""

    __slots__ = ("_is_losing", "_log", "_loop", "_lost", "_on_lost", "_partial", "_tail", "fd", "life")

    def __init__(self, loop: Loop, log: str, life: int, on_lost: OnLost) -> None:
        self._loop = loop
        self._log = log
        self._on_lost = on_lost
        self._partial = b""
        self._tail = b""
        self._lost = 0
        self._is_losing = False
        self.life = life
        self.fd = -1

    def open(self) -> int:
        """The write end, for the worker; the caller closes it.

        Raises:
            OSError: no descriptor or watch left; nothing stays open.
        """
        self.fd, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        try:
            self._loop.watch(self.fd, READ, self._read)
        except OSError:
            os.close(self.fd)
            os.close(write_end)
            raise
        return write_end

    def drain(self) -> None:
        """Read what a worker that has ended left in the pipe."""
        for _ in range(_LAST_READS):
            if self.fd < 0 or not self._take():
                return

    def tail(self) -> tuple[str, ...]:
        """The last lines so far, without their ends. Bytes that are not UTF-8 are shown as \\xNN."""
        tail = self._tail
        if len(tail) == _TAIL_BYTES:  # its first line may have lost its beginning
            tail = tail.partition(b"\n")[2].strip(b"\n") or tail
        return tuple(tail.decode("utf-8", "backslashreplace").splitlines()[-_TAIL_LINES:])

    def end_line(self) -> None:
        """The life is over: a line that has no end gets one."""
        if self._partial:
            self._write(self._partial + b"\n")
            self._partial = b""

    def close(self) -> None:
        """Read and write what is left, then let go."""
        self.drain()
        self._close_pipe()
        self.end_line()

    def _read(self, mask: int) -> None:
        self._take()

    def _take(self) -> bool:
        """One read. False when there was nothing: the pipe is empty, or everybody has closed it."""
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close_pipe()
            return False
        self._tail = (self._tail + data)[-_TAIL_BYTES:] if len(data) < _TAIL_BYTES else data[-_TAIL_BYTES:]
        end = data.rfind(b"\n") + 1
        if end == 0 and len(self._partial) + len(data) <= _CHUNK:
            self._partial += data
            return True
        whole = self._partial + (data[:end] or data)
        self._partial = data[end:] if end else b""
        self._write(whole)
        return True

    def _close_pipe(self) -> None:
        if self.fd >= 0:
            self._loop.forget(self.fd)
            os.close(self.fd)
            self.fd = -1

    def _write(self, lines: bytes) -> None:
        try:
            append(self._log, lines)
            self._is_losing = False
        except OSError as error:
            self._lost += len(lines)
            if not self._is_losing:
                self._is_losing = True
                self._on_lost(self.life, self._lost, errno_name(error.errno or 0))


def append(path: str, lines: bytes) -> None:
    """Append to a log file, rotating it first when it would grow too large.

    Raises:
        OSError: not everything was written.
    """
    fd = os.open(path, _FLAGS, 0o640)
    try:
        size = os.fstat(fd).st_size
        if size and size + len(lines) > MAX_BYTES:
            os.close(fd)
            fd = -1
            _rotate(path)
            fd = os.open(path, _FLAGS, 0o640)
        written = os.write(fd, lines)
        while written < len(lines):
            written += os.write(fd, lines[written:])
    finally:
        if fd >= 0:
            os.close(fd)


def open_log(path: str) -> int:
    """A log file to append to for long; one that has grown too large is rotated first.

    Raises:
        CannotRun: 73.
    """
    try:
        if os.path.exists(path) and os.stat(path).st_size > MAX_BYTES:
            _rotate(path)
        return os.open(path, _FLAGS, 0o640)
    except OSError as error:
        raise CannotRun(f"cannot write the log {path!r}: {error.strerror}", 73) from None


def _rotate(path: str) -> None:
    for number in range(BACKUPS - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    os.replace(path, f"{path}.1")
