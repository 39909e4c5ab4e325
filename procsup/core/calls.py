"""What may be asked of the tree, and how it refuses.

Two families. OTP's four child calls, exactly as supervisor.erl handle_call/3: they wait their turn. And the operator's
three, which pre-empt (DESIGN § 3.9): `Stop` is a hold that group restarts respect until `Start`; a `Restart` stops and
starts once more. None of them ever counts as a restart.
"""

from dataclasses import dataclass
from enum import StrEnum

from procsup.core.spec import ChildSpec, SupervisorSpec


@dataclass(frozen=True, slots=True)
class StartChild:
    supervisor: str
    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class TerminateChild:
    supervisor: str
    name: str


@dataclass(frozen=True, slots=True)
class RestartChild:
    supervisor: str
    name: str


@dataclass(frozen=True, slots=True)
class DeleteChild:
    supervisor: str
    name: str


@dataclass(frozen=True, slots=True)
class Start:
    path: str


@dataclass(frozen=True, slots=True)
class Stop:
    """`by` is recorded: who wants it, "uid 1000", or "" when that is not known."""

    path: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    path: str


@dataclass(frozen=True, slots=True)
class Reload:
    """The tree is to be this one, whose root has the name of the present one (reload.py). Answered when everything that
    had to be stopped and started for it is down or up, or has failed. `by` is recorded: "uid 1000", "SIGHUP".
    """

    tree: SupervisorSpec
    by: str = ""


ChildCall = StartChild | TerminateChild | RestartChild | DeleteChild
Command = Start | Stop | Restart
Call = ChildCall | Command | Reload


class Refusal(StrEnum):
    """Why a call, or a worker's request, was not carried out: OTP's error names, and those of our own at the end."""

    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"
    NOPROC = "noproc"
    ALREADY_STARTED = "already_started"
    ALREADY_PRESENT = "already_present"
    BAD_COMBINATION = "bad_combination"
    OVERTAKEN = "overtaken"
    """Another command wants this child otherwise."""
    ROOT = "root"
    """The root is nobody's child: it is stopped by shutting down."""
    UNKNOWN = "unknown"
    """No child has this path."""
    TOO_MANY = "too_many"
    """One worker may not have more of them."""
