"""What `procsup check` shows: the tree as it was understood, the complaints, and both as JSON. Pure.

The JSON is stable: keys may be added, none changes its meaning.

    {"ok": bool, "file": FILE, "tree": SUPERVISOR or null, "stop": STOP or null, "unit": UNIT or null,
     "errors": [COMPLAINT, ...], "warnings": [COMPLAINT, ...]}

    ok           there are no errors, and so there is a tree
    file         absolute when ok, else as it was named
    STOP         {"seconds": how long a stop of the tree may take, null for ever, "unbounded": [PATH of a worker that
                 is given for ever, ...]}
    UNIT         the service unit that was asked about, when ok: {"file", "timeout_stop": seconds, null for ever,
                 "is_too_short": that is shorter than the stop may take, "hears_the_daemon": which may ask for more}
    COMPLAINT    {"file", "line": N or null, "path", "problem", "found", "expected", "hint"}, "" where nothing is said
    SUPERVISOR   {"type": "supervisor", "name", "strategy", "intensity", "period", "auto_shutdown", CHILD, "children"}
    WORKER       {"type": "worker", "name", "command": [WORD, ...], "cwd", "env": [NAME, ...], "inherit_env", "user",
                 "group", "umask": "027", "nice", "limits": {RESOURCE: {"soft": LIMIT, "hard": LIMIT}}, "stdin",
                 "stdout", "stderr", "log": {"max_bytes", "backups", "timestamps"}, CHILD, "stop_signal",
                 "normal_exits": [CODE or "SIGNAL", ...], "ready": READY, "start_timeout": seconds or "infinity",
                 "links": [NAME, ...], "monitors": [NAME, ...], "trap_exits", "channel", "target", "args"};
                 user, group, umask and nice are null when the daemon's; channel says whether it has one; of a target,
                 "package.module:function", args is a list or an object, and command shows it too; else both are null
    READY        "exec", "notify", "channel", {"fd": N}, {"tcp": "HOST:PORT"}, {"http": URL}, {"command": [WORD, ...]},
                 {"line": REGEX} or {"after": seconds}
    LIMIT        a number in the unit of setrlimit(2), "unlimited", or null when the daemon's
    CHILD        "restart", "significant", "shutdown": seconds, "brutal_kill" or "infinity"; all null on the root

Times are in seconds. Of the environment, that of env_file included, only the names are shown, because values may be
secrets.

The tree may be a thousand supervisors deep, so nothing here recurses; `json_text` is there because json.dumps does.
"""

import json
import math
import shlex
from collections.abc import Iterable
from typing import assert_never

from procsup.config.complaint import Complaint, ConfigError
from procsup.config.config import Config
from procsup.config.durations import duration_text
from procsup.config.stop_time import StopTime, stop_time
from procsup.config.unit import Unit, is_too_short
from procsup.core.readiness import (
    AtExec,
    Connection,
    Elapsed,
    Line,
    Newline,
    Notify,
    OnChannel,
    Ready,
    Response,
    Success,
)
from procsup.core.spec import AutoShutdown, ChildSpec, LimitValue, Restart, SupervisorSpec, WorkerSpec

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_WIDTH = 120


def tree_lines(config: Config) -> list[str]:
    """The tree, one line for each child, without line ends and without anything that a terminal would obey."""
    lines: list[str] = []
    todo: list[tuple[str, str, ChildSpec]] = [("", "", config.tree)]  # what is before the name, what is below it
    while todo:
        before, below, spec = todo.pop()
        lines.append(before + _printable(_line(spec)))
        if isinstance(spec, SupervisorSpec):
            *most, last = spec.children or (None,)
            if last is not None:
                todo.append((f"{below}└── ", f"{below}    ", last))
            todo += [(f"{below}├── ", f"{below}│   ", child) for child in reversed(most) if child is not None]
    return lines


