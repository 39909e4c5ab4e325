"""Stopping: the stop sequence of a worker, and the shutdown of the daemon."""

import contextlib
import os
import select
import signal
import time

import pytest

from tests.kit import processes
from tests.kit.client import Client, Events, HungUp, in_words
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import (
    AT_THE_GATE,
    FORKS_AND_LEAVES_STUBBORN,
    FORKS_AND_STAYS,
    SLEEP,
    STUBBORN,
    sh,
    supervisor,
    tree,
    waits_for,
    worker,
    workers,
)
from tests.kit.wait import wait_until

HURRY_AFTER = 0.5


def stop(daemon: Daemon, name: str, events: Events) -> dict[str, object]:
    """Stops a worker; the event that tells how it went."""
    assert daemon.call("stop", names=[name])["results"][0]["state"] == "down"
    return events.wait("stopped", name)


# One worker


def test_worker_that_obeys_ends_by_its_stop_signal(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    told = stop(daemon, "a", daemon.events())
    assert (told["how"], told["reason"], told["ended"]) == ("shutdown", "shutdown", "signal SIGTERM")


def test_stop_signal_is_the_one_of_the_spec(supervise: Supervise) -> None:
    daemon = supervise(worker("a", waits_for("SIGUSR2", "sys.exit(7)"), stop_signal="SIGUSR2"))
    daemon.report_of("a")
    told = stop(daemon, "a", daemon.events())
    assert (told["how"], told["ended"]) == ("shutdown", "exit 7")


def test_stubborn_worker_is_killed_when_its_shutdown_time_is_over_and_not_before(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="300ms"))
    daemon.report_of("a")
    events = daemon.events()
    daemon.call("stop", names=["a"])
    asked, told = events.wait("stopping", "a"), events.wait("stopped", "a")

    assert (told["how"], told["reason"], told["ended"]) == ("killed", "killed", "signal SIGKILL")
    assert told["mono"] - asked["mono"] >= 0.3


def test_worker_with_brutal_kill_is_killed_at_once(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="brutal_kill"))
    daemon.report_of("a")
    told = stop(daemon, "a", daemon.events())
    assert (told["how"], told["reason"], told["ended"]) == ("brutal_kill", "killed", "signal SIGKILL")


def test_worker_that_is_stopped_by_a_signal_hears_its_stop_signal(supervise: Supervise) -> None:
    daemon = supervise(worker("a", SLEEP, shutdown="infinity"))
    frozen = daemon.kill("a", signal.SIGSTOP)
    wait_until(lambda: processes.stat_of(frozen.pid).state == "T", "it is frozen")
    told = stop(daemon, "a", daemon.events())
    assert told["ended"] == "signal SIGTERM"


def test_whole_group_is_stopped_and_the_worker_is_down_only_when_it_is_empty(supervise: Supervise) -> None:
    daemon = supervise(worker("a", FORKS_AND_STAYS))
    child = daemon.report_of("a")
    stop(daemon, "a", daemon.events())
    assert not processes.is_alive(child)


def test_rest_of_a_group_that_is_stubborn_is_killed_with_the_shutdown_time(supervise: Supervise) -> None:
    script = """(trap '' TERM; echo "a $$" >> "$REPORT"; sleep 1000) & wait"""
    daemon = supervise(worker("a", sh(script), shutdown="300ms"))
    daemon.report_of("a")
    events = daemon.events()
    told = stop(daemon, "a", events)
    assert (told["how"], told["ended"]) == ("killed", "signal SIGTERM")
    assert daemon.remaining() == []


def test_worker_that_ignores_its_stop_signal_and_has_all_the_time_is_waited_for(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="infinity"))
    life = daemon.report_of("a")
    events = daemon.events()
    request = daemon.client()
    answer = request.ask("stop", names=["a"])
    events.wait("stopping", "a")
    assert daemon.row("a")["state"] == "stopping"

    os.kill(life.pid, signal.SIGKILL)

    assert request.answer(answer)["results"][0]["state"] == "down"
    assert events.wait("stopped", "a")["how"] == "shutdown"


