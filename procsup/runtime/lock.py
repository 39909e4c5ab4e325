"""The locks of a daemon: one daemon per socket, one per state directory.

A lock is a flock(2) on a file beside what it guards. The kernel lets go of it when the last holder of the descriptor
dies, however it dies, so that a lock is never stale; what a dead daemon left behind (its socket) may be removed by
whoever holds the lock. The file stays: removing it would let two daemons lock two files of one name.
"""

import fcntl
import os
import time

from procsup.runtime.failure import CannotRun
from procsup.runtime.procfs import stat_of

_ENDING = b"ending\n"

_PATIENCE = 10.0
_PAUSE = 0.01
"""Seconds that a holder is given that is about to let go, and between two attempts."""


def hold(path: str, guarded: str) -> int:
    """The descriptor that holds the lock; closing it lets go. `guarded` names the thing in messages.

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
        raise CannotRun(f"cannot use {guarded}: another procsup daemon holds it{holder}", 73) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def mark_as_ending(fd: int) -> None:
    """The holder will soon let go: who wants the lock waits."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, _ENDING, 0)


def _lock(fd: int) -> bool:
    """At once, or when a holder that is about to let go has done so: a daemon that says so, or the guardian of a dead
    one, which is still killing what that has left.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end or not _is_ending(fd):
                return False
            time.sleep(_PAUSE)
        else:
            return True


def _is_ending(fd: int) -> bool:
    text = os.pread(fd, 32, 0)
    if not text.strip().isdigit():
        return text == _ENDING
    daemon = stat_of(int(text))
    return daemon is None or not daemon.is_alive


def make_folder(path: str, what: str) -> None:
    """Folders that we make are 0700, existing ones stay as they are.

    Raises:
        CannotRun: 73.
    """
    old = os.umask(0o077)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise CannotRun(f"cannot make the folder of {what}: {path!r}: {error.strerror}", 73) from None
    finally:
        os.umask(old)


def _holder(fd: int) -> str:
    pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return f" (pid {pid})" if pid.isdigit() else ""
