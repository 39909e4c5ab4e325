"""What the tests of the worker library share."""

import select
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, TypeVar

from procsup.worker import Down, Pid, monitor, receive
from tests.kit.wait import DEADLINE

T = TypeVar("T")


def next_message(kind: type[T]) -> T:
    """The oldest message of this kind, waited for."""
    return receive(kind, timeout=DEADLINE)


def end_of(pid: Pid) -> object:
    """The reason of its end, waited for."""
    ref = monitor(pid)
    down = receive(lambda message: isinstance(message, Down) and message.ref == ref, timeout=DEADLINE)
    assert isinstance(down, Down)
    return down.reason


def sit() -> None:
    """Live until a signal or a message ends it."""
    receive()


def stay_busy() -> None:
    """Live without ever being in the library."""
    while True:
        select.select((), (), ())


def spin() -> None:
    while True:
        pass


class Result(NamedTuple):
    status: int
    out: str
    err: str


def run_script(folder: Path, source: str) -> Result:
    """Run a program that imports procsup.worker, to its end."""
    done = subprocess.run(
        [sys.executable, "-c", "from procsup.worker import *\nimport os, sys, signal, select, time\n" + source],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)
