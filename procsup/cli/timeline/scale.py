"""The scale: from times to places on the axis, with breaks where nothing happens for long.

A poison pill takes its tenths of a second after hours of quiet. On one linear axis it would be a single line; so, as
long as lives are too short to be seen, the longest quiet time is cut out, and drawn as a break that says how long it
was. Between breaks the scale is linear, but that moments of which something is known keep a few pixels between them, if
there is room: what happens in one millisecond has an order too.

Pure: seconds in, pixels out.
"""

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

_BREAK = 56.0
"""Pixels."""

_WIDEST_STEP = 7.0
"""Pixels between two moments, at least, unless all of them together would take more than _SPREAD of the room."""

_SPREAD = 0.4
_NARROWEST_LIFE = 8.0
"""What is shorter cannot be told from a line."""

_MOST_BREAKS = 8
_LEAST_CUT = 0.1
"""Of what is still drawn: to cut out less does not help."""

_BETWEEN_TICKS = 96.0

_STEPS = tuple(
    factor * unit
    for unit, factors in (
        (0.0001, (1, 2, 5)), (0.001, (1, 2, 5)), (0.01, (1, 2, 5)), (0.1, (1, 2, 5)),
        (1, (1, 2, 5, 10, 15, 30)), (60, (1, 2, 5, 10, 15, 30)), (3600, (1, 2, 3, 6, 12)),
        (86400, (1, 2, 5, 10, 20, 50, 100)),
    )
    for factor in factors
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Break:
    """A quiet time from `begin` to `end`, cut out between `left` and `right`."""

    begin: float
    end: float
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


class Scale:
    """Linear between the `moments`, which are in order and have these `places`."""

    def __init__(self, moments: Sequence[float], places: Sequence[float], breaks: Sequence[Break]) -> None:
        self._moments = moments
        self._places = places
        self.breaks = tuple(breaks)

    def x(self, time: float) -> float:
        """O(log moments). Times outside are at the ends."""
        number = bisect.bisect_right(self._moments, time) - 1
        if number < 0:
            return self._places[0]
        if number == len(self._moments) - 1:
            return self._places[-1]
        begin, end = self._moments[number : number + 2]
        left, right = self._places[number : number + 2]
        return left + (time - begin) / (end - begin) * (right - left)

    def ticks(self) -> Iterator[Tick]:
        """At round times of the local clock; between two breaks where there is no room for that, at the beginning."""
        begins = [self._moments[0], *(one.end for one in self.breaks)]
        ends = [*(one.begin for one in self.breaks), self._moments[-1]]
        for begin, end in zip(begins, ends, strict=True):
            yield from self._ticks(begin, end)

    def _ticks(self, begin: float, end: float) -> Iterator[Tick]:
        length, room = end - begin, self.x(end) - self.x(begin)
        step = next((step for step in _STEPS if length and room * step / length >= _BETWEEN_TICKS), math.inf)
        offset = _zone(begin)
        number = math.ceil((begin + offset) / step)
        if step > length or number * step - offset > end:
            yield Tick(self.x(begin), clock(begin, max(length, 0.001)))
            return
        while (time := number * step - offset) <= end:
            yield Tick(self.x(time), clock(time + step / 1000, step))
            number += 1


def scale_of(times: Iterable[float], lives: Iterable[tuple[float, float]], left: float, right: float) -> Scale:
    """`times` are those at which anything happens, at least one; `lives` are what should be seen as bars."""
    moments = sorted({round(time, 6) for time in times})
    cut = _cuts(moments, sorted(end - begin for begin, end in lives), right - left)
    room = right - left - _BREAK * len(cut)
    gaps = [(end - begin, (begin, end) in cut) for begin, end in itertools.pairwise(moments)]
    drawn = sum(length for length, is_cut in gaps if not is_cut)
    least = min(_WIDEST_STEP, room * _SPREAD / max(1, len(gaps) - len(cut)))
    spare = room - least * (len(gaps) - len(cut))
    widths = [_BREAK if is_cut else least + spare * length / drawn for length, is_cut in gaps]
    places = list(itertools.accumulate(widths, initial=left))
    breaks = [
        Break(moments[number], moments[number + 1], places[number], places[number + 1])
        for number, (_, is_cut) in enumerate(gaps)
        if is_cut
    ]
    return Scale(moments, places, breaks)


def _cuts(moments: Sequence[float], lengths: Sequence[float], room: float) -> set[tuple[float, float]]:
    """The quiet times to be cut out, so that lives of these lengths, in order, can be seen."""
    gaps = sorted(itertools.pairwise(moments), key=lambda gap: gap[1] - gap[0], reverse=True)
    cut: set[tuple[float, float]] = set()
    for number, (begin, end) in enumerate(gaps[:_MOST_BREAKS]):
        drawn = sum(end - begin for begin, end in gaps[number:])
        per_second = (room - _BREAK * len(cut)) / drawn
        if bisect.bisect_left(lengths, _NARROWEST_LIFE / per_second) < 2 or end - begin < drawn * _LEAST_CUT:
            break
        cut.add((begin, end))
    return cut if len(cut) < len(gaps) else set()


def clock(time: float, step: float) -> str:
    """Local time, as exactly as steps of so many seconds need it."""
    try:
        moment = datetime.fromtimestamp(time)
    except (ValueError, OverflowError, OSError):
        return "?"
    if step >= 86400:
        return moment.strftime("%Y-%m-%d")
    if step >= 60:
        return moment.strftime("%m-%d %H:%M") if step >= 3600 else moment.strftime("%H:%M")
    if step >= 1:
        return moment.strftime("%H:%M:%S")
    digits = 1 if step >= 0.1 else 2 if step >= 0.01 else 3 if step >= 0.001 else 4
    return moment.strftime("%H:%M:%S.%f")[: 9 + digits]


def _zone(time: float) -> float:
    """Seconds that local time is ahead of UTC."""
    try:
        offset = datetime.fromtimestamp(time).astimezone().utcoffset()
    except (ValueError, OverflowError, OSError):
        return 0.0
    return offset.total_seconds() if offset is not None else 0.0
