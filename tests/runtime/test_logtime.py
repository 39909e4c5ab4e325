"""Stamps and marks: when the lines of a log were written."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.core.spec import LogSettings
from procsup.runtime.logfile import Log, LogFiles
from procsup.runtime.logtime import Mark, add_mark, marks_of, marks_path, stamp, stamp_of, stamped

NOON = datetime(2026, 3, 1, 12, 0, 0, 120_000, UTC).timestamp()
STAMP = b"2026-03-01T12:00:00.120Z "


def inode_of(path: Path) -> int:
    return path.stat().st_ino


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


def test_marks_of_a_file_are_found_by_its_inode(tmp_path: Path) -> None:
    log = str(tmp_path / "a.log")
    for mark in (Mark(1, 100.0, 0), Mark(2, 110.5, 0), Mark(2, 120.0, 77)):
        assert add_mark(log, mark)
    assert marks_of(log, 1) == [Mark(1, 100.0, 0)]
    assert marks_of(log, 2) == [Mark(2, 110.5, 0), Mark(2, 120.0, 77)]
    assert marks_of(log, 3) == []


def test_marks_of_an_earlier_file_with_the_same_inode_are_forgotten(tmp_path: Path) -> None:
    log = str(tmp_path / "a.log")
    for mark in (Mark(1, 100.0, 0), Mark(1, 110.0, 500), Mark(1, 200.0, 0), Mark(1, 210.0, 20)):
        add_mark(log, mark)
    assert marks_of(log, 1) == [Mark(1, 200.0, 0), Mark(1, 210.0, 20)]


def test_torn_mark_is_passed_over(tmp_path: Path) -> None:
    log = str(tmp_path / "a.log")
    add_mark(log, Mark(1, 100.0, 0))
    with open(marks_path(log), "ab") as file:
        file.write(b"1 2\n")
    add_mark(log, Mark(1, 110.0, 5))
    assert marks_of(log, 1) == [Mark(1, 100.0, 0), Mark(1, 110.0, 5)]


def test_file_of_marks_forgets_the_older_half_and_stays_small(tmp_path: Path) -> None:
    log = str(tmp_path / "a.log")
    for number in range(8000):
        add_mark(log, Mark(1, 1e9 + number, number))
    marks = marks_of(log, 1)
    assert os.path.getsize(marks_path(log)) <= 128 * 1024
    assert marks[-1].offset == 7999
    assert len(marks) >= 2000
    assert [mark.offset for mark in marks] == list(range(8000 - len(marks), 8000))
    assert len(os.listdir(tmp_path)) == 1


def test_marks_that_cannot_be_written_harm_nobody(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    Path(marks_path(str(log))).mkdir()
    LogFiles().append(Log(str(log), LogSettings()), b"one\n", NOON)
    assert log.read_bytes() == b"one\n"
    with pytest.raises(OSError, match="directory"):
        marks_of(str(log), inode_of(log))


def test_log_is_marked_where_it_begins_and_when_ten_seconds_have_passed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    files, log = LogFiles(), Log(str(path), LogSettings())
    for seconds in (0.0, 9.0, 11.0, 12.0, 21.0, 500.0):
        files.append(log, b"line\n", NOON + seconds)
    files.close()
    marks = marks_of(str(path), inode_of(path))
    assert [(round(mark.seconds - NOON), mark.offset) for mark in marks] == [(0, 0), (11, 10), (21, 20), (500, 25)]


def test_each_file_of_a_rotated_log_has_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    files, log = LogFiles(), Log(str(path), LogSettings(max_bytes=10))
    for seconds in (0.0, 1.0, 2.0, 15.0):
        files.append(log, b"line\n", NOON + seconds)
    files.close()
    found = {file.name: marks_of(str(path), inode_of(file)) for file in tmp_path.glob("a.log*")}
    assert {name: [round(mark.seconds - NOON) for mark in marks] for name, marks in found.items()} == {
        "a.log": [2, 15],
        "a.log.1": [0],
    }


def test_log_with_timestamps_needs_no_marks(tmp_path: Path) -> None:
    LogFiles().append(Log(str(tmp_path / "a.log"), LogSettings(timestamps=True)), b"line\n", NOON)
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
