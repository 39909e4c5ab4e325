"""The daemon: the loop that carries events to the node and performs what the node answers.

One turn: hand the queued events to the node, perform its actions (whose results are queued as the next events), tell
the journal and those who listen, then wait for descriptors, signals or the next deadline. Deaths that one turn finds
are handed over together, in start order, so that the core knows them all before it decides about any. A start that
failed is handed over after whatever came in meanwhile, as OTP's message to try again is queued behind what waits in
the mailbox.

Laws: no OSError leaves the runtime; it becomes an event or a CannotRun. A bug of ours stops the tree in order and tells
its story; a bug of the core, which cannot be asked any more, ends every worker directly.
"""

import errno
import faulthandler
import functools
import gc
import math
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import assert_never

from procsup import __version__
from procsup.config.config import Config
from procsup.core.actions import Action, Cancel, End, Record, Reply, Retract, Signal, Spawn, Tell
from procsup.core.events import (
    Booted,
    Emptied,
    Event,
    Exited,
    Garbled,
    JournalFailed,
    JournalResumed,
    OutputLost,
    ShutdownRequested,
    SpawnFailed,
    Started,
    TimePassed,
)
from procsup.core.health import health
from procsup.core.node import Node
from procsup.runtime import lock
from procsup.runtime.api import Api, signal_number
from procsup.runtime.control import Control
from procsup.runtime.dispatch import Dispatcher
from procsup.runtime.failure import CannotRun, complain
from procsup.runtime.guardian import Link
from procsup.runtime.inheritance import initial_environment, leave_behind
from procsup.runtime.journal import Journal
from procsup.runtime.ladder import strongest_remains
from procsup.runtime.leftovers import kill_marked, mark_of
from procsup.runtime.logfile import LogFiles
from procsup.runtime.loop import READ, Loop
from procsup.runtime.notify import ServiceManager
from procsup.runtime.output import OnLines, Outputs
from procsup.runtime.places import Places
from procsup.runtime.post import Post
from procsup.runtime.probes.command import second_life
from procsup.runtime.probes.probes import Probes
from procsup.runtime.reap import Death, Reaper
from procsup.runtime.spawn import Spawner, SpawnFailure, Stdio, errno_name
from procsup.wire.decode import JSON
from procsup.wire.events import Event as JournalEvent

_BATCH = 50
"""Rounds of events and actions in one turn: signals and clients wait no longer than that."""

_GOODBYE = 1.0
"""Seconds that clients are given to take their last answers."""

_BUG = 70
"""Exit status after a bug of ours (EX_SOFTWARE, sysexits.h)."""


def run(
    config: Config,
    places: Places,
    link: Link,
    *,
    on_event: Callable[[JournalEvent], None],
    on_up: Callable[[], None] | None = None,
    log_files: LogFiles | None = None,
    on_lines: OnLines | None = None,
) -> int:
    """Supervise the tree until it is down. The exit status (DESIGN § 6). `on_up` is called once the tree is up,
    `on_lines` with what workers write that is captured. USR1 closes `log_files`, so that they are opened anew.

    Raises:
        CannotRun: the places cannot be had; nothing was started.
    """
    for folder, what in (
        (places.state_dir, "the state"),
        (places.log_dir, "the logs"),
        (os.path.dirname(places.socket), "the socket"),
    ):
        lock.make_folder(folder, what)
    mark, state_lock = mark_of(os.getpid()), os.path.join(places.state_dir, "lock")
    held = [
        lock.hold(state_lock, f"the state directory {places.state_dir}", link.guardian, mark),
        lock.hold(f"{places.socket}.lock", f"the socket {places.socket}", link.guardian, mark),
    ]
    locks = [one.fd for one in held]
    link.share(locks)
    _sweep(held[0].last)
    try:
        daemon = Daemon(config, places, link, mark, on_event, on_up, log_files or LogFiles(places.state_dir), on_lines)
    except OSError as error:
        raise CannotRun(f"cannot set up the daemon: {error.strerror} ({errno_name(error.errno or 0)})", 71) from None
    leave_behind()  # now that every signal is taken
    faulthandler.enable(2)  # ABRT, by which a service manager ends a daemon that hangs, tells where it does
    try:
        return daemon.run()
    finally:
        daemon.close()
        os.ftruncate(locks[0], 0)  # nothing is left
        for fd in locks:
            os.close(fd)


def _sweep(mark: bytes) -> None:
    """Whoever held the state directory before us may have been killed with its guardian, and nothing runs twice."""
    count = kill_marked(mark) if mark else 0
    if count:
        complain(f"killed {count} processes that the daemon before this one had left behind")


