"""What clients may read of the tree and the daemon: the answers to `status`, `which_children` and `count_children`."""

import dataclasses
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from procsup import __version__
from procsup.core import view
from procsup.core.calls import Refusal
from procsup.core.node import Node
from procsup.core.spec import SupervisorSpec
from procsup.runtime.journal import Journal
from procsup.runtime.names import Names
from procsup.runtime.places import Places
from procsup.wire.decode import JSON
from procsup.wire.jsonrpc import Failure
from procsup.wire.status import DaemonRow, Row, SupervisorRow, WorkerRow

if TYPE_CHECKING:
    from procsup.runtime.output import Outputs


class Queries:
    """The times of the node are those of time.monotonic; clients are told the time of day."""

    def __init__(
        self,
        node: Node,
        names: Names,
        journal: Journal,
        outputs: "Outputs",
        places: Places,
        file: str,
        containment: str,
    ) -> None:
        self._node = node
        self._names = names
        self._journal = journal
        self._outputs = outputs
        self._places = places
        self._file = file
        self._containment = containment
        self._started = time.time()

    def status(self, names: tuple[str, ...]) -> JSON:
        offset = time.time() - time.monotonic()
        tops: Iterable[str | None] = [child.path for child in self._names.all(names)] if names else [None]
        views = {row.path: row for top in tops for row in view.tree(self._node, top)}
        rows: list[JSON] = [_as_json(_row(row, offset, self._outputs)) for row in views.values()]
        return {"daemon": _as_json(self._daemon_row()), "tree": rows}

    def _daemon_row(self) -> DaemonRow:
        return DaemonRow(
            pid=os.getpid(),
            version=__version__,
            state=view.shown(self._node.root),
            started=self._started,
            file=self._file,
            socket=self._places.socket,
            state_dir=self._places.state_dir,
            log_dir=self._places.log_dir,
            containment=self._containment,
            journal_error=self._journal.error,
            journal_lost=self._journal.lost,
        )

    def which_children(self, name: str) -> JSON:
        listed = self.children(self._names.one(name).path)
        if isinstance(listed, Refusal):
            raise Failure("refused", f"cannot list the children of {name}: {listed.value}: no such supervisor runs")
        return {"children": listed}

    def children(self, path: str) -> list[JSON] | Refusal:
        """Of the supervisor there; NOPROC when none runs."""
        listed = view.which_children(self._node, path)
        if isinstance(listed, Refusal):
            return listed
        rows: list[JSON] = []
        for child in listed:
            pid: JSON = child.pid if child.state == "running" else child.state
            rows.append({"id": child.name, "pid": pid, "type": child.type})
        return rows

    def count_children(self, name: str) -> JSON:
        counts = view.count_children(self._node, self._names.one(name).path)
        if isinstance(counts, Refusal):
            raise Failure("refused", f"cannot count the children of {name}: {counts.value}: no such supervisor runs")
        return _as_json(counts)


def _as_json(value: Row | DaemonRow | view.Counts) -> JSON:
    return {spec.name: getattr(value, spec.name) for spec in dataclasses.fields(value)}


def _row(seen: view.ChildView, offset: float, outputs: "Outputs") -> Row:
    shared: dict[str, Any] = {
        "path": seen.path, "depth": seen.depth, "state": seen.state, "held": seen.held, "ok": not seen.is_missing,
        "restart": seen.spec.restart.value, "starts": seen.starts, "restarts": seen.restarts,
        "since": round(seen.since + offset, 3), "last_exit": seen.last_exit,
    }  # fmt: skip
    if isinstance(seen.spec, SupervisorSpec):
        spec = seen.spec
        return SupervisorRow(
            **shared, strategy=spec.strategy.value, intensity=spec.intensity, period=spec.period, used=seen.used
        )
    started = None if seen.pid is None else round(seen.started + offset, 3)
    program = seen.spec.program
    return WorkerRow(
        **shared, pid=seen.pid, started=started, stdout=program.stdout, stderr=program.stderr,
        lost_bytes=outputs.lost_bytes(seen.path), waits_for=seen.waits_for,
    )  # fmt: skip
