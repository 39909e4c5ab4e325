"""The spawner process of a daemon (it is not there before a worker needs it), and what it starts."""

import contextlib
import os
from pathlib import Path

from tests.kit import processes
from tests.kit.daemon import Daemon


def spawner_of(daemon: Daemon) -> int | None:
    """Its pid."""
    return next((pid for pid in _likes_of_it(daemon) if _takes_orders(pid)), None)


def unborn_of(daemon: Daemon) -> list[int]:
    """Processes that have not executed their program so far."""
    return [pid for pid in _likes_of_it(daemon) if not _takes_orders(pid)]


def zombies_of(daemon: Daemon) -> list[int]:
    """Children of the daemon that have ended, and that it has not reaped so far."""
    found = []
    for pid in _children_of(daemon.pid):
        with contextlib.suppress(ProcessLookupError):
            if processes.stat_of(pid).state == "Z":
                found.append(pid)
    return found


def _likes_of_it(daemon: Daemon) -> list[int]:
    return [pid for pid in _children_of(daemon.pid) if "procsup.runtime.spawner" in processes.command_of(pid)]


def _takes_orders(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/0").startswith("socket:")
    except OSError:
        return False


def _children_of(pid: int) -> list[int]:
    """Of all its threads."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found
