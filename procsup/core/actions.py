"""What is to be done to the world: the actions that the node returns, in the order in which to perform them."""

from collections.abc import Mapping
from dataclasses import dataclass

from procsup.core.calls import Refusal
from procsup.core.messages import Message
from procsup.core.reason import Reason, StartFailure
from procsup.core.spec import WorkerSpec

Detail = None | bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spawn:
    """Execute the worker's program in a session of its own. Answered by Started or SpawnFailed of this life.
    `starts` says which start this would be, from 1.
    """

    life: int
    path: str
    spec: WorkerSpec
    starts: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The Spawn of this life, which was not answered yet, is not wanted any more. The answer is SpawnFailed, or Started
    if it is too late.
    """

    life: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Send the signal to what is left of the process group of this life. KILL is also the end of a Spawn that was not
    answered yet, whatever it hangs in.
    """

    life: int
    signal: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Write the message to the mailbox of this life, after those that were told before. Its main process lives."""

    life: int
    message: Message


@dataclass(frozen=True, slots=True)
class Retract:
    """The Down with this `ref`, told to this life before, is not wanted any more: drop it if it is undelivered."""

    life: int
    ref: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the Called with this `ref`: None is ok."""

    ref: int
    error: Refusal | StartFailure | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A journal event. `cause` is the seq of the one that led to it. Names and details: procsup/wire/events.py."""

    seq: int
    event: str
    path: str
    cause: int | None
    details: Mapping[str, Detail]


@dataclass(frozen=True, slots=True)
class End:
    """The tree is down for good. `status` is the daemon's exit status, `reason` the root's."""

    status: int
    reason: Reason


Action = Spawn | Cancel | Signal | Tell | Retract | Reply | Record | End
