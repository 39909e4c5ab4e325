"""The locks of a daemon: one daemon per socket, one per state directory.

A lock is a flock(2) on a file beside what it guards. The kernel lets go of it when the last holder of the descriptor
dies, however it dies, so that a lock is never stale; what a dead daemon left behind (its socket) may be removed by
whoever holds the lock. The file stays: removing it would let two daemons lock two files of one name.

The daemon and its guardian hold it both. In the file stand their pids, which tell whether the lock is held by a healthy
pair or by one that is left of it, and is about to let go once nothing of its tree is left; and the mark by which what
both of them have left is known, should they die together (leftovers.py).
"""

import fcntl
import os
import time
from typing import NamedTuple

from procsup.runtime.failure import CannotRun
from procsup.runtime.procfs import stat_of

_LONGEST = 200
"""Bytes in the file."""

_PATIENCE = 10.0
_PAUSE = 0.01
"""Seconds that a holder is given that is about to let go, and between two attempts."""


class Lock(NamedTuple):
    """`fd` holds it; closing it lets go. `last` is the mark of whoever held it before, or empty."""

    fd: int
    last: bytes


def hold(path: str, guarded: str, guardian: int, mark: bytes) -> Lock:
    """`guarded` names the thing in messages; `guardian` is our parent; `mark` is that of our workers.

    Waits a few seconds for a holder that is about to let go.

    Raises:
        CannotRun: 73; another daemon holds it (its pid is in the file), or the file cannot be made.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CannotRun(f"cannot lock {guarded}: {path!r}: {error.strerror}", 73) from None
    if not _lock(fd):
        holder = _holder(fd)
        os.close(fd)
        told = f" (pid {holder[0]})" if holder else ""
        raise CannotRun(f"cannot use {guarded}: another procsup daemon holds it{told}", 73) from None
    last = b"".join(os.pread(fd, _LONGEST, 0).split()[2:3])
    os.ftruncate(fd, os.pwrite(fd, b"%d %d %s\n" % (os.getpid(), guardian, mark), 0))
    return Lock(fd, last)


def _lock(fd: int) -> bool:
    """At once, or when a holder that is about to let go has done so."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end or not _is_ending(_holder(fd)):
                return False
            time.sleep(_PAUSE)
        else:
            return True


def _is_ending(holder: list[int]) -> bool:
    """The daemon is dead, and its guardian still kills what it has left; or the guardian is, and the daemon stops its
    tree. Whatever has got the pid of either since then is not the child of the other.
    """
    if not holder:  # it has just taken the lock, and is about to say so
        return True
    daemon, guardian = holder
    stat = stat_of(daemon)
    return stat is None or not stat.is_alive or stat.parent != guardian


def _holder(fd: int) -> list[int]:
    """Pids of the daemon and of its guardian, or nothing."""
    words = os.pread(fd, _LONGEST, 0).split()[:2]
    return [int(word) for word in words] if len(words) == 2 and b"".join(words).isdigit() else []


def make_folder(path: str, what: str) -> None:
    """Folders that we make are 0700, existing ones stay as they are.

    Raises:
        CannotRun: 73; also when we may not write there. A file system that is read-only now may get better.
    """
    old = os.umask(0o077)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise CannotRun(f"cannot make the folder of {what}: {path!r}: {error.strerror}", 73) from None
    finally:
        os.umask(old)
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=True) and not os.statvfs(path).f_flag & os.ST_RDONLY:
        raise CannotRun(f"cannot write into the folder of {what}: {path!r}: permission denied", 73)
