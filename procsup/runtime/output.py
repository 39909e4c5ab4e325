"""Workers' standard input, output and error: where they lead, and what comes out of the pipes.

The spec says where each leads (`Program`). What is captured, "log" and paths, comes through a pipe: one for each place
of a life, so that stdout and stderr that go to one place are joined in the order written. A line is held back until its
end comes, or the life's; or until it is longer than _LONGEST_HELD, and then it is written in parts. The last lines of a
life are remembered for its exit.

Laws: nothing that a worker says can hold up the others. The pipes have an epoll set of their own, which the loop's one
watches: however many workers there are and however much they say, a turn of the loop reads no more than TURN_BYTES of
it and for no longer than TURN_SECONDS, but for the last read. Pipes that are ready take turns (epoll(7)). A pipe that
has much to carry is busy: it is not watched but visited (visits.py), until it falls silent.
"""

import contextlib
import fcntl
import math
import os
import select
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator

from procsup.core.spec import LogSettings, Program
from procsup.runtime import journald
from procsup.runtime.logfile import Log, LogFiles
from procsup.runtime.logs import Logs, OnLost
from procsup.runtime.loop import READ, Loop
from procsup.runtime.names import name_of
from procsup.runtime.spawn import SpawnFailure, Stdio
from procsup.runtime.visits import LEAST_COST, REST, TURN_BYTES, TURN_SECONDS, Visits

_MUCH = 16384
"""Bytes: a pipe that gives so many in one read is busy; and so is one that gives anything twice within REST."""

_CHUNK = 131072
_CHUNK_WITH_LISTENER = 16384
"""Who puts lines into words for a person needs longer for each."""

_LONGEST_HELD = 65536
_TAIL_BYTES = 2048
_TAIL_LINES = 10

_CHUNK_WITH_READY_LINE = 4096
"""Somebody looks for a line in it."""

Listener = Callable[[bytes], None]
"""Called with whatever was read, in pieces that need not be lines."""

OnLines = Callable[[str, bytes], None]
"""Called with a worker's path and what it wrote: whole lines, or a part of one that is very long."""


