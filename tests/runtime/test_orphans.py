"""Processes that have left the group, the session and the family of their worker: they are stopped with it, its next
life begins after them, and nobody else's death touches them.
"""

import os
import signal
from collections.abc import Iterable

import pytest

from tests.kit import processes
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.processes import Process
from tests.kit.trees import ALONE, python, sh, supervisor, tree, worker
from tests.kit.wait import wait_until

ENDLESS = {"intensity": 1_000_000}


def leaves_an_orphan(orphan: str, then: str) -> tuple[str, ...]:
    """Forks twice and leaves the session; the orphan does as `orphan` says, and the worker, once that has reported, as
    `then` says. Both are Python, and `report(word)` reports.
    """
    return python(f"""
import os, signal, sys

def report(word):
    with open(os.environ["REPORT"], "a") as file:
        file.write(os.environ["PROCSUP_NAME"].rpartition("/")[2] + f"-{{word}} {{os.getpid()}}\\n")

def is_reported(word):
    return os.environ["PROCSUP_NAME"].rpartition("/")[2] + "-" + word in open(os.environ["REPORT"]).read()

told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(told)
{orphan}
    os._exit(0)
os.wait()
os.close(tell)
os.read(told, 1)
{then}
""")


LISTENS = """
        signal.signal(signal.SIGTERM, lambda *_: report("heard"))
        report("orphan")
        os.close(tell)
        while True:
            signal.pause()
"""
"""It does not obey, but says each time it is told to stop."""

OBEYS = """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        report("orphan")
        os.close(tell)
        signal.sigwait([signal.SIGTERM])
        report("obeyed")
"""

STAYS = "signal.pause()"

CRASHES_AT_THE_GATE = 'open(os.environ["GATE"]).readline(); sys.exit(1)'


def orphan_of(daemon: Daemon, name: str) -> Process:
    """The first that this worker has left."""
    wait_until(lambda: f"{name}-orphan" in dict(daemon.report()), f"{name} has left an orphan")
    return processes.process(next(pid for word, pid in daemon.report() if word == f"{name}-orphan"))


def heard(daemon: Daemon, orphan: Process) -> list[str]:
    return [word for word, pid in daemon.report() if pid == orphan.pid and not word.endswith("-orphan")]


# Whose worker has crashed


def test_orphan_of_a_worker_that_crashes_gets_the_stop_signal_once_then_kill_and_the_next_life_begins_after_it(
    supervise: Supervise,
) -> None:
    daemon = supervise(worker("a", leaves_an_orphan(LISTENS, CRASHES_AT_THE_GATE), shutdown="300ms"))
    orphan = orphan_of(daemon, "a")
    events = daemon.events()
    daemon.open_gate()

    exited = events.wait("exited", "a")
    starting = events.wait("starting", "a")

    assert not processes.is_alive(orphan)
    assert heard(daemon, orphan) == ["a-heard"]
    assert starting["mono"] - exited["mono"] >= 0.3


def test_orphan_that_obeys_has_the_time_to_do_so(supervise: Supervise) -> None:
    daemon = supervise(worker("a", leaves_an_orphan(OBEYS, CRASHES_AT_THE_GATE), shutdown=1000))
    orphan = orphan_of(daemon, "a")
    events = daemon.events()
    daemon.open_gate()

    events.wait("starting", "a")

    assert not processes.is_alive(orphan)
    assert heard(daemon, orphan) == ["a-obeyed"]


def test_orphans_of_orphans_are_ended_too(supervise: Supervise) -> None:
    forks = "        os.fork()\n        if os.fork() == 0:\n            os.setsid()\n" + LISTENS
    daemon = supervise(worker("a", leaves_an_orphan(forks, CRASHES_AT_THE_GATE), shutdown="100ms"))
    wait_until(lambda: len(daemon.report()) == 4, "four are there")
    left = [processes.process(pid) for _, pid in daemon.report()]
    events = daemon.events()
    daemon.open_gate()

    events.wait("starting", "a")

    assert [one for one in left if processes.is_alive(one)] == []
    assert [heard(daemon, one) for one in left] == [["a-heard"]] * 4


LISTENS_AT_A_PORT = """
        import socket
        port = socket.socket()
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            port.bind(("127.0.0.1", int(os.environ["PORT"])))
            port.listen()
        except OSError:
            report("taken")
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        report("orphan")
        os.close(tell)
        signal.pause()
"""


def test_port_of_an_orphan_is_free_for_the_next_life(supervise: Supervise) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = leaves_an_orphan(LISTENS_AT_A_PORT, "sys.exit(1)")
    daemon = supervise(
        tree(supervisor("root", ["a"], **ENDLESS), worker("a", command, shutdown="20ms", env={"PORT": str(port)}))
    )
    wait_until(lambda: len(daemon.report()) >= 10, "ten lives have had it")
    assert {word for word, _ in daemon.report()} == {"a-orphan"}


