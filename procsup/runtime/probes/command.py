"""Ready by a command that ends with 0: run again until it does, as the worker's user, in its folder and environment,
with its output in the worker's log.

The command has a session of its own and is watched like a worker, as a *second life* beside that of the worker, under
the path "NAME/ready": so everything that it starts is known, and is killed when the command has ended or is not wanted
any more. It is given no time for that, as it is to look and not to change. The next one waits until nothing of the last
one is left; and so does whoever wants to know whether the worker is gone.
"""

import time
from dataclasses import replace
from typing import Protocol

from procsup.core.actions import Spawn
from procsup.core.reason import ExitCode, WorkerExit
from procsup.core.spec import WorkerSpec
from procsup.runtime.alarms import Alarm, Alarms
from procsup.runtime.probes.probe import Verdict

_FIRST_REST = 0.1
_LAST_REST = 1.0
"""Seconds between two attempts, twice as many after each, up to the last."""

_NAME = "ready"


class Performer(Protocol):
    """Who spawns and kills. Of each spawn one answer comes, sooner or later: Commanding.has_spawned."""

    def spawn(self, spawn: Spawn) -> None:
        pass

    def kill(self, life: int) -> None:
        """Whatever is left of it, now or as soon as it comes to be."""


def second_life(life: int) -> int:
    """Of the worker with this life; and the other way round. The lives of workers are above 0."""
    return -life


class Commanding:
    def __init__(
        self, performer: Performer, alarms: Alarms, worker: Spawn, command: tuple[str, ...], verdict: Verdict
    ) -> None:
        program = replace(worker.spec.program, command=command, target=None, stdin="null")
        self._spawn = Spawn(second_life(worker.life), f"{worker.path}/{_NAME}", WorkerSpec(_NAME, program), 0)
        self._performer = performer
        self._alarms = alarms
        self._verdict = verdict
        self._rest = _FIRST_REST
        self._alarm: Alarm | None = None
        self._is_over = False
        self.is_left = False
        """Something of the command is."""

    def begin(self, pid: int) -> None:
        self._attempt()

    def last_look(self) -> None:
        pass

    def stop(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self.is_left:
            self._performer.kill(self._spawn.life)

    def close(self) -> None:
        self.stop()

    # What has become of it

    def has_spawned(self, failure: str) -> None:
        """`failure` is "" or the stage and the errno."""
        if failure:
            self.is_left = False
            self._verdict.not_yet(f"start_failed {failure}")
            self._try_again()
        elif self._is_over:
            self._performer.kill(self._spawn.life)

    def has_ended(self, ended: WorkerExit, is_gone: bool, last_line: str) -> None:
        self.is_left = not is_gone
        if self.is_left:
            self._performer.kill(self._spawn.life)
        if self._is_over:
            return
        if ended == ExitCode(0):
            self._verdict.ready()
            return
        self._verdict.not_yet(f"{ended}: {last_line}" if last_line else str(ended))
        if is_gone:
            self._try_again()

    def is_empty(self) -> None:
        """Nothing is left of it, after its end."""
        self.is_left = False
        self._try_again()

    def _attempt(self) -> None:
        self.is_left = True
        self._spawn = replace(self._spawn, starts=self._spawn.starts + 1)
        self._performer.spawn(self._spawn)

    def _try_again(self) -> None:
        if not self._is_over:
            self._alarm = self._alarms.set(time.monotonic() + self._rest, self._attempt)
            self._rest = min(2 * self._rest, _LAST_REST)
