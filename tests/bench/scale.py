"""Restart latency among thousands: of one worker among 8,500, beside one among ten; procsup against itself.

Both daemons run at the same time and are asked in turns, as in restart.py. The workers are the bare ones, of which so
many fit into memory; each holds its log pipe open. Whom it hits is spread over the whole tree. The floor does the same,
for information: its waitpid(-1) walks the list of its children, so that it grows too.

What so many workers need of the machine is looked at beforehand; where something is too small, that is told.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.bench import census, restart
from tests.bench.figure import CannotMeasure, Figure, Target, percentile
from tests.bench.lab import Lab
from tests.bench.workers import Workers

TARGET = Target(1.5, "ratio")

_FEW = 10
_SPARE = 200
"""Processes and descriptors that are needed beside the workers, generously."""

_DESCRIPTORS_EACH = 2
"""A pidfd and the end of a pipe."""

_MEMORY_EACH = 250_000
"""Bytes of a bare worker, nearly all of them the kernel's."""


class Need(NamedTuple):
    """So much of `what` is needed; None when there is no limit."""

    what: str
    needed: int
    room: int | None

    @property
    def is_met(self) -> bool:
        return self.room is None or self.room >= self.needed


class Latencies(NamedTuple):
    """Nanoseconds, of one among few and of one among many."""

    few: list[int]
    many: list[int]

    def grown(self, percent: int) -> float:
        return percentile(self.many, percent) / percentile(self.few, percent)


def measure(lab: Lab) -> Iterator[Figure]:
    count = lab.options.many
    for need in needs(count):
        if not need.is_met:
            raise CannotMeasure(
                f"cannot measure one among {count:,}: {need.needed:,} {need.what} are needed, there is room for "
                f"{need.room:,}; --many takes a smaller number"
            )
    lab.say(f"scale: {lab.options.restarts} among {_FEW} and among {count:,}, of procsup and of the floor")
    program = lab.bare_program
    with lab.procsup(program, _FEW) as few, lab.procsup(program, count) as many:
        few.wait_until_up()
        many.wait_until_up()
        supervisors = [*few.own_processes(), *many.own_processes()]
        procsup = latencies(few.workers, many.workers, count, supervisors, lab.options.restarts)
    with lab.floor(program, _FEW) as few_of_floor, lab.floor(program, count) as many_of_floor:
        supervisors = [few_of_floor.pid, many_of_floor.pid]
        floor = latencies(few_of_floor.workers, many_of_floor.workers, count, supervisors, lab.options.restarts)
    for percent, target in ((50, TARGET), (90, None)):
        few_taken, taken = percentile(procsup.few, percent) / 1000, percentile(procsup.many, percent) / 1000
        measure = f"restart of one among {count:,}, p{percent}"
        yield Figure(
            measure, "us", taken, few_taken, target,
            f"bare program, log pipes open; the floor grows {floor.grown(percent):.2f} times", f"among {_FEW}",
        )  # fmt: skip
        yield Figure(measure, "us", taken, percentile(floor.many, percent) / 1000)


def latencies(few: Workers, many: Workers, count: int, supervisors: list[int], restarts: int) -> Latencies:
    """`count` is how many there are of the many."""
    few.wait_for_births(_FEW)
    many.wait_for_births(count)
    census.wait_until_quiet(supervisors, 0.5, 10)
    found = Latencies([], [])
    among_few, among_many = spread(_FEW, restarts), spread(count, restarts)
    for begin in range(0, restarts, restart.BATCH):
        batch = slice(begin, begin + restart.BATCH)
        found.few.extend(restart.batch(few, among_few[batch]))
        found.many.extend(restart.batch(many, among_many[batch]))
    return found


def spread(count: int, restarts: int) -> list[int]:
    """So many slots, from the first to the last."""
    return [number * count // restarts for number in range(restarts)]


def needs(count: int) -> Iterator[Need]:
    """What `count` bare workers need, and what there is of it now."""
    processes = count + _FEW + _SPARE
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield Need("descriptors (the hard limit, `ulimit -Hn`)", count * _DESCRIPTORS_EACH + _SPARE, _limit(descriptors))
    tasks = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    for name in ("pid_max", "threads-max"):
        most = int(Path(f"/proc/sys/kernel/{name}").read_text())
        yield Need(f"processes (kernel.{name})", processes, most - tasks)
    if os.geteuid() != 0:  # root is exempt
        own = sum(one.info["uids"].real == os.getuid() for one in psutil.process_iter(["uids"]) if one.info["uids"])
        limit = _limit(resource.getrlimit(resource.RLIMIT_NPROC)[0])
        yield Need("processes of this user (`ulimit -u`)", processes, limit and limit - own)
    for folder in _control_groups():
        most_tasks = (folder / "pids.max").read_text().strip()
        room = None if most_tasks == "max" else int(most_tasks) - int((folder / "pids.current").read_text())
        yield Need(f"processes ({folder}/pids.max)", processes, room)
    yield Need("bytes of memory", count * _MEMORY_EACH, psutil.virtual_memory().available)


def _limit(value: int) -> int | None:
    return None if value == resource.RLIM_INFINITY else value


def _control_groups() -> Iterator[Path]:
    """Those of version 2 that limit the number of processes, from our own upward."""
    top = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            own = top / line.removeprefix("0::/")
            yield from (one for one in (own, *own.parents) if one.is_relative_to(top) and (one / "pids.max").exists())
