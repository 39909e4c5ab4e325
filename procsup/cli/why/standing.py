"""How things stand with the subject: whether it runs, and if not, what keeps it down or what it waits for.

Of a daemon that runs the rows of its `status` tell, and the journal of what they leave open; of a dead one the journal
alone. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from procsup.cli.answers import Row
from procsup.cli.happening import Happening
from procsup.cli.why.inquiry import Subject


@dataclass(frozen=True, slots=True)
class Standing:
    """`state` as in `status`, or "removed", or "unknown"; `since` in RFC 3339, or "".

    `why` says what keeps it from running, or is "":
        held             an operator stopped it; `by` says who, when that is known
        waiting          `whom` comes first: that is starting, stopping or restarting, as `detail` says
        not_ready        it was executed, and waits for `detail`: "tcp localhost:5432 (connection refused)"
        supervisor_down  `whom`, above it, is down
        ended_normally, gave_up, auto_shutdown      and its restart type leaves it down
        start_failed     an operator's attempt; `detail` is the reason
        linked           likewise, after the end of one that was linked with it; `detail` is the reason
        terminated       a terminate_child call
        temporary, deleted, restarted               of one that is removed: as in child_removed; also start_failed
    """

    state: str
    since: str = ""
    pid: int | None = None
    why: str = ""
    whom: str = ""
    by: str = ""
    detail: str = ""


class Memory:
    """What a journal, read backwards, knows of the subject lately: of each kind of event the last one, in the last run
    that speaks of it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.newest: Happening | None = None
        """The last event of all."""
        self.run: int | None = None
        """In which the subject came up last."""
        self.last: dict[str, Happening] = {}
        """In the order from the last one back."""
        self.end: Happening | None = None
        self.asked: Happening | None = None
        """Of the last run the daemon_stopped and the request to stop, if there was one."""

    def take(self, event: Happening, run: int) -> None:
        self.newest = self.newest or event
        if run == 0 and event.kind == "daemon_stopped":
            self.end = event
        if run == 0 and event.kind == "stopping" and "/" not in event.path:
            self.asked = event
        if self._subject.path is not None and event.path == self._subject.path and self.run in (None, run):
            self.run = run
            self.last.setdefault(event.kind, event)


def of_living(path: str, rows: Mapping[str, Row], memory: Memory) -> Standing:
    """Of a child that is in the tree of a daemon that runs."""
    row = rows[path]
    since = _rfc3339(row["since"])
    state = row["state"]
    if state == "running":
        return Standing(state, since, row.get("pid"))
    if row["held"]:
        held = memory.last.get("held")
        return Standing(state, held.text("time") if held else since, why="held", by=held.text("by") if held else "")
    whom = _whom_it_awaits(path, rows)
    if whom is not None and rows[whom]["state"] == "down":
        return Standing(state, since, why="supervisor_down", whom=whom)
    if whom is not None:
        return Standing(state, since, why="waiting", whom=whom, detail=_busy_with(rows[whom]))
    if state == "down":
        return Standing(state, since, why=_why_down(row["last_exit"] or ""), detail=row["last_exit"] or "")
    waits_for = row.get("waits_for")
    if waits_for:
        return Standing(state, since, row["pid"], why="not_ready", detail=waits_for)
    return Standing(state, since, row.get("pid"))


def of_remembered(memory: Memory) -> Standing:
    """Of one that the journal alone knows."""
    kinds = [kind for kind in memory.last if kind in _STATE_AFTER]
    if not kinds:
        return Standing("unknown")
    last = memory.last[kinds[0]]
    since = last.text("time")
    if kinds[0] == "child_removed":
        return Standing("removed", since, why=last.text("why"))
    if "held" in memory.last and memory.last["held"].seq > _seq(memory, "released"):
        held = memory.last["held"]
        return Standing(_STATE_AFTER[kinds[0]], held.text("time"), why="held", by=held.text("by"))
    reason = last.text("reason")
    why = _why_down(reason) if kinds[0] == "exited" else ""
    return Standing(_STATE_AFTER[kinds[0]], since, last.whole("pid"), why, detail=reason)


_STATE_AFTER = {
    "starting": "starting",
    "started": "starting",
    "ready": "running",
    "start_failed": "down",
    "exited": "down",
    "stopping": "stopping",
    "stopped": "down",
    "child_removed": "removed",
}

_BUSY = ("starting", "stopping", "restarting")


def _whom_it_awaits(path: str, rows: Mapping[str, Row]) -> str | None:
    """Who is on the way to another state, or down, so that this one cannot be up yet."""
    row, parent = rows[path], path.rpartition("/")[0]
    if row["state"] != "down":
        busy = (child for child in _below(path, rows) if rows[child]["state"] in _BUSY)
        return next(busy, None) if row["state"] in _BUSY else None
    for above in _above(path):
        if above in rows and rows[above]["state"] not in ("running", "starting"):
            return _whom_it_awaits(above, rows) or above
    if not _is_settled(row) and parent in rows and _takes_turns(rows[parent]):
        return next((one for one in _below(parent, rows) if one != path and rows[one]["state"] in _BUSY), None)
    return None


def _busy_with(row: Row) -> str:
    waits_for = row.get("waits_for")
    return f"{row['state']} and waits for {waits_for}" if waits_for else row["state"]


def _takes_turns(supervisor: Row) -> bool:
    """Whether its children wait for each other: when it starts, and by its strategy."""
    return supervisor["state"] == "starting" or supervisor["strategy"] != "one_for_one"


def _is_settled(row: Row) -> bool:
    """Down, and to stay so by its restart type, or because an operator's start failed."""
    why = _why_down(row["last_exit"] or "")
    return why == "start_failed" or (row["restart"] != "permanent" and why not in ("", "terminated"))


def _why_down(reason: str) -> str:
    match reason.split(" ")[0]:
        case "normal":
            return "ended_normally"
        case "gave_up" | "auto_shutdown" | "linked" as why:
            return why
        case "start_failed" | "failed_to_start_child" | "start_spec" | "not_ready" | "timeout":
            return "start_failed"
        case "shutdown" | "killed":
            return "terminated"
        case _:
            return ""


def _above(path: str) -> Iterator[str]:
    """From the root on."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _below(path: str, rows: Mapping[str, Row]) -> Iterator[str]:
    """Its children."""
    depth = path.count("/") + 1
    return (one for one in rows if one.startswith(f"{path}/") and one.count("/") == depth)


def _seq(memory: Memory, kind: str) -> int:
    return memory.last[kind].seq if kind in memory.last else 0


def _rfc3339(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError, OSError):
        return ""
