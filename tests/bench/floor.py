"""The floor: a supervisor in C that does the least (floor.c), and what it starts."""

import subprocess
from pathlib import Path
from typing import Self

from tests.bench import census
from tests.bench.workers import Program, Workers

_END = 30.0
"""Seconds that it may take to kill its workers."""


class Floor:
    """Runs from the beginning of the `with` to its end."""

    def __init__(self, folder: Path, floor: str, program: Program, count: int) -> None:
        self.workers = Workers(folder / "fifo", "the floor", self._ended)
        self._stderr = folder / "stderr"
        with open(self._stderr, "wb") as stderr:
            self._popen = subprocess.Popen(
                [floor, program.path, self.workers.fifo, str(count)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(_END)
        finally:
            left = census.descendants(self._popen.pid)
            self._popen.kill()
            census.kill(left)
            self._popen.wait()
            self.workers.close()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def _ended(self) -> str:
        status = self._popen.poll()
        return "" if status is None else f"it ended with {status}: {self._stderr.read_text().strip() or 'no word'}"
