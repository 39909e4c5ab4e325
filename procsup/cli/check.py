"""`check`: what procsup understands of a tree file, and what it has to say about it."""

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


@click.command()
@click.argument("file", type=click.Path())
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the tree and the complaints; see above.")
def check(file: str, strict: bool, as_json: bool) -> int:
    """Show the tree of FILE and all that is wrong with it.

    Starts nothing. Ends with status 78 when the file cannot be used, or with --strict when there is a warning.

    \b
    --json prints {"ok", "file", "tree", "errors", "warnings"}: ok is true when
    there are no errors; tree is null or the root {"type": "supervisor", "name",
    "strategy", "intensity", "period", "auto_shutdown", "restart", "significant",
    "shutdown", "children": [...]}, with workers {"type": "worker", "name",
    "command", "target", "args", "cwd", "env", "inherit_env", "user", "group",
    "umask", "nice", "limits", "stdin", "stdout", "stderr", "log", "restart",
    "significant", "shutdown", "stop_signal", "normal_exits", "ready",
    "start_timeout", "links", "monitors", "trap_exits", "channel"}; a complaint
    is {"file", "line", "path", "problem", "found", "expected", "hint"}.
    """
    if given_socket() is not None:
        raise click.UsageError("check talks to no daemon: --socket means nothing here")
    outcome = understand(file)
    usable = is_usable(outcome, strict)
    say(_in_json(file, outcome) if as_json else _in_words(file, outcome, usable))
    return ExitStatus.DONE if usable else ExitStatus.CONFIG


def _in_json(file: str, outcome: "Config | ConfigError") -> str:
    from procsup.config.render import as_json, json_text

    return json_text(as_json(file, outcome)) + "\n"


def _in_words(file: str, outcome: "Config | ConfigError", usable: bool) -> str:
    from procsup.config.render import tree_lines

    drawn = "" if isinstance(outcome, Exception) else "".join(f"{line}\n" for line in tree_lines(outcome))
    complaints = complaints_of(outcome)
    verdict = f"{printable(file)} {'can be run' if usable else 'cannot be used'}"
    if complaints:
        verdict += f": {counted(complaints)}"
    return f"{drawn}{in_full(complaints)}{verdict}\n"
