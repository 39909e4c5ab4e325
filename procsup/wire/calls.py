"""The calls that a client may make of the daemon, their parameters and what they answer.

One JSON-RPC 2.0 object per line (jsonrpc.py); `method` is the key of CALLS, `params` an object with the fields of
its dataclass. NAME is a name of the tree, a path ("kingdom/lab/spy_left"), or a glob that matches names or paths.

method            answers
version           {"version", "pid"}: the daemon's
status            {"daemon": {...}, "tree": [ROW, ...]} as in status.py
start, stop,      {"results": [RESULT, ...]}, one for each child named; of what a glob matches, only the topmost. With
restart           `wait` the answer comes when every child has reached the wanted state, or cannot any more
start_child       RESULT of the new child
delete_child      {"results": [RESULT, ...]}
terminate_child   RESULT; OTP's own call, which a group restart undoes. `stop` is the operator's
restart_child     RESULT; OTP's own call
which_children    {"children": [{"id", "pid": N | "undefined" | "restarting" | null, "type"}, ...]}, in start order
count_children    {"specs", "active", "supervisors", "workers"}
signal            {"results": [RESULT, ...]}; the signal goes to the main process of each worker
reload            {"ok", "errors": [TEXT, ...], "warnings": [TEXT, ...], "changes": [CHANGE, ...],
                  "results": [RESULT, ...]}: the daemon's file, read once more, becomes the running tree, with a result
                  for each child that was to be started; with `plan` nothing is done. Not ok: the file is invalid, and
                  nothing has changed
shutdown          {"status": N}: the tree is down and the daemon about to end; without `wait` at once, with null
events            {}; from then on every event is a notification {"method": "event", "params": EVENT} (events.py)

CHANGE is {"path", "type", "change", "pid", "differences": [{"key", "before", "after"}, ...], "tied_to": [NAME, ...]};
`change` is "stop", "restart", "along" (restarted, because its supervisor's strategy ties it to those in tied_to),
"start", "adjust" (it runs on, or stays down, under the new settings) or "held" (its next start will be by the new
settings); `pid` is that of before. What is below a supervisor that stops or starts is not said.

RESULT is {"path", "ok": true, "state", "pid"} or {"path", "ok": false, "kind", "message", "reason"}; the kinds of
failure are those of jsonrpc.Failure; the reason is, of "failed", why the start failed (core/reason.py), else the
refusal by its OTP name: running, restarting, not_found, noproc, already_started, already_present, bad_combination; or
by ours: overtaken, root, unknown, not_running, supervisor.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Version:
    pass


@dataclass(frozen=True, slots=True)
class Status:
    """Of these children and, for supervisors, all below them; of the whole tree when `names` is empty."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    names: tuple[str, ...]
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Stop:
    names: tuple[str, ...]
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Restart:
    names: tuple[str, ...]
    wait: bool = True


@dataclass(frozen=True, slots=True)
class StartChild:
    """`name` defaults to the last part of the program's path; `cwd` to the folder of the daemon's file."""

    supervisor: str
    command: tuple[str, ...]
    name: str | None = None
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    cwd: str | None = None
    wait: bool = True


@dataclass(frozen=True, slots=True)
class DeleteChild:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TerminateChild:
    name: str


@dataclass(frozen=True, slots=True)
class RestartChild:
    name: str


@dataclass(frozen=True, slots=True)
class WhichChildren:
    supervisor: str


@dataclass(frozen=True, slots=True)
class CountChildren:
    supervisor: str


@dataclass(frozen=True, slots=True)
class Signal:
    """`signal` is a name, with or without SIG, or a number as a string."""

    signal: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reload:
    plan: bool = False
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Shutdown:
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Events:
    pass


Call = (
    Version | Status | Start | Stop | Restart | StartChild | DeleteChild | TerminateChild | RestartChild
    | WhichChildren | CountChildren | Signal | Reload | Shutdown | Events
)  # fmt: skip

CALLS: dict[str, type[Call]] = {
    "version": Version,
    "status": Status,
    "start": Start,
    "stop": Stop,
    "restart": Restart,
    "start_child": StartChild,
    "delete_child": DeleteChild,
    "terminate_child": TerminateChild,
    "restart_child": RestartChild,
    "which_children": WhichChildren,
    "count_children": CountChildren,
    "signal": Signal,
    "reload": Reload,
    "shutdown": Shutdown,
    "events": Events,
}
