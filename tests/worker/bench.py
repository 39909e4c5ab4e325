"""`python -m tests.worker.bench`: what the worker library costs, beside what one would use without it.

    import            CPU time of importing it, over that of the bare interpreter
    spawn             Process.spawn of a function that does nothing, until the call returns, and until its end is known;
                      beside multiprocessing.Process with fork: start, and start and join
    tasks             Task.async_ and await_, ten at a time: how many in a second
    call              a GenServer.call; beside a byte there and back over two pipes

Medians; the two sides in turns. On a machine that others use, too, the ratios say more than the figures.
"""

import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from procsup.worker import GenServer, NoReply, Ok, Process, Reply, Task, receive

_ROUNDS = 300
_TASKS = 1000


def main() -> None:
    say(f"load {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} CPUs, Python {sys.version.split()[0]}")
    bare, library = import_cost("pass"), import_cost("import procsup.worker")
    say(f"import   {library - bare:6.1f} ms   over {bare:.1f} ms")
    for name, ours, theirs in (("returns", spawn, mp_start), ("ends", spawn_to_end, mp_start_and_join)):
        one, other = in_turns(ours, theirs)
        say(f"spawn    {one:6.0f} us   multiprocessing {other:.0f} us, ratio {one / other:.2f}   ({name})")
    say(f"tasks    {tasks_per_second():6.0f} /s")
    server, (there, back) = GenServer.start_link(Echo), pipes()
    one, other = in_turns(lambda: timed(lambda: GenServer.call(server, 1)), lambda: timed(lambda: ping(there, back)))
    say(f"call     {one:6.0f} us   pipes {other:.0f} us, ratio {one / other:.2f}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def import_cost(statement: str) -> float:
    """Milliseconds of CPU time, the least of some."""
    return min(cpu_time_of([sys.executable, "-c", statement]) for _ in range(20)) * 1000


def cpu_time_of(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turns(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """Medians, in microseconds."""
    pairs = [(ours(), theirs()) for _ in range(_ROUNDS)]
    return statistics.median(one for one, _ in pairs) * 1e6, statistics.median(other for _, other in pairs) * 1e6


def timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def spawn() -> float:
    began = time.perf_counter()
    Process.spawn_monitor(nothing)
    seconds = time.perf_counter() - began
    receive()
    return seconds


def spawn_to_end() -> float:
    began = time.perf_counter()
    Process.spawn_monitor(nothing)
    receive()
    return time.perf_counter() - began


def mp_start() -> float:
    process = multiprocessing.get_context("fork").Process(target=nothing)
    seconds = timed(process.start)
    process.join()
    return seconds


def mp_start_and_join() -> float:
    began = time.perf_counter()
    process = multiprocessing.get_context("fork").Process(target=nothing)
    process.start()
    process.join()
    return time.perf_counter() - began


def nothing() -> None:
    pass


def tasks_per_second() -> float:
    began = time.perf_counter()
    for first in range(0, _TASKS, 10):
        tasks = [Task.async_(abs, number) for number in range(first, first + 10)]
        for task in tasks:
            task.await_(60)
    return _TASKS / (time.perf_counter() - began)


class Echo(GenServer[None]):
    def init(self, arg: Any) -> Ok[None]:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Reply[None] | NoReply[None]:
        return Reply(request, None)


def pipes() -> tuple[int, int]:
    """To a process that sends every byte back; it ends with this one."""
    there_read, there = os.pipe()
    back, back_write = os.pipe()

    def send_back() -> None:
        os.close(there)
        while byte := os.read(there_read, 1):
            os.write(back_write, byte)

    Process.spawn(send_back)
    return there, back


def ping(there: int, back: int) -> None:
    os.write(there, b"x")
    os.read(back, 1)


if __name__ == "__main__":
    main()
