"""`check`, and `run` up to the point where the daemon takes over."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from procsup.cli import launch
from procsup.config.config import Config
from procsup.runtime import daemon, detach
from procsup.runtime.failure import CannotRun
from procsup.runtime.guardian import Link
from procsup.runtime.logfile import LogFiles
from procsup.runtime.output import OnLines
from procsup.runtime.places import Places
from procsup.wire.events import Event
from tests.cli.conftest import Run

GOOD = """
[supervisor.kingdom]
children = ["baker"]
[worker.baker]
command = ["sleep", "1"]
"""
WARNED = """
[supervisor.kingdom]
children = ["lab"]
[supervisor.lab]
restart = "transient"
children = ["baker"]
[worker.baker]
command = ["sleep", "1"]
"""
BAD = """
[worker.baker]
comand = ["sleep", "1"]
"""
STARTED = Event(1, "2026-07-28T03:12:44.120456Z", 1.0, "started", "kingdom/baker", None, {"pid": 4711})


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "tree.toml"
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    return write


Write = Callable[[str], str]


class Daemon:
    """Stands where the real one would begin: remembers what it was given, tells one event, ends as it is told."""

    def __init__(self, end: int | Exception) -> None:
        self.end = end
        self.places: list[Places] = []
        self.trees: list[str] = []

    def run(
        self,
        config: Config,
        places: Places,
        link: Link,
        *,
        on_event: Callable[[Event], None],
        on_up: Callable[[], None] | None,
        log_files: LogFiles,
        on_lines: OnLines | None,
    ) -> int:
        self.places.append(places)
        self.trees.append(config.tree.name)
        on_event(STARTED)
        if on_lines is not None:
            on_lines("kingdom/baker", b"bread\n")
        if on_up is not None:
            on_up()
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


class Caller:
    """Stands where whoever called `run --detach` would wait: remembers what it was told."""

    def __init__(self) -> None:
        self.logs: list[str] = []
        self.was_told_up = False

    def let_go(self, log_path: str, link: Link) -> None:
        self.logs.append(log_path)

    def is_up(self) -> None:
        self.was_told_up = True


@pytest.fixture(autouse=True)
def caller(monkeypatch: pytest.MonkeyPatch) -> Caller:
    """No process is made here: what guardian and daemon would do is done at once."""
    caller = Caller()
    monkeypatch.setattr(launch, "guard", lambda work: work(None))
    monkeypatch.setattr(detach, "in_background", lambda work: work(caller))
    return caller


@pytest.fixture
def stands_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | Exception], Daemon]:
    def end_so(end: int | Exception) -> Daemon:
        fake = Daemon(end)
        monkeypatch.setattr(daemon, "run", fake.run)
        return fake

    return end_so


StandsIn = Callable[[int | Exception], Daemon]


def test_check_shows_the_tree_and_ends_with_0(file: Write, procsup: Run) -> None:
    path = file(GOOD)
    status, out, err = procsup("check", path)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("kingdom")
    assert "baker" in lines[1]
    assert lines[-1] == f"{path} can be run"


def test_check_says_how_long_a_stop_may_take(file: Write, procsup: Run) -> None:
    path = file(GOOD)
    assert "a stop takes at most 5s" in procsup("check", path)[1]
    assert json.loads(procsup("check", "--json", path)[1])["stop"] == {"seconds": 5.0, "unbounded": []}
    path = file(GOOD + 'shutdown = "infinity"\n')
    assert "a stop may take for ever: shutdown = 'infinity' of kingdom/baker" in procsup("check", path)[1]
    assert json.loads(procsup("check", "--json", path)[1])["stop"] == {"seconds": None, "unbounded": ["kingdom/baker"]}


def test_check_warns_of_a_unit_that_does_not_wait_so_long(file: Write, procsup: Run, tmp_path: Path) -> None:
    path, unit = file(GOOD), tmp_path / "p.service"
    unit.write_text("[Service]\nKillMode=mixed\nTimeoutStopSec=4\n")
    status, out, _ = procsup("check", "--unit", str(unit), path)
    assert status == 0
    assert f"{unit} waits 4s (TimeoutStopSec)\n" in out
    assert f"{unit}:3: warning: Service.TimeoutStopSec: the tree may need longer" in out
    assert procsup("check", "--strict", "--unit", str(unit), path)[0] == 78
    found = json.loads(procsup("check", "--json", "--unit", str(unit), path)[1])
    assert found["unit"] == {"file": str(unit), "timeout_stop": 4.0, "is_too_short": True, "hears_the_daemon": False}
    assert [warning["path"] for warning in found["warnings"]] == ["Service.TimeoutStopSec"]


def test_check_says_that_a_daemon_which_is_heard_asks_for_more(file: Write, procsup: Run, tmp_path: Path) -> None:
    unit = tmp_path / "p.service"
    unit.write_text("[Service]\nKillMode=mixed\nNotifyAccess=all\nTimeoutStopSec=4\n")
    status, out, _ = procsup("check", "--unit", str(unit), file(GOOD))
    assert status == 0
    assert f"{unit} waits 4s (TimeoutStopSec)\n" in out
    assert f"{unit}:4: warning: Service.TimeoutStopSec: " in out
    assert "as long as the daemon asks it to" in out


def test_check_with_a_unit_that_is_not_there_is_a_usage_error(file: Write, procsup: Run) -> None:
    status, _, err = procsup("check", "--unit", "/no/such.service", file(GOOD))
    assert status == 2
    assert "cannot read the unit '/no/such.service': No such file or directory" in err


def test_check_shows_warnings_which_strict_makes_errors(file: Write, procsup: Run) -> None:
    path = file(WARNED)
    status, out, _ = procsup("check", path)
    assert status == 0
    assert "warning" in out
    assert f"{path} can be run: " in out
    status, out, _ = procsup("check", "--strict", path)
    assert status == 78
    assert f"{path} cannot be used: " in out


def test_check_shows_complaints_and_ends_with_78(file: Write, procsup: Run) -> None:
    path = file(BAD)
    status, out, _ = procsup("check", path)
    assert status == 78
    assert "comand" in out
    assert f"{path} cannot be used: " in out


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_cannot_be_read_is_a_matter_of_configuration(command: str, tmp_path: Path, procsup: Run) -> None:
    for path in (str(tmp_path / "missing"), str(tmp_path), "", "/dev/null/x"):
        status, out, err = procsup(command, path)
        assert status == 78, path
        assert "cannot" in out + err


def test_check_json_is_one_object_in_any_case(file: Write, procsup: Run) -> None:
    status, out, _ = procsup("check", "--json", file(GOOD))
    found = json.loads(out)
    assert (status, found["ok"], found["tree"]["name"]) == (0, True, "kingdom")
    status, out, err = procsup("check", "--json", file(BAD))
    found = json.loads(out)
    assert (status, err, found["ok"], found["tree"]) == (78, "", False, None)
    assert found["errors"]


def test_help_of_check_names_every_key_of_the_json(file: Write, procsup: Run) -> None:
    tree = json.loads(procsup("check", "--json", file(GOOD))[1])["tree"]
    _, told, _ = procsup("check", "--help")
    assert [key for key in (*tree, *tree["children"][0]) if f'"{key}"' not in told] == []


@pytest.mark.parametrize("words", [("run",), ("run", "--detach")], ids=" ".join)
def test_run_complains_on_standard_error_and_ends_with_78(words: tuple[str, ...], file: Write, procsup: Run) -> None:
    path = file(BAD)
    status, out, err = procsup(*words, path)
    assert (status, out) == (78, "")
    assert "comand" in err
    assert err.splitlines()[-1].startswith(f"procsup: cannot run {path}: ")


def test_run_shows_warnings_and_goes_on_but_not_with_strict(file: Write, procsup: Run, stands_in: StandsIn) -> None:
    fake = stands_in(0)
    status, _, err = procsup("run", file(WARNED))
    assert status == 0
    assert "warning" in err
    assert procsup("run", "--strict", file(WARNED))[0] == 78
    assert fake.trees == ["kingdom"]


def test_run_tells_on_standard_error_what_happens(
    file: Write, capfd: pytest.CaptureFixture[str], stands_in: StandsIn
) -> None:
    from procsup.cli.program import obey

    stands_in(0)
    assert obey(["run", file(GOOD)]) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.split()[1:] == ["baker", "started,", "pid", "4711"]


def test_verbose_run_shows_what_workers_write_too(
    file: Write, capfd: pytest.CaptureFixture[str], stands_in: StandsIn
) -> None:
    from procsup.cli.program import obey

    stands_in(0)
    assert obey(["run", "--verbose", file(GOOD)]) == 0
    assert [line.split()[1:] for line in capfd.readouterr().err.splitlines()] == [
        ["baker", "started,", "pid", "4711"],
        ["baker", "|", "bread"],
    ]


@pytest.mark.parametrize("end", [0, 69, 70])
def test_run_ends_as_the_daemon_does(end: int, file: Write, procsup: Run, stands_in: StandsIn) -> None:
    stands_in(end)
    assert procsup("run", file(GOOD))[0] == end


@pytest.mark.parametrize("words", [("run",), ("run", "--detach")], ids=" ".join)
def test_a_daemon_that_cannot_run_says_why(
    words: tuple[str, ...],
    file: Write,
    procsup: Run,
    stands_in: StandsIn,
    tmp_path: Path,
) -> None:
    stands_in(CannotRun("cannot use the socket s: another daemon holds it", 73))
    status, _, err = procsup(*words, "--state-dir", str(tmp_path), file(GOOD))
    assert status == 73
    assert err.endswith("procsup: cannot use the socket s: another daemon holds it\n")


def test_options_say_where_things_are(file: Write, procsup: Run, stands_in: StandsIn, tmp_path: Path) -> None:
    fake = stands_in(0)
    places = {name: str(tmp_path / name) for name in ("socket", "state", "logs")}
    options = ("--socket", places["socket"], "--state-dir", places["state"], "--log-dir", places["logs"])
    assert procsup("run", *options, file(GOOD))[0] == 0
    assert procsup("--socket", places["socket"], "run", *options[2:], file(GOOD))[0] == 0
    assert fake.places == [Places(places["socket"], places["state"], places["logs"])] * 2


def test_detached_it_writes_to_a_log_in_its_state_folder(
    file: Write, procsup: Run, stands_in: StandsIn, caller: Caller, tmp_path: Path
) -> None:
    stands_in(0)
    assert procsup("run", "--detach", "--state-dir", str(tmp_path), file(GOOD))[0] == 0
    assert caller.logs == [os.path.join(tmp_path, "daemon.log")]
    assert caller.was_told_up