class Outputs:
    """Owns the pipes of every life, and the log files. `on_lines` listens to everything that is captured."""

    def __init__(
        self, loop: Loop, log_dir: str, files: LogFiles, on_lost: OnLost, on_lines: OnLines | None = None
    ) -> None:
        self._loop = loop
        self._log_dir = log_dir
        self._files = files
        self._logs = Logs(files, on_lost)
        self._on_lines = on_lines
        self.chunk = _CHUNK if on_lines is None else _CHUNK_WITH_LISTENER
        self._epoll = select.epoll()
        self._pipes: dict[int, _Pipe] = {}
        """By descriptor"""
        self._lives: dict[int, tuple[_Pipe, ...]] = {}
        self._ended: list[_Pipe] = []
        self._visits = Visits()
        loop.watch(self._epoll.fileno(), READ, self._take_turn)

    # One life

    def open(self, life: int, worker: str, program: Program) -> Stdio:
        """What the worker of this path is to be spawned with; to be released after that.

        Raises:
            SpawnFailure: "stdin", "pipe" or "journal"; nothing stays open.
        """
        opened: dict[str, int] = {}
        try:
            with _stage("stdin"):
                stdin = _input(program.stdin, opened)
            stdout, stderr = [
                self._output(place, inherited, opened, life, worker, program)
                for place, inherited in ((program.stdout, 1), (program.stderr, 2))
            ]
        except SpawnFailure:
            _close_all(opened.values())
            self.end(life)
            raise
        return Stdio(stdin, stdout, stderr)

    def release(self, stdio: Stdio) -> None:
        """The worker has them, or was not spawned."""
        _close_all({fd for fd in stdio.fds if fd > 2})

    def listen(self, life: int, make: Callable[[], Listener] | None) -> None:
        """Have what comes from this life be heard, by a listener for each of its pipes; None: by nobody any more."""
        for pipe in self._lives.get(life, ()):
            pipe.listener = None if make is None else make()

    def drain(self, life: int) -> tuple[str, ...]:
        """Read what a worker that has ended left in its pipes. Its last lines, without their ends; bytes that are not
        UTF-8 are shown as \\xNN. Where stderr is apart, its lines come last.
        """
        pipes = self._lives.get(life, ())
        for pipe in pipes:
            pipe.drain()
        return tuple(line for pipe in pipes for line in pipe.last_lines())[-_TAIL_LINES:]

    def end(self, life: int) -> None:
        """Nothing is left of this life: read and write what it left behind. `tidy` closes the pipes."""
        for pipe in self._lives.pop(life, ()):
            pipe.drain()
            pipe.end_line()
            self._ended.append(pipe)

    def keep(self, life: int, settings: LogSettings) -> None:
        """From now on its logs are kept so."""
        for pipe in self._lives.get(life, ()):
            pipe.log.settings = settings

    # All of them

    def lost_bytes(self, worker: str) -> int:
        """What could not be written, since the daemon began, of the output of the worker of this path."""
        return self._logs.lost_bytes(worker)

    def reopen(self) -> None:
        """Somebody has renamed log files: go on in new ones."""
        self._files.close()

    def tidy(self) -> None:
        """What may be done after the next life has begun."""
        for pipe in self._ended:
            pipe.close()
        self._ended.clear()

    def next_poll(self) -> float | None:
        """When `poll` is due, or None."""
        due = self._visits.next_due()
        return -math.inf if due is None and self._files.has_marks() else due

    def poll(self, now: float) -> None:
        """Visit the busy pipes, if it is time, and write what could wait."""
        self._visits.make(now)
        if self._files.has_marks():
            self._files.write_marks(is_busy=len(self._visits) > 0)

    def give_way(self, now: float) -> None:
        """Something happens in the tree."""
        self._visits.give_way(now)

    def close(self) -> None:
        for life in list(self._lives):
            self.end(life)
        self.tidy()
        self._files.close()
        self._loop.forget(self._epoll.fileno())
        self._epoll.close()

    def write_ended(self, pipe: "_Pipe", before: bytes, lines: memoryview) -> None:
        """Both are one, and end a line. They are copied together only where somebody needs that."""
        if self._on_lines is not None or not self._logs.write_ended(pipe.log, before, lines):
            self.write(pipe, before + lines)

    def write(self, pipe: "_Pipe", lines: bytes) -> None:
        self._logs.write(pipe.log, lines, pipe.worker, pipe.life)
        if self._on_lines is not None:
            self._on_lines(pipe.worker, lines)

    def tell_of_gap(self, pipe: "_Pipe") -> None:
        self._logs.tell_of_gap(pipe.log, pipe.worker, pipe.life)

    def watch(self, pipe: "_Pipe") -> bool:
        """A pipe that was busy. False when there is no watch left for it now."""
        try:
            self._epoll.register(pipe.fd, READ)
        except OSError:
            return False
        pipe.is_busy = False
        return True

    def forget(self, pipe: "_Pipe") -> None:
        del self._pipes[pipe.fd]
        if pipe.is_busy:
            self._visits.remove(pipe)
        else:
            self._epoll.unregister(pipe.fd)

    def _take_turn(self, mask: int) -> None:
        now = time.monotonic()
        left, end = TURN_BYTES, now + TURN_SECONDS
        while left > 0 and now < end and (ready := self._epoll.poll(0, 1)):
            pipe = self._pipes[ready[0][0]]
            count = pipe.take()
            if pipe.fd >= 0 and (count >= _MUCH or now - pipe.taken < REST):
                self._make_busy(pipe, now)
            pipe.taken = now
            left -= max(LEAST_COST, count)
            now = time.monotonic()

    def _make_busy(self, pipe: "_Pipe", now: float) -> None:
        self._epoll.unregister(pipe.fd)
        pipe.is_busy = True
        pipe.width = fcntl.fcntl(pipe.fd, fcntl.F_GETPIPE_SZ)
        self._visits.add(pipe, now)

    def _output(
        self, place: str, inherited: int, opened: dict[str, int], life: int, worker: str, program: Program
    ) -> int:
        """Where two lead to the same place, the second one gets what was opened for the first."""
        match place:
            case "inherit":
                return inherited
            case "null":
                return -1
            case "journal":
                if place not in opened:
                    with _stage("journal"):
                        opened[place] = journald.connect(name_of(worker))
                return opened[place]
            case "log":
                place = os.path.join(self._log_dir, f"{name_of(worker)}.log")
        if place not in opened:
            with _stage("pipe"):
                opened[place] = self._open_pipe(life, worker, Log(place, program.log, name_of(worker)))
        return opened[place]

    def _open_pipe(self, life: int, worker: str, log: Log) -> int:
        """The worker's end.

        Raises:
            OSError: no descriptor or watch left; nothing stays open.
        """
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(ours, False)
            self._epoll.register(ours, READ)
        except OSError:
            _close_all((ours, theirs))
            raise
        pipe = self._pipes[ours] = _Pipe(self, ours, log, worker, life)
        self._lives[life] = (*self._lives.get(life, ()), pipe)
        return theirs


