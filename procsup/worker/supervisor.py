"""Supervisors of the tree, asked by a worker over its channel. As Elixir's Supervisor, but for what runs: a child is a
program, and not a function.

    pid = Supervisor.start_child("lab", ["bin/spy", "--ingredient", "left"], name="spy", restart="transient")
    Supervisor.which_children("lab")                # [Child(id='spy', pid=4711, type='worker')]
    Supervisor.terminate_child("lab", "spy")

As in OTP a supervisor serves one call at a time, and none while it starts its children: who asks its own supervisor
before it is ready() waits for itself. Who does not run as the daemon's user may only look.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from procsup.worker.mailbox import mine
from procsup.worker.values import NoChannel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from procsup.worker.channel import Channel


class Child(NamedTuple):
    """`pid` is "undefined" or "restarting" when the child has no process, and None for a supervisor, which is none."""

    id: str
    pid: int | str | None
    type: Literal["worker", "supervisor"]


class Supervisor:
    """Elixir's module of this name; there are no instances. Each call waits for its answer.

    Raises:
        Refused: the answer is an error.
        NoChannel: this process has not attached.
        Exit: "noconnection": the daemon is gone.
    """

    @staticmethod
    def which_children(supervisor: str) -> list[Child]:
        """In start order."""
        rows = _channel(supervisor).ask("which_children", supervisor=supervisor)
        return [Child(row["id"], row["pid"], row["type"]) for row in rows]

    @staticmethod
    def start_child(
        supervisor: str,
        command: Sequence[str],
        *,
        name: str | None = None,
        restart: Literal["permanent", "transient", "temporary"] = "permanent",
        cwd: str | None = None,
    ) -> int | None:
        """Add a child and start it; its pid, when it is ready. None if it has ended since. `name` defaults to the last
        part of the program's path, `cwd` to the folder of the tree file.

        Raises:
            Refused: "already_started", "already_present", "failed", ...
        """
        given = {"name": name, "cwd": cwd}
        chosen = {key: value for key, value in given.items() if value is not None}
        asked = _channel(supervisor).ask(
            "start_child", supervisor=supervisor, command=list(command), restart=restart, **chosen
        )
        pid: int | None = asked["pid"]
        return pid

    @staticmethod
    def terminate_child(supervisor: str, name: str) -> None:
        """Stop a child, and wait until it is down. Its spec stays, unless it is temporary.

        Raises:
            Refused: "not_found", ...
        """
        _channel(supervisor).ask("terminate_child", supervisor=supervisor, name=name)


def _channel(supervisor: str) -> "Channel":
    channel = mine().channel
    if channel is None:
        raise NoChannel(f"cannot ask {supervisor!r}: this process has no channel to a daemon; has it called attach()?")
    return channel
