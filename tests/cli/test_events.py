"""`events`: which ones, how many, in words and as JSON, and how it ends."""

import json

import pytest

from procsup.cli.events import concerns
from procsup.wire.decode import JSON
from tests.cli.conftest import Run
from tests.cli.fake_daemon import FakeDaemon


def happened(event: str, path: str, **details: JSON) -> JSON:
    time = "2026-07-28T03:12:44.120456Z"
    return {"seq": 1, "time": time, "mono": 1.0, "event": event, "path": path, "cause": None, **details}


STORY = (
    happened("starting", "k/lab/baker", type="worker", starts=2),
    happened("started", "k/lab/baker", pid=5),
    happened("started", "k/miller", pid=6),
    happened("restarting", "k", child="lab", used=1, intensity=3, period=5.0, group=[]),
)
THE_END = happened("daemon_stopped", "", status=0, reason="shutdown")


def told(
    socket_path: str, procsup: Run, *words: str, story: tuple[JSON, ...] = (*STORY, THE_END)
) -> tuple[int, list[str], str]:
    with FakeDaemon(socket_path, {"events": {}}, story):
        status, out, err = procsup("events", *words)
    return status, out.splitlines(), err


def test_events_are_told_until_the_daemon_ends(socket_path: str, procsup: Run) -> None:
    status, lines, err = told(socket_path, procsup)
    assert (status, err) == (0, "")
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        "baker         started, pid 5",
        "miller        started, pid 6",
        "k             restarts lab (1 of 3 in 5s)",
        "procsup       the tree is down: it was asked to stop; exit status 0",
    ]


def test_json_has_every_event_as_the_daemon_sent_it(socket_path: str, procsup: Run) -> None:
    status, lines, _ = told(socket_path, procsup, "--json")
    assert status == 0
    assert [json.loads(line) for line in lines] == [*STORY, THE_END]


def test_json_is_ascii_so_that_no_name_reaches_the_terminal_unescaped(socket_path: str, procsup: Run) -> None:
    _, lines, _ = told(socket_path, procsup, "--json", story=(happened("held", "k/\x1b\x9b\u202e"), THE_END))
    assert lines[0].isascii()
    assert lines[0].isprintable()


def test_it_ends_after_as_many_as_wanted(socket_path: str, procsup: Run) -> None:
    assert len(told(socket_path, procsup, "-n", "2")[1]) == 2
    assert len(told(socket_path, procsup, "-n", "2", "--json")[1]) == 2


def test_a_daemon_that_hangs_up_without_a_farewell_is_a_failure(socket_path: str, procsup: Run) -> None:
    status, lines, err = told(socket_path, procsup, story=STORY)
    assert status == 1
    assert len(lines) == 3
    assert err.startswith("procsup: the daemon hung up")


def test_what_is_no_event_is_passed_over(socket_path: str, procsup: Run) -> None:
    story: tuple[JSON, ...] = (None, [1], "x", {}, THE_END)
    assert told(socket_path, procsup, "--json", story=story)[1] == ["{}", json.dumps(THE_END, separators=(",", ":"))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("baker", ["k/lab/baker"]),
        ("k/lab/baker", ["k/lab/baker"]),
        ("lab", ["k/lab/baker", "k"]),
        ("k/lab", ["k/lab/baker"]),
        ("b*", ["k/lab/baker"]),
        ("mill?r", ["k/miller"]),
        ("k", ["k/lab/baker", "k/lab/baker", "k/miller", "k"]),
        ("nobody", []),
    ],
)
def test_names_filter(name: str, expected: list[str]) -> None:
    concerned = [event["path"] for event in STORY if isinstance(event, dict) and concerns(event, (name,))]
    assert sorted(set(map(str, concerned))) == sorted(set(expected))


def test_the_end_is_no_failure_though_it_is_filtered_out(socket_path: str, procsup: Run) -> None:
    assert told(socket_path, procsup, "miller")[:2] == (0, told(socket_path, procsup, "miller", "-n", "1")[1])
