"""Channels: the daemon's ends of the two pipes that a worker may have (DESIGN § 4). What is said on them is described
in procsup/wire/messages.py; what becomes of it is post.py's business.

Laws: no worker can hold up the others, or make the daemon grow. As with output (output.py) the pipes have an epoll set
of their own; a turn of the loop reads for no longer than _TURN_SECONDS, but for the last line, and who has much to say
takes turns with the others. A line that is not a message costs that worker a complaint and nothing else; complaints are
counted, and told of at the first, the 10th, the 100th.

What a worker does not read is kept: messages up to MAX_UNREAD bytes, and then whoever sends is refused. What the daemon
itself has to say, which nobody could send again, is kept up to twice as many, and lost after that, with a complaint. As
long as a mailbox is full, its worker is not listened to either: so its own requests cannot fill it with answers.
"""

import fcntl
import os
import select
import sys
import termios
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

from procsup.runtime.loop import READ, WRITE, Loop
from procsup.runtime.spawn import SpawnFailure
from procsup.wire.messages import FROM_WORKER, MAX_LINE, Json, parse

MAX_UNREAD = 1024 * 1024
"""Bytes kept for a worker beside what its pipe holds."""

_TURN_SECONDS = 0.001
_FAIR = 64
"""Lines of one worker at a time."""
_AT_ONCE = 16
"""Workers of those who have just spoken; the others are ready still in the next turn, and epoll(7) takes turns."""
_PIECE = 16384
_LAST_WORDS = 65536
_LAST_WORDS_SECONDS = 0.01
"""What is read at most of what a worker left behind: as many bytes as a pipe holds, unless it was widened."""

Take = Callable[[int, str, Json], None]
"""Called with a life, the path of its worker, and what it says, a message of FROM_WORKER."""

OnComplaint = Callable[[int, int, str], None]
"""Called with a life, how many complaints there have been about it, and the last of them."""


class _Hearing(Enum):
    """How it is with a worker's outbox. Only WATCHED ones are in the epoll set."""

    UNBORN = "unborn"
    """It may speak already, but the tree does not know yet that it runs."""
    WATCHED = "watched"
    WAITING = "waiting"
    """Whole lines of it are left; it waits for its turn."""
    MUTED = "muted"
    """It is to read its own mailbox first."""
    CLOSED = "closed"


