"""Answers to `status`, as the schema of procsup.wire.status has them."""

from dataclasses import asdict

from procsup.wire.decode import JSON
from procsup.wire.status import DaemonRow, SupervisorRow, WorkerRow

NOW = 1_000_000.0


def worker(path: str, **more: object) -> JSON:
    row = WorkerRow(
        path=path, depth=path.count("/"), state="running", held=False, ok=True, restart="permanent", starts=1,
        restarts=0, since=NOW - 60, last_exit=None, pid=4711, started=NOW - 60, stdout="log", stderr="log",
        lost_bytes=0, waits_for=None, tasks=[],
    )  # fmt: skip
    return {**asdict(row), **more}


def supervisor(path: str, **more: object) -> JSON:
    row = SupervisorRow(
        path=path, depth=path.count("/"), state="running", held=False, ok=True, restart="permanent", starts=1,
        restarts=0, since=NOW - 60, last_exit=None, strategy="one_for_one", intensity=3, period=5.0, used=0,
    )  # fmt: skip
    return {**asdict(row), **more}


def daemon(**more: object) -> JSON:
    row = DaemonRow(
        pid=100, version="0.1.0", state="running", started=NOW - 3600, file="/etc/kingdom.toml",
        socket="/run/procsup.sock", state_dir="/var/lib/procsup", log_dir="/var/log/procsup",
        containment="subreaper", journal_error=None, journal_lost=0,
    )  # fmt: skip
    return {**asdict(row), **more}


def status(*rows: JSON, **of_daemon: object) -> JSON:
    return {"daemon": daemon(**of_daemon), "tree": list(rows)}


DOWN = {"state": "down", "pid": None, "started": None}
