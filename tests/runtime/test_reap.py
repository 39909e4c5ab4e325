"""Reaping: how each worker ended, and when nothing of its group is left."""

import errno
import os
import resource
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from procsup.core.reason import ExitCode, KilledBySignal
from procsup.core.spec import Program
from procsup.runtime.loop import Loop
from procsup.runtime.reap import Death, Reaper
from procsup.runtime.spawn import Spawner, Stdio
from tests.kit import processes
from tests.kit.trees import python, sh
from tests.kit.wait import wait_until

MARK = f"KIT_MARK={uuid.uuid4().hex}"


class Ward:
    """A reaper, its loop, and what it has told so far."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.emptied: list[int] = []
        self.reaper = Reaper(self.loop, self.emptied.append)
        self._spawner = Spawner(os.environ, MARK.encode())
        self._lives = 0
        self.deaths: list[Death] = []

    def start(self, *command: str, cwd: str = "/") -> tuple[int, int]:
        """(life, pid)"""
        self._lives += 1
        pid = self._spawner.spawn(Program(command, cwd), "root/a", 1, Stdio(-1, -1, -1))
        self.reaper.adopt(self._lives, pid)
        return self._lives, pid

    def turn(self, seconds: float | None) -> None:
        self.loop.turn(seconds)
        self.deaths += self.reaper.take_deaths()
        self.reaper.poll(time.monotonic())

    def turn_until(self, fact: Callable[[], object], what: str) -> None:
        def turn_and_look() -> bool:
            self.turn(0)
            return bool(fact())

        wait_until(turn_and_look, what)

    def death(self) -> Death:
        self.turn_until(lambda: self.deaths, "somebody ended")
        return self.deaths.pop(0)


@pytest.fixture
def ward() -> Iterator[Ward]:
    handler = signal.getsignal(signal.SIGCHLD)
    before = set(os.listdir("/proc/self/fd"))
    ward = Ward()
    yield ward
    processes.kill_all(lambda: processes.carrying(MARK))
    while ward.reaper.remaining:
        ward.turn(0.01)
    ward.loop.close()
    signal.signal(signal.SIGCHLD, handler)
    for fd in set(os.listdir("/proc/self/fd")) - before:
        try:
            os.close(int(fd))
        except OSError:
            continue  # it was that of the listing


@pytest.fixture
def without_pidfds(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, "no pidfds here")

    monkeypatch.setattr(os, "pidfd_open", refuse)


@pytest.mark.parametrize("code", [0, 1, 255])
def test_exit_code_is_told(ward: Ward, code: int) -> None:
    life, _ = ward.start(*sh(f"exit {code}"))
    assert ward.death() == Death(life, ExitCode(code), True)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (int(signal.SIGKILL), "SIGKILL"),
        (int(signal.SIGTERM), "SIGTERM"),
        (int(signal.SIGRTMIN), "SIGRTMIN"),
        (int(signal.SIGRTMIN) + 1, f"SIG{signal.SIGRTMIN + 1}"),
        (int(signal.SIGRTMAX), "SIGRTMAX"),
    ],
)
def test_signal_that_killed_is_told_by_its_name(ward: Ward, number: int, name: str) -> None:
    life, pid = ward.start("sleep", "1000")
    os.kill(pid, number)
    assert ward.death() == Death(life, KilledBySignal(name), True)


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and os.geteuid() != 0, reason="no core can be dumped here"
)
def test_core_dump_is_told(ward: Ward, tmp_path: Path) -> None:
    life, _ = ward.start(*sh("ulimit -H -c unlimited; ulimit -c unlimited; kill -SEGV $$"), cwd=str(tmp_path))
    assert ward.death() == Death(life, KilledBySignal("SIGSEGV", core=True), True)


def test_signal_that_could_dump_a_core_but_did_not_is_told_without(ward: Ward) -> None:
    life, _ = ward.start(*sh("ulimit -c 0; kill -SEGV $$"))
    assert ward.death() == Death(life, KilledBySignal("SIGSEGV"), True)


def test_all_that_ended_since_the_last_turn_are_told_in_one(ward: Ward) -> None:
    started = [ward.start("true") for _ in range(5)]
    for _, pid in started:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    ward.turn(0)

    assert sorted(death.life for death in ward.deaths) == [life for life, _ in started]


def test_nothing_is_kept_of_a_life_that_is_over(ward: Ward) -> None:
    before = os.listdir("/proc/self/fd")
    ward.start("true")
    ward.death()
    ward.reaper.tidy()

    assert ward.reaper.remaining == []
    assert os.listdir("/proc/self/fd") == before


# What remains of the group


LEAVES_TWO = """
import os, sys
for _ in range(2):
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "1000"])
"""


def members(group: int) -> list[int]:
    return [one.pid for one in processes.of_group(group)]


def test_group_is_empty_only_when_its_last_member_is_gone(ward: Ward) -> None:
    life, pid = ward.start(*python(LEAVES_TWO))
    assert ward.death() == Death(life, ExitCode(0), False)
    first, second = members(pid)

    os.kill(first, signal.SIGKILL)
    processes.wait_until_gone(processes.process(first))
    for _ in range(10):
        ward.turn(0.01)
    assert ward.emptied == []

    os.kill(second, signal.SIGKILL)
    ward.turn_until(lambda: ward.emptied, "the group is empty")
    assert ward.emptied == [life]
    assert ward.reaper.remaining == []


@pytest.mark.usefixtures("without_pidfds")
def test_without_pidfds_deaths_and_empty_groups_are_told_all_the_same(ward: Ward) -> None:
    lone, _ = ward.start(*sh("exit 3"))
    assert ward.death() == Death(lone, ExitCode(3), True)

    life, pid = ward.start(*python(LEAVES_TWO))
    assert ward.death() == Death(life, ExitCode(0), False)
    assert ward.reaper.next_poll() is not None
    os.killpg(pid, signal.SIGKILL)
    ward.turn_until(lambda: ward.emptied, "the group is empty")

    assert ward.emptied == [life]
    assert ward.reaper.next_poll() is None


@pytest.mark.usefixtures("without_pidfds")
def test_without_pidfds_a_death_ends_the_wait(ward: Ward) -> None:
    life, pid = ward.start("sleep", "1000")
    os.kill(pid, signal.SIGKILL)
    while not ward.deaths:
        ward.turn(None)
    assert ward.deaths == [Death(life, KilledBySignal("SIGKILL"), True)]


LEAVES_A_ZOMBIE = """
import os, select
told, tell = os.pipe()
if os.fork() == 0:
    os.setpgid(0, 0)
    zombie = os.fork()
    if zombie == 0:
        os.setpgid(0, os.getsid(0))
        os._exit(0)
    os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
    os.write(tell, b"x")
    select.select([], [], [])
