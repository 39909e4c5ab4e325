"""The last broom: what it finds by the mark of a daemon, and that nobody gets away from it."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from procsup.runtime import leftovers
from tests.kit import processes
from tests.kit.trees import sh
from tests.kit.wait import wait_until


@pytest.fixture
def mark() -> Iterator[str]:
    """Like that of a daemon, and of nobody else."""
    mark = f"PROCSUP_DAEMON=0:{uuid.uuid4().int}"
    yield mark
    processes.kill_all(lambda: processes.carrying(mark))


def start(mark: str, *command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command, env={**os.environ, **dict([mark.split("=")])}, stdout=subprocess.PIPE, start_new_session=True
    )


def test_mark_of_a_daemon_is_that_of_no_other_process_with_its_pid() -> None:
    me = processes.process(os.getpid())
    assert leftovers.mark_of(me.pid) == f"PROCSUP_DAEMON={me.pid}:{me.started}".encode()


def test_every_marked_process_is_killed_wherever_it_is_and_nobody_else(mark: str) -> None:
    other = f"{mark}0"
    script = "sleep 1000 & (setsid sleep 1000 &); (setsid sh -c 'sleep 1000 & exec sleep 1000' &); exec sleep 1000"
    with start(mark, *sh(script)) as marked, start(other, "sleep", "1000") as stranger:
        wait_until(lambda: commands_of(mark) == ["sleep 1000"] * 5, "all are there")
        assert leftovers.kill_marked(mark.encode()) == 5
        assert processes.carrying(mark) == []
        assert marked.wait() == -signal.SIGKILL
        assert stranger.poll() is None
        stranger.kill()


def commands_of(mark: str) -> list[str]:
    return [processes.command_of(one.pid) for one in processes.carrying(mark)]


def test_nobody_marked_is_nobody_killed(mark: str) -> None:
    assert leftovers.kill_marked(mark.encode()) == 0


def test_frozen_process_is_killed(mark: str) -> None:
    with start(mark, "sleep", "1000") as marked:
        marked.send_signal(signal.SIGSTOP)
        assert leftovers.kill_marked(mark.encode()) == 1
        assert marked.wait() == -signal.SIGKILL


def test_process_in_the_middle_of_execve_is_killed(mark: str) -> None:
    """Then it shows no environment. It executes itself over and over: each look meets it at a random moment."""
    script = 'exec sh -c "$0" "$0"'
    for _ in range(40):
        with start(mark, "sh", "-c", script, script) as restless:
            wait_until(lambda: processes.carrying(mark), "it is there")
            assert leftovers.kill_marked(mark.encode()) == 1
            assert restless.wait() == -signal.SIGKILL
