"""Reaping: who has ended, how, and when nothing of a life is left.

A pidfd per worker in the epoll set says who ended, and one waitpid of that pid says how: nothing here grows with the
number of workers, as waitpid(-1) would, which walks all children (DESIGN § 8). Where no pidfd can be had (Linux before
5.3, no descriptor left), SIGCHLD makes us ask for each of those.

A life is told in one or two events: Exited when the worker was reaped, and, when something of it still lived then,
Emptied when the last is gone: the members of its process group, and those beyond it (remains.py). They are not our
children, so a pidfd of one of them is watched, and when it ends we look again. Besides we look again and again for as
long as it lasts: a member may leave the group alive (setsid), and one that forks and ends over and over is met by no
walk through /proc. When the kernel knows members of the group and the walk meets only zombies, it is empty once two
looks have met the same ones. The group is always asked for first: who leaves it after that is met beyond it.

Who is beyond the group gets what the group got, once: the stop signals, as soon as the worker itself has ended; and
KILL, at every look.
"""

import contextlib
import functools
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

from procsup.core.reason import ExitCode, KilledBySignal, WorkerExit
from procsup.runtime import group, wait
from procsup.runtime.kill import send_exactly
from procsup.runtime.loop import READ, Loop
from procsup.runtime.remains import NothingBeyond, Remains, Worker

_FIRST_LOOK = 0.001
_LAST_LOOK = 0.05
"""Seconds until what is left is looked at again: each time twice as many, up to the last."""


class Death(NamedTuple):
    life: int
    ended: WorkerExit
    gone: bool


class Rest(NamedTuple):
    """What is left of a life whose worker was reaped: when to look again, how long to wait after that, and the zombies
    met at the last look if it met nobody else.
    """

    due: float
    patience: float
    zombies: frozenset[int]


