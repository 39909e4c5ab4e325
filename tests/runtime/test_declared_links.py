"""Links of the tree file, with real processes: who goes down with whom."""

from tests.kit.client import in_words
from tests.kit.fixtures import Supervise
from tests.kit.processes import wait_until_gone
from tests.kit.trees import supervisor, tree, worker

DECIDED = ("exited", "link_fired", "stopped", "ready")


def test_linked_worker_is_stopped_with_the_one_that_was_killed_and_both_come_back(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("left"), worker("right", links=["left"])))
    events = daemon.events()
    peer = daemon.process("right")
    daemon.kill("left")
    told = in_words(events.until("ready", "right"), *DECIDED)

    assert told[:2] == ["exited left", "link_fired right"]
    assert sorted(told[2:]) == ["exited right", "ready left", "ready right"]
    wait_until_gone(peer)
    assert daemon.row("right")["last_exit"] == "linked left signal SIGKILL"
    assert [daemon.row(name)["restarts"] for name in ("left", "right")] == [1, 1]


def test_transient_worker_is_left_down_by_a_link_with_one_that_was_stopped(supervise: Supervise) -> None:
    spies = worker("left"), worker("right", restart="transient", links=["left"])
    daemon = supervise(tree(supervisor("root", ["left", "lab"]), supervisor("lab", ["right"]), *spies))
    events = daemon.events()
    daemon.call("stop", names=["left"])
    events.wait("exited", "right")

    row = daemon.row("right")
    assert (row["state"], row["last_exit"]) == ("down", "linked left shutdown")


def test_end_of_the_daemon_fires_no_link(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("left", links=["right"]), worker("right", links=["left"])))
    events = daemon.events()
    daemon.stop()

    told = in_words(events.rest(), *DECIDED)
    assert told == ["stopped right", "stopped left", "stopped root"]
