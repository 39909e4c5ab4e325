"""An operator's commands: start, stop and restart, their waiting, and two operators who disagree."""

import os
import signal

import pytest

from tests.kit import processes
from tests.kit.client import CallFailed, in_words
from tests.kit.fixtures import Supervise
from tests.kit.trees import STUBBORN, sh, supervisor, tree, waits_for, worker, workers
from tests.kit.wait import wait_until


def test_stop_waits_until_the_worker_is_down_and_start_until_it_runs(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    life = daemon.process("a")

    (result,) = daemon.call("stop", names=["a"])["results"]
    assert result == {"path": "root/a", "ok": True, "state": "down", "pid": None}
    assert not processes.is_alive(life)
    assert daemon.row("a")["held"]

    (result,) = daemon.call("start", names=["a"])["results"]
    assert (result["ok"], result["state"]) == (True, "running")
    assert processes.is_alive(processes.process(result["pid"]))
    assert not daemon.row("a")["held"]


def test_commands_that_have_nothing_to_do_are_answered_at_once(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    life = daemon.process("a")
    assert daemon.call("start", names=["a"])["results"][0]["pid"] == life.pid

    daemon.call("stop", names=["a"])
    assert daemon.call("stop", names=["a"])["results"][0]["state"] == "down"


def test_restart_stops_and_starts_and_does_not_count(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=0), worker("a")))
    before = daemon.process("a")
    (result,) = daemon.call("restart", names=["a"])["results"]

    assert result["state"] == "running"
    assert result["pid"] != before.pid
    assert not processes.is_alive(before)
    assert (daemon.row("a")["restarts"], daemon.row("root")["used"]) == (0, 0)


def test_restart_lets_a_held_worker_run(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    daemon.call("stop", names=["a"])
    assert daemon.call("restart", names=["a"])["results"][0]["state"] == "running"


def test_supervisor_is_stopped_and_started_with_all_below_it(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["lab"]), supervisor("lab", ["a", "b"]), workers("a b")))
    daemon.call("stop", names=["lab"])
    assert [row["state"] for row in daemon.status("lab")["tree"]] == ["down"] * 3

    daemon.call("start", names=["lab"])
    assert [row["state"] for row in daemon.status("lab")["tree"]] == ["running"] * 3


def test_stopped_worker_stays_down_when_its_group_restarts_until_it_is_started(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a", "b", "c"], strategy="one_for_all"), workers("a b c")))
    daemon.call("stop", names=["b"])
    events = daemon.events()
    for victim in "ac":
        daemon.kill(victim)
        events.wait("ready", "c")

    assert {row["path"]: row["state"] for row in daemon.status("a", "b", "c")["tree"]} == {
        "root/a": "running", "root/b": "down", "root/c": "running",
    }  # fmt: skip
    assert daemon.call("start", names=["b"])["results"][0]["state"] == "running"


def test_stopped_worker_stays_down_when_its_supervisor_restarts(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["lab"]), supervisor("lab", ["a", "b"]), workers("a b")))
    daemon.call("stop", names=["a"])
    daemon.call("restart", names=["lab"])
    assert [row["state"] for row in daemon.status("a", "b")["tree"]] == ["down", "running"]


def test_stop_ends_a_crash_loop(supervise: Supervise) -> None:
    crashes = worker("a", sh("exit 1"))
    daemon = supervise(tree(supervisor("root", ["a", "b"], intensity=1_000_000), crashes, worker("b")))
    assert daemon.call("stop", names=["a"])["results"][0]["state"] == "down"

    starts = daemon.row("a")["starts"]
    daemon.call("restart", names=["b"])
    assert daemon.row("a")["starts"] == starts


def test_stop_comes_through_while_a_group_waits_for_a_stubborn_sibling(supervise: Supervise) -> None:
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

    assert daemon.call("stop", names=["a"])["results"][0]["state"] == "down"

    os.kill(stubborn.pid, signal.SIGKILL)
    told = in_words(events.until("ready", "c"), "ready")
    assert told == ["ready b", "ready c"]


def test_command_that_another_client_overtakes_ends_as_overtaken(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown=30))
    stubborn = daemon.report_of("a")
    one, other = daemon.client(), daemon.client()
    stop = one.ask("stop", names=["a"])
    wait_until(lambda: daemon.row("a")["state"] == "stopping", "it is being stopped")
    start = other.ask("start", names=["a"])

    (overtaken,) = one.answer(stop)["results"]
    assert (overtaken["ok"], overtaken["kind"]) == (False, "overtaken")

    os.kill(stubborn.pid, signal.SIGKILL)
    assert other.answer(start)["results"][0]["state"] == "running"


