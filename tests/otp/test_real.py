"""A sample of the OTP vectors, played to the real daemon with real processes (real.py): all the hand-written ones that
can be expressed so, and every second random one.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.otp.real import NoLeases, run, why_not

VECTORS = Path(__file__).parent / "vectors"
FIELDS = ("op", "result", "events", "root", "snapshot", "notes")
STEP = 2

Json = Any


def expressible(file: str) -> list[Json]:
    vectors = map(json.loads, (VECTORS / file).read_text(encoding="utf-8").splitlines())
    return [vector for vector in vectors if not why_not(vector["scenario"])]


HAND = expressible("hand.jsonl")
RANDOM = expressible("random.jsonl")
SAMPLE = [*HAND, *RANDOM[::STEP]]


@pytest.mark.parametrize("vector", SAMPLE, ids=[vector["scenario"]["name"] for vector in SAMPLE])
def test_daemon_gives_the_trace_that_otp_gave(vector: Json) -> None:
    with TemporaryDirectory(prefix="procsup-") as folder:  # tmp_path is too long for a socket
        try:
            trace = run(vector["scenario"], Path(folder))
        except NoLeases as why:
            pytest.skip(str(why))

    assert first_difference(vector["trace"], trace) is None


def test_most_vectors_can_be_played_with_real_processes() -> None:
    assert len(HAND) > 240
    assert len(RANDOM) > 90


def first_difference(want: Json, got: Json) -> str | None:
    """Where the traces part: the step, the field, what OTP did and what we did."""
    for number, (wanted, given) in enumerate(zip(want["steps"], got["steps"], strict=True)):
        for field in FIELDS:
            if wanted[field] != given[field]:
                return f"step {number} ({wanted['op']}), {field}: OTP {wanted[field]}, we {given[field]}"
    return None
