"""The record of one child: what it is to be, what it is now, and who waits for it.

A record belongs to a place in the tree and outlives its lives: when the supervisor above restarts, the records of its
specs are used again, so that counts and an operator's hold stay with the place.

A *life* is one start attempt and what comes of it, numbered through the whole daemon; everything the world says
about a child names the life it speaks of, so that a late notice of a predecessor is never taken for its successor's.

The states, with OTP's word for what its supervisor would have as the child's pid:

    DOWN        no process is left                                                  undefined
    STARTING    a start attempt is under way: it is not executed yet, or not ready
    FAILING     its start has failed, but something of it is left, which gets the
                stop sequence; its supervisor has yet to be told
    RUNNING     it is up: ready                                                     pid
    STRUCK      an exit signal came over a link: it gets the stop sequence, and its
                supervisor will see it exit                                         pid
    DOOMED      starting or running, but its stop is decided and waits its turn     pid
    STOPPING    its stop sequence is under way
    EXITED      it ended by itself; its supervisor has yet to decide                pid, of a dead process
    CLEARING    that is decided, but something of its process group is left,
                which gets the stop sequence; DOWN comes before any next life       undefined
    RESTARTING  its restart failed and is about to be tried again                   {restarting, Pid}
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from procsup.core.readiness import AT_EXEC, Ready, awaited
from procsup.core.reason import Reason, WorkerExit
from procsup.core.spec import ChildSpec, Restart, type_of

if TYPE_CHECKING:
    from procsup.core.agenda import Agenda
    from procsup.core.supervisor import Supervisor
    from procsup.core.ties import Ties


class State(Enum):
    DOWN = "down"
    STARTING = "starting"
    FAILING = "failing"
    RUNNING = "running"
    STRUCK = "struck"
    DOOMED = "doomed"
    STOPPING = "stopping"
    EXITED = "exited"
    CLEARING = "clearing"
    RESTARTING = "restarting"


_NEXT: dict[State, frozenset[State]] = {
    State.DOWN: frozenset({State.STARTING}),
    State.STARTING: frozenset(
        {
            State.RUNNING,
            State.FAILING,
            State.DOOMED,
            State.STOPPING,
            State.RESTARTING,
            State.DOWN,
        }
    ),
    State.FAILING: frozenset({State.CLEARING, State.RESTARTING, State.DOWN}),
    State.RUNNING: frozenset({State.STRUCK, State.DOOMED, State.STOPPING, State.EXITED}),
    State.STRUCK: frozenset({State.EXITED, State.CLEARING}),
    State.DOOMED: frozenset({State.STOPPING, State.CLEARING, State.DOWN}),
    State.STOPPING: frozenset({State.CLEARING, State.DOWN}),
    State.EXITED: frozenset({State.CLEARING, State.DOWN}),
    State.CLEARING: frozenset({State.DOWN}),
    State.RESTARTING: frozenset({State.DOWN}),
}

ENDING = frozenset({State.STOPPING, State.FAILING, State.STRUCK, State.EXITED, State.CLEARING})
"""The stop sequence is under way, for all that is left."""

_INACTIVE = frozenset({State.DOWN, State.CLEARING})


class Wanted(Enum):
    """What a command waits for."""

    UP = "up"
    DOWN = "down"


class IllegalChange(Exception):
    """A bug of ours: the child's state cannot change so."""


@dataclass(slots=True, eq=False, repr=False)
class Child:
    """`parent` is None for the root, `supervisor` for a worker. Times are seconds of the node's clock."""

    spec: ChildSpec
    path: str
    parent: "Supervisor | None"
    supervisor: "Supervisor | None" = None
    position: int = 0
    """Its place in the start order of its siblings; the numbers may have gaps."""
    state: State = State.DOWN
    held: bool = False
    release: int | None = None
    """The seq of the record that let it run again after a hold; None once a start has begun."""
    life: int = 0
    ready: Ready = AT_EXEC
    """What tells that the present life is ready: a reload may have changed the spec since."""
    obstacle: str = ""
    """What was in the way of that, in words, when it was last looked for."""
    pid: int | None = None
    gone: bool = True
    """Nothing is left of the present life. False from Spawn on."""
    how: str = ""
    """How it is being stopped: "shutdown", or "killed" or "brutal_kill" once our KILL was sent."""
    ended: WorkerExit | None = None
    """How the main process of this life ended; None as long as it lives."""
    cause: int | None = None
    """The seq of the last record about its life, from which the next one follows."""
    since: float = 0.0
    started: float = 0.0
    starts: int = 0
    restarts: int = 0
    last_exit: Reason | None = None
    """Of the present life as soon as it is known: of one that is FAILING or STRUCK before it has ended."""
    agenda: "Agenda | None" = None
    """The agenda of its supervisor in which it still has a part."""
    ties: "Ties | None" = None
    """Of its present life, if it has any."""
    waiters: list[tuple[int, Wanted]] | None = field(default=None)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def is_temporary(self) -> bool:
        return self.spec.restart is Restart.TEMPORARY

    @property
    def type(self) -> str:
        return type_of(self.spec)

    @property
    def awaited(self) -> str:
        """What tells, or would have told, that its present life is ready, and what was in the way; "" if that is its
        execution.
        """
        words = awaited(self.ready)
        return f"{words} ({self.obstacle})" if self.obstacle else words

    @property
    def is_active(self) -> bool:
        """OTP has a pid for it, of a live process or a dead one."""
        return self.state not in _INACTIVE

    def change(self, state: State, now: float) -> None:
        """The only place that changes the state.

        Raises:
            IllegalChange: the table does not allow it.
        """
        if state not in _NEXT[self.state]:
            raise IllegalChange(f"cannot change {self!r} to {state.value}: life {self.life}, {self.agenda!r}")
        if self.spec.significant and self.parent is not None:
            self.parent.active_significant += (self.state in _INACTIVE) - (state in _INACTIVE)
        if self.supervisor is None and self.parent is not None:
            self.parent.book.tally.change(self, self.state, state)
        self.state = state
        self.since = now

    def __repr__(self) -> str:
        return f"{self.path}:{self.state.value}{' held' if self.held else ''}"


def subtree(top: Child) -> Iterator[Child]:
    """It, and all below it, those above first. A tree may be a thousand supervisors deep, so this does not recurse."""
    todo = [top]
    while todo:
        child = todo.pop()
        yield child
        if child.supervisor is not None:
            todo += reversed(child.supervisor.children.values())
