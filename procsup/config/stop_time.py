"""How long a stop of the tree may take: what `shutdown` says, added up. Pure.

A supervisor stops its children one after another, each within its shutdown time, after which it is killed; a finite
shutdown of a supervisor cuts that short for all below it. What the kernel needs to end what was killed is not in it.
"""

import math
from dataclasses import dataclass

from procsup.core.spec import ChildSpec, SupervisorSpec, WorkerSpec


@dataclass(frozen=True, slots=True)
class StopTime:
    """`seconds` may be infinite; `unbounded` are the paths of the workers that may make it so."""

    seconds: float
    unbounded: tuple[str, ...]


def longest_stop(spec: ChildSpec, below: float) -> float:
    """Seconds for one child, whose own children need so long, one after another. Not for the root."""
    match spec.shutdown:
        case "brutal_kill":
            return 0.0
        case "infinity":
            return below if isinstance(spec, SupervisorSpec) else math.inf
        case seconds:
            return min(seconds, below) if isinstance(spec, SupervisorSpec) else seconds


def stop_time(root: SupervisorSpec) -> StopTime:
    """O(children)."""
    found: list[tuple[int, str, ChildSpec]] = []
    """(place of the parent in this list, path, spec), a supervisor before its children"""
    todo: list[tuple[int, str, ChildSpec]] = [(-1, root.name, root)]
    while todo:
        parent, path, spec = todo.pop()
        found.append((parent, path, spec))
        if isinstance(spec, SupervisorSpec):
            here = len(found) - 1
            todo += [(here, f"{path}/{child.name}", child) for child in reversed(spec.children)]
    return StopTime(_sum(found), tuple(_unbounded(found)))


def _sum(found: list[tuple[int, str, ChildSpec]]) -> float:
    below = [0.0] * len(found)
    for place in reversed(range(1, len(found))):
        parent, _, spec = found[place]
        below[parent] += longest_stop(spec, below[place])
    return below[0]


def _unbounded(found: list[tuple[int, str, ChildSpec]]) -> list[str]:
    """Workers without a limit, neither of their own nor of a supervisor above; in the order of the tree."""
    is_limited = [False] * len(found)
    for place, (parent, _, spec) in enumerate(found[1:], 1):
        is_limited[place] = is_limited[parent] or spec.shutdown != "infinity"
    return [
        path for (_, path, spec), limited in zip(found, is_limited, strict=True)
        if isinstance(spec, WorkerSpec) and not limited
    ]  # fmt: skip
