"""What tells that a worker is ready: the key `ready` (DESIGN § 5), a word or a table of one key."""

import re
from typing import NoReturn

from procsup.config.durations import EXPECTED as EXPECTED_DURATION
from procsup.config.place import Place, Rejected, listed, shown
from procsup.config.table import Keys, read_table
from procsup.config.values import command, duration_above_zero, text, whole_number
from procsup.core.readiness import (
    AT_EXEC,
    Connection,
    Elapsed,
    Line,
    Newline,
    Notify,
    OnChannel,
    Ready,
    Response,
    Success,
)

_WORDS: dict[str, Ready] = {"exec": AT_EXEC, "notify": Notify(), "channel": OnChannel()}

_FIRST_FD, _LAST_FD = 3, 1023
_EXPECTED_TCP = "'host:port', such as 'localhost:8080' or '[::1]:8080'"
_EXPECTED_HTTP = "'http://host:port/path' in ASCII without spaces, which are written as %20, and without fragment"
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?")
_TCP = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*)):([0-9]{1,9})")
_HTTP = re.compile(r"http://(?:\[([^\]/?#]*)\]|([^:/?#@\[\]]*))(?::([0-9]{1,9}))?(/[!-\"$->@-~]*)?(\?[!-\"$-~]*)?")


def ready(place: Place, value: object) -> Ready:
    if isinstance(value, dict):
        return _of_table(place, value)
    if not isinstance(value, str):
        _reject(place, value, "neither a word nor a table")
    word = text(place, value)
    if word not in _WORDS:
        _reject(place, word, "no such way to be ready", place.reading.did_you_mean(word, (*_WORDS, *_TABLE)))
    return _WORDS[word]


def _of_table(place: Place, table: dict[str, object]) -> Ready:
    row = read_table(place, table, _TABLE)
    if len(table) != 1:
        _reject(place, table, "more than one way to be ready" if table else "an empty table")
    for found in row.values.values():
        assert isinstance(found, Ready)
        return found
    raise Rejected


def _reject(place: Place, value: object, problem: str, hint: str = "") -> NoReturn:
    tables = ", ".join(f"{{ {key} = … }}" for key in _TABLE)
    place.reject(problem, found=shown(value), expected=f"{listed(_WORDS)}, or one of {tables}", hint=hint)


def _fd(place: Place, value: object) -> Ready:
    number = whole_number(place, value)
    if not _FIRST_FD <= number <= _LAST_FD:
        expected = f"a number between {_FIRST_FD} and {_LAST_FD}; 0, 1 and 2 are the standard streams"
        place.reject("no descriptor for this", found=shown(number), expected=expected)
    return Newline(number)


def _tcp(place: Place, value: object) -> Ready:
    if isinstance(value, int) and not isinstance(value, bool):
        place.reject("a port without a host", found=shown(value), expected=_EXPECTED_TCP)
    written = text(place, value)
    found = _TCP.fullmatch(written)
    if found is None:
        hint = "an IPv6 address takes brackets" if written.count(":") > 1 else ""
        if written.isdecimal():
            hint = f"write 'localhost:{written}'"
        place.reject("no address of TCP", found=shown(written), expected=_EXPECTED_TCP, hint=hint)
    host = _host(place, found[1] or found[2] or "", written, _EXPECTED_TCP)
    return Connection(host, _port(place, int(found[3]), written, _EXPECTED_TCP))


def _http(place: Place, value: object) -> Ready:
    written = text(place, value)
    found = _HTTP.fullmatch(written)
    if found is None:
        hint = "only plain HTTP is asked; for anything else write a command" if written.startswith("https:") else ""
        place.reject("no URL of HTTP", found=shown(written), expected=_EXPECTED_HTTP, hint=hint)
    host = _host(place, found[1] or found[2] or "", written, _EXPECTED_HTTP)
    port = _port(place, int(found[3] or "80"), written, _EXPECTED_HTTP)
    return Response(host, port, (found[4] or "/") + (found[5] or ""))


def _host(place: Place, host: str, written: str, expected: str) -> str:
    if not _HOST.fullmatch(host):
        problem = "no name or address of a host" if host else "there is no host"
        place.reject(problem, found=shown(written), expected=expected)
    return host


def _port(place: Place, port: int, written: str, expected: str) -> int:
    if not 1 <= port <= 65535:
        place.reject("no port", found=shown(written), expected=f"{expected}, the port between 1 and 65535")
    return port


def _command(place: Place, value: object) -> Ready:
    return Success(command(place, value))


def _line(place: Place, value: object) -> Ready:
    pattern = text(place, value)
    if not pattern:
        place.reject("an empty pattern, which any line has", found=shown(pattern), expected="a regular expression")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        place.reject(f"no regular expression: {error}", found=shown(pattern), expected="one that Python's re takes")
    return Line(pattern)


def _after(place: Place, value: object) -> Ready:
    return Elapsed(duration_above_zero(place, value, EXPECTED_DURATION))


_TABLE: Keys = {"fd": _fd, "tcp": _tcp, "http": _http, "command": _command, "line": _line, "after": _after}
