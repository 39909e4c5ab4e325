"""Reading the journal (runtime/journal.py): backwards from its end, or forwards from a place on.

The files are opened once, the newest first, and read as far as they went then: so a rename meanwhile changes nothing,
and memory is bounded by the longest line, however much there is.

Nothing in them is certain. A daemon that was killed, a power loss, a full disk leave a line torn, a hole of zeros, or a
gap. What is no event is left out and counted; what is missing shows in the seqs, which leave no number out.
"""

import json
import os
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, TypeVar

from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.happening import Happening
from procsup.wire.events import BACKUPS, JOURNAL_FILE

T = TypeVar("T")

_CHUNK = 65536
_LONGEST_LINE = 10_000_000
"""Bytes. An event with the last lines of a worker takes some thousands, one that names a large group far more."""


class Place(NamedTuple):
    """Where a line begins: in which file, 0 being the newest, and at which byte."""

    file: int
    offset: int


class Entry(NamedTuple):
    """`run` counts the daemons, backwards: 0 is the last one in the journal."""

    event: Happening
    run: int
    place: Place


class Journal:
    """Use it in a `with` statement.

    Raises, and so do its methods:
        CannotDo: there is no journal, or it cannot be read.
    """

    def __init__(self, folder: str, is_alive: bool = False) -> None:
        """`is_alive`: its daemon runs, so that a last line without end is one that is being written."""
        self._folder = folder
        self._is_alive = is_alive
        self._files: list[tuple[int, int]] = []
        self.damaged = 0
        """Lines that are no events, as far as `backwards` has come."""
        self.missing = 0
        """Events that are not there, likewise."""
        try:
            self._open()
        except OSError as error:
            self.close()
            raise self._unreadable(error) from None
        if not self._files:
            raise CannotDo(
                f"no journal in {folder!r}: no daemon with this state directory has run yet; name it by --state-dir",
                ExitStatus.FAILED,
            )

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for fd, _ in self._files:
            os.close(fd)
        self._files.clear()

    def backwards(self) -> Iterator[Entry]:
        """Every event, the last one first. O(what is taken)."""
        run, self.damaged, self.missing = 0, 0, 0
        later: Happening | None = None
        for number, (fd, size) in enumerate(self._files):
            for offset, line in self._guarded(_lines_backwards(fd, size)):
                event = event_of(line)
                if event is None:
                    is_unfinished = number == 0 and offset + len(line) == size and self._is_alive
                    self.damaged += bool(line.strip()) and not is_unfinished
                    continue
                if later is not None:
                    if _is_another_run(event, later):
                        run += 1
                    else:
                        self.missing += later.seq - event.seq - 1
                yield Entry(event, run, Place(number, offset))
                later = event

    def forwards(self, place: Place) -> Iterator[Happening]:
        """The event there and every later one."""
        for number in range(place.file, -1, -1):
            fd, size = self._files[number]
            begin = place.offset if number == place.file else 0
            for line in self._guarded(_lines_forwards(fd, begin, size)):
                event = event_of(line)
                if event is not None:
                    yield event

    def beginning(self) -> Place:
        return Place(len(self._files) - 1, 0)

    def _open(self) -> None:
        """Raises:
        OSError
        """
        seen: set[tuple[int, int]] = set()
        newest = os.path.join(self._folder, JOURNAL_FILE)
        for path in (newest, *(f"{newest}.{number}" for number in range(1, BACKUPS + 1))):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            except FileNotFoundError:
                continue
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) in seen:  # it was renamed since we opened the one before
                os.close(fd)
                continue
            seen.add((status.st_dev, status.st_ino))
            self._files.append((fd, status.st_size))

    def _guarded(self, lines: Iterator[T]) -> Iterator[T]:
        try:
            yield from lines
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> CannotDo:
        status = ExitStatus.REFUSED if isinstance(error, PermissionError) else ExitStatus.FAILED
        return CannotDo(f"cannot read the journal in {self._folder!r}: {error.strerror}", status)


def event_of(line: bytes) -> Happening | None:
    """None when the line is torn, or was never an event."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    is_named = isinstance(value.get("event"), str) and isinstance(value.get("path"), str)
    event = Happening(value)
    return event if is_named and event.kind and event.seq > 0 else None


def _is_another_run(event: Happening, later: Happening) -> bool:
    return later.kind == "daemon_started" or event.seq >= later.seq


def _lines_backwards(fd: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Where each line begins, and the line without its end; first what follows the last end, mostly nothing.

    Raises:
        OSError
    """
    position = size
    end_of_line = b""
    while position > 0:
        length = min(_CHUNK, position)
        position -= length
        block = os.pread(fd, length, position) + end_of_line
        end = len(block)
        while (newline := block.rfind(b"\n", 0, end)) >= 0:
            yield position + newline + 1, block[newline + 1 : end]
            end = newline
        end_of_line = _bounded(block[:end])
    yield 0, end_of_line


def _lines_forwards(fd: int, begin: int, size: int) -> Iterator[bytes]:
    """Raises:
    OSError
    """
    position = begin
    begin_of_line = b""
    while position < size:
        block = os.pread(fd, min(_CHUNK, size - position), position)
        if not block:
            break
        position += len(block)
        *lines, begin_of_line = (begin_of_line + block).split(b"\n")
        yield from lines
        begin_of_line = _bounded(begin_of_line)
    yield begin_of_line


def _bounded(part: bytes) -> bytes:
    """Of a line without end, such as a hole of zeros, remains what is no event either."""
    return part if len(part) <= _LONGEST_LINE else b"?"
