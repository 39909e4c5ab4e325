"""Ties: who is linked with whom and who monitors whom, of lives and of names.

A `Ties` belongs to the present life of a worker, and only those who have any have one. Whatever is in it is in the Ties
of the other too, so that the end of either takes it away at the cost of what it held. `Declarations` is what the specs
say, by name; it is asked when a worker becomes ready and when one ends.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from procsup.core.child import Child, State
from procsup.core.reason import Reason
from procsup.core.spec import Bonds, WorkerSpec

if TYPE_CHECKING:
    from procsup.core.book import Book


@dataclass(slots=True, eq=False)
class Ties:
    """Of one life. Each dict is in the order in which its entries were made."""

    traps_exits: bool
    linked: dict[Child, None] = field(default_factory=dict)
    monitors: dict[int, Child] = field(default_factory=dict)
    """Whom it watches, by ref."""
    watchers: dict[tuple[Child, int], None] = field(default_factory=dict)
    """Who watches it, with their refs."""


@dataclass(frozen=True, slots=True)
class Death:
    """A life whose end is yet to be told to those it is tied to. `cause` is the record of the end; `watchers` are those
    whose specs monitor the name.
    """

    child: Child
    pid: int | None
    reason: Reason
    cause: int | None
    watchers: tuple[Child, ...]


class Declarations:
    """Who names whom in its spec: `linkers` and `watchers` of a name."""

    __slots__ = ("linkers", "watchers")

    def __init__(self) -> None:
        self.linkers: dict[str, dict[Child, None]] = {}
        self.watchers: dict[str, dict[Child, None]] = {}

    def add(self, child: Child) -> None:
        if isinstance(child.spec, WorkerSpec):
            for name in child.spec.bonds.links:
                self.linkers.setdefault(name, {})[child] = None
            for name in child.spec.bonds.monitors:
                self.watchers.setdefault(name, {})[child] = None

    def remove(self, child: Child) -> None:
        if isinstance(child.spec, WorkerSpec):
            for name in child.spec.bonds.links:
                _drop(self.linkers, name, child)
            for name in child.spec.bonds.monitors:
                _drop(self.watchers, name, child)


def ties_of(child: Child) -> Ties:
    if child.ties is None:
        child.ties = Ties(traps_exits(child))
    return child.ties


def traps_exits(child: Child) -> bool:
    if child.ties is not None:
        return child.ties.traps_exits
    return isinstance(child.spec, WorkerSpec) and child.spec.bonds.trap_exits


def link(one: Child, other: Child) -> None:
    ties_of(one).linked[other] = None
    ties_of(other).linked[one] = None


def unlink(one: Child, other: Child) -> None:
    if one.ties is not None and other.ties is not None:
        one.ties.linked.pop(other, None)
        other.ties.linked.pop(one, None)


def unlink_all(child: Child) -> list[Child]:
    """Those it was linked with."""
    if child.ties is None:
        return []
    linked = list(child.ties.linked)
    for other in linked:
        unlink(child, other)
    return linked


def link_declared(book: "Book", child: Child) -> None:
    """It became ready: the links of the specs tie it to those who run. The others rest, until these become ready."""
    assert isinstance(child.spec, WorkerSpec)
    names, linkers = child.spec.bonds.links, book.declared.linkers.get(child.name)
    if not (names or linkers) or not runs(child):
        return
    others = [book.names.get(name) for name in names]
    if linkers is not None and book.names.get(child.name) is child:
        others += linkers
    for other in others:
        if other is not None and other is not child and other.supervisor is None and runs(other):
            link(child, other)


def adjust_bonds(book: "Book", child: Child, before: Bonds, after: Bonds) -> None:
    """A reload has changed what its spec says. What it has made itself stays, but for whether it traps exits."""
    for name in set(before.links) - set(after.links):
        other = book.names.get(name)
        if other is not None and child not in book.declared.linkers.get(name, {}) and not _declares(other, child):
            unlink(child, other)
    if before.trap_exits != after.trap_exits and child.ties is not None:
        child.ties.traps_exits = after.trap_exits
    if after.links != before.links and child.supervisor is None:
        link_declared(book, child)


def _declares(one: Child, other: Child) -> bool:
    return isinstance(one.spec, WorkerSpec) and other.name in one.spec.bonds.links


def note_death(book: "Book", child: Child, pid: int | None, reason: Reason) -> None:
    """Its main process has ended, as the last record about it tells."""
    watchers = book.declared.watchers.get(child.name)
    if watchers is not None and book.names.get(child.name) is not child:
        watchers = None
    if child.ties is not None or watchers is not None:
        book.deaths.append(Death(child, pid, reason, child.cause, tuple(watchers or ())))


def is_alive(child: Child) -> bool:
    """It has a process that can be spoken to: executed, and not ended."""
    return child.pid is not None and child.ended is None


def runs(child: Child) -> bool:
    """It is up, and is to stay so."""
    return child.state is State.RUNNING and not is_doomed(child)


def is_doomed(child: Child) -> bool:
    """A supervisor above it ends, or will when its turn comes. O(depth)."""
    supervisor = child.parent
    while supervisor is not None:
        if supervisor.ending is not None or supervisor.child.state is State.DOOMED:
            return True
        supervisor = supervisor.child.parent
    return False


def _drop(index: dict[str, dict[Child, None]], name: str, child: Child) -> None:
    """A name may stand in one list twice."""
    children = index.get(name, {})
    children.pop(child, None)
    if not children:
        index.pop(name, None)
