"""One daemon per socket, one per state directory; what a dead daemon left behind is in nobody's way."""

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from procsup.runtime import lock
from procsup.runtime.failure import CannotRun
from tests.kit.fixtures import Supervise
from tests.kit.trees import SLEEP, worker

TREE = worker("a")


def test_lock_that_is_held_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    fd = lock.hold(path, "the thing")

    with pytest.raises(CannotRun) as refused:
        lock.hold(path, "the thing")

    os.close(fd)
    assert refused.value.status == 73
    assert refused.value.message.startswith("cannot use the thing: another procsup daemon holds it")
    assert f"(pid {os.getpid()})" in refused.value.message


def test_lock_that_was_let_go_can_be_held_again(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    os.close(lock.hold(path, "the thing"))
    os.close(lock.hold(path, "the thing"))


def test_lock_file_that_is_a_link_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("gold")
    (tmp_path / "lock").symlink_to("precious")

    with pytest.raises(CannotRun) as refused:
        lock.hold(str(tmp_path / "lock"), "the thing")

    assert refused.value.status == 73
    assert (tmp_path / "precious").read_text() == "gold"


def test_folder_that_we_make_is_ours_alone_and_an_existing_one_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o755)
    lock.make_folder(str(tmp_path / "old"), "things")
    lock.make_folder(str(tmp_path / "old" / "new" / "newer"), "things")

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("old", "old/new", "old/new/newer")]
    assert modes == [0o755, 0o700, 0o700]


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


def test_daemon_that_was_killed_holds_no_lock_though_its_worker_lives_on(supervise: Supervise) -> None:
    first = supervise(TREE)
    first.send_signal(signal.SIGKILL)
    first.wait()

    second = supervise(TREE, socket=first.socket, state_dir=first.state_dir)

    assert second.row("a")["state"] == "running"


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
