"""`run`: its command line. What it asks for is done by serve.py, in a process that has not loaded click."""

import click

from procsup.cli import forerunner
from procsup.cli.options import given_socket, socket_option


@click.command()
@click.argument("file", type=click.Path())
@click.option("--detach", is_flag=True, help="Return when the tree is up, and leave the daemon in the background.")
@click.option("-v", "--verbose", is_flag=True, help="Show what the workers write, too.")
@socket_option
@click.option("--state-dir", metavar="FOLDER", type=click.Path(), help="Before [daemon] state_dir.")
@click.option("--log-dir", metavar="FOLDER", type=click.Path(), help="Before [daemon] log_dir.")
@click.option("--strict", is_flag=True, help="Warnings about FILE are errors.")
def run(file: str, detach: bool, verbose: bool, state_dir: str | None, log_dir: str | None, strict: bool) -> int:
    """Run the tree that FILE describes.

    This is the daemon. It tells on standard error what happens. SIGTERM and SIGINT stop the tree in order, another one
    hurries. Detached it writes to daemon.log in its state folder. With --verbose it shows what workers write that is
    captured, each line with the name, unless that is more than can be shown.

    \b
    Exit status: 0 stopped in order, 2 usage, 69 the tree could not start,
    70 the root gave up, 73 another daemon holds the socket or the state
    directory, 78 configuration.
    """
    return forerunner.hand_over(forerunner.Errand(file, detach, verbose, given_socket(), state_dir, log_dir, strict))
