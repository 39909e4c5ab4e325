"""One daemon per socket, one per state directory; what a dead daemon left behind is in nobody's way."""

import contextlib
import fcntl
import os
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import pytest

from procsup.runtime import lock
from procsup.runtime.failure import CannotRun
from tests.kit import processes
from tests.kit.daemon import Daemon, daemon_below
from tests.kit.fixtures import Supervise
from tests.kit.trees import ALONE, SLEEP, sh, worker
from tests.kit.wait import DEADLINE, let_pass, wait_until

TREE = worker("a")
ALONE_TREE = worker("a", sh(f"{ALONE}; exec sleep 1000"))


def test_lock_that_is_held_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    fd = lock.hold(path, "the thing", os.getppid(), b"mark").fd

    with pytest.raises(CannotRun) as refused:
        lock.hold(path, "the thing", os.getppid(), b"mark")

    os.close(fd)
    assert refused.value.status == 73
    assert refused.value.message.startswith("cannot use the thing: another procsup daemon holds it")
    assert f"(pid {os.getpid()})" in refused.value.message


def held_by(path: str, text: str) -> FileIO:
    """A lock whose holder has written this into it."""
    file = open(path, "wb", buffering=0)  # noqa: SIM115  # for the caller to close
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(text.encode())
    return file


def test_lock_of_a_healthy_daemon_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a holder that is about to let go would be waited for."""
    monkeypatch.setattr(lock, "_PATIENCE", float("inf"))
    with held_by(str(tmp_path / "lock"), f"{os.getpid()} {os.getppid()}\n"), pytest.raises(CannotRun):
        lock.hold(str(tmp_path / "lock"), "the thing", os.getppid(), b"mark")


@pytest.mark.parametrize(
    "text",
    ["{dead} {dead}\n", "{dead} {self}\n", "{self} {dead}\n", "{self} 1\n", "{self} {self}\n", "", "{self}"],
    ids=["both dead", "daemon dead", "guardian dead", "orphan", "two strangers", "nothing yet", "half"],
)
def test_lock_of_a_daemon_that_is_ending_is_waited_for(tmp_path: Path, text: str) -> None:
    """So is one whose holder has not said yet who it is. A pid may be somebody else's by now."""
    with subprocess.Popen("true") as dead:
        pass
    holder = held_by(str(tmp_path / "lock"), text.format(dead=dead.pid, self=os.getpid()))
    with ThreadPoolExecutor(1) as waiting:
        held = waiting.submit(lock.hold, str(tmp_path / "lock"), "the thing", os.getppid(), b"mark")
        let_pass(0.1)
        assert not held.done()
        holder.close()
        os.close(held.result(DEADLINE).fd)


def test_lock_of_a_daemon_that_is_ending_for_ever_is_refused_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    with held_by(str(tmp_path / "lock"), f"{os.getpid()} 1\n"), pytest.raises(CannotRun) as refused:
        lock.hold(str(tmp_path / "lock"), "the thing", os.getppid(), b"mark")
    assert f"(pid {os.getpid()})" in refused.value.message


def test_lock_that_was_let_go_can_be_held_again(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = lock.hold(path, "the thing", os.getppid(), b"one")
    os.close(first.fd)
    second = lock.hold(path, "the thing", os.getppid(), b"two")
    os.close(second.fd)
    assert (first.last, second.last) == (b"", b"one")


def test_lock_file_that_is_a_link_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("gold")
    (tmp_path / "lock").symlink_to("precious")

    with pytest.raises(CannotRun) as refused:
        lock.hold(str(tmp_path / "lock"), "the thing", os.getppid(), b"mark")

    assert refused.value.status == 73
    assert (tmp_path / "precious").read_text() == "gold"


def test_folder_that_we_make_is_ours_alone_and_an_existing_one_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)
    lock.make_folder(str(tmp_path / "old"), "things")
    lock.make_folder(str(tmp_path / "old" / "new" / "newer"), "things")

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("old", "old/new", "old/new/newer")]
    assert modes == [0o755, 0o700, 0o700]


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere; whoever is not root stays who he is."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_folder_that_may_not_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        with as_nobody(), pytest.raises(CannotRun, match="cannot write into the folder of things") as refused:
            lock.make_folder(folder, "things")
    assert refused.value.status == 73


def test_what_a_daemon_and_its_guardian_left_that_were_killed_together_is_killed_by_the_next_one(
    supervise: Supervise, tmp_path: Path
) -> None:
    state = tmp_path / "shared"
    first = supervise(worker("a", sh("setsid sleep 1000 & exec sleep 1000")), state_dir=state)
    old = first.process("a")
    os.kill(first.guardian, signal.SIGSTOP)  # so that it does not get to its work
    os.kill(first.pid, signal.SIGKILL)
    os.kill(first.guardian, signal.SIGKILL)
    second = supervise(worker("a"), state_dir=state)
    assert not processes.is_alive(old)
    assert "that the daemon before this one had left behind" in second.told()


