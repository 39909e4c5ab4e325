"""Tasks: the processes that workers have told of as tasks of their own (wire/messages.py), for whoever looks.

A worker tells of the start only. Whether a task still runs is asked of the kernel when somebody wants to know: so what
is shown does run, whoever has killed what is not. Since nobody may want to know for a long time, each task that is
added has two others looked at, in turns, and forgotten if they are gone. Of one worker MOST are remembered at a time,
and the oldest is forgotten for the newest.
"""

import itertools
import os
import time
from dataclasses import dataclass

from procsup.runtime.procfs import stat_of

MOST = 1000
"""Tasks of one worker."""

_LONGEST_NAME = 200
_TICKS = os.sysconf("SC_CLK_TCK")
_INACCURACY = 0.1
"""Seconds: the kernel counts ticks."""


@dataclass(frozen=True, slots=True)
class Task:
    """`told` is in seconds since boot: whatever has this pid and began later is another process."""

    pid: int
    name: str
    told: float


class Tasks:
    """By life. To add one is O(1), or O(MOST) when so many run."""

    def __init__(self) -> None:
        self._lives: dict[int, dict[int, Task]] = {}

    def add(self, life: int, pid: int, name: str) -> None:
        tasks = self._lives.setdefault(life, {})
        tasks.pop(pid, None)
        for other in list(itertools.islice(tasks, 2)):
            task = tasks.pop(other)
            if os.path.exists(f"/proc/{other}"):
                tasks[other] = task
        if len(tasks) == MOST:
            del tasks[min(tasks.values(), key=lambda task: task.told).pid]
        tasks[pid] = Task(pid, name[:_LONGEST_NAME].encode(errors="replace").decode(), _since_boot())

    def end(self, life: int) -> None:
        self._lives.pop(life, None)

    def running(self, life: int, group: int) -> list[Task]:
        """Those of the worker's process group that run, in the order in which they were told of. O(those known)."""
        tasks = self._lives.get(life, {})
        for task in list(tasks.values()):
            if not _runs(task, group):
                del tasks[task.pid]
        return sorted(tasks.values(), key=lambda task: task.told)


def seconds_of(task: Task) -> float:
    """Since it was told of."""
    return _since_boot() - task.told


def _runs(task: Task, group: int) -> bool:
    try:
        stat = stat_of(task.pid)
    except OSError:
        return True  # who knows
    return (
        stat is not None and stat.is_alive and stat.group == group and stat.started / _TICKS <= task.told + _INACCURACY
    )


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
