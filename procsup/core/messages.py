"""What the core has to say to a worker, over its channel."""

from dataclasses import dataclass

from procsup.core.calls import Refusal
from procsup.core.reason import Noproc, Reason

RequestId = int | str
"""Chosen by the worker that asks."""


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit signal, to one that traps exits. `reason` is what came over the link from `sender`."""

    sender: str
    reason: Reason | Noproc


@dataclass(frozen=True, slots=True)
class Down:
    """The monitored worker has ended. `ref` is None for a monitor of the spec, `pid` when there was no process."""

    ref: int | None
    name: str
    pid: int | None
    reason: Reason | Noproc


@dataclass(frozen=True, slots=True)
class Answer:
    """To the request with this `id`; None is ok."""

    id: RequestId
    error: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The stop signal follows."""


Message = Exit | Down | Answer | Shutdown
