"""Stamps and marks: when the lines of a log were written."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.core.spec import LogSettings
from procsup.runtime import logfile
from procsup.runtime.logfile import Log, LogFiles
from procsup.runtime.logtime import Mark, add_mark, marks_of, marks_path, stamp, stamp_of, stamped

NOON = datetime(2026, 3, 1, 12, 0, 0, 120_000, UTC).timestamp()
STAMP = b"2026-03-01T12:00:00.120Z "


# Stamps


def test_stamp_is_the_time_in_utc_with_milliseconds() -> None:
    assert stamp(NOON) == STAMP
    assert stamp(NOON + 0.88) == b"2026-03-01T12:00:01.000Z "


def test_every_line_gets_its_stamp() -> None:
    assert stamped(b"one\n\ntwo\n", NOON, is_continued=False) == STAMP + b"one\n" + STAMP + b"\n" + STAMP + b"two\n"


def test_line_that_goes_on_has_its_stamp_already() -> None:
    assert stamped(b"end\nbegin", NOON, is_continued=True) == b"end\n" + STAMP + b"begin"


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line), min_size=1), st.floats(0, 4e9))
def test_stamps_are_found_again_and_the_rest_is_as_it_was(lines: list[bytes], seconds: float) -> None:
    found = stamped(b"".join(line + b"\n" for line in lines), seconds, is_continued=False)
    assert [stamp_of(line) for line in found.split(b"\n")[:-1]] == [stamp(seconds)] * len(lines)
    assert [line[len(STAMP) :] for line in found.split(b"\n")[:-1]] == lines


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_stamps_sort_as_the_times_do(one: float, other: float) -> None:
    assert (stamp(one) <= stamp(other)) == (int(one * 1000) <= int(other * 1000))


@pytest.mark.parametrize("line", [b"", b"2026-03-01", b"2026-03-01T12:00:00Z x", b"x" + STAMP])
def test_other_lines_have_no_stamp(line: bytes) -> None:
    assert stamp_of(line) is None


# Marks


class Book:
    """The log a.log of the worker a, and its marks."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.log = Log(str(folder / "a.log"), LogSettings(**settings), "a")
        self.files = LogFiles(str(folder))
        self.marks = marks_path(str(folder), "a")

    def append(self, *seconds: float) -> None:
        """A line at each of these times after noon; the marks are written."""
        for second in seconds:
            self.files.append(self.log, b"line\n", NOON + second)
            self.files.write_marks()

    def marked(self, name: str = "a.log") -> list[tuple[int, int]]:
        """Seconds after noon, and offset."""
        marks = marks_of([self.marks], (self.folder / name).stat())
        return [(round(mark.seconds - NOON), mark.offset) for mark in marks]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path)
    yield book
    book.files.close()


def test_log_is_marked_where_it_begins_and_when_ten_seconds_have_passed(book: Book) -> None:
    book.append(0, 9, 11, 12, 21, 500)
    assert book.marked() == [(0, 0), (11, 10), (21, 20), (500, 25)]


def test_each_file_of_a_rotated_log_has_its_marks(tmp_path: Path) -> None:
    book = Book(tmp_path, max_bytes=10)
    book.append(0, 1, 2, 15)
    book.files.close()
    assert book.marked("a.log.1") == [(0, 0)]
    assert book.marked("a.log") == [(2, 0), (15, 5)]


def test_log_of_several_workers_has_the_marks_of_all(book: Book) -> None:
    other = Log(book.log.path, book.log.settings, "b")
    book.append(0, 20)
    book.files.append(other, b"line\n", NOON + 10)
    book.files.write_marks()
    marks = marks_of([book.marks, marks_path(str(book.folder), "b")], os.stat(book.log.path))
    assert [round(mark.seconds - NOON) for mark in marks] == [0, 10, 20]


def test_marks_of_an_earlier_file_with_the_same_inode_are_forgotten(book: Book) -> None:
    book.append(0, 11, 22)
    os.truncate(book.log.path, 0)
    book.append(30, 41)
    assert book.marked() == [(30, 0), (41, 5)]


def test_torn_mark_is_passed_over(book: Book) -> None:
    book.append(0)
    with open(book.marks, "ab") as file:
        file.write(b"1 2\n")
    book.append(11)
    assert book.marked() == [(0, 0), (11, 5)]


def test_file_of_marks_forgets_the_older_half_and_stays_small(tmp_path: Path) -> None:
    path = marks_path(str(tmp_path), "a")
    for number in range(8000):
        assert add_mark(path, Mark(1, 1, 1e9 + number, number))
    numbers = [int(line.split()[3]) for line in Path(path).read_bytes().splitlines()]
    assert os.path.getsize(path) <= 128 * 1024
    assert len(numbers) >= 2000
    assert numbers == list(range(8000 - len(numbers), 8000))
    assert os.listdir(os.path.dirname(path)) == ["a"]


def test_while_there_is_something_more_urgent_marks_wait_for_a_second_at_most(book: Book) -> None:
    book.files.append(book.log, b"line\n", time.time())
    book.files.write_marks(is_busy=True)
    assert book.marked() == []
    assert book.files.has_marks()


def test_marks_that_have_waited_for_a_second_are_written_in_spite_of_all(book: Book) -> None:
    book.files.append(book.log, b"line\n", time.time() - 2)
    book.files.write_marks(is_busy=True)
    assert not book.files.has_marks()


def test_only_so_many_marks_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "_MOST_MARKS", 2)
    book = Book(tmp_path)
    for second in (0, 11, 22, 33):
        book.files.append(book.log, b"line\n", NOON + second)
    assert book.marked() == [(0, 0), (11, 5)]
    book.files.close()


def test_mark_that_could_not_be_written_is_made_up_for_by_the_next_write(book: Book) -> None:
    Path(book.marks).mkdir(parents=True)
    book.append(0)
    Path(book.marks).rmdir()
    book.append(1, 2)
    assert book.marked() == [(1, 5)]


def test_what_still_waits_is_written_when_the_files_are_closed(book: Book) -> None:
    book.files.append(book.log, b"line\n", NOON)
    book.files.close()
    assert book.marked() == [(0, 0)]


def test_marks_that_cannot_be_written_harm_nobody(book: Book) -> None:
    Path(book.marks).mkdir(parents=True)
    book.append(0, 11)
    assert Path(book.log.path).read_bytes() == b"line\n" * 2
    assert book.marked() == []


def test_log_with_timestamps_needs_no_marks(tmp_path: Path) -> None:
    book = Book(tmp_path, timestamps=True)
    book.append(0)
    book.files.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
