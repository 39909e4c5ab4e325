"""The daemon's own log: bounded, and standard error leads to it wherever it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from procsup.cli import daemonlog
from procsup.cli.daemonlog import DaemonLog
from procsup.runtime.logfile import LogFiles
from tests.kit.disks import files_no_larger_than


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A descriptor that is taken for standard error."""
    fd = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(daemonlog, "_STDERR", fd)
    yield fd
    os.close(fd)


@pytest.fixture
def files() -> Iterator[LogFiles]:
    files = LogFiles()
    yield files
    files.close()


def test_standard_error_follows_the_log(stderr: int, files: LogFiles, tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    log = DaemonLog(str(path), files)
    log.write("one\n")
    os.write(stderr, b"a traceback\n")
    path.rename(tmp_path / "old")
    files.close()
    log.write("two\n")
    os.write(stderr, b"another one\n")
    assert (tmp_path / "old").read_text() == "one\na traceback\n"
    assert path.read_text() == "two\nanother one\n"


def test_event_without_words_is_nothing_to_write(stderr: int, files: LogFiles, tmp_path: Path) -> None:
    DaemonLog(str(tmp_path / "daemon.log"), files).write("")
    assert not list(tmp_path.iterdir())


def test_log_is_rotated_by_size(stderr: int, files: LogFiles, tmp_path: Path) -> None:
    log = DaemonLog(str(tmp_path / "daemon.log"), files)
    for _ in range(3):
        log.offer(1, lambda: "x" * 5_999_999 + "\n")
    assert [path.stat().st_size for path in sorted(tmp_path.glob("daemon.log*"))] == [6_000_000] * 3


def test_lines_that_cannot_be_written_are_counted_in_the_next_one(stderr: int, files: LogFiles, tmp_path: Path) -> None:
    log = DaemonLog(str(tmp_path / "daemon.log"), files)
    with files_no_larger_than(5):
        log.write("one\ntwo\n")
        log.write("three\n")
    log.write("four\n")
    assert (tmp_path / "daemon.log").read_text() == "... 3 lines not shown: they could not be written\nfour\n"
