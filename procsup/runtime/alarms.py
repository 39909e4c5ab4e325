"""Alarms: what is to be called when its time has come. In seconds of the monotonic clock."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Alarm:
    """Not called any more once it was cancelled."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    @property
    def is_cancelled(self) -> bool:
        return self._call is None

    def cancel(self) -> None:
        self._call = None

    def ring(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Alarms:
    """Setting and ringing are O(log n). Cancelled ones are dropped when they come to the top."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = count()

    def set(self, when: float, call: Callable[[], None]) -> Alarm:
        alarm = Alarm(call)
        self.next_deadline()  # so that the cancelled ones do not gather
        heappush(self._heap, (when, next(self._numbers), alarm))
        return alarm

    def next_deadline(self) -> float | None:
        while self._heap and self._heap[0][2].is_cancelled:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def poll(self, now: float) -> None:
        """Ring those whose time has come; what they set anew waits for the next call."""
        due: list[Alarm] = []
        while (when := self.next_deadline()) is not None and when <= now:
            due.append(heappop(self._heap)[2])
        for alarm in due:
            alarm.ring()
