"""Where to begin to read a log: so many lines before its end, or at the first line since some time.

Lines are counted from the end, in blocks. A time is looked for in the oldest file that was still written then: in the
stamps of its lines, or else in the marks of it (runtime/logtime.py), which are good to MARK_EVERY seconds. With
neither, all of that file is shown.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from procsup.runtime.logtime import MARK_EVERY, Mark, marks_of, stamp, stamp_of

_BLOCK = 64 * 1024


class Start(NamedTuple):
    """An offset in one of the files, and which one. `is_known` is False when it may be too early by any time."""

    file: int
    offset: int
    is_known: bool = True


def start_of_last(count: int, files: Sequence[int]) -> Start:
    """The first of the last `count` lines. The files, from the oldest to the youngest, are one text; if its last line
    has no end yet, that is one of them, and never left out."""
    newlines = -1
    for index in range(len(files) - 1, -1, -1):
        high = os.fstat(files[index]).st_size
        if newlines < 0 and high:
            is_ended = os.pread(files[index], 1, high - 1) == b"\n"
            newlines = count + 1 if is_ended else max(count, 1)
        while high > 0:
            low = max(0, high - _BLOCK)
            block = os.pread(files[index], high - low, low)
            if (found := block.count(b"\n")) >= newlines:
                return Start(index, low + _behind_last_newline(block, newlines))
            newlines -= found
            high = low
    return Start(0, 0)


def start_since(seconds: float, files: Sequence[int], marks: Sequence[str]) -> Start:
    """The first line that was written so many seconds after 1970, or later. The files of the log, at least one, are
    given from the oldest to the youngest; `marks` are the paths of the files with marks."""
    index = len(files) - 1
    while index > 0 and os.fstat(files[index - 1]).st_mtime >= seconds:
        index -= 1
    fd, status = files[index], os.fstat(files[index])
    if status.st_mtime < seconds:
        return Start(index, status.st_size)
    if _has_stamps(fd, status.st_size):
        return Start(index, _offset_by_stamps(fd, status.st_size, stamp(seconds)))
    offset = _offset_by_marks(marks_of(marks, status), status.st_size, seconds)
    return Start(index, 0, is_known=False) if offset is None else Start(index, _begin_of_line(fd, offset))


def _behind_last_newline(block: bytes, count: int) -> int:
    """Behind the last one but (count - 1)."""
    position = len(block)
    for _ in range(count):
        position = block.rfind(b"\n", 0, position)
    return position + 1


def _has_stamps(fd: int, size: int) -> bool:
    """Also when it did not have them from the beginning."""
    return _first_stamp(fd, max(0, size - _BLOCK)) is not None


def _first_stamp(fd: int, offset: int) -> bytes | None:
    """Of the lines that begin in the block at `offset`."""
    block = os.pread(fd, _BLOCK, offset)
    lines = block.split(b"\n")
    return next(filter(None, map(stamp_of, lines if offset == 0 else lines[1:])), None)


def _offset_by_stamps(fd: int, size: int, since: bytes) -> int:
    """Of the first line with this stamp or a later one. Lines without stamps are passed over."""
    low, high = 0, size
    while high - low > _BLOCK:
        middle = (low + high) // 2
        found = _first_stamp(fd, middle)
        if found is not None and found < since:
            low = middle
        else:
            high = middle
    with open(fd, "rb", closefd=False) as file:
        file.seek(low)
        for line in file:
            found = stamp_of(line)
            if found is not None and found >= since:
                return low
            low += len(line)
    return size


def _offset_by_marks(marks: Sequence[Mark], size: int, seconds: float) -> int | None:
    """None when the marks do not reach back so far, or do not belong to this file."""
    if not marks or marks[-1].offset > size:
        return None
    later = next((index for index, mark in enumerate(marks) if mark.seconds > seconds), len(marks))
    if later == 0:
        return 0 if marks[0].offset == 0 else None
    before = marks[later - 1]
    is_over = seconds >= before.seconds + MARK_EVERY and later < len(marks)
    return marks[later].offset if is_over else before.offset


def _begin_of_line(fd: int, offset: int) -> int:
    """A mark may stand in a line that was written in parts: then the line after it."""
    with open(fd, "rb", closefd=False) as file:
        if offset > 0:
            file.seek(offset - 1)
            file.readline()
        return file.tell()
