"""Events of real daemons: what is followed, and what is left of those that are gone."""

import json
import subprocess

from tests.kit.daemon import PROCSUP
from tests.kit.fixtures import Supervise, supervise
from tests.kit.trees import sh, supervisor, tree, worker
from tests.kit.wait import wait_until

__all__ = ["supervise"]


def test_followers_hear_every_event_once_though_they_come_in_the_middle(supervise: Supervise) -> None:
    """Workers crash all the time, so that events fall between the subscription and the reading of the journal."""
    names = [f"w{number}" for number in range(5)]
    crashing = "\n".join(worker(name, sh("sleep 0.05; exit 1")) for name in names)
    daemon = supervise(tree(supervisor("root", names, intensity=1_000_000, period="1h"), crashing))
    follow = [*PROCSUP, "events", "-f", "--json", "--since", "1h", "--socket", daemon.socket]
    for count in (100, 200, 300):
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout is not None
            heard = [json.loads(next(follower.stdout))["seq"] for _ in range(count)]
            follower.kill()
        assert heard == list(range(1, count + 1))
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        told = [json.loads(next(follower.stdout))]
        assert daemon.stop() == 0
        told += [json.loads(line) for line in follower.stdout]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert (told[-1]["event"], follower.returncode) == ("daemon_stopped", 0)


def test_what_a_removed_child_did_can_still_be_told(supervise: Supervise) -> None:
    leaving = worker("b", sh("exit 0"), restart="temporary")
    daemon = supervise(tree(supervisor("root", ["a", "b"]), worker("a"), leaving))
    wait_until(lambda: len(daemon.status()["tree"]) == 2, "it is not in the tree any more")
    told = subprocess.run(
        [*PROCSUP, "events", "b", "--json", "--socket", daemon.socket], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    events = ["starting", "started", "ready", "exited", "child_removed"]
    assert [json.loads(line)["event"] for line in told.splitlines()] == events
    assert daemon.stop() == 0
    left = [*PROCSUP, "events", "b", "--json", "--state-dir", str(daemon.state_dir)]
    told = subprocess.run(left, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert [json.loads(line)["event"] for line in told.splitlines()] == events
