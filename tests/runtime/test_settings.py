"""What a worker is given by `umask`, `nice`, `limits` and the like, and by a daemon that has to take the long way to
start it, through the spawner.
"""

import os
import re
import resource
import signal
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.client import Json
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise
from tests.kit.spawner import spawner_of
from tests.kit.strangers import among_users, as_eve
from tests.kit.trees import SLEEP, supervisor, tree, worker, workers
from tests.kit.wait import wait_until

INFINITY = resource.RLIM_INFINITY

PLAIN: Json = {}
EXPENSIVE: Json = {"limits": {"core": 0}}
"""The least that takes the spawner."""

both_ways = pytest.mark.parametrize("keys", [PLAIN, EXPENSIVE], ids=["plain", "by the spawner"])


@pytest.fixture
def ordinary(tmp_path: Path) -> tuple[str, ...]:
    """procsup as an ordinary user."""
    return as_eve(tmp_path) if os.geteuid() == 0 else PROCSUP


def pid_of(daemon: Daemon, name: str = "a") -> int:
    pid: int = daemon.row(name)["pid"]
    return pid


def lines_of(path: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(path).read_text().splitlines())


def environment(pid: int) -> dict[str, str]:
    """execve(2) lets the daemon go on just before the program's own is there."""
    entries = wait_until(lambda: [entry for entry in processes.environ_of(pid) if entry], "it has executed")
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries)


def complaint(daemon: Daemon) -> str:
    """Of a daemon whose tree cannot start: the line that says why."""
    assert daemon.wait() == 69
    assert "Traceback" not in daemon.told()
    return next(line for line in daemon.told().splitlines() if "cannot start" in line)


# Plain workers and others


def test_there_is_no_spawner_as_long_as_no_worker_needs_it(supervise: Supervise) -> None:
    daemon = supervise(workers("a b c", umask="027", cwd="/", env={"A": "1"}))
    events = daemon.events()
    daemon.kill("a")
    events.wait("ready", "a")

    assert spawner_of(daemon) is None


