"""Restart intensity: how many restarts a supervisor may need within a period before it gives up.

A sliding window over real (monotonic) seconds; an entry of age exactly `period` still counts. As supervisor.erl
add_restart/1, which counts in whole seconds (deviation, DESIGN § 3.9).
"""

from collections import deque


class Window:
    """The restarts of one supervisor. Holds at most intensity + 1 entries; entering is O(1) amortised."""

    __slots__ = ("_entries", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        self.intensity = intensity
        self.period = period
        self._entries: deque[float] = deque()

    def enter(self, now: float) -> int:
        """Enter a restart at `now`. The entries in the window: more than `intensity` means to give up."""
        self._entries.append(now)
        used = self.used(now)
        if used > self.intensity + 1:
            self._entries.popleft()
        return used

    def used(self, now: float) -> int:
        while self._entries and now - self._entries[0] > self.period:
            self._entries.popleft()
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()