class Daemon:
    """Owns the node and every part of the runtime."""

    def __init__(
        self,
        config: Config,
        places: Places,
        link: Link,
        mark: bytes,
        on_event: Callable[[JournalEvent], None],
        on_up: Callable[[], None] | None,
        log_files: LogFiles,
        on_lines: OnLines | None,
    ) -> None:
        self._config = config
        self._places = places
        self._link = link
        self._on_event = on_event
        self._on_up = on_up
        self._events: list[Event] = []
        self._results: list[Started | SpawnFailed] = []
        self._records: list[tuple[Record, float, float]] = []
        self._end: End | None = None
        self._has_bug = False
        self._is_orphan = False
        """The guardian has died."""
        self._mark = mark
        self._loop = Loop()
        self._loop.watch(link.fileno(), READ, self._hear_end_of_link)
        self._node = Node(config.tree)
        self._service_manager = ServiceManager(
            os.environ, (os.getpid(), link.guardian), functools.partial(health, self._node)
        )
        self._spawner = Spawner(initial_environment(), self._mark, self._loop.wakeup_fd)
        self._spawner.raise_limit()
        self._dispatcher = Dispatcher(self._loop, self._spawner.start_spawner)
        self._warm_dispatcher = Dispatcher(self._loop, self._start_warm_server, is_kept=True)
        self._remains = strongest_remains(link, self._mark)
        self._reaper = Reaper(self._loop, self._is_empty, self._remains)
        self._journal = Journal(
            places.state_dir,
            lambda errno: self._events.append(JournalFailed(errno)),
            lambda lost: self._events.append(JournalResumed(lost)),
        )
        self._outputs = Outputs(self._loop, places.log_dir, log_files, self._lose, on_lines)
        self._post = Post(
            self._loop,
            self._node.reachable,
            self._events.append,
            lambda message, tell, refuse: self._api.take_from_worker(message, tell, refuse),
            self._garbled,
        )
        self._channels = self._post.channels
        self._probes = Probes(self._loop, self._outputs, _Performer(self), self._events.append, self._is_empty)
        self._api = Api(
            self._node,
            self._reaper,
            self._journal,
            self._outputs,
            self._post.tasks,
            places,
            config,
            self._remains.level,
            self._events.append,
            self._tell_of_reload,
        )
        self._control = Control(self._loop, places.socket, self._api.take, self._api.forget)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._loop.on_signal(number, functools.partial(self._stop, signal.Signals(number).name))
        self._loop.on_signal(signal.SIGUSR1, self._reopen)
        self._loop.on_signal(signal.SIGHUP, functools.partial(self._api.reload, "SIGHUP"))
        for number in (signal.SIGUSR2, signal.SIGALRM):
            self._loop.on_signal(number, _disregard)

    def run(self) -> int:
        self._events.append(Booted(os.getpid(), self._config.file, __version__, self._journal.last_seq()))
        self._check_guardian()
        try:
            while self._end is None:
                self._turn()
            self._say_goodbye(self._end.status)
        except Exception:  # noqa: BLE001  # the core is broken: the last resort, see the laws above
            self._abandon()
            return _BUG
        return _BUG if self._has_bug else self._end.status

    def close(self) -> None:
        if not self._link.is_guarded():  # nobody sweeps after us
            kill_marked(self._mark)
        self._tidy()
        self._probes.close()
        self._outputs.close()
        self._channels.close()
        self._dispatcher.close()
        self._warm_dispatcher.close()
        self._remains.close()
        self._control.close()
        self._service_manager.close()
        self._journal.close()
        self._loop.close()

    # One turn

    def _turn(self) -> None:
        if self._events:
            self._outputs.give_way(time.monotonic())
        for _ in range(_BATCH):
            if not self._events:
                break
            events, self._events[:] = list(self._events), []
            for action in self._node.handle(events, time.monotonic()):
                self._perform(action)
            if any(isinstance(result, SpawnFailed) for result in self._results):
                break
            self._take_results()
        self._publish()
        if self._end is not None:
            return
        self._tidy()
        try:
            self._wait()
        except Exception:  # noqa: BLE001  # a bug of ours: the tree is stopped in order
            self._confess()
        self._take_results()
        self._take_deaths()
        now = time.monotonic()
        self._reaper.poll(now)
        self._outputs.poll(now)
        self._probes.poll(now)
        self._journal.poll(now)
        self._service_manager.poll(now)
        self._check_guardian()  # before anything follows from the deaths: orphans may have been out of sight
        deadline = self._node.next_deadline()
        if deadline is not None and deadline <= now:
            self._events.append(TimePassed())

    def _tidy(self) -> None:
        """What need not be done before the next life begins."""
        self._reaper.tidy()
        self._outputs.tidy()

    def _wait(self) -> None:
        """Until there is something to look after. What workers only say to each other ends no turn."""
        deadline = -math.inf if self._events or self._results else self._next_deadline()
        while True:
            patience = None if deadline is None else max(0.0, deadline - time.monotonic())
            is_eventful = self._loop.turn(patience)
            if is_eventful or self._events or patience == 0.0:
                return

    def _next_deadline(self) -> float | None:
        return min((when for when in self._deadlines() if when is not None), default=None)

    def _deadlines(self) -> tuple[float | None, ...]:
        return (
            self._node.next_deadline(),
            self._reaper.next_poll(),
            self._outputs.next_poll(),
            self._probes.next_deadline(),
            self._journal.next_poll(),
            self._service_manager.next_deadline(),
        )

    def _take_results(self) -> None:
        """What a worker says is listened to once the node is told that it runs."""
        results, self._results = self._results, []
        self._events += results
        for result in results:
            if isinstance(result, Started):
                self._channels.listen(result.life)
                self._probes.begin(result.life, result.pid)

    def _take_deaths(self) -> None:
        deaths = self._reaper.take_deaths()
        for death in deaths:
            if death.life < 0:
                self._end_command(death)
        workers = [death for death in deaths if death.life > 0]
        if len(workers) > 1:
            workers.sort(key=lambda death: self._node.start_order(death.life))
        for death in workers:
            self._events.append(self._exited(death))

    def _exited(self, death: Death) -> Exited:
        life = death.life
        self._post.end(life)
        self._probes.end(life)
        tail = self._outputs.drain(life)
        is_gone = death.gone and not self._probes.is_left(life)
        if is_gone:
            self._outputs.end(life)
        return Exited(life, death.ended, is_gone, tail)

    def _end_command(self, death: Death) -> None:
        tail = self._outputs.drain(death.life)
        if death.gone:
            self._outputs.end(death.life)
        self._probes.has_ended(death.life, death.ended, death.gone, tail)

    def _is_empty(self, life: int) -> None:
        if life < 0:
            self._outputs.end(life)
            self._probes.is_empty(life)
        elif not self._probes.is_left(life):
            self._outputs.end(life)
            self._events.append(Emptied(life))

    # Actions

    def _perform(self, action: Action) -> None:
        match action:
            case Record():
                self._records.append((action, time.time(), time.monotonic()))
            case Spawn():
                self.spawn(action, action.path)
            case Cancel(life=life):
                self._dispatcher.cancel(life)
                self._warm_dispatcher.cancel(life)
            case Signal(life=life, signal=name):
                self._probes.stop(life)
                number = signal_number(name)
                if number == signal.SIGKILL:
                    self.kill(life)
                else:
                    self._reaper.signal(life, number)
            case Reply():
                self._api.on_reply(action)
            case Tell(life=life, message=message):
                self._post.tell(life, message)
            case Retract(life=life, ref=ref):
                self._post.retract(life, ref)
            case End():
                self._end = action
            case _:
                assert_never(action)

    def kill(self, life: int) -> None:
        """Also what is being spawned."""
        if not (self._dispatcher.kill(life) or self._warm_dispatcher.kill(life)):
            self._reaper.signal(life, signal.SIGKILL)

    def spawn(self, action: Spawn, speaker: str) -> None:
        """Its output is that of the worker with the path `speaker`."""
        if self._is_orphan:  # what is left of the life before it may be out of sight
            self._has_spawned(action, 0, "guardian", errno.ESRCH)
            return
        try:
            stdio = self._equip(action, speaker)
        except SpawnFailure as failure:
            self._has_spawned(action, 0, failure.stage, failure.errno)
            return
        try:
            self._start(action, stdio)
        finally:
            self._outputs.release(stdio)

    def _equip(self, action: Spawn, speaker: str) -> Stdio:
        """Raises:
        SpawnFailure: what the worker is to have cannot be had; nothing of it stays open.
        """
        stdio = self._outputs.open(action.life, speaker, action.spec.program)
        try:
            if action.spec.has_channel:
                stdio = stdio.with_channel(*self._channels.open(action.life, action.path))
            return self._probes.open(action, stdio)
        except SpawnFailure:
            self._outputs.release(stdio)
            raise

    def _start(self, action: Spawn, stdio: Stdio) -> None:
        """At once, or by the spawner process, which will tell."""
        program = action.spec.program
        try:
            cgroup = self._remains.prepare(action.life, action.path)
        except OSError as error:
            self._has_spawned(action, 0, "cgroup", error.errno or 0)
            return
        if cgroup >= 0 or not self._spawner.is_plain(program, stdio):
            order = self._spawner.order(program, action.path, action.starts, stdio)
            told = functools.partial(self._has_spawned, action)
            dispatcher = self._dispatcher if program.target is None else self._warm_dispatcher
            dispatcher.dispatch(action.life, order, self._spawner.descriptors(stdio), told, cgroup)
            if cgroup >= 0:
                os.close(cgroup)
            return
        try:
            self._has_spawned(action, self._spawner.spawn(program, action.path, action.starts, stdio), "", 0)
        except SpawnFailure as failure:
            self._has_spawned(action, 0, failure.stage, failure.errno)

    def _start_warm_server(self, stdin: int) -> int:
        folder = os.path.dirname(self._config.file)
        return self._spawner.start_warm_server(stdin, folder, self._config.daemon.preload)

    def _has_spawned(self, action: Spawn, pid: int, stage: str, number: int) -> None:
        if stage:
            self._outputs.end(action.life)
            self._channels.end(action.life)
            self._probes.end(action.life)
            self._remains.forget(action.life, None)
        else:
            self._reaper.adopt(action.life, pid, action.path, action.starts)
        if action.life < 0:
            self._probes.has_spawned(action.life, stage, number)
        elif stage:
            self._results.append(SpawnFailed(action.life, stage, errno_name(number)))
        else:
            self._results.append(Started(action.life, pid))

    def _lose(self, life: int, lost: int, errno: str) -> None:
        self._events.append(OutputLost(life if life > 0 else second_life(life), lost, errno))

    def _garbled(self, life: int, count: int, why: str) -> None:
        self._events.append(Garbled(life, count, why))

    def _publish(self) -> None:
        """Tell of what was recorded since the last turn."""
        if not self._records:
            return
        records, self._records = self._records, []
        events = [_journal_event(record, wall, mono) for record, wall, mono in records]
        self._journal.append(events)
        for event in events:
            self._on_event(event)
            if event.event == "ready" and event.path == self._config.tree.name:
                gc.freeze()  # the tree stays: no collection need walk through it again
                self._service_manager.ready()
                if self._on_up is not None:
                    self._on_up()
                    self._on_up = None
        self._service_manager.changed(time.monotonic())
        if self._node.is_ending:
            self._service_manager.stopping()
        if self._api.has_subscribers:
            self._api.publish(events)

    # Asked from outside

    def _reopen(self) -> None:
        self._outputs.reopen()
        self._journal.close()

    def _stop(self, by: str) -> None:
        self._events.append(ShutdownRequested(by=by))

    def _tell_of_reload(self, is_begun: bool) -> None:
        if is_begun:
            self._service_manager.reloading()
        else:
            self._service_manager.ready()

    def _hear_end_of_link(self, mask: int) -> None:
        """It comes before we are given another parent."""
        self._loop.forget(self._link.fileno())
        self._lose_guardian()

    def _check_guardian(self) -> None:
        if os.getppid() != self._link.guardian:
            self._lose_guardian()

    def _lose_guardian(self) -> None:
        """Nobody would end what is left if we died now: end the tree at once, and start nothing more."""
        if not self._is_orphan:
            self._is_orphan = True
            complain("the guardian has died, so the tree is being stopped")
            self._events.append(ShutdownRequested(hurried=True, by="guardian_died"))

    # The end

    def _say_goodbye(self, status: int) -> None:
        self._api.on_end(status)
        end = time.monotonic() + _GOODBYE
        while any(client.has_unsent for client in self._control.clients) and time.monotonic() < end:
            self._loop.turn(end - time.monotonic())

    def _confess(self) -> None:
        self._has_bug = True
        complain(f"a bug of procsup; the tree is being stopped:\n{traceback.format_exc()}")
        self._stop("bug")

    def _abandon(self) -> None:
        """The node cannot be asked any more: KILL whatever lives, latest first."""
        complain(f"a bug in the core of procsup; every worker is killed:\n{traceback.format_exc()}")
        for life in reversed(self._reaper.remaining):
            self._reaper.signal(life, signal.SIGKILL)


class _Performer:
    """Starts and kills the commands that tell whether workers are ready. Lives below 0 (probes/command.py)."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def spawn(self, spawn: Spawn) -> None:
        self._daemon.spawn(spawn, spawn.path.rpartition("/")[0])

    def kill(self, life: int) -> None:
        self._daemon.kill(life)


def _disregard() -> None:
    """Nothing is to be done, least of all to die and leave the workers alone."""


def _journal_event(record: Record, wall: float, mono: float) -> JournalEvent:
    seconds, micros = divmod(int(wall * 1_000_000), 1_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    details: dict[str, JSON] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in record.details.items()
    }
    return JournalEvent(
        record.seq, f"{stamp}.{micros:06d}Z", round(mono, 6), record.event, record.path, record.cause, details
    )
