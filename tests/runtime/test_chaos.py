"""At no time do two lives of one worker run at once, whatever happens to them and whoever commands.

A random run on a real daemon. The workers find out themselves: each, with all that it forks, holds the lock of its
name, and says so when it finds that taken. A failure prints the seed; CHAOS_SEED=N runs that one again.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.kit import processes
from tests.kit.client import CallFailed, Client, Json, in_words, name_of
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import ALONE, sh, supervisor, tree, worker
from tests.kit.wait import wait_until

STEPS = 250

WITHOUT_PIDFDS = (
    sys.executable,
    "-P",
    "-c",
    "import os, sys; del os.pidfd_open; from procsup.__main__ import main; sys.exit(main())",
)
"""procsup as on a kernel before 5.3."""

MANNERS = {
    "obeys": f"{ALONE}; exec sleep 1000",
    "is stubborn": f"trap '' TERM; {ALONE}; exec sleep 1000",
    "has a child": f"{ALONE}; sleep 1000 & exec sleep 1000",
    "has a stubborn child": f"{ALONE}; (trap '' TERM; exec sleep 1000) & exec sleep 1000",
    "leaves a child": f"{ALONE}; sleep 1000 & sleep 0.05; exit 1",
    "leaves a stubborn child": f"trap '' TERM; {ALONE}; sleep 1000 & sleep 0.05; exit 1",
    "crashes": f"{ALONE}; sleep 0.02; exit 1",
    "leaves a child in another session": f"{ALONE}; (setsid sleep 1000 &); sleep 0.05; exit 1",
    "has a stubborn child in another session": f"{ALONE}; (trap '' TERM; exec setsid sleep 1000) & exec sleep 1000",
}

WORKERS = ("a1", "a2", "a3", "r1", "r2", "r3", "o1", "o2")
SUPERVISORS = ("all", "rest")
ADDED = ("x1", "x2")
SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1)


def random_tree(chance: random.Random) -> str:
    endless: Json = {"intensity": 1_000_000}
    return tree(
        supervisor("root", ["all", "rest", "o1", "o2"], **endless),
        supervisor("all", WORKERS[:3], strategy="one_for_all", **endless),
        supervisor("rest", WORKERS[3:6], strategy="rest_for_one", **endless),
        *(worker(name, sh(MANNERS[chance.choice(list(MANNERS))]), shutdown=0.05) for name in WORKERS),
    )


class Operator:
    """A client that commands, and reads the answers later."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[int] = []
        self.outcomes: set[str] = set()

    def command(self, verb: str, **params: object) -> None:
        self._waiting.append(self._client.ask(verb, **params))

    def hear_one(self) -> None:
        if not self._waiting:
            return
        try:
            answer = self._client.answer(self._waiting.pop(0))
        except CallFailed as failed:
            self.outcomes.add(failed.kind)
        else:
            result = answer["results"][0] if "results" in answer else answer
            self.outcomes.add(result.get("kind", "ok"))

    def hear_all(self) -> None:
        while self._waiting:
            self.hear_one()


def command_anything(operator: Operator, chance: random.Random) -> None:
    name = chance.choice((*WORKERS, *ADDED, *SUPERVISORS))
    match chance.choice(("start", "stop", "restart", "terminate", "child", "delete")):
        case "terminate":
            operator.command("terminate_child", name=name)
        case "child" if name in WORKERS:
            operator.command("restart_child", name=name)
        case "child":
            script = MANNERS[chance.choice(("obeys", "has a child", "leaves a child", "crashes"))]  # it has 5 s to stop
            above, added = chance.choice(list(zip(SUPERVISORS, ADDED, strict=True)))
            restart = chance.choice(("permanent", "transient", "temporary"))
            operator.command("start_child", supervisor=above, name=added, command=sh(script), restart=restart)
        case "delete":
            operator.command("delete_child", names=[chance.choice(ADDED)])
        case verb:
            operator.command(verb, names=[name])


def hurt(daemon: Daemon, name: str, number: int) -> None:
    """Send a signal to a worker from outside. To nobody, when it is gone by now."""
    pid = {row["path"].rpartition("/")[2]: row.get("pid") for row in daemon.status()["tree"]}.get(name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError), pidfd_of(pid) as pidfd:
            if daemon.owns(pid):
                signal.pidfd_send_signal(pidfd, number)


