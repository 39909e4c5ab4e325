"""Waiting for children: the only place that calls waitpid. Imports nothing heavy: the guardian lives on it."""

import os
import signal


def reap(pid: int) -> int | None:
    """The wait status of this child, which is gone with that, or None when it has not ended (or was reaped before)."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if reaped == pid else None


def reap_any() -> tuple[int, int] | None:
    """Pid and wait status of a child that has ended, or None. O(children): the kernel walks them all."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def is_child(pid: int) -> bool:
    """Whether this is a child of ours that was not reaped yet."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def wait_for(pid: int) -> int:
    """Reap a child that is no worker and ends by itself; its exit status, or 128 and the signal that ended it."""
    return exit_status(os.waitpid(pid, 0)[1])


def kill_and_wait_for(pid: int) -> int:
    """The same of a child that has not been reaped yet."""
    os.kill(pid, signal.SIGKILL)
    return wait_for(pid)


def exit_status(status: int) -> int:
    """What a shell makes of a wait status."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
