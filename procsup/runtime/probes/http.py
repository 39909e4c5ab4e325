"""As much of HTTP/1.1 (RFC 9112) as it takes to ask for something and to learn the status of the answer."""

import re

from procsup import __version__

MOST = 16384
"""Bytes within which the status has to come."""

_INTERIM = rb"HTTP/1\.[01] 1\d\d[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n"
_STATUS = re.compile(rb"(?:%b)*HTTP/1\.[01] ([2-5]\d\d)[ \r\n]" % _INTERIM)
_BEGINNING = b"HTTP/1."


def request(host: str, port: int, target: str) -> bytes:
    """A GET. `host` without brackets."""
    name = host.partition("%")[0]
    name = f"[{name}]" if ":" in name else name
    where = name if port == 80 else f"{name}:{port}"
    lines = (
        f"GET {target} HTTP/1.1", f"Host: {where}", f"User-Agent: procsup/{__version__}", "Accept: */*",
        "Connection: close", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode("ascii")


def status_of(answer: bytes) -> int | None:
    """Of what has come so far, interim answers passed over; None: it is not to be seen yet.

    Raises:
        ValueError: it never will be.
    """
    found = _STATUS.match(answer)
    if found is not None:
        return int(found[1])
    if answer[: len(_BEGINNING)] != _BEGINNING[: len(answer)] or len(answer) >= MOST:
        raise ValueError("what answers there does not speak HTTP/1")
    return None