def complaint_text(complaint: Complaint) -> str:
    """FILE:LINE: error: PATH: PROBLEM; found …, expected …; HINT. One line where it fits, else one for each part."""
    line = "" if complaint.line is None else f":{complaint.line}"
    kind = "warning" if complaint.warning else "error"
    path = f"{complaint.path}: " if complaint.path else ""
    found = f"found {complaint.found}" if complaint.found else ""
    expected = f"expected {complaint.expected}" if complaint.expected else ""
    parts = [
        f"{complaint.file}{line}: {kind}: {path}{complaint.problem}",
        ", ".join(filter(None, (found, expected))),
        complaint.hint,
    ]
    parts = [_printable(part) for part in parts if part]
    text = "; ".join(parts)
    return text if len(text) <= _WIDTH else "\n    ".join(parts)


def stop_lines(config: Config, unit: Unit | None) -> list[str]:
    """How long a stop may take, and whether the unit, if there is one, waits so long."""
    stop = stop_time(config.tree)
    lines = [f"a stop takes at most {duration_text(stop.seconds)}: one worker after another, each its shutdown time"]
    if stop.unbounded:
        first, more = stop.unbounded[:3], len(stop.unbounded) - 3
        names = ", ".join(first) + (f" and {more} more" if more > 0 else "")
        lines = [f"a stop may take for ever: shutdown = 'infinity' of {names}"]
    if unit is not None:
        waits = "for ever" if math.isinf(unit.timeout_stop) else duration_text(unit.timeout_stop)
        lines.append(f"{unit.file} waits {waits} (TimeoutStopSec)")
    return [_printable(line) for line in lines]


def as_json(file: str, outcome: Config | ConfigError, unit: Unit | None = None) -> dict[str, Json]:
    """The object described above. `file` is as the user named it."""
    if isinstance(outcome, Config):
        stop = stop_time(outcome.tree)
        return {
            "ok": True,
            "file": outcome.file,
            "tree": _tree(outcome.tree),
            "stop": {"seconds": _finite(stop.seconds), "unbounded": list(stop.unbounded)},
            "unit": None if unit is None else _unit(unit, stop),
            "errors": [],
            "warnings": _complaints(outcome.warnings),
        }
    return {
        "ok": False,
        "file": file,
        "tree": None,
        "stop": None,
        "unit": None,
        "errors": _complaints(c for c in outcome.complaints if not c.warning),
        "warnings": _complaints(c for c in outcome.complaints if c.warning),
    }


def json_text(value: Json) -> str:
    """`value` as JSON in one line, however deep it is."""
    pieces: list[str] = []
    todo: list[_Punctuation | Json] = [value]
    while todo:
        item = todo.pop()
        match item:
            case _Punctuation():
                pieces.append(item.text)
            case dict() if item:
                todo.append(_CLOSE_OBJECT)
                for key, inner in reversed(item.items()):
                    todo += (inner, _Punctuation(f"{json.dumps(key)}: "), _COMMA)
                todo[-1] = _OPEN_OBJECT
            case list() if item:
                todo.append(_CLOSE_LIST)
                for inner in reversed(item):
                    todo += (inner, _COMMA)
                todo[-1] = _OPEN_LIST
            case _:
                pieces.append(json.dumps(item))
    return "".join(pieces)


class _Punctuation:
    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_COMMA = _Punctuation(", ")
_OPEN_OBJECT, _CLOSE_OBJECT = _Punctuation("{"), _Punctuation("}")
_OPEN_LIST, _CLOSE_LIST = _Punctuation("["), _Punctuation("]")


def _line(spec: ChildSpec) -> str:
    parts = [spec.name]
    if isinstance(spec, SupervisorSpec):
        limit = f"{spec.intensity} in {duration_text(spec.period)}"
        auto_shutdown = f", auto_shutdown {spec.auto_shutdown}" if spec.auto_shutdown != AutoShutdown.NEVER else ""
        parts.append(f"{spec.strategy}, {limit}{auto_shutdown}")
    if spec.restart is not Restart.PERMANENT or spec.significant:
        parts.append(f"[{spec.restart}{', significant' if spec.significant else ''}]")
    if isinstance(spec, WorkerSpec):
        parts.append(shlex.join(spec.program.command))
    return "  ".join(parts)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _unit(unit: Unit, stop: StopTime) -> Json:
    return {
        "file": unit.file,
        "timeout_stop": _finite(unit.timeout_stop),
        "is_too_short": is_too_short(unit, stop),
        "hears_the_daemon": unit.hears_the_daemon,
    }


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


