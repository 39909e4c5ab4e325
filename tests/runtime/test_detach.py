"""`run --detach`: the caller returns when the tree is up, or with the story of why it is not, and nothing of the caller
goes on in the background.
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.daemon import Daemon, daemon_below
from tests.kit.fixtures import Supervise
from tests.kit.trees import tree, worker
from tests.kit.wait import DEADLINE, wait_until
from tests.runtime.test_guardian import take_terminal

Detach = Callable[..., Daemon]


@pytest.fixture
def detach(supervise: Supervise) -> Iterator[Detach]:
    """A daemon whose process is the caller; what is in the background at the end is told to stop."""
    callers: list[Daemon] = []

    def start(tree: str, **arguments: object) -> Daemon:
        callers.append(supervise(tree, up=False, options=("--detach",), **arguments))
        return callers[-1]

    yield start
    for caller in callers:
        with contextlib.suppress(OSError):
            os.kill(caller.pid, signal.SIGTERM)
            wait_until(lambda: not caller.everybody(), "nobody is in the background")  # noqa: B023  # called here


def background(caller: Daemon) -> tuple[int, int]:
    """The pids of daemon and guardian."""
    return caller.pid, processes.stat_of(caller.pid).parent


def test_caller_returns_with_0_when_the_tree_is_up(detach: Detach) -> None:
    caller = detach(tree(worker("a"), worker("b")))
    assert caller.wait() == 0
    assert caller.status()["daemon"]["state"] == "running"
    assert [row["state"] for row in caller.status("a", "b")["tree"]] == ["running", "running"]
    assert caller.told() == ""


def test_story_of_the_daemon_is_in_its_log_and_goes_on_there(detach: Detach) -> None:
    caller = detach(worker("a"))
    caller.wait()
    log = caller.state_dir / "daemon.log"
    assert "root          is up" in log.read_text()

    caller.kill("a")

    wait_until(lambda: log.read_text().count("a             started") == 2, "it is told")
    assert caller.call("shutdown") == {"status": 0}
    wait_until(lambda: not caller.everybody(), "it has ended")
    assert "the tree is down" in log.read_text()


def test_guardian_in_the_background_tells_of_a_daemon_that_was_killed_in_the_log(detach: Detach) -> None:
    caller = detach(worker("a"))
    caller.wait()
    os.kill(caller.pid, signal.SIGKILL)
    wait_until(lambda: not caller.everybody(), "nobody is left")
    assert "was killed by signal 9; processes left and killed: 1" in (caller.state_dir / "daemon.log").read_text()


def test_caller_ends_with_the_status_and_the_story_of_a_tree_that_cannot_start(detach: Detach) -> None:
    caller = detach(tree(worker("a"), worker("culprit", "/no/such/program")))
    assert caller.wait() == 69
    assert "culprit" in caller.told()
    assert "cannot start" in caller.told()
    assert caller.told() == (caller.state_dir / "daemon.log").read_text()
    assert caller.everybody() == []


def test_story_is_that_of_this_start_alone(detach: Detach) -> None:
    first = detach(worker("first", "/no/such/program"))
    assert first.wait() == 69
    second = detach(worker("second", "/no/such/program"), state_dir=first.state_dir)
    assert second.wait() == 69
    assert "second" in second.told()
    assert "first" not in second.told().replace(str(second.folder), "")


def test_caller_ends_with_78_and_the_complaints_about_a_file_that_is_wrong(detach: Detach) -> None:
    caller = detach(worker("a", commnd="x"))
    assert caller.wait() == 78
    assert "commnd" in caller.told()
    assert caller.everybody() == []


def test_caller_ends_with_73_and_the_reason_when_another_daemon_runs(detach: Detach) -> None:
    first = detach(worker("a"))
    first.wait()
    second = detach(worker("a"), socket=first.socket)
    assert second.wait() == 73
    assert f"another procsup daemon holds it (pid {first.pid})" in second.told()
    assert second.everybody() == []


@pytest.fixture
def waiting(detach: Detach, tmp_path: Path) -> Iterator[tuple[Daemon, FileIO]]:
    """A caller that waits, and the file of a lock for which its daemon waits as long as this is not closed: who has
    taken a lock and has not said so yet is waited for.
    """
    (tmp_path / "state").mkdir()
    with open(tmp_path / "state" / "lock", "wb", buffering=0) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        caller = detach(worker("a"), state_dir=tmp_path / "state", start_new_session=True)
        wait_until(lambda: (tmp_path / "state" / "daemon.log").exists(), "the daemon is in the background")
        yield caller, lock


def test_caller_ends_with_137_and_the_story_when_the_daemon_was_killed_before_the_tree_was_up(
    waiting: tuple[Daemon, FileIO],
) -> None:
    caller, _ = waiting
    (guardian,) = processes.children_of(caller.guardian)
    (daemon,) = daemon_below(guardian)
    os.kill(daemon, signal.SIGKILL)
    assert caller.wait() == 128 + signal.SIGKILL
    assert f"the daemon (pid {daemon}) was killed by signal 9" in caller.told()
    assert caller.everybody() == []


# What is the caller's


def test_nothing_that_the_caller_had_open_stays_open_in_the_background(
    detach: Detach, terminal: tuple[FileIO, FileIO], tmp_path: Path
) -> None:
    person, program = terminal
    held = os.open(tmp_path / "held", os.O_RDWR | os.O_CREAT)
    tty = os.ttyname(program.fileno())
    caller = detach(
        worker("a"), stdin=program, stdout=program, stderr=program,
        pass_fds=(program.fileno(), held), preexec_fn=take_terminal,
    )  # fmt: skip
    assert caller.wait() == 0
    os.close(held)

    daemon, guardian = background(caller)
    wait_until(lambda: not {tty, str(tmp_path / "held")} & files_of(guardian), "the guardian has let go of it")
    assert not {tty, str(tmp_path / "held")} & files_of(daemon)
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for pid in (daemon, guardian) for fd in (0, 1)} == {os.devnull}
    assert [terminal_of(pid) for pid in (daemon, guardian, caller.process("a").pid)] == [0, 0, 0]

    program.close()
    assert read_to_the_end(person) == b""
    assert caller.row("a")["state"] == "running"


def files_of(pid: int) -> set[str]:
    return {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


def terminal_of(pid: int) -> int:
    """The number of its controlling terminal, 0 for none (proc_pid_stat(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[4])


def read_to_the_end(terminal: FileIO) -> bytes:
    """What came to it until nobody had its other end open any more."""
    found = b""
    with contextlib.suppress(OSError):  # EIO says so
        while select.select([terminal], (), (), DEADLINE)[0]:
            found += terminal.read(4096)
        raise AssertionError("somebody has the terminal open")
    return found


def test_output_of_the_caller_ends_with_it(detach: Detach) -> None:
    """As in `$(procsup run FILE --detach)`, which waits for everybody who could write to it."""
    told, tell = os.pipe()
    caller = detach(worker("a"), stdout=tell)
    os.close(tell)
    assert caller.wait() == 0
    assert select.select([told], (), (), DEADLINE)[0], "somebody has it open"
    assert os.read(told, 100) == b""
    os.close(told)


def test_file_may_be_a_descriptor_of_the_caller(detach: Detach, tmp_path: Path) -> None:
    """As in `procsup run <(generate) --detach`."""
    (tmp_path / "tree.toml").write_text(worker("a"))
    fd = os.open(tmp_path / "tree.toml", os.O_RDONLY)
    caller = detach("", file=Path(f"/dev/fd/{fd}"), pass_fds=(fd,))
    os.close(fd)
    assert caller.wait() == 0
    assert caller.row("a")["state"] == "running"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_caller_that_is_interrupted_leaves_the_tree_to_come_up(
    waiting: tuple[Daemon, FileIO], number: int, status: int
) -> None:
    """As by Ctrl-C, which its whole group gets: nobody in the background does."""
    caller, lock = waiting
    os.killpg(caller.guardian, number)
    assert caller.wait() == status

    lock.close()

    wait_until(lambda: "root          is up" in (caller.state_dir / "daemon.log").read_text(), "the tree is up")
    assert caller.row("a")["state"] == "running"
