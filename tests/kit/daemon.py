"""The real daemon, as a process of its own, and everything that it starts.

    with Daemon(tmp_path, tree(...)) as daemon:
        daemon.wait_until_up()
        daemon.call("stop", names=["a"])

Nothing outlives the `with`: whatever the daemon's environment was inherited by is found by a mark in it, and killed. A
daemon that ended by itself must have left nobody; otherwise the test fails.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.kit import processes
from tests.kit.client import Client, Events, HungUp, Json
from tests.kit.processes import Process
from tests.kit.wait import DEADLINE, wait_until

PROCSUP = (sys.executable, "-P", "-m", "procsup")


class Daemon:
    """`procsup run` of a tree, or of a `file` that is there already. Everything it writes is below `folder`, but for
    the socket, whose path must be short.

    `program` runs procsup, `options` follow FILE, `env` is laid over the test's environment. Arguments of Popen may
    follow. What is not given (`socket`, `state_dir`, `log_dir`) is this daemon's own.
    """

    def __init__(
        self,
        folder: Path,
        tree: str,
        *,
        program: Sequence[str] = PROCSUP,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        socket: str | None = None,
        state_dir: Path | None = None,
        log_dir: Path | None = None,
        file: Path | None = None,
        **popen: Any,
    ) -> None:
        self._short = tempfile.mkdtemp(prefix="ps-")
        self._mark = f"KIT_MARK={uuid.uuid4().hex}"
        self._clients: list[Client] = []
        self._main_client: Client | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.socket = socket or os.path.join(self._short, "s")
        self.state_dir = state_dir or folder / "state"
        self.log_dir = log_dir or folder / "logs"
        self.file = file or folder / "tree.toml"
        if file is None:
            self.file.write_text(tree)
        self._report, self._overlaps, self._locks = folder / "report", folder / "overlaps", folder / "locks"
        self._locks.mkdir()
        gate = folder / "gate"
        os.mkfifo(gate)
        self._gate = os.open(gate, os.O_RDWR | os.O_CLOEXEC)
        self._stderr = folder / "stderr"
        self.environ = {
            **os.environ,
            "REPORT": str(self._report),
            "OVERLAPS": str(self._overlaps),
            "LOCKS": str(self._locks),
            "GATE": str(gate),
            **(env or {}),
            **dict([self._mark.split("=")]),
        }
        places = ("--socket", self.socket, "--state-dir", str(self.state_dir), "--log-dir", str(self.log_dir))
        with open(self._stderr, "wb") as stderr:
            popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": stderr, **popen}
            self._popen = subprocess.Popen(
                [*program, "run", str(self.file), *places, *options], env=self.environ, cwd=folder, **popen
            )
        self._pidfd = os.pidfd_open(self._popen.pid)
        self._began = processes.process(self._popen.pid).started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # The daemon itself

    @property
    def guardian(self) -> int:
        """The pid of what was started."""
        return self._popen.pid

    @property
    def pid(self) -> int:
        """The daemon's own, as it says in its lock; its guardian's as long as it says nothing."""
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            return int((self.state_dir / "lock").read_text().split()[0])
        return self._popen.pid

    def send_signal(self, number: int) -> None:
        """To the guardian, as whoever has started it would."""
        self._popen.send_signal(number)

    def wait(self, deadline: float = DEADLINE) -> int:
        """Wait for its end: the exit status, or the negative number of the signal that killed it."""
        if not processes.has_ended(self._pidfd, deadline):
            raise AssertionError(f"waited {deadline} seconds in vain for the end of the daemon")
        return self._popen.wait()

    def stop(self) -> int:
        """TERM, and the exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    @property
    def has_ended(self) -> bool:
        return processes.has_ended(self._pidfd, 0)

    def told(self) -> str:
        """What it wrote to its standard error so far."""
        return self._stderr.read_text("utf-8", "backslashreplace")

    def memory(self, key: str = "VmHWM") -> int:
        """Bytes, by a key of proc_pid_status(5): resident now (VmRSS) or at most so far (VmHWM)."""
        return int(self.proc_status(key).removesuffix(" kB")) * 1024

    def proc_status(self, key: str) -> str:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines)[key].strip()

    # Asking it

    def wait_until_listening(self) -> Self:
        wait_until(self._is_listening, "the daemon listens at its socket")
        return self

    def wait_until_up(self) -> Self:
        """Until its tree is up."""
        self.wait_until_listening()
        wait_until(lambda: self.status()["daemon"]["state"] == "running", "the tree is up")
        return self

    def client(self, patience: float = DEADLINE) -> Client:
        """A new connection, closed at the end."""
        client = Client(self.socket, patience)
        self._clients.append(client)
        return client

    def events(self, patience: float = DEADLINE) -> Events:
        """A new subscription, closed at the end."""
        events = Events(self.socket, patience)
        self._clients.append(events)
        return events

    def call(self, method: str, **params: Any) -> Json:
        """Over a connection that is kept for this."""
        if self._main_client is None:
            self._main_client = self.client()
        return self._main_client.call(method, **params)

    def status(self, *names: str) -> Json:
        return self.call("status", names=list(names))

    def row(self, name: str) -> Json:
        row: Json = self.status(name)["tree"][0]
        return row

    def process(self, name: str) -> Process:
        """The main process of a worker that has one."""
        return processes.process(self.row(name)["pid"])

    def kill(self, name: str, number: int = signal.SIGKILL) -> Process:
        """Send a signal to the main process of a worker, from outside."""
        victim = self.process(name)
        os.kill(victim.pid, number)
        return victim

    # What its workers did

    def report(self) -> list[tuple[str, int]]:
        """(name, pid) of every line that workers have reported so far."""
        return [(name, int(pid)) for name, pid in map(str.split, _lines(self._report))]

    def report_of(self, name: str, count: int = 1) -> Process:
        """Wait until this worker has reported so many times; the process that it reported last."""
        mine = wait_until(lambda: _at_least(count, [p for n, p in self.report() if n == name]), f"{name} has reported")
        return processes.process(mine[-1])

    def open_gate(self) -> None:
        """Let one worker go on that waits at the gate, now or later."""
        os.write(self._gate, b"go\n")

    def overlaps(self) -> list[str]:
        """Lives that found their predecessor alive."""
        return _lines(self._overlaps)

    def log(self, name: str) -> bytes:
        """Nothing, too, in the middle of a rotation."""
        with contextlib.suppress(FileNotFoundError):
            return (self.log_dir / f"{name}.log").read_bytes()
        return b""

    def remaining(self) -> list[Process]:
        """Every living process that comes from this daemon, without itself and its guardian."""
        return [found for found in self.everybody() if found.pid not in (self.pid, self.guardian)]

    def everybody(self) -> list[Process]:
        """The same with both."""
        return processes.carrying(self._mark, self._began)

    def owns(self, pid: int) -> bool:
        """Whether the process of this pid comes from this daemon."""
        return self._mark.encode() in processes.environ_of(pid)

    # The end

    def close(self) -> None:
        """Raises:
        AssertionError: the daemon had ended by itself and left somebody behind.
        """
        for client in self._clients:
            client.close()
        was_killed = not self.has_ended or self._popen.wait() < 0
        left = [f"{one.pid} {processes.command_of(one.pid)}" for one in self.remaining()]
        self._popen.kill()
        self._popen.wait()
        processes.kill_all(self.everybody)
        os.close(self._pidfd)
        os.close(self._gate)
        shutil.rmtree(self._short, ignore_errors=True)
        sys.stdout.write(f"--- what the daemon of {self.folder} told:\n{self.told()}\n")  # pytest shows it on failure
        assert was_killed or not left, f"the daemon ended and left behind: {', '.join(left)}"

    def _is_listening(self) -> bool:
        assert not self.has_ended, f"the daemon ended with {self._popen.wait()}:\n{self.told()}"
        with contextlib.suppress(OSError, HungUp), Client(self.socket) as client:
            client.call("version")
            return True
        return False


def daemon_below(guardian: int) -> list[int]:
    """The pid of the daemon, also of one that has not come to its lock yet; [] when there is none (yet)."""
    with contextlib.suppress(ProcessLookupError):
        return [pid for pid in processes.children_of(guardian)[:1] if processes.stat_of(pid).session == pid]
    return []


def _lines(path: Path) -> list[str]:
    """Whole lines only."""
    text = path.read_text() if path.exists() else ""
    return text.split("\n")[:-1]


def _at_least(count: int, items: list[int]) -> list[int]:
    return items if len(items) >= count else []
