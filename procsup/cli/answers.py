"""What a daemon may answer to `status`, as Python sees it, and the check that it did.

The shapes are those of wire/status.py, which is not imported here: 1,000 dataclasses would cost more than all the rest
of `procsup status`. A test compares the two. Keys that a newer daemon adds are passed on.
"""

from typing import Any, TypedDict, cast

from procsup.cli.exits import CannotDo, ExitStatus


class Task(TypedDict):
    pid: int
    name: str
    started: float


class Row(TypedDict):
    """A worker or a supervisor; keys that only one of them has are asked for by its `type`."""

    path: str
    depth: int
    type: str
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
    tasks: list[Task]
    waits_for: str | None
    strategy: str
    intensity: int
    period: float
    used: int


class Daemon(TypedDict):
    pid: int
    version: str
    state: str
    started: float
    file: str | None
    socket: str
    state_dir: str
    containment: str
    log_dir: str
    journal_error: str | None
    journal_lost: int


class Status(TypedDict):
    daemon: Daemon
    tree: list[Row]


Types = type | tuple[type, ...]

_NUMBER = (int, float)
_TEXT_OR_NULL = (str, type(None))

_EVERY_ROW: dict[str, Types] = {
    "path": str, "depth": int, "type": str, "state": str, "held": bool, "ok": bool, "restart": str, "starts": int,
    "restarts": int, "since": _NUMBER, "last_exit": _TEXT_OR_NULL,
}  # fmt: skip

ROWS: dict[str, dict[str, Types]] = {
    "worker": {
        **_EVERY_ROW, "pid": (int, type(None)), "started": (int, float, type(None)), "stdout": str, "stderr": str,
        "lost_bytes": int, "waits_for": _TEXT_OR_NULL, "tasks": list,
    },
    "supervisor": {**_EVERY_ROW, "strategy": str, "intensity": int, "period": _NUMBER, "used": int},
}  # fmt: skip

TASK: dict[str, Types] = {"pid": int, "name": str, "started": _NUMBER}

DAEMON: dict[str, Types] = {
    "pid": int, "version": str, "state": str, "started": _NUMBER, "file": _TEXT_OR_NULL, "socket": str,
    "state_dir": str, "log_dir": str, "containment": str, "journal_error": _TEXT_OR_NULL, "journal_lost": int,
}  # fmt: skip


def as_status(answer: object) -> Status:
    """`answer` itself, once every row has been looked at. O(rows).

    Raises:
        CannotDo: it is not an answer to `status`.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("tree"), list):
        raise _odd("an object with `daemon` and `tree`", answer)
    _check(answer.get("daemon"), DAEMON)
    for row in answer["tree"]:
        kind = row.get("type") if isinstance(row, dict) else None
        if kind not in ("worker", "supervisor"):
            raise _odd("a row with the type worker or supervisor", row)
        _check(row, ROWS[kind])
        for task in row.get("tasks", ()):
            _check(task, TASK)
    return cast(Status, answer)


def name_of(path: str) -> str:
    return path.rpartition("/")[2]


def _check(value: Any, types: dict[str, Types]) -> None:
    if not isinstance(value, dict):
        raise _odd("an object", value)
    for key, wanted in types.items():
        if not isinstance(value.get(key), wanted):
            raise _odd(f"another {key!r}", value)


def _odd(expected: str, found: object) -> CannotDo:
    shown = ascii(found)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return CannotDo(
        f"cannot understand the daemon's answer: expected {expected}, found {shown}; is it of another version?",
        ExitStatus.FAILED,
    )
