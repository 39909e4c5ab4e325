"""No worker outlives the daemon, however it dies, and no life of the next daemon meets one of the last.

Every round sends KILL to one of procsup's own processes at a random moment of a busy tree: while it starts, between
deaths and restarts, or while it stops. The next daemon is started in the same places at once, and is the victim of the
next round. The workers find out themselves whether two of their lives overlap (ALONE). A failure prints the seed;
KILLED_SEED=N runs those rounds again.
"""

import contextlib
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.daemon import Daemon, daemon_below
from tests.kit.fixtures import Supervise
from tests.kit.processes import Process
from tests.kit.trees import sh, supervisor, tree, worker
from tests.kit.wait import let_pass, wait_until
from tests.runtime.test_chaos import MANNERS, WITHOUT_PIDFDS

ROUNDS = 10
PARTS = range(10)
"""A hundred rounds of each kind, in parts that can run side by side."""

WORKERS = ("a1", "a2", "a3", "o1")
"""The last one always crashes."""


def seeded() -> random.Random:
    seed = int(os.environ.get("KILLED_SEED") or random.randrange(2**32))
    sys.stdout.write(f"KILLED_SEED={seed}\n")
    return random.Random(seed)


def busy_tree(chance: random.Random, **more: object) -> str:
    manners = [*chance.choices(list(MANNERS), k=3), "crashes"]
    return tree(
        supervisor("root", ["all", "o1"], intensity=1_000_000),
        supervisor("all", WORKERS[:3], strategy=chance.choice(["one_for_all", "rest_for_one"]), intensity=1_000_000),
        *(
            worker(name, sh(MANNERS[manner]), shutdown=0.05, **more)
            for name, manner in zip(WORKERS, manners, strict=True)
        ),
    )


# The moment


def while_it_starts(daemon: Daemon, chance: random.Random) -> None:
    let_pass(chance.uniform(0, 0.4))


def while_it_is_busy(daemon: Daemon, chance: random.Random) -> None:
    daemon.wait_until_up()
    let_pass(chance.uniform(0, 0.1))


def while_it_stops(daemon: Daemon, chance: random.Random) -> None:
    daemon.wait_until_up()
    daemon.send_signal(signal.SIGTERM)
    let_pass(chance.uniform(0, 0.1))


MOMENTS = (while_it_starts, while_it_is_busy, while_it_stops)


# The victim


Kill = Callable[[Daemon], int]
"""The status with which the guardian is to end, unless it had ended before."""


def kill_daemon(daemon: Daemon) -> int:
    wait_until(lambda: daemon.has_ended or daemon_below(daemon.guardian), "there is a daemon")
    for pid in daemon_below(daemon.guardian):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return 128 + signal.SIGKILL


def kill_guardian(daemon: Daemon) -> int:
    daemon.send_signal(signal.SIGKILL)
    return -signal.SIGKILL


# The rounds


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kill", [kill_daemon, kill_guardian])
def test_nobody_is_left_and_the_next_daemon_comes_up_at_once_when_one_is_killed(
    supervise: Supervise, tmp_path: Path, kill: Kill, part: int
) -> None:
    chance = seeded()
    (tmp_path / "locks").mkdir()
    overlaps = tmp_path / "overlaps"
    env = {"LOCKS": str(tmp_path / "locks"), "OVERLAPS": str(overlaps)}
    first = supervise(busy_tree(chance), up=False, env=env)

    victim = first
    for _ in range(ROUNDS):
        moment = chance.choice(MOMENTS)
        moment(victim, chance)
        expected = kill(victim)
        successor = supervise(
            busy_tree(chance), up=False, env=env,
            socket=first.socket, state_dir=first.state_dir, log_dir=first.log_dir,
        )  # fmt: skip
        status = victim.wait()
        assert status == expected or (moment is while_it_stops and status == 0)
        wait_until(partial(is_gone, victim), f"nobody of {victim.folder} is left")
        victim = successor

    victim.wait_until_up()
    assert victim.stop() == 0
    assert is_gone(victim)
    assert not overlaps.exists(), overlaps.read_text()


def is_gone(daemon: Daemon) -> bool:
    return not daemon.everybody()


WITHOUT_SUBREAPER = (
    sys.executable,
    "-P",
    "-c",
    "import sys; from procsup.runtime import syscalls; del syscalls.become_subreaper;"
    "from procsup.__main__ import main; sys.exit(main())",
)
"""procsup as on a kernel before 3.4, where no orphan comes to the guardian."""


@pytest.mark.parametrize("kill", [kill_daemon, kill_guardian])
@pytest.mark.parametrize(
    ("program", "containment"), [(WITHOUT_SUBREAPER, "group"), (WITHOUT_PIDFDS, "subreaper")], ids=["3.3", "5.2"]
)
def test_nobody_is_left_where_the_kernel_is_older(
    supervise: Supervise, program: tuple[str, ...], containment: str, kill: Kill
) -> None:
    names = [f"w{number}" for number in range(len(MANNERS))]
    daemon = supervise(
        tree(
            supervisor("root", names, intensity=1_000_000),
            *(worker(name, sh(script), shutdown=0.05) for name, script in zip(names, MANNERS.values(), strict=True)),
        ),
        program=program,
    )
    assert daemon.status()["daemon"]["containment"] == containment
    status = kill(daemon)
    assert daemon.wait() == status
    wait_until(partial(is_gone, daemon), "nobody is left")


# The spawner


@pytest.mark.parametrize("part", PARTS)
def test_killed_spawner_is_replaced_and_neither_leaves_nor_doubles_a_worker(supervise: Supervise, part: int) -> None:
    chance = seeded()
    daemon = supervise(busy_tree(chance, nice=5))
    for _ in range(ROUNDS):
        spawner, *_ = wait_until(partial(spawners_of, daemon), "there is a spawner")
        let_pass(chance.uniform(0, 0.1))
        with contextlib.suppress(ProcessLookupError):
            os.kill(spawner.pid, signal.SIGKILL)
        processes.wait_until_gone(spawner)

    daemon.call("start", names=["all", "o1"])
    daemon.call("restart", names=["all", "o1"])
    assert daemon.stop() == 0
    assert is_gone(daemon)
    assert daemon.overlaps() == []


def spawners_of(daemon: Daemon) -> list[Process]:
    """It, and those that look like it still because it has just forked them."""
    alike = [one for one in daemon.everybody() if "procsup.runtime.spawner" in processes.command_of(one.pid)]
    return sorted(alike, key=lambda one: one.started)
