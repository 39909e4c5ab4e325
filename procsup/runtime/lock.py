"""The locks of a daemon: one daemon per socket, one per state directory.

A lock is a flock(2) on a file beside what it guards. The kernel lets go of it when the last holder of the descriptor
dies, however it dies, so that a lock is never stale; what a dead daemon left behind (its socket) may be removed by
whoever holds the lock. The file stays: removing it would let two daemons lock two files of one name.
"""

import fcntl
import os

from procsup.runtime.failure import CannotRun


def hold(path: str, guarded: str) -> int:
    """The descriptor that holds the lock; closing it lets go. `guarded` names the thing in messages.

    Raises:
        CannotRun: 73; another daemon holds it (its pid is in the file), or the file cannot be made.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CannotRun(f"cannot lock {guarded}: {path!r}: {error.strerror}", 73) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(fd)
        os.close(fd)
        raise CannotRun(f"cannot use {guarded}: another procsup daemon holds it{holder}", 73) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


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
