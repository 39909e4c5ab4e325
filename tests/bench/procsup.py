"""procsup itself: the daemon of a tree of equal workers, and what it starts.

The tree is one supervisor over workers w0, w1, ... (slot 0, 1, ...) that never gives up, and after them whatever
neighbours they are given. procsup may be several processes, and `procsup run` need not be the daemon: who answers at
the socket is asked for its pid, and `procsup run` and every descendant of it that executes anything but a worker's
program is one of its own.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.bench import census
from tests.bench.figure import CannotMeasure
from tests.bench.workers import DEADLINE, Program, Workers, patience
from tests.kit.client import CallFailed, Client, HungUp

_LOOK = 0.005
_END = 60.0
"""Seconds that a tree of a thousand may take to stop."""


class Procsup:
    """Runs from the beginning of the `with` to its end; after an error it is killed, not stopped. `command` runs
    procsup, `neighbours` are further workers: their names, and their commands.
    """

    def __init__(
        self,
        folder: Path,
        logs: Path,
        command: Sequence[str],
        program: Program,
        count: int,
        neighbours: Mapping[str, Sequence[str]],
    ) -> None:
        self.logs = logs
        self.socket = str(folder / "s")
        self._count = count
        self.workers = Workers(folder / "fifo", "procsup", self._ended)
        self._stderr = folder / "stderr"
        workers = {f"w{slot}": program.command(self.workers.fifo, slot) for slot in range(count)} | dict(neighbours)
        self._programs = {os.path.realpath(words[0]) for words in workers.values()}
        file = folder / "tree.toml"
        file.write_text(_tree(workers))
        places = ["--socket", self.socket, "--state-dir", str(folder / "state"), "--log-dir", str(logs)]
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
                self._popen.wait(_END + patience(self._count))
        except subprocess.TimeoutExpired as late:
            raise CannotMeasure(f"cannot measure procsup: its tree does not stop in {late.timeout:g} seconds") from None
        finally:
            everyone = [self._popen.pid, *census.descendants(self._popen.pid)] if self._popen.poll() is None else []
            census.kill(everyone)
            self._popen.wait()
            self.workers.close()
            shutil.rmtree(self.logs, ignore_errors=True)

    def wait_until_up(self) -> int:
        """The time when its tree was seen to be up, in nanoseconds of the monotonic clock.

        Raises:
            CannotMeasure: it ended, or takes too long.
        """
        end = time.monotonic() + DEADLINE + patience(self._count)
        while not self._is_up():
            if self._ended() or time.monotonic() > end:
                raise CannotMeasure(f"cannot measure procsup: its tree does not come up: {self._ended() or 'too slow'}")
            time.sleep(_LOOK)
        return time.monotonic_ns()

    @property
    def pid(self) -> int:
        """The daemon's own."""
        pid: int = self._status()["pid"]
        return pid

    def own_processes(self) -> list[int]:
        """The daemon first, then, where there are such, those around it."""
        family = [self._popen.pid, *census.descendants(self._popen.pid)]
        daemon, others = self.pid, {*self._programs, None}
        return [daemon, *(pid for pid in family if pid != daemon and census.program_of(pid) not in others)]

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError, HungUp, CallFailed):
            state: str = self._status()["state"]
            return state == "running"
        return False

    def _status(self) -> dict[str, Any]:
        """What procsup says of the daemon; of one worker too, since it must be asked about somebody."""
        with Client(self.socket) as client:
            daemon: dict[str, Any] = client.call("status", names=["w0"])["daemon"]
            return daemon

    def _ended(self) -> str:
        status = self._popen.poll()
        return "" if status is None else f"it ended with {status}: {self._stderr.read_text().strip() or 'no word'}"


def _tree(workers: Mapping[str, Sequence[str]]) -> str:
    tables = [
        '[supervisor.root]\nstrategy = "one_for_one"\nintensity = 1000000\nperiod = "1s"\n'
        f"children = [{', '.join(map(_quoted, workers))}]\n"
    ]
    for name, command in workers.items():
        words = ", ".join(map(_quoted, command))
        tables.append(f'[worker.{name}]\ncommand = [{words}]\nshutdown = "brutal_kill"\n')
    return "\n".join(tables)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
