"""Log files: whole lines, in order, in files of bounded size, whatever is appended and whatever fails."""

import errno
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.core.spec import LogSettings
from procsup.runtime import logfile
from procsup.runtime.failure import CannotRun
from procsup.runtime.logfile import Log, LogFiles, NotWritten, open_log
from tests.kit.disks import files_no_larger_than, read_only, small_disk
from tests.kit.wait import wait_until

NOW = 1_772_334_764.12


class Writer:
    """One writer of the log a.log in a folder."""

    def __init__(self, folder: Path, max_bytes: int = 100, backups: int = 5) -> None:
        self.folder = folder
        self.files = LogFiles()
        self.log = Log(str(folder / "a.log"), LogSettings(max_bytes, backups), "a")

    def append(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.files.append(self.log, chunk, NOW)

    def parts(self) -> list[bytes]:
        """What each file holds, from the oldest to the youngest."""
        return [path.read_bytes() for path in reversed(self.paths())]

    def paths(self) -> list[Path]:
        """From the youngest to the oldest."""
        return sorted(self.folder.glob("a.log*"), key=lambda path: int(path.name.removeprefix("a.log")[1:] or 0))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


@pytest.fixture
def large(tmp_path: Path) -> Writer:
    """Its files are large enough to be freed by a thread; there is one old file."""
    return Writer(tmp_path, 5_000_000, 1)


def fill(writer: Writer, count: int) -> None:
    """So many of the large files."""
    for _ in range(count):
        writer.append(b"x" * 4_999_999 + b"\n")


# Lines and files


def test_lines_are_in_the_file_at_once(writer: Writer) -> None:
    writer.append(b"one\n\xff\x00\xfe\n\n", b"two\n")
    assert writer.parts() == [b"one\n\xff\x00\xfe\n\ntwo\n"]


def test_file_that_the_next_line_would_make_too_large_is_renamed_first(writer: Writer) -> None:
    writer.append(*(b"%d" % number * 59 + b"\n" for number in range(3)))
    assert [(path.name, path.read_bytes()[:1]) for path in writer.paths()] == [
        ("a.log", b"2"),
        ("a.log.1", b"1"),
        ("a.log.2", b"0"),
    ]


def test_as_many_old_files_are_kept_as_is_said(tmp_path: Path) -> None:
    writer = Writer(tmp_path, backups=2)
    writer.append(*(b"%d" % number * 59 + b"\n" for number in range(9)))
    assert [part[:1] for part in writer.parts()] == [b"6", b"7", b"8"]


def test_without_old_files_there_is_one_that_begins_anew(tmp_path: Path) -> None:
    writer = Writer(tmp_path, backups=0)
    writer.append(*(b"%d" % number * 59 + b"\n" for number in range(3)))
    assert writer.parts() == [b"2" * 59 + b"\n"]


def test_large_old_file_is_gone_without_a_trace(large: Writer) -> None:
    before = set(os.listdir("/proc/self/fd"))
    fill(large, 3)
    assert [path.name for path in large.paths()] == ["a.log", "a.log.1"]
    wait_until(lambda: threading.active_count() == 1, "the old file to be freed")
    assert len(set(os.listdir("/proc/self/fd")) - before) == 1
    large.files.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_who_reads_a_large_old_file_reads_it_to_its_end(large: Writer) -> None:
    fill(large, 2)
    with open(large.paths()[1], "rb") as file:
        fill(large, 2)
        assert len(file.read()) == 5_000_000


def test_where_there_can_be_no_more_threads_a_large_old_file_is_freed_at_once(
    large: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    fill(large, 2)
    before = set(os.listdir("/proc/self/fd"))
    fill(large, 3)
    assert set(os.listdir("/proc/self/fd")) == before


def test_large_old_file_that_cannot_be_replaced_is_tried_once_for_each_write(
    large: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(path: str, backups: int) -> None:
        tried.append(path)
        raise PermissionError(errno.EACCES, "Permission denied")

    fill(large, 2)
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(logfile, "_rename", refuse)
    for _ in range(2):
        with pytest.raises(NotWritten):
            large.append(b"one more\n")
    assert len(tried) == 2
    assert set(os.listdir("/proc/self/fd")) == before


def test_file_may_be_exactly_full(writer: Writer) -> None:
    writer.append(b"x" * 49 + b"\n", b"x" * 49 + b"\n")
    assert [len(part) for part in writer.parts()] == [100]


def test_many_lines_at_once_are_spread_over_files_at_their_ends(writer: Writer) -> None:
    said = b"".join(b"%039d\n" % number for number in range(7))
    writer.append(said)
    assert [len(part) for part in writer.parts()] == [80, 80, 80, 40]
    assert b"".join(writer.parts()) == said


def test_line_in_parts_is_moved_as_a_whole_to_the_next_file(writer: Writer) -> None:
    writer.append(b"x" * 49 + b"\n", b"y" * 40, b"y" * 20, b"y\nz\n")
    assert writer.parts() == [b"x" * 49 + b"\n", b"y" * 61 + b"\nz\n"]


def test_line_that_is_longer_than_a_file_goes_on_in_the_next(writer: Writer) -> None:
    writer.append(b"short\n", b"x" * 250 + b"\nend\n")
    assert writer.parts() == [b"short\n", b"x" * 100, b"x" * 100, b"x" * 50 + b"\nend\n"]


def test_line_too_long_to_be_moved_goes_on_in_the_next_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "_LONGEST_MOVED", 10)
    writer = Writer(tmp_path)
    writer.append(b"x" * 49 + b"\n", b"y" * 40, b"y" * 20)
    assert writer.parts() == [b"x" * 49 + b"\n" + b"y" * 50, b"y" * 10]


def test_limit_of_nothing_is_no_endless_loop(tmp_path: Path) -> None:
    writer = Writer(tmp_path, max_bytes=0, backups=1)
    writer.append(b"abc")
    assert writer.parts() == [b"b", b"c"]


CHUNKS = st.lists(st.lists(st.sampled_from([b"\n", b"a", b"bc\n", b"d" * 7, b"\xff" * 30]), max_size=8).map(b"".join))


@given(CHUNKS, st.integers(1, 60), st.integers(0, 4))
def test_files_are_the_end_of_what_was_appended_within_bounds_and_cut_only_lines_that_are_too_long(
    chunks: list[bytes], max_bytes: int, backups: int
) -> None:
    said = b"".join(chunks)
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder), max_bytes, backups)
        writer.append(*chunks)
        parts = writer.parts()
        writer.files.close()

    assert said.endswith(b"".join(parts))
    assert len(parts) <= backups + 1
    assert all(len(part) <= max_bytes for part in parts)
    if len(parts) <= backups:  # nothing was dropped
        assert b"".join(parts) == said
    begin = len(said) - sum(map(len, parts))
    for part in parts:
        line = said[said.rfind(b"\n", 0, begin) + 1 :].partition(b"\n")[0]
        is_cut = begin > 0 and said[begin - 1 : begin] != b"\n"
        assert not is_cut or len(line) + 1 > max_bytes
        begin += len(part)


