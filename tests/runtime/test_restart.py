"""Deaths of workers under a real daemon: restarted by strategy, given up, escalated."""

import os
import signal
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.client import Json, in_words
from tests.kit.fixtures import Supervise
from tests.kit.trees import (
    ALONE,
    AT_THE_GATE,
    FORKS_AND_LEAVES,
    FORKS_AND_LEAVES_STUBBORN,
    python,
    sh,
    supervisor,
    tree,
    worker,
    workers,
)
from tests.kit.wait import wait_until

DECIDED = ("exited", "restarting", "stopped", "ready", "gave_up", "escalated")


def test_killed_worker_is_restarted_as_a_new_process(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    events = daemon.events()
    victim = daemon.kill("a")

    events.wait("ready", "a")

    row = daemon.row("a")
    assert (row["state"], row["restarts"], row["last_exit"]) == ("running", 1, "signal SIGKILL")
    assert row["pid"] != victim.pid


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("one_for_one", ["exited b", "restarting root", "ready b"]),
        (
            "one_for_all",
            ["exited b", "restarting root", "stopped c", "stopped a", "ready a", "ready b", "ready c"],
        ),
        ("rest_for_one", ["exited b", "restarting root", "stopped c", "ready b", "ready c"]),
    ],
)
def test_strategy_decides_who_restarts_with_the_dead(supervise: Supervise, strategy: str, told: list[str]) -> None:
    daemon = supervise(tree(supervisor("root", ["a", "b", "c"], strategy=strategy), workers("a b c")))
    events = daemon.events()
    daemon.kill("b")

    assert in_words(events.until("ready", told[-1].split()[1]), *DECIDED) == told


def test_workers_that_were_killed_at_once_cost_a_group_one_restart(supervise: Supervise) -> None:
    daemon = supervise(
        tree(supervisor("root", ["a", "b", "c"], strategy="one_for_all", intensity=1), workers("a b c")),
    )
    victims = [daemon.process(name) for name in ("c", "a", "b")]
    events = daemon.events()
    os.kill(daemon.pid, signal.SIGSTOP)  # so that it finds all three dead when it looks
    wait_until(lambda: processes.stat_of(daemon.pid).state == "T", "the daemon is stopped")
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)
    for victim in victims:
        processes.wait_until_gone(victim)
    os.kill(daemon.pid, signal.SIGCONT)

    told = in_words(events.until("ready", "c"), *DECIDED)

    assert told == ["exited a", "exited b", "exited c", "restarting root", "ready a", "ready b", "ready c"]
    assert daemon.row("root")["used"] == 1


@pytest.mark.parametrize(
    ("restart", "script", "state"),
    [
        ("transient", "exit 0", "down"),
        ("transient", "exit 3", "down"),
        ("transient", "kill -USR1 $$", "down"),
        ("temporary", "exit 1", "removed"),
        ("temporary", "exit 0", "removed"),
    ],
)
def test_worker_that_may_end_is_not_restarted(supervise: Supervise, restart: str, script: str, state: str) -> None:
    keys: Json = {"restart": restart, "normal_exits": [0, 3, "SIGUSR1"]}
    daemon = supervise(tree(worker("a", sh(f"{AT_THE_GATE}; {script}"), **keys), worker("b")))
    events = daemon.events()
    daemon.open_gate()
    told = events.wait("exited", "a")
    rows = {row["path"]: row["state"] for row in daemon.status()["tree"]}

    assert rows.get("root/a", "removed") == state
    assert told["reason"] == ("exit 1" if script == "exit 1" else "normal")


