"""The daemon's voice never makes the daemon wait."""

import fcntl
import os
import pty
import select
import socket
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from procsup.cli.patient import PatientWriter

LINE = "x" * 99 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        os.close(fd)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    reader, writer = pty.openpty()
    tty.setraw(writer)
    yield reader, writer
    for fd in (reader, writer):
        os.close(fd)


def read_all(reader: int) -> bytes:
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_NONBLOCK)
    found = b""
    try:
        while piece := os.read(reader, 65536):
            found += piece
    except BlockingIOError:
        pass
    return found


def read_until(end: bytes, writer: PatientWriter, reader: int) -> bytes:
    """What comes while the writer is given chances to go on. A terminal hands over what was written a moment later."""
    found = b""
    deadline = time.monotonic() + 10
    while not found.endswith(end):
        assert time.monotonic() < deadline, found[-200:]
        writer.write("")
        select.select([reader], [], [], 0.1)
        found += read_all(reader)
    return found


def test_lines_are_written_at_once(pipe: tuple[int, int]) -> None:
    writer = PatientWriter(pipe[1])
    writer.write("one\ntwo\n")
    assert read_all(pipe[0]) == b"one\ntwo\n"


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_reader_that_does_not_read_keeps_nobody_waiting(kind: str, request: pytest.FixtureRequest) -> None:
    reader, fd = request.getfixturevalue(kind)
    writer = PatientWriter(fd)
    for _ in range(20_000):  # 2 MB
        writer.write(LINE)
    first = read_until(b"\n", writer, reader)
    writer.write("back again\n")
    lines = (first + read_until(b"back again\n", writer, reader)).split(b"\n")
    notices = [line for line in lines if line.startswith(b"... ")]  # several: what is written makes room now and then
    lost = sum(int(notice.split()[1]) for notice in notices)
    assert lines.count(LINE.strip().encode()) == 20_000 - lost
    assert all(notice.endswith(b" lines not shown: they could not be written") for notice in notices)
    assert notices
    assert lines[-2:] == [b"back again", b""]


def test_what_was_kept_is_shown_before_what_comes_next(pipe: tuple[int, int]) -> None:
    writer = PatientWriter(pipe[1])
    for i in range(1000):
        writer.write(f"{i}".ljust(99) + "\n")
    first = read_all(pipe[0])
    writer.finish(5.0)
    lines = (first + read_all(pipe[0])).splitlines()
    assert [int(line) for line in lines] == list(range(1000))


def test_the_end_waits_for_nobody_longer_than_it_is_told(pipe: tuple[int, int]) -> None:
    writer = PatientWriter(pipe[1])
    writer.write("x" * 100_000)
    began = time.monotonic()
    writer.finish(0.05)
    assert 0.05 <= time.monotonic() - began < 2
    writer.write("too late\n")


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, fd = os.pipe()
    writer = PatientWriter(fd)
    os.close(reader)
    for _ in range(3):
        writer.write(LINE)
    writer.finish(1.0)
    os.close(fd)


def test_a_full_disk_is_no_error() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    writer = PatientWriter(fd)
    writer.write(LINE)
    writer.finish(1.0)
    os.close(fd)


def test_a_file_has_it_all(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = PatientWriter(file.fileno())
        for _ in range(10_000):
            writer.write(LINE)
        writer.write("odd \udcff\n")
        writer.finish(0.0)
    assert (tmp_path / "log").read_bytes() == LINE.encode() * 10_000 + b"odd \\udcff\n"


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_the_descriptor_that_it_was_given_stays_as_it_is(kind: str, request: pytest.FixtureRequest) -> None:
    _, fd = request.getfixturevalue(kind)
    before = fcntl.fcntl(fd, fcntl.F_GETFL)
    open_before = set(os.listdir("/proc/self/fd"))
    writer = PatientWriter(fd)
    writer.write(LINE)
    assert fcntl.fcntl(fd, fcntl.F_GETFL) == before
    writer.finish(1.0)
    assert set(os.listdir("/proc/self/fd")) == open_before


def test_what_is_only_offered_is_not_put_into_words_for_a_reader_who_has_enough(pipe: tuple[int, int]) -> None:
    writer = PatientWriter(pipe[1])
    asked: list[int] = []

    def words() -> str:
        asked.append(1)
        return LINE * 100

    for _ in range(1000):  # 10 MB
        writer.offer(100, words)
    writer.write("important\n")
    found = read_until(b"important\n", writer, pipe[0])
    writer.finish(0.0)

    assert 0 < len(asked) < 100
    assert found.count(LINE.encode()) == 100 * len(asked)
    assert f"... {100 * (1000 - len(asked))} lines not shown".encode() in found


def test_a_socket_keeps_nobody_waiting_either() -> None:
    reader, end = socket.socketpair()
    with reader, end:
        writer = PatientWriter(end.fileno())
        for _ in range(20_000):
            writer.write(LINE)
        assert read_until(b"\n", writer, reader.fileno()).startswith(LINE.encode())
        writer.finish(0.0)