def test_daemon_that_ended_in_order_leaves_no_word_in_its_lock(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    assert daemon.stop() == 0
    assert (daemon.state_dir / "lock").read_text() == ""


def test_second_daemon_at_the_same_socket_is_refused_with_73(supervise: Supervise) -> None:
    first = supervise(TREE)
    second = supervise(TREE, up=False, socket=first.socket)

    assert second.wait() == 73
    assert f"cannot use the socket {first.socket}: another procsup daemon holds it (pid {first.pid})" in second.told()
    assert first.row("a")["state"] == "running"


def test_second_daemon_with_the_same_state_directory_is_refused_with_73(supervise: Supervise) -> None:
    first = supervise(TREE)
    second = supervise(TREE, up=False, state_dir=first.state_dir)

    assert second.wait() == 73
    assert f"cannot use the state directory {first.state_dir}: another procsup daemon" in second.told()
    assert not os.path.exists(second.socket)
    assert first.row("a")["state"] == "running"


def test_daemon_waits_while_the_guardian_of_a_killed_one_kills_what_that_has_left(supervise: Supervise) -> None:
    first = supervise(ALONE_TREE)
    os.kill(first.guardian, signal.SIGSTOP)
    os.kill(first.pid, signal.SIGKILL)

    second = successor_of(first, supervise)
    wait_until(lambda: wants_the_lock_of(first, second), "it wants the lock")
    let_pass(0.1)
    assert not second.has_ended
    os.kill(first.guardian, signal.SIGCONT)

    assert first.wait() == 128 + signal.SIGKILL
    second.wait_until_up()
    assert first.everybody() == []
    assert first.overlaps() == []


def test_daemon_waits_while_one_whose_guardian_was_killed_stops_its_tree(supervise: Supervise) -> None:
    first = supervise(ALONE_TREE)
    daemon = first.pid
    os.kill(daemon, signal.SIGSTOP)
    os.kill(first.guardian, signal.SIGKILL)

    second = successor_of(first, supervise)
    wait_until(lambda: wants_the_lock_of(first, second), "it wants the lock")
    let_pass(0.1)
    assert not second.has_ended
    os.kill(daemon, signal.SIGCONT)

    wait_until(lambda: not first.everybody(), "nobody of the first is left")
    second.wait_until_up()
    assert first.overlaps() == []


def successor_of(first: Daemon, supervise: Supervise) -> Daemon:
    """A daemon that was started in the same places, of a tree whose workers have the same locks."""
    env = {name: first.environ[name] for name in ("LOCKS", "OVERLAPS")}
    return supervise(ALONE_TREE, up=False, socket=first.socket, state_dir=first.state_dir, env=env)


def wants_the_lock_of(first: Daemon, second: Daemon) -> bool:
    """It has the file open."""
    with contextlib.suppress(FileNotFoundError):
        for daemon in daemon_below(second.guardian):
            fds = os.listdir(f"/proc/{daemon}/fd")
            return str(first.state_dir / "lock") in [os.readlink(f"/proc/{daemon}/fd/{fd}") for fd in fds]
    return False


def test_daemon_that_stopped_leaves_no_socket_and_its_places_to_the_next(supervise: Supervise) -> None:
    first = supervise(TREE)
    assert first.stop() == 0
    assert not os.path.exists(first.socket)

    second = supervise(TREE, socket=first.socket, state_dir=first.state_dir)

    assert second.row("a")["state"] == "running"


def test_socket_that_is_stale_is_replaced(supervise: Supervise, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)

    daemon = supervise(TREE, socket=path)

    assert daemon.row("a")["state"] == "running"


def test_file_that_is_no_socket_is_neither_replaced_nor_removed(supervise: Supervise, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("gold")

    daemon = supervise(TREE, up=False, socket=str(path))

    assert daemon.wait() == 73
    assert "something that is not a socket is there" in daemon.told()
    assert path.read_text() == "gold"


def test_socket_is_for_its_owner_only_and_so_are_the_folders_made_for_it(supervise: Supervise, tmp_path: Path) -> None:
    daemon = supervise(worker("a", SLEEP), socket=str(tmp_path / "new" / "s"))

    made = (Path(daemon.socket), tmp_path / "new", daemon.state_dir, daemon.log_dir)
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600, 0o700, 0o700, 0o700]


def test_path_too_long_for_a_socket_is_refused_with_73_and_a_hint(supervise: Supervise, tmp_path: Path) -> None:
    daemon = supervise(TREE, up=False, socket=str(tmp_path / ("x" * 120)))

    assert daemon.wait() == 73
    assert "at most 107 bytes" in daemon.told()


@pytest.mark.parametrize("place", ["state_dir", "log_dir"])
def test_folder_that_cannot_be_made_is_refused_with_73(supervise: Supervise, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")

    daemon = supervise(TREE, up=False, **{place: tmp_path / "file" / "folder"})

    assert daemon.wait() == 73
    assert "cannot make the folder of" in daemon.told()
