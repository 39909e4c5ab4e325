"""`run`: the daemon, in the foreground or detached.

Nothing is imported before it is needed: the tree file is read first, then the runtime is loaded. Until `daemon.run` is
called the process has one thread and has opened nothing.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.options import given_socket, socket_option
from procsup.cli.printable import printable
from procsup.cli.terminal import complain, write_error

if TYPE_CHECKING:
    from procsup.config.config import Config
    from procsup.core.spec import ChildSpec, SupervisorSpec
    from procsup.runtime.places import Places

_STANDARD_ERROR = 2

_LAST_WORDS = 1.0
"""Seconds that a terminal which does not read is given to take the last lines."""


@click.command()
@click.argument("file", type=click.Path())
@click.option("--detach", is_flag=True, help="Return when the tree is up, and leave the daemon in the background.")
@socket_option
@click.option("--state-dir", metavar="FOLDER", type=click.Path(), help="Before [daemon] state_dir.")
@click.option("--log-dir", metavar="FOLDER", type=click.Path(), help="Before [daemon] log_dir.")
@click.option("--strict", is_flag=True, help="Warnings about FILE are errors.")
def run(file: str, detach: bool, state_dir: str | None, log_dir: str | None, strict: bool) -> int:
    """Run the tree that FILE describes.

    This is the daemon. It tells on standard error what happens. SIGTERM and SIGINT stop the tree in order, another one
    hurries. Detached it writes to daemon.log in its state folder.

    \b
    Exit status: 0 stopped in order, 2 usage, 69 the tree could not start,
    70 the root gave up, 73 another daemon holds the socket or the state
    directory, 78 configuration.
    """
    config = _understood(file, strict)

    from procsup.runtime.failure import CannotRun
    from procsup.runtime.places import choose

    try:
        places = choose(
            config.daemon, os.environ, os.getuid(), socket=given_socket(), state_dir=state_dir, log_dir=log_dir
        )
        if not detach:
            return _serve(config, places, None)

        from procsup.runtime.detach import run_detached

        log = os.path.join(places.state_dir, "daemon.log")
        return run_detached(lambda ready: _serve(config, places, ready), log)
    except CannotRun as failure:
        complain(str(failure))
        return failure.status


def _understood(file: str, strict: bool) -> "Config":
    from procsup.cli.check import complaints_of, counted, in_full, is_usable, understand

    outcome = understand(file)
    complaints = complaints_of(outcome)
    write_error(in_full(complaints))
    if is_usable(outcome, strict):
        return outcome
    raise CannotDo(f"cannot run {printable(file)}: {counted(complaints)}", ExitStatus.CONFIG)


def _serve(config: "Config", places: "Places", ready: Callable[[], None] | None) -> int:
    """Runs the daemon until the tree is down, telling what happens; the exit status."""
    from procsup.cli.narrate import Narrator
    from procsup.cli.paint import paint_for
    from procsup.cli.patient import PatientWriter
    from procsup.runtime import daemon
    from procsup.runtime.failure import CannotRun
    from procsup.wire.events import Event

    narrator = Narrator(paint_for(sys.stderr), tuple(_names(config.tree)))
    writer = PatientWriter(_STANDARD_ERROR)

    def tell(event: Event) -> None:
        writer.write("".join(f"{line}\n" for line in narrator.tell(event.as_json())))

    try:
        return daemon.run(config, places, on_event=tell, ready=ready)
    except CannotRun as failure:
        complain(str(failure))
        return failure.status
    finally:
        writer.finish(_LAST_WORDS)


def _names(tree: "SupervisorSpec") -> Iterator[str]:
    from procsup.core.spec import SupervisorSpec

    unseen: list[ChildSpec] = [tree]
    while unseen:
        child = unseen.pop()
        yield child.name
        if isinstance(child, SupervisorSpec):
            unseen.extend(child.children)
