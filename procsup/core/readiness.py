"""Readiness: what tells that a worker, once executed, is ready (DESIGN § 5), as frozen values.

How each is watched is the runtime's business. It watches a life from Started on, tries again what has failed once (a
connection, a request, a command), and answers with BecameReady, once; it stops watching then, and when the main process
has ended or anything was signalled to the life. The core asks one thing only, whether the execution itself is enough.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AtExec:
    """The program was executed."""


@dataclass(frozen=True, slots=True)
class Notify:
    """READY=1 on the socket that NOTIFY_SOCKET names. As sd_notify(3)."""


@dataclass(frozen=True, slots=True)
class OnChannel:
    """{"type": "ready"} on the worker's outbox."""


@dataclass(frozen=True, slots=True)
class Newline:
    """A newline on this descriptor of the worker, 3 or more. As s6-notifywhenup."""

    fd: int


@dataclass(frozen=True, slots=True)
class Connection:
    """Somebody accepts TCP connections there. `host` is a name or an address, without brackets."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Response:
    """A GET is answered with a status of 200 to 399. `target` is what stands in the request line, "/health?full=1"."""

    host: str
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Success:
    """A command, an argument vector, ends with 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A captured line of output in which this regular expression is found."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Elapsed:
    """It still runs so many seconds (above 0) after its execution."""

    seconds: float


Ready = AtExec | Notify | OnChannel | Newline | Connection | Response | Success | Line | Elapsed

AT_EXEC = AtExec()


def is_ready_at_exec(ready: Ready) -> bool:
    return isinstance(ready, AtExec)
