"""The forerunner: a short-lived child that reads the command line of `run`, so that the daemon never loads click.

click and what it needs take a quarter of the memory that the daemon may have. So `procsup run` forks before it has
imported anything, the child reads the command line as every command does (with its help and its usage errors), and
what it understood comes back over a pipe. If nothing comes, the child has said all there was to say, and its exit
status is ours.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

_pipe = -1
"""In the forerunner, the write end."""


class Errand(NamedTuple):
    """What `run` is to do: its options, as given."""

    file: str
    detach: bool
    verbose: bool
    socket: str | None
    state_dir: str | None
    log_dir: str | None
    strict: bool


def send_ahead(words: Sequence[str]) -> Errand | int:
    """What `run` is to do, or the exit status when there is nothing (more) to do."""
    global _pipe
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as a caller may have left it, it would reap for us
    told, tell = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:  # the process table is full: then without a forerunner
        from procsup.cli.program import obey

        return obey(words)
    if pid == 0:
        os.close(told)
        _pipe = tell
        from procsup.cli.program import obey

        sys.exit(obey(words))
    os.close(tell)
    with open(told, "rb") as pipe:
        message = pipe.read()

    from procsup.runtime.wait import wait_for

    status = wait_for(pid)
    return Errand(*json.loads(message)) if message else status


def hand_over(errand: Errand) -> int:
    """Called by the command: tell the waiting parent; where there is none, do it here."""
    if _pipe < 0:
        from procsup.cli.launch import launch

        return launch(errand)
    os.write(_pipe, json.dumps(errand).encode())
    return 0
