"""Processes, known by pid and start time, whoever's children they are."""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tests.kit.wait import DEADLINE, wait_until


class Process(NamedTuple):
    """`started` is in clock ticks since boot, as in proc_pid_stat(5)."""

    pid: int
    started: int


class Stat(NamedTuple):
    state: str
    parent: int
    group: int
    session: int
    started: int


def stat_of(pid: int) -> Stat:
    """Raises:
    ProcessLookupError: there is no such process.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    state, parent, group, session = fields[:4]
    return Stat(state.decode(), int(parent), int(group), int(session), int(fields[19]))


def process(pid: int) -> Process:
    """The process that has this pid now.

    Raises:
        ProcessLookupError: there is none.
    """
    return Process(pid, stat_of(pid).started)


def is_alive(known: Process) -> bool:
    """Zombies are not alive."""
    try:
        stat = stat_of(known.pid)
    except ProcessLookupError:
        return False
    return stat.started == known.started and stat.state not in "ZX"


def wait_until_gone(known: Process, deadline: float = DEADLINE) -> None:
    """Wait until it has ended; it may be a zombie then. Any process can be waited for, not only a child."""
    wait_until(lambda: not is_alive(known), f"process {known.pid} is gone: {command_of(known.pid)}", deadline)


def has_ended(pidfd: int, seconds: float) -> bool:
    """Wait so long, at most, for the end of the process of a pidfd."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def all_processes() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(ProcessLookupError):
                yield process(int(entry))


def carrying(variable: str, since: int = 0) -> list[Process]:
    """Every living process that was executed with `variable`, "NAME=VALUE", in its environment, and that was not
    started before `since`, a time as in Process.
    """
    wanted = os.fsencode(variable)
    young = (found for found in all_processes() if found.started >= since)
    return [found for found in young if wanted in environ_of(found.pid) and is_alive(found)]


def children_of(parent: int) -> list[int]:
    """The pids of its children, zombies included, in the order in which they became its children; of its first thread,
    if it has several.
    """
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def of_group(number: int) -> list[Process]:
    """Every living process of a process group."""
    found: list[Process] = []
    for one in all_processes():
        with contextlib.suppress(ProcessLookupError):
            if stat_of(one.pid).group == number and is_alive(one):
                found.append(one)
    return found


def environ_of(pid: int) -> list[bytes]:
    """Of the last program that it executed; [] when that cannot be known."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
    except OSError:
        return "?"


def kill_all(find: Callable[[], Iterable[Process]]) -> list[Process]:
    """KILL what `find` finds until it finds nobody: they may fork meanwhile. All that were killed."""
    killed: list[Process] = []

    def nobody_is_left() -> bool:
        found = list(find())
        for one in found:
            killed.append(one)
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        return not found

    wait_until(nobody_is_left, "every process is killed")
    return list(dict.fromkeys(killed))
