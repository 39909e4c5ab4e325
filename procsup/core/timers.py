"""Timers: deadlines of lives, in a heap.

A timer belongs to one life of a child and is void once `is_void(life)` says so; void timers are dropped when they come
to the top, so that `next_deadline` never names one and an idle daemon is never woken.
"""

from collections.abc import Callable
from heapq import heappop, heappush


class Timers:
    """Setting and expiring are O(log n)."""

    __slots__ = ("_heap", "_is_void")

    def __init__(self, is_void: Callable[[int], bool]) -> None:
        self._heap: list[tuple[float, int]] = []
        self._is_void = is_void

    def set(self, deadline: float, life: int) -> None:
        heappush(self._heap, (deadline, life))

    def next_deadline(self) -> float | None:
        while self._heap and self._is_void(self._heap[0][1]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expired(self, now: float) -> list[int]:
        """The lives whose deadline has come, earliest first; their timers are gone."""
        lives: list[int] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            lives.append(heappop(self._heap)[1])
        return lives
