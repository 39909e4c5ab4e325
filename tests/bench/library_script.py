"""What library.py has measured in a process of its own. ROUNDS is its argument; prints {MEASURE: [OURS, THEIRS]}."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from procsup.worker import GenServer, NoReply, Ok, Process, Reply, Task, receive

_IN_A_ROUND = 60
TASKS_OF_A_ROUND, _AT_ONCE = 400, 50

Pair = tuple[float, float]

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext


def main(rounds: int) -> None:
    server, (there, back) = GenServer.start_link(Echo), pipes()
    found = {
        "Process.spawn returns": in_turns(rounds * _IN_A_ROUND, spawn, start),
        "Process.spawn to its end": in_turns(rounds * _IN_A_ROUND, spawn_to_end, start_and_join),
        "GenServer.call": in_turns(rounds * _IN_A_ROUND, lambda: call(server), lambda: ping(there, back)),
    }
    print(json.dumps(found))  # noqa: T201  # its answer


def in_turns(count: int, ours: Callable[[], float], theirs: Callable[[], float]) -> Pair:
    """Medians, in microseconds."""
    pairs = [(ours(), theirs()) for _ in range(count)]
    one, other = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
    return one, other


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


def start() -> float:
    process = fork_context().Process(target=nothing)
    began = time.perf_counter()
    process.start()
    seconds = time.perf_counter() - began
    process.join()
    return seconds


def start_and_join() -> float:
    began = time.perf_counter()
    process = fork_context().Process(target=nothing)
    process.start()
    process.join()
    return time.perf_counter() - began


def fork_context() -> "ForkContext":
    """Who uses the library alone does not have it in memory."""
    from multiprocessing import get_context

    return get_context("fork")


def nothing() -> None:
    pass


def tasks() -> float:
    """How many in a second."""
    began = time.perf_counter()
    for _ in range(TASKS_OF_A_ROUND // _AT_ONCE):
        started = [Task.async_(abs, number) for number in range(_AT_ONCE)]
        for task in started:
            task.await_(60)
    return TASKS_OF_A_ROUND / (time.perf_counter() - began)


def processes() -> float:
    """How many in a second."""
    began = time.perf_counter()
    for _ in range(TASKS_OF_A_ROUND // _AT_ONCE):
        started = [fork_context().Process(target=abs, args=(n,)) for n in range(_AT_ONCE)]
        for process in started:
            process.start()
        for process in started:
            process.join()
    return TASKS_OF_A_ROUND / (time.perf_counter() - began)


class Echo(GenServer[None]):
    def init(self, arg: Any) -> Ok[None]:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Reply[None] | NoReply[None]:
        return Reply(request, None)


def call(server: Any) -> float:
    began = time.perf_counter()
    GenServer.call(server, 1)
    return time.perf_counter() - began


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


def ping(there: int, back: int) -> float:
    began = time.perf_counter()
    os.write(there, b"x")
    os.read(back, 1)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]))