def test_plain_worker_beside_others_takes_the_short_way(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a"), worker("b", **EXPENSIVE)))
    events = daemon.events()
    spawner = spawner_of(daemon)
    assert spawner is not None
    os.kill(spawner, signal.SIGKILL)
    wait_until(lambda: spawner_of(daemon) is None, "the spawner has ended")
    daemon.kill("a")
    events.wait("ready", "a")

    assert spawner_of(daemon) is None


# umask and nice


@both_ways
def test_umask_is_the_one_of_the_spec_and_else_the_daemons(supervise: Supervise, keys: Json) -> None:
    both = tree(worker("a", umask="027", **keys), worker("b", **keys))
    daemon = supervise(both, preexec_fn=lambda: os.umask(0o051))

    umasks = [lines_of(f"/proc/{pid_of(daemon, name)}/status")["Umask"] for name in "ab"]
    assert umasks == ["0027", "0051"]


def test_nice_is_that_of_the_worker_and_of_nobody_else(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", nice=7), worker("b", **EXPENSIVE)))

    assert os.getpriority(os.PRIO_PROCESS, pid_of(daemon, "a")) == 7
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid_of(daemon, "b")) == own
    assert os.getpriority(os.PRIO_PROCESS, daemon.pid) == own


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel does not schedule by sessions")
def test_nice_counts_for_the_group_in_which_the_worker_is_scheduled(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", nice=7), worker("b", **EXPENSIVE)))

    groups = {name: Path(f"/proc/{pid_of(daemon, name)}/autogroup").read_text().split() for name in "ab"}
    assert groups["a"][1:] == ["nice", "7"]
    assert groups["b"][1:] == ["nice", "0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be more urgent than others")
def test_root_may_be_more_urgent_than_others(supervise: Supervise) -> None:
    daemon = supervise(worker("a", nice=-5))
    assert os.getpriority(os.PRIO_PROCESS, pid_of(daemon)) == -5


def test_to_be_more_urgent_than_others_is_refused_to_everybody_but_root(
    supervise: Supervise, ordinary: tuple[str, ...]
) -> None:
    daemon = supervise(worker("a", nice=-5), up=False, for_strangers=True, program=ordinary)

    line = complaint(daemon)
    assert "niceness cannot be set" in line
    assert "EACCES" in line


# limits


def limits_of(pid: int) -> dict[str, tuple[int, int]]:
    """Soft and hard, by the kernel's words. proc_pid_limits(5)."""
    rows = [re.split(" {2,}", line) for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]]
    return {row[0].removeprefix("Max "): (_number(row[1]), _number(row[2])) for row in rows}


def _number(text: str) -> int:
    return INFINITY if text == "unlimited" else int(text)


WITH_LIMITS = ("prlimit", "--nofile=100:200", "--fsize=1000000:unlimited")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"nofile": 50}, (50, 50)),
        ({"nofile": 150}, (150, 150)),
        ({"nofile": 200}, (200, 200)),
        ({"nofile": {"soft": 150}}, (150, 200)),
        ({"nofile": {"hard": 150}}, (100, 150)),
        ({"nofile": {"hard": 50}}, (50, 50)),
        ({"nofile": {"soft": 20, "hard": 50}}, (20, 50)),
        ({"fsize": "1KB"}, (1000, 1000)),
        ({"fsize": {"hard": "1KB"}}, (1000, 1000)),
        ({"fsize": {"hard": "5MB"}}, (1_000_000, 5_000_000)),
        ({"fsize": {"soft": "unlimited"}}, (INFINITY, INFINITY)),
        ({"fsize": "unlimited"}, (INFINITY, INFINITY)),
    ],
)
def test_limits_are_those_of_the_spec_and_else_the_daemons(
    supervise: Supervise, limits: Json, expected: tuple[int, int]
) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != INFINITY:
        pytest.skip("the tests may not write files of any size")
    daemon = supervise(worker("a", limits=limits), program=(*WITH_LIMITS, *PROCSUP))

    found = limits_of(pid_of(daemon))
    both = {"nofile": found["open files"], "fsize": found["file size"]}
    assert both == {"nofile": (100, 200), "fsize": (1_000_000, INFINITY), **dict.fromkeys(limits, expected)}


def test_limits_of_the_kernel_are_known_by_their_names(supervise: Supervise) -> None:
    limits = {
        "as": "512MB", "core": 0, "cpu": "1h", "data": "256MB", "fsize": "1MB", "locks": 7, "memlock": "64KB",
        "msgqueue": "64KB", "nice": 0, "nofile": 64, "nproc": 50, "rss": "64MB", "rtprio": 0, "rttime": "1s",
        "sigpending": 60, "stack": "4MB",
    }  # fmt: skip
    found = limits_of(pid_of(supervise(worker("a", limits=limits))))

    assert {name: soft for name, (soft, _) in found.items()} == {
        "address space": 512_000_000, "core file size": 0, "cpu time": 3600, "data size": 256_000_000,
        "file size": 1_000_000, "file locks": 7, "locked memory": 64_000, "msgqueue size": 64_000, "nice priority": 0,
        "open files": 64, "processes": 50, "resident set": 64_000_000, "realtime priority": 0,
        "realtime timeout": 1_000_000, "pending signals": 60, "stack size": 4_000_000,
    }  # fmt: skip


def test_limits_may_be_less_than_it_takes_to_set_them(supervise: Supervise, tmp_path: Path) -> None:
    keys: Json = {"limits": {"as": "10MB", "nofile": 4}}
    if os.geteuid() == 0:
        keys["user"] = "ann"  # whom to look up takes memory and descriptors
    program = among_users(tmp_path) if os.geteuid() == 0 else PROCSUP
    daemon = supervise(worker("a", SLEEP, **keys), for_strangers=True, program=program)

    spawner = spawner_of(daemon)
    assert int(lines_of(f"/proc/{spawner}/status")["VmSize"].split()[0]) * 1024 > 10_000_000
    assert limits_of(pid_of(daemon))["address space"] == (10_000_000, 10_000_000)


