"""The lean thread: it has a table of descriptors of its own, from which spawns are cheap."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from procsup.runtime.lean import LeanThread
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.seccomp import UNSHARE, needs_unshare, refusing
from tests.kit.trees import supervisor, tree, workers
from tests.kit.wait import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]

FEW = "a b c"
MANY = " ".join(f"w{number}" for number in range(300))
"""Two descriptors each."""


@pytest.fixture
def lean() -> Iterator[LeanThread]:
    """When it is closed, nothing of it may be left."""
    threads, descriptors = threading.active_count(), os.listdir("/proc/self/fd")
    thread = LeanThread(())
    yield thread
    thread.close()
    wait_until(lambda: threading.active_count() == threads, "the thread has ended")
    assert os.listdir("/proc/self/fd") == descriptors


def test_job_has_copies_of_the_descriptors_that_are_closed_after_it(lean: LeanThread) -> None:
    reader, writer = os.pipe()

    assert lean.call(lambda fds: os.write(fds[0], b"hello"), [writer]) == 5

    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"hello"


def test_table_of_the_thread_holds_what_was_sent_and_next_to_nothing_else(lean: LeanThread) -> None:
    sent = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]

    def count(fds: Sequence[int]) -> int:
        return len(os.listdir("/proc/thread-self/fd")) - len(fds)

    assert {lean.call(count, sent) for _ in range(5)} == {7}  # the first three, the seats, socket, listing
    for fd in sent:
        os.close(fd)


def test_thread_keeps_what_it_is_told_to_keep_under_its_number() -> None:
    reader, writer = os.pipe()
    lean = LeanThread((writer, -1))
    os.close(writer)

    assert lean.call(lambda fds: os.write(writer, b"!"), []) == 1

    lean.close()
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"!"


def test_children_of_the_thread_are_our_own(lean: LeanThread) -> None:
    pid = lean.call(lambda fds: os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {}), [])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def test_what_a_job_raises_is_raised_by_the_call_and_the_next_is_done(lean: LeanThread) -> None:
    def fail(fds: Sequence[int]) -> int:
        raise ProcessLookupError("nobody")

    with pytest.raises(ProcessLookupError, match="nobody"):
        lean.call(fail, [0])
    assert lean.call(len, [0, 1]) == 2


def test_descriptor_that_cannot_be_sent_is_an_error_and_the_next_is(lean: LeanThread) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        lean.call(len, [1_000_000])
    assert lean.call(len, [0]) == 1


@needs_unshare
def test_thread_that_may_not_have_a_table_of_its_own_is_an_error_and_leaves_nothing() -> None:
    script = """
import errno, os, threading
from procsup.runtime.lean import LeanThread
before = os.listdir("/proc/self/fd")
try:
    LeanThread(())
except PermissionError:
    print(threading.active_count(), os.listdir("/proc/self/fd") == before)
"""
    assert UNSHARE is not None
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, preexec_fn=refusing(UNSHARE, errno.EPERM), stdout=subprocess.PIPE
    )
    assert told.stdout == b"1 True\n"


# In the daemon


def threads_of(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/task"))


def test_daemon_of_few_workers_has_one_thread(supervise: Supervise) -> None:
    assert threads_of(supervise(workers(FEW))) == 1


def test_daemon_of_many_workers_has_the_lean_thread_too(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", MANY.split()), workers(MANY)))
    assert threads_of(daemon) == 2
    assert daemon.stop() == 0


@needs_unshare
def test_daemon_that_may_have_no_lean_thread_does_without(supervise: Supervise) -> None:
    assert UNSHARE is not None
    many = tree(supervisor("root", MANY.split()), workers(MANY))
    daemon = supervise(many, preexec_fn=refusing(UNSHARE, errno.EPERM))

    assert threads_of(daemon) == 1
    events = daemon.events()
    daemon.kill("w299")
    events.wait("ready", "w299")
    assert daemon.stop() == 0
