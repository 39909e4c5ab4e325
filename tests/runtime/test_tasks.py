"""Tasks of workers: what the daemon knows of them, and what it shows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from procsup.runtime import tasks
from procsup.runtime.tasks import Tasks
from tests.kit.fixtures import Supervise
from tests.kit.trees import SLEEP, sh, supervisor, tree, worker
from tests.kit.wait import wait_until

Sleeper = subprocess.Popen[bytes]


@pytest.fixture
def sleepers() -> Iterator[list[Sleeper]]:
    """Three processes of this process's group."""
    started = [subprocess.Popen(SLEEP) for _ in range(3)]
    yield started
    for one in started:
        one.kill()
        one.wait()


def test_who_runs_is_known_by_name_in_the_order_of_the_telling(sleepers: list[Sleeper]) -> None:
    known = Tasks()
    for number, one in enumerate(sleepers):
        known.add(1, one.pid, f"t{number}")
    assert [(task.pid, task.name) for task in known.running(1, os.getpgrp())] == [
        (one.pid, f"t{number}") for number, one in enumerate(sleepers)
    ]
    assert known.running(2, os.getpgrp()) == []


def test_who_has_ended_is_not_shown_be_it_reaped_or_not(sleepers: list[Sleeper]) -> None:
    known = Tasks()
    for one in sleepers:
        known.add(1, one.pid, "t")
    sleepers[0].kill()
    os.waitid(os.P_PID, sleepers[0].pid, os.WEXITED | os.WNOWAIT)
    sleepers[1].kill()
    sleepers[1].wait()
    assert [task.pid for task in known.running(1, os.getpgrp())] == [sleepers[2].pid]


def test_who_is_of_another_group_is_not_shown(sleepers: list[Sleeper]) -> None:
    known = Tasks()
    known.add(1, sleepers[0].pid, "t")
    known.add(1, 1, "init")
    assert [task.pid for task in known.running(1, os.getpgrp())] == [sleepers[0].pid]


def test_a_process_that_began_after_it_was_told_of_is_another_one(
    sleepers: list[Sleeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Tasks()
    before = tasks._since_boot() - 3600
    monkeypatch.setattr(tasks, "_since_boot", lambda: before)
    known.add(1, sleepers[0].pid, "t")
    assert known.running(1, os.getpgrp()) == []


def test_the_dead_are_forgotten_as_others_are_added_and_the_living_stay(sleepers: list[Sleeper]) -> None:
    known = Tasks()
    known.add(1, sleepers[0].pid, "long")
    for number in range(5000):
        known.add(1, 2**22 - number, "short")
    assert len(known._lives[1]) < 10
    assert [task.name for task in known.running(1, os.getpgrp())] == ["long"]


def test_at_most_so_many_are_known(sleepers: list[Sleeper], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MOST", 2)
    known = Tasks()
    for one in sleepers:
        known.add(1, one.pid, "t")
    assert [task.pid for task in known.running(1, os.getpgrp())] == [one.pid for one in sleepers[1:]]


# With a real daemon

STARTS_TASKS = """
import os, sys
from procsup.worker import *

def fetch():
    receive()

def brew():
    receive()

def other(tasks):
    TaskSupervisor.start_child(tasks, brew)
    receive()

attach()
tasks = TaskSupervisor.start_link()
trap_exits(True)
TaskSupervisor.async_nolink(tasks, fetch)
TaskSupervisor.async_(tasks, fetch)
Process.spawn(other, tasks)
while True:
    receive()
"""


def test_tasks_of_a_task_supervisor_are_shown_as_long_as_they_run(supervise: Supervise) -> None:
    command = (sys.executable, "-c", STARTS_TASKS)
    daemon = supervise(tree(supervisor("root", ["a", "b"]), worker("a", command, channel=True), worker("b")))

    def shown() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = daemon.row("a")["tasks"]
        return found

    wait_until(lambda: len(shown()) == 3, "three tasks are shown")
    assert sorted(task["name"] for task in shown()) == ["brew", "fetch", "fetch"]
    assert daemon.row("b")["tasks"] == []
    victim = next(task["pid"] for task in shown() if task["name"] == "brew")
    os.kill(victim, 9)
    wait_until(lambda: sorted(task["name"] for task in shown()) == ["fetch", "fetch"], "it is shown no more")
    daemon.kill("a")
    wait_until(lambda: len(shown()) == 3 and victim not in [task["pid"] for task in shown()], "those of the next life")


def test_a_worker_in_any_language_tells_of_tasks_and_nonsense_is_a_complaint(supervise: Supervise) -> None:
    script = """
sleep 1000 & echo "{\\"type\\":\\"task\\",\\"pid\\":$!,\\"name\\":\\"nap\\"}" >&4
echo '{"type":"task","pid":1,"name":"init"}' >&4
read -r go < "$GATE"; echo '{"type":"task","pid":99999999999999999999,"name":"x"}' >&4; wait
"""
    daemon = supervise(worker("a", sh(script), channel=True))
    wait_until(lambda: [task["name"] for task in daemon.row("a")["tasks"]] == ["nap"], "it is shown, and nobody else")
    events = daemon.events()
    daemon.open_gate()
    assert "is no pid" in events.wait("bad_message", "a")["reason"]
