"""A cgroup for each life, where one was given to the daemon: nobody gets out of it, and nothing of it stays."""

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from procsup.runtime.cgroup import Cgroups
from procsup.runtime.remains import Worker
from tests.kit import processes
from tests.kit.cgroups import Cgroup, new_cgroup, of_process
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.seccomp import CLONE3, refusing
from tests.kit.spawner import zombies_of
from tests.kit.strangers import EVE
from tests.kit.trees import ALONE, SLEEP, python, sh, supervisor, tree, worker, workers
from tests.kit.wait import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can delegate a cgroup")

RUNS_AWAY = """(env -i setsid sh -c 'echo "$1 $$" >> "$2"; exec sleep 1000' sh "${PROCSUP_NAME##*/}" "$REPORT" &)"""
"""A part of a script: its grandchild leaves the session, its parent and the environment, and reports."""

LETS_RUN_AWAY = sh(f"{ALONE}; {RUNS_AWAY}; exec sleep 1000")
LETS_STUBBORN_RUN_AWAY = sh(f"{ALONE}; trap '' TERM; {RUNS_AWAY}; trap - TERM; exec sleep 1000")


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    with new_cgroup() as cgroup:
        yield cgroup


def containment(daemon: Daemon) -> str:
    return str(daemon.status()["daemon"]["containment"])


def cgroup_of(daemon: Daemon, name: str) -> str:
    """As the last two parts of its path."""
    return "/".join(of_process(daemon.row(name)["pid"]).split("/")[-2:])


# Where everybody is


def test_each_life_has_a_cgroup_of_its_own(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(workers("a b"), program=cgroup.program())
    events = daemon.events()
    daemon.kill("b")
    events.wait("ready", "b")

    assert containment(daemon) == "cgroup"
    own = f"procsup-{daemon.pid}"
    assert [cgroup_of(daemon, name) for name in "ab"] == [f"{own}/2.a", f"{own}/4.b"]
    wait_until(lambda: cgroup.below() == [own, f"{own}/2.a", f"{own}/4.b"], "that of the life before is removed")
    assert of_process(daemon.pid) == of_process(daemon.guardian) == f"/{cgroup.folder.name}"


def test_nothing_stays_after_the_end(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(workers("a b c"), program=cgroup.program())

    assert daemon.stop() == 0
    assert cgroup.below() == []


def test_cgroup_that_was_not_delegated_is_left_alone(supervise: Supervise) -> None:
    with new_cgroup(is_delegated=False) as cgroup:
        daemon = supervise(worker("a"), program=cgroup.program())

        assert containment(daemon) in ("subreaper", "group")
        assert cgroup.below() == []
        assert daemon.stop() == 0


def test_names_of_all_kinds_can_be_started(supervise: Supervise, cgroup: Cgroup) -> None:
    names = ["a b", "ä" * 110, "$x", "-", "...", 'q"uote', "'", "x" * 240, "%s", "*", "~", "cgroup.procs"]
    daemon = supervise(tree(*(worker(name, SLEEP) for name in names)), program=cgroup.program())

    assert len(cgroup.below()) == 1 + len(names)
    assert daemon.stop() == 0
    assert cgroup.below() == []


def test_worker_of_another_user_is_in_its_cgroup(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(worker("a", SLEEP, user=EVE, group=EVE), for_strangers=True, program=cgroup.program())

    assert cgroup_of(daemon, "a").endswith("2.a")
    assert Path(f"/proc/{daemon.row('a')['pid']}").stat().st_uid == EVE


def test_worker_enters_its_cgroup_by_itself_where_it_cannot_be_born_there(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(worker("a"), program=cgroup.program(), preexec_fn=refusing(CLONE3, errno.ENOSYS))

    assert containment(daemon) == "cgroup"
    assert cgroup_of(daemon, "a").endswith("2.a")


def test_cgroup_that_cannot_be_made_fails_the_start(supervise: Supervise, cgroup: Cgroup) -> None:
    (cgroup.folder / "cgroup.max.descendants").write_text("2")
    daemon = supervise(workers("a b"), up=False, program=cgroup.program())

    assert daemon.wait() == 69
    assert "no cgroup can be made for it" in daemon.told()
    assert cgroup.below() == []


def test_start_that_fails_leaves_no_cgroup(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(worker("a"), program=cgroup.program())
    answer = daemon.call("start_child", supervisor="root", command=["/no/such/program"], name="b")

    assert answer["reason"] == "start_failed exec ENOENT"
    assert len(cgroup.below()) == 2


def test_restarts_leave_neither_descriptors_nor_zombies(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=1_000), worker("a")), program=cgroup.program())
    events = daemon.events()
    before = os.listdir(f"/proc/{daemon.pid}/fd")
    for _ in range(30):
        daemon.kill("a")
        events.wait("ready", "a")

    wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) == len(before), "as many descriptors as before")
    assert zombies_of(daemon) == []


# Who runs away


def test_who_runs_away_is_ended_at_a_crash_before_the_next_life(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(worker("a", LETS_RUN_AWAY), program=cgroup.program())
    events = daemon.events()
    first = daemon.report_of("a")
    daemon.kill("a")
    events.wait("starting", "a")

    assert not processes.is_alive(first)
    assert daemon.report_of("a", 2) != first
    assert daemon.overlaps() == []


@pytest.mark.parametrize("command", [LETS_RUN_AWAY, LETS_STUBBORN_RUN_AWAY])
def test_who_runs_away_is_ended_at_a_stop(supervise: Supervise, cgroup: Cgroup, command: tuple[str, ...]) -> None:
    daemon = supervise(worker("a", command, shutdown=0.1), program=cgroup.program())
    fugitive = daemon.report_of("a")

    assert daemon.call("stop", names=["a"])["results"][0]["state"] == "down"

    assert not processes.is_alive(fugitive)
    assert len(cgroup.below()) == 1


HARE = python("""
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
""")
"""Nobody can be signalled by pid who lives for a tenth of a millisecond."""


def test_who_runs_away_over_and_over_is_caught(supervise: Supervise, cgroup: Cgroup) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=0), worker("a", HARE, shutdown=0.1)), up=False,
                       program=cgroup.program())  # fmt: skip

    assert daemon.wait() == 70
    assert cgroup.below() == []
    assert not any(one for one in daemon.remaining())