@given(CHUNKS, st.integers(1, 60))
def test_several_writers_of_one_log_lose_nothing(chunks: list[bytes], max_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one = Writer(Path(folder), max_bytes, 100_000)
        other = Log(one.log.path, one.log.settings, "b")
        for number, chunk in enumerate(chunks):
            one.files.append((one.log, other)[number % 2], chunk, NOW)
        parts = one.parts()
        one.files.close()

    assert sorted(b"".join(parts)) == sorted(b"".join(chunks))
    assert all(len(part) <= max_bytes for part in parts)


# Descriptors


def test_few_descriptors_serve_many_logs(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = LogFiles()
    logs = [Log(str(tmp_path / f"{number}.log"), LogSettings(), "a") for number in range(200)]
    for word in (b"one\n", b"two\n"):
        for log in logs:
            files.append(log, word, NOW)

    assert len(os.listdir("/proc/self/fd")) - before <= 64
    assert all(Path(log.path).read_bytes() == b"one\ntwo\n" for log in logs)
    files.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_removed_file_is_made_anew(writer: Writer) -> None:
    writer.append(b"one\n")
    os.unlink(writer.log.path)
    writer.append(b"two\n")
    assert writer.parts() == [b"two\n"]


def test_renamed_file_is_written_on_until_the_files_are_closed(writer: Writer, tmp_path: Path) -> None:
    writer.append(b"one\n")
    os.rename(writer.log.path, tmp_path / "old")
    writer.append(b"two\n")
    assert (tmp_path / "old").read_bytes() == b"one\ntwo\n"

    writer.files.close()
    writer.append(b"three\n")

    assert (tmp_path / "old").read_bytes() == b"one\ntwo\n"
    assert writer.parts() == [b"three\n"]


def test_what_somebody_put_in_place_of_a_renamed_file_is_not_rotated_for_its_size(
    writer: Writer, tmp_path: Path
) -> None:
    writer.append(b"x" * 60 + b"\n")
    os.rename(writer.log.path, tmp_path / "old")
    Path(writer.log.path).write_bytes(b"new\n")
    writer.append(b"y" * 60 + b"\n")
    assert writer.parts() == [b"new\n" + b"y" * 60 + b"\n"]


def test_truncated_file_is_written_on(writer: Writer) -> None:
    writer.append(b"one\nbegun")
    os.truncate(writer.log.path, 0)
    writer.append(b" and ended\n")
    assert writer.parts() == [b" and ended\n"]


def test_fifo_is_written_and_never_renamed(writer: Writer, tmp_path: Path) -> None:
    os.mkfifo(writer.log.path)
    reader = os.open(writer.log.path, os.O_RDONLY | os.O_NONBLOCK)
    writer.append(b"x" * 200 + b"\n")
    assert os.read(reader, 1000) == b"x" * 200 + b"\n"
    os.close(reader)
    writer.files.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


def test_fifo_that_is_full_has_lost_what_it_did_not_take(writer: Writer) -> None:
    os.mkfifo(writer.log.path)
    reader = os.open(writer.log.path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(NotWritten) as failure:
        writer.append(b"x" * 100_000)
    taken = len(os.read(reader, 100_000))
    os.close(reader)
    writer.files.close()
    assert failure.value.lost == 100_000 - taken


def test_log_that_is_opened_for_long_is_renamed_first_when_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch()
    os.truncate(path, LogSettings().max_bytes + 1)
    fd = open_log(str(path))
    os.write(fd, b"new")
    os.close(fd)
    assert [path.stat().st_size for path in Writer(tmp_path).paths()] == [3, LogSettings().max_bytes + 1]


def test_log_that_cannot_be_opened_for_long_is_73(tmp_path: Path) -> None:
    with pytest.raises(CannotRun) as refused:
        open_log(str(tmp_path / "absent" / "daemon.log"))
    assert refused.value.status == 73


# Failures


def test_write_that_fails_midway_is_undone(writer: Writer) -> None:
    writer.append(b"one\n")
    with files_no_larger_than(10), pytest.raises(NotWritten) as failure:
        writer.append(b"a longer line\n")
    assert writer.parts() == [b"one\n"]
    assert failure.value.lost == 14

    writer.append(b"two\n")

    assert writer.parts() == [b"one\ntwo\n"]


def test_what_was_written_before_the_failure_is_not_lost(writer: Writer) -> None:
    with files_no_larger_than(50), pytest.raises(NotWritten) as failure:
        writer.append(b"x" * 39 + b"\n", b"y" * 8 + b"\n" + b"z" * 60 + b"\n")
    assert writer.parts() == [b"x" * 39 + b"\n" + b"y" * 8 + b"\n", b""]
    assert failure.value.lost == 61


def test_moved_line_that_the_disk_does_not_take_is_lost_as_a_whole(writer: Writer) -> None:
    writer.append(b"x" * 49 + b"\n", b"y" * 40)
    with files_no_larger_than(30), pytest.raises(NotWritten) as failure:
        writer.append(b"y" * 20)
    assert failure.value.lost == 60
    assert writer.parts() == [b"x" * 49 + b"\n", b""]
    assert writer.log.begun == 0


@given(CHUNKS, st.integers(0, 60), st.integers(1, 60))
def test_however_small_the_disk_files_and_losses_are_what_was_appended(
    chunks: list[bytes], disk: int, max_bytes: int
) -> None:
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder), max_bytes, 100_000)
        for chunk in chunks:
            with files_no_larger_than(disk):
                try:
                    writer.append(chunk)
                except NotWritten as failure:
                    lost += failure.lost
        parts = writer.parts()
        writer.files.close()

    assert sum(map(len, parts)) + lost == len(b"".join(chunks))
    assert all(len(part) <= min(disk, max_bytes) for part in parts)


def test_full_disk_takes_whole_lines_and_goes_on_once_it_has_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 * 1024) as disk:
        writer = Writer(disk, max_bytes=10_000_000)
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 40 * 1024)
        line = b"y" * 2999 + b"\n"
        lost = 0
        for _ in range(20):
            try:
                writer.append(line)
            except NotWritten as failure:
                lost += failure.lost
        held = writer.parts()[0]

        assert lost > 0
        assert held == line * (20 - lost // 3000)

        ballast.unlink()
        writer.append(b"end\n")
        assert writer.parts() == [held + b"end\n"]
        writer.files.close()


def test_disk_that_holds_just_the_files_of_a_log_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 10_100_000) as disk:
        writer = Writer(disk, 5_000_000, 1)
        fill(writer, 12)
        assert [len(part) for part in writer.parts()] == [5_000_000, 5_000_000]
        writer.files.close()


def test_read_only_disk_loses_until_it_can_be_written_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 * 1024) as disk:
        writer = Writer(disk)
        with read_only(disk), pytest.raises(NotWritten) as failure:
            writer.append(b"lost\n")
        writer.append(b"written\n")
        assert writer.parts() == [b"written\n"]
        writer.files.close()
    assert (failure.value.lost, os.strerror(failure.value.errno)) == (5, "Read-only file system")
