"""Addresses of hosts. Numbers and localhost are known; names are asked for by short-lived threads, since getaddrinfo(3)
may take half a minute and knows no other way. A name is asked for once, however many want it, and at most _MOST are at
a time. A thread cannot be called back: the daemon forgets it, and ends without it.
"""

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from procsup.runtime.loop import READ, Loop

_MOST = 8

Address = tuple[socket.AddressFamily, tuple[str, int, int]]
"""The family; the number, and of IPv6 the flow and the scope."""

Answer = tuple[Address, ...] | str
"""Addresses, the best first, at least one; or why there are none, in words."""

_LOCALHOST: Answer = (
    (socket.AF_INET, ("127.0.0.1", 0, 0)),
    (socket.AF_INET6, ("::1", 0, 0)),
)


@dataclass(slots=True, eq=False)
class Question:
    """`take` is called with the answer, unless it was withdrawn."""

    host: str
    take: Callable[[Answer], None]
    is_withdrawn: bool = field(default=False)


class Resolver:
    """Owns the descriptor by which its threads wake the loop; there is none before the first name."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._wakeup = -1
        self._questions: dict[str, list[Question]] = {}
        self._waiting: deque[str] = deque()
        self._asked = 0
        self._answers: deque[tuple[str, Answer]] = deque()
        """Filled by the threads."""

    def ask(self, host: str, take: Callable[[Answer], None]) -> Question:
        """`take` is called from the loop, or, if there is nothing to ask for, before this returns."""
        question = Question(host, take)
        known = _known(host)
        if known is not None:
            take(known)
        elif host in self._questions:
            self._questions[host].append(question)
        else:
            self._questions[host] = [question]
            self._waiting.append(host)
            self._go_on()
        return question

    def close(self) -> None:
        if self._wakeup >= 0:
            self._loop.forget(self._wakeup)
            self._wakeup = -1  # left open: a thread may write to it yet

    def _go_on(self) -> None:
        while self._waiting and self._asked < _MOST:
            host = self._waiting.popleft()
            try:
                self._begin(host)
            except (OSError, RuntimeError) as error:  # no descriptor, no thread
                self._answers.append((host, str(error)))
                self._loop.soon(self._take_answers)
            self._asked += 1

    def _begin(self, host: str) -> None:
        """Raises:
        OSError: no descriptor left; RuntimeError: no thread.
        """
        import threading  # which most daemons never need

        if self._wakeup < 0:
            wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            try:
                self._loop.watch(wakeup, READ, lambda mask: self._hear())
            except OSError:
                os.close(wakeup)
                raise
            self._wakeup = wakeup
        threading.Thread(target=self._look_up, args=(host, self._wakeup), daemon=True).start()

    def _look_up(self, host: str, wakeup: int) -> None:
        """In a thread."""
        self._answers.append((host, _look_up(host)))
        with contextlib.suppress(OSError):
            os.eventfd_write(wakeup, 1)

    def _hear(self) -> None:
        os.eventfd_read(self._wakeup)
        self._take_answers()

    def _take_answers(self) -> None:
        while self._answers:
            host, answer = self._answers.popleft()
            self._asked -= 1
            for question in self._questions.pop(host):
                if not question.is_withdrawn:
                    question.take(answer)
        self._go_on()


def _known(host: str) -> Answer | None:
    if host == "localhost":
        return _LOCALHOST
    number, _, zone = host.partition("%")
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, number)
            return ((family, (number, 0, _scope(zone))),)
    return None


def _scope(zone: str) -> int:
    """The number of the interface; 0 for one that there is not, and then no connection comes about."""
    with contextlib.suppress(OSError):
        return int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return 0


def _look_up(host: str) -> Answer:
    try:
        found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"cannot resolve {host!r}: {(error.strerror or str(error)).lower()}"
    except Exception as error:  # noqa: BLE001  # of a thread nobody would hear of it
        return f"cannot resolve {host!r}: {error}"
    known = (socket.AF_INET, socket.AF_INET6)
    addresses = tuple((family, _place(place)) for family, _, _, _, place in found if family in known)
    return addresses or f"cannot resolve {host!r}: it has no address"


def _place(place: "tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]") -> tuple[str, int, int]:
    match place:
        case (str(number), int(), int(flow), int(scope)):
            return number, flow, scope
        case _:
            return str(place[0]), 0, 0