# The daemon


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_tree_in_reverse_start_order_one_after_another(supervise: Supervise, number: int) -> None:
    daemon = supervise(
        tree(supervisor("root", ["a", "lab", "d"]), supervisor("lab", ["b", "c"]), workers("a b c d")),
    )
    events = daemon.events()
    daemon.send_signal(number)

    told = in_words(events.rest())

    assert daemon.wait() == 0
    assert told == [
        "stopping root",
        "stopping d", "stopped d",
        "stopping lab", "stopping c", "stopped c", "stopping b", "stopped b", "stopped lab",
        "stopping a", "stopped a",
        "stopped root", "daemon_stopped root",
    ]  # fmt: skip
    assert daemon.remaining() == []


def test_call_stops_the_tree_and_is_answered_with_the_status_before_the_daemon_ends(supervise: Supervise) -> None:
    daemon = supervise(workers("a b"))
    assert daemon.call("shutdown") == {"status": 0}
    assert daemon.wait() == 0


def test_call_that_does_not_wait_is_answered_at_once(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="infinity"))
    life = daemon.report_of("a")
    assert daemon.call("shutdown", wait=False) == {"status": None}

    os.kill(life.pid, signal.SIGKILL)

    assert daemon.wait() == 0


def test_commands_that_wait_are_answered_when_the_tree_goes_down(supervise: Supervise) -> None:
    daemon = supervise(
        tree(supervisor("root", ["a", "b"], strategy="one_for_all"), worker("a", STUBBORN, shutdown=30), worker("b")),
    )
    stubborn = daemon.report_of("a")
    events = daemon.events()
    asker = daemon.client()
    daemon.kill("b")
    events.wait("stopping", "a")
    request = asker.ask("start_child", supervisor="root", command=["sleep", "1000"], name="c")
    asker.call("version")  # so that the request before it was read
    daemon.send_signal(signal.SIGTERM)
    events.wait("stopping", "root")
    os.kill(stubborn.pid, signal.SIGKILL)

    assert asker.answer(request)["kind"] == "refused"
    assert daemon.wait() == 0


def test_commands_are_refused_while_the_tree_goes_down_and_queries_are_answered(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", STUBBORN, shutdown=30), worker("b")))
    stubborn = daemon.report_of("a")
    events = daemon.events()
    daemon.send_signal(signal.SIGTERM)
    events.wait("stopping", "a")

    assert daemon.status()["daemon"]["state"] == "stopping"
    assert daemon.call("start", names=["b"])["results"][0]["kind"] == "refused"
    assert daemon.call("restart", names=["b"])["results"][0]["kind"] == "refused"

    os.kill(stubborn.pid, signal.SIGKILL)
    assert daemon.wait() == 0


def let_the_hurry_come(daemon: Daemon, begin: float) -> None:
    """Wait until a second request counts, which the daemon measures from the first."""
    while (left := begin + HURRY_AFTER + 0.05 - time.monotonic()) > 0:
        select.select([], [], [], left)
    assert not daemon.has_ended


def test_second_signal_long_after_the_first_hurries(supervise: Supervise) -> None:
    daemon = supervise(
        tree(workers("a b", STUBBORN, shutdown="infinity"), worker("c", STUBBORN, shutdown=1000)),
    )
    for name in "abc":
        daemon.report_of(name)
    events = daemon.events()
    daemon.send_signal(signal.SIGTERM)
    let_the_hurry_come(daemon, events.wait("stopping", "c")["mono"])
    daemon.send_signal(signal.SIGINT)

    told = events.rest()

    assert daemon.wait() == 0
    assert [(event["path"], event["how"]) for event in told if event["event"] == "stopped"][:3] == [
        ("root/c", "killed"), ("root/b", "killed"), ("root/a", "killed"),
    ]  # fmt: skip


def test_second_signal_soon_after_the_first_does_not_hurry(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="700ms"))
    daemon.report_of("a")
    events = daemon.events()
    daemon.send_signal(signal.SIGTERM)
    asked = events.wait("stopping", "a")
    daemon.send_signal(signal.SIGTERM)

    stopped = events.wait("stopped", "a")

    assert stopped["mono"] - asked["mono"] >= 0.7
    assert daemon.wait() == 0