class _Pipe:
    """What comes from a life for one place. Owns the read end; `fd` is -1 once that is closed. `taken` is when it last
    gave something, in seconds of the monotonic clock, and `width` how many bytes it holds, once it is busy.
    """

    __slots__ = (
        "_outputs", "_partial", "_tail", "fd", "is_busy", "life", "listener", "log", "taken", "width", "worker",
    )  # fmt: skip

    def __init__(self, outputs: Outputs, fd: int, log: Log, worker: str, life: int) -> None:
        self._outputs = outputs
        self._partial = b""
        self._tail = b""
        self.is_busy = False
        self.taken = 0.0
        self.width = 0
        self.listener: Listener | None = None
        self.fd = fd
        self.log = log
        self.worker = worker
        self.life = life

    @property
    def chunk(self) -> int:
        """Bytes that are read at a time."""
        return self._outputs.chunk if self.listener is None else _CHUNK_WITH_READY_LINE

    def take(self) -> int:
        """One read, and the lines it completes are written. The bytes read: 0 when the pipe is empty or at its end."""
        try:
            data = os.read(self.fd, self.chunk)
        except BlockingIOError:
            return 0
        if not data:
            self.close()
            return 0
        if self.listener is not None:
            self.listener(data)
        self._tail = (self._tail + data)[-_TAIL_BYTES:] if len(data) < _TAIL_BYTES else data[-_TAIL_BYTES:]
        end = data.rfind(b"\n") + 1
        if end:
            self._outputs.write_ended(self, self._partial, memoryview(data)[:end])
            self._partial = data[end:]
        elif len(self._partial) + len(data) <= _LONGEST_HELD:
            self._partial += data
        else:
            self._outputs.write(self, self._partial + data)
            self._partial = b""
        return len(data)

    def widen(self, width: int) -> None:
        """Not always allowed: an ordinary user may have so much in all pipes together."""
        if width > self.width:
            with contextlib.suppress(OSError):
                self.width = fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, width)

    def watch(self) -> bool:
        """It has fallen silent. False when it cannot be watched now."""
        return self._outputs.watch(self)

    def drain(self) -> None:
        """Read what is in the pipe now, and not what is written meanwhile."""
        left = _unread(self.fd) if self.fd >= 0 else 0
        while left > 0 and (count := self.take()):
            left -= count

    def last_lines(self) -> list[str]:
        tail = self._tail
        if len(tail) == _TAIL_BYTES:  # its first line may have lost its beginning
            tail = tail.partition(b"\n")[2].strip(b"\n") or tail
        return tail.decode("utf-8", "backslashreplace").splitlines()[-_TAIL_LINES:]

    def end_line(self) -> None:
        """The life is over: a line that has no end gets one, and what is missing at the end of the log is told."""
        if self._partial or self.log.begun:
            self._outputs.write(self, self._partial + b"\n")
            self._partial = b""
        self._outputs.tell_of_gap(self)

    def close(self) -> None:
        if self.fd >= 0:
            self._outputs.forget(self)
            os.close(self.fd)
            self.fd = -1


def _input(place: str, opened: dict[str, int]) -> int:
    """Raises:
    OSError: the file cannot be opened.
    """
    match place:
        case "inherit":
            return 0
        case "null":
            return -1
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)  # a FIFO would wait for its writer
    os.set_blocking(fd, True)
    opened["stdin"] = fd
    return fd


def _unread(fd: int) -> int:
    """Bytes in a pipe. pipe(7)."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


@contextlib.contextmanager
def _stage(name: str) -> Iterator[None]:
    """Raises:
    SpawnFailure: of this stage, for an OSError.
    """
    try:
        yield
    except OSError as error:
        raise SpawnFailure(name, error.errno or 0) from None
