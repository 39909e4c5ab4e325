"""The answer to `status`: the daemon and the rows of the tree, in tree order (a supervisor before its children).

A row is a JSON object. Every row has

    path        "kingdom/lab/spy_left"; its last part is the name
    depth       0 for the root
    type        "worker" | "supervisor"
    state       "running" | "starting" | "stopping" | "restarting" | "down"
    held        true when an operator stopped it; it stays down until an operator starts it
    ok          false when it should run and does not
    restart     "permanent" | "transient" | "temporary"
    starts      successful starts since the daemon began
    restarts    how many of these were restarts that counted
    since       when the present state began, seconds since 1970 (float)
    last_exit   its last exit reason as text (core/reason.py), or null

a worker also

    pid         null without a process
    started     seconds since 1970, null without a process
    stdout      where it leads, as in the tree file: "log", which is `log_dir`/NAME.log, or an absolute path, both of
                which are captured; "inherit", "null" or "journal"
    stderr      likewise
    lost_bytes  how much of its output could not be written since the daemon began
    tasks       [{"pid", "name", "started"}, ...]: the processes that it has told of as its tasks and that run, the
                latest 1000
    waits_for   while it is starting and was executed, what it waits for to be ready, and in parentheses what was in the
                way: "tcp localhost:5432 (connection refused)"; else null

and a supervisor `strategy`, `intensity`, `period` (seconds) and `used`, the restarts in its window now.
"""

from dataclasses import dataclass

from procsup.wire.decode import JSON


@dataclass(frozen=True, slots=True)
class WorkerRow:
    path: str
    depth: int
    state: str
    held: bool
    ok: bool
    restart: str
    starts: int
    restarts: int
    since: float
    last_exit: str | None
    pid: int | None
    started: float | None
    stdout: str
    stderr: str
    lost_bytes: int
    tasks: list[JSON]
    waits_for: str | None
    type: str = "worker"


@dataclass(frozen=True, slots=True)
class SupervisorRow:
    path: str
    depth: int
    state: str
    held: bool
    ok: bool
    restart: str
    starts: int
    restarts: int
    since: float
    last_exit: str | None
    strategy: str
    intensity: int
    period: float
    used: int
    type: str = "supervisor"


Row = WorkerRow | SupervisorRow


@dataclass(frozen=True, slots=True)
class DaemonRow:
    """`state` is "starting", "running" or "stopping"; `file` is the tree's; `started` as in the rows. `containment` is
    what makes sure that nothing of a worker is left: "cgroup", "subreaper" or "group" (runtime/remains.py).
    `journal_error` is why the journal cannot be written now ("ENOSPC"), or null; `journal_lost` counts the events that
    it will never have.
    """

    pid: int
    version: str
    state: str
    started: float
    file: str | None
    socket: str
    state_dir: str
    log_dir: str
    containment: str
    journal_error: str | None
    journal_lost: int
