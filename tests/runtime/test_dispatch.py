"""Orders to the spawner process, without a daemon: what comes of them, and what they leave behind."""

import contextlib
import errno
import itertools
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.core.spec import Program
from procsup.runtime.dispatch import Dispatcher
from procsup.runtime.loop import Loop
from procsup.runtime.spawn import Spawner, SpawnFailure, Stdio, errno_name
from tests.kit import processes
from tests.kit.wait import DEADLINE, wait_until

NULL = Stdio(-1, -1, -1)
SLEEP = Program(("sleep", "1000"))
ABSENT = Program(("/no/such/program",))

Start = Callable[[int], int]


class Outcome(NamedTuple):
    pid: int
    failure: str


class Lab:
    """A dispatcher, its loop, and what has come of the orders, by life."""

    def __init__(self, start: Start | None = None) -> None:
        self.loop = Loop()
        self.spawner = Spawner(os.environ, b"PROCSUP_DAEMON=1:2", self.loop.wakeup_fd)
        self.dispatcher = Dispatcher(self.loop, start or self.spawner.start_spawner)
        self.outcomes: dict[int, Outcome] = {}
        self._pids: list[int] = []

    def order(self, life: int, program: Program = SLEEP, stdio: Stdio = NULL) -> None:
        order = self.spawner.order(program, f"root/w{life}", 1, stdio)
        self.dispatcher.dispatch(life, order, self.spawner.descriptors(stdio), lambda *told: self._done(life, *told))

    def outcome(self, life: int) -> Outcome:
        self.turn_until(lambda: life in self.outcomes)
        return self.outcomes[life]

    def turn_until(self, fact: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE
        while not fact():
            assert time.monotonic() < end, "it did not come about"
            self.loop.turn(0.01)

    def start_spawner(self) -> int:
        """By an order that fails; its pid."""
        self.order(0, ABSENT)
        self.outcome(0)
        return self.dispatcher.pid

    def stop_spawner(self) -> int:
        pid = self.start_spawner()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: processes.stat_of(pid).state == "T", "the spawner is stopped")
        return pid

    def end(self, life: int) -> None:
        """Of a program that runs."""
        pid = self.outcome(life).pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._pids.remove(pid)

    def close(self) -> None:
        self.dispatcher.close()
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.loop.close()

    def _done(self, life: int, pid: int, stage: str, number: int) -> None:
        assert life not in self.outcomes or life == 0, "nothing is told twice"
        self.outcomes[life] = Outcome(pid, f"{stage} {errno_name(number)}" if stage else "")
        if pid:
            self._pids.append(pid)


@contextlib.contextmanager
def lab_of(start: Start | None = None) -> Iterator[Lab]:
    """At its end no process and no descriptor of it may be left."""
    before = set(os.listdir("/proc/self/fd"))
    lab = Lab(start)
    try:
        yield lab
    finally:
        lab.close()
        for fd in set(os.listdir("/proc/self/fd")) - before:
            with contextlib.suppress(OSError):  # it was that of the listing
                os.close(int(fd))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with lab_of() as lab:
        yield lab


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def assert_no_zombies() -> None:
    """Nobody of ours has ended and waits to be reaped."""
    with contextlib.suppress(ChildProcessError):
        assert os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


# What comes of an order


def test_program_is_executed_as_our_own_child(lab: Lab) -> None:
    lab.order(1)
    pid, failure = lab.outcome(1)

    assert failure == ""
    assert processes.stat_of(pid).parent == os.getpid()


def test_program_gets_what_it_was_ordered_with(lab: Lab) -> None:
    reader, writer = os.pipe()
    lab.order(1, Program(("sh", "-c", "pwd; echo $PROCSUP_NAME $A; umask >&2"), "/usr", (("A", "1"),), True, 0o027),
              Stdio(-1, writer, writer))  # fmt: skip
    os.close(writer)
    lab.outcome(1)

    with open(reader, "rb") as output:
        assert output.read() == b"/usr\nroot/w1 1\n0027\n"


def test_order_may_be_of_any_size(lab: Lab) -> None:
    env = tuple((f"BIG{number}", "x" * 100_000) for number in range(3))
    lab.order(1, Program(("sleep", "1000"), env=env))
    assert lab.outcome(1).failure == ""


def test_many_orders_at_once_are_all_executed_each_once(lab: Lab) -> None:
    lab.start_spawner()
    for life in range(1, 201):
        lab.order(life)
    lab.turn_until(lambda: len(lab.outcomes) == 201)

    pids = [lab.outcomes[life].pid for life in range(1, 201)]
    assert len(set(pids)) == 200
    assert {processes.stat_of(pid).session for pid in pids} == set(pids)


# What may stand in a folder of PATH
THINGS = st.sampled_from(["nothing", "no folder", "file", "not executable", "empty", "no interpreter", "closed folder"])


