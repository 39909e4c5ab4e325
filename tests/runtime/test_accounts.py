"""Workers of other users and groups: `user` and `group`, with a daemon of root's and of somebody else's."""

import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kit import processes
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise, open_folder
from tests.kit.strangers import EVE, among_users, as_eve, needs_root
from tests.kit.trees import SLEEP, worker
from tests.kit.wait import wait_until

ANN, ALSO, PLAIN, COOKS, GUARDS = 61001, 61002, 61003, 61010, 61011

OF_USER = ("HOME", "USER", "LOGNAME", "SHELL")
OF_ANN = {"HOME": "/home/ann", "USER": "ann", "LOGNAME": "ann", "SHELL": "/bin/ann-sh"}

Start = Callable[..., Daemon]


class Identity(NamedTuple):
    """Of a process: the four user ids (real, effective, saved, of files), those of the group, and the other groups."""

    uids: set[int]
    gids: set[int]
    groups: set[int]


def identity(pid: int) -> Identity:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    words = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    uids, gids, groups = ({int(word) for word in words[name]} for name in ("Uid", "Gid", "Groups"))
    return Identity(uids, gids, groups)


def of_user(pid: int) -> dict[str, str]:
    """What the environment says of the user."""
    entries = wait_until(lambda: [entry for entry in processes.environ_of(pid) if entry], "it has executed")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return {name: value for name, _, value in pairs if name in OF_USER}


def complaint(daemon: Daemon) -> str:
    """Of a daemon whose tree cannot start: the line that says why."""
    assert daemon.wait() == 69
    assert "Traceback" not in daemon.told()
    return next(line for line in daemon.told().splitlines() if "cannot start" in line)


@pytest.fixture
def start(supervise: Supervise, tmp_path: Path) -> Start:
    """`start(user=...)` → root's daemon with a worker `a` of these keys."""

    def start(up: bool = True, **keys: object) -> Daemon:
        return supervise(worker("a", SLEEP, **keys), up=up, for_strangers=True, program=among_users(tmp_path), env=ROOT)

    return start


ROOT = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/root-sh"}


# By root


@needs_root
@pytest.mark.parametrize("user", ["ann", ANN])
def test_worker_of_a_user_has_its_ids_its_groups_and_its_environment(start: Start, user: str | int) -> None:
    pid = start(user=user).row("a")["pid"]

    assert identity(pid) == ({ANN}, {ANN}, {ANN, COOKS, GUARDS})
    assert of_user(pid) == OF_ANN


@needs_root
def test_worker_of_a_user_is_one_again_after_a_restart(start: Start) -> None:
    daemon = start(user="ann")
    events = daemon.events()
    daemon.kill("a")
    events.wait("ready", "a")

    assert identity(daemon.row("a")["pid"]) == ({ANN}, {ANN}, {ANN, COOKS, GUARDS})


