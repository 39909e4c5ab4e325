"""The laboratory: a folder, the compiled programs, and the certainty that nothing of either remains.

    with Lab(Options()) as lab, lab.floor(program, 10) as floor, lab.procsup(program, 10) as procsup: ...

The C compiler is $CC, or else cc, gcc or clang. Where there is none there is no floor, nor a worker that reports its
birth: what needs them is not measured, and for the rest the workers run `sleep`.
"""

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.bench import census
from tests.bench.figure import CannotMeasure, Target
from tests.bench.floor import Floor
from tests.bench.procsup import Procsup
from tests.bench.workers import Program

HERE = Path(__file__).resolve().parent

_BARE = ("-DBARE", "-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", "-no-pie")


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured. `command` runs procsup."""

    workers: int = 1000
    restarts: int = 200
    rounds: int = 5
    idle_seconds: float = 10.0
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "procsup")


class Lab:
    """Owns the folder of this run. At the end, workers that anyone left behind are killed."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.compiler = _find_compiler()
        self.programs: list[Program] = []
        self._floor = ""
        self._numbers = itertools.count()
        self._folder = Path(tempfile.mkdtemp(prefix="procsup-bench-"))

    def __enter__(self) -> Self:
        try:
            if self.compiler:
                self._compile()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing interrupts the cleaning
        try:
            programs = {str(path) for path in self._folder.resolve().iterdir() if path.is_file()}
            while left := census.executing(programs):
                census.kill(left)
            shutil.rmtree(self._folder)
        finally:
            signal.signal(signal.SIGINT, before)

    def floor(self, program: Program, count: int) -> Floor:
        """Raises:
        CannotMeasure: there is no C compiler.
        """
        if not self._floor:
            raise CannotMeasure("cannot measure the floor: there is no C compiler ($CC, cc, gcc, clang)")
        return Floor(self._new_folder("floor"), self._floor, program, count)

    def procsup(self, program: Program, count: int) -> Procsup:
        return Procsup(self._new_folder("procsup"), self.options.command, program, count)

    def target_for(self, program: Program, target: Target) -> Target | None:
        """Targets are for the ordinary program, as people run them; the bare one shows what procsup itself adds."""
        return target if program is self.programs[0] else None

    def reporting_programs(self) -> Sequence[Program]:
        """The ordinary worker, and, where it could be compiled, the bare one.

        Raises:
            CannotMeasure: there is no C compiler.
        """
        if not self.programs:
            raise CannotMeasure("cannot measure it: without a C compiler ($CC, cc, gcc, clang) no birth is told")
        return self.programs

    @property
    def quiet_program(self) -> Program:
        """The smallest there is, for what is measured with sleeping workers."""
        if self.programs:
            return self.programs[-1]
        own = self._folder.resolve() / "sleep"  # a copy, so that it is known for one of ours when it is left behind
        if not own.exists():
            shutil.copy(shutil.which("sleep") or "/bin/sleep", own)
        return Program("sleep", str(own), reports=False)

    def say(self, text: str) -> None:
        """Progress, for whoever waits at the terminal."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / f"{name}{next(self._numbers)}"
        folder.mkdir()
        return folder

    def _compile(self) -> None:
        self._floor = self._compiled("floor.c", "floor")
        self.programs = [Program("ordinary program", self._compiled("worker.c", "worker"))]
        try:
            self.programs.append(Program("bare program", self._compiled("worker.c", "bare", *_BARE)))
        except CannotMeasure as error:
            self.say(f"only the ordinary program: {error}")

    def _compiled(self, source: str, name: str, *flags: str) -> str:
        path = str(self._folder.resolve() / name)
        made = subprocess.run(
            [*self.compiler, "-O2", *flags, "-o", path, str(HERE / source)], capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise CannotMeasure(f"cannot compile {source}: {made.stderr.strip()}")
        return path


def _find_compiler() -> list[str]:
    """The words of its command, none when there is no compiler."""
    for candidate in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(candidate)
        if words and shutil.which(words[0]):
            return words
    return []
