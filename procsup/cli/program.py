"""The program `procsup`: its commands, each loaded when it is called, and how every way to fail ends.

Every command is a function that returns its exit status. What fails raises CannotDo, which is printed here.
"""

import os
from collections.abc import Sequence
from importlib import import_module

import click

from procsup import __version__
from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.options import socket_option
from procsup.cli.terminal import complain, prepare, say, silence

_COMMANDS = {
    "run": "run:run",
    "check": "check:check",
    "status": "status:status",
    "tree": "status:tree",
    "start": "operate:start",
    "stop": "operate:stop",
    "restart": "operate:restart",
    "signal": "operate:signal",
    "logs": "logs:logs",
    "events": "events:events",
    "why": "why.command:why",
    "timeline": "timeline.command:timeline",
    "start-child": "children:start_child",
    "delete-child": "children:delete_child",
    "reload": "reload:reload",
    "shutdown": "shutdown:shutdown",
    "version": "version:version",
}
"""Where each command is, below procsup.cli; in the order of the help."""

_COMPLETE = "_PROCSUP_COMPLETE"


class Program(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"procsup.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(_unknown(args[0]))
        return super().resolve_command(ctx, args)


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""
    \b
    Exit status: 0 done, 1 failed, 2 usage, 3 something that should run does not (status),
    4 no such name, 5 refused, 6 no daemon at the socket, 7 timed out. Of run: 69 the tree
    could not start, 70 the root gave up, 73 another daemon holds the socket or the state
    directory. Of run and check: 78 configuration.

    \b
    Completion of commands and of the names in the running tree:
      bash  eval "$(_PROCSUP_COMPLETE=bash_source procsup)"     in ~/.bashrc
      zsh   eval "$(_PROCSUP_COMPLETE=zsh_source procsup)"      in ~/.zshrc
      fish  _PROCSUP_COMPLETE=fish_source procsup | source      in ~/.config/fish/config.fish
    """,
)
@socket_option
@click.version_option(__version__, prog_name="procsup", message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context) -> int:
    """Supervise ordinary programs as Erlang/OTP supervises processes.

    `procsup run FILE` is the daemon; all other commands but `check` talk to it over its socket.
    """
    if ctx.invoked_subcommand is None:
        say(ctx.get_help() + "\n")
    return ExitStatus.USAGE


def obey(words: Sequence[str]) -> int:
    """Does what the words after `procsup` say; the exit status."""
    prepare()
    try:
        return int(_obey(words))
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CannotDo as error:
        if error.message:
            complain(error.message)
        return error.status
    except BrokenPipeError:  # in click's own output: --help | head -1
        silence()
        return ExitStatus.OUTPUT_CLOSED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def _obey(words: Sequence[str]) -> int:
    instruction = os.environ.get(_COMPLETE)
    if instruction is not None:
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, "procsup", _COMPLETE, instruction)
    with program.make_context("procsup", list(words)) as context:
        status: int = program.invoke(context)
        return status


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, _COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see `procsup --help`"
    return f"no such command {word!r}; {hint}"
