"""Timers: deadlines of lives, in a heap.

A timer belongs to one life of a child, and either to its start or to its end; it is void once `is_void` says so. Void
timers are dropped when they come to the top, so that `next_deadline` never names one and an idle daemon is never woken.
"""

from collections.abc import Callable
from enum import IntEnum
from heapq import heappop, heappush


class Phase(IntEnum):
    """Of a life, to which a timer belongs."""

    START = 0
    END = 1


class Timers:
    """Setting and expiring are O(log n)."""

    __slots__ = ("_heap", "_is_void")

    def __init__(self, is_void: Callable[[int, Phase], bool]) -> None:
        self._heap: list[tuple[float, int, Phase]] = []
        self._is_void = is_void

    def set(self, deadline: float, life: int, phase: Phase) -> None:
        self.next_deadline()  # so that the void ones do not gather
        heappush(self._heap, (deadline, life, phase))

    def next_deadline(self) -> float | None:
        heap = self._heap
        while heap:
            deadline, life, phase = heap[0]
            if not self._is_void(life, phase):
                return deadline
            heappop(heap)
        return None

    def expired(self, now: float) -> list[int]:
        """The lives whose deadline has come, earliest first; their timers are gone."""
        lives: list[int] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            lives.append(heappop(self._heap)[1])
        return lives
