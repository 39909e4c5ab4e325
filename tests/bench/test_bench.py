"""That the benchmark measures what it says, on trees of a few workers. It holds nobody to a time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import __main__ as command
from tests.bench import census, idle, killed, memory, restart, start, status
from tests.bench.figure import CannotMeasure, Figure, Target, percentile
from tests.bench.lab import Lab, Options

FEW = Options(workers=3, restarts=3, rounds=1, idle_seconds=0.1)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(FEW) as lab:
        yield lab


@pytest.fixture
def compiled(lab: Lab) -> Lab:
    if not lab.compiler:
        pytest.skip("there is no C compiler")
    return lab


def test_the_floor_starts_again_what_is_killed(compiled: Lab) -> None:
    for program in compiled.programs:
        with compiled.floor(program, 3) as floor:
            pids = {birth.pid for birth in floor.workers.wait_for_births(3)}
            for slot in range(3):
                zero = floor.workers.kill(slot)
                birth = floor.workers.wait_for_birth()
                assert birth.slot == slot
                assert birth.time > zero
                pids.add(birth.pid)
        assert len(pids) == 6


def test_every_benchmark_that_needs_a_floor_measures_it_and_procsup(compiled: Lab) -> None:
    for measure in (restart.measure, start.measure, killed.measure):
        figures = list(measure(compiled))
        assert all(figure.procsup > 0 for figure in figures)
        assert all(figure.ratio is not None for figure in figures if figure.target)


def test_status_and_memory_are_measured(lab: Lab) -> None:
    figures = [*status.measure(lab), *memory.measure(lab)]
    assert all(figure.verdict in ("met", "missed") for figure in figures if figure.target)


def test_an_idle_daemon_is_measured_by_what_it_does(lab: Lab) -> None:
    figures = list(idle.measure(lab))
    assert "wake-ups" in figures[-1].measure


def test_without_a_compiler_what_needs_no_floor_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sleep").symlink_to("/bin/sleep")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with Lab(FEW) as lab:
        assert memory.resident(lab, 2)[0] > 2**20
        with pytest.raises(CannotMeasure, match="C compiler"):
            next(restart.measure(lab))


def test_a_procsup_that_does_not_start_is_told_with_its_own_words() -> None:
    with (
        Lab(replace(FEW, command=(sys.executable, "-c", "raise SystemExit('no such daemon')"))) as lab,
        pytest.raises(CannotMeasure, match="it ended with 1: no such daemon"),
        lab.procsup(lab.quiet_program, 1) as procsup,
    ):
        procsup.wait_until_up()


def test_workers_that_lost_their_supervisor_end_with_the_laboratory(compiled: Lab) -> None:
    with Lab(FEW) as other:
        program = other.programs[0]
        with other.floor(program, 3) as floor:
            floor.workers.wait_for_births(3)
            census.kill([floor.pid])
    assert not census.executing({program.path})
    assert not os.path.exists(program.path)


def test_the_command_prints_figures_for_machines() -> None:
    words = ["status", "--json", "--workers", "2", "--rounds", "1"]
    ended = subprocess.run([sys.executable, "-m", "tests.bench", *words], capture_output=True, text=True, check=True)
    printed = json.loads(ended.stdout)
    assert printed["figures"][0]["target"] == {"limit": 300, "of": "value", "sense": "at most"}
    assert printed["failures"] == []


def test_the_table_shows_what_stands_beside_procsup_its_ratio_target_and_verdict() -> None:
    machine = {"system": "Linux", "cpus": 2, "load": 0.0, "python": "3.11", "compiler": "cc", "realtime": False}
    figures = [
        Figure("restart", "us", 150.0, 100.0, Target(1.4, "ratio")),
        Figure("logs", "MB/s", 150.0, 100.0, Target(1, "ratio", "at least"), "on tmpfs", "circus"),
        Figure("resident", "MB", 16.0),
    ]
    table = command.as_table(machine, figures, ["idle: too busy"]).splitlines()
    lines = [line.split() for line in table]
    assert ["restart", "floor", "100.0", "us", "150.0", "us", "1.50", "<=", "1.4", "x", "MISSED"] in lines
    assert ["logs", "circus", "100.0", "MB/s", "150.0", "MB/s", "1.50", ">=", "1", "x", "met", "on", "tmpfs"] in lines
    assert ["resident", "-", "16.0", "MB", "-", "-"] in lines
    assert table[-1] == "not measured: idle: too busy"


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("", "us", 140.0, 100.0, Target(1.4, "ratio")), "met"),
        (Figure("", "us", 141.0, 100.0, Target(1.4, "ratio")), "missed"),
        (Figure("", "us", 141.0, None, Target(1.4, "ratio")), "undecided"),
        (Figure("", "MB/s", 100.0, 100.0, Target(1, "ratio", "at least")), "met"),
        (Figure("", "MB/s", 99.0, 100.0, Target(1, "ratio", "at least")), "missed"),
        (Figure("", "MB", 20.0, target=Target(20, "value")), "met"),
        (Figure("", "", 1.0, target=Target(0, "value")), "missed"),
        (Figure("", "us", 141.0, 100.0), ""),
    ],
)
def test_a_verdict_compares_the_ratio_or_the_value(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile([4, 1, 3, 2], percent) for percent in (1, 50, 75, 90, 100)] == [1, 2, 3, 4, 4]
