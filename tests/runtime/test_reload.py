"""Reload with real processes: over the socket, by HUP, by the command. What is decided: tests/core/test_reload.py."""

import json
import signal
import subprocess

import pytest

from tests.kit import processes
from tests.kit.client import CallFailed
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import SLEEP, STUBBORN, sh, supervisor, tree, worker, workers
from tests.kit.wait import DEADLINE, wait_until


def reload(daemon: Daemon, *tables: str, **params: bool) -> dict[str, object]:
    daemon.file.write_text(tree(*tables))
    answer = daemon.call("reload", **params)
    assert isinstance(answer, dict)
    return answer


def changes(answer: dict[str, object]) -> dict[str, str]:
    found = answer["changes"]
    assert isinstance(found, list)
    return {change["path"]: change["change"] for change in found}


def command(daemon: Daemon, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*PROCSUP, "reload", "--socket", daemon.socket, *words],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_only_the_changed_worker_gets_another_process(supervise: Supervise) -> None:
    daemon = supervise(tree(workers("a b c")))
    before = {name: daemon.row(name)["pid"] for name in "abc"}

    answer = reload(daemon, worker("a"), worker("b", ["sleep", "2000"]), worker("c"))

    assert changes(answer) == {"root/b": "restart"}
    after = {name: daemon.row(name)["pid"] for name in "abc"}
    assert {name for name in "abc" if before[name] != after[name]} == {"b"}
    assert daemon.row("b")["restarts"] == 0