def test_limit_above_what_the_daemon_may_have_is_refused_to_everybody_but_root(
    supervise: Supervise, ordinary: tuple[str, ...]
) -> None:
    daemon = supervise(
        worker("a", limits={"nofile": 300}), up=False, for_strangers=True, program=(*WITH_LIMITS, *ordinary)
    )

    line = complaint(daemon)
    assert "limits cannot be set" in line
    assert "EPERM" in line


def test_soft_limit_above_the_hard_one_of_the_daemon_is_refused(supervise: Supervise) -> None:
    daemon = supervise(worker("a", limits={"nofile": {"soft": 300}}), up=False, program=(*WITH_LIMITS, *PROCSUP))

    line = complaint(daemon)
    assert "limits cannot be set" in line
    assert "EINVAL" in line


# Nothing of the daemon's


@both_ways
def test_worker_blocks_and_ignores_no_signal_whatever_the_daemon_was_started_with(
    supervise: Supervise, keys: Json
) -> None:
    def spoil() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGRTMIN):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    daemon = supervise(worker("a", **keys), preexec_fn=spoil)

    path = f"/proc/{pid_of(daemon)}/status"
    wait_until(lambda: {int(lines_of(path)[name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")} == {0}, "no signals")


@both_ways
def test_worker_is_not_told_what_a_service_manager_told_the_daemon(
    supervise: Supervise, keys: Json
) -> None:
    told = {
        "NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1", "LISTEN_FDS": "1",
        "LISTEN_PID": "1", "LISTEN_FDNAMES": "http", "PROCSUP_NAME": "outer/procsup", "PROCSUP_STARTS": "9",
        "KEPT": "yes",
    }  # fmt: skip
    daemon = supervise(worker("a", **keys), env=told)

    env = environment(pid_of(daemon))
    assert {name: env[name] for name in told if name in env} == {
        "PROCSUP_NAME": "root/a",
        "PROCSUP_STARTS": "1",
        "KEPT": "yes",
    }


@both_ways
def test_variable_that_the_spec_names_itself_is_passed_on(supervise: Supervise, keys: Json) -> None:
    daemon = supervise(worker("a", env={"NOTIFY_SOCKET": "/mine"}, **keys), env={"NOTIFY_SOCKET": "/theirs"})
    assert environment(pid_of(daemon))["NOTIFY_SOCKET"] == "/mine"


@both_ways
def test_worker_leads_a_session_of_its_own(supervise: Supervise, keys: Json) -> None:
    pid = pid_of(supervise(worker("a", **keys)))

    stat = processes.stat_of(pid)
    assert (stat.group, stat.session) == (pid, pid)


@both_ways
def test_worker_is_a_child_of_the_daemon(supervise: Supervise, keys: Json) -> None:
    daemon = supervise(worker("a", **keys))
    assert processes.stat_of(pid_of(daemon)).parent == daemon.pid


def test_no_worker_of_many_has_a_descriptor_of_the_daemon(supervise: Supervise) -> None:
    names = [f"w{number}" for number in range(600)]
    daemon = supervise(tree(supervisor("root", [*names, "last", "by_spawner"]), workers(" ".join(names)),
                            worker("last"), worker("by_spawner", **EXPENSIVE)))  # fmt: skip
    events = daemon.events()
    for name in ("w0", "w599"):
        daemon.kill(name)
        events.wait("ready", name)

    for name in ("w0", "w300", "w599", "last", "by_spawner"):
        wait_until(lambda: descriptors(daemon, name) == ["0", "1", "2"], f"{name} has the standard three only")  # noqa: B023


def descriptors(daemon: Daemon, name: str) -> list[str]:
    """execve(2) lets the daemon go on just before it closes what is close-on-exec."""
    return sorted(os.listdir(f"/proc/{pid_of(daemon, name)}/fd"))


# Programs and their words


BIG = {f"BIG{number}": "x" * 100_000 for number in range(3)}


@both_ways
def test_environment_and_arguments_may_be_large(supervise: Supervise, keys: Json) -> None:
    daemon = supervise(worker("a", ["sleep", "1000", *["0"] * 5_000], env=BIG, **keys))

    pid = pid_of(daemon)
    assert BIG.items() <= environment(pid).items()
    assert len(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")) == 5_003

