"""`start`, `stop`, `restart` and `signal`: an operator's wish for children that are in the tree."""

from typing import TYPE_CHECKING

import click

from procsup.cli.client import QUICK
from procsup.cli.options import connect, names_argument, socket_option, waiting_options
from procsup.cli.results import reached, sent, tell_results, told_to

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from procsup.wire.decode import JSON


@click.command()
@names_argument(required=True)
@waiting_options
@socket_option
def start(names: tuple[str, ...], wait: bool, timeout: float | None) -> int:
    """Let children run that are down.

    Waits until each is up. NAME is a name, a path (kingdom/lab/spy_left) or a glob ('spy_*').
    """
    return _wish("start", names, wait, timeout)


@click.command()
@names_argument(required=True)
@waiting_options
@socket_option
def stop(names: tuple[str, ...], wait: bool, timeout: float | None) -> int:
    """Stop children and hold them down until `start`.

    Waits until each is down: until no process of its group is left. Neither a crash of a sibling nor a restart of the
    group brings a held child back.
    """
    return _wish("stop", names, wait, timeout)


@click.command()
@names_argument(required=True)
@waiting_options
@socket_option
def restart(names: tuple[str, ...], wait: bool, timeout: float | None) -> int:
    """Stop children and start them again.

    Waits until each is up again. An operator's restart does not count for the supervisor's limit.
    """
    return _wish("restart", names, wait, timeout)


def _complete_signals(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    from signal import Signals

    from click.shell_completion import CompletionItem

    return [CompletionItem(signal.name) for signal in Signals if signal.name.startswith(incomplete)]


@click.command()
@click.argument("signal", metavar="SIGNAL", shell_complete=_complete_signals)
@names_argument(required=True)
@socket_option
def signal(signal: str, names: tuple[str, ...]) -> int:
    """Send a signal to the main process of workers.

    SIGNAL is a name, with or without SIG, or a number. A worker that it ends is restarted as its restart type says; to
    stop one for good use `stop`.
    """
    with connect() as client:
        return tell_results(client.call("signal", {"signal": signal, "names": list(names)}), sent(signal))


def _wish(method: str, names: tuple[str, ...], wait: bool, timeout: float | None) -> int:
    params: dict[str, JSON] = {"names": list(names), "wait": wait}
    with connect() as client:
        if wait:
            return tell_results(client.call_patiently(method, params, timeout), reached)
        return tell_results(client.call(method, params, timeout or QUICK), told_to(method))
