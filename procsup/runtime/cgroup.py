"""A cgroup for each life: the highest rung of the ladder (remains.py). cgroups(7), version 2.

Only below a cgroup that was given to us: whoever manages the machine marks such a one (systemd's Delegate=yes, by an
extended attribute), and as process 1 of a container with a cgroup namespace of its own, all that we see is ours. A
worker is born into its cgroup (spawner.py), and with it everything that it will ever start, whatever session,
environment or parent that may choose. What is in it is killed by one write to cgroup.kill.

The folders stand below one of the daemon's own, which it holds locked, and removes at its end. One that nobody holds is
what a killed daemon left: the next one kills who is in it, and removes it. No controller is switched on.
"""

import contextlib
import errno
import fcntl
import os
import select
import signal
import time
from collections.abc import Collection, Iterator

from procsup.runtime import procfs
from procsup.runtime.kill import send_exactly
from procsup.runtime.procfs import Stat
from procsup.runtime.remains import Worker

_PREFIX = "procsup-"
_LONGEST = 200
_PATIENCE = 10.0
"""Seconds for what a dead daemon left to go. What the kernel does not let die in that time is left to it."""


class Cgroups:
    """Owns the folder of this daemon."""

    level = "cgroup"

    def __init__(self, base: str) -> None:
        """Raises:
        OSError: no folder can be made there.
        """
        _remove_what_the_dead_left(base)
        self._folder = os.path.join(base, f"{_PREFIX}{os.getpid()}")
        os.mkdir(self._folder)
        self._lock = _lock(self._folder)
        os.stat(self._folder)  # a daemon that starts at the same moment may have taken it for a dead one's
        self._folders: dict[int, str] = {}
        """life → its folder"""

    def prepare(self, life: int, path: str) -> int:
        """Raises:
        OSError: it cannot be made.
        """
        name = os.fsencode(path.rpartition("/")[2]).replace(b"\n", b"?")[:_LONGEST]
        folder = os.path.join(self._folder, f"{life}.{os.fsdecode(name)}")
        os.mkdir(folder)
        self._folders[life] = folder
        return _open(folder)

    def adopt(self, worker: Worker) -> None:
        pass

    def look(self) -> None:
        pass

    def beyond(self, worker: Worker) -> Collection[Stat]:
        folder = self._folders.get(worker.life)
        if folder is None or not _is_populated(folder):
            return ()
        members = [stat for stat in _members(folder) if stat.is_alive]
        if not members and _is_populated(folder):
            raise BlockingIOError(errno.EAGAIN, "who is in it forks and ends faster than we can look")
        return [stat for stat in members if stat.group != worker.pid]

    def kill_beyond(self, worker: Worker) -> None:
        folder = self._folders.get(worker.life)
        if folder is None:
            return
        _kill(folder)

    def forget(self, life: int, worker: Worker | None) -> None:
        folder = self._folders.pop(life, None)
        if folder is not None:
            _remove(folder)

    def close(self) -> None:
        _remove(self._folder)
        os.close(self._lock)


def delegated_cgroup(is_process_1: bool) -> str | None:
    """The folder of our own cgroup, if it was given to us. `is_process_1`: our guardian is, of this pid namespace."""
    path = _own_path()
    folder = None if path is None else _folder_of(path)
    if folder is None or not os.path.exists(os.path.join(folder, "cgroup.events")):  # the root of all has none
        return None
    if not os.access(folder, os.W_OK) or not os.access(os.path.join(folder, "cgroup.procs"), os.W_OK):
        return None  # from where we are to where we make folders, only who may write both can move
    is_ours = any(_attribute(folder, name) == b"1" for name in ("trusted.delegate", "user.delegate"))
    return folder if is_ours or (is_process_1 and path == "/") else None


def _own_path() -> str | None:
    with contextlib.suppress(OSError), open("/proc/self/cgroup") as lines:
        for line in lines:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    return None


def _folder_of(path: str) -> str | None:
    """Where the hierarchy of version 2 is mounted, and the path in it. proc_pid_mountinfo(5)."""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            if rest.startswith("cgroup2 "):
                root, mount = fields.split()[3:5]
                below = os.path.relpath(path, root)
                if not below.startswith("..") and not root.startswith("/.."):  # of an outer cgroup namespace
                    return os.path.normpath(os.path.join(mount, below))
    return None


def _attribute(folder: str, name: str) -> bytes | None:
    try:
        return os.getxattr(folder, name)
    except OSError:
        return None


def _is_populated(folder: str) -> bool:
    """Raises:
    OSError: it could not be looked at.
    """
    try:
        with open(os.path.join(folder, "cgroup.events"), "rb") as events:
            return b"populated 1" in events.read()
    except OSError as error:
        if error.errno in _REMOVED:
            return False
        raise


_REMOVED = (errno.ENOENT, errno.ENODEV)
"""What cgroupfs answers about a folder that somebody has removed, which he can only when it is empty."""


def _members(folder: str) -> Iterator[Stat]:
    """Its processes, and those of the cgroups that they have made in it."""
    for below, _, _ in os.walk(folder):
        with contextlib.suppress(OSError), open(os.path.join(below, "cgroup.procs")) as lines:
            for pid in lines.read().split():
                stat = procfs.stat_of(int(pid))
                if stat is not None:
                    yield stat


def _kill(folder: str) -> None:
    try:
        with open(os.path.join(folder, "cgroup.kill"), "wb", buffering=0) as file:
            file.write(b"1")
    except OSError:  # before Linux 5.14
        for stat in _members(folder):
            send_exactly(stat, signal.SIGKILL)


def _open(folder: str) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _lock(folder: str) -> int:
    """A descriptor that holds it locked.

    Raises:
        OSError: somebody else does.
    """
    fd = _open(folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _remove(folder: str) -> None:
    """With all below. What is still populated stays."""
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(below)


def _remove_what_the_dead_left(base: str) -> None:
    for name in os.listdir(base):
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX).isdigit():
            folder = os.path.join(base, name)
            with contextlib.suppress(OSError):  # one that cannot be locked is a living daemon's
                lock = _lock(folder)
                try:
                    _kill_and_wait(folder)
                    _remove(folder)
                finally:
                    os.close(lock)


def _kill_and_wait(folder: str) -> None:
    """Until nobody is in it, or patience is over.

    Raises:
        OSError: it could not be looked at.
    """
    end = time.monotonic() + _PATIENCE
    with open(os.path.join(folder, "cgroup.events"), "rb") as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)  # when it has changed since it was read
        while b"populated 1" in os.pread(events.fileno(), 4096, 0) and time.monotonic() < end:
            _kill(folder)
            poll.poll(100)
