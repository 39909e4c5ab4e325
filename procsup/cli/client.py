"""A connection to the daemon: one call at a time, and the events after a subscription.

The daemon is not trusted to be well: it may hang, hang up in mid-answer, or be something else that listens at this
path. Each of these is a CannotDo with words and an exit status; no OSError leaves this file.
"""

import errno
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from procsup.cli.exits import CannotDo, ExitStatus, TimedOut, status_of
from procsup.cli.printable import printable
from procsup.cli.units import exactly
from procsup.wire.decode import JSON
from procsup.wire.jsonrpc import encode_request

QUICK = 10.0
"""Seconds within which a healthy daemon answers whatever it need not wait for, with plenty to spare."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes; the status of 10,000 workers takes 3 MB."""


class Client:
    """Connected from the beginning; use it in a `with` statement.

    Raises, and so do its methods:
        CannotDo: no daemon there, or it cannot be understood, or it hung up; or its own words for why it did not do
            what was asked.
        TimedOut: it did not answer in time.
    """

    def __init__(self, path: str, timeout: float = QUICK) -> None:
        self.path = path
        self._last_id = 0
        self._unread = bytearray()
        self._searched = 0
        self._socket = _connected(path, timeout)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def call(self, method: str, params: Mapping[str, JSON], timeout: float | None = QUICK) -> JSON:
        """The result of one call."""
        self._last_id += 1
        deadline = None if timeout is None else time.monotonic() + timeout
        self._send(encode_request(method, params, self._last_id), deadline, timeout)
        while True:
            message = self._message(deadline, timeout)
            if message is None:
                raise CannotDo(f"the daemon at {self.path} hung up before it had answered", ExitStatus.FAILED)
            if "method" in message:  # a notification
                continue
            if message.get("id") == self._last_id or (message.get("id") is None and "error" in message):
                return self._outcome(message)
            raise self._not_understood(f"an answer to a question that was not asked, {message.get('id')!r}")

    def call_patiently(self, method: str, params: Mapping[str, JSON], timeout: float | None) -> JSON:
        """As `call`, of something that may rightly take long: a daemon that hangs is found out by asking it something
        quick first."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self.call("version", {}, QUICK if timeout is None else min(QUICK, timeout))
        if deadline is None or timeout is None:
            return self.call(method, params, None)
        try:
            return self.call(method, params, max(0.0, deadline - time.monotonic()))
        except TimedOut:
            raise TimedOut(
                f"waited for {exactly(timeout)} and no longer: what was asked for goes on; see `procsup status`"
            ) from None

    def subscribe(self) -> None:
        """To what happens from now on."""
        self.call("events", {})

    def notifications(self) -> Iterator[dict[str, Any]]:
        """What happens since `subscribe`, until the daemon hangs up. There can be no other call meanwhile."""
        while (message := self._message(None, None)) is not None:
            event = message.get("params")
            if message.get("method") == "event" and isinstance(event, dict):
                yield event

    def wait_hang_up(self, timeout: float) -> None:
        """Waits until the daemon has closed the connection."""
        deadline = time.monotonic() + timeout
        while self._message(deadline, timeout) is not None:
            pass

    def _outcome(self, message: dict[str, Any]) -> JSON:
        error = message.get("error")
        if error is None:
            result: JSON = message.get("result")
            return result
        if not isinstance(error, dict):
            raise self._not_understood("an error that is not an object")
        more = error.get("data")
        kind = more.get("kind") if isinstance(more, dict) else None
        words = str(error.get("message", "the daemon failed and does not say why"))
        if kind == "method_not_found":
            words += "; the daemon is of another version: see `procsup version`"
        raise CannotDo(printable(words), status_of(str(kind)))

    def _message(self, deadline: float | None, timeout: float | None) -> dict[str, Any] | None:
        """The next object that the daemon sends; None when it has hung up."""
        line = self._line(deadline, timeout)
        if line is None:
            return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise self._not_understood(f"{bytes(line[:60])!r}") from None
        if not isinstance(message, dict):
            raise self._not_understood(f"{bytes(line[:60])!r}")
        return message

    def _line(self, deadline: float | None, timeout: float | None) -> bytes | None:
        while (end := self._unread.find(b"\n", self._searched)) < 0:
            self._searched = len(self._unread)
            if self._searched > MAX_ANSWER:
                raise self._not_understood(f"a line of more than {MAX_ANSWER} bytes")
            piece = self._receive(deadline, timeout)
            if not piece and self._unread:
                raise CannotDo(f"the daemon at {self.path} hung up in the middle of its answer", ExitStatus.FAILED)
            if not piece:
                return None
            self._unread += piece
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        self._searched = 0
        return line

    def _send(self, line: bytes, deadline: float | None, timeout: float | None) -> None:
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(line)
        except TimeoutError:
            raise self._too_slow(timeout) from None
        except OSError:
            pass  # it hung up; it may have said why, and reading finds out

    def _receive(self, deadline: float | None, timeout: float | None) -> bytes:
        try:
            self._socket.settimeout(_left(deadline))
            return self._socket.recv(256 * 1024)
        except TimeoutError:
            raise self._too_slow(timeout) from None
        except ConnectionError:
            return b""
        except OSError as error:
            raise CannotDo(f"cannot read from the daemon at {self.path}: {error.strerror}", ExitStatus.FAILED) from None

    def _too_slow(self, timeout: float | None) -> TimedOut:
        return TimedOut(f"the daemon at {self.path} did not answer within {exactly(timeout or 0.0)}")

    def _not_understood(self, found: str) -> CannotDo:
        return CannotDo(
            f"cannot understand what answers at {self.path}: {found}; is it a procsup daemon of another version?",
            ExitStatus.FAILED,
        )


def _left(deadline: float | None) -> float | None:
    """Never 0, which would mean not to wait at all and be another error."""
    return None if deadline is None else max(0.001, deadline - time.monotonic())


def _connected(path: str, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A daemon that accepts nothing any more has a full queue, and connect(2) waits for as long as this, unix(7). With a
    # timeout of Python's it would fail at once instead.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", *_timeval(timeout)))
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise no_connection(path, error, timeout) from None
    return connection


def _timeval(seconds: float) -> tuple[int, int]:
    return int(seconds), int(seconds % 1 * 1_000_000)


def no_connection(path: str, error: OSError, timeout: float) -> CannotDo:
    """What `error` of connect(2) means for a person."""
    match error.errno:
        case errno.EAGAIN:
            return TimedOut(f"the daemon at {path} accepted no connection within {exactly(timeout)}: does it hang?")
        case errno.EACCES | errno.EPERM:
            return CannotDo(
                f"cannot talk to the daemon at {path}: permission denied; be root or the user it runs as",
                ExitStatus.REFUSED,
            )
        case errno.ENOENT:
            why = "there is no such socket"
        case errno.ECONNREFUSED:
            why = "nobody listens there"
        case _:
            why = error.strerror or str(error)
    return CannotDo(
        f"no daemon at {path}: {why}; start one with `procsup run FILE`, or name its socket with --socket",
        ExitStatus.NO_DAEMON,
    )
