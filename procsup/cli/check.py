"""`check`: what procsup understands of a tree file, and what it has to say about it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from procsup.cli.exits import ExitStatus
from procsup.cli.options import given_socket
from procsup.cli.printable import printable
from procsup.cli.terminal import say
from procsup.cli.understanding import complaints_of, counted, in_full, is_usable, understand

if TYPE_CHECKING:
    from procsup.config.complaint import ConfigError
    from procsup.config.config import Config
    from procsup.config.unit import Unit


@click.command()
@click.argument("file", type=click.Path())
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--unit", metavar="UNIT", help="Whether this unit of systemd, or the file at this path, suits the tree.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the tree and the complaints; see above.")
def check(file: str, strict: bool, unit: str | None, as_json: bool) -> int:
    """Show the tree of FILE, how long it may take to stop, and all that is wrong with it.

    With --unit, also whether that service unit of systemd waits so long, and can start and stop the tree at all; a unit
    of the system is named, any other given by its path. Starts nothing. Ends with status 78 when the file cannot be
    used, or with --strict when there is a warning.

    \b
    --json prints {"ok", "file", "tree", "stop", "unit", "errors", "warnings"}:
    ok is true when there are no errors; stop is null or {"seconds" (null: for
    ever), "unbounded": [path of a worker without a limit, ...]}; unit is null
    or {"file", "timeout_stop", "is_too_short", "hears_the_daemon"} (a daemon
    that is heard may ask for more time); tree is null or the root {"type":
    "supervisor", "name", "strategy", "intensity", "period", "auto_shutdown",
    "restart", "significant", "shutdown", "children": [...]}, with workers
    {"type": "worker", "name", "command", "target", "args", "cwd", "env",
    "inherit_env", "user", "group", "umask", "nice", "limits", "stdin",
    "stdout", "stderr", "log", "restart", "significant", "shutdown",
    "stop_signal", "normal_exits", "ready", "start_timeout", "links",
    "monitors", "trap_exits", "channel"}; a complaint is {"file", "line",
    "path", "problem", "found", "expected", "hint"}.
    """
    if given_socket() is not None:
        raise click.UsageError("check talks to no daemon: --socket means nothing here")
    outcome = understand(file)
    found = None if unit is None else _find(unit)
    if found is not None:
        outcome = _with_warnings(outcome, found)
    usable = is_usable(outcome, strict)
    say(_in_json(file, outcome, found) if as_json else _in_words(file, outcome, found, usable))
    return ExitStatus.DONE if usable else ExitStatus.CONFIG


def _find(name: str) -> "Unit":
    from procsup.config.unit import NoUnit, find_unit

    try:
        return find_unit(name)
    except NoUnit as failure:
        raise click.UsageError(str(failure)) from None


def _with_warnings(outcome: "Config | ConfigError", unit: "Unit") -> "Config | ConfigError":
    """And those about the unit."""
    from procsup.config.config import Config
    from procsup.config.stop_time import stop_time
    from procsup.config.unit import unit_complaints

    if not isinstance(outcome, Config):
        return outcome
    return replace(outcome, warnings=(*outcome.warnings, *unit_complaints(unit, stop_time(outcome.tree))))


def _in_json(file: str, outcome: "Config | ConfigError", unit: "Unit | None") -> str:
    from procsup.config.render import as_json, json_text

    return json_text(as_json(file, outcome, unit)) + "\n"


def _in_words(file: str, outcome: "Config | ConfigError", unit: "Unit | None", usable: bool) -> str:
    from procsup.config.render import stop_lines, tree_lines

    lines = [] if isinstance(outcome, Exception) else [*tree_lines(outcome), *stop_lines(outcome, unit)]
    complaints = complaints_of(outcome)
    verdict = f"{printable(file)} {'can be run' if usable else 'cannot be used'}"
    if complaints:
        verdict += f": {counted(complaints)}"
    return "".join(f"{line}\n" for line in lines) + f"{in_full(complaints)}{verdict}\n"