def test_program_that_cannot_be_executed_is_the_same_failure_as_of_a_plain_worker(lab: Lab) -> None:
    lives = itertools.count(1)

    @given(st.lists(THINGS, min_size=1, max_size=5))
    def is_the_same(things: list[str]) -> None:
        with tempfile.TemporaryDirectory() as top:
            folders = [arrange(Path(top, str(number)), thing) for number, thing in enumerate(things)]
            program = Program(("program",), env=(("PATH", ":".join(folders)),))
            with pytest.raises(SpawnFailure) as failed:
                lab.spawner.spawn(program, "root/a", 1, NULL)
            life = next(lives)
            lab.order(life, program)

            assert lab.outcome(life) == (0, f"{failed.value.stage} {errno_name(failed.value.errno)}")

    is_the_same()


def arrange(folder: Path, thing: str) -> str:
    """A folder of PATH."""
    program = folder / "program"
    if thing == "no folder":
        folder.write_text("")
        return str(folder)
    folder.mkdir()
    match thing:
        case "file":
            program.mkdir()
        case "not executable":
            program.write_text("#!/bin/sh\n")
        case "empty":
            program.touch(0o755)
        case "no interpreter":
            program.write_text("#!/no/such/interpreter\n")
            program.chmod(0o755)
        case "closed folder":
            folder.chmod(0)
    return str(folder)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (Program(("true",), cwd="/no/such/folder"), "cwd ENOENT"),
        (Program(("true",), cwd="/etc/passwd"), "cwd ENOTDIR"),
        (Program(("true", "x" * 1_000_000)), "exec E2BIG"),
        (Program(("true",), user="no-such-user"), "user ENOENT"),
        (Program(("true",), group="no-such-group"), "group ENOENT"),
        (Program(("true",), limits=(("nofile", (10**9, "unchanged")),)), "limits EINVAL"),
    ],
)
def test_failure_names_its_stage(lab: Lab, program: Program, expected: str) -> None:
    lab.order(1, program)
    assert lab.outcome(1) == (0, expected)


def test_orders_leave_neither_descriptors_nor_zombies(lab: Lab) -> None:
    lab.start_spawner()
    before = descriptors()
    for life in range(1, 41):
        lab.order(life, ABSENT if life % 2 else SLEEP)
    for life in range(1, 41):
        lab.outcome(life)
    for life in range(2, 41, 2):
        lab.end(life)

    assert descriptors() == before
    assert_no_zombies()


def test_spawner_has_no_descriptor_of_an_order_that_is_done(lab: Lab) -> None:
    pid = lab.start_spawner()
    own = ["0", "1", "2", "3", "4", *inheritable()]
    for life in range(1, 6):
        lab.order(life)
        lab.outcome(life)

    wait_until(lambda: sorted(os.listdir(f"/proc/{pid}/fd")) == sorted(own), "it has closed them")


def inheritable() -> list[str]:
    """What whoever called the tests left open for all, which a daemon would have closed."""
    fds = [name for name in os.listdir("/proc/self/fd") if int(name) > 4 and os.path.exists(f"/proc/self/fd/{name}")]
    return [name for name in fds if os.get_inheritable(int(name))]


# The spawner


def test_spawner_is_started_with_the_first_order(lab: Lab) -> None:
    assert lab.dispatcher.pid == 0
    lab.order(1)
    assert lab.dispatcher.pid != 0


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOENT, errno.EMFILE])
def test_spawner_that_cannot_be_started_fails_the_order_and_leaves_nothing(number: int) -> None:
    def start(stdin: int) -> int:
        raise OSError(number, os.strerror(number))

    with lab_of(start) as lab:
        before = descriptors()
        for life in range(1, 4):
            lab.order(life)
            assert lab.outcome(life) == (0, f"spawner {errno.errorcode[number]}")
        assert descriptors() == before


def test_spawner_that_cannot_live_fails_the_order_after_a_few_attempts() -> None:
    started: list[int] = []

    def start(stdin: int) -> int:
        started.append(os.posix_spawn(sys.executable, ["python", "-I", "-S", "-c", ""], {}))
        return started[-1]

    with lab_of(start) as lab:
        before = descriptors()
        lab.order(1)
        lab.order(2)
        assert [lab.outcome(life).failure for life in (1, 2)] == ["spawner ECHILD"] * 2
        assert len(started) < 10
        lab.turn_until(lambda: lab.dispatcher.pid == 0)
        assert descriptors() == before
        assert_no_zombies()


def test_orders_that_a_killed_spawner_had_are_given_to_the_next(lab: Lab) -> None:
    first = lab.stop_spawner()
    for life in range(1, 101):
        lab.order(life)
    os.kill(first, signal.SIGKILL)
    lab.turn_until(lambda: len(lab.outcomes) == 101)

    assert {outcome.failure for life, outcome in lab.outcomes.items() if life} == {""}
    assert lab.dispatcher.pid != first


