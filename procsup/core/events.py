"""What happened in the world: the events that the node is told of, each a fact in the past tense."""

from dataclasses import dataclass

from procsup.core.calls import Call
from procsup.core.messages import RequestId
from procsup.core.reason import WorkerExit
from procsup.core.requests import Request


@dataclass(frozen=True, slots=True)
class Booted:
    """The daemon runs, under this pid: the tree of this file is to be started. `last_seq` is that of the last record of
    an earlier daemon, which the records of this one go on from.
    """

    pid: int
    file: str
    version: str
    last_seq: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """The program of this life was executed."""

    life: int
    pid: int


@dataclass(frozen=True, slots=True)
class BecameReady:
    """What the spec's `ready` speaks of has happened, after Started of this life. It may come too late, or twice; of a
    worker that is ready at exec it need not come.
    """

    life: int


@dataclass(frozen=True, slots=True)
class NotReadyYet:
    """`why`, in a few words, this life that has started is not ready: what the last attempt to find it so has met, or
    what it says itself. As BecameReady it may come too late.
    """

    life: int
    why: str


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """No process came to be. `stage` and `errno` as in reason.StartFailed."""

    life: int
    stage: str
    errno: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The main process of this life was reaped. `gone` when no living process of its group is left either; if not,
    Emptied follows. `tail` holds its last lines of output.
    """

    life: int
    ended: WorkerExit
    gone: bool = True
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Emptied:
    """The last process of the group of this life, whose Exited came before, is gone."""

    life: int


@dataclass(frozen=True, slots=True)
class OutputLost:
    """Output of this life could not be written. `lost` counts the bytes of the worker so far, also those of earlier
    lives; `errno` says why ("ENOSPC").
    """

    life: int
    lost: int
    errno: str


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """Events cannot be written to the journal any more; `errno` says why ("ENOSPC")."""

    errno: str


@dataclass(frozen=True, slots=True)
class JournalResumed:
    """They can again; `lost` events were dropped meanwhile."""

    lost: int


@dataclass(frozen=True, slots=True)
class Garbled:
    """This life has said what is no message, or cannot be told what there is to tell. `count` is how often so far, and
    `why` about the last time.
    """

    life: int
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody asks; exactly one Reply with this `ref` follows, sooner or later."""

    ref: int
    call: Call


@dataclass(frozen=True, slots=True)
class Requested:
    """A worker asks, after Started of this life; one Answer with this `id` is told to it, unless that is None. What it
    asked before it ended comes before Exited.
    """

    life: int
    id: RequestId | None
    request: Request


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """TERM, INT or the command. One that is `hurried`, or comes more than HURRY_AFTER seconds after the first, sets the
    shutdown times to zero. `by` is recorded: "uid 1000", "SIGTERM", "guardian_died", "bug", or "".
    """

    hurried: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing but that: timers may have expired."""


Event = (
    Booted
    | Started
    | BecameReady
    | NotReadyYet
    | SpawnFailed
    | Exited
    | Emptied
    | OutputLost
    | JournalFailed
    | JournalResumed
    | Garbled
    | Called
    | Requested
    | ShutdownRequested
    | TimePassed
)
