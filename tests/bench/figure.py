"""What a benchmark finds: figures, each with what it is held against."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class CannotMeasure(Exception):
    """`cannot measure WHAT: WHY`."""


@dataclass(frozen=True, slots=True)
class Target:
    """At most (or at least) `limit`, either times what it is held beside or in the figure's own unit."""

    limit: float
    of: Literal["ratio", "value"]
    sense: Literal["at most", "at least"] = "at most"

    def is_met_by(self, reached: float) -> bool:
        return reached <= self.limit if self.sense == "at most" else reached >= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """`procsup` and `other` are in `unit`. `beside` says whose figure `other` is. Without a target it is for
    information.
    """

    measure: str
    unit: str
    procsup: float
    other: float | None = None
    target: Target | None = None
    remark: str = ""
    beside: str = "floor"

    @property
    def ratio(self) -> float | None:
        return self.procsup / self.other if self.other else None

    @property
    def verdict(self) -> Literal["met", "missed", "undecided", ""]:
        if self.target is None:
            return ""
        reached = self.ratio if self.target.of == "ratio" else self.procsup
        if reached is None:
            return "undecided"
        return "met" if self.target.is_met_by(reached) else "missed"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of all do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