@contextlib.contextmanager
def pidfd_of(pid: int) -> Iterator[int]:
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


@pytest.mark.parametrize("program", [PROCSUP, WITHOUT_PIDFDS], ids=["pidfds", "no pidfds"])
def test_no_two_lives_of_a_worker_overlap_and_none_outlives_the_daemon(
    supervise: Supervise, program: tuple[str, ...]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))
    sys.stdout.write(f"CHAOS_SEED={seed}\n")
    chance = random.Random(seed)
    daemon = supervise(random_tree(chance), program=program)
    events = daemon.events()
    operators = [Operator(daemon.client()) for _ in range(2)]

    told: list[Json] = []
    listener = threading.Thread(target=lambda: told.extend(events.rest()), daemon=True)  # who is slow is hung up on
    listener.start()
    for _ in range(STEPS):
        match chance.randrange(5):
            case 0 | 1:
                hurt(daemon, chance.choice((*WORKERS, *ADDED)), chance.choice(SIGNALS))
            case 2 | 3:
                command_anything(chance.choice(operators), chance)
            case _:
                chance.choice(operators).hear_one()
    for operator in operators:
        operator.hear_all()
    daemon.call("start", names=list(SUPERVISORS))
    daemon.call("start", names=list(WORKERS))

    assert daemon.call("shutdown") == {"status": 0}
    assert daemon.wait() == 0
    assert daemon.overlaps() == []
    assert daemon.remaining() == []
    assert operators[0].outcomes | operators[1].outcomes <= {"ok", "overtaken", "refused", "no_such_name"}
    listener.join()
    assert_each_life_ends_before_the_next(told)


def assert_each_life_ends_before_the_next(told: list[Json]) -> None:
    alive: set[str] = set()
    for event in told:
        if event.get("type") == "worker" and event["event"] == "starting":
            assert event["path"] not in alive, in_words(told)
            alive.add(event["path"])
        elif name_of(event) in (*WORKERS, *ADDED) and event["event"] in ("exited", "stopped", "start_failed"):
            alive.discard(event["path"])
    assert not alive


def test_kernel_without_pidfds_is_no_hindrance(supervise: Supervise) -> None:
    daemon = supervise(worker("a", sh(MANNERS["has a child"])), program=WITHOUT_PIDFDS)
    events = daemon.events()
    daemon.kill("a")
    assert events.wait("exited", "a")["reason"] == "signal SIGKILL"
    events.wait("ready", "a")
    assert daemon.stop() == 0
    assert daemon.remaining() == []


def can_unshare() -> bool:
    command = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    has_it = os.geteuid() == 0 and shutil.which("unshare") is not None
    return has_it and subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="no new pid namespace can be had here")
def test_daemon_that_is_process_1_reaps_strangers_and_its_own(supervise: Supervise) -> None:
    """As in a container."""
    orphans = "for n in 1 2 3; do (setsid sh -c 'exit 0' &); done"
    command = sh(f'{orphans}; sleep 1000 & echo "a $$" >> "$REPORT"; exec sleep 1000')
    inside = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *PROCSUP)
    daemon = supervise(worker("a", command), program=inside)
    wait_until(lambda: daemon.report(), "the worker is there")
    (init,) = processes.children_of(daemon.guardian)
    events = daemon.events()
    daemon.call("signal", signal="KILL", names=["a"])
    assert events.wait("exited", "a")["reason"] == "signal SIGKILL"
    events.wait("ready", "a")
    wait_until(lambda: len(daemon.report()) == 2, "the next life is there")

    wait_until(lambda: not zombies_of(init), "no zombie is left")
    assert daemon.call("shutdown") == {"status": 0}
    assert daemon.wait() == 0


def zombies_of(parent: int) -> list[int]:
    found = []
    for one in processes.all_processes():
        with contextlib.suppress(ProcessLookupError):
            stat = processes.stat_of(one.pid)
            if stat.parent == parent and stat.state == "Z":
                found.append(one.pid)
    return found
