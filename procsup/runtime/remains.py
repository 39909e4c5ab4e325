"""What is left of a worker beyond its process group: the ladder of guarantees, its rungs, and which of them holds here.

    cgroup      every worker has a cgroup of its own: nobody gets out of it (cgroup.py)
    subreaper   orphans come to the guardian, our parent: also who has forked twice and left the session is found there,
                with all that is below it
    group       neither is to be had: who leaves the process group is out of sight

Of the guardian's children each belongs to the worker whose session it is in, or whose name its environment holds. Who
has left the session and been given another environment too is nobody's; it lives until the guardian's last broom.

The list of the guardian's children changes while it is read, and who is on it ends, forks and executes meanwhile. An
orphan that were overlooked would let the next life of its worker begin beside it, and one that is taken for another
would be killed for it. Hence:

    1. The list is read until two readings agree (procfs.ChildList).
    2. An orphan in the middle of execve(2) or of its end does not show whose it is: until then it may be anybody's.
    3. A worker whose orphans have all ended has none only if another look shows no new ones: theirs, who come to the
       guardian as they end.
    4. What is known of an orphan is known of its pid and start time.
    5. A guardian that has begun to end gets no more orphans, though it is our parent still and keeps its list: until it
       is gone nobody knows. After that nothing is started any more (daemon.py).
"""

import errno
import os
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from procsup.runtime import procfs
from procsup.runtime.kill import send_exactly
from procsup.runtime.procfs import Stat


@dataclass(slots=True, eq=False)
class Worker:
    """One life, from its spawn until nothing of it is left. `pid` is also the number of its session and its group.

    `sent` are the signals of its stop sequence so far; `told` says how many of them each of those beyond the group has
    got, by pid and start time.
    """

    life: int
    pid: int
    path: str
    starts: int
    pidfd: int = -1
    is_reaped: bool = False
    sent: tuple[int, ...] = ()
    told: Mapping[tuple[int, int], int] = field(default_factory=dict)


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
        """Before questions are asked about workers that have ended, or have lost processes of their group, since the
        last look.

        Raises:
            OSError: it was not possible.
        """

    def beyond(self, worker: Worker) -> Collection[Stat]:
        """Its living processes outside its group. O(1) when it has ended and there are none.

        Raises:
            OSError: it cannot be known yet.
        """

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


class _Orphan(NamedTuple):
    """`owner` is None for nobody's."""

    started: int
    owner: Worker | None


