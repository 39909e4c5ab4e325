"""Probes: who watches whether workers are ready (DESIGN § 5), one for each life that needs it.

A life that is ready by being executed has none, nor one that says so on its channel (post.py): to those this costs
nothing. A probe is made before the spawn, for it may have something to give to the worker; it begins when the tree
knows that the worker runs, and stops when that is ready, was sent a signal of its stop sequence, or has ended.
"""

import errno
from collections.abc import Callable
from functools import partial
from typing import assert_never

from procsup.core.actions import Spawn
from procsup.core.events import BecameReady, NotReadyYet
from procsup.core.readiness import (
    AtExec,
    Connection,
    Elapsed,
    Line,
    Newline,
    Notify,
    OnChannel,
    Response,
    Success,
)
from procsup.core.reason import WorkerExit
from procsup.runtime.alarms import Alarms
from procsup.runtime.loop import Loop
from procsup.runtime.output import Outputs
from procsup.runtime.probes import http
from procsup.runtime.probes.command import Commanding, Performer, second_life
from procsup.runtime.probes.connection import Connecting
from procsup.runtime.probes.elapsed import Elapsing
from procsup.runtime.probes.line import Lines
from procsup.runtime.probes.newline import Newlines
from procsup.runtime.probes.notification import Notifications
from procsup.runtime.probes.probe import Probe, Verdict
from procsup.runtime.probes.resolver import Resolver
from procsup.runtime.spawn import SpawnFailure, Stdio

_LONGEST = 200
"""Characters of what is told to be in the way."""


class Probes:
    """`report` takes the events that are for the core. `on_gone` is called with a life when nothing is left of its
    command, if `is_left` has said that something is after its end.
    """

    def __init__(
        self,
        loop: Loop,
        outputs: Outputs,
        performer: Performer,
        report: Callable[[BecameReady | NotReadyYet], None],
        on_gone: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._outputs = outputs
        self._performer = performer
        self._report = report
        self._on_gone = on_gone
        self._alarms = Alarms()
        self._resolver = Resolver(loop)
        self._probes: dict[int, Probe] = {}
        self._watching: set[int] = set()
        """The lives whose probes have begun and not stopped."""
        self._commands: dict[int, Commanding] = {}
        self._mourned: set[int] = set()
        """Gone, but for their command."""
        self._last_words: dict[int, str] = {}

    # A worker

    def open(self, spawn: Spawn, stdio: Stdio) -> Stdio:
        """What it is to be spawned with.

        Raises:
            SpawnFailure: "ready"; nothing stays open.
        """
        life, ready = spawn.life, spawn.spec.ready
        verdict = Verdict(partial(self._is_ready, life), partial(self._is_not_ready_yet, life))
        try:
            match ready:
                case AtExec() | OnChannel():
                    return stdio
                case Notify():
                    notifications = self._probes[life] = Notifications(self._loop, verdict)
                    return stdio.with_words(notifications.word)
                case Newline(fd=number):
                    newlines = self._probes[life] = Newlines(self._loop, number, verdict)
                    return stdio.with_seated((number, newlines.theirs))
                case Connection(host=host, port=port):
                    self._probes[life] = self._connecting(host, port, b"", verdict)
                case Response(host=host, port=port, target=target):
                    self._probes[life] = self._connecting(host, port, http.request(host, port, target), verdict)
                case Success(command=command):
                    commanding = Commanding(self._performer, self._alarms, spawn, command, verdict)
                    self._probes[life] = self._commands[life] = commanding
                case Line(pattern=pattern):
                    self._probes[life] = Lines(self._outputs, life, pattern, verdict)
                case Elapsed(seconds=seconds):
                    self._probes[life] = Elapsing(self._alarms, seconds, verdict)
                case _:
                    assert_never(ready)
        except OSError as error:
            raise SpawnFailure("ready", error.errno or 0) from None
        return stdio

    def begin(self, life: int, pid: int) -> None:
        """It was executed, and the tree knows."""
        probe = self._probes.get(life)
        if probe is not None:
            self._watching.add(life)
            probe.begin(pid)

    def stop(self, life: int) -> None:
        """A signal of its stop sequence is sent to it."""
        self._stop(life)

    def end(self, life: int) -> None:
        """It has ended, or never came to be."""
        probe = self._probes.get(life)
        if probe is None:
            return
        if life in self._watching:
            probe.last_look()
        self._stop(life)
        probe.close()
        del self._probes[life]
        self._last_words.pop(life, None)
        if life in self._commands and not self._commands[life].is_left:
            del self._commands[life]

    def is_left(self, life: int) -> bool:
        """Whether something of the command of this life, which is gone itself, is left; then `on_gone` follows."""
        if life not in self._commands:
            return False
        self._mourned.add(life)
        return True

    # A command

    def has_spawned(self, second: int, stage: str, number: int) -> None:
        life = second_life(second)
        command = self._commands[life]
        command.has_spawned(f"{stage} {errno.errorcode.get(number, number)}" if stage else "")
        self._release(life)

    def has_ended(self, second: int, ended: WorkerExit, is_gone: bool, tail: tuple[str, ...]) -> None:
        life = second_life(second)
        self._commands[life].has_ended(ended, is_gone, tail[-1] if tail else "")
        self._release(life)

    def is_empty(self, second: int) -> None:
        life = second_life(second)
        self._commands[life].is_empty()
        self._release(life)

    # All of them

    def next_deadline(self) -> float | None:
        """When to `poll`; None: not before something happens."""
        return self._alarms.next_deadline()

    def poll(self, now: float) -> None:
        self._alarms.poll(now)

    def close(self) -> None:
        for life in list(self._probes):
            self.end(life)
        self._resolver.close()

    def _connecting(self, host: str, port: int, request: bytes, verdict: Verdict) -> Connecting:
        return Connecting(self._loop, self._alarms, self._resolver, host, port, request, verdict)

    def _is_ready(self, life: int) -> None:
        if life in self._watching:
            self._stop(life)
            self._report(BecameReady(life))

    def _is_not_ready_yet(self, life: int, why: str) -> None:
        why = why if len(why) <= _LONGEST else f"{why[:_LONGEST]}…"
        if life in self._watching and self._last_words.get(life) != why:
            self._last_words[life] = why
            self._report(NotReadyYet(life, why))

    def _stop(self, life: int) -> None:
        if life in self._watching:
            self._watching.discard(life)
            self._probes[life].stop()

    def _release(self, life: int) -> None:
        """A command of which nothing is left, and whose worker has ended, is forgotten."""
        if life in self._probes or self._commands[life].is_left:
            return
        del self._commands[life]
        if life in self._mourned:
            self._mourned.discard(life)
            self._on_gone(life)
