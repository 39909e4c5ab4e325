"""That the benchmark measures what it says, on trees of a few workers. It holds nobody to a time."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.bench import __main__ as command
from tests.bench import (
    census,
    chatty,
    idle,
    killed,
    library,
    logs,
    memory,
    messages,
    restart,
    rivals,
    scale,
    start,
    status,
)
from tests.bench.figure import CannotMeasure, Figure, Target, percentile
from tests.bench.lab import Lab, Options
from tests.bench.rivals import Commands, Rival
from tests.kit.wait import wait_until

FEW = Options(workers=3, many=12, writers=3, log_bytes=300_000, restarts=3, rounds=1, idle_seconds=0.1)


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


def test_messages_and_the_library_are_measured_beside_something_bare(lab: Lab) -> None:
    for measure in (messages.measure, library.measure):
        figures = list(measure(lab))
        assert all(figure.procsup > 0 for figure in figures)
        assert all(figure.ratio is not None for figure in figures if figure.other is not None)
        assert any(figure.target for figure in figures)


def test_one_among_many_is_measured_against_one_among_few(compiled: Lab) -> None:
    if len(compiled.programs) == 1:
        pytest.skip("the bare program cannot be compiled")
    figures = list(scale.measure(compiled))
    assert [figure.beside for figure in figures] == ["among 10", "floor"] * 2
    assert all(figure.ratio is not None for figure in figures)


def test_restarts_among_many_are_spread_over_all_of_them() -> None:
    assert scale.spread(10, 5) == [0, 2, 4, 6, 8]
    assert scale.spread(3, 6) == [0, 0, 1, 1, 2, 2]


def test_more_workers_than_the_machine_has_room_for_are_not_measured(compiled: Lab) -> None:
    if len(compiled.programs) == 1:
        pytest.skip("the bare program cannot be compiled")
    compiled.options = replace(FEW, many=10**9)
    with pytest.raises(CannotMeasure, match=r"one among 1,000,000,000: .* are needed, there is room for"):
        next(scale.measure(compiled))


def test_restarts_beside_a_writer_are_measured_with_it_and_without(compiled: Lab) -> None:
    figures = list(chatty.measure(compiled))
    assert [figure.beside for figure in figures] == ["without", "floor"] * 4
    assert all(figure.procsup > 0 for figure in figures)
    assert all(figure.ratio is not None for figure in figures)


def test_a_neighbour_is_held_but_for_the_time_that_it_may_write(compiled: Lab) -> None:
    with chatty.Neighbour(compiled, 100) as neighbour, neighbour.into_pump(compiled):
        neighbour.wait_until_held()
        process = psutil.Process(neighbour.pid)
        for _ in range(2):
            wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "it is held")
            with neighbour.writing():
                wait_until(lambda: process.status() != psutil.STATUS_STOPPED, "it is let go")
    assert neighbour.rate > 0


def test_log_capture_is_measured_beside_whoever_captures_every_byte(compiled: Lab) -> None:
    figures = list(logs.measure(compiled, [piped_into("cat"), piped_into("(echo; cat)")]))
    assert [figure.beside for figure in figures] == ["floor", "cat"] * 4
    assert [figure.verdict in ("met", "missed") for figure in figures] == [False, True] * 4
    assert len(compiled.left_out) == 4
    assert "cannot measure (echo; cat): 300,000 bytes were written, its files hold 300,001" in compiled.left_out


def piped_into(command: str) -> Rival:
    def prepare(folder: Path, logs: Path, workers: Commands) -> list[list[str]]:
        return [["sh", "-c", f"{shlex.join(words)} | {command} > {logs}/{name}"] for name, words in workers.items()]

    return Rival(command, prepare)


def test_rivals_that_are_not_to_be_had_are_named_and_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rivals, "_from_pip", no_network)
    left_out: list[str] = []

    found = rivals.find(tmp_path, left_out.append)

    assert found == []
    assert left_out[:2] == ["cannot get supervisor: no network", "cannot get circus: no network"]
    assert left_out[2].startswith("cannot get s6: apt-cache: ")


def no_network(folder: Path, package: str, name: str) -> str:
    raise CannotMeasure(f"cannot get {package}: no network")


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
            births = floor.workers.wait_for_births(3)
            census.kill([floor.pid])
            assert {birth.pid for birth in births} <= set(census.marked(other.mark))
    assert not census.marked(other.mark)
    assert not os.path.exists(program.path)


def test_the_command_prints_figures_for_machines() -> None:
    words = ["status", "--json", "--workers", "2", "--rounds", "1"]
    ended = subprocess.run([sys.executable, "-m", "tests.bench", *words], capture_output=True, text=True, check=True)
    printed = json.loads(ended.stdout)
    assert printed["figures"][0]["target"] == {"limit": 300, "of": "value", "sense": "at most"}
    assert printed["failures"] == printed["left_out"] == []


def test_the_table_shows_what_stands_beside_procsup_its_ratio_target_and_verdict() -> None:
    machine = {"system": "Linux", "cpus": 2, "load": 0.0, "python": "3.11", "compiler": "cc", "realtime": False}
    figures = [
        Figure("restart", "us", 150.0, 100.0, Target(1.4, "ratio")),
        Figure("logs", "MB/s", 150.0, 100.0, Target(1, "ratio", "at least"), "on tmpfs", "circus"),
        Figure("resident", "MB", 16.0),
    ]
    table = command.as_table(machine, figures, ["idle: too busy"], ["cannot get s6: no network"]).splitlines()
    lines = [line.split() for line in table]
    assert ["restart", "floor", "100.0", "us", "150.0", "us", "1.50", "<=", "1.4", "x", "MISSED"] in lines
    assert ["logs", "circus", "100.0", "MB/s", "150.0", "MB/s", "1.50", ">=", "1", "x", "met", "on", "tmpfs"] in lines
    assert ["resident", "-", "16.0", "MB", "-", "-"] in lines
    assert table[-2:] == ["not measured: idle: too busy", "not measured: cannot get s6: no network"]


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
