"""`start-child` and `delete-child`: the tree of a running daemon grows and shrinks."""

import os
from typing import TYPE_CHECKING

import click

from procsup.cli.client import QUICK
from procsup.cli.options import complete_supervisors, connect, names_argument, socket_option, waiting_options
from procsup.cli.results import deleted, reached, tell_result, tell_results, told_to

if TYPE_CHECKING:
    from procsup.wire.decode import JSON


@click.command("start-child")
@click.argument("supervisor", shell_complete=complete_supervisors)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option("--name", help="Of the new worker. [default: the last part of the program's path]")
@click.option(
    "--restart",
    type=click.Choice(["permanent", "transient", "temporary"]),
    default="permanent",
    show_default=True,
)
@click.option("--cwd", type=click.Path(), help="Where CMD runs. [default: the folder of the daemon's file]")
@waiting_options
@socket_option
def start_child(
    supervisor: str,
    command: tuple[str, ...],
    name: str | None,
    restart: str,
    cwd: str | None,
    wait: bool,
    timeout: float | None,
) -> int:
    """Add a worker to a supervisor and start it.

    It is the last child of SUPERVISOR and lives as one from the file does, until `delete-child` or until the supervisor
    itself is started anew. A relative program name with a slash is found from --cwd.
    """
    params: dict[str, JSON] = {
        "supervisor": supervisor,
        "command": list(command),
        "name": name,
        "restart": restart,
        "cwd": None if cwd is None else os.path.abspath(cwd),
        "wait": wait,
    }
    with connect() as client:
        if wait:
            return tell_result(client.call_patiently("start_child", params, timeout), reached)
        return tell_result(client.call("start_child", params, timeout or QUICK), told_to("start"))


@click.command("delete-child")
@names_argument(required=True)
@socket_option
def delete_child(names: tuple[str, ...]) -> int:
    """Take children that are down out of the tree.

    A child that runs is refused: `stop` it first.
    """
    with connect() as client:
        return tell_results(client.call("delete_child", {"names": list(names)}), deleted)
