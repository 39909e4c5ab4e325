"""The journal: what happened, one JSON object (wire/events.py) per line in `state_dir/journal.jsonl`.

The events of one turn of the loop are appended by one write. The file is renamed to journal.jsonl.1, .2 … when it would
grow over MAX_BYTES; BACKUPS old ones are kept, so that the journal as a whole is bounded. It survives the daemon; the
next one goes on in it, with `daemon_started` and the next seq.

Laws: supervision never waits for the journal nor ends for it. What a full disk does not take is kept, up to MOST_KEPT
bytes, and written when there is room, which is tried with each event and every few seconds; beyond that it is counted.
Nothing is synced: that would hold up the loop for as long as the disk likes. So a power loss may cost the end of the
journal, and a daemon that dies in the middle of a write leaves a torn line. A line is whole or is no JSON; the next
daemon begins a new one after it. That readers drop what is torn, and say so, is their part (cli/journal.py).
"""

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable

from procsup.runtime.spawn import errno_name
from procsup.wire.events import BACKUPS, JOURNAL_FILE, Event

MAX_BYTES = 10_000_000
MOST_KEPT = 1024 * 1024

RETRY = 5.0
"""Seconds, while it cannot be written."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""To read too, for the last byte. Not blocking, in case somebody put a FIFO there."""

_NEAR = 65536
"""Bytes at the end that are searched first for the last event."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
"""All in ASCII: no name and no output of a worker can break a line, or be no UTF-8."""


class Journal:
    """Owns the descriptor of the file, which is opened by the first event.

    `on_failed` is called with the errno's name when writing begins to fail; `on_resumed` when it works again, with how
    many events have been lost meanwhile.
    """

    def __init__(self, folder: str, on_failed: Callable[[str], None], on_resumed: Callable[[int], None]) -> None:
        self._path = os.path.join(folder, JOURNAL_FILE)
        self._on_failed = on_failed
        self._on_resumed = on_resumed
        self._fd = -1
        self._kept = bytearray()
        self._lost_now = 0
        self._retry = math.inf
        self.lost = 0
        """Events that are not in the journal and never will be."""
        self.error: str | None = None
        """The errno's name, as long as writing fails."""

    def append(self, events: Iterable[Event]) -> None:
        """O(events). No OSError: see the laws."""
        lines = [_encode(event.as_json()) for event in events]
        text = "\n".join([*lines, ""]).encode("ascii")
        if self.error is not None and len(self._kept) + len(text) > MOST_KEPT:
            self._lost_now += len(lines)
            self.lost += len(lines)
            text = b""
        self._kept += text
        self._try_to_write()

    def next_poll(self) -> float | None:
        return self._retry if self._retry < math.inf else None

    def poll(self, now: float) -> None:
        """Writes what is kept, when it is time for another attempt."""
        if now >= self._retry:
            self._try_to_write()

    def last_seq(self) -> int:
        """Of the last event that an earlier daemon left here, or 0. What is torn or damaged is passed over."""
        for path in (self._path, f"{self._path}.1"):
            with contextlib.suppress(OSError):
                seq = _last_seq(path)
                if seq:
                    return seq
        return 0

    def close(self) -> None:
        """The next event opens it again, or what has its name by then."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _try_to_write(self) -> None:
        try:
            self._write()
        except OSError as error:
            self._retry = time.monotonic() + RETRY
            self._fail(errno_name(error.errno or 0))
            return
        if self.error is not None:
            self.error, self._retry = None, math.inf
            lost, self._lost_now = self._lost_now, 0
            self._on_resumed(lost)

    def _write(self) -> None:
        """Raises:
        OSError: whatever is still kept has not been written.
        """
        if self._fd < 0:
            self._open()
        status = os.fstat(self._fd)
        if status.st_nlink == 0:  # somebody has removed it
            self.close()
            self._open()
        elif status.st_size and status.st_size + len(self._kept) > MAX_BYTES:
            self.close()
            _rename(self._path)
            self._open()
        written = 0
        try:
            while written < len(self._kept):
                written += os.write(self._fd, self._kept[written:] if written else self._kept)
        except OSError:
            self._take_back(written)
            raise
        self._kept.clear()

    def _take_back(self, written: int) -> None:
        """Of what was written only whole lines count. The rest is cut off, or else ended by the next `_open`."""
        whole = self._kept.rfind(b"\n", 0, written) + 1
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
        del self._kept[:whole]
        self.close()

    def _open(self) -> None:
        """Raises:
        OSError
        """
        self._fd = os.open(self._path, _FLAGS, 0o640)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":  # torn, by a death in the middle of a write
            os.write(self._fd, b"\n")

    def _fail(self, errno: str) -> None:
        was_well, self.error = self.error is None, errno
        if was_well:
            self._on_failed(errno)


def _rename(path: str) -> None:
    """Raises:
    OSError
    """
    for number in range(BACKUPS - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    os.replace(path, f"{path}.1")


def _last_seq(path: str) -> int:
    """0 when there is no event.

    Raises:
        OSError
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        size = os.fstat(fd).st_size
        for length in (min(_NEAR, size), min(MAX_BYTES, size)):  # the last lines; or all, if they are damaged
            for line in reversed(os.pread(fd, length, size - length).split(b"\n")):
                seq = _seq_of(line)
                if seq:
                    return seq
    finally:
        os.close(fd)
    return 0


def _seq_of(line: bytes) -> int:
    """0 when it is no event."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return 0
    seq = event.get("seq") if isinstance(event, dict) else None
    return seq if type(seq) is int and seq > 0 else 0
