"""Process groups: is anybody of one left, and who."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from procsup.runtime import group
from tests.kit import processes


@pytest.fixture
def leader() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as leader:
        yield leader
        leader.kill()


def living_member(number: int) -> int | None:
    living, _ = group.members(number)
    return living.pid if living is not None else None


def test_leader_is_a_member(leader: "subprocess.Popen[bytes]") -> None:
    assert group.has_members(leader.pid)
    assert living_member(leader.pid) == leader.pid


def test_stopped_process_is_a_living_member(leader: "subprocess.Popen[bytes]") -> None:
    leader.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, leader.pid, os.WSTOPPED)
    assert living_member(leader.pid) == leader.pid


def test_zombie_is_known_to_the_kernel_and_not_living(leader: "subprocess.Popen[bytes]") -> None:
    leader.kill()
    os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
    assert group.has_members(leader.pid)
    assert living_member(leader.pid) is None


def test_group_whose_last_process_was_reaped_has_nobody(leader: "subprocess.Popen[bytes]") -> None:
    leader.kill()
    leader.wait()
    assert not group.has_members(leader.pid)
    assert living_member(leader.pid) is None


@pytest.mark.parametrize("name", [") Z 1 1 (", "a b", "\n) R"])
def test_name_of_a_program_cannot_pass_for_what_follows_it(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen([program, "1000"], start_new_session=True) as leader:
        found = living_member(leader.pid)
        leader.kill()
    assert found == leader.pid


def test_group_that_is_another_users_has_members() -> None:
    assert group.has_members(processes.stat_of(os.getpid()).group)
