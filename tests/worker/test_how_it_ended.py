"""How a process ended, as long as it is a zombie; afterwards nobody knows."""

import os
import subprocess

import pytest

from procsup.worker.node_process import how_it_ended
from tests.kit import processes
from tests.kit.wait import wait_until


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("exit 0", "normal"),
        ("exit 255", "exit 255"),
        ("kill -KILL $$", "signal SIGKILL"),
        ("kill -TERM $$", "signal SIGTERM"),
        ("kill -40 $$", "signal SIG40"),
    ],
)
def test_a_zombie_tells_how_it_ended_and_its_remains_do_not(command: str, how: str) -> None:
    with subprocess.Popen(["sh", "-c", f"ulimit -c 0; {command}"]) as process:
        wait_until(lambda: processes.stat_of(process.pid).state == "Z", "it is a zombie")
        assert how_it_ended(process.pid) == how

        process.wait()
        assert how_it_ended(process.pid) == "noconnection"


def test_who_lives_has_not_ended() -> None:
    assert how_it_ended(os.getpid()) == "noconnection"
