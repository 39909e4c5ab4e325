"""An agenda: what a supervisor is in the middle of, as a value that can be printed and compared.

First the children of `stop` are brought down, one after another from the end of the list; then those of `start` are
started, likewise. OTP's supervisor keeps this on its stack (terminate_children, start_children); here it lies
open, so that queries, an operator's stop and the shutdown need not wait.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from procsup.core.child import Child

if TYPE_CHECKING:
    from procsup.core.reload import Renewal


class Purpose(Enum):
    BOOT = "boot"
    """The supervisor starts: a start that fails fails the supervisor."""
    RESTART = "restart"
    """By strategy: a start that fails is tried again."""
    CALL = "call"
    """One of OTP's child calls: a start that fails is the answer."""
    COMMAND = "command"
    """An operator's: a start that fails is the answer. `cause` led to its stop; its start is caused by the child's
    release, if it was held.
    """
    GIVE_UP = "give_up"
    """A reload's first round: these are gone from the tree."""
    RELOAD = "reload"
    """A step of a reload: a start that fails leaves its child down, and the others go on."""
    END = "end"
    """The supervisor ends: all its children are stopped."""


@dataclass(slots=True, eq=False)
class Agenda:
    """`cause` is the seq of the record that led to it; `ref` names the call to be answered at its end. `is_new` when
    its one start is that of a child which is forgotten if it fails.
    """

    purpose: Purpose
    cause: int | None
    stop: list[Child] = field(default_factory=list)
    start: list[Child] = field(default_factory=list)
    ref: int | None = None
    is_new: bool = False
    renewal: "Renewal | None" = None
    """Of GIVE_UP and RELOAD"""
    members: tuple[Child, ...] = ()
    closed: bool = False
