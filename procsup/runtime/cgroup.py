"""A cgroup for each life: the highest rung of the ladder (remains.py). cgroups(7), version 2.

Only below a cgroup that was given to us: whoever manages the machine marks such a one (systemd's Delegate=yes, by an
extended attribute), and as process 1 of a container with a cgroup namespace of its own, all that we see is ours. A
worker is born into its cgroup (spawner.py), and with it everything that it will ever start, whatever session,
environment or parent that may choose. What is in it is killed by one write to cgroup.kill.

The folders stand below one of the daemon's own, which is removed with it; what a killed daemon left is removed by the
next. No controller is switched on.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterator

from procsup.runtime import procfs
from procsup.runtime.procfs import Stat
from procsup.runtime.remains import Worker, send_exactly

_PREFIX = "procsup-"
_LONGEST = 200


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
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def adopt(self, worker: Worker) -> None:
        pass

    def look(self) -> None:
        pass

    def beyond(self, worker: Worker) -> Collection[Stat]:
        folder = self._folders.get(worker.life)
        if folder is None or not _is_populated(folder):
            return ()
        stats = [stat for pid in _members(folder) if (stat := procfs.stat_of(pid)) is not None]
        return [stat for stat in stats if stat.is_alive and stat.group != worker.pid]

    def kill_beyond(self, worker: Worker) -> None:
        folder = self._folders.get(worker.life)
        if folder is None:
            return
        try:
            _write(folder, "cgroup.kill", b"1")
        except OSError:  # before Linux 5.14
            for stat in self.beyond(worker):
                send_exactly(stat, signal.SIGKILL)

    def forget(self, life: int, worker: Worker | None) -> None:
        folder = self._folders.pop(life, None)
        if folder is not None:
            _remove(folder)

    def close(self) -> None:
        _remove(self._folder)


def delegated_cgroup(is_process_1: bool) -> str | None:
    """The folder of our own cgroup, if it was given to us. `is_process_1`: our guardian is, of this pid namespace."""
    path = _own_path()
    folder = None if path is None else _folder_of(path)
    if folder is None or not os.access(folder, os.W_OK) or not os.path.exists(os.path.join(folder, "cgroup.events")):
        return None  # the root of all cgroups has no events
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
                if not below.startswith(".."):
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
    with open(os.path.join(folder, "cgroup.events"), "rb") as events:
        return b"populated 1" in events.read()


def _members(folder: str) -> Iterator[int]:
    """Its processes, and those of the cgroups that they have made in it."""
    for below, _, _ in os.walk(folder):
        with contextlib.suppress(FileNotFoundError, OSError), open(os.path.join(below, "cgroup.procs")) as lines:
            yield from map(int, lines.read().split())


def _write(folder: str, name: str, content: bytes) -> None:
    with open(os.path.join(folder, name), "wb", buffering=0) as file:
        file.write(content)


def _remove(folder: str) -> None:
    """With all below. What is still populated stays."""
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(below)


def _remove_what_the_dead_left(base: str) -> None:
    for name in os.listdir(base):
        number = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and number.isdigit() and procfs.stat_of(int(number)) is None:
            with contextlib.suppress(OSError):
                _write(os.path.join(base, name), "cgroup.kill", b"1")
            _remove(os.path.join(base, name))
