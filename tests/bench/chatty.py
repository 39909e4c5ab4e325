"""Restart latency next to a worker that writes as fast as it can; procsup against itself.

Ten workers and, in the same tree, the neighbour (writer.c), whose output is captured and rotated as any worker's. It
is held with SIGSTOP and let go with SIGCONT, and the batches alternate between the two, so that the same daemon is
measured with and without it. Two kinds of neighbour: one that writes line by line, and one that writes blocks.

Part of the growth is the machine's: somebody writes, somebody takes it away, and the CPUs are fewer for the rest. What
that costs is seen on the floor, whose neighbour writes into a pump (pump.c) that throws everything away.

In real time (--realtime), whoever wakes up waits until the writer's turn is over, which no user's process has to. Here
it means the ordinary rules of scheduling among those who are measured, and precedence over everybody else.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from tests.bench import census, restart
from tests.bench.figure import CannotMeasure, Figure, Target, percentile
from tests.bench.lab import Lab
from tests.bench.workers import DEADLINE, Program, Workers
from tests.bench.writers import KINDS, Gate

TARGET = Target(1.5, "ratio")

_WORKERS = 10
_FLOWS = 2 * 1024 * 1024
"""Bytes after which a neighbour that was let go is known to be read: more than any pipe holds."""

_LOOK = 0.002


class Growth(NamedTuple):
    """Latencies in nanoseconds, without and with the neighbour, and how fast it wrote meanwhile, in bytes a second."""

    without: list[int]
    beside: list[int]
    rate: float

    def grown(self, percent: int) -> float:
        return percentile(self.beside, percent) / percentile(self.without, percent)


def measure(lab: Lab) -> Iterator[Figure]:
    program = lab.reporting_programs()[0]
    for kind, block in KINDS:
        lab.say(f"chatty: {lab.options.restarts} with and without a neighbour that writes {kind}, on each side")
        with _by_ordinary_rules():
            floors, own = of_floor(lab, program, block), of_procsup(lab, program, block)
        for percent, target in ((50, TARGET), (90, None)):
            measure, taken = f"restart beside a writer of {kind}, p{percent}", percentile(own.beside, percent) / 1000
            yield Figure(
                measure, "us", taken, percentile(own.without, percent) / 1000, target,
                f"{own.rate / 1e6:.0f} MB/s; the floor grows {floors.grown(percent):.2f} times, beside "
                f"{floors.rate / 1e6:.0f} MB/s", "without",
            )  # fmt: skip
            yield Figure(measure, "us", taken, percentile(floors.beside, percent) / 1000)


def of_floor(lab: Lab, program: Program, block: int) -> Growth:
    with Neighbour(lab, block) as neighbour, lab.floor(program, _WORKERS) as floor, neighbour.into_pump(lab):
        return growth(floor.workers, neighbour, [floor.pid], lab.options.restarts)


def of_procsup(lab: Lab, program: Program, block: int) -> Growth:
    with (
        Neighbour(lab, block) as neighbour,
        lab.procsup(program, _WORKERS, {"neighbour": neighbour.command}) as procsup,
    ):
        procsup.wait_until_up()
        return growth(procsup.workers, neighbour, procsup.own_processes(), lab.options.restarts)


def growth(workers: Workers, neighbour: "Neighbour", supervisors: Sequence[int], restarts: int) -> Growth:
    workers.wait_for_births(_WORKERS)
    neighbour.wait_until_held()
    without: list[int] = []
    beside: list[int] = []
    while len(beside) < restarts:
        slots = [number % _WORKERS for number in range(min(restart.BATCH, restarts - len(beside)))]
        census.wait_until_quiet(supervisors, 0.1, 5)
        without.extend(restart.batch(workers, slots))
        with neighbour.writing():
            beside.extend(restart.batch(workers, slots))
    return Growth(without, beside, neighbour.rate)


class Neighbour:
    """A writer that somebody starts by its `command`. It is held but for the time that is spent in `writing`."""

    def __init__(self, lab: Lab, block: int) -> None:
        folder = lab.new_folder("neighbour")
        self._gate = Gate(folder / "gate")
        self._births = Workers(folder / "fifo", "the neighbour", lambda: "")
        self.pid = 0
        self._bytes = 0
        self._seconds = 0.0
        self.command = lab.writer(self._gate, 0, block).command(self._births.fifo, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._births.close()
        self._gate.__exit__()

    @property
    def rate(self) -> float:
        """Bytes a second, in all the time that it was let go."""
        return self._bytes / self._seconds

    def wait_until_held(self) -> None:
        """Raises:
        CannotMeasure: nobody has started it.
        """
        self.pid = self._births.wait_for_birth().pid
        os.kill(self.pid, signal.SIGSTOP)
        self._gate.open()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Raises:
        CannotMeasure: nobody takes what it writes.
        """
        begin, before = time.monotonic(), census.written(self.pid)
        os.kill(self.pid, signal.SIGCONT)
        while census.written(self.pid) < before + _FLOWS:
            if time.monotonic() > begin + DEADLINE:
                raise CannotMeasure(f"cannot measure beside a writer: nobody reads its output for {DEADLINE:g} seconds")
            time.sleep(_LOOK)
        yield
        os.kill(self.pid, signal.SIGSTOP)
        self._seconds += time.monotonic() - begin
        self._bytes += census.written(self.pid) - before

    @contextlib.contextmanager
    def into_pump(self, lab: Lab) -> Iterator[None]:
        """Starts it, and a pump that throws away what it writes."""
        pump = subprocess.Popen(
            [lab.pump], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        with pump:
            writer = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=pump.stdin, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            with writer:
                try:
                    yield
                finally:
                    writer.kill()
                    pump.kill()


@contextlib.contextmanager
def _by_ordinary_rules() -> Iterator[None]:
    """For this process, and whom it starts meanwhile."""
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    if policy == os.SCHED_OTHER:
        yield
        return
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, usual)
        os.sched_setscheduler(0, policy, param)
