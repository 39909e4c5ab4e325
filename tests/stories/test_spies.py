"""Two linked spies, and a handler who monitors hers: what they die of, and who is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.wait import DEADLINE

CHECKOUT = Path(__file__).resolve().parents[2]
STORY = CHECKOUT / "etc" / "spies"

SENDS_OUT = "the handler sends out process 1, which is hers, and process 2"
GONE_TOO = "process 2 is gone, too"
SUCCESS = "the handler has the formula: two parts of moonlight and one part of salt"


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
