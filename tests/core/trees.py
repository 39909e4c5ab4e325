"""Trees in a few words.

    one_for_all("root", "a", worker("b", "transient"), one_for_one("s", "x", intensity=0))

A name alone is a permanent worker with the defaults.
"""

from functools import partial
from typing import Any

from procsup.core.spec import AutoShutdown, ChildSpec, Program, Restart, Strategy, SupervisorSpec, WorkerSpec

PROGRAM = Program(("program",))
OTHER_PROGRAM = Program(("other program",))


def worker(name: str, restart: str = "permanent", **keys: Any) -> WorkerSpec:
    return WorkerSpec(name, PROGRAM, Restart(restart), **keys)


def supervisor(strategy: Strategy, name: str, *children: ChildSpec | str, **keys: Any) -> SupervisorSpec:
    """`restart` and `auto_shutdown` are given as words."""
    specs = tuple(worker(child) if isinstance(child, str) else child for child in children)
    keys["restart"] = Restart(keys.get("restart", "permanent"))
    keys["auto_shutdown"] = AutoShutdown(keys.get("auto_shutdown", "never"))
    return SupervisorSpec(name, specs, strategy, **keys)


one_for_one = partial(supervisor, Strategy.ONE_FOR_ONE)
one_for_all = partial(supervisor, Strategy.ONE_FOR_ALL)
rest_for_one = partial(supervisor, Strategy.REST_FOR_ONE)

BY_STRATEGY = {"one_for_one": one_for_one, "one_for_all": one_for_all, "rest_for_one": rest_for_one}


def chain(depth: int, **keys: Any) -> SupervisorSpec:
    """`depth` supervisors, root, s1, s2, ..., one below the other, and the worker "leaf" below the last."""
    below: ChildSpec = worker("leaf")
    for level in range(depth - 1, 0, -1):
        below = one_for_one(f"s{level}", below, **keys)
    return one_for_one("root", below, **keys)


def paths(spec: ChildSpec, above: str = "") -> dict[str, ChildSpec]:
    """Every path of the tree, a supervisor before its children."""
    found: dict[str, ChildSpec] = {}
    rest = [(above + spec.name, spec)]
    while rest:
        path, one = rest.pop()
        found[path] = one
        if isinstance(one, SupervisorSpec):
            rest.extend((f"{path}/{child.name}", child) for child in reversed(one.children))
    return found
