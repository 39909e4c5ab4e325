"""What is different between two specs of one child, in the words of the file. Pure.

Of the environment only the names are told, because values may be secrets. Of what is below a supervisor only the order
of the children that are in both is looked at.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from procsup.config.render import Json, supervisor_as_json, worker_as_json
from procsup.core.spec import ChildSpec, SupervisorSpec, WorkerSpec

_VALUES = ("args", "ready")
"""Tables that are one value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`key` as in the file, "log.max_bytes", "env.HOME". `before` and `after` are JSON texts; of a variable of the
    environment "set" or "unset", both "set" when its value is another one.
    """

    key: str
    before: str
    after: str


def differences(before: ChildSpec, after: ChildSpec) -> tuple[Difference, ...]:
    """In the order of the keys of the newer one. Of a worker that has become a supervisor: the type alone."""
    both = _children(before) & _children(after)
    old, new = _settings(before, both), _settings(after, both)
    if old["type"] != new["type"]:
        return (Difference("type", old["type"], new["type"]),)
    keys = dict.fromkeys([*new, *old])
    found = [Difference(key, old.get(key, "null"), new.get(key, "null")) for key in keys]
    return tuple(one for one in found if one.before != one.after) + tuple(_of_environment(before, after))


def _children(spec: ChildSpec) -> set[str]:
    return {child.name for child in spec.children} if isinstance(spec, SupervisorSpec) else set()


def _settings(spec: ChildSpec, known: set[str]) -> dict[str, str]:
    """Key → JSON text; of the children only those that are known."""
    if isinstance(spec, SupervisorSpec):
        names: list[Json] = [child.name for child in spec.children if child.name in known]
        as_json = supervisor_as_json(spec, names, is_root=False)
    else:
        as_json = worker_as_json(spec)
        del as_json["env"]
    return dict(_flat("", as_json))


def _flat(before: str, table: dict[str, Json]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict) and key not in _VALUES:
            yield from _flat(f"{before}{key}.", value)
        else:
            yield f"{before}{key}", json.dumps(value, ensure_ascii=False)


def _of_environment(before: ChildSpec, after: ChildSpec) -> Iterator[Difference]:
    if not isinstance(before, WorkerSpec) or not isinstance(after, WorkerSpec):
        return
    old, new = dict(before.program.env), dict(after.program.env)
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Difference(f"env.{name}", _is_set(name in old), _is_set(name in new))


def _is_set(here: bool) -> str:
    return "set" if here else "unset"