def test_root_that_gives_up_stops_the_rest_in_reverse_order_and_ends_the_daemon_with_70(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a", "b", "c"], intensity=0), workers("a b c")))
    events = daemon.events()
    daemon.kill("b")

    told = events.rest()

    assert daemon.wait() == 70
    assert in_words(told, "exited", "gave_up", "stopped", "daemon_stopped") == [
        "exited b", "gave_up root", "stopped c", "stopped a", "exited root", "daemon_stopped root",
    ]  # fmt: skip
    assert told[-1]["status"] == 70
    assert told[0]["reason"] == "signal SIGKILL"


def test_supervisor_that_gives_up_is_restarted_by_its_parent_until_that_gives_up_too(supervise: Supervise) -> None:
    daemon = supervise(
        tree(
            supervisor("root", ["neighbour", "lab"], intensity=1),
            supervisor("lab", ["pill"], intensity=1),
            worker("neighbour"),
            worker("pill", sh("echo no cure >&2; exit 1")),
        ),
        up=False,
    )

    assert daemon.wait() == 70
    told = daemon.told()
    assert told.count("exited with code 1 after") == 4
    assert told.count("| no cure") == 4
    assert told.count("gives up") == 3


def test_worker_whose_program_vanishes_is_tried_again_and_given_up(supervise: Supervise, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.symlink_to("/bin/sleep")
    daemon = supervise(
        tree(supervisor("root", ["a", "b"], intensity=3), worker("a"), worker("b", [str(program), "1000"])),
    )
    program.unlink()
    events = daemon.events()
    daemon.kill("b")

    told = events.rest()

    assert daemon.wait() == 70
    assert in_words(told, "exited", "restarting", "start_failed", "gave_up")[:-1] == [
        "exited b", *["restarting root", "start_failed b"] * 3, "gave_up root",
    ]  # fmt: skip
    assert next(event for event in told if event["event"] == "start_failed")["reason"] == "start_failed exec ENOENT"


# What is left of a group


@pytest.mark.parametrize(
    ("command", "shutdown"), [(FORKS_AND_LEAVES, 30), (FORKS_AND_LEAVES_STUBBORN, 0.2), (FORKS_AND_LEAVES, "infinity")]
)
def test_what_a_dead_worker_left_is_cleared_before_its_next_life(
    supervise: Supervise, command: tuple[str, ...], shutdown: object
) -> None:
    gated = (*command[:2], f"{AT_THE_GATE}; {command[2]}", *command[3:])
    daemon = supervise(worker("a", gated, shutdown=shutdown))
    events = daemon.events()
    daemon.open_gate()
    left = daemon.report_of("a") if shutdown == 0.2 else None

    events.wait("exited", "a")
    second = events.wait("starting", "a")

    assert second["starts"] == 2
    left = left or processes.Process(daemon.report()[0][1], 0)
    assert not processes.is_alive(left)


def test_worker_that_is_down_while_its_rest_is_cleared_says_so(supervise: Supervise) -> None:
    gated = sh(f"{AT_THE_GATE}; {FORKS_AND_LEAVES_STUBBORN[2]}")
    daemon = supervise(worker("a", gated, shutdown=30))
    events = daemon.events()
    daemon.open_gate()
    left = daemon.report_of("a")
    events.wait("restarting", "root")

    assert daemon.row("a")["state"] == "stopping"

    os.kill(left.pid, signal.SIGKILL)
    events.wait("ready", "a")


def test_next_life_finds_the_lock_of_its_predecessor_free(supervise: Supervise) -> None:
    script = f"trap '' TERM; {ALONE}; sleep 1000 & echo \"a $!\" >> $REPORT; wait"
    daemon = supervise(tree(supervisor("root", ["a"], intensity=1000), worker("a", sh(script), shutdown=0)))
    events = daemon.events()
    for count in range(1, 11):
        daemon.report_of("a", count)
        daemon.kill("a")
        events.wait("ready", "a")

    assert daemon.overlaps() == []


LEAVES_THE_GROUP = """
import os, select, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    with open(os.environ["GATE"]) as gate:
        gate.readline()
    os.setsid()
    select.select([], [], [])
with open(os.environ["REPORT"], "a") as report:
    report.write(f"a {child}\\n")
os._exit(1)
"""


def test_process_that_leaves_the_session_while_that_is_cleared_is_killed_before_the_next_life(
    supervise: Supervise,
) -> None:
    """The double fork of classical daemons: the worker ends, and its child makes a session of its own."""
    command = python(LEAVES_THE_GROUP)
    daemon = supervise(worker("a", command, shutdown=0.5))
    events = daemon.events()
    stray = daemon.report_of("a")
    wait_until(lambda: daemon.row("a")["last_exit"] == "exit 1", "the worker ended")
    daemon.open_gate()

    again = events.wait("starting", "a", starts=2)

    assert again["path"] == "root/a"
    assert not processes.is_alive(stray)


HOPS = """
import fcntl, os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = os.open(os.environ["LOCKS"] + "/a", os.O_CREAT | os.O_RDWR)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    with open(os.environ["OVERLAPS"], "a") as overlaps:
        overlaps.write("a\\n")
end = time.monotonic() + 2
while time.monotonic() < end:
    if os.fork():
        os._exit(1)
"""


def test_process_that_forks_and_ends_over_and_over_is_not_overlooked(supervise: Supervise) -> None:
    """Whoever walks through /proc meets it nowhere, though the group has a living member at any time."""
    command = python(HOPS)
    daemon = supervise(tree(supervisor("root", ["a"], intensity=1000), worker("a", command, shutdown=0.3)))
    events = daemon.events()
    for _ in range(3):
        events.wait("ready", "a")

    assert daemon.overlaps() == []
