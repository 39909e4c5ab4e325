"""Waiting for facts, with a deadline."""

import select
import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 30.0
"""Seconds that any fact may take. Generous: it is reached only by a failure, and the machine may be busy."""

_LOOK = 0.005

T = TypeVar("T")


def wait_until(fact: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """What `fact` answers as soon as that is true.

    Raises:
        AssertionError: it did not become true in time.
    """
    end = time.monotonic() + deadline
    while not (found := fact()) and time.monotonic() < end:
        let_pass(_LOOK)
    if found:
        return found
    raise AssertionError(f"waited {deadline} seconds in vain until {what}")


def let_pass(seconds: float) -> None:
    """For what a test can only observe over a span of time: that nothing happens, or that a time is over."""
    select.select((), (), (), seconds)
