"""The worker library, without a daemon, beside what one would use without it.

    import of the library       CPU time beyond the bare interpreter's own
    Process.spawn               of a function that does nothing: until the call returns, and until its end is known;
                                beside multiprocessing.Process with fork: start, and start and join
    tasks                       Task.async_ and await_, some dozens at a time: how many are started and finished in a
                                second, and what processor time one takes of all processes together, which tells more
                                on a busy machine; beside as many of multiprocessing.Process
    GenServer.call              beside a byte there and back over two pipes

The two sides take turns, in a script of their own (library_script.py): a fork costs by what the forking process has in
memory, and this way that is the same for both, and little. Only the tasks, and what stands beside them, have each a
script to themselves.
"""

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator

from tests.bench.figure import CannotMeasure, Figure, Target
from tests.bench.lab import Lab
from tests.bench.library_script import TASKS_OF_A_ROUND

IMPORT = Target(30, "value")
SPAWN = Target(1.5, "ratio")
TASKS = Target(1000, "value", "at least")

_LIMIT = 300.0


def measure(lab: Lab) -> Iterator[Figure]:
    lab.say("library: import")
    bare = _import_cost("pass")
    yield Figure("import of procsup.worker", "ms", _import_cost("import procsup.worker") - bare, None, IMPORT)
    lab.say("library: processes, tasks and calls")
    found = _measured_by_the_script(lab.options.rounds)
    for measure, unit, target, beside in (
        ("Process.spawn returns", "µs", SPAWN, "multiprocessing"),
        ("Process.spawn to its end", "µs", SPAWN, "multiprocessing"),
        ("GenServer.call", "µs", None, "bare pipes"),
    ):
        ours, theirs = found[measure]
        yield Figure(measure, unit, ours, theirs, target, beside=beside)
    lab.say("library: tasks")
    rates = [(_rate("tasks"), _rate("processes")) for _ in range(lab.options.rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    yield Figure("tasks in a second", "", ours, theirs, TASKS, beside="multiprocessing")
    lab.say("library: processor time of tasks")
    ours, theirs = (_cpu_of_one(function, lab.options.rounds) for function in ("tasks", "processes"))
    yield Figure("processor time of a task", "ms", ours, theirs, None, beside="multiprocessing")


def _rate(function: str) -> float:
    """What this function of the script answers, in a process of its own.

    Raises:
        CannotMeasure: it does not.
    """
    code = f"from tests.bench.library_script import {function}; print({function}())"
    try:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=_LIMIT, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"cannot measure {function}: {error}") from None
    return float(done.stdout)


def _import_cost(statement: str) -> float:
    """Milliseconds, the median."""
    return 1000 * statistics.median(_cpu_of_code(statement) for _ in range(20))


def _cpu_of_one(function: str, rounds: int) -> float:
    """Milliseconds, the median, of one of the many that this function of the script starts."""
    begin = f"from tests.bench.library_script import {function}"
    each = [_cpu_of_code(f"{begin}; {function}()") - _cpu_of_code(begin) for _ in range(rounds)]
    return 1000 * statistics.median(each) / TASKS_OF_A_ROUND


def _cpu_of_code(code: str) -> float:
    return _cpu_seconds([sys.executable, "-c", code])


def _cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _measured_by_the_script(rounds: int) -> dict[str, tuple[float, float]]:
    command = [sys.executable, "-m", "tests.bench.library_script", str(rounds)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=_LIMIT, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"cannot measure the library: {error}") from None
    return {measure: (ours, theirs) for measure, (ours, theirs) in json.loads(done.stdout).items()}