os.read(told, 1)
"""
"""Its child, in a group of its own, has a zombie in the group of the worker and never reaps it."""


def test_zombie_that_nobody_reaps_does_not_count_as_left(ward: Ward) -> None:
    life, pid = ward.start(*python(LEAVES_A_ZOMBIE))
    assert ward.death().ended == ExitCode(0)

    ward.turn_until(lambda: ward.emptied or not ward.reaper.remaining, "nothing is left")

    os.killpg(pid, 0)  # the kernel does know the group still
    assert ward.emptied in ([], [life])


# Signals


def test_signal_reaches_every_process_of_the_group(ward: Ward) -> None:
    life, pid = ward.start(*python(LEAVES_TWO))
    ward.death()

    ward.reaper.signal(life, signal.SIGKILL)

    ward.turn_until(lambda: ward.emptied, "the group is empty")
    assert members(pid) == []


def test_signal_for_the_leader_reaches_nobody_else(ward: Ward) -> None:
    life, pid = ward.start(*python(f"{LEAVES_TWO}\nos.execvp('sleep', ['sleep', '1000'])"))
    wait_until(lambda: len(members(pid)) == 3, "both children are there")

    assert ward.reaper.signal_leader(life, signal.SIGTERM)

    assert ward.death() == Death(life, KilledBySignal("SIGTERM"), False)
    assert len(members(pid)) == 2


def test_leader_that_was_reaped_gets_no_signal_though_others_of_its_group_live(ward: Ward) -> None:
    life, pid = ward.start(*python(LEAVES_TWO))
    ward.death()

    assert not ward.reaper.signal_leader(life, signal.SIGKILL)
    assert len(members(pid)) == 2


def test_signal_for_a_life_that_is_over_reaches_nobody(ward: Ward) -> None:
    life, _ = ward.start("true")
    ward.death()

    ward.reaper.signal(life, signal.SIGKILL)

    assert not ward.reaper.signal_leader(life, signal.SIGKILL)
