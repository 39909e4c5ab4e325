"""Messages and targets: a round trip between two workers through the daemon, beside one through a bare pair of pipes
between two Python processes, and beside one through a bare relay, which is a Python process that waits by epoll(7),
reads and writes and does nothing else; and the restart of a Python function as a target, beside the same as a command.

A round trip is measured by the worker that asks, without the library: write(2), read(2), no JSON of its own. The three
take turns, a few milliseconds each, in one process. Through the daemon and through the relay three processes are woken
four times; where the scheduler has them wake up, on this processor or on another that may be asleep, decides more than
what they do (of a relay that does nothing, 15 or 55 us). So what is held to the target is measured with all of them on
one processor, as the two on a bare pair of pipes are anyway; what comes of it on all processors stands below it.

A restart lasts from the KILL to the first line of the function.
"""

import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figure import Figure, Target
from tests.bench.lab import Lab
from tests.kit.daemon import Daemon
from tests.kit.trees import supervisor, target, tree, worker
from tests.kit.wait import DEADLINE, let_pass, wait_until

ROUND_TRIP = Target(5, "ratio")
RESTART = Target(0.5, "ratio")

_IMPORTS = ("json", "asyncio", "logging", "dataclasses")

_APP = """
import os, select, time

LINE = b'{"type":"send","to":"NAME","body":1}\\n'

def echo(source=3, sink=4):
    line = LINE.replace(b"NAME", b"ask")
    while os.read(source, 65536):
        os.write(sink, line)

def relay(sinks):
    epoll = select.epoll()
    for source in sinks:
        epoll.register(source, select.EPOLLIN)
    while True:
        for source, _ in epoll.poll():
            os.write(sinks[source], os.read(source, 65536))

def beginning(function, *args):
    if os.fork() == 0:
        function(*args)

def ask(file, slices, trips):
    there, back = os.pipe(), os.pipe()
    beginning(echo, there[0], back[1])
    up, down, up_again, down_again = (os.pipe() for _ in range(4))
    beginning(echo, down[0], up_again[1])
    beginning(relay, {up[0]: down[1], up_again[0]: down_again[1]})
    ways = [(4, 3), (there[1], back[0]), (up[1], down_again[0])]
    found = [[seconds(*way, trips) for way in ways] for _ in range(slices)]
    with open(file + "~", "w") as out:
        out.writelines(" ".join(map(str, slice)) + "\\n" for slice in found)
    os.rename(file + "~", file)
    time.sleep(1000)

def seconds(sink, source, trips):
    line = LINE.replace(b"NAME", b"echo")
    start = time.monotonic()
    for _ in range(trips):
        os.write(sink, line)
        os.read(source, 65536)
    return (time.monotonic() - start) / trips

def begin(file):
    with open(file, "a") as out:
        out.write(f"{time.monotonic()}\\n")
    time.sleep(1000)
"""

_TRIPS = 100
"""In a turn."""
_SLICES = 40
"""Turns in a round."""


def measure(lab: Lab) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "app.py").write_text(_APP)
        lab.say("messages: round trips")
        with _one_processor():
            through, bare, relayed = _round_trips(lab, here / "one")
        remark = "all on one CPU"
        yield Figure("round trip of a message", "µs", through, bare, ROUND_TRIP, remark, beside="bare pipes")
        yield Figure("round trip of a message", "µs", through, relayed, None, remark, beside="bare relay")
        through, bare, relayed = _round_trips(lab, here / "all")
        remark = "wherever the scheduler puts them"
        yield Figure("round trip of a message", "µs", through, bare, None, remark, beside="bare pipes")
        yield Figure("round trip of a message", "µs", through, relayed, None, remark, beside="bare relay")
        yield _restart(lab, here)


@contextlib.contextmanager
def _one_processor() -> Iterator[None]:
    """For this process and all that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _round_trips(lab: Lab, file: Path) -> tuple[float, float, float]:
    """In microseconds, the medians: through the daemon, through bare pipes and through the relay."""
    slices = _SLICES * lab.options.rounds
    ask = target("ask", "app:ask", args=[str(file), slices, _TRIPS])
    with _daemon(file.parent, tree(supervisor("root", ["echo", "ask"]), target("echo", "app:echo"), ask)):
        rows = [map(float, line.split()) for line in _lines(file, slices)]
    through, bare, relayed = (1e6 * statistics.median(column) for column in zip(*rows, strict=True))
    return through, bare, relayed


def _restart(lab: Lab, here: Path) -> Figure:
    lab.say("messages: restarts of targets")
    code = f"import {', '.join(_IMPORTS)}, app; app.begin({str(here / 'command')!r})"
    tables = (
        supervisor("root", ["target", "command"], intensity=100_000),
        target("target", "app:begin", args=[str(here / "target")]),
        worker("command", (sys.executable, "-c", code)),
    )
    with _daemon(here, tree(*tables)) as daemon:
        as_target, as_command = (_restarts(daemon, name, here / name) for name in ("target", "command"))
    return Figure("restart of a Python function", "ms", as_target, as_command, RESTART, beside="as a command")


def _restarts(daemon: Daemon, name: str, file: Path) -> float:
    """Milliseconds, the median."""
    found: list[float] = []
    for number in range(1, 31):
        _lines(file, number)
        pid = wait_until(lambda: daemon.row(name)["pid"], f"{name} runs")
        let_pass(0.01)
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        found.append(float(_lines(file, number + 1)[-1]) - begun)
    return 1000 * statistics.median(found)


@contextlib.contextmanager
def _daemon(here: Path, tables: str) -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(dir=here))
    (folder / "app.py").symlink_to(here / "app.py")
    head = f"[daemon]\npreload = {json.dumps([*_IMPORTS, 'app'])}\n"
    with contextlib.redirect_stdout(sys.stderr), Daemon(folder, head + tables) as daemon:
        yield daemon.wait_until_up()


def _lines(file: Path, count: int) -> list[str]:
    def found() -> list[str]:
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return lines if len(lines) >= count else []

    return wait_until(found, f"{file.name} has {count} lines", 2 * DEADLINE)
