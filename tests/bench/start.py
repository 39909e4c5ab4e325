"""The start of a thousand workers, one after the other as they stand in the file.

From the first instruction of the first worker to that of the last: the same span on both sides, in which nothing but
starting happens. For information, the time from the start of the supervisor itself until its last worker runs, and,
for procsup, until it says that its tree is up: that includes the interpreter and the reading of the file.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.bench.figure import Figure, Target, median
from tests.bench.lab import Lab
from tests.bench.workers import Birth, Program

TARGET = Target(2.0, "ratio")


class Round(NamedTuple):
    """Nanoseconds."""

    floor: int
    procsup: int
    until_up: int


def measure(lab: Lab) -> Iterator[Figure]:
    count = lab.options.workers
    for program in lab.reporting_programs():
        lab.say(f"start: {lab.options.rounds} times {count} of the {program.title}, on each side")
        rounds = [one_round(lab, program, count) for _ in range(lab.options.rounds)]
        yield Figure(
            f"start of {count:,}, {program.title}", "ms",
            median([one.procsup for one in rounds]) / 1e6, median([one.floor for one in rounds]) / 1e6,
            lab.target_for(program, TARGET),
            "first worker's first instruction to the last one's",
        )  # fmt: skip
        yield Figure(
            f"the same, from `procsup run` until up, {program.title}", "ms",
            median([one.until_up for one in rounds]) / 1e6, remark="with the interpreter and the reading of the file",
        )  # fmt: skip


def one_round(lab: Lab, program: Program, count: int) -> Round:
    with lab.floor(program, count) as floor:
        span = _span(floor.workers.wait_for_births(count))
    with lab.procsup(program, count) as procsup:
        births = procsup.workers.wait_for_births(count)
        return Round(span, _span(births), procsup.wait_until_up() - procsup.begin)


def _span(births: list[Birth]) -> int:
    times = [birth.time for birth in births]
    return max(times) - min(times)
