"""The last broom: kill whatever a tree has left, when there is nobody any more who knows what belongs to whom.

The guardian uses it when the daemon has ended, and the daemon when the guardian has.
"""

import os
import signal
import time
from collections.abc import Collection, Iterator

from procsup.runtime import procfs, wait
from procsup.runtime.failure import complain
from procsup.runtime.kill import send_exactly

_PATIENCE = 10.0
"""Seconds for marked processes to go. One that the kernel does not let die in that time is left to it."""

_PAUSE = 0.001
"""Seconds between two looks at a process in the middle of execve(2), or of its end."""

_KILLED = 128 + signal.SIGKILL


def mark_of(daemon: int) -> bytes:
    """What every worker of this daemon has in its environment, and every process below that keeps it: unlike the names
    of the workers it is like no other daemon's.
    """
    stat = procfs.stat_of(daemon)
    return b"PROCSUP_DAEMON=%d:%d" % (daemon, stat.started if stat is not None else 0)


def kill_all_children(strangers: Collection[int]) -> int:
    """KILL whatever is left below this process but these children of it, until nothing is. How many were killed.

    Of a child subreaper: who loses its parent that way becomes our child, so that each round meets one generation more;
    and who has a KILL pending forks no more. Other users' that we may not kill are left, with a word about them.
    """
    count = 0
    while children := [pid for pid in procfs.children_of(os.getpid()) if pid not in strangers]:
        killed = [pid for pid in children if _kill(pid)]
        if not killed:
            complain(f"cannot kill what is left: pid {', '.join(map(str, children))}")
            break
        count += sum(wait.wait_for(pid) == _KILLED for pid in killed)  # others had ended by themselves
    return count


def kill_marked(mark: bytes) -> int:
    """KILL every process that has `mark` in its environment, wherever it is, until two looks in a row meet none. How
    many there were. O(processes).
    """
    killed: set[tuple[int, int]] = set()
    looks_in_vain = 0
    end = time.monotonic() + _PATIENCE
    while looks_in_vain < 2 and time.monotonic() < end:
        found = list(_marked(mark, end))
        for stat in found:
            send_exactly(stat, signal.SIGKILL)
        _wait_until_ended(found, end)
        killed |= {(stat.pid, stat.started) for stat in found}
        looks_in_vain = 0 if found else looks_in_vain + 1
    return len(killed)


def _kill(child: int) -> bool:
    """False when we may not, or it is no child: in the /proc of another pid namespace numbers mean others."""
    if not wait.is_child(child):
        return False
    try:
        os.kill(child, signal.SIGKILL)
    except PermissionError:
        return False
    return True


def _marked(mark: bytes, end: float) -> Iterator[procfs.Stat]:
    """Who is in the middle of execve(2) is asked until it shows its environment."""
    unknown = [stat for stat in procfs.all_stats() if stat.is_alive]
    while unknown:
        hidden = []
        for stat in unknown:
            environ = procfs.environ_of(stat.pid)
            if environ is None and procfs.has_program(stat.pid):
                hidden.append(stat)
            elif mark in (environ or ()):
                yield stat
        unknown = hidden if time.monotonic() < end else []
        if unknown:
            time.sleep(_PAUSE)


def _wait_until_ended(stats: list[procfs.Stat], end: float) -> None:
    while stats and time.monotonic() < end:
        time.sleep(_PAUSE)
        stats = [stat for stat in stats if procfs.is_still_alive(stat)]
