"""Who lives and what they use, read from /proc. Zombies count as dead, and as using nothing."""

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterable

import psutil

_LOOK = 0.05


def descendants(pid: int) -> list[int]:
    """Of a process that may be gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def marked(variable: str) -> list[int]:
    """Every process, but this one, that was given this variable in its environment, and whose environment is known."""
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid in pids if pid != os.getpid() and _is_marked(pid, variable.encode() + b"=")]


def program_of(pid: int) -> str | None:
    """None when it is gone, or not ours to know."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return None


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def resident(pid: int) -> int:
    """Bytes, VmRSS of proc_pid_status(5)."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def switches(pids: Iterable[int]) -> int:
    """How often any thread of these processes has left a CPU so far. Who sleeps on adds nothing."""
    return sum(_switches_of(pid) for pid in pids)


def written(pid: int) -> int:
    """Bytes that a process of ours has given to write(2) so far, proc_pid_io(5)."""
    with open(f"/proc/{pid}/io") as io:
        return int(next(line for line in io if line.startswith("wchar:")).split()[1])


def wait_until_quiet(pids: Collection[int], seconds: float, deadline: float) -> bool:
    """Wait until none of these processes has been on a CPU for so long; False when that does not happen in time."""
    end = time.monotonic() + deadline
    quiet_since, known = time.monotonic(), switches(pids)
    while time.monotonic() < end:
        time.sleep(_LOOK)
        if (now := switches(pids)) != known:
            quiet_since, known = time.monotonic(), now
        elif time.monotonic() - quiet_since >= seconds:
            return True
    return False


def _is_marked(pid: int, beginning: bytes) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environ:
        return any(one.startswith(beginning) for one in environ.read().split(b"\0"))
    return False


def _switches_of(pid: int) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return total
