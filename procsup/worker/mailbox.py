"""The mailbox: what has come for this process, and how it waits for more.

A process has one mailbox, owned by the thread that uses the library first. Its *sources* fill it: the stream from the
node (connection.py), the channel from the daemon (channel.py), and descriptors of the program's own that are watched
for it; timers for the process itself go off here. All that happens only while the process is in the library: pump is
the one place that reads.

A *ref* is a number by which a process knows its monitors and the answers that it waits for. Answers and Downs of a ref
that nobody awaits any more are thrown away on arrival, so a late reply harms nobody; those of one that is awaited are
found at once, however much else lies in the mailbox.
"""

import heapq
import math
import os
import select
import time
from _thread import get_ident
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import islice
from typing import Any, Protocol

from procsup.worker.signals import Held
from procsup.worker.values import Answer, Down, Exit, Pid, Readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from procsup.worker.channel import Channel
    from procsup.worker.connection import Connection

_LONGEST = 86400.0
"""Seconds that are waited at a time; poll(2) takes no more than some weeks."""


class Source(Protocol):
    """A stream that fills the mailbox."""

    @property
    def fd(self) -> int: ...

    def read(self) -> None:
        """Take what is there. Called with signals held, and only when there is something, or the end."""

    def close(self) -> None: ...

    def traps(self, flag: bool) -> None: ...

    def demonitor(self, ref: int) -> None: ...


class _Watched:
    """A descriptor of the program's own, watched until something can be read from it."""

    def __init__(self, fd: int, mailbox: "Mailbox") -> None:
        self.fd = fd
        self._mailbox = mailbox

    def read(self) -> None:
        self._mailbox.disconnect(self)
        self._mailbox.put(Letter(lambda: Readable(self.fd)))

    def close(self) -> None:
        """The program closes it."""

    def traps(self, flag: bool) -> None:
        pass

    def demonitor(self, ref: int) -> None:
        pass


class Letter:
    """A message, made when it is looked at: unpickling runs the user's code."""

    __slots__ = ("_made", "_make", "ref")

    def __init__(self, make: Callable[[], object], ref: int | None = None) -> None:
        self._make: Callable[[], object] | None = make
        self._made: object = None
        self.ref = ref

    def open(self) -> object:
        if self._make is not None:
            self._made = self._make()
            self._make = None
        return self._made

    def can_be_opened(self) -> bool:
        with Held():
            try:
                self.open()
            except Exception:  # noqa: BLE001  # of the user's code, which has told him already
                return False
        return True


