"""Reading the tree: what OTP's queries answer, and what `status` shows. Changes nothing; answered at any time."""

from collections.abc import Iterator
from dataclasses import dataclass

from procsup.core.calls import Refusal
from procsup.core.child import Child, State
from procsup.core.node import Node
from procsup.core.reason import GAVE_UP, KILLED, is_abnormal
from procsup.core.spec import ChildSpec
from procsup.core.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of which_children. `pid` is None for a supervisor, which is no process here."""

    name: str
    state: str
    """"running" (it has a process, perhaps one just dead), "undefined" (no process) or "restarting"."""
    pid: int | None
    type: str


@dataclass(frozen=True, slots=True)
class Counts:
    specs: int
    active: int
    supervisors: int
    workers: int


@dataclass(frozen=True, slots=True)
class ChildView:
    """A child as it is now. Times in seconds of the node's clock; `used` is of a supervisor's window, else 0.
    `is_missing` when it should run and does not. `waits_for`: what tells that it is ready, while that is waited for.
    """

    spec: ChildSpec
    path: str
    depth: int
    state: str
    held: bool
    is_missing: bool
    pid: int | None
    since: float
    started: float
    starts: int
    restarts: int
    last_exit: str | None
    waits_for: str | None
    used: int


_LISTED = {State.DOWN: "undefined", State.CLEARING: "undefined", State.RESTARTING: "restarting"}

_SHOWN = {
    State.DOWN: "down",
    State.STARTING: "starting",
    State.FAILING: "stopping",
    State.STRUCK: "stopping",
    State.RUNNING: "running",
    State.DOOMED: "stopping",
    State.STOPPING: "stopping",
    State.EXITED: "restarting",
    State.CLEARING: "stopping",
    State.RESTARTING: "restarting",
}


def which_children(node: Node, path: str) -> tuple[Listed, ...] | Refusal:
    """In start order; NOPROC when no such supervisor runs. As supervisor:which_children/1."""
    supervisor = _running(node, path)
    if supervisor is None:
        return Refusal.NOPROC
    return tuple(_list(child) for child in supervisor.children.values())


def _list(child: Child) -> Listed:
    without = _LISTED.get(child.state)
    if without is not None:
        return Listed(child.name, without, None, child.type)
    return Listed(child.name, "running", child.pid, child.type)


def count_children(node: Node, path: str) -> Counts | Refusal:
    """As supervisor:count_children/1."""
    listed = which_children(node, path)
    if isinstance(listed, Refusal):
        return listed
    workers = sum(child.type == "worker" for child in listed)
    active = sum(child.state == "running" for child in listed)
    return Counts(len(listed), active, len(listed) - workers, workers)


def tree(node: Node, top: str | None = None) -> Iterator[ChildView]:
    """The child at the path `top` (the root by default) and all below it, a supervisor before its children."""
    first = node.root if top is None else node.child(top)
    now = node.now
    stack = [(first, first.path.count("/"))] if first is not None else []
    while stack:
        child, depth = stack.pop()
        used = 0
        if child.supervisor is not None:
            used = child.supervisor.window.used(now)
            stack.extend((below, depth + 1) for below in reversed(child.supervisor.children.values()))
        yield _view(child, depth, used)


def shown(child: Child) -> str:
    """Its state in the words of `status`: running, starting, stopping, restarting or down."""
    return _SHOWN[child.state]


def _view(child: Child, depth: int, used: int) -> ChildView:
    return ChildView(
        spec=child.spec,
        path=child.path,
        depth=depth,
        state=shown(child),
        held=child.held,
        is_missing=_is_missing(child),
        pid=child.pid,
        since=child.since,
        started=child.started,
        starts=child.starts,
        restarts=child.restarts,
        last_exit=None if child.last_exit is None else str(child.last_exit),
        waits_for=child.awaited or None if child.state is State.STARTING and child.pid is not None else None,
        used=used,
    )


def _is_missing(child: Child) -> bool:
    """A child that an operator stopped is not missed, nor one that ended as its restart type allows. What is below a
    supervisor that is down is not missed either: that supervisor is.
    """
    if child.held or child.state is State.RUNNING:
        return False
    if child.parent is not None and child.parent.child.state is not State.RUNNING:
        return False
    if child.state is not State.DOWN or child.last_exit is None:
        return True
    if child.last_exit is KILLED:  # by us
        return False
    return is_abnormal(child.last_exit) or child.last_exit is GAVE_UP


def _running(node: Node, path: str) -> Supervisor | None:
    child = node.child(path)
    if child is None or child.supervisor is None or not child.supervisor.takes_calls:
        return None
    return child.supervisor
