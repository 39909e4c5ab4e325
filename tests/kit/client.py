"""Clients of a daemon, over a plain socket and without procsup's own client."""

import json
import select
import socket
import struct
import time
from collections import deque
from typing import Any, Self

from tests.kit.wait import DEADLINE

Json = dict[str, Any]


class CallFailed(Exception):
    """The daemon answered with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.kind: str = error["data"]["kind"]
        self.message: str = error["message"]


class HungUp(Exception):
    """The daemon has closed the connection."""


class Client:
    """One connection. Lines that are not the answer one asks for are kept for whoever asks for them. `patience` is how
    many seconds it waits for anything.
    """

    def __init__(self, path: str, patience: float = DEADLINE) -> None:
        self.patience = patience
        self.socket = socket.socket(socket.AF_UNIX)
        # For a place in the queue of the listener, unix(7); with a timeout of Python's a full one is an error at once.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(patience) + 1, 0))
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(patience)
        self._unread = b""
        self._last_id = 0
        self._answers: dict[Any, Json] = {}
        self._events: deque[Json] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def call(self, method: str, **params: Any) -> Json:
        """Raises:
        CallFailed, HungUp, TimeoutError
        """
        return self.answer(self.ask(method, **params))

    def ask(self, method: str, **params: Any) -> int:
        """The id by which to fetch the answer."""
        self._last_id += 1
        self.send_object({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        return self._last_id

    def answer(self, request: Any) -> Json:
        """Raises:
        CallFailed, HungUp, TimeoutError
        """
        while request not in self._answers:
            self._take_line()
        answer = self._answers.pop(request)
        if "error" in answer:
            raise CallFailed(answer["error"])
        result: Json = answer["result"]
        return result

    def next_event(self) -> Json:
        """Raises:
        HungUp, TimeoutError
        """
        while not self._events:
            self._take_line()
        return self._events.popleft()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def send_object(self, value: object) -> None:
        self.send(json.dumps(value).encode() + b"\n")

    def read_line(self) -> bytes:
        """The next line, whatever it is, without its end.

        Raises:
            HungUp: there is none any more.
            TimeoutError: there is none yet.
        """
        end = time.monotonic() + self.patience
        while b"\n" not in self._unread:
            left = end - time.monotonic()
            if not select.select([self.socket], (), (), max(left, 0))[0]:
                raise TimeoutError(f"the daemon said nothing for {self.patience} seconds")
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise HungUp(f"the daemon hung up; unread: {self._unread!r}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def read_to_the_end(self) -> bytes:
        """All that the daemon sends until it hangs up."""
        found, self._unread = self._unread, b""
        try:
            while data := self.socket.recv(65536):
                found += data
        except ConnectionResetError:
            pass
        return found

    def _take_line(self) -> None:
        message: Json = json.loads(self.read_line())
        if message.get("method") == "event":
            self._events.append(message["params"])
        else:
            self._answers[message["id"]] = message


class Events(Client):
    """A subscription. Reading goes forward: what was waited for is not seen again."""

    def __init__(self, path: str, patience: float = DEADLINE) -> None:
        super().__init__(path, patience)
        self.call("events")

    def until(self, event: str, who: str | None = None, **details: Any) -> list[Json]:
        """The next events up to the first that fits. `who` is the last part of its path.

        Raises:
            AssertionError: none came in time; it says which came instead.
        """
        seen: list[Json] = []
        while not seen or not _fits(seen[-1], event, who, details):
            try:
                seen.append(self.next_event())
            except (TimeoutError, HungUp) as error:
                wanted = f"{event} {who or ''} {details or ''}"
                raise AssertionError(f"{error}; waited for {wanted}; there came: {in_words(seen)}") from None
        return seen

    def wait(self, event: str, who: str | None = None, **details: Any) -> Json:
        """The first of the next events that fits."""
        return self.until(event, who, **details)[-1]

    def rest(self) -> list[Json]:
        """Every event until the daemon hangs up."""
        seen: list[Json] = []
        try:
            while True:
                seen.append(self.next_event())
        except HungUp:
            return seen


def in_words(events: list[Json], *kinds: str) -> list[str]:
    """ "exited a", "restarting root"; only these kinds, when some are named."""
    return [f"{event['event']} {name_of(event)}" for event in events if not kinds or event["event"] in kinds]


def name_of(event: Json) -> str:
    path: str = event["path"]
    return path.rpartition("/")[2]


def _fits(event: Json, kind: str, who: str | None, details: Json) -> bool:
    return (
        event["event"] == kind
        and (who is None or name_of(event) == who)
        and all(event.get(key) == value for key, value in details.items())
    )
