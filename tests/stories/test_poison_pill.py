"""The poison pill: a worker with a typo in its URL takes the kingdom down, level by level; and the cures."""

import re
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.wait import DEADLINE, wait_until

STORIES = Path(__file__).resolve().parents[2] / "etc" / "poison_pill"

REFUSED = "| urllib.error.URLError: <urlopen error [Errno 111] Connection refused>"


@pytest.fixture
def port() -> Iterator[str]:
    """A port that is free: it stays bound, but to another address of this machine."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.2", 0))
        yield str(holder.getsockname()[1])


def told_by(tree: str, folder: Path) -> tuple[int, list[str]]:
    """The exit status of the daemon and what it told, line by line, pids and durations left out."""
    places = ("--socket", str(folder / "s"), "--state-dir", str(folder / "state"), "--log-dir", str(folder))
    command = [*PROCSUP, "run", str(STORIES / tree), *places]
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False)
    return run.returncode, run.stderr.splitlines()


def words(line: str) -> str:
    """A line without its time, its durations and its pids."""
    line = re.sub(r"^\d\d:\d\d:\d\d\.\d{3} +", "", line)
    line = re.sub(r", pid \d+| after [\d.]+m?s|, <?\d+m?s(?=\))", "", line)
    return re.sub(r" +", " ", line).strip()


def test_the_typo_takes_the_kingdom_down_level_by_level(tmp_path: Path) -> None:
    status, lines = told_by("kingdom.toml", tmp_path)
    crash = ["api_cache exited with code 1; its last line:", REFUSED]
    assert status == 70
    end = next(number for number, line in enumerate(lines) if "the tree is down" in line)
    assert [words(line) for line in lines[1:end]] == [
        "town_crier started",
        "librarian started",
        "api_cache started",
        "scribe started",
        "library is up",
        "baker started",
        "kingdom is up",
        *crash,
        "library restarts api_cache (1 of 3 in 5s)",
        "api_cache started",
        *crash,
        "library restarts api_cache (2 of 3 in 5s)",
        "api_cache started",
        *crash,
        "library restarts api_cache (3 of 3 in 5s)",
        "api_cache started",
        *crash,
        "library gives up: 4 restarts needed within 5s, allowed are 3; the last straw was api_cache",
        "scribe stopped (SIGTERM)",
        "librarian stopped (SIGTERM)",
        "library is down: it gave up",
        "kingdom is told that library gave up",
        "kingdom gives up: library needs a restart, and none is allowed",
        "baker stopped (SIGTERM)",
        "town_crier stopped (SIGTERM)",
        "kingdom is down: it gave up",
    ]
    assert words(lines[end]) == "procsup the tree is down: the root gave up; exit status 70"
    last_words = re.sub(r"within [\d.]+m?s", "within a moment", " ".join(line.strip() for line in lines[end + 1 :]))
    assert last_words == (
        "procsup: why: api_cache exited with code 1, 4 times within a moment; so library gave up (3 restarts in 5s are"
        " allowed), kingdom gave up (no restart is allowed) and the daemon ended with exit status 70"
        f" (step by step: procsup why --state-dir {tmp_path / 'state'})"
    )


def test_the_four_crashes_come_within_five_seconds(tmp_path: Path) -> None:
    """As the daemon's own window says: it would not have given up otherwise."""
    _, lines = told_by("kingdom.toml", tmp_path)
    crashes = [datetime.strptime(line[:12], "%H:%M:%S.%f") for line in lines if " exited with code 1 " in line]
    assert len(crashes) == 4
    assert (crashes[-1] - crashes[0]) % timedelta(days=1) <= timedelta(seconds=5)


def test_the_cured_kingdom_stays_up_and_its_cache_syncs(tmp_path: Path, port: str) -> None:
    with Daemon(tmp_path, "", file=STORIES / "cured.toml", env={"POISON_PILL_PORT": port}) as daemon:
        daemon.wait_until_up()
        wait_until(lambda: b"synced 3 spells" in daemon.log("api_cache"), "the cured worker has synced")
        wait_until(lambda: b"Connection refused" in daemon.log("api_cache_typo"), "the one with the typo has tried")
        rows = daemon.status()["tree"]
        assert all(row["state"] == "running" for row in rows)
        assert daemon.row("api_cache_typo")["restarts"] == 0
        assert daemon.stop() == 0


def test_the_cured_worker_outlives_a_crash_of_the_api(tmp_path: Path, port: str) -> None:
    with Daemon(tmp_path, "", file=STORIES / "cured.toml", env={"POISON_PILL_PORT": port}) as daemon:
        daemon.wait_until_up()
        caches = daemon.process("api_cache")
        daemon.kill("api_server")
        wait_until(lambda: daemon.row("api_server")["starts"] == 2, "the API is back")
        wait_until(lambda: b"synced 3 spells" in daemon.log("api_cache"), "the cured worker has synced")
        assert daemon.process("api_cache") == caches
        assert daemon.stop() == 0


def test_an_isolated_cellar_falls_alone(tmp_path: Path) -> None:
    with Daemon(tmp_path, "", file=STORIES / "isolated.toml") as daemon:
        daemon.wait_until_listening()
        names = ["kingdom", "kingdom/town_crier", "kingdom/baker"]
        wait_until(lambda: [row["path"] for row in daemon.status()["tree"]] == names, "the cellar is gone")
        assert all(row["state"] == "running" for row in daemon.status()["tree"])
        assert daemon.stop() == 0
