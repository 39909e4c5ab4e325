"""Restart latency: from the SIGKILL of a worker to the first instruction of its successor.

Ten workers on each side, killed one at a time, in batches that alternate between the floor and procsup. The time is
taken just before kill(2), by whoever kills, and by the successor itself. Between two kills lie a few milliseconds, in
which both supervisors go back to sleep: a worker that dies finds its supervisor idle. Two kinds of worker: an ordinary
program, whose time is taken in the first line of main(), as any user's would; and a bare one without a C library,
whose first instruction is measured, and where all that remains is the kernel's work and the supervisor's.
"""

import time
from collections.abc import Iterable, Iterator

from tests.bench import census
from tests.bench.figure import Figure, Target, percentile
from tests.bench.lab import Lab
from tests.bench.workers import Program, Workers

TARGET = Target(1.4, "ratio")

_WORKERS = 10
BATCH = 20
_PAUSE = 0.005


def measure(lab: Lab) -> Iterator[Figure]:
    for program in lab.reporting_programs():
        lab.say(f"restart: {lab.options.restarts} of the {program.title}, on each side")
        floor, procsup = latencies(lab, program)
        for percent, target in ((50, lab.target_for(program, TARGET)), (90, None)):
            yield Figure(
                f"restart of one, {program.title}, p{percent}", "us",
                percentile(procsup, percent) / 1000, percentile(floor, percent) / 1000, target,
                "SIGKILL to " + ("first instruction" if program is not lab.programs[0] else "first line of main()"),
            )  # fmt: skip


def latencies(lab: Lab, program: Program) -> tuple[list[int], list[int]]:
    """Of the floor, and of procsup; nanoseconds."""
    with lab.floor(program, _WORKERS) as floor, lab.procsup(program, _WORKERS) as procsup:
        floor.workers.wait_for_births(_WORKERS)
        procsup.workers.wait_for_births(_WORKERS)
        procsup.wait_until_up()
        census.wait_until_quiet([floor.pid, *procsup.own_processes()], 0.5, 5)
        found: tuple[list[int], list[int]] = ([], [])
        while len(found[0]) < lab.options.restarts:
            slots = [number % _WORKERS for number in range(min(BATCH, lab.options.restarts - len(found[0])))]
            found[0].extend(batch(floor.workers, slots))
            found[1].extend(batch(procsup.workers, slots))
        return found


def batch(workers: Workers, slots: Iterable[int]) -> Iterator[int]:
    """Of each of these, one after another."""
    for slot in slots:
        time.sleep(_PAUSE)
        zero = workers.kill(slot)
        yield workers.wait_for_birth().time - zero
