"""When the lines of a log were written: stamps in the lines, and marks beside the file.

A log with `timestamps` has the time, UTC, at the beginning of every line: "2026-03-01T03:12:44.120Z ". Stamps sort as
text.

Any other log has a file of marks beside it, .NAME.log.times, so that `procsup logs --since` knows how far back to go.
A mark is a line "INODE SECONDS OFFSET": what the file of this inode holds from OFFSET on was written at SECONDS (since
1970) or later. There is one where a file begins and one for the first write that comes MARK_EVERY seconds or more after
the mark before, so that the lines between two marks were written within MARK_EVERY seconds after the first. Files are
known by inode: nothing moves when a log is renamed. The file of marks is bounded by forgetting its older half.
Marks are a comfort: where they cannot be written nothing else suffers.
"""

import functools
import os
import re
import time
from typing import NamedTuple

MARK_EVERY = 10.0

_MOST_BYTES = 128 * 1024
"""About 3,500 marks, ten hours of writing without a pause."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


class Mark(NamedTuple):
    inode: int
    seconds: float
    offset: int


def stamp(seconds: float) -> bytes:
    """What stands before a line that is written so many seconds after 1970."""
    whole, millis = divmod(int(seconds * 1000), 1000)
    return b"%s%03dZ " % (_until_seconds(whole), millis)


def stamp_of(line: bytes) -> bytes | None:
    """The stamp that a line begins with, or None."""
    found = _STAMP.match(line)
    return found.group() if found else None


def stamped(lines: bytes, seconds: float, is_continued: bool) -> bytes:
    """Lines, the last one perhaps without its end, each with its stamp; `is_continued` when the first one has it."""
    before = stamp(seconds)
    ended = lines.removesuffix(b"\n").replace(b"\n", b"\n" + before)
    return (b"" if is_continued else before) + ended + (b"\n" if lines.endswith(b"\n") else b"")


def add_mark(log: str, mark: Mark) -> bool:
    """False when it could not be written."""
    path = marks_path(log)
    try:
        fd = os.open(path, _FLAGS, 0o640)
        try:
            os.write(fd, b"%d %.3f %d\n" % mark)
            is_full = os.fstat(fd).st_size > _MOST_BYTES
        finally:
            os.close(fd)
        if is_full:
            _forget_the_older_half(path)
    except OSError:
        return False
    return True


def marks_of(log: str, inode: int) -> list[Mark]:
    """The marks of the file that has this inode now, oldest first; an earlier one of the same inode has none here.

    Raises:
        OSError: there are none, or they cannot be read.
    """
    with open(marks_path(log), "rb") as file:
        marks = [mark for line in file.read().split(b"\n") if (mark := _parsed(line)) and mark.inode == inode]
    begin = max((index for index, mark in enumerate(marks) if mark.offset == 0), default=0)
    return marks[begin:]


def marks_path(log: str) -> str:
    folder, name = os.path.split(log)
    return os.path.join(folder, f".{name}.times")


def _parsed(line: bytes) -> Mark | None:
    try:
        inode, seconds, offset = line.split()
        return Mark(int(inode), float(seconds), int(offset))
    except ValueError:  # torn by a full disk, or the part of a line that the older half ended with
        return None


def _forget_the_older_half(path: str) -> None:
    with open(path, "rb") as file:
        file.seek(-_MOST_BYTES // 2, os.SEEK_END)
        younger = file.read().partition(b"\n")[2]
    with open(f"{path}.new", "wb") as file:
        file.write(younger)
    os.replace(f"{path}.new", path)


@functools.lru_cache(maxsize=1)
def _until_seconds(whole: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(whole)).encode("ascii")
