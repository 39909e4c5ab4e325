"""procsup itself: the daemon of a tree of equal workers, and what it starts.

The tree is one supervisor over workers w0, w1, ... (slot 0, 1, ...) that never gives up. The daemon may be several
processes: who answers at the socket is asked for its pid, and every descendant of `procsup run` that executes anything
but a worker's program is one of its own.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.bench import census
from tests.bench.figure import CannotMeasure
from tests.bench.workers import DEADLINE, Program, Workers
from tests.kit.client import CallFailed, Client, HungUp

_LOOK = 0.005
_END = 60.0
"""Seconds that the tree may take to stop."""


class Procsup:
    """Runs from the beginning of the `with` to its end; after an error it is killed, not stopped."""

    def __init__(self, folder: Path, command: Sequence[str], program: Program, count: int) -> None:
        self._program = program
        self.socket = str(folder / "s")
        self.workers = Workers(folder / "fifo", "procsup", self._ended)
        self._stderr = folder / "stderr"
        file = folder / "tree.toml"
        file.write_text(_tree(program, self.workers.fifo, count))
        places = ["--socket", self.socket, "--state-dir", str(folder / "state"), "--log-dir", str(folder / "logs")]
        self.begin = time.monotonic_ns()
        with open(self._stderr, "wb") as stderr:
            self._popen = subprocess.Popen(
                [*command, "run", str(file), *places],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *rest: object) -> None:
        try:
            if error is None:
                self._popen.send_signal(signal.SIGTERM)
                self._popen.wait(_END)
        finally:
            everyone = [self._popen.pid, *census.descendants(self._popen.pid)] if self._popen.poll() is None else []
            census.kill(everyone)
            self._popen.wait()
            self.workers.close()

    def wait_until_up(self) -> int:
        """The time when its tree was seen to be up, in nanoseconds of the monotonic clock.

        Raises:
            CannotMeasure: it ended, or takes too long.
        """
        end = time.monotonic() + DEADLINE
        while not self._is_up():
            if self._ended() or time.monotonic() > end:
                raise CannotMeasure(f"cannot measure procsup: its tree does not come up: {self._ended() or 'too slow'}")
            time.sleep(_LOOK)
        return time.monotonic_ns()

    @property
    def pid(self) -> int:
        """The daemon's own."""
        pid: int = self._ask("version")["pid"]
        return pid

    def own_processes(self) -> list[int]:
        """The daemon first, then, where there are such, those around it."""
        family = [self._popen.pid, *census.descendants(self._popen.pid)]
        daemon = self.pid
        worker = os.path.realpath(self._program.path)
        return [daemon, *(pid for pid in family if pid != daemon and census.program_of(pid) not in (worker, None))]

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError, HungUp, CallFailed):
            state: str = self._ask("status", names=["w0"])["daemon"]["state"]
            return state == "running"
        return False

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        with Client(self.socket) as client:
            return client.call(method, **params)

    def _ended(self) -> str:
        status = self._popen.poll()
        return "" if status is None else f"it ended with {status}: {self._stderr.read_text().strip() or 'no word'}"


def _tree(program: Program, fifo: str, count: int) -> str:
    names = [f"w{slot}" for slot in range(count)]
    tables = [
        '[supervisor.root]\nstrategy = "one_for_one"\nintensity = 1000000\nperiod = "1s"\n'
        f"children = [{', '.join(map(_quoted, names))}]\n"
    ]
    for slot, name in enumerate(names):
        words = ", ".join(map(_quoted, program.command(fifo, slot)))
        tables.append(f'[worker.{name}]\ncommand = [{words}]\nshutdown = "brutal_kill"\n')
    return "\n".join(tables)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
