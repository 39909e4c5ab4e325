"""What /proc tells of processes, also of those that begin, change or end while it is read."""

import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from procsup.runtime import procfs
from tests.kit import processes
from tests.kit.trees import python
from tests.kit.wait import wait_until

SLEEP = ("sleep", "1000")


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SLEEP, env={"MARK": "here"}, start_new_session=True) as sleeper:
        yield sleeper
        sleeper.kill()


def test_process_is_told_with_its_family_group_session_and_start(sleeper: "subprocess.Popen[bytes]") -> None:
    stat = procfs.stat_of(sleeper.pid)
    assert stat is not None
    assert (stat.pid, stat.parent, stat.group, stat.session) == (sleeper.pid, os.getpid(), sleeper.pid, sleeper.pid)
    assert stat.started == processes.process(sleeper.pid).started
    assert stat in list(procfs.all_stats()) or stat.state == b"R"


def test_process_that_is_gone_is_nothing(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    sleeper.wait()
    assert procfs.stat_of(sleeper.pid) is None
    assert procfs.environ_of(sleeper.pid) is None
    assert procfs.children_of(sleeper.pid) == []
    assert list(procfs.family_of(sleeper.pid)) == []
    assert not procfs.has_program(sleeper.pid)


def test_zombie_is_not_alive_and_has_neither_environment_nor_program(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    stat = procfs.stat_of(sleeper.pid)
    assert stat is not None
    assert not stat.is_alive
    assert procfs.environ_of(sleeper.pid) is None
    assert not procfs.has_program(sleeper.pid)


LEAVES_ITS_FIRST_THREAD = """
import ctypes, platform, threading
libc = ctypes.CDLL(None)
threading.Thread(target=libc.pause).start()
libc.pthread_exit(None)
"""


def test_process_whose_first_thread_alone_has_ended_is_alive() -> None:
    """It looks like a zombie, but holds all it has."""
    with subprocess.Popen(python(LEAVES_ITS_FIRST_THREAD)) as process:
        wait_until(lambda: processes.stat_of(process.pid).state == "Z", "its first thread has ended")
        stat = procfs.stat_of(process.pid)
        ended = process.poll()
        process.kill()
    assert ended is None
    assert stat is not None
    assert stat.is_alive


# Environments


def test_environment_is_the_one_that_the_program_was_given(sleeper: "subprocess.Popen[bytes]") -> None:
    wait_until(lambda: processes.command_of(sleeper.pid) == "sleep 1000", "it is executed")
    assert b"MARK=here" in (procfs.environ_of(sleeper.pid) or ())
    assert procfs.has_program(sleeper.pid)


def test_program_that_was_given_no_environment_has_an_empty_one() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"], env={}) as process:
        wait_until(lambda: processes.command_of(process.pid) == "/bin/sleep 1000", "it is executed")
        assert procfs.environ_of(process.pid) == frozenset()
        process.kill()


@pytest.mark.skipif(not os.path.exists("/proc/2/stat") or os.geteuid() != 0, reason="no thread of the kernel is seen")
def test_thread_of_the_kernel_has_neither_environment_nor_program() -> None:
    kernels_own = [stat.pid for stat in procfs.all_stats() if stat.parent == 2 and stat.group == 0]
    assert {procfs.environ_of(pid) for pid in kernels_own} <= {None}
    assert not any(map(procfs.has_program, kernels_own))


def test_process_that_executes_never_seems_to_have_been_given_another_environment() -> None:
    """While it does, it has none."""
    script = 'if [ "$1" -gt 0 ]; then exec sh -c "$0" "$0" "$(($1 - 1))"; fi'
    seen = set()
    with subprocess.Popen(["sh", "-c", script, script, "300"], env={**os.environ, "MARK": "here"}) as process:
        while process.poll() is None:
            environ = procfs.environ_of(process.pid)
            seen.add(environ is None or b"MARK=here" in environ)
    assert seen == {True}


# Families


FORKS = """
import os, signal, sys, threading
sys.stdout.reconfigure(line_buffering=True)

def fork(what):
    pid = os.fork()
    if pid == 0:
        what()
        os._exit(0)
    print(pid)

def in_a_thread():
    fork(signal.pause)
    fork(lambda: None)
    threading.Event().wait()

fork(lambda: os.fork() or signal.pause())
threading.Thread(target=in_a_thread, daemon=True).start()
signal.pause()
"""
"""Says the pids of its three children, of which one has forked and ended, and one has ended."""


@pytest.fixture
def family() -> Iterator[tuple[int, list[int]]]:
    """A process and its children: one lives, two are zombies, and the child of one of them lives elsewhere."""
    mark = f"KIT_MARK={uuid.uuid4().hex}"
    env = {**os.environ, **dict([mark.split("=")])}
    with subprocess.Popen(python(FORKS), stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        children = [int(process.stdout.readline()) for _ in range(3)]
        wait_until(lambda: [processes.stat_of(pid).state for pid in children] == ["Z", "S", "Z"], "two have ended")
        yield process.pid, children
        processes.kill_all(lambda: processes.carrying(mark))


def test_children_are_those_of_every_thread_zombies_included(family: tuple[int, list[int]]) -> None:
    parent, children = family
    assert sorted(procfs.children_of(parent)) == sorted(children)


def test_children_are_the_same_where_the_kernel_has_no_list_of_them(family: tuple[int, list[int]]) -> None:
    parent, children = family
    assert sorted(procfs.children_without_a_list(parent)) == sorted(children)


HAS_MANY_CHILDREN = """
import os, select, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
wait, go = os.pipe()
stay = []
for number in range(1000):
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(wait, 1)
        select.select([], [], [], None if number % 20 == 19 else number / 4000)
        os._exit(0)
    if number % 20 == 19:
        stay.append(pid)
os.write(1, " ".join(map(str, stay)).encode() + b"\\n")
sys.stdin.readline()
os.close(go)
signal.pause()
"""
"""It says which fifty of its thousand children will stay; the others go, one after another, once it is told so."""


def test_child_is_on_every_reading_of_the_list_while_those_before_it_go() -> None:
    mark = f"KIT_MARK={uuid.uuid4().hex}"
    env = {**os.environ, **dict([mark.split("=")])}
    with subprocess.Popen(python(HAS_MANY_CHILDREN), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stay = set(process.stdout.readline().split())
        children = procfs.ChildList(process.pid)
        readings = {children.read()}
        process.stdin.write(b"go\n")
        process.stdin.flush()
        while readings and set(last := children.read().split()) != stay:
            readings.add(b" ".join(last))
        processes.kill_all(lambda: processes.carrying(mark))
        gone = children.read()
        children.close()

    assert len(stay) == 50
    assert max(len(set(reading.split())) for reading in readings) == 1000
    assert [reading for reading in readings if not stay.issubset(reading.split())] == []
    assert gone == b""


def test_family_is_a_process_with_all_below_it_each_after_its_parent(family: tuple[int, list[int]]) -> None:
    parent, children = family
    found = [stat.pid for stat in procfs.family_of(os.getpid())]
    assert found[0] == os.getpid()
    assert found.index(parent) < min(map(found.index, children))
