"""Others that capture what workers write: supervisord, circus and s6-log, each set to rotate as procsup does.

Who is on the PATH is used. Otherwise supervisord and circus come from pip, into a virtual environment, and s6-log from
Debian's packages by apt-get and dpkg; all of it into one folder, nothing is installed. Who is not to be had is left
out, and it is told why.

supervisord and circus start the workers themselves, as procsup does. s6-log is one process for each of them, behind a
pipe.
"""

import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tests.bench import census
from tests.bench.figure import CannotMeasure
from tests.bench.workers import Program, Workers

MAX_BYTES = 10_000_000
BACKUPS = 5
MOST_KEPT = MAX_BYTES * BACKUPS
"""Bytes that are kept for certain, wherever the files are cut."""

_PATIENCE = 120.0
"""Seconds that anything may take that is fetched."""

Commands = Mapping[str, Sequence[str]]
"""Of the workers, by name."""

Prepare = Callable[[Path, Path, Commands], list[list[str]]]
"""Given a folder of its own, the folder of the logs, and the workers, it returns commands. Run all of them, and the
workers run and are captured.
"""


class Rival(NamedTuple):
    name: str
    prepare: Prepare


class Capture:
    """A rival at work, from the beginning of the `with` to its end, when it is killed."""

    def __init__(self, folder: Path, logs: Path, rival: Rival, program: Program, count: int) -> None:
        self.logs = logs
        self.workers = Workers(folder / "fifo", rival.name, self._ended)
        self._stderr = folder / "stderr"
        self._popens: list[subprocess.Popen[bytes]] = []
        workers = {f"w{slot}": program.command(self.workers.fifo, slot) for slot in range(count)}
        try:
            for words in rival.prepare(folder, logs, workers):
                self._popens.append(self._started(words))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        census.kill(self.own_processes())
        for popen in self._popens:
            popen.wait()
        self.workers.close()
        shutil.rmtree(self.logs, ignore_errors=True)

    def own_processes(self) -> list[int]:
        """Those who capture, and here the workers too; whoever starts others comes before them."""
        living = [popen.pid for popen in self._popens if popen.poll() is None]
        return [*living, *(child for pid in living for child in census.descendants(pid))]

    def _started(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with open(self._stderr, "ab") as stderr:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )

    def _ended(self) -> str:
        if all(popen.poll() is None for popen in self._popens):
            return ""
        return f"it ended: {self._stderr.read_text().strip() or 'no word'}"


def find(folder: Path, leave_out: Callable[[str], None]) -> list[Rival]:
    """All that are to be had; `leave_out` is told of the others, and why. What is fetched is put into `folder`."""
    found = []
    for name, look_for in (("supervisord", _find_supervisord), ("circus", _find_circus), ("s6-log", _find_s6_log)):
        try:
            found.append(Rival(name, look_for(folder)))
        except CannotMeasure as error:
            leave_out(str(error))
    return found


def _find_supervisord(folder: Path) -> Prepare:
    program = shutil.which("supervisord") or _from_pip(folder, "supervisor", "supervisord")
    return functools.partial(_supervisord, program)


def _supervisord(program: str, folder: Path, logs: Path, workers: Commands) -> list[list[str]]:
    tables = [f"[supervisord]\nnodaemon = true\nlogfile = /dev/null\nlogfile_maxbytes = 0\npidfile = {folder}/pid\n"]
    for name, command in workers.items():
        tables.append(
            f"[program:{name}]\ncommand = {shlex.join(command)}\nstartsecs = 0\nautorestart = false\n"
            f"redirect_stderr = true\nstdout_logfile = {logs}/{name}.log\n"
            f"stdout_logfile_maxbytes = {MAX_BYTES}\nstdout_logfile_backups = {BACKUPS}\n"
        )
    file = folder / "supervisord.conf"
    file.write_text("\n".join(tables))
    return [[program, "--configuration", str(file)]]


def _find_circus(folder: Path) -> Prepare:
    program = shutil.which("circusd") or _from_pip(folder, "circus", "circusd")
    return functools.partial(_circus, program)


def _circus(program: str, folder: Path, logs: Path, workers: Commands) -> list[list[str]]:
    tables = [f"[circus]\nendpoint = ipc://{folder}/endpoint\npubsub_endpoint = ipc://{folder}/pubsub\n"]
    for name, command in workers.items():
        tables.append(
            f"[watcher:{name}]\ncmd = {shlex.join(command)}\nrespawn = false\ncopy_env = true\n"
            f"stdout_stream.class = FileStream\nstdout_stream.filename = {logs}/{name}.log\n"
            f"stdout_stream.max_bytes = {MAX_BYTES}\nstdout_stream.backup_count = {BACKUPS}\n"
        )
    file = folder / "circus.ini"
    file.write_text("\n".join(tables))
    return [[program, str(file)]]


def _find_s6_log(folder: Path) -> Prepare:
    program = shutil.which("s6-log")
    return functools.partial(_s6_log, [program] if program else _from_debian(folder, "s6", "s6-log"))


def _s6_log(program: Sequence[str], folder: Path, logs: Path, workers: Commands) -> list[list[str]]:
    rotate = [f"n{BACKUPS}", f"s{MAX_BYTES}"]
    return [
        ["sh", "-c", f"{shlex.join(command)} | {shlex.join([*program, *rotate, f'{logs}/{name}'])}"]
        for name, command in workers.items()
    ]


def _from_pip(folder: Path, package: str, name: str) -> str:
    environment = folder / "venv"
    if not environment.exists():
        _run(package, sys.executable, "-m", "venv", str(environment))
    _run(package, f"{environment}/bin/python", "-m", "pip", "install", "--quiet", package)
    return f"{environment}/bin/{name}"


def _from_debian(folder: Path, package: str, name: str) -> list[str]:
    """The command: the program, where its libraries are told to the dynamic linker."""
    top, archives = folder / package, folder / "archives"
    archives.mkdir()
    depends = re.findall(r"^ *Depends: (lib\S+)$", _run(package, "apt-cache", "depends", package), re.MULTILINE)
    libraries = [library for library in depends if library != "libc6"]
    _run(package, "apt-get", "--quiet", "download", package, *libraries, cwd=archives)
    for archive in archives.iterdir():
        _run(package, "dpkg", "-x", str(archive), str(top))
    where = ":".join(sorted({str(library.parent) for library in top.rglob("lib*.so.*")}))
    for program in top.rglob(f"bin/{name}"):
        return ["env", f"LD_LIBRARY_PATH={where}", str(program)]
    raise CannotMeasure(f"cannot get {package}: there is no {name} in it")


def _run(package: str, *words: str, cwd: Path | None = None) -> str:
    """Its output.

    Raises:
        CannotMeasure: it failed, with its last words.
    """
    try:
        popen = subprocess.Popen(
            words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise CannotMeasure(f"cannot get {package}: {words[0]}: {error.strerror}") from None
    with popen:
        try:
            said, complaint = popen.communicate(timeout=_PATIENCE)
        except BaseException as error:
            os.killpg(popen.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise CannotMeasure(f"cannot get {package}: {words[0]} takes {error.timeout:g} seconds") from None
            raise
    if popen.returncode != 0:
        last = (complaint.strip() or said.strip() or f"it ended with {popen.returncode}").splitlines()[-1]
        raise CannotMeasure(f"cannot get {package}: {words[0]}: {last}")
    return said
