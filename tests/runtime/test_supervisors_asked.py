"""Supervisors, asked by workers over their channels: which_children, start_child, terminate_child."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.strangers import needs_root
from tests.kit.trees import SLEEP, sh, supervisor, tree, worker
from tests.kit.wait import wait_until

ASKS = """
import json, os, sys
mailbox, outbox = open(3, closefd=False), open(4, "w", buffering=1, closefd=False)
def say(**message):
    outbox.write(json.dumps(message) + "\\n")
def answer(**message):
    say(id=7, **message)
    while (heard := json.loads(mailbox.readline()))["type"] != "reply": pass
    return heard["error"]["kind"] if "error" in heard else heard["result"]
found = []
for message in json.loads(sys.argv[1]):
    found.append(answer(**message))
print("FOUND", json.dumps(found), flush=True)
mailbox.readline()
"""


def asker(*messages: Any, **keys: Any) -> str:
    """A worker `asker` that sends these requests one by one, and prints the answers."""
    return worker("asker", (sys.executable, "-I", "-S", "-c", ASKS, json.dumps(messages)), channel=True, **keys)


def answers(daemon: Daemon) -> list[Any]:
    log = daemon.log_dir / "asker.log"

    def found() -> list[str]:
        return [line for line in log.read_text().splitlines() if line.startswith("FOUND ")] if log.exists() else []

    answered: list[Any] = json.loads(wait_until(found, "the asker has its answers")[0].removeprefix("FOUND "))
    return answered


def asks(kind: str, supervisor: str = "lab", **parameters: Any) -> dict[str, Any]:
    return {"type": kind, "supervisor": supervisor, **parameters}


LAB = supervisor("root", ["lab", "asker"]), supervisor("lab", ["spy", "den"]), worker("spy"), supervisor("den", ["rat"])


def test_children_are_listed_in_start_order(supervise: Supervise) -> None:
    daemon = supervise(tree(*LAB, worker("rat"), asker(asks("which_children"), asks("which_children", "nobody"))))
    spy = {"id": "spy", "pid": daemon.row("spy")["pid"], "type": "worker"}
    assert answers(daemon) == [[spy, {"id": "den", "pid": None, "type": "supervisor"}], "noproc"]


def test_a_worker_starts_a_child_and_terminates_it(supervise: Supervise) -> None:
    daemon = supervise(
        tree(
            *LAB,
            worker("rat"),
            asker(
                asks("start_child", command=list(SLEEP), name="new", restart="temporary"),
                asks("start_child", command=list(SLEEP), name="new"),
                asks("terminate_child", name="new"),
                asks("terminate_child", name="new"),
                asks("terminate_child", name="spy"),
                asks("start_child", command=list(SLEEP), name="spy"),
                asks("which_children"),
            ),
        )
    )
    started, again, ended, ended_again, spy, present, listed = answers(daemon)
    assert started["name"] == "new"
    assert isinstance(started["pid"], int)
    assert (again, ended, ended_again) == ("already_started", True, "not_found")
    assert (spy, present) == (True, "already_present")
    assert [row["pid"] for row in listed] == ["undefined", None]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (asks("start_child", command=["/no/such/program"]), "failed"),
        (asks("start_child", command=[]), "invalid_params"),
        (asks("start_child", command=[1]), "invalid_params"),
        (asks("start_child", command=["sleep", "1"], restart="often"), "invalid_params"),
        (asks("start_child", command=["sleep", "1"], name="a/b"), "invalid_params"),
        (asks("start_child", "spy", command=["sleep", "1"]), "noproc"),
        (asks("start_child", "nobody", command=["sleep", "1"]), "noproc"),
        (asks("start_child", command=["sleep", "1"], name="rat"), "refused"),
        (asks("terminate_child", name="nobody"), "not_found"),
        (asks("terminate_child", name="\ud800"), "not_found"),
        (asks("terminate_child", "\ud800", name="x"), "noproc"),
        (asks("which_children", "x" * 60_000), "noproc"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(supervise: Supervise, message: dict[str, Any], kind: str) -> None:
    daemon = supervise(tree(*LAB, worker("rat"), asker(message)))
    assert answers(daemon) == [kind]


@pytest.mark.parametrize("name", ["\ud800", "x" * 65_480])
def test_a_name_that_cannot_be_told_of_is_a_complaint_and_nobody_else_notices(
    supervise: Supervise, tmp_path: Path, name: str
) -> None:
    """The Down, or the Exit, would not be a line."""
    unsaid = [{"type": "trap_exits", "on": True}, {"type": "monitor", "ref": 1, "name": name}]
    says = sh('read -r go < "$GATE"; cat "$1" >&4; read -r line <&3', str(tmp_path / "said"))
    (tmp_path / "said").write_text("".join(json.dumps(message) + "\n" for message in unsaid))
    tables = supervisor("root", ["spy", "odd"]), worker("spy"), worker("odd", says, channel=True)
    daemon = supervise(tree(*tables))
    events, pid = daemon.events(), daemon.row("spy")["pid"]
    daemon.open_gate()
    assert "cannot tell it" in events.wait("bad_message", "odd")["reason"]
    assert daemon.row("spy")["pid"] == pid


def test_an_answer_that_is_too_long_for_a_line_is_refused(supervise: Supervise) -> None:
    names = [f"{number:03}" + "x" * 190 for number in range(300)]
    tables = [supervisor("root", ["lab", "asker"]), supervisor("lab", names), *(worker(name) for name in names)]
    daemon = supervise(tree(*tables, asker(asks("which_children"))))
    assert answers(daemon) == ["too_long"]


@needs_root
def test_who_runs_as_somebody_else_may_look_and_not_touch(supervise: Supervise) -> None:
    script = 'for m; do echo "$m" >&4; read -r line <&3; echo "$line"; done; read -r line <&3'
    touches = asks("start_child", command=["id"]), asks("terminate_child", name="spy"), asks("which_children", "den")
    says = sh(script, *(json.dumps({"id": 7, **touch}) for touch in touches))
    stranger = worker("asker", says, channel=True, user="65534", group="65534")
    daemon = supervise(tree(*LAB, worker("rat"), stranger), for_strangers=True)
    log = daemon.log_dir / "asker.log"
    lines = wait_until(
        lambda: log.exists() and (text := log.read_text()).count("\n") == 3 and text, "it has its answers"
    )
    first, second, third = map(json.loads, str(lines).splitlines())
    assert [first["error"]["kind"], second["error"]["kind"]] == ["not_permitted", "not_permitted"]
    assert third["result"] == [{"id": "rat", "pid": daemon.row("rat")["pid"], "type": "worker"}]
