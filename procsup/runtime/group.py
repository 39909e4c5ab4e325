"""Process groups: is anybody of one left, and who.

A worker leads its own session, so its pid is its group's number for as long as anything of the group lives, also after
the worker itself was reaped: the kernel does not give the number away before (setsid(2), kill(2)). Zombies do not
count as left (procfs.py).
"""

import os

from procsup.runtime.procfs import Stat, all_stats


def has_members(group: int) -> bool:
    """Whether the kernel still knows the group; zombies count here. One system call."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def members(group: int) -> tuple[Stat | None, frozenset[int]]:
    """A living process of the group, or None, and the zombies met on the way to it. Walks /proc: O(processes).

    Raises:
        OSError: it could not be looked at.
    """
    zombies: set[int] = set()
    for stat in all_stats():
        if stat.group == group:
            if stat.is_alive:
                return stat, frozenset(zombies)
            zombies.add(stat.pid)
    return None, frozenset(zombies)
