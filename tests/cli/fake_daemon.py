"""A daemon that says what a test tells it to say, over a real socket, and checks what it is asked."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import TracebackType

from procsup.wire.calls import CALLS
from procsup.wire.decode import JSON, decode
from procsup.wire.jsonrpc import Failure, encode_answer, encode_failure, encode_notification, parse_request


class Manner(Enum):
    HANG_UP = "closes the connection instead of answering"
    SILENCE = "never answers"


@dataclass(frozen=True)
class Torn:
    """These bytes are sent, and the connection is closed."""

    sent: bytes


Answer = JSON | Failure | bytes | Torn | Manner
"""A result, a failure, bytes to send as they are, the beginning of an answer, or a manner of not answering."""

VERSION: JSON = {"version": "9.9", "pid": 77}


class FakeDaemon:
    """Answers each method as `answers` says; what it was asked is in `asked`. After an answer to `events` it sends
    `happenings` and hangs up; after one to `shutdown` it hangs up."""

    def __init__(self, path: str, answers: Mapping[str, Answer], happenings: tuple[JSON, ...] | None = None) -> None:
        self.path = path
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.faults: list[str] = []
        self.was_asked = threading.Event()
        self._answers = {"version": VERSION, **answers}
        self._happenings = happenings
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "FakeDaemon":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for connection in (self._listener, *self._connections):
            _shut(connection)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        os.unlink(self.path)
        assert not self.faults, self.faults

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    if not self._answered(connection, line):
                        break
            except OSError:  # the client has gone
                pass
            finally:
                _shut(connection)

    def _answered(self, connection: socket.socket, line: bytes) -> bool:
        request = parse_request(line)
        self.asked.append((request.method, dict(request.params)))
        try:
            decode(CALLS[request.method], request.params)
        except (KeyError, ValueError) as error:
            self.faults.append(f"{request.method}: {error!r}")
        answer = self._answers.get(request.method, Failure("method_not_found", f"no method {request.method!r}"))
        if request.method != "version":
            self.was_asked.set()
        match answer:
            case Manner.HANG_UP:
                return False
            case Manner.SILENCE:
                return True
            case Failure():
                connection.sendall(encode_failure(request.id, answer))
            case bytes():
                connection.sendall(answer)
            case Torn(sent):
                connection.sendall(sent)
                return False
            case _:
                connection.sendall(encode_answer(request.id, answer))
        return self._goes_on_after(connection, request.method)

    def _goes_on_after(self, connection: socket.socket, method: str) -> bool:
        if method == "events" and self._happenings is not None:
            for happening in self._happenings:
                connection.sendall(encode_notification("event", happening))
            return False
        return method != "shutdown"


def result(path: str, state: str = "running", pid: int | None = 4711) -> JSON:
    return {"path": path, "ok": True, "state": state, "pid": pid}


def failed(path: str, kind: str, message: str) -> JSON:
    return {"path": path, "ok": False, "kind": kind, "message": message}


def results(*each: JSON) -> JSON:
    return {"results": list(each)}


def answer_line(request_id: int, value: JSON) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": value}).encode() + b"\n"


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is shut already
        connection.shutdown(socket.SHUT_RDWR)
