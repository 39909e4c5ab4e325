"""Channels: the daemon's ends of the two pipes that a worker may have (DESIGN § 4). What is said on them is described
in procsup/wire/messages.py; what becomes of it is post.py's business.

Laws: no worker can hold up the others, or make the daemon grow. A turn of the loop hears workers for no longer than
_TURN_SECONDS, but for the last line. Who has much to say, or has come too late in a turn, lines up, and as long as
anybody waits so does everybody else: first come, first served. A line that is not a message costs that worker a
complaint and nothing else; complaints are counted, and told of at the first, the 10th, the 100th.

What a worker does not read is kept: messages up to MAX_UNREAD bytes, and then whoever sends is refused. What the daemon
itself has to say, which nobody could send again, is kept up to twice as many, and lost after that, with a complaint. As
long as a mailbox is full, its worker is not listened to either: so its own requests cannot fill it with answers.
"""

import fcntl
import os
import sys
import termios
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from functools import partial

from procsup.runtime.loop import READ, WRITE, Loop
from procsup.runtime.spawn import SpawnFailure
from procsup.wire.messages import FROM_WORKER, MAX_LINE, Json, parse, parse_plain_send

MAX_UNREAD = 1024 * 1024
"""Bytes kept for a worker beside what its pipe holds."""

_TURN_SECONDS = 0.001
_FAIR = 64
"""Lines of one worker at a time."""
_PIECE = 16384
_LONGEST_COMPLAINT = 1000
"""Characters; it may quote what the worker said."""
_LAST_WORDS = 65536
_LAST_WORDS_SECONDS = 0.01
"""What is read at most of what a worker left behind: as many bytes as a pipe holds, unless it was widened."""

Take = Callable[[int, str, Json], None]
"""Called with a life, the path of its worker, and what it says, a message of FROM_WORKER."""

PassOn = Callable[[int, str, str, str], None]
"""Called for a `send` that is plain (parse_plain_send), with a life, the path of its worker, to whom, and the body."""

OnComplaint = Callable[[int, int, str], None]
"""Called with a life, how many complaints there have been about it, and the last of them."""


class _Hearing(Enum):
    """How it is with a worker's outbox. The loop watches WATCHED ones only."""

    UNBORN = "unborn"
    """It may speak already, but the tree does not know yet that it runs."""
    WATCHED = "watched"
    WAITING = "waiting"
    """It has more to say, and waits for its turn."""
    MUTED = "muted"
    """It is to read its own mailbox first."""
    CLOSED = "closed"


