"""A real systemd for tests, on any machine (boot.sh), and procsup installed in it.

    machine.install("procsup.service", tree)
    machine.systemctl("start", "procsup")
    assert machine.show("procsup", "StatusText") == "2 workers up"

`/` inside is an overlay: this checkout is there, what is written inside is gone afterwards.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from tests.kit.wait import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]

_UP = 90.0
"""Seconds that the machine is given to come up."""

PROCSUP = "/usr/local/bin/procsup"
UNITS = "/etc/systemd/system"


class Machine:
    """`layer`, a folder, is laid over the root, to try another systemd than this machine's."""

    def __init__(self, layer: str = "") -> None:
        self._popen = subprocess.Popen(
            [Path(__file__).with_name("boot.sh"), *([layer] if layer else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._popen.stdout is not None
        readable, _, _ = select.select([self._popen.stdout], [], [], _UP)
        line = self._popen.stdout.readline() if readable else b""
        if not line:
            self.close()
            assert self._popen.stderr is not None
            pytest.skip(f"no systemd can be started here: {self._popen.stderr.read().decode().strip()}")
        self._init = int(line)
        self.root = Path(f"/proc/{self._init}/root")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        self._popen.wait()

    # What is in it

    def path(self, path: str) -> Path:
        """Of a file inside, as seen from here."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, *words: str, env: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "-t", str(self._init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        return subprocess.run(
            [*enter, "env", "-u", "NOTIFY_SOCKET", *env, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=120,
        )

    def check(self, *words: str, env: Sequence[str] = ()) -> str:
        """What it wrote; it must end with 0."""
        done = self.run(*words, env=env)
        assert done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def systemctl(self, *words: str) -> str:
        return self.check("systemctl", *words)

    def show(self, unit: str, what: str) -> str:
        return self.systemctl("show", "-P", what, unit).rstrip("\n")

    def wait_until_shown(self, unit: str, what: str, value: str) -> None:
        wait_until(lambda: self.show(unit, what) == value, f"{what} of {unit} is {value!r}")

    def journal(self, *words: str) -> str:
        """The messages alone."""
        self.check("journalctl", "--sync")
        return self.check("journalctl", "-q", "--no-pager", "-o", "cat", *words)

    def kill(self, number: str, pid: int) -> None:
        self.check("kill", f"-{number}", str(pid))

    def is_there(self, pid: int) -> bool:
        return self.path(f"/proc/{pid}").exists()

    # procsup in it

    def install_procsup(self) -> None:
        """As the units expect it; ordinary users may run it, too."""
        os.symlink(CHECKOUT / "bin" / "procsup", self.path(PROCSUP))
        for program in (CHECKOUT / "bin" / "procsup", Path(sys.executable).resolve()):
            for folder in program.parents:
                inside = self.path(str(folder))
                inside.chmod(inside.stat().st_mode | 0o011)

    @contextlib.contextmanager
    def service(self, tree: str, *drop_in: str) -> Iterator["Service"]:
        """etc/procsup.service as it is, and what `systemctl edit` would add to its [Service]; stopped at the end."""
        service = Service(self, tree)
        self.write(f"{UNITS}/procsup.service", (CHECKOUT / "etc" / "procsup.service").read_text())
        self.write(f"{UNITS}/procsup.service.d/test.conf", "\n".join(["[Service]", *drop_in, ""]))
        self.systemctl("daemon-reload")
        try:
            yield service
        finally:
            sys.stdout.write(self.run("journalctl", "--no-pager", "-o", "short-precise", "-n", "60").stdout)
            self.run("systemctl", "kill", "--kill-whom=all", "-s", "KILL", "procsup")
            self.run("systemctl", "stop", "procsup")
            self.run("systemctl", "reset-failed", "procsup")


class Service:
    """procsup.service of that systemd."""

    def __init__(self, machine: Machine, tree: str) -> None:
        self.machine = machine
        self.load(tree)
        self._begin = machine.check("date", "+@%s.%N").strip()

    def load(self, tree: str) -> None:
        self.machine.write("/etc/procsup/procsup.toml", tree)

    def start(self) -> Self:
        self.machine.systemctl("start", "procsup")
        return self

    def stop(self) -> None:
        self.machine.systemctl("stop", "procsup")

    def show(self, what: str) -> str:
        return self.machine.show("procsup", what)

    def wait_until_shown(self, what: str, value: str) -> None:
        self.machine.wait_until_shown("procsup", what, value)

    def wait_until_restarted(self) -> None:
        wait_until(lambda: self.show("NRestarts") != "0", "systemd has restarted it")
        self.wait_until_shown("SubState", "running")

    def journal(self, *words: str) -> str:
        """What it wrote to the journal, and systemd about it."""
        return self.machine.journal("--since", self._begin, *(words or ("-u", "procsup")))

    @property
    def guardian(self) -> int:
        return int(self.show("MainPID"))

    @property
    def daemon(self) -> int:
        return int(self.status()["daemon"]["pid"])

    def status(self) -> Any:
        return json.loads(self.machine.run(PROCSUP, "status", "--json").stdout)

    def pids(self) -> dict[str, int]:
        """Of the workers that have one."""
        rows = self.status()["tree"]
        return {row["path"].rpartition("/")[2]: row["pid"] for row in rows if row.get("pid")}

    def everybody(self) -> list[int]:
        """All processes in the cgroup of the service, as they are numbered inside."""
        return sorted(pid for pids in self.cgroups().values() for pid in pids)

    def cgroups(self) -> dict[str, list[int]]:
        """The processes of each cgroup below that of the service, which is "."."""
        top = self.machine.path("/sys/fs/cgroup/system.slice/procsup.service")
        script = 'cd "$0" 2>/dev/null && find . -name cgroup.procs -exec grep -H . {} +'
        found: dict[str, list[int]] = {}
        for line in self.machine.run("sh", "-c", script, f"/{top.relative_to(self.machine.root)}").stdout.splitlines():
            file, _, pid = line.rpartition(":")
            found.setdefault(file.removesuffix("/cgroup.procs").removeprefix("./"), []).append(int(pid))
        return found
