"""What a service manager is told: sd_notify(3), where $NOTIFY_SOCKET says that somebody listens.

    READY                   the tree is up, or a reload is over
    STATUS                  the health of the tree, when it says something new, at most once a second
    RELOADING               a reload has begun
    STOPPING                the tree is being stopped, by whomever
    EXTEND_TIMEOUT_USEC     "still at it", every few seconds, while the tree starts, reloads or stops: how long that
                            may take is said in the tree file (start_timeout, shutdown), and no manager cuts it short
    WATCHDOG                from the loop itself, at half of $WATCHDOG_USEC: a loop that hangs is found out

The manager knows the guardian as the service's main process, so the unit has to say NotifyAccess=all.

Laws: nothing here blocks or raises; a manager that does not listen misses something. Without a socket there is nothing
to do, ever, and without a watchdog nothing while nothing happens.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from enum import Enum

STATUS_EVERY = 1.0
"""Seconds between two STATUS at least: a tree in trouble has much to say."""

EXTEND_EVERY = 5.0
EXTENSION = 30.0
"""How often the manager is asked for patience, and for how much, in seconds."""


class _Phase(Enum):
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"


class ServiceManager:
    """Times are in seconds of the monotonic clock. `describe` is asked for the STATUS when one is due."""

    def __init__(self, environ: Mapping[str, str], own_pids: Collection[int], describe: Callable[[], str]) -> None:
        """`own_pids`: whom the manager may mean by $WATCHDOG_PID."""
        self._describe = describe
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._socket = _datagram_socket() if self._address else None
        self._ping_every = _watchdog_seconds(environ, own_pids) / 2
        self._phase = _Phase.STARTING
        self._told = ""
        self._next_status = 0.0
        """Not before this."""
        self._due: dict[str, float] = {}
        """what is to be said next → when"""
        self._ask_for_patience()
        if self._socket is not None and self._ping_every:
            self._due["WATCHDOG"] = 0.0

    def ready(self) -> None:
        """The tree is up, or a reload is over. Means nothing any more once it is being stopped."""
        if self._phase is not _Phase.STOPPING:
            self._phase = _Phase.UP
            self._due.pop("EXTEND", None)
            self._tell("READY=1", self._status())

    def reloading(self) -> None:
        """`ready` ends it."""
        if self._phase is _Phase.UP:
            self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
            self._ask_for_patience()

    def stopping(self) -> None:
        """From now on the manager is asked for patience, until the daemon ends. Told once."""
        if self._phase is not _Phase.STOPPING:
            self._phase = _Phase.STOPPING
            self._tell("STOPPING=1", self._status())
            self._ask_for_patience()

    def changed(self, now: float) -> None:
        """`describe` may have something new to say."""
        if self._socket is not None:
            self._due.setdefault("STATUS", max(now, self._next_status))

    def next_deadline(self) -> float | None:
        """When `poll` has something to say; None: not before something happens."""
        return min(self._due.values(), default=None)

    def poll(self, now: float) -> None:
        for what in [what for what, when in self._due.items() if when <= now]:
            match what:
                case "WATCHDOG":
                    self._due[what] = now + self._ping_every
                    self._tell("WATCHDOG=1")
                case "EXTEND":
                    self._due[what] = now + EXTEND_EVERY
                    self._tell(f"EXTEND_TIMEOUT_USEC={int(EXTENSION * 1_000_000)}")
                case _:
                    del self._due[what]
                    if self._describe() != self._told:
                        self._next_status = now + STATUS_EVERY
                        self._tell(self._status())

    def close(self) -> None:
        """With a last word on how it ended."""
        if self._socket is not None:
            self._tell(self._status())
            self._socket.close()

    def _ask_for_patience(self) -> None:
        """From the next poll on."""
        if self._socket is not None:
            self._due["EXTEND"] = 0.0

    def _status(self) -> str:
        self._told = self._describe()
        return f"STATUS={self._told}"

    def _tell(self, *words: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto("\n".join(words).encode("utf-8", "backslashreplace"), self._address)


def _datagram_socket() -> socket.socket | None:
    try:
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError:
        return None


def _address(path: str) -> str | bytes:
    """Empty when nobody listens. An "@" stands for the NUL of an abstract address; only unix(7) is understood."""
    if path.startswith("@"):
        return b"\0" + os.fsencode(path[1:])
    return path if path.startswith("/") else ""


def _watchdog_seconds(environ: Mapping[str, str], own_pids: Collection[int]) -> float:
    """0 when there is no watchdog, or another process is meant. sd_watchdog_enabled(3)."""
    micros, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (micros.isascii() and micros.isdigit()) or (pid and pid not in map(str, own_pids)):
        return 0.0
    return int(micros) / 1_000_000
