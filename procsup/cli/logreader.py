"""Reading a log (runtime/logfile.py) from some line on, and then what is added to it.

The files of a log are read as one text, from the oldest to the youngest. A reader holds those open that it has yet to
read, so that a rotation takes nothing away from it. It knows them by inode, as their numbers change.

    1. At the end of the youngest file that it knows, it finds another one at the path.
    2. By then nothing is added to its own file any more: it looks there once more.
    3. It goes on with the next younger one, whatever number that has by now.

It does not go on with a file that is still empty: who renamed the old one (logrotate) may not have told the daemon yet.
A file that has become shorter begins anew, unless it ends where a line began: then the daemon is moving that line to
the next file. So nothing is missed or read twice, unless all files of a log are written in the time between two looks.
"""

import os
import stat
from collections.abc import Sequence

from procsup.cli.logstart import Start, start_of_last, start_since

_CHUNK = 256 * 1024
_LONGEST = 16 * 1024 * 1024
"""Bytes of a line that has not ended which are kept; what follows them is another line."""
_TRIES = 100
"""To open the files of a log while it is not rotated."""


class LogReader:
    """One log, from the first line on that was written `since` then (seconds since 1970; None: ever), or, if these are
    more than `count` (None: any number), from the first of so many last ones. There need not be a file yet. `marks` are
    the paths of the files with its marks.

    `is_exact` is False when it begins too early, because nobody knows when its first lines were written. `backlog` is
    the size in bytes of what there was to be read when it began.

    Raises, as its methods do:
        OSError: a file cannot be read.
    """

    def __init__(
        self, path: str, count: int | None = None, since: float | None = None, marks: Sequence[str] = ()
    ) -> None:
        self.path = path
        self._files = _open_files(path)
        """Those yet to be read, from the oldest to the youngest"""
        self.has_file = bool(self._files)
        start = Start(0, 0)
        if self._files and since is not None:
            start = start_since(since, self._files, marks)
        if self._files and count is not None:
            start = max(start, start_of_last(count, self._files))
        _close_all(self._files[: start.file])
        del self._files[: start.file]
        self._offset = start.offset
        """In the first of them"""
        self._rest = b""
        self.is_exact = start.is_known
        self.backlog = sum(os.fstat(fd).st_size for fd in self._files) - start.offset

    def read(self) -> list[bytes]:
        """The next lines, without their ends; none when there is no whole line for now."""
        while chunk := self._next_chunk():
            text = self._rest + chunk
            end = text.rfind(b"\n") + 1
            if end == 0 and len(text) > _LONGEST:
                self._rest = b""
                return [text]
            self._rest = text[end:]
            if end:
                return text[: end - 1].split(b"\n")
        return []

    def unfinished(self) -> bytes:
        """The line, if any, whose end is not written yet."""
        return self._rest

    def close(self) -> None:
        _close_all(self._files)
        self._files.clear()

    def _next_chunk(self) -> bytes:
        while self._files or self._find_younger():
            is_last = len(self._files) == 1
            chunk = os.pread(self._files[0], _CHUNK, self._offset)
            self._offset += len(chunk)
            if chunk:
                return chunk
            if self._has_been_shortened():
                continue
            if not is_last:
                os.close(self._files.pop(0))
                self._offset = 0
            elif not self._find_younger():
                break
        return b""

    def _has_been_shortened(self) -> bool:
        size = os.fstat(self._files[0]).st_size
        if size >= self._offset:
            return False
        begin_of_line = max(0, self._offset - len(self._rest))
        self._offset = begin_of_line if size >= begin_of_line else 0
        self._rest = b""
        return True

    def _find_younger(self) -> bool:
        """Whether there are files by now that are younger than those known; they are next."""
        mine = os.fstat(self._files[-1]) if self._files else None
        try:
            there = os.stat(self.path)
        except FileNotFoundError:  # not begun, or removed, or in the middle of a rotation
            return False
        if there.st_size == 0 or (mine is not None and os.path.samestat(there, mine)):
            return False
        younger = _open_files(self.path, mine)
        self._files += younger
        return bool(younger)


def _open_files(path: str, mine: os.stat_result | None = None) -> list[int]:
    """The files of a log, or those that are younger than `mine`, from the oldest to the youngest. If `mine` has no
    number any more, because it was removed or renamed otherwise, those are younger that were written later.

    Raises:
        OSError: one of them cannot be opened.
    """
    for _ in range(_TRIES):
        youngest = _id_at(path)
        found, is_met = _scan(path, mine)
        if _id_at(path) == youngest:
            break
        _close_all(found)  # a second rotation meanwhile would have mixed them up
    else:
        found, is_met = _scan(path, mine)
    if mine is None or is_met:
        return found
    older = [fd for fd in found if os.fstat(fd).st_mtime_ns <= mine.st_mtime_ns]
    _close_all(older)
    return [fd for fd in found if fd not in older]


def _scan(path: str, mine: os.stat_result | None) -> tuple[list[int], bool]:
    """Also whether `mine` was met. During a rotation one number is free for a moment, and a file may be met twice, as
    its number becomes the next one.
    """
    found: list[int] = []
    met: set[tuple[int, int]] = set()
    number = missing = 0
    while missing < 2:
        fd = _opened(f"{path}.{number}" if number else path)
        number += 1
        if fd < 0:
            missing += 1
            continue
        missing = 0
        status = os.fstat(fd)
        if mine is not None and os.path.samestat(status, mine):
            os.close(fd)
            return found, True
        if (status.st_dev, status.st_ino) in met:
            os.close(fd)
            continue
        met.add((status.st_dev, status.st_ino))
        found.insert(0, fd)
    return found, False


def _opened(path: str) -> int:
    """-1 when there is no regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return -1
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return -1


def _id_at(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
