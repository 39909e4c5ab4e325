"""An idle daemon makes no system call, and neither does its guardian."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import STUBBORN, python, sh, tree, worker, workers
from tests.kit.wait import let_pass, wait_until

WATCHED = 0.7
"""Seconds that an idle daemon is watched."""


def nothing_happened(daemon: Daemon) -> None:
    pass


def somebody_listens(daemon: Daemon) -> None:
    daemon.events()
    daemon.client()


def a_worker_was_restarted(daemon: Daemon) -> None:
    events = daemon.events()
    daemon.kill("a")
    events.wait("ready", "a")


def a_stubborn_worker_was_killed_before_its_time_was_over(daemon: Daemon) -> None:
    """Its timer is still there, and due while we watch."""
    life = daemon.report_of("stubborn")
    events = daemon.events()
    with daemon.client() as client:
        client.ask("stop", names=["stubborn"])
        events.wait("stopping", "stubborn")
        os.kill(life.pid, signal.SIGKILL)
        events.wait("stopped", "stubborn")


def a_client_hung_up_on_its_command(daemon: Daemon) -> None:
    daemon.call("stop", names=["a"])
    with daemon.client() as client:
        client.ask("start", names=["a"])
    wait_until(lambda: daemon.row("a")["state"] == "running", "it was started nevertheless")


def orphans_came_of_which_one_stays(daemon: Daemon) -> None:
    for name, command in (("goes", "true"), ("stays", "sleep 1000")):
        script = f"""(setsid sh -c 'echo "{name} $$" >> "$REPORT"; exec {command}' &); exec sleep 1000"""
        daemon.call("start_child", supervisor="root", name=name, command=sh(script))
    wait_until(lambda: {"goes", "stays"} <= dict(daemon.report()).keys(), "both are there")
    goes = dict(daemon.report())["goes"]
    wait_until(lambda: not os.path.exists(f"/proc/{goes}"), "one of them has gone")


def workers_became_ready(daemon: Daemon) -> None:
    """Each in its own way; see idle_daemon."""
    assert {row["state"] for row in daemon.status()["tree"]} == {"running"}


SITUATIONS = [
    workers_became_ready,
    nothing_happened,
    somebody_listens,
    a_worker_was_restarted,
    a_stubborn_worker_was_killed_before_its_time_was_over,
    a_client_hung_up_on_its_command,
    orphans_came_of_which_one_stays,
]


def idle_daemon(supervise: Supervise, happen: Callable[[Daemon], None]) -> Daemon:
    silent = worker("silent", sh("exec >&- 2>&-; exec sleep 1000"))
    ways: dict[str, object] = {
        "fd3": {"fd": 3}, "fd9": {"fd": 9}, "line": {"line": "up"}, "command": {"command": ["true"]},
        "after": {"after": 0.01}, "notify": "notify",
    }  # fmt: skip
    says = sh("echo up; echo >&3; echo >&9; exec sleep 1000")
    notifies = python("""
import os, signal, socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", b"\\0" + os.environb[b"NOTIFY_SOCKET"][1:])
signal.pause()
""")
    ready = (worker(name, notifies if way == "notify" else says, ready=way) for name, way in ways.items())
    stubborn = worker("stubborn", STUBBORN, shutdown=0.4)
    daemon = supervise(tree(workers("a b"), stubborn, silent, *ready))
    happen(daemon)
    settled = Settled(daemon)
    wait_until(settled.has_not_run_since_the_last_look, "daemon and guardian sleep")
    return daemon


class Settled:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._last: list[str] = []

    def has_not_run_since_the_last_look(self) -> bool:
        """And does not wait for a processor either."""
        last, self._last = self._last, time_on_cpu(self._daemon)
        states = {processes.stat_of(pid).state for pid in (self._daemon.pid, self._daemon.guardian)}
        return last == self._last and states == {"S"}


def time_on_cpu(daemon: Daemon) -> list[str]:
    """What the scheduler has counted: any system call of daemon or guardian would show."""
    return [Path(f"/proc/{pid}/schedstat").read_text() for pid in (daemon.pid, daemon.guardian)]


@pytest.mark.parametrize("happen", SITUATIONS)
def test_idle_daemon_and_its_guardian_do_not_run(supervise: Supervise, happen: Callable[[Daemon], None]) -> None:
    daemon = idle_daemon(supervise, happen)
    before = time_on_cpu(daemon)
    let_pass(WATCHED)
    assert time_on_cpu(daemon) == before


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_idle_daemon_makes_no_system_call(supervise: Supervise, tmp_path: Path) -> None:
    daemon = idle_daemon(supervise, somebody_listens)
    assert_waits_in("epoll", daemon.pid, tmp_path / "trace")


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_idle_guardian_makes_no_system_call(supervise: Supervise, tmp_path: Path) -> None:
    daemon = idle_daemon(supervise, orphans_came_of_which_one_stays)
    assert_waits_in("poll", daemon.guardian, tmp_path / "trace")


def assert_waits_in(call: str, pid: int, trace: Path) -> None:
    """The only call that a look at the process meets is one that began before it and goes on after it."""
    command = ["strace", "-f", "-o", str(trace), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        first = strace.stderr.readline()
        if "attached" not in first:
            strace.kill()
            pytest.skip(f"strace may not look: {first}")
        let_pass(WATCHED)
        strace.send_signal(signal.SIGINT)
        strace.communicate()

    calls = trace.read_text().splitlines()
    assert len(calls) == 1, calls
    assert call in calls[0] or "restart_syscall" in calls[0], calls
    assert "detached" in calls[0], calls
