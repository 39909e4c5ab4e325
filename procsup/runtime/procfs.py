"""What /proc tells of processes (proc(5)). Every answer is of the past: the process may be gone by now.

A process is known by its pid and its start time. What is not there, or not ours to read, is no error; every function
raises OSError when there is no descriptor or memory left to look, which says nothing about the processes.

In the middle of execve(2) a process has no environment: the old program's is gone, the new one's is not there yet. So
it is in the middle of its end, when it still has its files and ports. Neither must be taken for one that was given no
environment.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

_ATTEMPTS = 10
"""Readings of what changes meanwhile: a process may execute over and over, or have hidden its environment for good."""

_SURELY_WHOLE = 4000
"""Bytes: of a longer list one reading may give a part, as the kernel fills one page at a time."""

_DEAD = (b"Z", b"X")
_PF_EXITING = 0x4
_PF_FORKNOEXEC = 0x40
"""include/linux/sched.h, since Linux 2.6"""
_NOT_THERE = (FileNotFoundError, ProcessLookupError, PermissionError)


class Stat(NamedTuple):
    """`started` is in clock ticks since boot."""

    pid: int
    state: bytes
    parent: int
    group: int
    session: int
    threads: int
    started: int

    @property
    def is_alive(self) -> bool:
        """Zombies hold nothing, and only their parent can remove them: they do not count. One whose first thread alone
        has ended looks like a zombie too.
        """
        return self.state not in _DEAD or self.threads > 1


def stat_of(pid: int) -> Stat | None:
    """None when there is no such process."""
    fields = _stat_fields(pid)
    if not fields:
        return None
    return Stat(pid, fields[0], *(int(fields[number]) for number in (1, 2, 3, 17, 19)))


def has_executed(pid: int) -> bool:
    """Whether it has executed a program since it was forked, also of a zombie. True when that cannot be known."""
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        return True
    return not text or not _flags(text) & _PF_FORKNOEXEC


def is_ending(pid: int) -> bool:
    """Whether it has begun to end, or is gone: no orphans come to it any more. True when that cannot be known."""
    text = _read(f"/proc/{pid}/stat")
    return not text or bool(_flags(text) & _PF_EXITING)


def is_still_alive(stat: Stat) -> bool:
    """Whether this very process is, and not a successor that got its pid."""
    now = stat_of(stat.pid)
    return now is not None and now.is_alive and now.started == stat.started


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
            return children_without_a_list(pid)
        found += map(int, (text or b"").split())
    return found


def children_without_a_list(pid: int) -> list[int]:
    """The same from every process. O(processes)."""
    return [stat.pid for stat in all_stats() if stat.parent == pid]


class ChildList:
    """The kernel's list of the children of a process of one thread. Owns two descriptors.

    Who becomes a child is put at its end. While somebody is taken off it a reading may leave out another: the kernel
    tells one child at a time, and finds its place again by counting. So it is read until two readings agree.
    """

    def __init__(self, pid: int) -> None:
        """Raises:
        OSError: there is no such process, or the kernel keeps no such lists.
        """
        self._fd = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._parent = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self._fd)
            raise

    def is_parent_ending(self) -> bool:
        """As `is_ending`. The orphans that it has stay with it until it is a zombie."""
        try:
            text = os.pread(self._parent, 1024, 0)
        except ProcessLookupError:
            return True
        return bool(_flags(text) & _PF_EXITING)

    def read(self) -> bytes:
        """Their pids, with a space after each; zombies included. Who went meanwhile may still be there, and some may be
        there more than once. Empty when the process is gone.
        """
        text = self._read_once()
        if text.count(b" ") < 2:
            return text  # before it nobody was taken off
        readings = {text}
        for _ in range(_ATTEMPTS):
            again = self._read_once()
            if again == text:
                return text
            readings.add(again)
            text = again
        return b"".join(readings)  # so busy that no two agree: who was on any of them

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._parent)

    def _read_once(self) -> bytes:
        text = os.pread(self._fd, 65536, 0)
        if len(text) > _SURELY_WHOLE:
            while more := os.pread(self._fd, 65536, len(text)):
                text += more
        return text


def family_of(pid: int) -> Iterator[Stat]:
    """The process and all its descendants, each after its parent; zombies included."""
    unseen = [pid]
    for one in unseen:
        stat = stat_of(one)
        if stat is not None:
            yield stat
            unseen += children_of(one)


def users_of(pid: int) -> frozenset[int]:
    """Its real, effective, saved and file system user. Empty when it is gone. proc_pid_status(5)."""
    for line in (_read(f"/proc/{pid}/status") or b"").splitlines():
        if line.startswith(b"Uid:"):
            return frozenset(map(int, line.split()[1:]))
    return frozenset()


def environ_of(pid: int) -> frozenset[bytes] | None:
    """NAME=VALUE as the program was given it; empty when it is not ours to read. None when there is none: of a process
    that is gone, in the middle of execve(2) or of its end, or the kernel's own.
    """
    try:
        for _ in range(_ATTEMPTS):
            text = _content(f"/proc/{pid}/environ")
            if text:
                return frozenset(text.split(b"\0"))
            begin, end = _place_of_environ(pid)
            if not end:
                return None
            if begin == end:
                break
    except PermissionError:
        pass
    except (FileNotFoundError, ProcessLookupError):
        return None
    return frozenset()


def is_trusted(pid: int | None) -> bool:
    """Whether a process is root's, or of the user that we are, by whichever of its user numbers. proc_pid_status(5)."""
    text = _read(f"/proc/{pid}/status") or b""
    uids = re.search(rb"^Uid:\s*([\d\s]+?)$", text, re.MULTILINE)
    return uids is not None and {int(uid) for uid in uids[1].split()} <= {0, os.geteuid()}


def has_program(pid: int) -> bool:
    """Not so: zombies and those in the middle of their end, and the kernel's own."""
    try:
        os.readlink(f"/proc/{pid}/exe")
    except _NOT_THERE as error:
        return isinstance(error, PermissionError)
    return True


def _flags(stat: bytes) -> int:
    return int(stat[stat.rindex(b")") + 2 :].split(b" ", 7)[6])


def _stat_fields(pid: int) -> list[bytes]:
    """From the state on; empty when there is no such process."""
    text = _read(f"/proc/{pid}/stat")
    # pid (comm) state ppid pgrp session ...; comm may hold anything, parentheses included
    return text[text.rindex(b")") + 2 :].split() if text else []


def _place_of_environ(pid: int) -> tuple[int, int]:
    """Where it begins and ends in its memory, once execve(2) has noted that; it notes where the code is after it. 0
    before, and of a process that has no memory any more.
    """
    fields = _stat_fields(pid)
    return (int(fields[47]), int(fields[48])) if fields and fields[23] != b"0" else (0, 0)


def _read(path: str) -> bytes | None:
    try:
        return _content(path)
    except _NOT_THERE:
        return None


def _content(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
