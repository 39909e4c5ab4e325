"""The loop: epoll, a wake-up descriptor for signals, and a bounded batch per turn.

Law: an idle loop makes no system call. Descriptors are level-triggered; a handler that does not want to be called again
forgets its descriptor, changes its mask, or reads. One that is watched *aside* concerns nobody but its handler: after a
turn in which no other was ready, the owner of the loop has nothing to look after. Signals arrive as bytes on a pipe
that the interpreter's own handler writes (signal.set_wakeup_fd), so that none is lost between the look at the queue and
the wait.
"""

import math
import os
import select
import signal
from collections.abc import Callable, Iterable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANG_UP = select.EPOLLHUP
ERROR = select.EPOLLERR

Handler = Callable[[int], None]
"""Called with the epoll mask that is ready."""


class Loop:
    """Owns the epoll descriptor and the wake-up pipe."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._aside: dict[int, Handler] = {}
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._signals: dict[int, Callable[[], None]] = {}
        self._soon: list[Callable[[], None]] = []
        self.turns = 0
        """How many there were; a handler may have a budget for each."""
        self.watch(self._wakeup_read, READ, self._take_signals)

    @property
    def wakeup_fd(self) -> int:
        """Where the interpreter writes a byte for each signal, whichever thread it comes to."""
        return self._wakeup_write

    def watch(self, fd: int, mask: int, handler: Handler) -> None:
        """Raises:
        OSError: no memory or no watch left (epoll_ctl(2)), or a descriptor that cannot be waited for (EPERM).
        """
        self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def watch_aside(self, fd: int, mask: int, handler: Handler) -> None:
        """As `watch`, for what concerns nobody but the handler; what concerns somebody else, it must tell him.

        Raises:
            OSError: as `watch`.
        """
        self._epoll.register(fd, mask)
        self._aside[fd] = handler

    def change(self, fd: int, mask: int) -> None:
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Before the descriptor is closed: another holder of the same open file would keep it in the epoll set."""
        del (self._aside if fd in self._aside else self._handlers)[fd]
        self._epoll.unregister(fd)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call it in the next turn, which does not wait: for what has more to do than is fair in one turn."""
        self._soon.append(callback)

    def on_signal(self, number: int, handler: Callable[[], None]) -> None:
        """Take this signal from now on."""
        self._signals[number] = handler
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        signal.signal(number, _leave_to_the_wakeup_fd)

    def turn(self, timeout: float | None) -> bool:
        """Wait at most `timeout` seconds (None: for ever) and call the handlers of what is ready, once each. Whether
        there is something to look after: False when nothing but what is watched aside was ready.
        """
        # Rounded up to whole milliseconds, as epoll does: never a turn too early that would find nothing to do.
        callbacks, self._soon = self._soon, []
        if callbacks:
            timeout = 0.0
        wait = -1 if timeout is None else math.ceil(max(timeout, 0.0) * 1000) / 1000
        self.turns += 1
        ready = self._epoll.poll(wait)
        is_eventful = bool(callbacks) or not ready
        for fd, mask in ready:
            handler = self._aside.get(fd)
            if handler is None:
                is_eventful = True
                handler = self._handlers.get(fd)
            if handler is not None:  # another handler of this batch may have forgotten it
                handler(mask)
        for callback in callbacks:
            callback()
        return is_eventful

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._epoll.close()
        os.close(self._wakeup_read)
        os.close(self._wakeup_write)

    def _take_signals(self, mask: int) -> None:
        for number in _distinct(os.read(self._wakeup_read, 4096)):
            taker = self._signals.get(number)
            if taker is not None:
                taker()


def _distinct(numbers: bytes) -> Iterable[int]:
    return dict.fromkeys(numbers)


def _leave_to_the_wakeup_fd(number: int, frame: object) -> None:
    """A handler must be there for the interpreter to write the wake-up byte."""
