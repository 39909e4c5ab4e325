"""`procsup status` of a thousand workers, as a user runs it; its floor is an interpreter that does nothing."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from tests.bench import census
from tests.bench.figure import CannotMeasure, Figure, Target, median
from tests.bench.lab import Lab

TARGET = Target(300, "value")


def measure(lab: Lab) -> Iterator[Figure]:
    count, times = lab.options.workers, 2 * lab.options.rounds
    lab.say(f"status: {times} times, of {count}")
    with lab.procsup(lab.quiet_program, count) as procsup:
        procsup.wait_until_up()
        census.wait_until_quiet(procsup.own_processes(), 0.3, 10)
        status = [*lab.options.command, "status", "--socket", procsup.socket]
        commands = {"floor": [sys.executable, "-c", "pass"], "table": status, "json": [*status, "--json"]}
        found: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(times):
            for name, command in commands.items():
                found[name].append(seconds(command) * 1000)
    floor = median(found["floor"])
    remark = "the floor is `python -c pass`"
    yield Figure(f"`status` of {count:,}", "ms", median(found["table"]), floor, TARGET, remark)
    yield Figure(f"`status --json` of {count:,}", "ms", median(found["json"]), floor, remark=remark)


def seconds(command: Sequence[str]) -> float:
    """Wall time of a command whose output is read.

    Raises:
        CannotMeasure: it failed.
    """
    begin = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = time.monotonic() - begin
    if ended.returncode != 0:
        raise CannotMeasure(f"cannot measure {' '.join(command)}: it ended with {ended.returncode}: {ended.stderr}")
    return taken