class Mailbox:
    """`node` and `channel` are there when the process has them."""

    def __init__(self, pid: Pid) -> None:
        self.pid = pid
        self.node: Connection | None = None
        self.channel: Channel | None = None
        self.traps = False
        self.is_under_daemon = False
        """Whether the script, when this process was spawned, had a channel"""
        self._thread = get_ident()
        self._letters: OrderedDict[int, Letter] = OrderedDict()
        """By number, in order of arrival"""
        self._of_ref: dict[int, list[int]] = {}
        """ref → its letters"""
        self._awaited: dict[int, Source | None] = {}
        """ref → who is to know when nobody awaits it any more"""
        self._asked: dict[int, list[Any]] = {}
        """Requests on their way → the result, when it has come"""
        self._timers: list[tuple[float, int]] = []
        self._timed: dict[int, tuple[float, Letter]] = {}
        """Timer → when it goes off, and with what"""
        self._interruptions: list[object] = []
        """Reasons of exit signals that have struck the script"""
        self._untold: list[tuple[int, str]] = []
        """Tasks that others have started, and of which the daemon is to know: number and name"""
        self._is_cut_off = False
        self._last_letter = 0
        self._last_number = 0
        self._sources: dict[int, Source] = {}
        self._waiting, self._looking = select.poll(), select.poll()
        """Two: a handler of a signal may look while the other one waits, and a poll object cannot do both"""

    def new_number(self) -> int:
        """For a ref, a request or a timer."""
        self._last_number += 1
        return self._last_number

    # Sources

    def connect(self, source: Source) -> None:
        self._sources[source.fd] = source
        for poll in (self._waiting, self._looking):
            poll.register(source.fd, select.POLLIN)
        if self.traps:
            source.traps(True)

    def watch(self, fd: int) -> None:
        """Put in a Readable, once; again before that does nothing."""
        if fd not in self._sources:
            self.connect(_Watched(fd, self))

    def cut_off(self, source: Source) -> None:
        """A source has ended, and with it whoever holds this process. What has come can still be read."""
        self._is_cut_off = True
        self.disconnect(source)

    def disconnect(self, source: Source) -> None:
        del self._sources[source.fd]
        for poll in (self._waiting, self._looking):
            poll.unregister(source.fd)

    def close(self) -> None:
        """Give up the sources, without a word to whoever is at their other end; it is of no use any more."""
        for source in self._sources.values():
            source.close()

    def trap(self, flag: bool) -> bool:
        """What it was before."""
        before, self.traps = self.traps, flag
        for source in self._sources.values():
            source.traps(flag)
        return before

    # Filling it

    def put(self, letter: Letter) -> None:
        if letter.ref is not None:
            if letter.ref not in self._awaited:
                return
            self._of_ref.setdefault(letter.ref, []).append(self._last_letter + 1)
        self._last_letter += 1
        self._letters[self._last_letter] = letter

    def put_answer(self, ref: int, value: Callable[[], object]) -> None:
        self.put(Letter(lambda: Answer(ref, value()), ref))

    def put_down(self, ref: int, who: Pid | str, reason: Callable[[], object]) -> None:
        self.put(Letter(lambda: Down(ref, who, reason()), ref))
        self._awaited.pop(ref, None)

    def put_result(self, request: int, result: object) -> None:
        if request in self._asked:
            self._asked[request].append(result)

    def put_later(self, seconds: float, letter: Letter) -> int:
        """The timer, for `cancel`."""
        timer, due = self.new_number(), time.monotonic() + seconds
        self._timed[timer] = due, letter
        heapq.heappush(self._timers, (due, timer))
        return timer

    def cancel(self, timer: int) -> float | None:
        """Seconds that were left, or None: it went off, or is none of ours."""
        due, _ = self._timed.pop(timer, (None, None))
        return None if due is None else max(0.0, due - time.monotonic())

    def put_task(self, number: int, name: str) -> None:
        self._untold.append((number, name))

    def tell_of_task(self, number: int, name: str) -> None:
        """The daemon, if there is one: it shows them."""
        if self.channel is not None:
            self.channel.task(number, name)
        elif self.is_under_daemon and self.node is not None:
            self.node.task(number, name)

    def interrupt(self, reason: object) -> None:
        """Whoever takes in next is left with Exit."""
        self._interruptions.append(reason)

    # Emptying it

    def receive(self, match: Callable[[object], bool] | None, timeout: float | None) -> object:
        end = end_of(timeout)
        candidates: Iterable[int] = list(self._letters) if match else list(islice(self._letters, 1))
        while True:
            for number in candidates:
                if number not in self._letters:
                    continue
                message = self._open(number)
                if match is None or match(message):
                    self._remove(number)
                    return message
            seen = self._last_letter
            if not self.wait(partial(self._has_letter_after, seen), end):
                raise TimeoutError("cannot receive: nothing has come in time")
            candidates = range(seen + 1, self._last_letter + 1)

    def expect(self, ref: int, source: Source | None) -> None:
        """Let answers and a Down for it in from now on; `source` is to demonitor it."""
        self._awaited[ref] = source

    def is_expected(self, ref: int) -> bool:
        """Whether something for it lies here, or may still come."""
        return ref in self._awaited or ref in self._of_ref

    def wait_for(self, ref: int, end: float | None) -> Answer | Down | None:
        """The first letter for it, which stays where it is. None: not in time."""
        if not self.wait(lambda: ref in self._of_ref, end):
            return None
        letter = self._open(self._of_ref[ref][0])
        assert isinstance(letter, Answer | Down)
        return letter

    def wait_for_any(self, refs: Collection[int], end: float | None) -> list[int]:
        """Those of the refs for which there is a letter; wait until there is one. []: not in time."""
        found: list[int] = []

        def is_there() -> bool:
            found.extend(ref for ref in refs if ref in self._of_ref)
            return bool(found)

        self.wait(is_there, end)
        return found

    def wait_down(self, ref: int, end: float | None) -> bool:
        """Until its Down is here. False: not in time."""
        return self.wait(lambda: ref not in self._awaited, end)

    def forget(self, ref: int, *, flush: bool = True) -> None:
        """Nothing for it comes in any more; what lies here of it is thrown away with `flush`."""
        if ref in self._awaited:
            source = self._awaited.pop(ref)
            if source is not None:
                source.demonitor(ref)
        if flush:
            for number in list(self._of_ref.get(ref, ())):
                self._remove(number)

    def ask(self, request: Callable[[int], None]) -> Any:
        """What is answered to a request, which is made with the number for the answer."""
        number = self.new_number()
        results = self._asked[number] = []
        try:
            request(number)
            self.wait(lambda: bool(results), None)
            return results[0]
        finally:
            del self._asked[number]

    def wait(self, fact: Callable[[], bool], end: float | None) -> bool:
        """Take in until it is a fact. False: not by `end` (of the monotonic clock).

        Raises:
            Exit: an exit signal has struck, or a source has ended.
        """
        while not fact():
            left = None if end is None else max(0.0, end - time.monotonic())
            self.take_in(left)
            if left == 0.0 and not fact():
                return False
        return True

    def take_in(self, timeout: float | None) -> None:
        """Wait until something has come, or a timer goes off, or the time is over.

        Raises:
            Exit: an exit signal has struck, or a source has ended.
        """
        self._raise_what_struck()
        self.pump(timeout)
        self._tell_of_tasks()
        self._raise_what_struck()

    def pump(self, timeout: float | None) -> None:
        """The same, and whatever strikes is left for later. It may return early."""
        if self._timers:
            due = max(0.0, self._timers[0][0] - time.monotonic())
            timeout = due if timeout is None else min(due, timeout)
        if timeout != 0.0:
            self._waiting.poll(None if timeout is None else math.ceil(min(timeout, _LONGEST) * 1000))
        with Held():
            for fd, _ in self._looking.poll(0):
                self._sources[fd].read()
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                _, timer = heapq.heappop(self._timers)
                if timer in self._timed:
                    self.put(self._timed.pop(timer)[1])

    def _tell_of_tasks(self) -> None:
        """Not while signals are held: it may wait until there is room in the outbox."""
        while self._untold:
            self.tell_of_task(*self._untold.pop(0))

    def _raise_what_struck(self) -> None:
        if self._interruptions:
            raise Exit(self._interruptions.pop(0))
        if self._is_cut_off:
            raise Exit("noconnection")

    def _has_letter_after(self, number: int) -> bool:
        return self._last_letter > number

    def _open(self, number: int) -> object:
        """What cannot be opened is lost; but what a handler of a signal raised meanwhile says nothing about it."""
        letter = self._letters[number]
        try:
            return letter.open()
        except Exception:
            if not letter.can_be_opened():
                self._remove(number)
            raise

    def _remove(self, number: int) -> None:
        ref = self._letters.pop(number).ref
        if ref is not None:
            self._of_ref[ref].remove(number)
            if not self._of_ref[ref]:
                del self._of_ref[ref]


def end_of(timeout: float | None) -> float | None:
    """On the monotonic clock."""
    return None if timeout is None else time.monotonic() + timeout


_mine: Mailbox | None = None


def mine() -> Mailbox:
    """The mailbox of this process. A process that somebody else has forked has none of what its parent had.

    Raises:
        RuntimeError: another thread owns it.
    """
    global _mine
    if _mine is not None and _mine.pid.number != os.getpid():
        _mine.close()
        _mine = None
    if _mine is None:
        _mine = Mailbox(Pid(os.getpid(), time.monotonic_ns()))
    if _mine._thread != get_ident():
        raise RuntimeError("cannot use procsup.worker here: another thread of this process used it first, and owns it")
    return _mine


def become(mailbox: Mailbox | None) -> None:
    """This process has this mailbox from now on, or none yet."""
    global _mine
    _mine = mailbox
