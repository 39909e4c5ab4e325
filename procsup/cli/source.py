"""Where events are read from: the journal of the daemon that answers, or of a state directory whose daemon may be dead.

Of a daemon that answers its `status` comes along. Where none does, the journal is taken that a daemon of this user
would keep, unless a socket was named: that might have been another daemon's.
"""

import os
import time
from typing import NamedTuple

from procsup.cli.answers import Row, Status, as_status
from procsup.cli.client import Client
from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.options import connect, given_socket
from procsup.cli.terminal import complain
from procsup.runtime.places import default_state_dir
from procsup.runtime.procfs import stat_of
from procsup.wire.events import JOURNAL_FILE

_SLACK = 2.0
"""Seconds: the kernel's time of boot is whole seconds."""


class Source(NamedTuple):
    """`is_alive`: the daemon that keeps this journal runs. `status` is its answer, where it was asked."""

    folder: str
    is_alive: bool
    status: Status | None

    @property
    def rows(self) -> dict[str, Row]:
        """By path, in tree order."""
        return {row["path"]: row for row in self.status["tree"]} if self.status is not None else {}


def journal_of(client: Client) -> str:
    """The state directory of the daemon that answers.

    Raises:
        CannotDo: it does not.
    """
    return as_status(client.call("status", {"names": []}))["daemon"]["state_dir"]


def find_source(state_dir: str | None) -> Source:
    """Raises:
    CannotDo: no daemon answers, and where its journal would be is not known, or there is none.
    """
    if state_dir is not None:
        return _of_folder(os.path.abspath(state_dir))
    try:
        with connect() as client:
            status = as_status(client.call("status", {"names": []}))
    except CannotDo as error:
        if error.status is not ExitStatus.NO_DAEMON:
            raise
        folder = default_state_dir(os.environ, os.getuid())
        if _is_socket_named() or not os.path.exists(os.path.join(folder, JOURNAL_FILE)):
            hint = "; or read what one that has ended left behind, with --state-dir FOLDER"
            raise CannotDo(error.message + hint, error.status) from None
        return _of_folder(folder)
    failing = status["daemon"]["journal_error"]
    if failing:
        complain(f"the journal cannot be written ({failing}): what has happened since is not in it yet")
    return Source(status["daemon"]["state_dir"], True, status)


def _of_folder(folder: str) -> Source:
    return Source(folder, _is_in_use(os.path.join(folder, "lock")), None)


def _is_socket_named() -> bool:
    return bool(given_socket() or os.environ.get("PROCSUP_SOCKET"))


def _is_in_use(lock: str) -> bool:
    """Whether the daemon runs that wrote its pid there (runtime/lock.py). To try the lock would disturb others."""
    try:
        with open(lock, encoding="ascii") as file:
            pid = int(file.read(32).partition(" ")[0])
            locked = os.fstat(file.fileno()).st_mtime
        holder = stat_of(pid)
        if holder is None or not holder.is_alive:
            return False
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
        began = time.time() - up + holder.started / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return False
    return began <= locked + _SLACK  # else the number belongs to another process by now
