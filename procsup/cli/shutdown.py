"""`shutdown`: the whole tree is stopped and the daemon ends."""

import click

from procsup.cli.client import QUICK
from procsup.cli.options import connect, socket_option, waiting_options
from procsup.cli.terminal import say


@click.command()
@waiting_options
@socket_option
def shutdown(wait: bool, timeout: float | None) -> int:
    """Stop the whole tree, in reverse order, and end the daemon.

    Waits until the daemon has gone, and another one may be started.
    """
    with connect() as client:
        if not wait:
            client.call("shutdown", {"wait": False}, timeout or QUICK)
            say("the tree is being stopped\n")
            return 0
        answer = client.call_patiently("shutdown", {"wait": True}, timeout)
        client.wait_hang_up(QUICK)
    status = answer.get("status") if isinstance(answer, dict) else None
    say(f"the tree is down; the daemon ended with status {status}\n")
    return 0
