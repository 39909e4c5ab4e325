"""The daemon's errand: understand the file, choose the places, supervise, and tell what happens. Imports no click."""

import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from procsup.cli.daemonlog import DaemonLog
from procsup.cli.exits import ExitStatus
from procsup.cli.forerunner import Errand
from procsup.cli.narrate import Narrator
from procsup.cli.paint import paint_for
from procsup.cli.patient import PatientWriter
from procsup.cli.terminal import complain, write_error
from procsup.cli.understanding import complaints_of, counted, in_full, is_usable, understand
from procsup.core.spec import SupervisorSpec
from procsup.runtime import daemon
from procsup.runtime.detach import Caller
from procsup.runtime.failure import CannotRun
from procsup.runtime.guardian import Link
from procsup.runtime.logfile import LogFiles
from procsup.runtime.places import Places, choose
from procsup.wire.events import Event

if TYPE_CHECKING:
    from procsup.config.config import Config
    from procsup.core.spec import ChildSpec

_GAVE_UP = 70

_LAST_WORDS = 1.0
"""Seconds that a terminal which does not read is given to take the last lines."""


def serve(errand: Errand, link: Link, caller: Caller | None) -> int:
    """Runs the daemon; the exit status. `caller` is whoever waits for it to be in the background."""
    outcome = understand(errand.file)
    complaints = complaints_of(outcome)
    if complaints:
        write_error(in_full(complaints))
    if not is_usable(outcome, errand.strict):
        complain(f"cannot run {errand.file}: {counted(complaints)}")
        return ExitStatus.CONFIG
    try:
        places = choose(
            outcome.daemon,
            os.environ,
            os.geteuid(),
            socket=errand.socket,
            state_dir=errand.state_dir,
            log_dir=errand.log_dir,
        )
        files = LogFiles(places.state_dir)
        writer: PatientWriter | DaemonLog = PatientWriter(sys.stderr.fileno())
        if caller is not None:
            log = os.path.join(places.state_dir, "daemon.log")
            caller.let_go(log, link)
            writer = DaemonLog(log, files)
        return _supervise(outcome, places, errand.verbose, writer, files, link, caller)
    except CannotRun as failure:
        complain(str(failure))
        return failure.status


def _supervise(
    config: "Config",
    places: Places,
    is_verbose: bool,
    writer: PatientWriter | DaemonLog,
    files: LogFiles,
    link: Link,
    caller: Caller | None,
) -> int:
    """Until the tree is down.

    Raises:
        CannotRun: nothing was started.
    """
    narrator = Narrator(paint_for(sys.stderr), tuple(_names(config.tree)))

    def tell(event: Event) -> None:
        writer.write("".join(f"{line}\n" for line in narrator.tell(event.as_json())))

    def quote(worker: str, lines: bytes) -> None:
        writer.offer(lines.count(b"\n"), lambda: narrator.quote(worker, time.time(), lines))

    try:
        status = daemon.run(
            config,
            places,
            link,
            on_event=tell,
            on_up=caller.is_up if caller is not None else None,
            log_files=files,
            on_lines=quote if is_verbose else None,
        )
        if status == _GAVE_UP:
            from procsup.cli.why.last_words import last_words

            writer.write(last_words(places.state_dir))
        return status
    finally:
        writer.finish(_LAST_WORDS)


def _names(tree: SupervisorSpec) -> Iterator[str]:
    unseen: list[ChildSpec] = [tree]
    while unseen:
        child = unseen.pop()
        yield child.name
        if isinstance(child, SupervisorSpec):
            unseen.extend(child.children)
