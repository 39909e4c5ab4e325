"""Detaching: the daemon goes on in the background, and whoever called returns when the tree is up.

The daemon is a fork of the caller, in a session of its own, with nothing of the terminal left: standard error goes to a
log file. Over a pipe it tells the caller that the tree is up, or with which status it ended before that; if it can
tell neither, the pipe closes.
"""

import os
import traceback
from collections.abc import Callable

from procsup.runtime.failure import CannotRun
from procsup.runtime.lock import make_folder
from procsup.runtime.logfile import open_log

_UP = b"up"
_DIED = 70


def run_detached(serve: Callable[[Callable[[], None]], int], log_path: str) -> int:
    """Run `serve` in the background; it calls what it is given once the tree is up. In the caller: 0 once it is up, or
    the status with which it ended before, after its story so far was written to standard error. Never returns in the
    daemon.

    Raises:
        CannotRun: 73; the log cannot be made, or what the daemon raised.
    """
    make_folder(os.path.dirname(log_path), "the daemon's log")
    log = open_log(log_path)
    begin = os.fstat(log).st_size
    told, tell = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(told)
        _be_daemon(serve, log, tell)  # never returns
    os.close(tell)
    message = _read_all(told)
    os.close(log)
    if message == _UP:
        return 0
    status, _, why = message.decode().partition(" ")
    if why:
        raise CannotRun(why, int(status))
    os.write(2, _story(log_path, begin))
    return int(status) if status else _DIED


def _be_daemon(serve: Callable[[Callable[[], None]], int], log: int, tell: int) -> None:
    """Becomes the daemon and ends with it."""
    status, why = _DIED, ""
    is_up = False

    def ready() -> None:
        nonlocal is_up
        is_up = True
        os.write(tell, _UP)
        os.close(tell)

    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd, target in ((nowhere, 0), (nowhere, 1), (log, 2)):
            os.dup2(fd, target)
        os.close(nowhere)
        os.close(log)
        status = serve(ready)
    except CannotRun as failure:
        status, why = failure.status, failure.message
    except BaseException:  # noqa: BLE001  # the last thing that this process does is to tell
        traceback.print_exc()
    finally:
        if not is_up:
            os.write(tell, f"{status} {why}".encode())
        os._exit(status)


def _read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 64):
        parts.append(part)
    os.close(fd)
    return b"".join(parts)


def _story(log_path: str, begin: int) -> bytes:
    with open(log_path, "rb") as log:
        log.seek(begin)
        return log.read(1024 * 1024)
