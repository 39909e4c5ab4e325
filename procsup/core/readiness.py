"""Readiness: what tells that a worker, once executed, is ready (DESIGN § 5), as frozen values.

How each is watched is the runtime's business. It watches a life from Started on, tries again what has failed once (a
connection, a request, a command), and answers with BecameReady, once; it stops watching then, and when the main process
has ended or anything was signalled to the life. The core asks one thing only, whether the execution itself is enough.
"""

from dataclasses import dataclass
from typing import assert_never


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


def awaited(ready: Ready) -> str:
    """What is waited for once the program was executed, after "waits for"; "" for nothing."""
    match ready:
        case AtExec():
            return ""
        case Notify():
            return "READY=1 at its NOTIFY_SOCKET"
        case OnChannel():
            return "ready on its channel"
        case Newline(fd=fd):
            return f"a newline on descriptor {fd}"
        case Connection(host=host, port=port):
            return f"tcp {_place(host, port)}"
        case Response(host=host, port=port, target=target):
            return f"http://{_place(host, port)}{target}"
        case Success(command=command):
            return f"command {' '.join(command)}"
        case Line(pattern=pattern):
            return f"line {pattern}"
        case Elapsed(seconds=seconds):
            return f"{seconds:g}s to pass"
        case _:
            assert_never(ready)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ready_at_exec(ready: Ready) -> bool:
    return isinstance(ready, AtExec)
