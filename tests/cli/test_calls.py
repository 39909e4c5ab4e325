"""What each command asks the daemon. That it is a call the daemon knows, the fake daemon checks."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_daemon import FakeDaemon, result, results
from tests.cli.rows import status


def asked(socket_path: str, procsup: Run, *words: str) -> list[tuple[str, dict[str, object]]]:
    answer = results(result("r/a"))
    answers = dict.fromkeys(("start", "stop", "restart", "signal", "delete_child"), answer)
    with FakeDaemon(
        socket_path, {**answers, "start_child": result("r/a"), "status": status(), "shutdown": {"status": 0}}
    ) as daemon:
        assert procsup(*words)[0] == 0
    return [call for call in daemon.asked if call[0] != "version"]


@pytest.mark.parametrize(
    ("words", "method", "params"),
    [
        ("status", "status", {"names": []}),
        ("status a 'b*'", "status", {"names": ["a", "'b*'"]}),
        ("tree lab", "status", {"names": ["lab"]}),
        ("start a b", "start", {"names": ["a", "b"], "wait": True}),
        ("stop a --no-wait", "stop", {"names": ["a"], "wait": False}),
        ("restart a --timeout 2s", "restart", {"names": ["a"], "wait": True}),
        ("signal SIGHUP a b", "signal", {"signal": "SIGHUP", "names": ["a", "b"]}),
        ("delete-child a", "delete_child", {"names": ["a"]}),
        ("shutdown", "shutdown", {"wait": True}),
        ("shutdown --no-wait", "shutdown", {"wait": False}),
    ],
)
def test_what_the_daemon_is_asked(
    words: str, method: str, params: dict[str, object], socket_path: str, procsup: Run
) -> None:
    assert asked(socket_path, procsup, *words.split()) == [(method, params)]


def test_start_child_passes_the_command_on_as_it_is(socket_path: str, procsup: Run) -> None:
    words = (
        "start-child",
        "lab",
        "--name",
        "x",
        "--restart",
        "transient",
        "--",
        "prog",
        "--name",
        "y",
        "-",
        "--",
        "a b",
    )
    (call,) = asked(socket_path, procsup, *words)
    assert call == (
        "start_child",
        {
            "supervisor": "lab", "command": ["prog", "--name", "y", "-", "--", "a b"], "name": "x",
            "restart": "transient", "cwd": None, "wait": True,
        },
    )  # fmt: skip


def test_a_relative_cwd_is_the_clients(
    socket_path: str, procsup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, params),) = asked(socket_path, procsup, "start-child", "lab", "--cwd", "sub", "--no-wait", "--", "true")
    assert params["cwd"] == os.path.join(tmp_path, "sub")
    assert params["wait"] is False
