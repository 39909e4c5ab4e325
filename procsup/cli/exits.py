"""Exit statuses (DESIGN § 6): what each means, which kind of failure gives which, and the worst of several."""

from collections.abc import Iterable
from enum import IntEnum


class ExitStatus(IntEnum):
    """`run` has some of its own: 69, 70 and 73 come from the runtime."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    NO_SUCH_NAME = 4
    REFUSED = 5
    NO_DAEMON = 6
    TIMED_OUT = 7
    CONFIG = 78
    INTERRUPTED = 130
    """128 + SIGINT"""
    OUTPUT_CLOSED = 141
    """128 + SIGPIPE: who read our output has gone, as in `procsup status | head -1`"""


class CannotDo(Exception):
    """A command that failed for a reason which a person can read. `message` is printed, and is "" when all has been
    said already."""

    def __init__(self, message: str, status: ExitStatus) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class TimedOut(CannotDo):
    def __init__(self, message: str) -> None:
        super().__init__(message, ExitStatus.TIMED_OUT)


_STATUS_OF_KIND = {
    "no_such_name": ExitStatus.NO_SUCH_NAME,
    "refused": ExitStatus.REFUSED,
    "invalid_params": ExitStatus.USAGE,
}

_FROM_BAD_TO_WORSE = (
    ExitStatus.DONE,
    ExitStatus.NO_SUCH_NAME,  # nothing was touched: a slip of the pen
    ExitStatus.USAGE,
    ExitStatus.REFUSED,  # nothing was touched: the tree is not in the state for it
    ExitStatus.TIMED_OUT,  # still under way
    ExitStatus.FAILED,  # tried, and not as wanted
)


def status_of(kind: str) -> ExitStatus:
    """Of a kind of jsonrpc.Failure. `overtaken`, `failed` and kinds of a newer daemon are FAILED."""
    return _STATUS_OF_KIND.get(kind, ExitStatus.FAILED)


def worst(statuses: Iterable[ExitStatus]) -> ExitStatus:
    """The one that a command with several names ends with; DONE when there is none."""
    return max(statuses, key=_FROM_BAD_TO_WORSE.index, default=ExitStatus.DONE)