class Reaper:
    """Knows every life of which something is left. `on_empty` is called with a life when nothing is, after its death
    was told.
    """

    def __init__(self, loop: Loop, on_empty: Callable[[int], None], remains: Remains | None = None) -> None:
        self._loop = loop
        self._on_empty = on_empty
        self._remains: Remains = remains if remains is not None else NothingBeyond()
        self._workers: dict[int, Worker] = {}
        """by life"""
        self._unwatched: set[Worker] = set()
        """Not yet reaped, and without a pidfd"""
        self._rests: dict[int, Rest] = {}
        self._ended: list[tuple[Worker, int]] = []
        """Reaped in this turn, with their wait statuses"""
        self._untidy: list[Worker] = []
        """Gone, and their pidfds still open"""
        self._has_sigchld = False

    def adopt(self, life: int, pid: int, path: str = "", starts: int = 0) -> None:
        """A worker was spawned. When no pidfd can be had for it, SIGCHLD must do."""
        worker = Worker(life, pid, path, starts)
        self._workers[life] = worker
        self._remains.adopt(worker)
        if not self._watch(worker, pid, lambda mask: self._reap(worker)):
            self._unwatched.add(worker)
            self._rely_on_sigchld()

    def signal(self, life: int, number: int) -> None:
        """A signal of the stop sequence: to what is left of the group of a life, and to those beyond it once the worker
        has ended, or if it is KILL. To nobody, when nothing is left.
        """
        worker = self._workers.get(life)
        if worker is None:
            return
        is_kill = number == signal.SIGKILL
        worker.sent = (number,) if is_kill else (*worker.sent, number)
        with contextlib.suppress(OSError):  # it could not be looked at now; the next look will
            if is_kill:  # first, as long as the worker can be asked for its children
                self._remains.look()
                self._remains.kill_beyond(worker)
            elif worker.is_reaped:
                self._remains.look()
                self._pass_on(worker)
        if not worker.is_reaped or group.has_members(worker.pid):
            _kill(os.killpg, worker.pid, number)

    def signal_leader(self, life: int, number: int) -> bool:
        """Send a signal to the worker itself. False when it was reaped already."""
        worker = self._workers.get(life)
        if worker is None or worker.is_reaped:
            return False
        _kill(os.kill, worker.pid, number)
        return True

    def take_deaths(self) -> list[Death]:
        """Who was reaped since the last call, and whether anything is left of them. One look for all of them."""
        if not self._ended:
            return []
        ended, self._ended = self._ended, []
        empty = {worker.life for worker, _ in ended if not group.has_members(worker.pid)}
        try:
            self._remains.look()
        except OSError:
            empty.clear()  # who knows
        return [
            Death(worker.life, _how(status), self._is_gone(worker, worker.life in empty)) for worker, status in ended
        ]

    def tidy(self) -> None:
        """Close what the dead have left open. For later: whoever waits to be restarted should not wait for this too."""
        for worker in self._untidy:
            self._unwatch(worker)
        self._untidy.clear()

    def poll(self, now: float) -> None:
        """Look at the remains for which it is time."""
        due = [self._workers[life] for life, rest in self._rests.items() if rest.due <= now]
        if not due:
            return
        empty = {worker.life for worker in due if not group.has_members(worker.pid)}
        try:
            self._remains.look()
        except OSError:
            for worker in due:
                self._rests[worker.life] = self._rests[worker.life]._replace(due=now + _LAST_LOOK)
        else:
            for worker in due:
                self._look_again(worker, worker.life in empty, now)

    def next_poll(self) -> float | None:
        """When to poll, or None when nothing is left over."""
        return min((rest.due for rest in self._rests.values()), default=None)

    @property
    def remaining(self) -> list[int]:
        """The lives of which something is left, oldest first."""
        return list(self._workers)

    def _reap(self, worker: Worker) -> None:
        status = wait.reap(worker.pid)
        if status is not None:
            worker.is_reaped = True
            self._unwatched.discard(worker)
            self._ended.append((worker, status))

    def _is_gone(self, worker: Worker, is_empty: bool) -> bool:
        if is_empty and not self._has_any_beyond(worker):
            self._untidy.append(worker)
            self._forget(worker)
            return True
        self._unwatch(worker)
        self._rests[worker.life] = Rest(0.0, _FIRST_LOOK, frozenset())
        return False

    def _has_any_beyond(self, worker: Worker) -> bool:
        try:
            return bool(self._remains.beyond(worker))
        except OSError:
            return True  # who knows

    def _look_again(self, worker: Worker, is_empty: bool, now: float) -> None:
        """Whether nothing is left by now; if something is, when to look next, and whom to watch meanwhile."""
        rest = self._rests[worker.life]
        self._unwatch(worker)
        try:
            living, zombies = self._meet(worker, is_empty, rest)
        except OSError:
            living, zombies = None, frozenset()
        else:
            if living is None and zombies is None:
                del self._rests[worker.life]
                self._forget(worker)
                self._on_empty(worker.life)
                return
        if living is not None:
            self._watch(worker, living, lambda mask: self._make_due(worker))
        patience = min(2 * rest.patience, _LAST_LOOK)
        self._rests[worker.life] = Rest(now + rest.patience, patience, zombies or frozenset())

    def _meet(self, worker: Worker, is_empty: bool, rest: Rest) -> tuple[int | None, frozenset[int] | None]:
        """Somebody who lives, and if nobody does, the zombies of the group, None when not even those are left."""
        beyond = self._pass_on(worker)
        if beyond:
            return beyond[0], None
        if is_empty:
            return None, None
        living, zombies = group.members(worker.pid)
        if living is not None:
            return living.pid, None
        if rest.patience >= _LAST_LOOK / 2 and zombies and zombies == rest.zombies:
            return None, None
        if group.has_members(worker.pid):
            return None, zombies
        self._remains.look()
        return self._meet(worker, True, rest)

    def _pass_on(self, worker: Worker) -> list[int]:
        """Those beyond the group get the signals that the group got. Their pids."""
        if worker.sent == (signal.SIGKILL,):
            self._remains.kill_beyond(worker)
        beyond = self._remains.beyond(worker)
        if worker.sent != (signal.SIGKILL,):
            for stat in beyond:
                for number in worker.sent[worker.told.get((stat.pid, stat.started), 0) :]:
                    send_exactly(stat, number)
            worker.told = {(stat.pid, stat.started): len(worker.sent) for stat in beyond}
        return [stat.pid for stat in beyond]

    def _make_due(self, worker: Worker) -> None:
        self._unwatch(worker)
        self._rests[worker.life] = self._rests[worker.life]._replace(due=0.0)

    def _forget(self, worker: Worker) -> None:
        del self._workers[worker.life]
        self._remains.forget(worker.life, worker)

    def _watch(self, worker: Worker, pid: int, handler: Callable[[int], None]) -> bool:
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
        worker.pidfd = pidfd
        return True

    def _unwatch(self, worker: Worker) -> None:
        if worker.pidfd >= 0:
            self._loop.forget(worker.pidfd)
            os.close(worker.pidfd)
            worker.pidfd = -1

    def _rely_on_sigchld(self) -> None:
        if not self._has_sigchld:
            self._has_sigchld = True
            self._loop.on_signal(signal.SIGCHLD, self._sweep)
        self._sweep()  # what ended before the handler was there

    def _sweep(self) -> None:
        for worker in list(self._unwatched):
            self._reap(worker)


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
