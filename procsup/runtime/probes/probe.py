"""A probe: who watches one life until it is ready, each kind in its own module."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Verdict(NamedTuple):
    """Whom a probe tells. `ready` ends it, and comes once. `not_yet` says in words, without a full stop, what was in
    the way just now; nothing follows from it.
    """

    ready: Callable[[], None]
    not_yet: Callable[[str], None]


class Probe(Protocol):
    """Made before its worker is spawned; then `begin`, at most once, `stop`, at most once, and `close`. It tells
    nobody anything before `begin` or after `stop`. Nothing here blocks or raises.
    """

    def begin(self, pid: int) -> None:
        """The worker was executed, and the tree knows."""

    def last_look(self) -> None:
        """It has ended; what it said before still counts."""

    def stop(self) -> None:
        """It is ready, or will never be."""

    def close(self) -> None:
        """Its main process has ended, or it never came to be."""
