"""`version`: of this program, and of the daemon where one runs."""

import click

from procsup import __version__
from procsup.cli.exits import CannotDo
from procsup.cli.options import connect, socket_option
from procsup.cli.printable import printable
from procsup.cli.terminal import say

_PATIENCE = 2.0
"""Seconds; the daemon's version is an extra here."""


@click.command()
@socket_option
def version() -> int:
    """Print the version, and that of the daemon if one runs."""
    say(f"procsup {__version__}\n{_of_daemon()}\n")
    return 0


def _of_daemon() -> str:
    try:
        with connect(_PATIENCE) as client:
            answer = client.call("version", {}, _PATIENCE)
            if isinstance(answer, dict):
                return printable(f"daemon {answer.get('version')}, pid {answer.get('pid')}, at {client.path}")
            return printable(f"no version known of what answers at {client.path}")
    except CannotDo as error:
        return error.message.partition("; ")[0]
