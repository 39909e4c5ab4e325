"""Reload: the daemon's file is read once more, and what it says becomes the running tree (core/reload.py).

An invalid file changes nothing. What [daemon] says holds from the next start of the daemon, and is told so. The loop
waits while the file is read, as it does at the start: 50 µs for each worker in it, measured with a thousand.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from procsup.config.config import Config
from procsup.core import reload
from procsup.core.node import Node
from procsup.core.reload import Change, Fate
from procsup.core.spec import SupervisorSpec, WorkerSpec, type_of
from procsup.wire.decode import JSON

if TYPE_CHECKING:
    from procsup.config.complaint import Complaint
    from procsup.runtime.output import Outputs


class Reading:
    """What the file says now, and what that means for the tree as it is now. `tree` is None when it cannot be used."""

    __slots__ = ("changes", "complaints", "errors", "tree", "warnings")

    def __init__(self, node: Node, config: Config) -> None:
        from procsup.config.complaint import ConfigError
        from procsup.config.load import load

        self.tree: SupervisorSpec | None = None
        self.changes: list[Change] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        try:
            fresh = load(config.file, os.environ, privileged=os.geteuid() == 0)
        except ConfigError as error:
            self.errors = _texts(one for one in error.complaints if not one.warning)
            self.warnings = _texts(one for one in error.complaints if one.warning)
            return
        self.warnings = _texts(fresh.warnings) + list(_of_daemon(config, fresh))
        if fresh.tree.name != node.root.name:
            self.errors = [
                f"{config.file}: the root is {fresh.tree.name} now, and was {node.root.name}: that takes a new start of"
                " the daemon"
            ]
            return
        self.tree = fresh.tree
        self.changes = list(reload.plan(node.root, fresh.tree))

    def as_json(self, node: Node) -> dict[str, JSON]:
        """As the call `reload` answers (wire/calls.py), without results."""
        changes: list[JSON] = [_change(node, change) for change in self.changes]
        warnings: list[JSON] = [*self.warnings]
        errors: list[JSON] = [*self.errors]
        return {"ok": not errors, "errors": errors, "warnings": warnings, "changes": changes}


def keep_logs(node: Node, outputs: "Outputs", changes: Iterable[Change]) -> None:
    """How the log of a running worker is kept changes at once."""
    for change in changes:
        child = node.child(change.path)
        if child is not None and change.fate is Fate.ADJUST and isinstance(change.after, WorkerSpec):
            outputs.keep(child.life, change.after.program.log)


def _texts(complaints: "Iterable[Complaint]") -> list[str]:
    from procsup.config.render import complaint_text

    return [complaint_text(complaint) for complaint in complaints]


def _of_daemon(config: Config, fresh: Config) -> "Iterable[str]":
    before, after = asdict(config.daemon), asdict(fresh.daemon)
    for key in after:
        if before[key] != after[key]:
            yield f"{config.file}: warning: daemon.{key}: has changed, which takes a new start of the daemon"


def _change(node: Node, change: Change) -> JSON:
    from procsup.config.diff import differences

    child = node.child(change.path)
    is_other = change.before is not None and change.after is not None and change.fate is not Fate.ALONG
    found = differences(change.before, change.after) if is_other and change.before and change.after else ()
    return {
        "path": change.path,
        "type": type_of(change.after or change.before or node.root.spec),
        "change": change.fate.value,
        "pid": child.pid if child is not None and change.fate is not Fate.START else None,
        "differences": [{"key": one.key, "before": one.before, "after": one.after} for one in found],
        "tied_to": list(change.tied_to),
    }
