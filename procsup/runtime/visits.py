"""Pipes that have much to carry: nobody watches them, they are visited in rounds.

To be watched costs the writer of many short lines as much as the writing, for every write wakes the watcher (pipe(7),
epoll(7)); and a wake-up for every few lines costs the reader more than the lines. A visit reads what a pipe holds by
then. Pipes are widened so that their writers need not wait for the next one.

Between two rounds lies a rest, so that a flood of output leaves the CPU to others. There is none in a rush: for a while
after a pipe was found more than half full, since its writer had to wait or was about to; and when very much comes at
once, though what comes so for longer than _BURST gains too little by it. Whatever comes, there are rests, and rounds
are short, while something happens in the tree: who dies or is born needs a CPU, and the loop has other things to do.
"""

import time
from collections import deque
from typing import Protocol

TURN_BYTES = 16 * 65536
"""That may be read before others have their turn."""

TURN_SECONDS = 0.002

LEAST_COST = 4096
"""Bytes that a read counts as at least."""

REST = 0.001
"""Seconds: the loop can wait no less."""

_CALM = 0.05
"""Seconds for which something that happened in the tree is likely to be followed by more."""

_CALM_BYTES = 4 * 65536
"""In one round meanwhile."""

_RUSH = 131072
"""Bytes that each pipe gives in one round after a rest; or all of them together TURN_BYTES."""

_RUSH_LASTS = 0.01
"""Seconds until there is a rest again, and a look at how much comes."""

_BURST = 0.25
"""Seconds: who goes on for longer has filled a log of the usual size, with all its old files."""

_WIDE = 1024 * 1024
"""Bytes of a pipe that is the only one: as many as an ordinary user may have (pipe-max-size, pipe(7)). The more there
are, the less each has: together they had better fit into a cache.
"""

_LEAST_WIDE = 131072


class Pipe(Protocol):
    """`fd` is -1 once it is closed, `width` how many bytes it can hold, `chunk` how many are read at a time, and
    `taken` when it last gave something, in seconds of the monotonic clock.
    """

    fd: int
    width: int
    taken: float

    @property
    def chunk(self) -> int: ...

    def take(self) -> int:
        """Read once; how many bytes."""

    def widen(self, width: int) -> None:
        """If that is possible."""

    def watch(self) -> bool:
        """It is no longer to be visited, but watched. False when that cannot be."""


class Visits:
    """Owns the order of the visits. A pipe that has fallen silent is to be watched again; whoever closes one removes
    it.
    """

    def __init__(self) -> None:
        self._pipes: deque[Pipe] = deque()
        """Who comes first is the first."""
        self._due = 0.0
        self._rush_end = 0.0
        self._burst_end = 0.0
        self._calm_end = 0.0

    def __len__(self) -> int:
        return len(self._pipes)

    def add(self, pipe: Pipe, now: float) -> None:
        if not self._pipes:
            self._due = now + REST
            self._burst_end = now + _BURST
        self._pipes.append(pipe)

    def remove(self, pipe: Pipe) -> None:
        self._pipes.remove(pipe)

    def next_due(self) -> float | None:
        """When `make` has something to do, or None."""
        return self._due if self._pipes else None

    def give_way(self, now: float) -> None:
        """Something happens in the tree."""
        self._calm_end = now + _CALM

    def make(self, now: float) -> None:
        """A round, if it is time. Each is read until it has given what it had, as far as the turn allows; those that
        come too late are the first of the next one.
        """
        if not self._pipes or now < self._due:
            return
        is_calm = now < self._calm_end
        most = left = _CALM_BYTES if is_calm else TURN_BYTES
        end = now + TURN_SECONDS
        is_over = False
        for pipe in list(self._pipes):
            total = _read(pipe, left)
            left -= max(LEAST_COST, total)
            if pipe.fd >= 0:
                self._pipes.rotate(-1)
                self._look_after(pipe, total, now)
            if left <= 0 or time.monotonic() > end:
                is_over = True
                break
        if most - left >= min(_RUSH * len(self._pipes), TURN_BYTES) and now < self._burst_end:
            self._rush_end = now + _RUSH_LASTS
        self._due = now if not is_calm and (is_over or now < self._rush_end) else now + REST

    def _look_after(self, pipe: Pipe, total: int, now: float) -> None:
        if total:
            pipe.taken = now
        elif now - pipe.taken >= REST and pipe.watch():
            self._pipes.remove(pipe)
        if 2 * total > pipe.width:
            pipe.widen(max(_LEAST_WIDE, _WIDE // len(self._pipes)))
            self._rush_end = max(self._rush_end, now + REST)


def _read(pipe: Pipe, most: int) -> int:
    """Until it is empty, or has given so much; how many bytes."""
    count = total = pipe.take()
    while count == pipe.chunk and total < most:
        count = pipe.take()
        total += count
    return total