def test_lives_with_orphans_that_are_just_being_executed_do_not_overlap(supervise: Supervise) -> None:
    """In the middle of execve(2) nobody can say whose they are, and nothing waits for them here."""
    names = [f"w{number}" for number in range(6)]
    script = f"{ALONE}; (setsid sleep 1000 &); exit 1"
    daemon = supervise(
        tree(
            supervisor("root", names, **ENDLESS),
            *(worker(name, sh(script), shutdown="brutal_kill") for name in names),
        )
    )
    wait_until(lambda: sum(daemon.row(name)["starts"] for name in names) > 300, "three hundred lives have begun")
    assert daemon.stop() == 0
    assert daemon.overlaps() == []


# Whose worker is stopped


def test_orphan_of_a_worker_that_is_stopped_gets_the_stop_signal_once_then_kill(supervise: Supervise) -> None:
    daemon = supervise(worker("a", leaves_an_orphan(LISTENS, STAYS), shutdown="300ms"))
    orphan = orphan_of(daemon, "a")
    events = daemon.events()

    assert daemon.call("stop", names=["a"])["results"][0]["state"] == "down"

    assert not processes.is_alive(orphan)
    assert heard(daemon, orphan) == ["a-heard"]
    assert (events.wait("stopped", "a")["how"], daemon.row("a")["last_exit"]) == ("killed", "killed")


def test_orphan_that_obeys_makes_no_kill_of_the_stop_of_its_worker(supervise: Supervise) -> None:
    daemon = supervise(worker("a", leaves_an_orphan(OBEYS, STAYS), shutdown=1000))
    orphan = orphan_of(daemon, "a")
    events = daemon.events()

    daemon.call("stop", names=["a"])

    assert not processes.is_alive(orphan)
    assert heard(daemon, orphan) == ["a-obeyed"]
    assert events.wait("stopped", "a")["how"] == "shutdown"


def test_orphan_of_a_worker_with_brutal_kill_is_killed_with_it(supervise: Supervise) -> None:
    daemon = supervise(worker("a", leaves_an_orphan(LISTENS, STAYS), shutdown="brutal_kill"))
    orphan = orphan_of(daemon, "a")
    daemon.call("stop", names=["a"])
    assert not processes.is_alive(orphan)
    assert heard(daemon, orphan) == []


# Nobody's, and those of others


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_orphan_in_another_session_and_without_its_environment_lives_until_the_daemon_ends(
    supervise: Supervise, end: str
) -> None:
    anonymous = '        report("orphan")\n        os.execve("/bin/sleep", ["sleep", "1000"], {})'
    daemon = supervise(worker("a", leaves_an_orphan(anonymous, CRASHES_AT_THE_GATE)))
    orphan = orphan_of(daemon, "a")
    wait_until(lambda: processes.command_of(orphan.pid) == "sleep 1000", "it has no environment any more")
    events = daemon.events()
    daemon.open_gate()
    events.wait("ready", "a")
    assert processes.is_alive(orphan)

    if end == "stop":
        assert daemon.stop() == 0
    else:
        os.kill(daemon.pid, signal.SIGKILL)
        assert daemon.wait() == 128 + signal.SIGKILL

    assert not processes.is_alive(orphan)


def test_orphan_of_one_worker_is_not_touched_by_the_end_of_another(supervise: Supervise) -> None:
    """Nor by its stop, its restart and its being killed, in the same tree and at the same time as others'."""
    daemon = supervise(
        tree(
            supervisor("root", ["a", "b"], **ENDLESS),
            worker("a", leaves_an_orphan(LISTENS, STAYS), shutdown="10s"),
            worker("b", leaves_an_orphan(LISTENS, STAYS), shutdown="10s"),
        )
    )
    mine, others = orphan_of(daemon, "a"), orphan_of(daemon, "b")
    events = daemon.events()

    daemon.kill("b")
    events.wait("ready", "b")
    daemon.call("restart", names=["b"])
    daemon.call("stop", names=["b"])

    assert not processes.is_alive(others)
    assert processes.is_alive(mine)
    assert heard(daemon, mine) == []
    daemon.call("stop", names=["a"])
    assert heard(daemon, mine) == ["a-heard"]


def test_hundreds_of_workers_with_an_orphan_each_that_are_killed_at_once_come_back_without_overlap(
    supervise: Supervise,
) -> None:
    names = [f"w{number}" for number in range(200)]
    script = f"""{ALONE}; setsid sh -c 'echo "x $$" >> "$REPORT"; exec sleep 1000' & exec sleep 1000"""
    daemon = supervise(
        tree(supervisor("root", names, **ENDLESS), *(worker(name, sh(script), shutdown="100ms") for name in names))
    )
    wait_until(lambda: len(daemon.report()) == 200, "each has its orphan")
    workers = [row["pid"] for row in daemon.status()["tree"] if row["type"] == "worker"]

    send_to_all(workers, signal.SIGKILL)

    wait_until(lambda: len(daemon.report()) == 400, "each has another")
    assert {row["restarts"] for row in daemon.status()["tree"] if row["type"] == "worker"} == {1}
    assert daemon.overlaps() == []
    assert daemon.stop() == 0
    assert daemon.everybody() == []


def send_to_all(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)
