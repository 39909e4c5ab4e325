"""Where things are: the socket, the state and the logs, by option, environment, file and default (DESIGN § 2 and § 6).

Imports nothing heavy: every client command asks for the socket's path.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from procsup.config.config import DaemonSettings


class Places(NamedTuple):
    """Absolute paths."""

    socket: str
    state_dir: str
    log_dir: str


def choose(
    settings: "DaemonSettings",
    environ: Mapping[str, str],
    uid: int,
    *,
    socket: str | None = None,
    state_dir: str | None = None,
    log_dir: str | None = None,
) -> Places:
    """The places of a daemon. What is given by name are the options of the command line."""
    state = _absolute(state_dir) or settings.state_dir or default_state_dir(environ, uid)
    logs = _absolute(log_dir) or settings.log_dir or _first(environ.get("LOGS_DIRECTORY"))
    if logs is None:
        logs = "/var/log/procsup" if uid == 0 else os.path.join(state, "logs")
    return Places(socket_path(socket, environ, uid, settings.socket), state, logs)


def socket_path(option: str | None, environ: Mapping[str, str], uid: int, setting: str | None = None) -> str:
    """The daemon's socket: option, $PROCSUP_SOCKET, the file's setting (unknown to clients), then the default."""
    return (
        _absolute(option) or _absolute(environ.get("PROCSUP_SOCKET")) or setting or _default_socket(environ, uid)
    )  # fmt: skip


def default_state_dir(environ: Mapping[str, str], uid: int) -> str:
    given = _first(environ.get("STATE_DIRECTORY"))
    if given is not None:
        return given
    if uid == 0:
        return "/var/lib/procsup"
    home = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local/state")
    return os.path.join(home, "procsup")


def _default_socket(environ: Mapping[str, str], uid: int) -> str:
    runtime = _first(environ.get("RUNTIME_DIRECTORY"))
    if runtime is not None:
        return os.path.join(runtime, "procsup.sock")
    if uid == 0:
        return "/run/procsup/procsup.sock"
    folder = environ.get("XDG_RUNTIME_DIR")
    if folder:
        return os.path.join(folder, "procsup", "procsup.sock")
    return os.path.join(default_state_dir(environ, uid), "procsup.sock")


def _first(folders: str | None) -> str | None:
    """systemd separates several directories by colons; the first is ours."""
    return folders.split(":")[0] if folders else None


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(path) if path else None
