"""What several commands share: where the daemon is, how long to wait, and names that the shell can complete."""

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from procsup.cli.client import QUICK, Client
from procsup.cli.units import seconds_from

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

_SOCKET = "procsup.cli.socket"


def socket_option(command: Command) -> Command:
    """`--socket`, before the command's name or after it; the one after it counts."""
    return click.option(
        "--socket",
        metavar="PATH",
        type=click.Path(),
        callback=_remember_socket,
        expose_value=False,
        help="The daemon's socket. [default: $PROCSUP_SOCKET, or where a daemon of this user puts it]",
    )(command)


def state_dir_option(command: Command) -> Command:
    """`--state-dir`, of commands that read the journal."""
    return click.option(
        "--state-dir",
        metavar="FOLDER",
        type=click.Path(),
        help="Read the journal in this state directory, and ask no daemon.",
    )(command)


def since_option(what: str) -> Callable[[Command], Command]:
    """`--since`, in seconds since 1970."""
    return click.option(
        "--since",
        metavar="TIME",
        callback=_moment,
        help=f"{what}: so long ago (30s, 10m, 2h), or a time (12:30, '2026-03-01 12:30'), local unless it has a Z or "
        "an offset.",
    )


def given_socket() -> str | None:
    """What `--socket` of the running command says."""
    path: str | None = click.get_current_context().meta.get(_SOCKET)
    return path


def connect(timeout: float = QUICK) -> Client:
    """Raises:
    CannotDo: no daemon there.
    """
    from procsup.runtime.places import socket_path

    return Client(socket_path(given_socket(), os.environ, os.getuid()), timeout)


def waiting_options(command: Command) -> Command:
    """`--no-wait` and `--timeout`."""
    timeout = click.option(
        "--timeout",
        metavar="TIME",
        callback=_seconds,
        help="Give up waiting after this long (30, 500ms, 2m), with status 7. What was asked for goes on.",
    )
    no_wait = click.option(
        "--no-wait",
        "wait",
        flag_value=False,
        type=bool,
        default=True,
        help="Return once the daemon has been told, without waiting for the wanted state.",
    )
    return no_wait(timeout(command))


def names_argument(required: bool) -> Callable[[Command], Command]:
    return click.argument(
        "names",
        nargs=-1,
        required=required,
        metavar="NAME..." if required else "[NAME]...",
        shell_complete=complete_names,
    )


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list["CompletionItem[str]"]:
    from procsup.cli.completion import names_of_tree

    with ctx.scope(cleanup=False):
        return names_of_tree(incomplete)


def complete_supervisors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list["CompletionItem[str]"]:
    from procsup.cli.completion import names_of_tree

    with ctx.scope(cleanup=False):
        return names_of_tree(incomplete, "supervisor")


def _seconds(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else seconds_from(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _moment(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    from procsup.cli.moment import moment_from

    try:
        return None if text is None else moment_from(text, datetime.now())
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _remember_socket(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    if path is not None:
        ctx.meta[_SOCKET] = path