@needs_root
def test_worker_of_a_user_has_no_power_of_roots(start: Start) -> None:
    lines = Path(f"/proc/{start(user='ann').row('a')['pid']}/status").read_text().splitlines()
    powers = dict(line.split(":\t") for line in lines if line.startswith("Cap"))

    assert [int(powers[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0, 0, 0, 0]


@needs_root
def test_environment_of_the_spec_wins_over_that_of_the_user(start: Start, tmp_path: Path) -> None:
    (tmp_path / "of_ann").write_text("SHELL=/bin/other\n")
    pid = start(user="ann", env={"HOME": "/elsewhere", "USER": ""}, env_file=str(tmp_path / "of_ann")).row("a")["pid"]

    assert of_user(pid) == {"HOME": "/elsewhere", "USER": "", "LOGNAME": "ann", "SHELL": "/bin/other"}


@needs_root
def test_worker_that_inherits_nothing_is_told_who_it_is_nevertheless(start: Start) -> None:
    daemon = start(user="ann", inherit_env=False)

    assert of_user(daemon.row("a")["pid"]) == OF_ANN
    daemon.stop()  # nobody else would find a worker that did not inherit the mark of the test


@needs_root
def test_user_whose_number_others_have_too_is_the_one_that_was_named(start: Start) -> None:
    pid = start(user="also_ann").row("a")["pid"]

    assert identity(pid) == ({ANN}, {ALSO}, {ALSO})
    assert of_user(pid) == {"HOME": "/home/also", "USER": "also_ann", "LOGNAME": "also_ann", "SHELL": "/bin/also-sh"}


@needs_root
def test_what_the_database_does_not_say_of_a_user_is_not_said_of_root_instead(start: Start) -> None:
    pid = start(user="plain").row("a")["pid"]

    assert identity(pid) == ({PLAIN}, {PLAIN}, {PLAIN, GUARDS})
    assert of_user(pid) == {"USER": "plain", "LOGNAME": "plain"}


@needs_root
@pytest.mark.parametrize("group", ["also", ALSO, 61_999])
def test_group_takes_the_place_of_the_users_own(start: Start, group: str | int) -> None:
    number = ALSO if group == "also" else group
    pid = start(user="ann", group=group).row("a")["pid"]

    assert identity(pid) == ({ANN}, {number}, {number, COOKS, GUARDS})
    assert of_user(pid) == OF_ANN


@needs_root
@pytest.mark.parametrize("group", ["cooks", COOKS])
def test_group_alone_leaves_the_user_as_it_is_and_no_other_group(start: Start, group: str | int) -> None:
    pid = start(group=group).row("a")["pid"]

    assert identity(pid) == ({0}, {COOKS}, {COOKS})
    assert of_user(pid) == ROOT


@needs_root
def test_number_that_is_nobodys_is_a_user_as_good_as_any_if_its_group_is_given(start: Start) -> None:
    pid = start(user=61_998, group=61_999).row("a")["pid"]

    assert identity(pid) == ({61_998}, {61_999}, {61_999})
    assert of_user(pid) == {}


@needs_root
@pytest.mark.parametrize(
    ("keys", "stage", "number"),
    [
        ({"user": "nobody-of-that-name"}, "cannot become its user", "no such user"),
        ({"user": 61_998}, "cannot become its user", "no such user"),
        ({"user": "٣"}, "cannot become its user", "no such user"),
        ({"user": "nobody-of-that-name", "group": "cooks"}, "cannot become its user", "no such user"),
        ({"group": "no-such-group"}, "cannot become a member of its group", "no such group"),
        ({"user": "ann", "group": "no-such-group"}, "cannot become a member of its group", "no such group"),
    ],
)
def test_user_or_group_that_is_not_there_fails_the_start_and_is_named(
    start: Start, keys: dict[str, str | int], stage: str, number: str
) -> None:
    line = complaint(start(up=False, **keys))

    assert stage in line
    assert number in line


@needs_root
def test_user_that_is_added_while_the_daemon_runs_is_found(start: Start, tmp_path: Path) -> None:
    daemon = start(user="ann")
    events = daemon.events()
    entries = (tmp_path / "passwd").read_text()
    (tmp_path / "passwd").write_text(entries.replace("ann:x:61001:61001:", "ann:x:61500:61001:"))
    daemon.kill("a")
    events.wait("ready", "a")

    assert identity(daemon.row("a")["pid"]).uids == {61_500}


# What the new user may do, and root alone


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with open_folder() as folder:
        yield Path(folder)


def private(path: Path, owner: int) -> str:
    path.chmod(0o700)
    os.chown(path, owner, owner)
    return str(path)


@needs_root
def test_folder_that_only_its_user_may_enter_can_be_the_workers(start: Start, place: Path) -> None:
    (place / "home").mkdir()
    daemon = start(user="ann", cwd=private(place / "home", ANN))

    assert os.readlink(f"/proc/{daemon.row('a')['pid']}/cwd") == str(place / "home")


@needs_root
def test_folder_that_its_user_may_not_enter_fails_the_start(start: Start, place: Path) -> None:
    (place / "home").mkdir()
    line = complaint(start(up=False, user="ann", cwd=private(place / "home", 0)))

    assert "working folder cannot be entered" in line
    assert "EACCES" in line


@needs_root
def test_program_that_its_user_may_not_execute_fails_the_start(
    supervise: Supervise, place: Path, tmp_path: Path
) -> None:
    (place / "folder").mkdir()
    (place / "folder/program").symlink_to("/bin/sleep")
    private(place / "folder", 0)
    command = [str(place / "folder/program"), "1000"]
    daemon = supervise(worker("a", command, user="ann"), up=False, for_strangers=True, program=among_users(tmp_path))

    line = complaint(daemon)
    assert "program cannot be executed" in line
    assert "EACCES" in line


@needs_root
def test_program_is_searched_in_the_path_as_its_user_sees_it(supervise: Supervise, place: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (place / name).mkdir()
        (place / name / "program").symlink_to("/bin/sleep")
    private(place / "first", 0)
    keys = {"user": "ann", "env": {"PATH": f"{place}/first:{place}/second"}}
    daemon = supervise(worker("a", ["program", "1000"], **keys), for_strangers=True, program=among_users(tmp_path))

    pid = daemon.row("a")["pid"]
    wait_until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes() == b"program\x001000\x00", "it has executed")


# By a daemon that is not root's


class Ordinary(NamedTuple):
    """How to start procsup as an ordinary user, and who that is."""

    program: tuple[str, ...]
    uid: int
    gid: int
    name: str


@pytest.fixture
def ordinary(tmp_path: Path) -> Ordinary:
    if os.geteuid() == 0:
        return Ordinary(as_eve(tmp_path), EVE, EVE, "eve")
    try:
        return Ordinary(PROCSUP, os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        pytest.skip("the user of these tests has no name")


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("has_group", [True, False])
def test_own_user_and_group_can_be_asked_for_by_everybody(
    supervise: Supervise, ordinary: Ordinary, is_named: bool, has_group: bool
) -> None:
    keys = {"user": ordinary.name if is_named else ordinary.uid, **({"group": ordinary.gid} if has_group else {})}
    daemon = supervise(worker("a", SLEEP, **keys), for_strangers=True, program=ordinary.program)

    own, of_worker = identity(daemon.pid), identity(daemon.row("a")["pid"])
    assert of_worker == own
    assert of_worker.uids == {ordinary.uid}
    assert of_user(daemon.row("a")["pid"])["USER"] == ordinary.name


@pytest.mark.parametrize(
    ("keys", "stage"),
    [
        ({"user": "root"}, "cannot become its user"),
        ({"user": 0, "group": 0}, "cannot become its user"),
        ({"group": 0}, "cannot become a member of its group"),
    ],
)
def test_another_user_or_group_is_refused_to_everybody_but_root(
    supervise: Supervise, ordinary: Ordinary, keys: dict[str, str | int], stage: str
) -> None:
    daemon = supervise(worker("a", SLEEP, **keys), up=False, for_strangers=True, program=ordinary.program)

    line = complaint(daemon)
    assert stage in line
    assert "EPERM" in line


def test_own_user_with_another_group_is_a_failure_of_the_group(supervise: Supervise, ordinary: Ordinary) -> None:
    keys = {"user": ordinary.uid, "group": 0}
    daemon = supervise(worker("a", SLEEP, **keys), up=False, for_strangers=True, program=ordinary.program)

    assert "cannot become a member of its group" in complaint(daemon)
