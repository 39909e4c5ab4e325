"""The connection to journald: what it is told, and what goes wrong."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from procsup.runtime import journald

Listener = tuple[str, socket.socket]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    """A path, and who listens there as journald does."""
    path = str(tmp_path / "stdout")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(0)
        yield path, listening


def test_journal_is_told_whose_lines_they_are(listener: Listener) -> None:
    path, listening = listener
    fd = journald.connect("api_cache", path)
    connection, _ = listening.accept()
    os.write(fd, b"<3>it burns\n")
    os.close(fd)
    with connection, connection.makefile("rb") as lines:
        # identifier, unit, priority, level prefix, forward to syslog, kmsg, console
        assert lines.read() == b"api_cache\n\n6\n1\n0\n0\n0\n<3>it burns\n"


def test_worker_gets_a_blocking_descriptor_that_no_other_program_inherits(listener: Listener) -> None:
    fd = journald.connect("a", listener[0])
    assert os.get_blocking(fd)
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_journal_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        journald.connect("a", str(tmp_path / "absent"))
    assert os.listdir("/proc/self/fd") == before


def test_journal_that_hangs_is_an_error_and_no_wait(listener: Listener) -> None:
    fds = []
    with pytest.raises(BlockingIOError) as failure:  # noqa: PT012  # however long its queue is
        for _ in range(10):
            fds.append(journald.connect("a", listener[0]))
    for fd in fds:
        os.close(fd)
    assert failure.value.errno == errno.EAGAIN
