"""The node: the whole tree, told of events and answering with actions.

    actions = node.handle(events, now)

The straight line of one death: the runtime reaps, `Exited` comes here, its supervisor decides (policy, intensity), and
the actions (Spawn, Signal, Tell, Reply, Record, End) go back to be performed; what comes of them returns as events.

First every event of the batch is recorded as a fact, then exit signals run over links, then follow the decisions: of
two children that died in one sweep the second is known to be dead when the fate of the first is decided. The same
events give the same actions.
"""

from collections.abc import Iterable
from typing import assert_never

from procsup.core import commands, life, links, reload
from procsup.core.actions import Action
from procsup.core.book import Book
from procsup.core.calls import Call, DeleteChild, Refusal, Reload, RestartChild, StartChild, TerminateChild
from procsup.core.child import Child, State
from procsup.core.events import (
    BecameReady,
    Booted,
    Called,
    Emptied,
    Event,
    Exited,
    Garbled,
    JournalFailed,
    JournalResumed,
    NotReadyYet,
    OutputLost,
    Requested,
    ShutdownRequested,
    SpawnFailed,
    Started,
    TimePassed,
)
from procsup.core.health import Tally
from procsup.core.spec import SupervisorSpec
from procsup.core.supervisor import Supervisor
from procsup.core.ties import is_alive

HURRY_AFTER = 0.5
"""Seconds after the first request to shut down from which on another one hurries (DESIGN § 6)."""


class Node:
    """`now`, here and below, is in seconds of one monotonic clock and never goes back."""

    def __init__(self, tree: SupervisorSpec) -> None:
        self._book = Book()
        self.root = Child(tree, tree.name, None)
        self.root.supervisor = self._supervisor = Supervisor(self._book, tree, self.root)
        self._book.add(self.root)
        self._shutdown_requested: float | None = None
        self._shutdown_by = ""

    def handle(self, events: Iterable[Event], now: float) -> list[Action]:
        """Record all the events, then decide. O(1) for each, but for those that touch a group."""
        book = self._book
        book.now = now
        for event in events:
            self._record(event)
        if book.deaths:
            links.spread(book)
        book.drain()
        actions, book.actions = book.actions, []
        return actions

    @property
    def now(self) -> float:
        """The time of the last events."""
        return self._book.now

    def child(self, path: str) -> Child | None:
        """The record at this path. O(1)."""
        return self._book.children.get(path)

    def named(self, name: str) -> Child | None:
        """The record of this name, wherever it is. O(1)."""
        return self._book.names.get(name)

    def reachable(self, name: str) -> Child | None:
        """The worker of this name, if it has a process that can be spoken to: for `send` and `whereis`. O(1)."""
        child = self._book.names.get(name)
        return child if child is not None and is_alive(child) else None

    def children(self) -> Iterable[Child]:
        """Every record, in no useful order."""
        return self._book.children.values()

    @property
    def is_ending(self) -> bool:
        """The tree is being stopped, or down again, for whatever reason."""
        return self._supervisor.ending is not None

    @property
    def tally(self) -> Tally:
        return self._book.tally

    def start_order(self, number: int) -> tuple[int, ...]:
        """Sorts lives by the start order of their children. O(depth)."""
        child: Child | None = self._book.lives[number]
        positions: list[int] = []
        while child is not None:
            positions.append(child.position)
            child = child.parent.child if child.parent is not None else None
        return tuple(reversed(positions))

    def next_deadline(self) -> float | None:
        """When TimePassed is due, or None when nothing is waited for."""
        return self._book.timers.next_deadline()

    def _record(self, event: Event) -> None:
        match event:
            case Started(life=number, pid=pid):
                life.started(self._book, number, pid)
            case BecameReady(life=number):
                life.became_ready(self._book, number)
            case NotReadyYet(life=number, why=why):
                life.not_ready_yet(self._book, number, why)
            case Exited(life=number, ended=ended, gone=gone, tail=tail):
                life.exited(self._book, number, ended, gone, tail)
            case Emptied(life=number):
                life.emptied(self._book, number)
            case SpawnFailed(life=number, stage=stage, errno=errno):
                life.spawn_failed(self._book, number, stage, errno)
            case Called(ref=ref, call=call):
                self._call(ref, call)
            case Requested(life=number, id=request_id, request=request):
                links.requested(self._book, number, request_id, request)
            case OutputLost(life=number, lost=lost, errno=errno):
                child = self._book.lives.get(number)
                if child is not None:  # its life may be over, and somebody outside its group write on
                    self._book.note("lost_output", child, None, bytes=lost, reason=errno)
            case JournalFailed(errno=errno):
                self._book.note("journal_failed", self.root, None, reason=errno)
            case JournalResumed(lost=lost):
                self._book.note("journal_resumed", self.root, None, lost=lost)
            case Garbled(life=number, count=count, why=why):
                child = self._book.lives.get(number)
                if child is not None:
                    self._book.note("bad_message", child, None, count=count, reason=why)
            case TimePassed():
                self._book.todo.append(self._expire)
            case ShutdownRequested(hurried=hurried, by=by):
                self._shut_down(hurried, by)
            case Booted(pid=pid, file=file, version=version, last_seq=last_seq):
                self._book.go_on_from(last_seq)
                cause = self._book.record("daemon_started", self.root, None, pid=pid, file=file, version=version)
                self._supervisor.begin(cause)
                if self._shutdown_requested is not None:
                    self._supervisor.cease(None, by=self._shutdown_by)
            case _:
                assert_never(event)

    def _call(self, ref: int, call: Call) -> None:
        if self.root.state is State.DOWN:  # over, or not begun
            self._book.reply(ref, Refusal.NOPROC)
            return
        if isinstance(call, Reload):
            if self._supervisor.takes_calls:
                reload.begin(self._book, self.root, ref, call.tree, call.by)
            else:
                self._book.reply(ref, Refusal.NOPROC)
            return
        if not isinstance(call, StartChild | TerminateChild | RestartChild | DeleteChild):
            commands.obey(self._book, ref, call)
            return
        child = self._book.children.get(call.supervisor)
        if child is None or child.supervisor is None or not child.supervisor.takes_calls:
            self._book.reply(ref, Refusal.NOPROC)
        else:
            child.supervisor.wait_turn(ref, call)

    def _expire(self) -> None:
        for number in self._book.timers.expired(self._book.now):
            child = self._book.lives[number]
            if child.supervisor is None:
                life.expired(self._book, child)
            else:
                child.how = "killed"
                child.supervisor.hurry()

    def _shut_down(self, hurried: bool, by: str) -> None:
        book = self._book
        first = self._shutdown_requested
        if first is None:
            self._shutdown_requested, self._shutdown_by = book.now, by
        if hurried or (first is not None and book.now - first > HURRY_AFTER):
            book.hurried = True
            book.todo.append(self._supervisor.hurry)
        if first is None and self.root.state in (State.STARTING, State.RUNNING):
            self._supervisor.cease(None, by=by)
