"""What a benchmark finds: figures, each with what it is held against."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class CannotMeasure(Exception):
    """`cannot measure WHAT: WHY`."""


@dataclass(frozen=True, slots=True)
class Target:
    """At most `limit`, either times the floor or in the figure's own unit."""

    limit: float
    of: Literal["ratio", "value"]


@dataclass(frozen=True, slots=True)
class Figure:
    """`floor` and `procsup` are in `unit`. Without a target it is for information."""

    measure: str
    unit: str
    procsup: float
    floor: float | None = None
    target: Target | None = None
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        return self.procsup / self.floor if self.floor else None

    @property
    def verdict(self) -> Literal["met", "missed", "no floor", ""]:
        if self.target is None:
            return ""
        reached = self.ratio if self.target.of == "ratio" else self.procsup
        if reached is None:
            return "no floor"
        return "met" if reached <= self.target.limit else "missed"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of all do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
