"""The vectors of OTP conformance, replayed by the adapter, and compared field by field.

hand.jsonl and random.jsonl are the public ones; fuzz.jsonl holds further traces of the real OTP 25, from random
scenarios, the ones first that the core got wrong once. Each file has one vector a line, {"scenario", "trace"},
without words about it. `notes`, which tell why a supervisor ended itself, are compared like everything else.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.otp.adapter import run

VECTORS = Path(__file__).parent / "vectors"
FIELDS = ("op", "result", "events", "root", "snapshot", "notes", "during_results")
CHUNK = 25

Json = Any


def chunks() -> dict[str, list[str]]:
    """The vectors in groups: the hand-written ones by the first word of their names, the random ones by number."""
    groups: dict[str, list[str]] = {}
    for name, line in read("hand.jsonl"):
        groups.setdefault(f"hand {name.partition('-')[0]}", []).append(line)
    for kind in ("random", "fuzz"):
        for number, (_, line) in enumerate(read(f"{kind}.jsonl")):
            groups.setdefault(f"{kind} {number // CHUNK * CHUNK}", []).append(line)
    return groups


def read(file: str) -> list[tuple[str, str]]:
    """The name and the text of each vector; parsing waits for the test."""
    lines = (VECTORS / file).read_text(encoding="utf-8").splitlines()
    return [(line.split('"name":"', 1)[1].split('"', 1)[0], line) for line in lines]


CHUNKS = chunks()


@pytest.mark.parametrize("lines", CHUNKS.values(), ids=CHUNKS.keys())
def test_core_gives_the_traces_that_otp_gave(lines: list[str]) -> None:
    failures = {}
    for line in lines:
        vector = json.loads(line)
        difference = first_difference(vector["trace"], json.loads(json.dumps(run(vector["scenario"]))))
        if difference is not None:
            failures[vector["scenario"]["name"]] = difference
    assert failures == {}


def test_every_public_vector_is_here() -> None:
    names = [name for file in ("hand.jsonl", "random.jsonl") for name, _ in read(file)]
    assert (len(names), len(set(names))) == (592, 592)


def first_difference(want: Json, got: Json) -> str | None:
    """Where the traces part: the step, the field, what OTP did and what we did."""
    for number, (wanted, given) in enumerate(zip(want["steps"], got["steps"], strict=True)):
        for field in FIELDS:
            if wanted.get(field) != given.get(field):
                return f"step {number} ({wanted['op']}), {field}: OTP {wanted.get(field)}, we {given.get(field)}"
    return None
