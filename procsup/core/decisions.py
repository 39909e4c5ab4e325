"""What waits to be decided by a supervisor, each with its place in the order of arrival."""

from dataclasses import dataclass

from procsup.core.calls import ChildCall
from procsup.core.child import Child
from procsup.core.reason import Reason
from procsup.core.reload import Renewal


@dataclass(frozen=True, slots=True)
class ChildExit:
    """A child ended by itself. Void when the child has another life or state by now."""

    order: int
    child: Child
    life: int
    reason: Reason
    cause: int | None


@dataclass(frozen=True, slots=True)
class Retry:
    """A restart failed at the child of this name. Void when that child is not RESTARTING any more."""

    order: int
    name: str
    cause: int | None


@dataclass(frozen=True, slots=True)
class Rest:
    """These were waiting for the child of their group at which a restart had failed. It will not be tried again, or
    without them: an operator has stopped it, or a reload was here. Void for those who are not down any more.
    """

    order: int
    children: tuple[Child, ...]
    cause: int | None


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """One of OTP's calls, a child that an operator wants started, or the next step of a reload."""

    order: int
    ref: int | None
    call: ChildCall | Child | Renewal


Decision = ChildExit | Retry | Rest
