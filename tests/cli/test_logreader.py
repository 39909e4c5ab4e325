"""Reading a log: where it begins, and that nothing of it is missed or read twice while it grows and is rotated."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.cli import logreader
from procsup.cli.logreader import LogReader
from procsup.core.spec import LogSettings
from procsup.runtime.logfile import Log, LogFiles
from procsup.runtime.logtime import marks_path, stamped
from tests.kit.wait import wait_until

NOW = 1_772_334_764.0


class Book:
    """The log a.log in a folder: a writer, and readers."""

    def __init__(self, folder: Path, max_bytes: int = 10_000_000, backups: int = 5) -> None:
        self.path = folder / "a.log"
        self.marks = marks_path(str(folder), "a")
        self._files = LogFiles(str(folder))
        self._log = Log(str(self.path), LogSettings(max_bytes, backups), "a")
        self._readers: list[LogReader] = []

    def append(self, data: bytes, seconds: float | None = None) -> None:
        """Now, or so many seconds after 1970."""
        self._files.append(self._log, data, seconds or NOW)
        self._files.write_marks()
        if seconds is not None:
            os.utime(self.path, (seconds, seconds))

    def append_stamped(self, data: bytes, seconds: float) -> None:
        self.append(stamped(data, seconds, is_continued=False), seconds)

    def reopen(self) -> None:
        self._files.close()

    def reader(self, count: int | None = None, since: float | None = None) -> LogReader:
        self._readers.append(LogReader(str(self.path), count, since, [self.marks]))
        return self._readers[-1]

    def shown(self, count: int | None = None, since: float | None = None) -> list[bytes]:
        return read_all(self.reader(count, since))

    def close(self) -> None:
        self._files.close()
        for reader in self._readers:
            reader.close()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path)
    yield book
    book.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Book]:
    """Two lines to a file."""
    book = Book(tmp_path, max_bytes=10)
    yield book
    book.close()


def read_all(reader: LogReader) -> list[bytes]:
    lines: list[bytes] = []
    while found := reader.read():
        lines += found
    return lines


def numbered(begin: int, end: int) -> bytes:
    return b"".join(b"%04d\n" % number for number in range(begin, end))


# The last lines


def test_last_lines_are_counted_from_the_end(book: Book) -> None:
    book.append(numbered(0, 100))
    assert book.shown(3) == [b"0097", b"0098", b"0099"]
    assert book.shown(0) == []
    assert len(book.shown(1000)) == len(book.shown()) == 100


def test_last_lines_are_found_in_older_files_too(small: Book) -> None:
    small.append(numbered(0, 9))
    assert small.shown(5) == [b"0004", b"0005", b"0006", b"0007", b"0008"]


def test_line_without_its_end_is_the_last_one(book: Book) -> None:
    book.append(b"one\ntwo\nthr")
    reader = book.reader(2)
    assert read_all(reader) == [b"two"]
    assert reader.unfinished() == b"thr"


def test_line_that_goes_on_in_the_next_file_is_one_line(small: Book) -> None:
    small.append(b"one\n" + b"x" * 35 + b"\ntwo\n")
    assert small.shown(2) == [b"x" * 35, b"two"]


def test_log_that_is_not_there_has_no_lines(book: Book) -> None:
    reader = book.reader(5)
    assert not reader.has_file
    assert reader.read() == []
    book.append(b"one\n")
    assert reader.read() == [b"one"]


def test_folder_or_fifo_in_place_of_a_log_has_no_lines(book: Book) -> None:
    os.mkfifo(book.path)
    Path(f"{book.path}.1").mkdir()
    assert book.shown() == []


def test_log_of_which_only_old_files_are_left_is_read(book: Book) -> None:
    book.append(b"one\n")
    book.path.rename(f"{book.path}.1")
    assert book.shown() == [b"one"]


@given(st.lists(st.sampled_from([b"a", b"bcd", b"\n", b"ef\n"])), st.integers(1, 40), st.integers(0, 12))
def test_last_lines_are_the_last_of_all_lines(chunks: list[bytes], max_bytes: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder), max_bytes, backups=100)
        for chunk in chunks:
            book.append(chunk)
        everything = book.reader()
        some = book.reader(count)
        all_lines = [*read_all(everything), everything.unfinished()]
        lines = [*read_all(some), some.unfinished()]
        book.close()

    said = b"".join(chunks).split(b"\n")
    assert all_lines == said
    wanted = count + 1 if said[-1] == b"" else max(count, 1)
    assert lines == said[-wanted:]


# Since some time


def test_since_is_exact_with_stamps(book: Book) -> None:
    for seconds in range(100):
        book.append_stamped(b"%d\n" % seconds, NOW + seconds)
    assert [line.split()[1] for line in book.shown(since=NOW + 97)] == [b"97", b"98", b"99"]
    assert [line.split()[1] for line in book.shown(since=NOW + 97.5)] == [b"98", b"99"]
    assert book.shown(since=NOW + 100) == []
    assert len(book.shown(since=NOW - 1)) == 100


def test_since_finds_its_line_in_a_large_file(book: Book) -> None:
    for seconds in range(2000):
        book.append_stamped(b"x" * 200 + b" %d\n" % seconds, NOW + seconds)
    for seconds in (0, 1, 777, 1998, 1999):
        reader = book.reader(since=NOW + seconds)
        assert reader.is_exact
        assert len(read_all(reader)) == 2000 - seconds


def test_since_finds_its_file(small: Book) -> None:
    for seconds in range(6):
        small.append(b"%d\n" % seconds * 5, NOW + 100 * seconds)
    assert small.shown(since=NOW + 350) == [b"4"] * 5 + [b"5"] * 5
    assert small.shown(since=NOW + 501) == []


def test_lines_from_before_there_were_stamps_are_older(book: Book) -> None:
    book.append(b"old\n" * 30_000, NOW)
    for seconds in range(3):
        book.append_stamped(b"%d\n" % seconds, NOW + 100 + seconds)
    assert [line.split()[1] for line in book.shown(since=NOW + 101)] == [b"1", b"2"]


def test_since_without_stamps_goes_back_ten_seconds_too_far_at_most(book: Book) -> None:
    for seconds in range(100):
        book.append(b"%d\n" % seconds, NOW + seconds)
    for since in (0, 7, 10, 11, 55, 91, 99):
        reader = book.reader(since=NOW + since)
        first = int(read_all(reader)[0])
        assert reader.is_exact
        assert since - 10 <= first <= since


def test_since_without_stamps_leaves_out_what_was_before_a_pause(book: Book) -> None:
    book.append(b"before\n" * 3, NOW)
    book.append(b"after\n" * 2, NOW + 60)
    assert book.shown(since=NOW + 30) == [b"after"] * 2


def test_since_without_anything_to_go_by_shows_all_of_a_file_and_says_so(book: Book) -> None:
    book.append(b"one\n", NOW)
    book.append(b"two\n", NOW + 60)
    os.unlink(book.marks)
    reader = book.reader(since=NOW + 30)
    assert not reader.is_exact
    assert read_all(reader) == [b"one", b"two"]


def test_marks_of_a_file_that_was_replaced_from_outside_are_not_believed(book: Book) -> None:
    book.append(numbered(0, 100), NOW)
    book.append(numbered(0, 100), NOW + 60)
    os.truncate(book.path, 5)
    os.utime(book.path, (NOW + 70, NOW + 70))
    reader = book.reader(since=NOW + 65)
    assert not reader.is_exact
    assert read_all(reader) == [b"0000"]


def test_since_and_a_count_are_whichever_is_less(book: Book) -> None:
    for seconds in range(100):
        book.append_stamped(b"%d\n" % seconds, NOW + seconds)
    assert len(book.shown(count=5, since=NOW + 90)) == 5
    assert len(book.shown(count=50, since=NOW + 90)) == 10


# Following


def test_what_is_added_is_read(book: Book) -> None:
    book.append(b"one\n")
    reader = book.reader(0)
    book.append(b"two\nthr")
    assert reader.read() == [b"two"]
    assert reader.read() == []
    book.append(b"ee\n")
    assert reader.read() == [b"three"]


def test_several_rotations_between_two_looks_are_followed(small: Book) -> None:
    reader = small.reader()
    for number in range(0, 100, 8):
        small.append(numbered(number, number + 8))
        assert read_all(reader) == numbered(number, number + 8).split()


def test_log_that_was_removed_is_followed_when_it_is_there_again(small: Book) -> None:
    small.append(numbered(0, 4))
    reader = small.reader()
    assert len(read_all(reader)) == 4
    os.unlink(small.path)
    assert reader.read() == []
    small.append(numbered(4, 8))
    assert read_all(reader) == [b"0004", b"0005", b"0006", b"0007"]


def test_truncated_log_is_read_from_its_beginning(book: Book) -> None:
    book.append(numbered(0, 10))
    reader = book.reader()
    assert len(read_all(reader)) == 10
    os.truncate(book.path, 0)
    book.append(b"new\n")
    assert read_all(reader) == [b"new"]


def test_renamed_log_is_read_until_its_successor_has_something(book: Book) -> None:
    """As logrotate does it: renamed, made anew, and the daemon told last."""
    book.append(b"one\n")
    reader = book.reader()
    book.path.rename(f"{book.path}.1")
    book.path.touch()
    book.append(b"two\n")
    assert read_all(reader) == [b"one", b"two"]
    book.append(b"three\n")
    book.reopen()
    book.append(b"four\n")
    assert read_all(reader) == [b"three", b"four"]


def test_beginning_of_a_line_that_moves_to_the_next_file_is_not_read_twice(tmp_path: Path) -> None:
    book = Book(tmp_path, max_bytes=20)
    reader = book.reader()
    book.append(b"one\nbegun ")
    assert read_all(reader) == [b"one"]
    book.append(b"and much later ")
    assert read_all(reader) == []
    book.append(b"end\n")
    assert read_all(reader) == [b"begun and much later end"]
    book.close()


def test_file_is_not_read_anew_between_the_two_steps_of_moving_a_line(book: Book) -> None:
    book.append(b"one\nbegun ")
    reader = book.reader()
    assert read_all(reader) == [b"one"]
    os.truncate(book.path, 4)
    assert read_all(reader) == []
    book.append(b"two\n")
    assert read_all(reader) == [b"two"]


@pytest.mark.parametrize("rotations", [1, 2, 3])
@pytest.mark.parametrize("opened", [1, 2, 3])
def test_files_are_in_order_though_the_log_is_rotated_while_they_are_opened(
    small: Book, monkeypatch: pytest.MonkeyPatch, opened: int, rotations: int
) -> None:
    """The log is rotated so many times once so many of its files are open."""
    small.append(numbered(0, 6))
    open_file = logreader._opened
    left = [opened]

    def open_and_rotate(path: str) -> int:
        left[0] -= 1
        fd = open_file(path)
        if left[0] == 0:
            small.append(numbered(6, 6 + 2 * rotations))
        return fd

    monkeypatch.setattr(logreader, "_opened", open_and_rotate)
    assert small.shown() == numbered(0, 6 + 2 * rotations).split()


@given(
    st.lists(st.one_of(st.none(), st.sampled_from([b"a", b"\n", b"bcd\n", b"e\nfg", b"h" * 25, b"i\n" * 30]))),
    st.integers(1, 40),
)
def test_whenever_it_looks_a_reader_gets_every_line_once(steps: list[bytes | None], max_bytes: int) -> None:
    """A step appends, or lets the reader look."""
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder), max_bytes, backups=1000)
        reader = book.reader()
        lines: list[bytes] = []
        for step in steps:
            if step is None:
                lines += read_all(reader)
            else:
                book.append(step)
        lines += [*read_all(reader), reader.unfinished()]
        book.close()

    assert lines == b"".join(filter(None, steps)).split(b"\n")


WRITER = """
import sys
from procsup.core.spec import LogSettings
from procsup.runtime.logfile import Log, LogFiles
files, log = LogFiles(), Log(sys.argv[1], LogSettings(max_bytes=2000, backups=100_000), "a")
for number in range(20_000):
    files.append(log, b"%d" % number, 0.0)
    files.append(log, b" has ended\\n", 0.0)
"""


def test_reader_of_a_log_that_is_rotated_all_the_time_gets_every_line_once(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as process:
        reader = LogReader(str(path))
        lines: list[bytes] = []
        while process.poll() is None:
            lines += reader.read()
        lines += read_all(reader)
    wait_until(lambda: process.returncode == 0, "the writer ended well")
    reader.close()
    assert lines == [b"%d has ended" % number for number in range(20_000)]
