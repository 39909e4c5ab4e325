"""Ready by a TCP connection that somebody accepts, or by an answer over it: tried again until one succeeds.

One attempt goes through the addresses of the host, one after the other, and has _PATIENCE seconds for each; so a
server that accepts and never answers is asked again. Who accepts is not known: whoever holds the port.

A connection to a free port of our own machine may be given that very port as its own and then be connected with itself
(RFC 9293, simultaneous open). That is nobody, and it is reset, so that the port is free at once.
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Callable

from procsup.runtime.alarms import Alarm, Alarms
from procsup.runtime.loop import READ, WRITE, Loop
from procsup.runtime.probes import http
from procsup.runtime.probes.probe import Verdict
from procsup.runtime.probes.resolver import Address, Answer, Question, Resolver

_PATIENCE = 5.0
_FIRST_REST = 0.02
_LAST_REST = 0.5
"""Seconds between two attempts, twice as many after each, up to the last."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time, socket(7)."""


class Connecting:
    """`request` is what to say once connected; without one, to be connected is enough."""

    def __init__(
        self, loop: Loop, alarms: Alarms, resolver: Resolver, host: str, port: int, request: bytes, verdict: Verdict
    ) -> None:
        self._loop = loop
        self._alarms = alarms
        self._resolver = resolver
        self._host = host
        self._port = port
        self._request = request
        self._verdict = verdict
        self._rest = _FIRST_REST
        self._addresses: list[Address] = []
        self._first_failure = ""
        """Of this attempt."""
        self._question: Question | None = None
        self._alarm: Alarm | None = None
        self._socket: socket.socket | None = None
        self._is_watched = False
        self._answer = b""
        self._is_over = False

    def begin(self, pid: int) -> None:
        self._attempt()

    def last_look(self) -> None:
        pass

    def stop(self) -> None:
        self._is_over = True
        self._hang_up()

    def close(self) -> None:
        self.stop()

    # One attempt

    def _attempt(self) -> None:
        self._first_failure = ""
        self._be_patient(lambda: self._fail_all(f"the name {self._host!r} is still being resolved"))
        self._question = self._resolver.ask(self._host, self._take_addresses)

    def _take_addresses(self, answer: Answer) -> None:
        if isinstance(answer, str):
            self._fail_all(answer)
            return
        self._addresses = list(answer)
        self._connect()

    def _connect(self) -> None:
        family, (number, flow, scope) = self._addresses.pop(0)
        place = (number, self._port) if family is socket.AF_INET else (number, self._port, flow, scope)
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            failure = self._socket.connect_ex(place)
            if failure not in (0, errno.EINPROGRESS):
                raise OSError(failure, os.strerror(failure))
            self._watch(WRITE, self._settle)
        except OSError as error:
            self._fail(_in_words(error.errno or 0))
            return
        self._be_patient(lambda: self._fail(f"nobody answers within {_PATIENCE:g}s"))

    def _settle(self) -> None:
        """The connection has come about, or not."""
        assert self._socket is not None
        failure = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            self._fail(_in_words(failure))
        elif is_connected_with_itself(self._socket):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._fail(_in_words(errno.ECONNREFUSED))
        elif not self._request:
            self._succeed()
        else:
            self._say(self._socket)

    def _say(self, connected: socket.socket) -> None:
        """The send buffer of a new connection has room for it."""
        try:
            connected.send(self._request)
            self._watch(READ, self._listen)
        except OSError as error:
            self._fail(_in_words(error.errno or 0))
            return
        self._answer = b""
        self._be_patient(lambda: self._fail(f"no answer within {_PATIENCE:g}s"))

    def _listen(self) -> None:
        assert self._socket is not None
        try:
            piece = self._socket.recv(http.MOST)
            if not piece:
                raise ValueError("the connection was closed before an answer")
            self._answer += piece
            status = http.status_of(self._answer)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(_in_words(error.errno or 0))
        except ValueError as error:
            self._fail(str(error))
        else:
            if status is not None and 200 <= status < 400:
                self._succeed()
            elif status is not None:
                self._fail(f"the answer has status {status}")

    # What becomes of it

    def _succeed(self) -> None:
        self._hang_up()
        self._verdict.ready()

    def _fail(self, why: str) -> None:
        self._hang_up()
        self._first_failure = self._first_failure or why
        if self._addresses:
            self._connect()
        else:
            self._fail_all(self._first_failure)

    def _fail_all(self, why: str) -> None:
        self._hang_up()
        self._verdict.not_yet(why)
        if not self._is_over:
            self._alarm = self._alarms.set(time.monotonic() + self._rest, self._attempt)
            self._rest = min(2 * self._rest, _LAST_REST)

    def _hang_up(self) -> None:
        if self._question is not None:
            self._question.is_withdrawn = True
            self._question = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._socket is not None:
            self._unwatch(self._socket)
            self._socket.close()
            self._socket = None

    def _be_patient(self, end: Callable[[], None]) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._alarms.set(time.monotonic() + _PATIENCE, end)

    def _watch(self, mask: int, handler: Callable[[], None]) -> None:
        """Raises:
        OSError: the kernel lets us watch no more.
        """
        assert self._socket is not None
        self._unwatch(self._socket)
        self._loop.watch(self._socket.fileno(), mask, lambda ready: handler())
        self._is_watched = True

    def _unwatch(self, watched: socket.socket) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.forget(watched.fileno())


def is_connected_with_itself(connected: socket.socket) -> bool:
    try:
        here, there = connected.getsockname(), connected.getpeername()
    except OSError:  # it was closed again
        return False
    return bool(here == there)


def _in_words(number: int) -> str:
    return os.strerror(number).lower()
