"""Reaping: the only place that waits for processes.

A pidfd per worker in the epoll set says who ended, and one waitpid of that pid says how: nothing here grows with the
number of workers, as waitpid(-1) would, which walks all children (DESIGN § 8). Where no pidfd can be had (Linux before
5.3, no descriptor left), or where strangers may become our children (we are process 1), SIGCHLD makes us ask for any.

A life is told in one or two events: Exited when the worker was reaped, and, when others of its process group still
lived then, Emptied when the last of them is gone. Those are not our children, so a pidfd of one of them is watched,
and when it ends the group is looked at again. Besides, such a group is polled for as long as it lasts: a member may
leave it alive (setsid), and one that forks and ends over and over is met by no walk through /proc. When the kernel
knows members and the walk meets only zombies, the group is empty once two looks have met the same ones.
"""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from procsup.core.reason import ExitCode, KilledBySignal, WorkerExit
from procsup.runtime import group
from procsup.runtime.loop import READ, Loop

_FIRST_LOOK = 0.001
_LAST_LOOK = 0.05
"""Seconds until a group that has members left is looked at again: each time twice as many, up to the last."""


class Death(NamedTuple):
    life: int
    ended: WorkerExit
    gone: bool


class Rest(NamedTuple):
    """What is left of the group of a life whose worker was reaped: when to look again, how long to wait after that, and
    the zombies met at the last look if it met nobody else.
    """

    group: int
    due: float
    patience: float
    zombies: frozenset[int]


class Reaper:
    """Knows every process that was spawned and not yet reaped, and every group that still has members.

    `deaths` collects what one turn of the loop finds; `on_empty` is called with a life when its group is empty.
    """

    def __init__(self, loop: Loop, on_empty: Callable[[int], None]) -> None:
        self._loop = loop
        self._on_empty = on_empty
        self._lives: dict[int, int] = {}
        """pid of a worker not yet reaped → life"""
        self._groups: dict[int, int] = {}
        """life → process group, until it is empty"""
        self._pidfds: dict[int, int] = {}
        """life → pidfd watched for it"""
        self._rests: dict[int, Rest] = {}
        self._ended: list[int] = []
        """Lives whose pidfd is still open"""
        self._has_sigchld = False
        self.deaths: list[Death] = []
        if os.getpid() == 1:
            self._rely_on_sigchld()

    def adopt(self, life: int, pid: int) -> None:
        """A worker was spawned. When no pidfd can be had for it, SIGCHLD must do."""
        self._lives[pid] = life
        self._groups[life] = pid
        if not self._watch(life, pid, lambda mask: self._reap(pid)):
            self._rely_on_sigchld()

    def signal(self, life: int, number: int) -> None:
        """Send a signal to what is left of the process group of a life. To nobody, when nothing is left."""
        pgid = self._groups.get(life)
        if pgid is not None:
            _kill(os.killpg, pgid, number)

    def signal_leader(self, life: int, number: int) -> bool:
        """Send a signal to the worker itself. False when it was reaped already."""
        pid = self._groups.get(life)
        if pid is None or pid not in self._lives:
            return False
        _kill(os.kill, pid, number)
        return True

    def sweep(self) -> None:
        """Reap whatever child has ended, strangers too. O(children): only where pidfds do not tell."""
        with contextlib.suppress(ChildProcessError):
            while (death := os.waitpid(-1, os.WNOHANG))[0] != 0:
                if death[0] in self._lives:
                    self._has_ended(*death)

    def tidy(self) -> None:
        """Close what the dead have left open. For later: whoever waits to be restarted should not wait for this too."""
        for life in self._ended:
            self._unwatch(life)
        self._ended.clear()

    def poll(self, now: float) -> None:
        """Look at the groups for which it is time."""
        for life, rest in list(self._rests.items()):
            if rest.due <= now:
                self._look_again(life, now)

    def next_poll(self) -> float | None:
        """When to poll, or None when no group is left over."""
        return min((rest.due for rest in self._rests.values()), default=None)

    @property
    def remaining(self) -> list[int]:
        """The lives of which something is left, oldest first."""
        return list(self._groups)

    def _reap(self, pid: int) -> None:
        try:
            reaped, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return  # a sweep in this very turn was faster
        if reaped == pid:
            self._has_ended(pid, status)

    def _has_ended(self, pid: int, status: int) -> None:
        life = self._lives.pop(pid)
        gone = not group.has_members(pid)
        if gone:
            del self._groups[life]
            self._ended.append(life)
        else:
            self._unwatch(life)
            self._rests[life] = Rest(pid, 0.0, _FIRST_LOOK, frozenset())
        self.deaths.append(Death(life, _how(status), gone))

    def _look_again(self, life: int, now: float) -> None:
        """Whether the group is empty by now; if not, when to look next, and whom to watch meanwhile."""
        pgid, _, patience, before = self._rests[life]
        self._unwatch(life)
        living, zombies = group.members(pgid) if group.has_members(pgid) else (None, before)
        is_settled = patience >= _LAST_LOOK / 2 and bool(zombies) and zombies == before
        if (living is None and is_settled) or not group.has_members(pgid):
            del self._groups[life], self._rests[life]
            self._on_empty(life)
            return
        if living is not None:
            self._watch(life, living, lambda mask: self._look_again(life, time.monotonic()))
            zombies = frozenset()
        self._rests[life] = Rest(pgid, now + patience, min(2 * patience, _LAST_LOOK), zombies)

    def _watch(self, life: int, pid: int, handler: Callable[[int], None]) -> bool:
        """False when the process is gone already, or no pidfd can be had."""
        try:
            pidfd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            return False
        try:
            self._loop.watch(pidfd, READ, handler)
        except OSError:
            os.close(pidfd)
            return False
        self._pidfds[life] = pidfd
        return True

    def _rely_on_sigchld(self) -> None:
        if not self._has_sigchld:
            self._has_sigchld = True
            self._loop.on_signal(signal.SIGCHLD, self.sweep)
        self.sweep()  # what ended before the handler was there

    def _unwatch(self, life: int) -> None:
        pidfd = self._pidfds.pop(life, None)
        if pidfd is not None:
            self._loop.forget(pidfd)
            os.close(pidfd)


def wait_for(pid: int) -> int:
    """Reap a child that is no worker and ends by itself; its exit status, or 128 and the signal that ended it."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


def _kill(send: Callable[[int, int], None], target: int, number: int) -> None:
    # It ended meanwhile, or became another user's: its end, if any, will be seen.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(target, number)


def _how(status: int) -> WorkerExit:
    if os.WIFSIGNALED(status):
        return KilledBySignal(_signal_name(os.WTERMSIG(status)), os.WCOREDUMP(status))
    return ExitCode(os.WEXITSTATUS(status))


@functools.cache
def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"

