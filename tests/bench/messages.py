"""Messages and targets: a round trip between two workers through the daemon, beside one through a bare pair of pipes
between two Python processes; and the restart of a Python function as a target, beside the same as a command.

A round trip is measured by the worker that asks, without the library: write(2), read(2), no JSON of its own. A restart
lasts from the KILL to the first line of the function.
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
import os, time

LINE = b'{"type":"send","to":"NAME","body":1}\\n'

def echo(source=3, sink=4):
    line = LINE.replace(b"NAME", b"ask")
    while os.read(source, 65536):
        os.write(sink, line)

def ask(file, trips, rounds):
    there, here = os.pipe(), os.pipe()
    if os.fork() == 0:
        echo(there[0], here[1])
    with open(file, "a", buffering=1) as out:
        for _ in range(rounds):
            out.write(f"{seconds(4, 3, trips)} {seconds(there[1], here[0], trips)}\\n")
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

_TRIPS = 2000


def measure(lab: Lab) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "app.py").write_text(_APP)
        yield _round_trip(lab, here)
        yield _restart(lab, here)


def _round_trip(lab: Lab, here: Path) -> Figure:
    lab.say("messages: round trips")
    file, rounds = here / "trips", max(3, lab.options.rounds)
    ask = target("ask", "app:ask", args=[str(file), _TRIPS, rounds])
    with _daemon(here, tree(supervisor("root", ["echo", "ask"]), target("echo", "app:echo"), ask)):
        times = [tuple(map(float, line.split())) for line in _lines(file, rounds)]
    through, bare = (1e6 * statistics.median(column) for column in zip(*times, strict=True))
    return Figure("round trip of a message", "µs", through, bare, ROUND_TRIP, beside="bare pipes")


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