def _complaints(complaints: Iterable[Complaint]) -> list[Json]:
    return [
        {
            "file": c.file,
            "line": c.line,
            "path": c.path,
            "problem": c.problem,
            "found": c.found,
            "expected": c.expected,
            "hint": c.hint,
        }
        for c in complaints
    ]


def _tree(root: SupervisorSpec) -> Json:
    top: list[Json] = []
    todo: list[tuple[ChildSpec, list[Json]]] = [(root, top)]
    while todo:
        spec, siblings = todo.pop()
        children: list[Json] = []
        if isinstance(spec, SupervisorSpec):
            siblings.append(supervisor_as_json(spec, children, is_root=spec is root))
            todo += [(child, children) for child in reversed(spec.children)]
        else:
            siblings.append(worker_as_json(spec))
    return top[0]


def supervisor_as_json(spec: SupervisorSpec, children: list[Json], *, is_root: bool) -> dict[str, Json]:
    """SUPERVISOR, with these children."""
    return {
        "type": "supervisor",
        "name": spec.name,
        "strategy": spec.strategy.value,
        "intensity": spec.intensity,
        "period": spec.period,
        "auto_shutdown": spec.auto_shutdown.value,
        "restart": None if is_root else spec.restart.value,
        "significant": None if is_root else spec.significant,
        "shutdown": None if is_root else spec.shutdown,
        "children": children,
    }


def worker_as_json(spec: WorkerSpec) -> dict[str, Json]:
    """WORKER"""
    program = spec.program
    return {
        "type": "worker",
        "name": spec.name,
        "command": list(program.command),
        "target": program.target.function if program.target is not None else None,
        "args": json.loads(program.target.arguments) if program.target is not None else None,
        "cwd": program.cwd,
        "env": [name for name, _ in program.env],
        "inherit_env": program.inherit_env,
        "user": program.user,
        "group": program.group,
        "umask": None if program.umask is None else f"{program.umask:03o}",
        "nice": program.nice,
        "limits": {name: {"soft": _limit(soft), "hard": _limit(hard)} for name, (soft, hard) in program.limits},
        "stdin": program.stdin,
        "stdout": program.stdout,
        "stderr": program.stderr,
        "log": {
            "max_bytes": program.log.max_bytes,
            "backups": program.log.backups,
            "timestamps": program.log.timestamps,
        },
        "restart": spec.restart.value,
        "significant": spec.significant,
        "shutdown": spec.shutdown,
        "stop_signal": spec.stop_signal,
        "normal_exits": _in_order(spec.normal_exits),
        "ready": _ready(spec.ready),
        "start_timeout": spec.start_timeout,
        "links": list(spec.bonds.links),
        "monitors": list(spec.bonds.monitors),
        "trap_exits": spec.bonds.trap_exits,
        "channel": spec.has_channel,
    }


def _ready(ready: Ready) -> Json:
    match ready:
        case AtExec():
            return "exec"
        case Notify():
            return "notify"
        case OnChannel():
            return "channel"
        case Newline(fd=fd):
            return {"fd": fd}
        case Connection(host=host, port=port):
            return {"tcp": f"{_bracketed(host)}:{port}"}
        case Response(host=host, port=port, target=target):
            return {"http": f"http://{_bracketed(host)}:{port}{target}"}
        case Success(command=command):
            return {"command": list(command)}
        case Line(pattern=pattern):
            return {"line": pattern}
        case Elapsed(seconds=seconds):
            return {"after": seconds}
        case _:
            assert_never(ready)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _limit(value: LimitValue) -> Json:
    match value:
        case None:
            return "unlimited"
        case "unchanged":
            return None
        case _:
            return value


def _in_order(exits: Iterable[int | str]) -> list[Json]:
    """Codes, then signals."""
    return sorted(exits, key=lambda exit: (isinstance(exit, str), exit))
