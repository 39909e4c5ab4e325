"""OTP's child calls and the queries, over the socket."""

import contextlib
import os
import signal

import pytest

from procsup.wire.jsonrpc import encode_request
from tests.kit import processes
from tests.kit.client import CallFailed, in_words
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, SLEEP, STUBBORN, sh, supervisor, tree, worker, workers
from tests.kit.wait import wait_until

TREE = tree(supervisor("root", ["lab", "a"]), supervisor("lab", ["b", "c"]), workers("a b c"))


def test_started_child_is_last_and_answers_with_its_pid(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    result = daemon.call("start_child", supervisor="lab", command=list(SLEEP), name="new")

    assert (result["path"], result["ok"], result["state"]) == ("root/lab/new", True, "running")
    assert processes.is_alive(processes.process(result["pid"]))
    assert [child["id"] for child in daemon.call("which_children", supervisor="lab")["children"]] == ["b", "c", "new"]


def test_started_child_is_named_after_its_program_and_runs_in_the_folder_of_the_file(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    result = daemon.call("start_child", supervisor="root", command=["/bin/sleep", "1000"])
    assert result["path"] == "root/sleep"
    assert os.readlink(f"/proc/{result['pid']}/cwd") == str(daemon.folder)


def test_started_child_is_restarted_as_it_was_told(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    events = daemon.events()
    daemon.call("start_child", supervisor="root", command=list(SLEEP), name="forever")
    daemon.call("start_child", supervisor="root", command=list(SLEEP), name="once", restart="temporary")
    daemon.kill("once")
    assert events.wait("child_removed", "once")["why"] == "temporary"

    daemon.kill("forever")
    events.wait("restarting", "root")
    events.wait("ready", "forever")


def test_started_child_is_lost_when_its_supervisor_restarts(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    daemon.call("start_child", supervisor="lab", command=list(SLEEP), name="new")
    daemon.call("restart", names=["lab"])
    with pytest.raises(CallFailed, match="cannot find 'new'"):
        daemon.row("new")


def test_child_that_cannot_start_is_answered_with_the_reason_and_leaves_no_trace(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    answer = daemon.call("start_child", supervisor="root", command=["/no/such/program"])

    assert (answer["ok"], answer["kind"], answer["reason"]) == (False, "failed", "start_failed exec ENOENT")
    assert daemon.call("count_children", supervisor="root")["specs"] == 2
    assert daemon.row("root")["used"] == 0


@pytest.mark.parametrize("is_down", [True, False])
def test_child_of_a_name_that_is_there_is_refused(supervise: Supervise, is_down: bool) -> None:
    daemon = supervise(TREE)
    if is_down:
        daemon.call("stop", names=["b"])
    answer = daemon.call("start_child", supervisor="lab", command=list(SLEEP), name="b")
    assert answer["kind"] == "refused"
    assert ("already_present" if is_down else "already_started") in answer["message"]


def test_child_of_a_name_that_is_elsewhere_in_the_tree_is_refused(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    with pytest.raises(CallFailed) as failed:
        daemon.call("start_child", supervisor="lab", command=list(SLEEP), name="a")
    assert failed.value.kind == "refused"


def test_two_clients_that_start_the_same_child_get_one_between_them(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    clients = [daemon.client() for _ in range(4)]
    for client in clients:
        client.ask("start_child", supervisor="lab", command=list(SLEEP), name="new")
    started = 0
    for client in clients:
        with contextlib.suppress(CallFailed):
            started += client.answer(1)["ok"]
    assert started == 1


def test_two_clients_that_start_a_child_of_one_name_in_two_places_get_one_between_them(supervise: Supervise) -> None:
    """Their requests are in one piece, so that the daemon has read both before it carries out the first."""
    daemon = supervise(TREE)
    client = daemon.client()
    client.send(
        b"".join(
            encode_request("start_child", {"supervisor": above, "command": list(SLEEP), "name": "new"}, above)
            for above in ("root", "lab")
        )
    )
    for above in ("root", "lab"):
        with contextlib.suppress(CallFailed):
            client.answer(above)

    assert [row["path"] for row in daemon.status()["tree"] if row["path"].endswith("/new")] == ["root/new"]


def test_child_of_a_worker_is_refused(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    with pytest.raises(CallFailed) as failed:
        daemon.call("start_child", supervisor="a", command=list(SLEEP), name="new")
    assert failed.value.kind == "refused"


@pytest.mark.parametrize(
    "params",
    [
        {"command": []},
        {"command": [""]},
        {"command": ["a\0b"]},
        {"command": ["sleep"], "name": ""},
        {"command": ["sleep"], "name": ".."},
        {"command": ["sleep"], "name": "a/b"},
        {"command": ["sleep"], "name": "a\nb"},
        {"command": ["sleep"], "name": "\ud800"},
        {"command": ["sleep"], "name": "ä" * 101},
        {"command": ["sleep", "\ud800"], "name": "new"},
        {"command": ["\ud800/sleep"], "name": "new"},
        {"command": ["sleep"], "cwd": "/a\0b", "name": "new"},
        {"command": ["sleep"], "cwd": "/\ud800", "name": "new"},
        {"command": ["/"]},
        {"command": ["sleep"], "restart": "always"},
    ],
    ids=repr,
)
def test_child_that_cannot_be_is_refused_and_nothing_else_happens(
    supervise: Supervise, params: dict[str, object]
) -> None:
    daemon = supervise(TREE)
    life = daemon.process("a")
    with contextlib.suppress(CallFailed):
        assert not daemon.call("start_child", supervisor="root", **params)["ok"]

    assert daemon.process("a") == life
    assert daemon.call("count_children", supervisor="root")["specs"] == 2


def test_deleted_child_is_gone_and_one_that_runs_cannot_be_deleted(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    (refused,) = daemon.call("delete_child", names=["b"])["results"]
    assert (refused["kind"], "stop it first" in refused["message"]) == ("refused", True)

    daemon.call("stop", names=["b"])
    (result,) = daemon.call("delete_child", names=["b"])["results"]

    assert (result["ok"], result["state"]) == (True, "removed")
    assert [child["id"] for child in daemon.call("which_children", supervisor="lab")["children"]] == ["c"]


def test_deleted_supervisor_goes_with_all_below_it(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    daemon.call("stop", names=["lab"])
    daemon.call("delete_child", names=["lab"])
    assert [row["path"] for row in daemon.status()["tree"]] == ["root", "root/a"]


def test_terminated_child_stays_down_until_its_group_restarts_or_it_is_restarted(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a", "b"], strategy="one_for_all"), workers("a b")))
    assert daemon.call("terminate_child", name="a")["state"] == "down"
    assert daemon.call("terminate_child", name="a")["state"] == "down"
    assert not daemon.row("a")["held"]
    assert daemon.call("restart_child", name="a")["state"] == "running"
    assert daemon.call("restart_child", name="a")["kind"] == "refused"

    daemon.call("terminate_child", name="a")
    events = daemon.events()
    daemon.kill("b")
    events.wait("ready", "b")

    assert daemon.row("a")["state"] == "running"


def test_terminated_temporary_child_is_removed(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a", restart="temporary"), worker("b")))
    assert daemon.call("terminate_child", name="a")["state"] == "removed"


def test_child_calls_wait_their_turn_while_a_child_is_being_terminated_and_queries_do_not(
    supervise: Supervise,
) -> None:
    daemon = supervise(tree(worker("a", STUBBORN, shutdown=30), worker("b")))
    stubborn = daemon.report_of("a")
    one, other = daemon.client(), daemon.client()
    first = one.ask("terminate_child", name="a")
    wait_until(lambda: daemon.row("a")["state"] == "stopping", "it is being terminated")
    second = other.ask("terminate_child", name="b")

    assert other.call("count_children", supervisor="root")["active"] == 2
    assert daemon.row("b")["state"] == "running"

    os.kill(stubborn.pid, signal.SIGKILL)
    assert one.answer(first)["state"] == "down"
    assert other.answer(second)["state"] == "down"


def test_children_are_listed_and_counted_as_otp_does(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    daemon.call("stop", names=["a"])
    pids = [daemon.row(name)["pid"] for name in ("b", "c")]

    assert daemon.call("which_children", supervisor="root")["children"] == [
        {"id": "lab", "pid": None, "type": "supervisor"},
        {"id": "a", "pid": "undefined", "type": "worker"},
    ]
    assert [child["pid"] for child in daemon.call("which_children", supervisor="lab")["children"]] == pids
    assert daemon.call("count_children", supervisor="root") == {
        "specs": 2, "active": 1, "supervisors": 1, "workers": 1,
    }  # fmt: skip


def test_children_of_a_supervisor_that_is_down_or_none_are_refused(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    daemon.call("stop", names=["lab"])
    for name in ("lab", "a"):
        for query in ("which_children", "count_children"):
            with pytest.raises(CallFailed) as failed:
                daemon.call(query, supervisor=name)
            assert failed.value.kind == "refused"


# Status and events


def test_row_of_a_worker_tells_all_about_it(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a", restart="transient")))
    daemon.kill("a", signal.SIGUSR1)
    wait_until(lambda: daemon.row("a")["starts"] == 2, "it was restarted")
    row = daemon.row("a")

    assert processes.is_alive(processes.process(row.pop("pid")))
    assert 0 < row.pop("started") <= row.pop("since") + 0.001
    assert row == {
        "path": "root/a", "depth": 1, "type": "worker", "state": "running", "held": False, "ok": True,
        "restart": "transient", "starts": 2, "restarts": 1, "last_exit": "signal SIGUSR1",
        "stdout": "log", "stderr": "log", "lost_bytes": 0, "waits_for": None, "tasks": [],
    }  # fmt: skip


def test_row_of_a_supervisor_tells_its_budget(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=7, period="1h"), worker("a")))
    daemon.kill("a")
    wait_until(lambda: daemon.row("a")["starts"] == 2, "it was restarted")
    row = daemon.row("root")

    assert row.pop("since") > 0
    assert row == {
        "path": "root", "depth": 0, "type": "supervisor", "state": "running", "held": False, "ok": True,
        "restart": "permanent", "starts": 1, "restarts": 0, "last_exit": None,
        "strategy": "one_for_one", "intensity": 7, "period": 3600.0, "used": 1,
    }  # fmt: skip


def test_worker_that_should_run_and_does_not_is_not_ok(supervise: Supervise) -> None:
    daemon = supervise(tree(workers("a b"), worker("c", sh(f"{AT_THE_GATE}; exit 0"), restart="transient")))
    daemon.call("terminate_child", name="a")
    daemon.call("stop", names=["b"])
    events = daemon.events()
    daemon.open_gate()
    events.wait("exited", "c")

    rows = {row["path"]: (row["state"], row["ok"]) for row in daemon.status("a", "b", "c")["tree"]}
    assert rows == {"root/a": ("down", True), "root/b": ("down", True), "root/c": ("down", True)}


def test_status_tells_of_the_daemon(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    told = daemon.status()["daemon"]
    assert told.pop("started") > 0
    assert told == {
        "pid": daemon.pid, "version": daemon.call("version")["version"], "state": "running",
        "file": str(daemon.file), "socket": daemon.socket, "state_dir": str(daemon.state_dir),
        "log_dir": str(daemon.log_dir), "containment": "subreaper", "journal_error": None,
        "journal_lost": 0,
    }  # fmt: skip


def test_root_cannot_be_deleted_for_it_is_nobodys_child(supervise: Supervise) -> None:
    (result,) = supervise(TREE).call("delete_child", names=["root"])["results"]
    assert (result["kind"], result["reason"]) == ("refused", "root")
    assert "it is the root of the tree" in result["message"]


def test_status_of_names_is_of_them_and_all_below_each_once(supervise: Supervise) -> None:
    daemon = supervise(TREE)
    assert [row["path"] for row in daemon.status("lab", "b", "root/a")["tree"]] == [
        "root/lab", "root/lab/b", "root/lab/c", "root/a",
    ]  # fmt: skip


def test_every_event_has_its_number_time_and_cause(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a", "b"], strategy="one_for_all"), workers("a b")))
    events = daemon.events()
    daemon.kill("a")

    told = events.until("ready", "b")

    assert [event["seq"] for event in told] == list(range(told[0]["seq"], told[0]["seq"] + len(told)))
    assert [event["mono"] for event in told] == sorted(event["mono"] for event in told)
    causes = {event["seq"]: f"{event['event']} {event['path']}" for event in told}
    first = {(event["event"], event["path"]): causes.get(event["cause"]) for event in reversed(told)}
    assert first["exited", "root/a"] is None
    assert first["restarting", "root"] == "exited root/a"
    assert first["stopping", "root/b"] == "restarting root"
    assert first["starting", "root/a"] == "restarting root"


def test_subscribers_all_hear_the_same(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    subscribers = [daemon.events() for _ in range(3)]
    daemon.call("restart", names=["a"])
    told = [in_words(events.until("ready", "a")) for events in subscribers]
    assert told == [["stopping a", "stopped a", "starting a", "started a", "ready a"]] * 3
