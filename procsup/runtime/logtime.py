"""When the lines of a log were written: stamps in the lines, or marks in the state directory.

A log with `timestamps` has the time, UTC, at the beginning of every line: "2026-03-01T03:12:44.120Z ". Stamps sort as
text.

For any other log there are marks, so that `procsup logs --since` knows how far to go back: a small file for each
worker, STATE_DIR/log_times/NAME. A mark is a line "DEVICE INODE SECONDS OFFSET": what that file holds from OFFSET on
was written at SECONDS (since 1970) or later. There is one where a file begins, and one for the first write that comes
MARK_EVERY seconds or more after the mark before, so that the lines between two marks were written within MARK_EVERY
seconds after the first. Files are known by device and inode: nothing moves when a log is renamed. The file of marks is
bounded by forgetting its older half. Marks are a comfort: where they cannot be written nothing else suffers.
"""

import contextlib
import functools
import os
import re
import time
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

MARK_EVERY = 10.0

_MOST_BYTES = 128 * 1024
"""About 3,000 marks, eight hours of writing without a pause."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


class Mark(NamedTuple):
    device: int
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


def marks_path(state_dir: str, worker: str) -> str:
    """Of the marks of the worker of this name."""
    return os.path.join(state_dir, "log_times", worker)


def add_mark(path: str, mark: Mark) -> bool:
    """False when it could not be written."""
    try:
        fd = _opened(path)
        try:
            os.write(fd, b"%d %d %.3f %d\n" % mark)
            is_full = os.fstat(fd).st_size > _MOST_BYTES
        finally:
            os.close(fd)
        if is_full:
            _forget_the_older_half(path)
    except OSError:
        return False
    return True


def marks_of(paths: Iterable[str], log: os.stat_result) -> list[Mark]:
    """The marks that these files hold of a log's file, oldest first; an earlier one of the same inode has none here."""
    marks: list[Mark] = []
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            marks += filter(None, map(_parsed, file.read().split(b"\n")))
    known = (log.st_dev, log.st_ino)
    mine = sorted((mark for mark in marks if mark[:2] == known), key=itemgetter(2))
    begin = max((index for index, mark in enumerate(mine) if mark.offset == 0), default=0)
    return mine[begin:]


def _opened(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o640)
    except FileNotFoundError:
        os.mkdir(os.path.dirname(path), 0o700)
        return os.open(path, _FLAGS, 0o640)


def _parsed(line: bytes) -> Mark | None:
    try:
        device, inode, seconds, offset = line.split()
        return Mark(int(device), int(inode), float(seconds), int(offset))
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