def test_comments_and_formatting_change_nothing(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", env={"X": "1"})))
    pid = daemon.row("a")["pid"]
    daemon.file.write_text('# a comment\n[ worker . "a" ]\nenv.X = "1"\n\ncommand = "sleep 1000"  # another\n')
    answer = daemon.call("reload")
    assert (answer["ok"], answer["changes"]) == (True, [])
    assert daemon.row("a")["pid"] == pid


def test_invalid_file_changes_nothing_and_every_error_is_told(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    pid = daemon.row("a")["pid"]
    daemon.file.write_text('[worker.a]\ncommand = ["sleep", "1"]\nrestrat = "never"\nshutdown = "soon"\n')

    answer = daemon.call("reload")

    assert answer["ok"] is False
    assert {error.split(": ")[1] for error in answer["errors"]} == {"error"}
    assert "tree.toml:3" in answer["errors"][0]
    assert "tree.toml:4" in answer["errors"][-1]
    assert daemon.row("a")["pid"] == pid


def test_another_root_takes_a_new_daemon(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a")))
    answer = reload(daemon, supervisor("king", ["a"]), worker("a"))
    assert answer["ok"] is False
    assert "the root is king now, and was root" in str(answer["errors"])
    assert daemon.row("root")["state"] == "running"


def test_plan_tells_the_same_and_does_nothing(supervise: Supervise) -> None:
    before = (supervisor("root", ["a", "b"], strategy="one_for_all"), workers("a b"))
    daemon = supervise(tree(*before))
    pids = [daemon.row(name)["pid"] for name in "ab"]
    after = (supervisor("root", ["a", "b"], strategy="one_for_all"), worker("a", ["sleep", "1"]), worker("b"))

    plan = reload(daemon, *after, plan=True)

    assert changes(plan) == {"root/a": "restart", "root/b": "along"}
    assert [daemon.row(name)["pid"] for name in "ab"] == pids
    assert changes(reload(daemon, *after)) == changes(plan)


def test_removed_worker_is_gone_and_the_new_one_runs_when_the_answer_comes(supervise: Supervise) -> None:
    daemon = supervise(tree(workers("a b")))
    old = daemon.process("b")
    answer = reload(daemon, workers("a c"))
    assert not processes.is_alive(old)
    assert answer["results"] == [
        {"path": "root/c", "ok": True, "state": "running", "pid": daemon.row("c")["pid"]},
    ]
    with pytest.raises(CallFailed):
        daemon.row("b")


def test_worker_that_moves_starts_when_nothing_of_it_is_left(supervise: Supervise) -> None:
    daemon = supervise(
        tree(
            supervisor("root", ["s", "t"]),
            supervisor("s", ["a"]),
            supervisor("t", []),
            worker("a", STUBBORN, shutdown=0.3),
        )
    )
    old = daemon.report_of("a")
    events = daemon.events()
    daemon.file.write_text(
        tree(
            supervisor("root", ["s", "t"]),
            supervisor("s", []),
            supervisor("t", ["a"]),
            worker("a", STUBBORN, shutdown=0.3),
        )
    )
    client = daemon.client()
    client.ask("reload")
    events.wait("starting", "a")
    assert not processes.is_alive(old)
    events.wait("ready", "a")
    assert daemon.row("a")["path"] == "root/t/a"


def test_settings_of_the_log_hold_at_once_for_a_running_worker(supervise: Supervise) -> None:
    says = sh('echo one; read x < "$GATE"; echo two; exec sleep 1000')
    daemon = supervise(tree(worker("a", says)))
    pid = daemon.row("a")["pid"]
    wait_until(lambda: daemon.log("a") == b"one\n", "its first line")
    answer = reload(daemon, worker("a", says, log={"timestamps": True}))
    assert changes(answer) == {"root/a": "adjust"}
    daemon.open_gate()
    wait_until(lambda: b"two" in daemon.log("a"), "its second line")
    first, second = daemon.log("a").splitlines()
    assert first == b"one"
    assert second.endswith(b"Z two")
    assert daemon.row("a")["pid"] == pid


def test_start_that_fails_is_told_and_the_others_go_on(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    daemon.file.write_text(tree(worker("bad", ["/no/such/program"]), worker("a"), worker("c")))
    status, out, err = command(daemon)
    assert status == 1
    assert "bad" in err
    assert "no such file or directory (ENOENT)" in err
    assert out.splitlines()[-1] == "reloaded: 1 started"
    assert daemon.row("c")["state"] == "running"


def test_command_tells_what_changed_and_why(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", env={"SECRET": "one"}), worker("old")))
    daemon.file.write_text(tree(worker("a", ["sleep", "2000"], env={"SECRET": "two"}), worker("new")))
    status, out, err = command(daemon, "--plan")
    assert (status, err) == (0, "")
    words = [" ".join(line.split()) for line in out.splitlines()]
    assert words == [
        'a restarts command was ["sleep", "1000"], is now ["sleep", "2000"]',
        "env.SECRET has another value",
        "new starts is new",
        "old stops is not in the file any more",
        "this is the plan; nothing was done",
    ]
    status, out, err = command(daemon, "--json")
    assert (status, err, json.loads(out)["ok"]) == (0, "", True)
    assert command(daemon) == (0, "nothing to do: the tree is what the file says\n", "")


def test_command_fails_for_a_file_with_errors(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    daemon.file.write_text("[worker.a")
    status, out, err = command(daemon)
    assert (status, out) == (1, "")
    assert "the file is not TOML" in err
    assert err.endswith("procsup: cannot reload: the file cannot be used, and nothing has changed\n")


def test_hup_reloads(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    events = daemon.events()
    daemon.file.write_text(tree(workers("a b")))
    daemon.send_signal(signal.SIGHUP)
    assert events.wait("reloaded")["by"] == "SIGHUP"
    events.wait("ready", "b")


def test_hup_with_an_invalid_file_is_told_in_the_log_and_changes_nothing(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    pid = daemon.row("a")["pid"]
    daemon.file.write_text('[worker.a]\ncommand = "sleep 1"\ncolour = "red"\n')
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "nothing has changed" in daemon.told(), "the complaint")
    assert "unknown key" in daemon.told()
    assert daemon.row("a")["pid"] == pid


def test_what_the_daemon_cannot_change_is_told(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    answer = reload(daemon, '[daemon]\nlog_dir = "/elsewhere"', worker("a"))
    assert answer["ok"] is True
    assert "daemon.log_dir" in str(answer["warnings"])


def test_file_that_is_gone_changes_nothing(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a")))
    daemon.file.unlink()
    answer = daemon.call("reload")
    assert answer["ok"] is False
    assert "no such file" in str(answer["errors"]).lower()
    assert daemon.row("a")["state"] == "running"


def test_reload_while_the_tree_stops_is_refused(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", STUBBORN, shutdown=60)))
    daemon.report_of("a")
    daemon.call("shutdown", wait=False)
    wait_until(lambda: daemon.row("a")["state"] == "stopping", "the stop")
    with pytest.raises(CallFailed, match="being stopped"):
        reload(daemon, worker("a", SLEEP))
    daemon.call("signal", signal="KILL", names=["a"])
    assert daemon.wait() == 0
