"""`events`: what happens in the tree, as it happens."""

import json
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import click

from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.narrate import Narrator
from procsup.cli.options import connect, names_argument, socket_option
from procsup.cli.paint import paint_for
from procsup.cli.terminal import say


@click.command()
@names_argument(required=False)
@click.option("-n", "count", metavar="N", type=click.IntRange(min=1), help="End after N events.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with everything that is known.")
@socket_option
def events(names: tuple[str, ...], count: int | None, as_json: bool) -> int:
    """Tell what happens in the tree, as it happens.

    From now on, until interrupted or the daemon ends. Of NAMEs only, when given: names, paths or globs; with a
    supervisor comes all below it. A start or a stop is told in one line, though it is several events.

    \b
    --json has in every event: seq, time (UTC), mono (seconds of the monotonic
    clock), event (daemon_started, starting, started, ready, start_failed, exited,
    stopping, stopped, restarting, gave_up, escalated, auto_shutdown, held,
    released, child_added, child_removed, lost_output, daemon_stopped), path, and
    cause, the seq of the event that led to this one, or null.
    """
    tell = _in_json if as_json else _in_words(Narrator(paint_for(sys.stdout)))
    told, last = 0, ""
    with connect() as client:
        for event in client.events():
            last = str(event.get("event"))
            if names and not concerns(event, names):
                continue
            if text := tell(event):
                say(text)
                told += 1
            if told == count:
                return ExitStatus.DONE
    if last == "daemon_stopped":
        return ExitStatus.DONE
    raise CannotDo("the daemon hung up: it died, or this reader was too slow for it", ExitStatus.FAILED)


def concerns(event: dict[str, Any], names: tuple[str, ...]) -> bool:
    """Whether the event happened to, or with, a child that one of `names` means, or to one below it."""
    words = [*_names_along(str(event.get("path"))), str(event.get("child"))]
    return any(fnmatchcase(word, name) for word in words for name in names)


def _names_along(path: str) -> Iterator[str]:
    """The path of each supervisor on the way down and its name, and so of the child itself."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        yield path[:end].rpartition("/")[2]
        end = path.find("/", end + 1)
    yield path
    yield path.rpartition("/")[2]


def _in_json(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"


def _in_words(narrator: Narrator) -> Any:
    return lambda event: "".join(f"{line}\n" for line in narrator.tell(event))