class Channels:
    """Owns the pipes of every life that has them."""

    def __init__(self, loop: Loop, take: Take, pass_on: PassOn, on_complaint: OnComplaint) -> None:
        self._loop = loop
        self._take = take
        self._pass_on = pass_on
        self._on_complaint = on_complaint
        self._lives: dict[int, _Channel] = {}
        self._waiting: deque[_Channel] = deque()
        self._is_turn_due = False
        self._turn = -1
        self._end = 0.0
        """When the time of this turn is over."""

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
        self._lives[life] = _Channel(life, worker, mailbox, outbox)
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
            self._on_complaint(life, channel.complaints, why[:_LONGEST_COMPLAINT])

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

    # Writing

    def _write(self, life: int, line: bytes, most: int) -> bool:
        channel = self._lives.get(life)
        if channel is None or channel.mailbox < 0:
            return True
        if len(channel.unwritten) + len(line) > most:
            return False
        if channel.unwritten:
            channel.unwritten += line
        else:
            channel.unwritten += line[self._put(channel, line) :]
            if channel.unwritten:
                self._await_room(channel)
        return True

    def _flush(self, channel: "_Channel") -> None:
        """Write what fits."""
        while channel.unwritten and (written := self._put(channel, bytes(channel.unwritten[:_PIECE]))):
            del channel.unwritten[:written]

    def _put(self, channel: "_Channel", piece: bytes) -> int:
        """How much of it need not be kept: what fits, or all if there is nobody to read it any more."""
        try:
            return os.write(channel.mailbox, piece)
        except BlockingIOError:
            return 0
        except OSError:  # it has closed its end
            self._close_mailbox(channel)
            return len(piece)

    def _await_room(self, channel: "_Channel") -> None:
        try:
            self._loop.watch_aside(channel.mailbox, WRITE, partial(self._has_room, channel))
            channel.is_awaited = True
        except OSError:
            self.complain(channel.life, "cannot wait until it reads its mailbox: the kernel lets us watch no more")
            self._close_mailbox(channel)

    def _has_room(self, channel: "_Channel", mask: int) -> None:
        """Its worker has read, or closed its end."""
        self._flush(channel)
        if not channel.unwritten and channel.is_awaited:
            channel.is_awaited = False
            self._loop.forget(channel.mailbox)
        if channel.hearing is _Hearing.MUTED:
            self._settle(channel)

    def _close_mailbox(self, channel: "_Channel") -> None:
        if channel.mailbox >= 0:
            if channel.is_awaited:
                channel.is_awaited = False
                self._loop.forget(channel.mailbox)
            os.close(channel.mailbox)
            channel.mailbox = -1
            channel.unwritten.clear()

    # Reading

    def _speaks(self, channel: "_Channel", mask: int) -> None:
        """One that is watched."""
        if self._waiting or self._is_time_over():
            self._loop.forget(channel.outbox)
            self._line_up(channel)
        else:
            self._hear(channel)

    def _line_up(self, channel: "_Channel") -> None:
        channel.hearing = _Hearing.WAITING
        self._waiting.append(channel)
        if not self._is_turn_due:
            self._is_turn_due = True
            self._loop.soon(self._hear_who_waits)

    def _hear_who_waits(self) -> None:
        """Each once, as far as the time allows."""
        self._is_turn_due = False
        for _ in range(len(self._waiting)):
            if self._is_time_over() or not self._waiting:  # at the end of a life one leaves the line
                break
            self._hear(self._waiting.popleft())
        if self._waiting and not self._is_turn_due:
            self._is_turn_due = True
            self._loop.soon(self._hear_who_waits)

    def _is_time_over(self) -> bool:
        """Of this turn. It begins when the first one is heard."""
        now = time.monotonic()
        if self._turn != self._loop.turns:
            self._turn = self._loop.turns
            self._end = now + _TURN_SECONDS
        return now > self._end

    def _hear(self, channel: "_Channel") -> None:
        """Take some lines: of those that are left, or of the next piece."""
        if not channel.lines:
            self._read(channel)
        for _ in range(_FAIR):
            if channel.is_full or not channel.lines:
                break
            self._understand(channel, channel.lines.popleft())
            if self._is_time_over():
                break
        self._settle(channel)

    def _settle(self, channel: "_Channel") -> None:
        """How it goes on after it was heard."""
        if channel.hearing is _Hearing.CLOSED:
            return
        if not channel.is_full and not channel.lines:
            if channel.hearing is not _Hearing.WATCHED:
                self._watch(channel)
            return
        if channel.hearing is _Hearing.WATCHED:
            self._loop.forget(channel.outbox)
        if channel.is_full:
            channel.hearing = _Hearing.MUTED
        else:
            self._line_up(channel)

    def _watch(self, channel: "_Channel") -> None:
        try:
            self._loop.watch_aside(channel.outbox, READ, partial(self._speaks, channel))
            channel.hearing = _Hearing.WATCHED
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

    def _understand(self, channel: "_Channel", line: bytes) -> None:
        if len(line) >= MAX_LINE:
            self.complain(channel.life, f"cannot read the message: the line is longer than {MAX_LINE} bytes")
            return
        sent = parse_plain_send(line)
        if sent is not None:
            self._pass_on(channel.life, channel.worker, *sent)
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
            if channel.lines:
                self._understand(channel, channel.lines.popleft())
            elif left <= 0 or (count := self._read(channel)) == 0:
                return
            else:
                left -= count

    def _close_outbox(self, channel: "_Channel") -> None:
        if channel.hearing is _Hearing.CLOSED:
            return
        if channel.hearing is _Hearing.WATCHED:
            self._loop.forget(channel.outbox)
        elif channel.hearing is _Hearing.WAITING and channel in self._waiting:
            self._waiting.remove(channel)
        channel.hearing = _Hearing.CLOSED
        os.close(channel.outbox)


class _Channel:
    """Of one life. `mailbox` and `outbox` are our ends; `mailbox` is -1 once it is closed."""

    __slots__ = (
        "complaints", "hearing", "is_awaited", "life", "lines", "mailbox", "next_told", "outbox", "unread", "unwritten",
        "worker",
    )  # fmt: skip

    def __init__(self, life: int, worker: str, mailbox: int, outbox: int) -> None:
        self.life = life
        self.worker = worker
        self.mailbox = mailbox
        self.outbox = outbox
        self.hearing = _Hearing.UNBORN
        self.unwritten = bytearray()
        self.is_awaited = False
        """The loop watches its mailbox, until there is room."""
        self.lines: deque[bytes] = deque()
        """Read, and not understood yet; without their ends."""
        self.unread = b""
        """The beginning of the next line"""
        self.complaints = 0
        self.next_told = 1

    @property
    def is_full(self) -> bool:
        return len(self.unwritten) > MAX_UNREAD

    def add(self, piece: bytes) -> None:
        """Of a line that is too long, no more is kept than shows it."""
        *lines, rest = (self.unread + piece).split(b"\n")
        self.lines.extend(lines)
        self.unread = rest[:MAX_LINE]


def _unread(fd: int) -> int:
    """Bytes in a pipe. pipe(7)."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
