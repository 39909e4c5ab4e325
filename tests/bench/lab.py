"""The laboratory: its folders, the compiled programs, and the certainty that nothing of it remains.

    with Lab(Options()) as lab, lab.floor(program, 10) as floor, lab.procsup(program, 10) as procsup: ...

The C compiler is $CC, or else cc, gcc or clang. Where there is none there is no floor, nor a worker that reports its
birth: what needs them is not measured, and for the rest the workers run `sleep`. Logs have a folder of their own, in
memory where there is such a file system, so that no disk is measured.
"""

import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from tests.bench import census
from tests.bench.figure import CannotMeasure, Target
from tests.bench.floor import Floor
from tests.bench.procsup import Procsup
from tests.bench.rivals import Capture, Rival, find
from tests.bench.workers import Program
from tests.bench.writers import Gate

HERE = Path(__file__).resolve().parent

_NO_COMPILER = "without a C compiler ($CC, cc, gcc, clang)"
_ROOM_FOR_LOGS = 512 * 1024 * 1024
_BARE = ("-DBARE", "-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", "-no-pie")


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured. `command` runs procsup; `log_bytes` is what one writer writes."""

    workers: int = 1000
    many: int = 8500
    writers: int = 50
    log_bytes: int = 50_000_000
    restarts: int = 200
    rounds: int = 5
    idle_seconds: float = 10.0
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "procsup")


class Lab:
    """Owns the folders of this run, and a variable in the environment that all inherit who are started meanwhile. At
    the end, whoever still has it is killed.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.compiler = _find_compiler()
        self.programs: list[Program] = []
        self.left_out: list[str] = []
        """Those beside whom procsup is not measured, and why."""
        self._floor = ""
        self._why_no_bare = ""
        self._numbers = itertools.count()
        self._folder = Path(tempfile.mkdtemp(prefix="procsup-bench-"))
        try:
            self._logs = Path(tempfile.mkdtemp(prefix="procsup-bench-", dir=_folder_in_memory()))
        except BaseException:
            self._folder.rmdir()
            raise
        self.mark = "PROCSUP_BENCH_" + self._folder.name.rpartition("-")[2]
        os.environ[self.mark] = "1"

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
            while left := census.marked(self.mark):
                census.kill(left)
            shutil.rmtree(self._logs)
            shutil.rmtree(self._folder)
        finally:
            del os.environ[self.mark]
            signal.signal(signal.SIGINT, before)

    def floor(self, program: Program, count: int) -> Floor:
        """Raises:
        CannotMeasure: there is no C compiler.
        """
        if not self._floor:
            raise CannotMeasure(f"cannot measure the floor {_NO_COMPILER}")
        return Floor(self.new_folder("floor"), self._floor, program, count)

    def procsup(self, program: Program, count: int, neighbours: Mapping[str, Sequence[str]] | None = None) -> Procsup:
        """`neighbours` are further workers: their names, and their commands."""
        folder, logs = self.new_folder("procsup"), self._new_log_folder()
        return Procsup(folder, logs, self.options.command, program, count, neighbours or {})

    def rivals(self) -> list[Rival]:
        """Who else captures logs, as far as they are to be had."""
        self.say("looking for others that capture logs")
        return find(self.new_folder("rivals"), self.leave_out)

    def capture_by(self, rival: Rival) -> Callable[[Program, int], Capture]:
        """What begins to capture so many of a program."""
        return lambda program, count: Capture(
            self.new_folder(rival.name), self._new_log_folder(), rival, program, count
        )

    def target_for(self, program: Program, target: Target) -> Target | None:
        """Targets are for the ordinary program, as people run them; the bare one shows what procsup itself adds."""
        return target if program is self.programs[0] else None

    def reporting_programs(self) -> Sequence[Program]:
        """The ordinary worker, and, where it could be compiled, the bare one.

        Raises:
            CannotMeasure: there is no C compiler.
        """
        if not self.programs:
            raise CannotMeasure(f"cannot measure it: {_NO_COMPILER} no birth is told")
        return self.programs

    @property
    def bare_program(self) -> Program:
        """Raises:
        CannotMeasure: it could not be compiled.
        """
        programs = self.reporting_programs()
        if len(programs) == 1:
            raise CannotMeasure(f"cannot measure it with the bare program: {self._why_no_bare}")
        return programs[1]

    def writer(self, gate: Gate, size: int, block: int) -> Program:
        """Writes `size` bytes (0: for ever), `block` at a time, once the gate is open.

        Raises:
            CannotMeasure: there is no C compiler.
        """
        return Program("writer", self._compiled("writer.c", "writer"), words=(gate.path, str(size), str(block)))

    @property
    def pump(self) -> str:
        """Its path.

        Raises:
            CannotMeasure: there is no C compiler.
        """
        return self._compiled("pump.c", "pump")

    @property
    def quiet_program(self) -> Program:
        """The smallest there is, for what is measured with sleeping workers."""
        if self.programs:
            return self.programs[-1]
        return Program("sleep", shutil.which("sleep") or "/bin/sleep", reports=False)

    @property
    def log_file_system(self) -> str:
        return _file_system(self._logs)

    def new_folder(self, name: str) -> Path:
        folder = self._folder / f"{name}{next(self._numbers)}"
        folder.mkdir()
        return folder

    def leave_out(self, why: str) -> None:
        """Somebody beside whom procsup is not measured, since it is not to be had."""
        self.left_out.append(why)
        self.say(why)

    def say(self, text: str) -> None:
        """Progress, for whoever waits at the terminal."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def _new_log_folder(self) -> Path:
        folder = self._logs / str(next(self._numbers))
        folder.mkdir()
        return folder

    def _compile(self) -> None:
        self._floor = self._compiled("floor.c", "floor")
        self.programs = [Program("ordinary program", self._compiled("worker.c", "worker"))]
        try:
            self.programs.append(Program("bare program", self._compiled("worker.c", "bare", *_BARE)))
        except CannotMeasure as error:
            self._why_no_bare = str(error)
            self.say(f"only the ordinary program: {error}")

    def _compiled(self, source: str, name: str, *flags: str) -> str:
        path = str(self._folder.resolve() / name)
        if not os.path.exists(path):
            if not self.compiler:
                raise CannotMeasure(f"cannot compile {source} {_NO_COMPILER}")
            command = [*self.compiler, "-O2", *flags, "-o", path, str(HERE / source)]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
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


def _folder_in_memory() -> str | None:
    """None when there is no such file system with some room for us: then logs are where everything else is."""
    for folder in (tempfile.gettempdir(), "/dev/shm"):
        with contextlib.suppress(OSError):
            has_room = shutil.disk_usage(folder).free >= _ROOM_FOR_LOGS and os.access(folder, os.W_OK | os.X_OK)
            if has_room and _file_system(Path(folder)) == "tmpfs":
                return folder
    return None


def _file_system(folder: Path) -> str:
    """Its type, such as "ext4"."""
    types = {Path(partition.mountpoint): partition.fstype for partition in psutil.disk_partitions(all=True)}
    where = folder.resolve()
    return next((types[one] for one in (where, *where.parents) if one in types), "an unknown file system")