def test_two_clients_that_stop_and_start_the_same_worker_get_an_answer_each_time(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    stopper, starter = daemon.client(), daemon.client()
    asked = [
        (client, client.ask(verb, names=["a"]))
        for _ in range(50)
        for client, verb in ((stopper, "stop"), (starter, "start"), (starter, "restart"))
    ]
    answers = [client.answer(request)["results"][0] for client, request in asked]

    assert {answer.get("kind", "ok") for answer in answers} <= {"ok", "overtaken"}
    assert daemon.call("start", names=["a"])["results"][0]["pid"] == daemon.row("a")["pid"]


def test_client_that_hangs_up_has_its_command_carried_out(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    events = daemon.events()
    with daemon.client() as client:
        client.ask("stop", names=["a"])
    events.wait("stopped", "a")
    assert daemon.row("a")["state"] == "down"


def test_start_that_fails_is_answered_with_the_reason_and_may_be_tried_again(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a"), worker("b", ["sh", "-c", "exec sleep 1000"], cwd="/tmp")))
    program = daemon.folder / "program"
    program.symlink_to("/bin/sleep")
    daemon.call("start_child", supervisor="root", command=[str(program), "1000"], name="c")
    daemon.call("stop", names=["c"])
    program.unlink()

    (result,) = daemon.call("start", names=["c"])["results"]
    assert (result["ok"], result["kind"], result["reason"]) == (False, "failed", "start_failed exec ENOENT")
    assert daemon.row("a")["state"] == "running"

    program.symlink_to("/bin/sleep")
    assert daemon.call("start", names=["c"])["results"][0]["state"] == "running"


def test_command_without_waiting_is_answered_at_once(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown="infinity"))
    life = daemon.report_of("a")
    assert daemon.call("stop", names=["a"], wait=False)["results"][0]["ok"]
    assert processes.is_alive(life)
    os.kill(life.pid, signal.SIGKILL)


def test_several_names_are_stopped_together_and_answered_in_their_order(supervise: Supervise) -> None:
    daemon = supervise(workers("a b c"))
    results = daemon.call("stop", names=["c", "a", "root/b"])["results"]
    assert [(result["path"], result["state"]) for result in results] == [
        ("root/c", "down"), ("root/a", "down"), ("root/b", "down"),
    ]  # fmt: skip


def test_glob_means_all_that_match_but_not_what_is_below_a_match_nor_the_root(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["lab", "lid", "x"]), supervisor("lab", ["la"]), workers("la lid x")))
    results = daemon.call("stop", names=["l*"])["results"]
    assert [result["path"] for result in results] == ["root/lab", "root/lid"]
    assert [result["path"] for result in daemon.call("start", names=["*"])["results"]] == [
        "root/lab", "root/lid", "root/x",
    ]  # fmt: skip


def test_unknown_name_among_others_changes_nothing(supervise: Supervise) -> None:
    daemon = supervise(workers("alpha beta"))
    with pytest.raises(CallFailed) as failed:
        daemon.call("stop", names=["alpha", "betta"])
    assert failed.value.kind == "no_such_name"
    assert "did you mean 'beta'?" in failed.value.message
    assert daemon.row("alpha")["state"] == "running"


def test_root_is_not_stopped_by_a_command(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    for verb in ("stop", "start", "restart"):
        assert daemon.call(verb, names=["root"])["results"][0]["kind"] == "refused"
    assert daemon.row("a")["state"] == "running"


# Signals


def test_signal_reaches_the_worker_itself(supervise: Supervise) -> None:
    daemon = supervise(worker("a", waits_for("SIGUSR1", "sys.exit(5)")))
    daemon.report_of("a")
    events = daemon.events()
    assert daemon.call("signal", signal="USR1", names=["a"])["results"][0]["ok"]
    assert events.wait("exited", "a")["reason"] == "exit 5"


@pytest.mark.parametrize("word", ["KILL", "SIGKILL", "kill", "9"])
def test_signal_is_named_in_any_of_its_ways_and_counts_as_an_accident(supervise: Supervise, word: str) -> None:
    daemon = supervise(worker("a"))
    events = daemon.events()
    daemon.call("signal", signal=word, names=["a"])
    assert events.wait("exited", "a")["reason"] == "signal SIGKILL"
    assert events.wait("restarting", "root")["used"] == 1


@pytest.mark.parametrize("word", ["", "NOPE", "0", "65", "-9", "32", "\0", "SIG"])
def test_signal_that_does_not_exist_is_refused(supervise: Supervise, word: str) -> None:
    daemon = supervise(worker("a"))
    with pytest.raises(CallFailed) as failed:
        daemon.call("signal", signal=word, names=["a"])
    assert failed.value.kind == "invalid_params"


def test_signal_for_what_is_no_process_is_refused(supervise: Supervise) -> None:
    daemon = supervise(workers("a b"))
    daemon.call("stop", names=["a"])
    results = daemon.call("signal", signal="CONT", names=["root", "a", "b"])["results"]
    assert [result.get("kind", "ok") for result in results] == ["refused", "refused", "ok"]