MAKES_CGROUPS = sh(
    'own="$MOUNT$(sed -n s/^0:://p /proc/self/cgroup)"; mkdir "$own/x" "$own/x/y"; '
    '(env -i setsid sh -c \'echo $$ > "$1/x/y/cgroup.procs"; exec sleep 1000\' sh "$own" &); exec sleep 1000'
)


def test_cgroups_that_a_worker_has_made_are_emptied_and_removed_with_its_own(
    supervise: Supervise, cgroup: Cgroup
) -> None:
    daemon = supervise(worker("a", MAKES_CGROUPS), program=cgroup.program(), env={"MOUNT": str(cgroup.folder.parent)})
    inner = cgroup.folder / f"procsup-{daemon.pid}/2.a/x/y/cgroup.procs"
    wait_until(lambda: inner.exists() and inner.read_text(), "somebody is in there")

    daemon.call("stop", names=["a"])

    assert cgroup.below() == [f"procsup-{daemon.pid}"]


# The daemon dies


def test_what_a_killed_daemon_left_is_removed_by_the_next(supervise: Supervise, cgroup: Cgroup) -> None:
    first = supervise(worker("a", LETS_RUN_AWAY), program=cgroup.program())
    fugitive = first.report_of("a")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert not processes.is_alive(fugitive)

    second = supervise(worker("a"), program=cgroup.program())

    assert cgroup.below() == [f"procsup-{second.pid}", f"procsup-{second.pid}/2.a"]


def test_who_outlives_the_daemon_and_its_guardian_is_killed_by_the_next(supervise: Supervise, cgroup: Cgroup) -> None:
    first = supervise(worker("a", LETS_RUN_AWAY), program=cgroup.program())
    survivors = [first.report_of("a"), first.process("a")]
    for pid in (first.guardian, first.pid):
        os.kill(pid, signal.SIGSTOP)
    for pid in (first.guardian, first.pid):
        os.kill(pid, signal.SIGKILL)
    first.wait()
    assert all(map(processes.is_alive, survivors))

    second = supervise(worker("a"), program=cgroup.program())

    assert not any(map(processes.is_alive, survivors))
    assert cgroup.below() == [f"procsup-{second.pid}", f"procsup-{second.pid}/2.a"]


def test_daemons_in_one_cgroup_leave_each_other_alone(supervise: Supervise, cgroup: Cgroup) -> None:
    first, second = (supervise(workers("a b"), program=cgroup.program()) for _ in range(2))
    assert len(cgroup.below()) == 6
    assert second.stop() == 0

    assert len(cgroup.below()) == 3
    assert {row["state"] for row in first.status()["tree"]} == {"running"}
    assert first.stop() == 0


# Without a daemon


def test_cgroup_that_somebody_has_removed_is_an_empty_one(cgroup: Cgroup) -> None:
    cgroups = Cgroups(str(cgroup.folder))
    os.close(cgroups.prepare(1, "root/a"))
    gone = cgroup.folder / cgroup.below()[-1]
    gone.rmdir()

    known = Worker(1, os.getpid(), "root/a", 1)
    assert list(cgroups.beyond(known)) == []
    cgroups.kill_beyond(known)
    cgroups.forget(1, known)
    cgroups.close()
    assert cgroup.below() == []
