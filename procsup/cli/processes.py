"""What the kernel knows of the workers' processes: processor time and memory, read here and not by the daemon.

A pid is believed only while its parent is the daemon: every worker is the daemon's own child (DESIGN § 8), so that is
stronger than comparing start times, needs no clock, and holds in another pid namespace too, where the numbers would
mean strangers.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Usage(NamedTuple):
    """`cpu_seconds` is user plus system time since the process began, `rss` its resident bytes."""

    cpu_seconds: float
    rss: int


def usage_of(pids: Iterable[int], daemon: int) -> dict[int, Usage]:
    """Of those pids that are children of `daemon` and that we may look at. O(pids)."""
    import psutil  # slow to load, and `tree` does without

    found: dict[int, Usage] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                if process.ppid() == daemon:
                    times = process.cpu_times()
                    found[pid] = Usage(times.user + times.system, process.memory_info().rss)
        except (psutil.Error, ValueError, OverflowError):  # gone, hidden from us, or no pid at all
            continue
    return found
