"""The command line in this process, and a place for the fake daemon's socket."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from procsup.cli.program import obey
from tests.cli.fake_daemon import Answer, FakeDaemon


@pytest.fixture
def socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where commands look for the daemon; nobody listens there yet."""
    path = str(tmp_path / "s")
    monkeypatch.setenv("PROCSUP_SOCKET", path)
    return path


@pytest.fixture
def local_time_is_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def procsup(capfd: pytest.CaptureFixture[str]) -> Run:
    """`procsup("stop", "x")` → exit status, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        status = obey(words)
        said = capfd.readouterr()
        return status, said.out, said.err

    return run


Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(socket_path: str, procsup: Run) -> Ask:
    """`ask({"stop": answer}, "stop", "x")`: as `procsup`, with a daemon that answers so."""

    def run(answers: dict[str, Answer], *words: str) -> tuple[int, str, str]:
        with FakeDaemon(socket_path, answers):
            return procsup(*words)

    return run
