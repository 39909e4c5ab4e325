"""Seats: the numbers that descriptors of a worker's channel are promised to have (DESIGN § 4).

The fork_exec primitive gives a child its standard three, and whatever else is inheritable under the number that it has
with us. So for the time of a fork we move what sits there, and seat the worker's descriptors in its place. What was
moved stays open under another number, so that no lock, peer or epoll set notices.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence

MAILBOX = 3
OUTBOX = 4

_FIRST_FREE = OUTBOX + 1


def occupy() -> None:
    """In this table of descriptors, nothing that is opened from now on gets a seat."""
    while (fd := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) < _FIRST_FREE:
        pass
    os.close(fd)


@contextlib.contextmanager
def seated(fds: Sequence[int]) -> Iterator[None]:
    """Meanwhile these descriptors, none of which has a seat, are also MAILBOX and OUTBOX, and inheritable there. For
    one thread: others would meet them too.

    Raises:
        OSError: no descriptor left; nobody is moved.
    """
    moved: dict[int, int] = {}
    try:
        for seat, fd in zip((MAILBOX, OUTBOX), fds, strict=False):
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


def _copy(fd: int) -> int:
    """-1: there is none."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    except OSError as error:
        if error.errno == errno.EBADF:
            return -1
        raise
