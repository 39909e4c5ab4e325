"""Two linked spies, and a handler who monitors hers: what they die of, and who is told. First without a daemon."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon
from tests.kit.wait import DEADLINE, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
STORY = CHECKOUT / "etc" / "spies"

FORMULA = "two parts of moonlight and one part of salt"
SENDS_OUT = "the handler sends out process 1, which is hers, and process 2"
GONE_TOO = "process 2 is gone, too"
SUCCESS = f"the handler has the formula: {FORMULA}"


def mission(*fates: str) -> tuple[int, list[str]]:
    """The exit status and what is told, the spies of each pair numbered."""
    done = subprocess.run(
        [sys.executable, str(STORY / "mission.py"), *fates],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    lines: list[str] = []
    pair: list[str] = []
    for line in (done.stdout + done.stderr).splitlines():
        if "sends out" in line:
            pair = re.findall(r"process \d+", line)
        for number, spy in enumerate(pair, 1):
            line = re.sub(rf"{spy}\b", f"process {number}", line)
        lines.append(line)
    return done.returncode, lines


def lost(reason: str) -> str:
    return f"the handler is told that process 1 is lost: '{reason}'; {GONE_TOO}"


def test_spies_who_are_lucky_bring_the_formula() -> None:
    assert mission() == (0, [SENDS_OUT, SUCCESS])


@pytest.mark.parametrize(("fate", "reason"), [("gas", "toxic gas"), ("enemies", "signal SIGKILL")])
def test_what_one_spy_dies_of_the_other_one_dies_of_and_the_handler_is_told(fate: str, reason: str) -> None:
    assert mission(fate) == (0, [SENDS_OUT, lost(reason), SENDS_OUT, SUCCESS])


def test_a_stuck_spy_is_given_up_with_its_partner_and_the_bug_is_gone_after_that() -> None:
    gives_up = "the handler has heard nothing for 2 seconds, and gives up process 1"

    assert mission("bug") == (0, [SENDS_OUT, gives_up, lost("killed"), SENDS_OUT, SUCCESS])


def test_a_handler_without_spies_gives_up() -> None:
    status, lines = mission("gas", "enemies", "gas")

    assert status == 1
    assert lines[1::2] == [lost("toxic gas"), lost("signal SIGKILL"), lost("toxic gas")]
    assert lines[-1] == "the handler has no spies left"


# Under procsup


def field(folder: Path, fate: str) -> Daemon:
    return Daemon(folder, "", file=STORY / "field.toml", env={"SPY_FATE": fate})


def wait_until_handler_has_said(daemon: Daemon, *expected: str) -> None:
    """So far, these lines and no others."""
    wait_until(lambda: len(said_by_handler(daemon)) >= len(expected), f"the handler has said {len(expected)} lines")
    assert said_by_handler(daemon) == list(expected)


def said_by_handler(daemon: Daemon) -> list[str]:
    return daemon.log("handler").decode().splitlines()


def starts(daemon: Daemon) -> list[int]:
    return [daemon.row(name)["starts"] for name in ("handler", "spy_left", "spy_right")]


HAS_IT = f"has the formula: {FORMULA}"


def test_a_spy_that_dies_of_gas_takes_the_other_one_along_and_procsup_sends_out_both_again(tmp_path: Path) -> None:
    with field(tmp_path, "gas") as daemon:
        wait_until_handler_has_said(daemon, "is told that spy_left is lost: linked spy_right exit 1", HAS_IT)

        assert b"toxic gas" in daemon.log("spy_right")
        assert starts(daemon) == [1, 2, 2]


@pytest.mark.parametrize(
    ("victim", "reason"), [("spy_left", "signal SIGKILL"), ("spy_right", "linked spy_right signal SIGKILL")]
)
def test_enemies_may_kill_either_spy_and_lose_both(tmp_path: Path, victim: str, reason: str) -> None:
    with field(tmp_path, "luck") as daemon:
        wait_until_handler_has_said(daemon, HAS_IT)
        daemon.kill(victim)
        wait_until_handler_has_said(daemon, HAS_IT, f"is told that spy_left is lost: {reason}", HAS_IT)

        assert starts(daemon) == [1, 2, 2]


def test_the_handler_has_a_stuck_pair_killed_and_the_bug_is_gone_after_that(tmp_path: Path) -> None:
    with field(tmp_path, "bug") as daemon:
        wait_until_handler_has_said(
            daemon,
            "has heard nothing of spy_left for 5 seconds, and gives it up",
            "is told that spy_left is lost: signal SIGKILL",
            HAS_IT,
        )

        assert starts(daemon) == [1, 2, 2]
