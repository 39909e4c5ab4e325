"""Why: the questions of somebody who was woken up, asked of real daemons, living and dead."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise, supervise
from tests.kit.trees import sh, supervisor, tree, worker
from tests.kit.wait import DEADLINE, wait_until

__all__ = ["supervise"]

STORIES = Path(__file__).resolve().parents[2] / "etc" / "poison_pill"
CRASHES = sh("echo 'last words'; exit 3")


def procsup(*words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    environ = {key: value for key, value in os.environ.items() if key != "PROCSUP_SOCKET"} | (env or {})
    done = subprocess.run(
        [*PROCSUP, *words], env=environ, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    return done.returncode, done.stdout, done.stderr


def why(daemon: Daemon, *words: str) -> str:
    """What is said while it runs."""
    status, out, err = procsup("why", "--socket", daemon.socket, *words)
    assert (status, err) == (0, "")
    return out


def why_of_dead(state_dir: Path, *words: str) -> str:
    status, out, err = procsup("why", "--state-dir", str(state_dir), *words)
    assert (status, err) == (0, "")
    return out


def without_times(text: str) -> list[str]:
    """Lines; of what follows the sentence the steps without offsets and durations, and of output the last line."""
    text = re.sub(r"(\d+h)?(\d+m)?\d+(\.\d+)?m?s ago", "a moment ago", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "a time", text)
    text = re.sub(r" +\| (?! ?urllib.error|last words).*\n", "", text)
    text = re.sub(r", <?(\d+m)?[\d.]+m?s after its start", "", text)
    text = re.sub(r"times within [\d.]+m?s", "times within a moment", text)
    return re.sub(r"(?m)^ +\+[\d.]+s  |^ {11}(?=\w)", "", text).splitlines()


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of the kingdom that has swallowed the pill."""
    folder = tmp_path_factory.mktemp("kingdom")
    state = folder / "state"
    places = ("--socket", str(folder / "s"), "--state-dir", str(state), "--log-dir", str(folder))
    assert procsup("run", str(STORIES / "kingdom.toml"), *places)[0] == 70
    return state


STEPS = [
    "api_cache exited with code 1; its last lines:",
    "             | urllib.error.URLError: <urlopen error [Errno 111] Connection refused>",
    "library restarted api_cache: restart 1 of 3 within 5s, 2 left",
    "api_cache exited with code 1, with the same last line",
    "library restarted api_cache: restart 2 of 3 within 5s, 1 left",
    "api_cache exited with code 1, with the same last line",
    "library restarted api_cache: restart 3 of 3 within 5s, none left",
    "api_cache exited with code 1, with the same last line",
    "library gave up: api_cache needed restart 4 within 5s, and 3 are allowed",
    "stopped for it, in this order: scribe, librarian",
    "kingdom gave up: library needed a restart, and none is allowed",
    "stopped for it, in this order: baker, town_crier",
    "the daemon ended with exit status 70: the root gave up",
]


def test_the_pill_is_found_by_whoever_is_asked_after(fallen: Path) -> None:
    for name in ("api_cache", "library", "kingdom", "baker"):
        assert without_times(why_of_dead(fallen, name))[-len(STEPS) :] == STEPS
    told = without_times(why_of_dead(fallen))
    assert told[:3] == [
        "The daemon ended a moment ago with exit status 70, because the root gave up.",
        "",
        "The last failure began a moment ago, at a time.",
    ]
    assert told[3].startswith("In short: api_cache exited with code 1, 4 times within a moment; so library gave up")
    assert told[-len(STEPS) :] == STEPS


def test_the_pill_as_json(fallen: Path) -> None:
    found = json.loads(why_of_dead(fallen, "api_cache", "--json"))
    assert [(step["fact"], step.get("path") or step.get("supervisor") or "") for step in found["chain"]] == [
        *[("died", "kingdom/library/api_cache"), ("restarted", "kingdom/library")] * 3,
        ("died", "kingdom/library/api_cache"),
        ("gave_up", "kingdom/library"),
        ("stopped", ""),
        ("went_down", "kingdom/library"),
        ("gave_up", "kingdom"),
        ("stopped", ""),
        ("went_down", "kingdom"),
        ("daemon_ended", ""),
    ]
    assert found["daemon"]["status"] == 70
    assert [worker["path"] for worker in found["chain"][-3]["workers"]] == ["kingdom/baker", "kingdom/town_crier"]
    assert found["chain"][0]["offset"] == 0
    assert found["chain"][0]["tail"][-1].startswith("urllib.error.URLError")


def test_an_unknown_name_is_no_such_name(fallen: Path) -> None:
    status, out, err = procsup("why", "--state-dir", str(fallen), "api-cach")
    assert (status, out) == (4, "")
    assert err == "procsup: neither the tree nor the journal knows 'api-cach'; did you mean 'api_cache'?\n"


def test_without_a_daemon_the_journal_of_the_default_state_directory_answers(fallen: Path, tmp_path: Path) -> None:
    env = {"STATE_DIRECTORY": str(fallen), "RUNTIME_DIRECTORY": str(tmp_path)}
    assert without_times(procsup("why", "api_cache", env=env)[1]) == without_times(why_of_dead(fallen, "api_cache"))