class Orphans:
    """The guardian's children. Their list is read when a worker has ended: one system call when there are none."""

    level = "subreaper"

    def __init__(self, guardian: int, mark: bytes) -> None:
        """`mark` is in the environment of every worker of this daemon.

        Raises:
            OSError: the kernel keeps no such list, or /proc is not that of our pid namespace.
        """
        self._mark = mark
        self._list = procfs.ChildList(guardian)
        self._text = b""
        self._check_due = 0.0
        self._by_pid: dict[int, Worker] = {}
        self._by_path: dict[str, Worker] = {}
        self._known: dict[int, _Orphan] = {}
        self._has_undecided = False
        self._orphans: dict[int, set[int]] = {}
        """life → its orphans; no empty sets"""
        self.look()
        if os.getpid() not in self._known:
            self._list.close()
            raise ProcessLookupError(f"process {guardian} is not our parent")

    def prepare(self, life: int, path: str) -> int:
        return -1

    def adopt(self, worker: Worker) -> None:
        self._by_pid[worker.pid] = worker
        self._by_path[worker.path] = worker

    def look(self) -> None:
        text = self._list.read()
        if text and self._list.is_parent_ending():  # asked after the list was read
            raise BlockingIOError(errno.EAGAIN, "the guardian is ending")
        now = time.monotonic()
        if text == self._text and not self._has_undecided and now < self._check_due:
            return
        present = frozenset(map(int, text.split()))
        if os.getpid() not in present and self._known:
            return  # the guardian has died; who is known by now stays so
        self._text = b""  # until all is known
        for gone in self._known.keys() - present:
            self._disown(gone)
        if now >= self._check_due:
            self._disown_those_whose_pid_was_given_away()
            self._check_due = now + _CHECK
        self._has_undecided = False
        for pid in sorted(present - self._known.keys()):
            self._own(pid)
        self._text = text

    def beyond(self, worker: Worker) -> Collection[Stat]:
        while True:
            orphans = frozenset(self._orphans.get(worker.life, ()))
            found = self._family(worker, orphans)
            if found or not (orphans or self._has_undecided):
                return found
            if self._has_undecided:
                raise BlockingIOError("an orphan does not show yet whose it is")
            self.look()
            if orphans.issuperset(self._orphans.get(worker.life, ())):
                return ()

    def kill_beyond(self, worker: Worker) -> None:
        for stat in self._family(worker, self._orphans.get(worker.life, ())):
            send_exactly(stat, signal.SIGKILL)

    def forget(self, life: int, worker: Worker | None) -> None:
        if worker is None:
            return
        for pid in list(self._orphans.get(worker.life, ())):  # zombies, which the guardian has yet to reap
            orphan = self._disown(pid)
            self._known[pid] = orphan._replace(owner=None)
        del self._by_pid[worker.pid]
        if self._by_path.get(worker.path) is worker:
            del self._by_path[worker.path]

    def close(self) -> None:
        self._list.close()

    def _family(self, worker: Worker, orphans: Collection[int]) -> Collection[Stat]:
        """Those outside the group among its orphans, itself as long as it was not reaped, and all below them."""
        found: dict[int, Stat] = {}
        for root in sorted(orphans):
            if not self._is_known(root):
                continue
            found |= _living_outside(worker.pid, root)
        if not worker.is_reaped:
            found |= _living_outside(worker.pid, worker.pid)
        return found.values()

    def _own(self, pid: int) -> None:
        stat = procfs.stat_of(pid)
        if stat is None:
            return
        owner = self._by_pid.get(stat.session)
        if owner is None:
            environ = procfs.environ_of(pid)
            if environ is None and _is_alive(pid):
                self._has_undecided = True
                return
            owner = self._named_by(environ or ())
        self._known[pid] = _Orphan(stat.started, owner)
        if owner is not None:
            self._orphans.setdefault(owner.life, set()).add(pid)

    def _disown(self, pid: int) -> _Orphan:
        orphan = self._known.pop(pid)
        if orphan.owner is not None:
            life = orphan.owner.life
            self._orphans[life].discard(pid)
            if not self._orphans[life]:
                del self._orphans[life]
        return orphan

    def _disown_those_whose_pid_was_given_away(self) -> None:
        for pid in [pid for pid in self._known if not self._is_known(pid)]:
            self._disown(pid)

    def _is_known(self, pid: int) -> bool:
        """Whether it is still the process that we know by this pid."""
        stat = procfs.stat_of(pid)
        return stat is not None and stat.started == self._known[pid].started

    def _named_by(self, environ: Collection[bytes]) -> Worker | None:
        if self._mark not in environ:
            return None
        words = {name: value for name, _, value in (word.partition(b"=") for word in environ)}
        owner = self._by_path.get(os.fsdecode(words.get(b"PROCSUP_NAME", b"")))
        return owner if owner is not None and words.get(b"PROCSUP_STARTS") == b"%d" % owner.starts else None


_CHECK = 1.0
"""Seconds after which we look again whether a pid is still the orphan's. Nobody uses up all pids in that time."""


def _living_outside(group: int, root: int) -> dict[int, Stat]:
    return {stat.pid: stat for stat in procfs.family_of(root) if stat.is_alive and stat.group != group}


def _is_alive(pid: int) -> bool:
    stat = procfs.stat_of(pid)
    return stat is not None and stat.is_alive
