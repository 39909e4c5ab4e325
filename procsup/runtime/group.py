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


def members(group: int) -> tuple[int | None, frozenset[int]]:
    """A living process of the group, or None, and the zombies met on the way to it: none when /proc cannot be read now,
    for want of descriptors. Walks /proc: O(processes).
    """
    try:
        return _walk(group)
    except OSError:
        return None, frozenset()


def _walk(group: int) -> tuple[int | None, frozenset[int]]:
    zombies: set[int] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            state = _state_in(entry, group)
            if state is not None and state not in _DEAD:
                return int(entry), frozenset(zombies)
            if state is not None:
                zombies.add(int(entry))
    return None, frozenset(zombies)


_DEAD = (b"Z", b"X")


def _state_in(pid: str, group: int) -> bytes | None:
    """The state of the process if it belongs to the group. proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            text = stat.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # pid (comm) state ppid pgrp ...; comm may hold anything, parentheses included
    state, _, pgrp = text[text.rindex(b")") + 2 :].split(b" ", 3)[:3]
    return state if int(pgrp) == group else None
