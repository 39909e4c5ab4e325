"""A writer that the daemon can afford: what it writes to may stop reading, and it never waits.

A person presses Ctrl-S, or pages with `procsup run FILE 2>&1 | less`, or suspends the terminal: each blocks the next
write, and a blocked daemon restarts nobody. So lines are written only while there is room. The others are kept up to a
limit, shown with the next line for which there is room, and counted where even that was too little.

Room is no promise: a terminal that has a little waits for the rest of a long line, and another writer of a pipe may be
quicker. So both are opened anew, not to block; the descriptor that we were given is shared with the shell and stays as
it is.
"""

import os
import select
import stat
import time
from collections.abc import Callable
from typing import Final

_PIECE = 4096
_MOST_KEPT: Final = 256 * 1024


class PatientWriter:
    """`fd` is only borrowed. `write` after `finish` does nothing."""

    def __init__(self, fd: int) -> None:
        self._fd = _opened_not_to_block(fd)
        self._is_own = self._fd != fd
        self._never_blocks = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._is_finished = False
        self._kept = bytearray()
        self._lost_lines = 0

    def write(self, lines: str) -> None:
        """One line or several, with their ends. Never waits and never raises."""
        if self._is_finished:
            return
        self._flush()
        encoded = lines.encode("utf-8", "backslashreplace")
        if self._kept and len(self._kept) + len(encoded) > _MOST_KEPT:
            self._lost_lines += lines.count("\n")
        else:
            self._tell_what_was_lost()
            self._kept += encoded
        self._flush()

    def offer(self, count: int, lines: Callable[[], str]) -> None:
        """So many lines, which are counted, and not even asked for, unless there is room for more than them."""
        self._flush()
        if len(self._kept) < _MOST_KEPT // 2:
            self.write(lines())
        else:
            self._lost_lines += count

    def finish(self, seconds: float) -> None:
        """Waits so long, at most, for the reader to take what is left."""
        end = time.monotonic() + seconds
        while self._kept and (left := end - time.monotonic()) > 0:
            if self._has_room(left):
                self._flush()
        self._is_finished = True
        if self._is_own:
            os.close(self._fd)

    def _tell_what_was_lost(self) -> None:
        if self._lost_lines:
            self._kept += f"... {self._lost_lines} lines not shown: they could not be written\n".encode()
            self._lost_lines = 0

    def _flush(self) -> None:
        while self._kept and self._has_room(0.0):
            try:
                written = os.write(self._fd, self._kept[:_PIECE])
            except BlockingIOError:
                return
            except OSError:  # the terminal or the reader has gone, the disk is full: supervision goes on
                self._lost_lines += self._kept.count(b"\n")
                self._kept.clear()
                return
            del self._kept[:written]

    def _has_room(self, seconds: float) -> bool:
        if self._never_blocks:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))


def _opened_not_to_block(fd: int) -> int:
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # a socket, or another user's terminal after `su`: then looking for room has to do
        return fd
