"""Signals put off while the library's own state changes, and what a new process does about them.

Python runs the handler of a signal between any two steps of the main thread, and the handler may raise, as that of ^C
does. Half a frame written, or read and not remembered, and nothing that follows on the stream could be understood. So
whatever touches a stream does it within `with Held():`, and the handlers run right after. Nothing that may last is done
there.

To block the signals would not do: the kernel hands them to another thread, if there is one, and the handler runs in the
main thread nevertheless. So the handlers themselves are exchanged for one that takes note. In another than the main
thread no handler runs, and there is nothing to do.

The functions are those beneath the module `signal`, which makes an enum of each number and each handler: that takes ten
times as long, and in a fresh fork it touches 65 pages, each of which the kernel then has to copy.
"""

import os
import signal as names
from _signal import getsignal, pthread_sigmask, signal  # type: ignore[import-not-found]  # typeshed does not know it
from _thread import get_native_id, interrupt_main
from collections import deque
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

_RAISING = (
    names.SIGINT, names.SIGTERM, names.SIGURG, names.SIGHUP, names.SIGQUIT, names.SIGALRM, names.SIGVTALRM,
    names.SIGPROF, names.SIGUSR1, names.SIGUSR2, names.SIGXCPU,
)  # fmt: skip
"""Those whose handlers are known to raise; the node interrupts the script with URG."""
_NUMBERS = _INT, _TERM, _URG, *_ = tuple(map(int, _RAISING))
_BLOCK, _SET, _DEFAULT = int(names.SIG_BLOCK), int(names.SIG_SETMASK), int(names.SIG_DFL)

_Handler = Callable[[int, FrameType | None], Any]
_trip: Callable[[int], None] = interrupt_main  # type: ignore[assignment]  # which takes a plain number


class Held:
    """May be nested."""

    __slots__ = ("_came", "_handlers", "_mask")

    def __init__(self) -> None:
        self._handlers: list[tuple[int, _Handler]] = []
        self._came: list[int] = []
        self._mask: Iterable[int] | None = None

    def __enter__(self) -> "Held":
        if get_native_id() != os.getpid():
            return self  # not the main thread
        try:
            for number in _NUMBERS:
                handler = getsignal(number)
                if callable(handler) and handler is not _ignore:
                    self._handlers.append((number, handler))
                    signal(number, self._take_note)
        except BaseException:  # the handler of a signal that came just before
            self._restore()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def block(self) -> None:
        """Until unblock(), in the parent as in the child: the kernel keeps what comes to be handled. What would end the
        child by itself need not be kept, and what will mean nothing to it neither.
        """
        numbers = [number for number, _ in self._handlers if number not in (_INT, _URG)]
        if numbers:
            self._mask = pthread_sigmask(_BLOCK, numbers)

    def unblock(self) -> None:
        if self._mask is not None:
            pthread_sigmask(_SET, self._mask)
            self._mask = None

    def settle(self) -> None:
        """In a new process, instead of leaving: TERM ends it, whatever the parent does about it. INT does not: ^C goes
        to everybody in the terminal's group, but is meant for the script, with which its processes end.
        """
        names.set_wakeup_fd(-1)
        signal(_INT, _ignore)  # and not SIG_IGN, which programs that it executes would inherit
        signal(_TERM, _DEFAULT)
        signal(_URG, _DEFAULT)
        for number, handler in self._handlers:
            if number not in (_INT, _TERM, _URG):
                signal(number, handler)
        self.unblock()

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)

    def _restore(self) -> None:
        raised: BaseException | None = None
        while self._handlers:
            try:
                signal(*self._handlers[-1])
                self._handlers.pop()
            except BaseException as error:  # noqa: BLE001  # of a handler that is in its place again; re-raised below
                raised = error
        if self._came:
            deque(map(_trip, self._came), 0)  # as if they came now; all of them before any handler runs
        if raised is not None:
            raise raised


def _ignore(number: int, frame: FrameType | None) -> None:
    pass
