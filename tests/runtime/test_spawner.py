"""The spawner process: whatever becomes of it, others go on, nothing is lost and nothing is doubled."""

import contextlib
import os
import random
import resource
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.client import Json
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise
from tests.kit.processes import Process
from tests.kit.spawner import spawner_of, unborn_of, zombies_of
from tests.kit.strangers import among_users, as_stranger, needs_root
from tests.kit.trees import ALONE, SLEEP, sh, supervisor, tree, worker, workers
from tests.kit.wait import let_pass, wait_until

EXPENSIVE: Json = {"limits": {"core": 0}}
"""The least that takes the spawner."""

ENDLESS: Json = {"intensity": 1_000_000}
MANY = [f"w{number}" for number in range(50)]
EVERYBODY = [*MANY, "plain"]
HOLDS_ITS_LOCK = sh(f"{ALONE}; exec sleep 1000")


@pytest.fixture
def crowd(supervise: Supervise) -> Daemon:
    """Fifty workers of the spawner's, and a plain one."""
    many = workers(" ".join(MANY), HOLDS_ITS_LOCK, shutdown=0.2, **EXPENSIVE)
    return supervise(tree(supervisor("root", EVERYBODY, **ENDLESS), many, worker("plain")))


def spawner(daemon: Daemon) -> int:
    pid = wait_until(lambda: spawner_of(daemon), "there is a spawner")
    assert pid is not None
    return pid


def stop_spawner(daemon: Daemon) -> Process:
    """It does nothing from now on."""
    pid = spawner(daemon)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: processes.stat_of(pid).state == "T", "the spawner is stopped")
    return processes.process(pid)


def kill_spawner(daemon: Daemon) -> Process:
    victim = processes.process(spawner(daemon))
    os.kill(victim.pid, signal.SIGKILL)
    processes.wait_until_gone(victim)
    return victim


def kill_all_of(daemon: Daemon, names: list[str]) -> None:
    """And wait until the daemon knows."""
    events = daemon.events()
    for name in names:
        daemon.kill(name)
    left = set(names)
    while left:
        left.discard(events.wait("exited")["path"].rpartition("/")[2])


def names_of(daemon: Daemon) -> Counter[str]:
    """How many processes of each worker there are."""
    names: Counter[str] = Counter()
    for one in daemon.remaining():
        entries = (entry.partition(b"=") for entry in processes.environ_of(one.pid))
        path = next((os.fsdecode(value) for key, _, value in entries if key == b"PROCSUP_NAME"), "")
        if path:  # not the spawner
            names[path.rpartition("/")[2]] += 1
    return names


def wait_until_run_again(daemon: Daemon, names: list[str]) -> None:
    """Each in its second life."""

    def all_run() -> bool:
        rows = daemon.status(*names)["tree"]
        return all(row["state"] == "running" and row["starts"] == 2 for row in rows)

    wait_until(all_run, "all run again")


def assert_one_of_each_is_left(daemon: Daemon, names: list[str]) -> None:
    """And nobody else; nobody is unreaped, and nobody has met a predecessor."""
    wait_until(lambda: names_of(daemon) == dict.fromkeys(names, 1), "there is one of each")
    wait_until(lambda: zombies_of(daemon) == [], "everybody is reaped")
    assert daemon.overlaps() == []


# Its end


def test_killed_spawner_is_replaced_when_somebody_needs_it(crowd: Daemon) -> None:
    events = crowd.events()
    first = kill_spawner(crowd)
    crowd.kill("w7")
    events.wait("ready", "w7")

    assert spawner(crowd) != first.pid
    wait_until_run_again(crowd, ["w7"])
    assert_one_of_each_is_left(crowd, EVERYBODY)


def test_orders_that_die_with_the_spawner_are_given_again(crowd: Daemon) -> None:
    stop_spawner(crowd)
    kill_all_of(crowd, MANY)
    kill_spawner(crowd)

    wait_until_run_again(crowd, MANY)
    assert_one_of_each_is_left(crowd, EVERYBODY)


