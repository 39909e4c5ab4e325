"""The health of the tree in one line, for a service manager: how many workers are up, and who is not, and why.

Owns the tally that is kept for it: the state of every worker, counted. Law: a change costs O(1), and so does the line,
however many workers there are; it names the first few of each kind.
"""

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from procsup.core.child import Child, State
from procsup.core.reason import SHUTDOWN

if TYPE_CHECKING:
    from procsup.core.node import Node

_NAMED = 3
"""Names of each kind that stand in the line."""

_ON_THE_WAY_UP = (State.STARTING, State.EXITED, State.RESTARTING)
_ON_THE_WAY_DOWN = (State.STRUCK, State.STOPPING, State.FAILING, State.CLEARING)


class Tally:
    """Of the workers in the book. `up` are those that run; the others are kept in the order in which they came to be
    as they are.
    """

    __slots__ = ("_others", "up", "workers")

    def __init__(self) -> None:
        self.workers = 0
        self.up = 0
        self._others: dict[State, dict[Child, None]] = {state: {} for state in State if state is not State.RUNNING}

    def add(self, child: Child) -> None:
        if child.supervisor is None:
            self.workers += 1
            self._enter(child, child.state)

    def change(self, child: Child, before: State, after: State) -> None:
        self._leave(child, before)
        self._enter(child, after)

    def forget(self, child: Child) -> None:
        if child.supervisor is None:
            self.workers -= 1
            self._leave(child, child.state)

    def others(self, *states: State) -> Iterable[Child]:
        """Those in one of these states, of which none is RUNNING."""
        return (child for state in states for child in self._others[state])

    def count(self, *states: State) -> int:
        return sum(len(self._others[state]) for state in states)

    def _enter(self, child: Child, state: State) -> None:
        if state is State.RUNNING:
            self.up += 1
        else:
            self._others[state][child] = None

    def _leave(self, child: Child, state: State) -> None:
        if state is State.RUNNING:
            self.up -= 1
        else:
            del self._others[state][child]


def health(node: "Node") -> str:
    """ "42 workers up", "41 of 42 workers up; starting: api (exit 1)", "stopping: 3 workers left; waiting for: db" """
    tally, root = node.tally, node.root
    if root.state is State.DOWN:
        return "not started" if root.last_exit is None else f"stopped ({root.last_exit})"
    assert root.supervisor is not None
    ending = root.supervisor.ending
    if ending is not None:
        why = "" if ending == SHUTDOWN else f" ({ending})"
        left = _workers(tally.workers - tally.count(State.DOWN))
        return _line(f"stopping{why}: {left} left", ("waiting for", _names(tally, *_ON_THE_WAY_DOWN)))
    if root.state is State.STARTING:
        return _line(f"starting: {_workers(tally.up)} up", ("waiting for", _names(tally, *_ON_THE_WAY_UP)))
    if tally.up == tally.workers:
        return f"{_workers(tally.up)} up"
    return _line(
        f"{tally.up} of {_workers(tally.workers)} up",
        ("starting", _names(tally, *_ON_THE_WAY_UP)),
        ("stopping", _names(tally, *_ON_THE_WAY_DOWN, State.DOOMED)),
        ("down", _names(tally, State.DOWN)),
    )


def _line(head: str, *parts: tuple[str, str]) -> str:
    return "; ".join([head, *(f"{word}: {names}" for word, names in parts if names)])


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"


def _names(tally: Tally, *states: State) -> str:
    """ "api (exit 1), db, web and 7 more", or "" for nobody."""
    count = tally.count(*states)
    named = ", ".join(_name(child) for child in islice(tally.others(*states), _NAMED))
    return f"{named} and {count - _NAMED} more" if count > _NAMED else named


def _name(child: Child) -> str:
    """With the reason, if there is one."""
    if child.held:
        return f"{child.name} (held)"
    return child.name if child.last_exit is None else f"{child.name} ({child.last_exit})"
