"""A thousand workers killed at once: from the first SIGKILL until the last successor's first instruction."""

from collections.abc import Iterator

from tests.bench import census
from tests.bench.figure import Figure, Target, median
from tests.bench.lab import Lab
from tests.bench.workers import Workers

TARGET = Target(2.0, "ratio")


def measure(lab: Lab) -> Iterator[Figure]:
    count = lab.options.workers
    for program in lab.reporting_programs():
        lab.say(f"killed: {lab.options.rounds} times {count} of the {program.title}, on each side")
        found: tuple[list[int], list[int]] = ([], [])
        with lab.floor(program, count) as floor, lab.procsup(program, count) as procsup:
            floor.workers.wait_for_births(count)
            procsup.workers.wait_for_births(count)
            procsup.wait_until_up()
            supervisors = [floor.pid, *procsup.own_processes()]
            for _ in range(lab.options.rounds):
                census.wait_until_quiet(supervisors, 0.3, 10)
                found[0].append(all_back(floor.workers, count))
                found[1].append(all_back(procsup.workers, count))
        yield Figure(
            f"{count:,} killed at once, {program.title}", "ms", median(found[1]) / 1e6, median(found[0]) / 1e6,
            lab.target_for(program, TARGET), "first SIGKILL to the last successor's first instruction",
        )  # fmt: skip


def all_back(workers: Workers, count: int) -> int:
    """Nanoseconds."""
    zero = workers.kill_all()
    return max(birth.time for birth in workers.wait_for_births(count)) - zero
