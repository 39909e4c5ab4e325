"""Seats: the numbers that descriptors of a worker are promised to have: of its channel (DESIGN § 4), or where it is to
say that it is ready (§ 5).

The fork_exec primitive gives a child its standard three, and whatever else is inheritable under the number that it has
with us. So for the time of a fork we move what sits there, and seat the worker's descriptors in its place. What was
moved stays open under another number, so that no lock, peer or epoll set notices. That goes for the first numbers only,
which are always taken: a higher one is free perhaps, and another thread might be given it meanwhile.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable, Iterator

MAILBOX = 3
OUTBOX = 4

LAST = OUTBOX

_FIRST_FREE = LAST + 1


def occupy() -> None:
    """In this table of descriptors, nothing that is opened from now on gets a seat."""
    while (fd := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) < _FIRST_FREE:
        pass
    os.close(fd)


@contextlib.contextmanager
def seated(fds: Iterable[tuple[int, int]]) -> Iterator[None]:
    """Meanwhile each descriptor, which has no seat itself, is also that before it, MAILBOX to LAST, and inheritable
    there. For one thread: others would meet them too.

    Raises:
        OSError: no descriptor left; nobody is moved.
    """
    moved: dict[int, int] = {}
    try:
        for seat, fd in fds:
            moved[seat] = _copy(seat)
            os.dup2(fd, seat)
        yield
    finally:
        for seat, copy in moved.items():
            if copy < 0:
                os.close(seat)
            else:
                os.dup2(copy, seat, inheritable=False)
                os.close(copy)


def give(fds: Iterable[tuple[int, int]]) -> None:
    """In a child that executes a program by itself: each descriptor gets the number before it, whatever else had that,
    and is inheritable there. A number above LAST comes last, for another one of them may have it.

    Raises:
        OSError: the number is above the limit.
    """
    for seat, fd in fds:
        os.dup2(fd, seat)
        os.set_inheritable(seat, True)  # if it had that number, dup2 did nothing


def away_from(seat: int, fd: int) -> int:
    """The descriptor, or a copy if it has the seat itself.

    Raises:
        OSError: no descriptor left.
    """
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) if fd == seat else fd


def _copy(fd: int) -> int:
    """-1: there is none."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    except OSError as error:
        if error.errno == errno.EBADF:
            return -1
        raise
