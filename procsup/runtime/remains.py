"""What is left of a worker beyond its process group: the ladder of guarantees, its rungs, and which of them holds here.

    cgroup      every worker has a cgroup of its own: nobody gets out of it (cgroup.py)
    subreaper   orphans come to the guardian, our parent: also who has forked twice and left the session is found there,
                with all that is below it
    group       neither is to be had: who leaves the process group is out of sight

Of the guardian's children each belongs to the worker whose session it is in, or whose name its environment holds. Who
has left the session and been given another environment too is nobody's; it lives until the guardian's last broom.
"""

import contextlib
import os
import signal
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from procsup.runtime import procfs
from procsup.runtime.procfs import Stat


@dataclass(slots=True, eq=False)
class Worker:
    """One life, from its spawn until nothing of it is left. `pid` is also the number of its session and its group.

    `sent` are the signals of its stop sequence so far; `told`, those beyond the group that have got them.
    """

    life: int
    pid: int
    path: str
    starts: int
    pidfd: int = -1
    is_reaped: bool = False
    sent: tuple[int, ...] = ()
    told: frozenset[int] = frozenset()


class Remains(Protocol):
    """`level` is the rung's name."""

    level: str

    def prepare(self, life: int, path: str) -> int:
        """Before its spawn: a descriptor of the cgroup that it is to be born into, for the caller to close; -1: none.

        Raises:
            OSError: there can be none.
        """

    def adopt(self, worker: Worker) -> None:
        """It was spawned."""

    def look(self) -> None:
        """Before questions are asked about workers that have ended since the last look."""

    def beyond(self, worker: Worker) -> Collection[Stat]:
        """Its living processes outside its group, as of the last look. O(1) when it has ended and there are none."""

    def kill_beyond(self, worker: Worker) -> None:
        """KILL them."""

    def forget(self, life: int, worker: Worker | None) -> None:
        """Nothing is left of it, or it never came to be."""

    def close(self) -> None:
        """The daemon ends."""


class NothingBeyond:
    """The lowest rung."""

    level = "group"

    def prepare(self, life: int, path: str) -> int:
        return -1

    def adopt(self, worker: Worker) -> None:
        pass

    def look(self) -> None:
        pass

    def beyond(self, worker: Worker) -> Collection[Stat]:
        return ()

    def kill_beyond(self, worker: Worker) -> None:
        pass

    def forget(self, life: int, worker: Worker | None) -> None:
        pass

    def close(self) -> None:
        pass


class Orphans:
    """The guardian's children. Owns the descriptor of their list, which is read when a worker has ended: one system
    call when there are none.
    """

    level = "subreaper"

    def __init__(self, guardian: int, mark: bytes) -> None:
        """`mark` is in the environment of every worker of this daemon.

        Raises:
            OSError: the kernel keeps no such list, or /proc is not that of our pid namespace.
        """
        self._mark = mark
        self._list = os.open(f"/proc/{guardian}/task/{guardian}/children", os.O_RDONLY | os.O_CLOEXEC)
        self._text = b""
        self._by_pid: dict[int, Worker] = {}
        self._by_path: dict[str, Worker] = {}
        self._owners: dict[int, Worker | None] = {}
        """orphan → whose it is, None for nobody's"""
        self._orphans: dict[int, set[int]] = {}
        """life → its orphans; no empty sets"""
        self.look()
        if os.getpid() not in self._owners:
            os.close(self._list)
            raise ProcessLookupError(f"process {guardian} is not our parent")

    def prepare(self, life: int, path: str) -> int:
        return -1

    def adopt(self, worker: Worker) -> None:
        self._by_pid[worker.pid] = worker
        self._by_path[worker.path] = worker

    def look(self) -> None:
        text = self._read()
        if text == self._text:
            return
        self._text = text
        present = set(map(int, text.split()))
        for gone in self._owners.keys() - present:
            self._disown(gone)
        for pid in sorted(present - self._owners.keys()):
            owner = self._owner_of(pid)
            self._owners[pid] = owner
            if owner is not None:
                self._orphans.setdefault(owner.life, set()).add(pid)

    def beyond(self, worker: Worker) -> Collection[Stat]:
        roots = sorted(self._orphans.get(worker.life, ()))
        if not worker.is_reaped:
            roots.append(worker.pid)
        found: dict[int, Stat] = {}
        for root in roots:
            for stat in procfs.family_of(root):
                if stat.is_alive and stat.group != worker.pid:
                    found[stat.pid] = stat
        return found.values()

    def kill_beyond(self, worker: Worker) -> None:
        for stat in self.beyond(worker):
            send_exactly(stat, signal.SIGKILL)

    def forget(self, life: int, worker: Worker | None) -> None:
        if worker is None:
            return
        for pid in list(self._orphans.get(worker.life, ())):  # zombies, which the guardian has yet to reap
            self._disown(pid)
            self._owners[pid] = None
        del self._by_pid[worker.pid]
        if self._by_path.get(worker.path) is worker:
            del self._by_path[worker.path]

    def close(self) -> None:
        os.close(self._list)

    def _disown(self, pid: int) -> None:
        owner = self._owners.pop(pid)
        if owner is not None:
            self._orphans[owner.life].discard(pid)
            if not self._orphans[owner.life]:
                del self._orphans[owner.life]

    def _owner_of(self, pid: int) -> Worker | None:
        stat = procfs.stat_of(pid)
        if stat is None:
            return None
        owner = self._by_pid.get(stat.session)
        return owner if owner is not None else self._named_by(procfs.environ_of(pid))

    def _named_by(self, environ: Collection[bytes]) -> Worker | None:
        if self._mark not in environ:
            return None
        words = dict(word.split(b"=", 1) for word in environ if word.startswith(b"PROCSUP_"))
        owner = self._by_path.get(os.fsdecode(words.get(b"PROCSUP_NAME", b"")))
        return owner if owner is not None and words.get(b"PROCSUP_STARTS") == b"%d" % owner.starts else None

    def _read(self) -> bytes:
        text = self._read_once()
        while len(text) > _ONE_READ and (again := self._read_once()) != text:
            text = again  # a list of several pages changed between them
        return text

    def _read_once(self) -> bytes:
        try:
            text = os.pread(self._list, 65536, 0)
            if len(text) > _ONE_READ:
                while more := os.pread(self._list, 65536, len(text)):
                    text += more
        except OSError:  # the guardian has died: its children are somebody else's
            return b""
        return text


_ONE_READ = 4000
"""Bytes: of a list longer than that one read may give a part, as the kernel fills one page at a time."""


def send_exactly(stat: Stat, number: int) -> None:
    """Send a signal to this very process, if it is still there: not to a successor that got its pid."""
    pidfd = _pidfd_of(stat.pid)
    now = procfs.stat_of(stat.pid)
    if now is not None and now.started == stat.started:
        with contextlib.suppress(OSError):
            if pidfd >= 0:
                signal.pidfd_send_signal(pidfd, number)
            else:
                os.kill(stat.pid, number)
    if pidfd >= 0:
        os.close(pidfd)


def _pidfd_of(pid: int) -> int:
    """-1 where there is none, or none is to be had: then the start time alone must do."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1