class Channels:
    """Owns the pipes of every life that has them."""

    def __init__(self, loop: Loop, take: Take, on_complaint: OnComplaint) -> None:
        self._loop = loop
        self._take = take
        self._on_complaint = on_complaint
        self._epoll = select.epoll()
        self._lives: dict[int, _Channel] = {}
        self._by_fd: dict[int, _Channel] = {}
        self._waiting: deque[_Channel] = deque()
        self._is_turn_due = False
        loop.watch(self._epoll.fileno(), READ, self._take_turn)

    def open(self, life: int, worker: str) -> tuple[int, int]:
        """What the worker of this path is to be spawned with, mailbox and outbox; the caller closes them after that.

        Raises:
            SpawnFailure: "channel"; nothing stays open.
        """
        opened: list[int] = []
        try:
            opened += os.pipe2(os.O_CLOEXEC)
            opened += os.pipe2(os.O_CLOEXEC)
            its_mailbox, mailbox, outbox, its_outbox = opened
            os.set_blocking(mailbox, False)
            os.set_blocking(outbox, False)
        except OSError as error:
            for fd in opened:
                os.close(fd)
            raise SpawnFailure("channel", error.errno or 0) from None
        channel = _Channel(life, worker, mailbox, outbox)
        self._lives[life] = self._by_fd[mailbox] = self._by_fd[outbox] = channel
        return its_mailbox, its_outbox

    def listen(self, life: int) -> None:
        """The worker is known to run: what it says can be answered."""
        channel = self._lives.get(life)
        if channel is not None and channel.hearing is _Hearing.UNBORN:
            self._settle(channel)

    def is_open(self, life: int) -> bool:
        """Whether this life can be written to. That the worker has closed its end is seen by writing only."""
        channel = self._lives.get(life)
        return channel is not None and channel.mailbox >= 0

    def send(self, life: int, line: bytes) -> bool:
        """Write a line that somebody else sends; to nobody, if it is not open. False when the mailbox is full."""
        return self._write(life, line, MAX_UNREAD)

    def tell(self, life: int, line: bytes) -> None:
        """Write a line of the daemon's own."""
        if not self._write(life, line, 2 * MAX_UNREAD):
            self.complain(life, "cannot tell it anything more: its mailbox is full")

    def retract(self, life: int, beginning: bytes) -> None:
        """Drop the lines that begin so and of which nothing was written yet."""
        channel = self._lives.get(life)
        if channel is None:
            return
        while (at := channel.unwritten.find(b"\n" + beginning)) >= 0:
            del channel.unwritten[at + 1 : channel.unwritten.index(b"\n", at + 1) + 1]

    def complain(self, life: int, why: str) -> None:
        """The worker has said what is no message, or the like."""
        channel = self._lives[life]
        channel.complaints += 1
        if channel.complaints == channel.next_told:
            channel.next_told *= 10
            self._on_complaint(life, channel.complaints, why)

    def end(self, life: int) -> None:
        """The worker has ended: take its last words, and close. Not every life has a channel."""
        channel = self._lives.get(life)
        if channel is None:
            return
        self._take_last_words(channel)
        self._close_outbox(channel)
        self._close_mailbox(channel)
        del self._lives[life]

    def close(self) -> None:
        for life in list(self._lives):
            self.end(life)
        self._loop.forget(self._epoll.fileno())
        self._epoll.close()

    # Writing

    def _write(self, life: int, line: bytes, most: int) -> bool:
        channel = self._lives.get(life)
        if channel is None or channel.mailbox < 0:
            return True
        if len(channel.unwritten) + len(line) > most:
            return False
        was_empty = not channel.unwritten
        channel.unwritten += line
        if was_empty:
            self._flush(channel)
            if channel.unwritten:
                self._await_room(channel)
        return True

    def _flush(self, channel: "_Channel") -> None:
        """Write what fits."""
        try:
            while channel.unwritten:
                del channel.unwritten[: os.write(channel.mailbox, memoryview(channel.unwritten)[:_PIECE])]
        except BlockingIOError:
            pass
        except OSError:  # it has closed its end
            self._close_mailbox(channel)

    def _await_room(self, channel: "_Channel") -> None:
        try:
            self._epoll.register(channel.mailbox, WRITE)
            channel.is_awaited = True
        except OSError:
            self.complain(channel.life, "cannot wait until it reads its mailbox: the kernel lets us watch no more")
            self._close_mailbox(channel)

    def _has_room(self, channel: "_Channel") -> None:
        """Its worker has read, or closed its end."""
        self._flush(channel)
        if not channel.unwritten and channel.is_awaited:
            channel.is_awaited = False
            self._epoll.unregister(channel.mailbox)
        if channel.hearing is _Hearing.MUTED:
            self._settle(channel)

    def _close_mailbox(self, channel: "_Channel") -> None:
        if channel.mailbox >= 0:
            if channel.is_awaited:
                channel.is_awaited = False
                self._epoll.unregister(channel.mailbox)
            del self._by_fd[channel.mailbox]
            os.close(channel.mailbox)
            channel.mailbox = -1
            channel.unwritten.clear()

    # Reading

    def _take_turn(self, mask: int = 0) -> None:
        """One helping for each who has just spoken, and for each who waits, as far as the time allows."""
        end = time.monotonic() + _TURN_SECONDS
        waiting = len(self._waiting)
        for fd, _ in self._epoll.poll(0, _AT_ONCE):
            channel = self._by_fd.get(fd)  # another one of these may have closed it
            if channel is None:
                continue
            if fd == channel.mailbox:
                self._has_room(channel)
            else:
                self._hear(channel, end)
        while waiting > 0 and self._waiting and time.monotonic() < end:
            waiting -= 1
            self._hear(self._waiting.popleft(), end)
        if self._waiting:
            self._await_turn()

    def _await_turn(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            self._loop.soon(self._take_next_turn)

    def _take_next_turn(self) -> None:
        self._is_turn_due = False
        if not self._epoll.closed:
            self._take_turn()

    def _hear(self, channel: "_Channel", end: float) -> None:
        """Take some lines: of those that are left, or of the next piece."""
        if not channel.has_line():
            self._read(channel)
        taken = 0
        while not channel.is_full and taken < _FAIR and channel.has_line():
            self._understand(channel)
            taken += 1
            if time.monotonic() > end:
                break
        self._settle(channel)

    def _settle(self, channel: "_Channel") -> None:
        """How it goes on after it was heard."""
        if channel.hearing is _Hearing.CLOSED:
            return
        before = channel.hearing
        if channel.is_full:
            channel.hearing = _Hearing.MUTED
        elif channel.has_line():
            channel.hearing = _Hearing.WAITING
            self._waiting.append(channel)
            if before is _Hearing.MUTED:
                self._await_turn()
        else:
            channel.hearing = _Hearing.WATCHED
        if before is _Hearing.WATCHED and channel.hearing is not _Hearing.WATCHED:
            self._epoll.unregister(channel.outbox)
        elif before is not _Hearing.WATCHED and channel.hearing is _Hearing.WATCHED:
            self._watch(channel)

    def _watch(self, channel: "_Channel") -> None:
        try:
            self._epoll.register(channel.outbox, READ)
        except OSError:
            self.complain(channel.life, "cannot listen to it any more: the kernel lets us watch no more")
            channel.hearing = _Hearing.MUTED

    def _read(self, channel: "_Channel") -> int:
        """The bytes: 0 when there are none, or it has closed its end."""
        try:
            piece = os.read(channel.outbox, _PIECE)
        except BlockingIOError:
            return 0
        if not piece:
            if channel.unread:
                self.complain(channel.life, "cannot read the message: the outbox was closed in the middle of a line")
            self._close_outbox(channel)
        channel.add(piece)
        return len(piece)

    def _understand(self, channel: "_Channel") -> None:
        line = channel.take_line()
        if len(line) > MAX_LINE:
            self.complain(channel.life, f"cannot read the message: the line is longer than {MAX_LINE} bytes")
            return
        try:
            message = parse(line, FROM_WORKER)
        except ValueError as error:
            self.complain(channel.life, str(error))
        else:
            self._take(channel.life, channel.worker, message)

    def _take_last_words(self, channel: "_Channel") -> None:
        end = time.monotonic() + _LAST_WORDS_SECONDS
        left = 0 if channel.hearing is _Hearing.CLOSED else min(_unread(channel.outbox), _LAST_WORDS)
        while time.monotonic() < end:
            if channel.has_line():
                self._understand(channel)
            elif left <= 0 or (count := self._read(channel)) == 0:
                return
            else:
                left -= count

    def _close_outbox(self, channel: "_Channel") -> None:
        if channel.hearing is _Hearing.CLOSED:
            return
        if channel.hearing is _Hearing.WATCHED:
            self._epoll.unregister(channel.outbox)
        elif channel.hearing is _Hearing.WAITING and channel in self._waiting:
            self._waiting.remove(channel)
        channel.hearing = _Hearing.CLOSED
        del self._by_fd[channel.outbox]
        os.close(channel.outbox)


class _Channel:
    """Of one life. `mailbox` and `outbox` are our ends; `mailbox` is -1 once it is closed."""

    __slots__ = (
        "_searched", "complaints", "hearing", "is_awaited", "life", "mailbox", "next_told", "outbox", "unread",
        "unwritten", "worker",
    )  # fmt: skip

    def __init__(self, life: int, worker: str, mailbox: int, outbox: int) -> None:
        self.life = life
        self.worker = worker
        self.mailbox = mailbox
        self.outbox = outbox
        self.hearing = _Hearing.UNBORN
        self.unwritten = bytearray()
        self.is_awaited = False
        """Its mailbox is in the epoll set, until there is room."""
        self.unread = bytearray()
        self.complaints = 0
        self.next_told = 1
        self._searched = 0

    @property
    def is_full(self) -> bool:
        return len(self.unwritten) > MAX_UNREAD

    def add(self, piece: bytes) -> None:
        """Of a line that is too long, no more is kept than shows it."""
        self.unread += piece
        if len(self.unread) > MAX_LINE and not self.has_line():
            del self.unread[MAX_LINE + 1 :]
            self._searched = len(self.unread)

    def has_line(self) -> bool:
        end = self.unread.find(b"\n", self._searched)
        self._searched = end if end >= 0 else len(self.unread)
        return end >= 0

    def take_line(self) -> bytes:
        """The next, with its end; there is one."""
        end = self._searched + 1
        line = bytes(self.unread[:end])
        del self.unread[:end]
        self._searched = 0
        return line


def _unread(fd: int) -> int:
    """Bytes in a pipe. pipe(7)."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
