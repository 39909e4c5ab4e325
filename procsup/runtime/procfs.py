"""What /proc tells of processes (proc(5)). Every answer is of the past: the process may be gone by now.

A process is known by its pid and its start time. What is not there, or not ours to read, is no error; every function
raises OSError when there is no descriptor or memory left to look, which says nothing about the processes.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

_DEAD = (b"Z", b"X")
_NOT_THERE = (FileNotFoundError, ProcessLookupError, PermissionError)


class Stat(NamedTuple):
    """`started` is in clock ticks since boot."""

    pid: int
    state: bytes
    parent: int
    group: int
    session: int
    started: int

    @property
    def is_alive(self) -> bool:
        """Zombies hold nothing, and only their parent can remove them: they do not count."""
        return self.state not in _DEAD


def stat_of(pid: int) -> Stat | None:
    """None when there is no such process."""
    text = _read(f"/proc/{pid}/stat")
    if not text:
        return None
    # pid (comm) state ppid pgrp session ...; comm may hold anything, parentheses included
    fields = text[text.rindex(b")") + 2 :].split(b" ", 20)
    return Stat(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def all_stats() -> Iterator[Stat]:
    """Of every process that we can see."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = stat_of(int(name))
            if stat is not None:
                yield stat


def children_of(pid: int) -> list[int]:
    """Its children, zombies included. Where the kernel keeps no list of them, every process is asked for its parent."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except _NOT_THERE:
        return []
    found: list[int] = []
    for thread in threads:
        text = _read(f"/proc/{pid}/task/{thread}/children")
        if text is None and not os.path.exists("/proc/thread-self/children"):
            return [stat.pid for stat in all_stats() if stat.parent == pid]
        found += map(int, (text or b"").split())
    return found


def family_of(pid: int) -> Iterator[Stat]:
    """The process and all its descendants, each after its parent; zombies included."""
    unseen = [pid]
    for one in unseen:
        stat = stat_of(one)
        if stat is not None:
            yield stat
            unseen += children_of(one)


def environ_of(pid: int) -> frozenset[bytes]:
    """NAME=VALUE as the program was given it; empty when it is not ours to read."""
    return frozenset((_read(f"/proc/{pid}/environ") or b"").split(b"\0"))


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(fd, 65536):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(fd)
    except _NOT_THERE:
        return None