def test_call_hurries_like_a_signal(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="infinity"))
    daemon.report_of("a")
    events = daemon.events()
    daemon.send_signal(signal.SIGTERM)
    let_the_hurry_come(daemon, events.wait("stopping", "a")["mono"])

    assert daemon.call("shutdown") == {"status": 0}


def test_daemon_that_is_told_to_stop_while_a_group_restarts_stops(supervise: Supervise) -> None:
    daemon = supervise(
        tree(
            supervisor("root", ["a", "b", "c"], strategy="one_for_all"),
            workers("a c"),
            worker("b", STUBBORN, shutdown=30),
        ),
    )
    stubborn = daemon.report_of("b")
    events = daemon.events()
    daemon.kill("a")
    events.wait("stopping", "b")
    daemon.send_signal(signal.SIGTERM)
    events.wait("stopping", "root")
    os.kill(stubborn.pid, signal.SIGKILL)

    told = in_words(events.rest(), "starting", "stopped", "daemon_stopped")

    assert told == ["stopped b", "stopped root", "daemon_stopped root"]
    assert daemon.wait() == 0


def test_daemon_that_is_told_to_stop_while_the_rest_of_a_group_is_cleared_waits_for_that(
    supervise: Supervise,
) -> None:
    script = f"{AT_THE_GATE}; {FORKS_AND_LEAVES_STUBBORN[2]}"
    daemon = supervise(worker("a", sh(script), shutdown=30))
    events = daemon.events()
    daemon.open_gate()
    left = daemon.report_of("a")
    events.wait("restarting", "root")
    daemon.send_signal(signal.SIGTERM)
    events.wait("stopping", "root")
    assert daemon.status()["daemon"]["state"] == "stopping"

    os.kill(left.pid, signal.SIGKILL)

    assert in_words(events.rest(), "starting", "daemon_stopped") == ["daemon_stopped root"]
    assert daemon.wait() == 0


def test_root_that_shuts_itself_down_ends_the_daemon_with_0(supervise: Supervise) -> None:
    daemon = supervise(
        tree(
            supervisor("root", ["a", "main"], auto_shutdown="any_significant"),
            worker("a"),
            worker("main", sh("read -r go < $GATE; exit 0"), restart="transient", significant=True),
        ),
    )
    events = daemon.events()
    daemon.open_gate()

    told = in_words(events.rest())

    assert daemon.wait() == 0
    assert told == [
        "exited main", "auto_shutdown root", "stopping a", "stopped a", "exited root", "daemon_stopped root",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_signal_that_asks_for_something_else_does_not_end_the_daemon(supervise: Supervise, number: int) -> None:
    """HUP also comes when the terminal is closed in which the daemon runs."""
    daemon = supervise(worker("a"))
    daemon.send_signal(number)
    wait_until(lambda: daemon.has_ended or answers(daemon), "it has ended or goes on")

    assert not daemon.has_ended
    assert daemon.row("a")["state"] == "running"


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGUSR2, signal.SIGPIPE])
def test_daemon_that_gets_a_stray_signal_goes_on_or_leaves_no_worker(supervise: Supervise, number: int) -> None:
    """QUIT is what Ctrl-\\ in its terminal sends."""
    daemon = supervise(worker("a"))
    daemon.send_signal(number)
    wait_until(lambda: daemon.has_ended or answers(daemon), "it has ended or goes on")

    assert not daemon.has_ended or not daemon.remaining()


def answers(daemon: Daemon) -> bool:
    with contextlib.suppress(HungUp, OSError), Client(daemon.socket) as client:
        client.call("version")
        return True
    return False
