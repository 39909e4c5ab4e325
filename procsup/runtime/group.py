"""Process groups: is anybody of one left, and who.

A worker leads its own session, so its pid is its group's number for as long as anything of the group lives, also after
the worker itself was reaped: the kernel does not give the number away before (setsid(2), kill(2)). Zombies do not
count as left: they hold nothing, and only their parent can remove them.
"""

import os


def has_members(group: int) -> bool:
    """Whether the kernel still knows the group; zombies count here. One system call."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def living_member(group: int) -> int | None:
    """The pid of a living process of the group, or None. Walks /proc: O(processes).

    A process may fork during the walk, behind our back, and end: so a walk that finds nobody is done once more.
    """
    return _find(group) or _find(group)


def _find(group: int) -> int | None:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _is_living_member(entry, group):
            return int(entry)
    return None


def _is_living_member(pid: str, group: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            text = stat.read()
    except OSError:
        return False
    # pid (comm) state ppid pgrp ...; comm may hold anything, parentheses included. proc_pid_stat(5)
    state, _, pgrp = text[text.rindex(b")") + 2 :].split(b" ", 3)[:3]
    return int(pgrp) == group and state not in (b"Z", b"X")