def test_order_to_a_spawner_that_has_just_died_is_given_to_the_next(lab: Lab) -> None:
    """Nobody has told us of its death so far, but the socket knows."""
    first = lab.stop_spawner()
    lab.order(1)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: processes.stat_of(first).state == "Z", "it has died")
    lab.order(2)

    assert [lab.outcome(life).failure for life in (1, 2)] == ["", ""]


def test_only_some_orders_are_given_to_a_spawner_that_does_not_take_them(lab: Lab) -> None:
    first = lab.stop_spawner()
    for life in range(1, 301):
        lab.order(life)

    reports = [fd for fd in os.listdir("/proc/self/fd") if is_pipe(fd)]
    assert len(reports) < 50
    os.kill(first, signal.SIGCONT)
    lab.turn_until(lambda: len(lab.outcomes) == 301)
    assert {outcome.failure for life, outcome in lab.outcomes.items() if life} == {""}


def is_pipe(fd: str) -> bool:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    return False


# Cancelling


def test_order_that_waits_can_be_cancelled(lab: Lab) -> None:
    first = lab.stop_spawner()
    for life in range(1, 101):
        lab.order(life)
    lab.dispatcher.cancel(100)

    assert lab.outcome(100) == (0, "spawner ECANCELED")
    assert lab.dispatcher.pid == first


def test_order_that_the_spawner_has_is_cancelled_as_soon_as_it_goes_on(lab: Lab) -> None:
    first = lab.stop_spawner()
    lab.order(1)
    lab.order(2)
    lab.dispatcher.cancel(1)
    os.kill(first, signal.SIGCONT)

    failure = lab.outcome(1).failure
    assert failure in ("", "spawner ECANCELED")  # it may have been too late
    assert lab.outcome(2).failure == ""
    assert lab.dispatcher.pid == first


@pytest.mark.parametrize("life", [1, 100])
def test_order_is_killed_though_the_spawner_is_stopped_and_the_others_are_given_again(lab: Lab, life: int) -> None:
    lab.stop_spawner()
    for other in range(1, 101):
        lab.order(other)

    assert lab.dispatcher.kill(life)

    assert lab.outcome(life) == (0, "spawner ECANCELED")
    if life == 1:
        lab.turn_until(lambda: len(lab.outcomes) == 101)
        assert {o.failure for number, o in lab.outcomes.items() if number not in (0, life)} == {""}


def test_all_orders_can_be_killed_one_after_another(lab: Lab) -> None:
    lab.stop_spawner()
    for life in range(1, 101):
        lab.order(life)
    for life in range(1, 101):
        lab.dispatcher.kill(life)
    lab.turn_until(lambda: len(lab.outcomes) == 101)

    assert {outcome.failure for life, outcome in lab.outcomes.items() if life} <= {"spawner ECANCELED", ""}
    assert [lab.outcomes[life].failure for life in (1, 100)] == ["spawner ECANCELED"] * 2


def test_what_is_over_can_be_neither_cancelled_nor_killed(lab: Lab) -> None:
    lab.order(1)
    pid, _ = lab.outcome(1)
    lab.dispatcher.cancel(1)

    assert not lab.dispatcher.kill(1)
    assert not lab.dispatcher.kill(77)
    assert processes.stat_of(pid).state != "Z"


def test_program_that_was_executed_before_its_order_was_killed_has_started(lab: Lab) -> None:
    lab.start_spawner()
    reader, writer = os.pipe()
    lab.order(1, Program(("sh", "-c", "echo; exec sleep 1000")), Stdio(-1, writer, writer))
    os.read(reader, 1)  # nobody has heard of it yet

    assert not lab.dispatcher.kill(1)

    assert lab.outcomes[1].failure == ""
    os.close(reader)
    os.close(writer)


# The end, and the limits


def test_close_leaves_nobody_of_those_under_way() -> None:
    with lab_of() as lab:
        lab.stop_spawner()
        before = descriptors()
        for life in range(1, 51):
            lab.order(life)
        lab.dispatcher.close()

        assert descriptors() < before
        assert lab.dispatcher.pid == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_full_table_of_descriptors_fails_the_order_and_nothing_else(lab: Lab) -> None:
    lab.start_spawner()
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    failures = set()
    for spare in range(12):
        highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
        fillers = fill_up_to(highest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))
        try:
            lab.order(1 + spare, ABSENT)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in fillers:
                os.close(fd)
        failures.add(lab.outcome(1 + spare).failure)

    assert failures == {"pipe EMFILE", "exec ENOENT"}
    assert descriptors() == before


def fill_up_to(highest: int) -> list[int]:
    """No number up to this one is free."""
    fillers: list[int] = []
    while not fillers or fillers[-1] < highest:
        fillers.append(os.dup(0))
    if fillers[-1] > highest:
        os.close(fillers.pop())
    return fillers