def test_spawner_that_ends_by_itself_is_replaced_too(crowd: Daemon) -> None:
    os.kill(spawner(crowd), signal.SIGTERM)
    kill_all_of(crowd, MANY)

    wait_until_run_again(crowd, MANY)
    assert_one_of_each_is_left(crowd, EVERYBODY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_spawner_ends_with_the_daemon(crowd: Daemon, number: int) -> None:
    known = processes.process(spawner(crowd))
    os.kill(crowd.pid, number)

    processes.wait_until_gone(known)
    crowd.wait()
    assert crowd.remaining() == []


def test_no_life_is_lost_or_doubled_while_the_spawner_is_killed_over_and_over(crowd: Daemon) -> None:
    seed = int(os.environ.get("SPAWNER_SEED", random.randrange(2**32)))
    print(f"SPAWNER_SEED={seed}")  # noqa: T201  # shown when it fails
    chance = random.Random(seed)
    for _ in range(100):
        victim = spawner_of(crowd)
        if victim is not None and chance.random() < 0.5:
            os.kill(victim, chance.choice([signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT]))
        for row in crowd.status(*chance.sample(MANY, 3))["tree"]:
            if row["pid"] is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(row["pid"], signal.SIGKILL)
    victim = spawner_of(crowd)
    if victim is not None:
        os.kill(victim, signal.SIGCONT)

    def all_run() -> bool:
        return all(row["state"] == "running" for row in crowd.status(*MANY)["tree"])

    wait_until(all_run, "all run again")
    assert_one_of_each_is_left(crowd, EVERYBODY)
    assert crowd.stop() == 0


# A spawner that does nothing


def test_stopped_spawner_holds_up_nobody_else_and_loses_nothing(crowd: Daemon) -> None:
    known = stop_spawner(crowd)
    kill_all_of(crowd, MANY)
    events = crowd.events()
    crowd.kill("plain")
    events.wait("ready", "plain")
    assert {row["state"] for row in crowd.status(*MANY)["tree"]} == {"starting"}

    os.kill(known.pid, signal.SIGCONT)

    wait_until_run_again(crowd, MANY)
    assert_one_of_each_is_left(crowd, EVERYBODY)
    assert spawner(crowd) == known.pid


def test_daemon_stops_in_order_while_its_spawner_is_stopped(crowd: Daemon) -> None:
    known = stop_spawner(crowd)

    assert crowd.stop() == 0
    assert not processes.is_alive(known)


def test_orders_under_way_at_the_shutdown_are_ended_within_the_shutdown_time(crowd: Daemon) -> None:
    stop_spawner(crowd)
    kill_all_of(crowd, MANY)

    assert crowd.stop() == 0
    assert crowd.remaining() == []
    assert "told to stop before its program was executed" in crowd.told()


def test_second_request_ends_orders_under_way_at_once(supervise: Supervise) -> None:
    both = supervisor("root", ["a", "plain"], **ENDLESS)
    daemon = supervise(tree(both, worker("a", shutdown="infinity", **EXPENSIVE), worker("plain")))
    stop_spawner(daemon)
    kill_all_of(daemon, ["a"])
    daemon.send_signal(signal.SIGTERM)
    let_pass(0.6)
    assert daemon.row("a")["state"] == "stopping"

    assert daemon.stop() == 0


@pytest.mark.parametrize("name", ["w0", "w49"])
def test_operator_stops_a_worker_whose_order_is_under_way(crowd: Daemon, name: str) -> None:
    """The order of the first lies in the socket, that of the last waits."""
    known = stop_spawner(crowd)
    kill_all_of(crowd, MANY)

    assert crowd.call("stop", names=[name])["results"][0]["state"] == "down"

    with contextlib.suppress(ProcessLookupError):  # it may have been replaced
        os.kill(known.pid, signal.SIGCONT)
    wait_until_run_again(crowd, [other for other in MANY if other != name])
    assert_one_of_each_is_left(crowd, [other for other in EVERYBODY if other != name])


# A child that hangs before it executes its program


@needs_root
def test_child_that_hangs_before_it_executes_its_program_holds_up_nobody_else(
    supervise: Supervise, tmp_path: Path
) -> None:
    daemon = hanging(supervise, tmp_path)
    events = daemon.events()
    for name in ("other", "plain"):
        daemon.kill(name)
        events.wait("ready", name)
    assert daemon.row("a")["state"] == "starting"

    subprocess.run([*in_place_of(daemon), "umount", "--lazy", "/etc/passwd"], check=True)
    with open(tmp_path / "slow", "w"):  # now it goes on, with an answer that is none
        events.wait("start_failed", "a")

    events.wait("ready", "a")
    assert daemon.stop() == 0


@needs_root
def test_child_that_hangs_before_it_executes_its_program_can_be_stopped(supervise: Supervise, tmp_path: Path) -> None:
    daemon = hanging(supervise, tmp_path)
    known = processes.process(spawner(daemon))

    assert daemon.call("stop", names=["a"])["results"][0]["state"] == "down"

    assert names_of(daemon) == {"other": 1, "plain": 1}
    assert zombies_of(daemon) == []
    assert processes.is_alive(known)
    assert daemon.stop() == 0


@needs_root
def test_daemon_stops_in_order_while_a_child_hangs_before_it_executes_its_program(
    supervise: Supervise, tmp_path: Path
) -> None:
    daemon = hanging(supervise, tmp_path)

    assert daemon.stop() == 0
    assert daemon.remaining() == []


def hanging(supervise: Supervise, folder: Path) -> Daemon:
    """A daemon whose worker `a` is being restarted, and waits for the user database."""
    both = supervisor("root", ["a", "other", "plain"], **ENDLESS)
    a = worker("a", SLEEP, user="ann", shutdown=0.2)
    daemon = supervise(
        tree(both, a, worker("other", **EXPENSIVE), worker("plain")), for_strangers=True, program=among_users(folder)
    )
    os.mkfifo(folder / "slow")
    subprocess.run([*in_place_of(daemon), "mount", "--bind", str(folder / "slow"), "/etc/passwd"], check=True)
    events = daemon.events()
    daemon.kill("a")
    events.wait("starting", "a")
    wait_until(lambda: unborn_of(daemon), "it is looking for its user")
    return daemon


def in_place_of(daemon: Daemon) -> tuple[str, ...]:
    """Before a command: it sees the files that the daemon sees."""
    return ("nsenter", "--mount", "--target", str(daemon.pid))


# No process, no descriptor


@needs_root
@pytest.mark.parametrize(
    ("processes", "told"), [(2, "the process that starts such workers has failed"), (3, "no process can be made")]
)
def test_full_process_table_fails_the_start_of_the_tree_and_is_named(
    supervise: Supervise, processes: int, told: str
) -> None:
    """Two are the guardian and the daemon, a third the spawner."""
    daemon = supervise(worker("a", **EXPENSIVE), up=False, for_strangers=True, program=as_stranger(processes))

    assert daemon.wait() == 69
    assert told in daemon.told()
    assert "EAGAIN" in daemon.told()
    assert "Traceback" not in daemon.told()


@needs_root
def test_worker_starts_when_the_full_process_table_has_room_again(supervise: Supervise) -> None:
    daemon = supervise(
        tree(worker("a", **EXPENSIVE), worker("b", **EXPENSIVE)), for_strangers=True, program=as_stranger(5)
    )
    daemon.call("stop", names=["a"])
    assert daemon.call("start_child", supervisor="root", command=list(SLEEP), name="c")["ok"]
    assert not daemon.call("start", names=["a"])["results"][0]["ok"]

    daemon.call("stop", names=["c"])

    assert daemon.call("start", names=["a"])["results"][0]["state"] == "running"


@pytest.mark.parametrize("limit", range(24, 34))
def test_full_table_of_descriptors_fails_the_start_of_the_tree_and_is_named(supervise: Supervise, limit: int) -> None:
    names = " ".join(f"w{number}" for number in range(10))
    program = ("prlimit", f"--nofile={limit}:{limit}", *PROCSUP)
    daemon = supervise(workers(names, **EXPENSIVE), up=False, program=program)

    assert daemon.wait() == 69
    assert "EMFILE" in daemon.told()
    assert "Traceback" not in daemon.told()


def test_limit_of_descriptors_that_leaves_the_spawner_none_is_named(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], **ENDLESS), worker("a", **EXPENSIVE)))
    events = daemon.events()
    resource.prlimit(spawner(daemon), resource.RLIMIT_NOFILE, (7, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    daemon.kill("a")

    assert events.wait("start_failed", "a")["reason"] == "start_failed spawner EMFILE"
    assert daemon.stop() == 0
