"""The TAB key."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_daemon import FakeDaemon, Manner
from tests.cli.rows import DOWN, status, supervisor, worker

TREE = status(
    supervisor("kingdom"), worker("kingdom/baker"), supervisor("kingdom/lab"), worker("kingdom/lab/boss", **DOWN)
)


def completed(procsup: Run, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setenv("_PROCSUP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(("procsup", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    _, out, err = procsup()
    assert err == ""
    return [line.partition(",")[2] for line in out.splitlines() if line]


def test_commands_are_completed(procsup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(procsup, monkeypatch, "sta") == ["status", "start", "start-child"]


@pytest.mark.parametrize(
    "command", ["status", "tree", "start", "stop", "restart", "events", "delete-child", "signal HUP"]
)
def test_names_come_from_the_running_tree(
    command: str, socket_path: str, procsup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeDaemon(socket_path, {"status": TREE}):
        assert completed(procsup, monkeypatch, *command.split(), "b") == ["baker", "boss"]


def test_start_child_wants_a_supervisor(socket_path: str, procsup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeDaemon(socket_path, {"status": TREE}):
        assert completed(procsup, monkeypatch, "start-child", "l") == ["lab"]
        assert completed(procsup, monkeypatch, "start-child", "b") == []


def test_the_socket_option_counts(socket_path: str, procsup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCSUP_SOCKET", "/nonexistent")
    with FakeDaemon(socket_path, {"status": TREE}):
        assert completed(procsup, monkeypatch, "--socket", socket_path, "stop", "ki") == ["kingdom"]
        assert completed(procsup, monkeypatch, "stop", "--socket", socket_path, "ki") == ["kingdom"]


def test_without_a_daemon_it_is_silent(socket_path: str, procsup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(procsup, monkeypatch, "stop", "b") == []


def test_a_daemon_that_hangs_is_not_waited_for(socket_path: str, procsup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("procsup.cli.completion._PATIENCE", 0.02)
    with FakeDaemon(socket_path, {"status": Manner.SILENCE}):
        assert completed(procsup, monkeypatch, "stop", "b") == []


def test_signals_are_completed(procsup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(procsup, monkeypatch, "signal", "SIGUSR") == ["SIGUSR1", "SIGUSR2"]


def test_the_documented_line_works_in_a_shell() -> None:
    line = 'eval "$(_PROCSUP_COMPLETE=bash_source procsup)" && complete -p procsup'
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    found = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env={**os.environ, "PATH": path}, check=True
    )
    assert found.stdout.strip().endswith("procsup")
