"""Log capture, side by side with those who do the same: supervisord, circus and s6-log (rivals.py).

A writer (writer.c) writes lines of 100 bytes as fast as it can and then falls silent; a capturer takes them from its
pipe into log files that are rotated at 10 MB, with five old ones. Everybody's files are in one file system, in memory
where there is such a one. What counts is the same for all: from the time just before the first writer's first write(2)
until the files of all writers hold, byte for byte, as much as was written. Nobody writes more than the files keep, so
that nothing that was lost goes unnoticed.

One writer, and fifty at once, which share twice as many bytes; each line by line and in blocks of 64 KiB. Capturers
take turns, each started anew, and always in another order, so that nobody always comes after the same one. Who is slow
gets fewer turns. The floor, for information, is a pump (pump.c) behind each writer that copies into one file and does
not rotate: nearer than that nobody comes to what the machine can do.
"""

import functools
import os
import random
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.bench import census
from tests.bench.figure import CannotMeasure, Figure, Target, median
from tests.bench.lab import Lab
from tests.bench.procsup import Procsup
from tests.bench.rivals import Capture, Commands, Rival
from tests.bench.workers import DEADLINE, Program
from tests.bench.writers import KINDS, Gate

TARGET = Target(1.0, "ratio", "at least")

_OURS = "procsup"
_FLOOR = "floor"
_TURNS = 3
"""Of each capturer in a round: two turns of the same one differ by some 4 %."""

_ENOUGH = 10.0
"""Seconds after which a capturer gets no further turn."""

_LOOK = 0.0005

Begin = Callable[[Program, int], Procsup | Capture]
"""Somebody who captures what so many of them write."""


def measure(lab: Lab, rivals: list[Rival] | None = None) -> Iterator[Figure]:
    """`rivals` are, when not given, all that are to be had."""
    floor = Rival(_FLOOR, functools.partial(_pumps, lab.pump))
    capturers: dict[str, Begin] = {_OURS: lab.procsup}
    for rival in (floor, *(lab.rivals() if rivals is None else rivals)):
        capturers[rival.name] = lab.capture_by(rival)
    for writers, whole in ((1, lab.options.log_bytes), (lab.options.writers, 2 * lab.options.log_bytes)):
        each = whole // writers
        for kind, block in KINDS:
            lab.say(f"logs: {writers} x {each / 1e6:g} MB in {kind}: {', '.join(capturers)}")
            rates = in_turns(lab, capturers, writers, each, block)
            measure = f"log capture, {'1 writer' if writers == 1 else f'{writers} writers'} of {kind}"
            remark = f"{writers} x {each / 1e6:g} MB, on {lab.log_file_system}"
            own = rates.pop(_OURS) / 1e6
            yield Figure(measure, "MB/s", own, rates.pop(_FLOOR) / 1e6, remark=remark)
            for name, rate in rates.items():
                yield Figure(measure, "MB/s", own, rate / 1e6, TARGET, remark, name)


def in_turns(lab: Lab, capturers: Mapping[str, Begin], writers: int, each: int, block: int) -> dict[str, float]:
    """Bytes a second of each capturer; a rival that cannot be measured is left out.

    Raises:
        CannotMeasure: procsup or the floor cannot.
    """
    taken: dict[str, list[float]] = {name: [] for name in capturers}
    used = dict.fromkeys(capturers, 0.0)
    order = random.Random(0)
    for _ in range(_TURNS * lab.options.rounds):
        for name in order.sample(sorted(taken), len(taken)):
            if used[name] >= _ENOUGH:
                continue
            begin = time.monotonic()
            try:
                taken[name].append(seconds(lab, name, capturers[name], writers, each, block))
            except CannotMeasure as error:
                if name in (_OURS, _FLOOR):
                    raise
                lab.leave_out(str(error))
                del taken[name]
            used[name] += time.monotonic() - begin
    return {name: writers * each / median(found) for name, found in taken.items()}


def seconds(lab: Lab, name: str, begin: Begin, writers: int, each: int, block: int) -> float:
    """Raises:
    CannotMeasure: the files do not come to hold what was written.
    """
    gate = Gate(lab.new_folder("gate") / "gate")
    with gate, begin(lab.writer(gate, each, block), writers) as capturer:
        capturer.workers.wait_for_births(writers)
        census.wait_until_quiet(capturer.own_processes(), 0.2, 5)
        gate.open()
        first = min(report.time for report in capturer.workers.wait_for_births(writers))
        for _ in range(writers):
            capturer.workers.wait_for_birth()
        return (_wait_for_bytes(capturer.logs, writers * each, name) - first) / 1e9


def _wait_for_bytes(logs: Path, wanted: int, whose: str) -> int:
    """When they were seen to be there, in nanoseconds of the monotonic clock."""
    end = time.monotonic() + DEADLINE
    while (found := _bytes_below(logs)) != wanted:
        if time.monotonic() > end or found > wanted:
            raise CannotMeasure(f"cannot measure {whose}: {wanted:,} bytes were written, its files hold {found:,}")
        time.sleep(_LOOK)
    return time.monotonic_ns()


def _bytes_below(folder: Path) -> int:
    """A file that is renamed meanwhile is not counted twice, and one beside the logs, which is hidden, not at all."""
    sizes: dict[int, int] = {}
    for where, _, names in os.walk(folder):
        for name in names:
            if name.startswith("."):
                continue
            try:
                status = os.stat(os.path.join(where, name))
            except FileNotFoundError:  # renamed
                continue
            sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


def _pumps(pump: str, folder: Path, logs: Path, workers: Commands) -> list[list[str]]:
    return [
        ["sh", "-c", f"{shlex.join(command)} | {shlex.join([pump])} > {shlex.quote(f'{logs}/{name}.log')}"]
        for name, command in workers.items()
    ]
