"""Signals to a process that need not be our child, and may be gone. Imports nothing heavy: the guardian lives on it."""

import contextlib
import os
import signal

from procsup.runtime import procfs
from procsup.runtime.procfs import Stat


def send_exactly(stat: Stat, number: int) -> None:
    """Send a signal to this very process, if it is still there: not to a successor that got its pid."""
    pidfd = _pidfd_of(stat.pid)
    if procfs.is_still_alive(stat):
        with contextlib.suppress(OSError):
            if pidfd >= 0:
                signal.pidfd_send_signal(pidfd, number)
            else:
                os.kill(stat.pid, number)
    if pidfd >= 0:
        os.close(pidfd)


def _pidfd_of(pid: int) -> int:
    """-1 where there is none, or none is to be had: then the start time alone must do."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1
