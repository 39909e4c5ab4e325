"""Warnings: what a tree may do that its author may not expect. Each is one function here; those that look at the
machine are in machine.py.

Stopping. A subtree needs the sum of its shutdown times at most (stop_time.py). `_times` reckons it in two ways: what a
stop may take (defaults included), and what it may take by the times that stand in the file (defaults are nothing).

The immortal loop (OTP-SEMANTICS § 9). A supervisor gives up when more than `intensity` restarts fall within `period`.
Before it starts anything, a group restart stops the siblings; when that may take longer than period / intensity, the
restarts lie too far apart to be counted together, and the supervisor goes on for ever. Reckoned from written times:
* one_for_one stops no sibling, and intensity 0 gives up at once: neither can loop so;
* one_for_all stops all the others, rest_for_one those after; the child that makes it longest is taken;
* temporary children make no restart and do not come back from one, so they are not in the loop;
* a start that is never ready fails after its start_timeout; where that is longer than period / intensity, the attempts
  lie too far apart, under every strategy. Told of each such worker;
* what the children below a child that is a supervisor do before that one gives up is left out: the loop may be
  longer than reckoned, never shorter.

Escalation. Levels multiply: a leaf under supervisors with intensity i1, i2 ... is started (i1 + 1) * (i2 + 1) * ...
times before the root gives up. Told once for a tree, of its deepest leaf, from 16 times on.

Output. A captured file belongs to one worker, which alone writes and renames it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from procsup.config.durations import YEAR, duration_text
from procsup.config.machine import warn_of_machine
from procsup.config.outline import Node
from procsup.config.place import Place, shown
from procsup.config.stop_time import longest_stop
from procsup.config.tree import top_down
from procsup.core.readiness import is_ready_at_exec
from procsup.core.spec import Program, Restart, Strategy, SupervisorSpec, WorkerSpec

_NOTEWORTHY_STARTS = 16
_EXACT = 1 + 1e-9  # sums of times such as 0.1 are not exact


@dataclass(frozen=True, slots=True)
class _Times:
    """How long a stop of a node may take, in seconds: in all, and by the times that stand in the file."""

    stop: float
    written: float


def warn(root: Node) -> None:
    """Notes every warning about an arranged tree."""
    nodes = top_down(root)
    times = _times(nodes)
    writers: dict[str, Place] = {}
    for node in nodes:
        if isinstance(node.spec, SupervisorSpec):
            if node is not root:
                _warn_of_staying_down(node)
                _warn_of_short_shutdown(node, times)
            _warn_of_immortal_loop(node, node.spec, times)
            _warn_of_slow_attempts(node, node.spec)
        else:
            _warn_of_unused_log(node, node.spec.program)
            _warn_of_second_writer(node, node.spec.program, writers)
    _warn_of_many_starts(root, nodes)
    warn_of_machine(nodes, privileged=root.place.reading.privileged)


def _times(nodes: list[Node]) -> dict[Node, _Times]:
    times: dict[Node, _Times] = {}
    for node in reversed(nodes):
        below = [times[child] for child in node.children]
        if "shutdown" in node.wrong:
            times[node] = _Times(0.0, 0.0)
            continue
        stop = longest_stop(node.spec, sum(t.stop for t in below))
        if isinstance(node.spec, SupervisorSpec) and node.spec.shutdown == "infinity":
            written = sum(t.written for t in below)
        else:
            written = stop if "shutdown" in node.written else 0.0
        times[node] = _Times(stop, written)
    return times


def _warn_of_staying_down(node: Node) -> None:
    """A supervisor that gave up counts as `shutdown`, after which only a permanent child is restarted."""
    spec = node.spec
    if spec.restart is Restart.PERMANENT or spec.significant or "significant" in node.wrong:
        return
    if not any(child.spec.restart is not Restart.TEMPORARY for child in node.children):
        return  # nothing is ever restarted, so it never gives up
    node.place.at("restart").complain(
        f"a {spec.restart} supervisor stays down once it has given up: that counts as shutdown, not as a failure",
        expected="restart = 'permanent', for a supervisor that is to come back",
        hint="a significant one ends its parent with it",
        warning=True,
    )


def _warn_of_short_shutdown(node: Node, times: dict[Node, _Times]) -> None:
    limit = node.spec.shutdown
    needed = sum(times[child].stop for child in node.children)
    if isinstance(limit, str) or needed <= limit * _EXACT:
        return
    rest = f" or at least '{_up(needed)}'" if math.isfinite(needed) else ""
    node.place.at("shutdown").complain(
        f"too short: its children are stopped one after another, which may take {_time_text(needed)}, "
        "and what still runs after the shutdown time is killed",
        found=duration_text(limit),
        expected=f"'infinity'{rest}",
        warning=True,
    )


def _warn_of_immortal_loop(node: Node, spec: SupervisorSpec, times: dict[Node, _Times]) -> None:
    if spec.intensity == 0 or not {"intensity", "period", "strategy"}.isdisjoint(node.wrong):
        return
    crashing, stopped = _longest_cycle(node, spec.strategy, times)
    if crashing is None:
        return
    cycle = sum(times[child].written for child in stopped)
    if cycle * spec.intensity <= spec.period * _EXACT:
        return
    key = next((key for key in ("period", "intensity", "strategy") if key in node.written), None)
    restarts = "restart" if spec.intensity == 1 else "restarts"
    (node.place if key is None else node.place.at(key)).complain(
        f"{node.name!r} may restart its children for ever: a restart after a crash of {crashing.name!r} "
        f"may take {_time_text(cycle)}, so the limit of {spec.intensity} {restarts} in {duration_text(spec.period)} "
        "is never reached",
        found=f"shutdown times of {_names(stopped)}, stopped before it starts again",
        expected=_loop_remedy(cycle * spec.intensity),
        warning=True,
    )


def _warn_of_slow_attempts(node: Node, spec: SupervisorSpec) -> None:
    if spec.intensity == 0 or not {"intensity", "period"}.isdisjoint(node.wrong):
        return
    for child in node.children:
        worker = child.spec
        if not isinstance(worker, WorkerSpec) or "start_timeout" not in child.written or "ready" not in child.written:
            continue
        if is_ready_at_exec(worker.ready) or worker.restart is Restart.TEMPORARY or worker.start_timeout == "infinity":
            continue
        needed = worker.start_timeout * spec.intensity
        if needed <= spec.period * _EXACT:
            continue
        restarts = "restart" if spec.intensity == 1 else "restarts"
        child.place.at("start_timeout").complain(
            f"restarts of {child.name!r} that are never ready may go on for ever: each takes so long that the limit of "
            f"{node.name!r}, {spec.intensity} {restarts} in {duration_text(spec.period)}, is never reached",
            found=duration_text(worker.start_timeout),
            expected=_attempts_remedy(needed),
            warning=True,
        )


def _attempts_remedy(period: float) -> str:
    rest = "a smaller intensity, or a shorter start_timeout"
    return rest if period > YEAR else f"a period of at least '{_up(period)}', {rest}"


def _longest_cycle(node: Node, strategy: Strategy, times: dict[Node, _Times]) -> tuple[Node | None, list[Node]]:
    """The child whose crash makes for the longest restart, and the siblings with a written time that it stops."""
    group = [child for child in node.children if child.spec.restart is not Restart.TEMPORARY]
    if not group or strategy is Strategy.ONE_FOR_ONE:
        return None, []
    crashing = group[0]
    if strategy is Strategy.ONE_FOR_ALL:
        crashing = min(group, key=lambda child: times[child].written)
    return crashing, [child for child in group if child is not crashing and times[child].written > 0]


def _loop_remedy(period: float) -> str:
    if math.isinf(period):
        return "a finite shutdown for each of them"
    if period > YEAR:
        return "a smaller intensity, or shorter shutdown times"
    return f"a period of at least '{_up(period)}', a smaller intensity, or shorter shutdown times"


def _warn_of_unused_log(node: Node, program: Program) -> None:
    if "log" not in node.written or not {"stdout", "stderr"}.isdisjoint(node.wrong):
        return
    if not any(stream == "log" or stream.startswith("/") for stream in (program.stdout, program.stderr)):
        node.place.at("log").complain(
            "log means nothing here: the worker's output is not captured",
            found=f"stdout {program.stdout!r}, stderr {program.stderr!r}",
            expected="stdout or stderr = 'log' or a path",
            warning=True,
        )


def _warn_of_second_writer(node: Node, program: Program, writers: dict[str, Place]) -> None:
    """`writers` are the files of the workers before this one, which adds its own."""
    own = {
        stream: node.place.at(key)
        for key, stream in (("stderr", program.stderr), ("stdout", program.stdout))
        if stream.startswith("/")
    }
    for file, place in own.items():
        first = writers.setdefault(file, place)
        if first is not place:
            place.complain(
                "two workers write this file: their lines mix, and each renames it when it is full",
                found=shown(file),
                expected="a file for each",
                warning=True,
                other=("the first is at", first),
            )


def _warn_of_many_starts(root: Node, nodes: list[Node]) -> None:
    """`nodes` are top down. Only what is permanent all the way up makes the root give up in the end."""
    starts = {root: 1}
    level = {root: 1}
    deepest: Node | None = None
    for node in nodes:
        if node not in starts or not {"intensity", "restart"}.isdisjoint(node.wrong):
            continue
        spec = node.spec
        if isinstance(spec, SupervisorSpec):
            if node is root or spec.restart is Restart.PERMANENT:
                starts |= dict.fromkeys(node.children, starts[node] * (spec.intensity + 1))
                level |= dict.fromkeys(node.children, level[node] + 1)
        elif spec.restart is not Restart.TEMPORARY and (
            deepest is None or (level[node], starts[node]) > (level[deepest], starts[deepest])
        ):
            deepest = node
    if deepest is None or level[deepest] < 3 or starts[deepest] < _NOTEWORTHY_STARTS:
        return
    deepest.place.complain(
        f"{deepest.name!r} may be started {_count_text(starts[deepest])} times before {root.name!r} gives up: "
        f"the limits of the {level[deepest] - 1} supervisors above it multiply",
        found=_product(root, deepest, nodes),
        hint="lower the intensity of the inner supervisors if that is too often",
        warning=True,
    )


def _product(root: Node, leaf: Node, nodes: list[Node]) -> str:
    """(3 + 1) of 'kingdom' * (3 + 1) of 'lab'; of a long path, its ends."""
    parents = {child: node for node in nodes for child in node.children}
    factors: list[str] = []
    node = leaf
    while node is not root:
        node = parents[node]
        assert isinstance(node.spec, SupervisorSpec)
        factors.append(f"({_count_text(node.spec.intensity)} + 1) of {node.name!r}")
    if len(factors) > 6:
        factors[3:-3] = ["…"]
    return " * ".join(reversed(factors))


def _count_text(count: int) -> str:
    digits = int(count.bit_length() * math.log10(2))
    return str(count) if digits < 10 else f"about 10^{digits}"


def _names(nodes: Iterable[Node]) -> str:
    first = [repr(node.name) for node in nodes]
    return ", ".join(first) if len(first) <= 4 else f"{', '.join(first[:3])} and {len(first) - 3} more"


def _time_text(seconds: float) -> str:
    return "for ever" if math.isinf(seconds) else duration_text(seconds)


def _up(seconds: float) -> str:
    """A duration that one may write instead, not shorter."""
    return duration_text(math.ceil(seconds)) if seconds > 1 else duration_text(seconds)