def test_a_socket_without_a_daemon_is_not_answered_from_another_ones_journal(fallen: Path, tmp_path: Path) -> None:
    env = {"STATE_DIRECTORY": str(fallen)}
    status, out, err = procsup("why", "api_cache", "--socket", str(tmp_path / "s"), env=env)
    assert (status, out) == (6, "")
    assert "--state-dir" in err


def test_a_crash_that_was_healed(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a")))
    daemon.kill("a")
    wait_until(lambda: daemon.row("a")["starts"] == 2, "it is back")
    lines = without_times(why(daemon, "a"))
    assert lines[0].startswith("a has been running for ")
    assert lines[3:] == [
        "In short: a was ended by SIGKILL; so root restarted a.",
        "",
        "a was ended by SIGKILL, without a word",
        "root restarted a: restart 1 of 3 within 5s, 2 left",
        "a came up again",
    ]


def test_a_worker_that_is_held(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a")))
    daemon.call("stop", names=["a"])
    assert why(daemon, "a").startswith("a is held down: an operator (by ")


def test_a_child_that_waits_for_the_one_before_it(supervise: Supervise) -> None:
    """Two are stopped in reverse order, and the first to be stopped takes its time."""
    stubborn = worker("b", sh("trap '' TERM; echo; exec sleep 1000"), shutdown="infinity")
    daemon = supervise(tree(supervisor("root", ["a", "b"], strategy="one_for_all"), worker("a"), stubborn))
    wait_until(lambda: daemon.log("b"), "it ignores TERM")
    daemon.kill("a")
    wait_until(lambda: daemon.row("b")["state"] == "stopping", "the other is being stopped")
    out = why(daemon, "a")
    assert out.startswith("a is down: it waits for b, which is stopping.")
    assert "stopped for it: b (not down yet)" in out


def test_a_cellar_that_fell_alone_is_remembered(tmp_path: Path) -> None:
    with Daemon(tmp_path, "", file=STORIES / "isolated.toml") as daemon:
        daemon.wait_until_listening()
        wait_until(lambda: len(daemon.status()["tree"]) == 3, "the cellar is gone")
        for name in ("cellar", "api_cache"):
            lines = without_times(why(daemon, name))
            assert lines[-4:] == [
                "api_cache exited with code 1, with the same last line",
                "cellar gave up: api_cache needed restart 4 within 5s, and 3 are allowed",
                "kingdom removed cellar, for it is temporary",
                "cellar was taken out of the tree: it is temporary",
            ]
        assert daemon.stop() == 0


def test_a_daemon_that_was_killed(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a")))
    assert why_of_dead(daemon.state_dir, "a").startswith("a has been running for ")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    (line,) = without_times(why_of_dead(daemon.state_dir, "a"))
    assert line.startswith("a is not running: the daemon died without a word, a moment ago or later: it was killed")


def test_a_tree_that_could_not_start(supervise: Supervise) -> None:
    broken = worker("b", ("/no/such/program",))
    daemon = supervise(tree(supervisor("root", ["a", "b"]), worker("a"), broken), up=False)
    assert daemon.wait() == 69
    lines = without_times(why_of_dead(daemon.state_dir, "a"))
    assert "the daemon ended a moment ago with exit status 69, because its child b cannot start" in lines[0]
    assert lines[-4].startswith("b could not start: its program cannot be executed: no such file or directory (ENOENT)")
    assert lines[-3] == "stopped for it: a"


def test_what_the_daemon_that_was_restarted_since_does_not_know_is_told_of_the_one_before(supervise: Supervise) -> None:
    first = supervise(tree(supervisor("root", ["a"], intensity=0), worker("a", CRASHES)), up=False)
    assert first.wait() == 70
    second = supervise(tree(supervisor("root", ["a"], intensity=0), worker("a")), state_dir=first.state_dir)
    lines = without_times(why(second, "a"))
    assert lines[0].startswith("a has been running for ")
    assert lines[2] == "The last failure of a, of an earlier run of the daemon, began a moment ago, at a time."
    assert lines[-1] == "the daemon ended with exit status 70: the root gave up"


def test_a_start_that_failed_in_a_reload(supervise: Supervise) -> None:
    """What else the reload did has nothing to do with it."""
    daemon = supervise(tree(supervisor("root", ["a", "b"], strategy="one_for_all"), worker("a"), worker("b")))
    after = (supervisor("root", ["a", "b", "bad"], strategy="one_for_all"), worker("bad", ["/no/such"]))
    daemon.file.write_text(tree(*after, worker("a", ["sleep", "2000"]), worker("b")))
    daemon.call("reload")
    steps = without_times(why(daemon, "bad"))[-2:]
    assert steps[0].startswith("the file was read once more (by ")
    assert steps[1].startswith("bad could not start: ")
    daemon.file.write_text(tree(worker("a", ["sleep", "2000"]), worker("b")))
    daemon.call("reload")
    assert "bad was taken out of the tree a moment ago: it is not in the file any more" in " ".join(
        without_times(why(daemon, "bad"))
    )
