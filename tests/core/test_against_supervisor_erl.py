"""The core against a transcription of OTP's own supervisor.erl, on random scenarios in the format of the vectors.

What the vectors leave out is left out here too: `crash` and `done` only directly below the root, exits of one sweep
only of one supervisor's children, calls `during` a start only where that start comes.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.core import supervisor_erl
from tests.otp.adapter import run
from tests.otp.test_vectors import first_difference, read

Json = Any

REASONS = st.sampled_from(["error", "error", "normal", "shutdown", "kill"])
RESTARTS = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
NAMES = "abcdef"


@st.composite
def workers(draw: st.DrawFn, name: str, is_below_root: bool, may_signify: bool) -> Json:
    spec: Json = {"id": name, "type": "worker", "restart": draw(RESTARTS)}
    spec["significant"] = may_signify and spec["restart"] != "permanent" and draw(st.booleans())
    spec["shutdown"] = draw(st.sampled_from([5000, "brutal_kill", "infinity", 50]))
    if spec["shutdown"] == 50:
        spec["ignore_shutdown"] = draw(st.booleans())
    if draw(st.integers(0, 2)) == 2:
        outcomes = ["ok", "fail", "crash", "done"] if is_below_root else ["ok", "fail"]
        spec["start"] = ["ok", *draw(st.lists(st.sampled_from(outcomes), max_size=5)), draw(st.sampled_from(outcomes))]
    return spec


@st.composite
def supervisors(draw: st.DrawFn, name: str = "root", depth: int = 3, may_signify: bool = False) -> Json:
    is_root = name == "root"
    spec: Json = {
        "id": name,
        "type": "supervisor",
        "strategy": draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])),
        "intensity": draw(st.sampled_from([3, 9, 1, 0, 2])),
        "period": draw(st.sampled_from([5, 1])),
        "auto_shutdown": draw(st.sampled_from(["never", "never", "any_significant", "all_significant"])),
    }
    if not is_root:
        spec["restart"] = draw(RESTARTS)
        spec["significant"] = may_signify and spec["restart"] != "permanent" and draw(st.booleans())
    may_signify = spec["auto_shutdown"] != "never"
    spec["children"] = [
        draw(children(child, depth - 1, is_root, may_signify))
        for child in NAMES[: draw(st.sampled_from([3, 2, 4, 1, 0]))]
    ]
    return spec


@st.composite
def children(draw: st.DrawFn, name: str, depth: int, is_below_root: bool, may_signify: bool) -> Json:
    if depth > 0 and draw(st.integers(0, 2)) == 2:
        return draw(supervisors(name, depth, may_signify))
    return draw(workers(name, is_below_root, may_signify))


@st.composite
def scenarios(draw: st.DrawFn) -> Json:
    tree = draw(supervisors())
    paths = Paths(tree)
    steps = []
    for _ in range(draw(st.integers(1, 15))):
        step = draw(exits(paths) | sweeps(paths) | sleeps() | calls(paths))
        paths.learn(step)
        steps.append(step)
    return {"name": "random", "tree": tree, "steps": [*steps, {"op": "stop"}]}


class Paths:
    """What there may be."""

    def __init__(self, tree: Json) -> None:
        self.workers: list[str] = ["root/nobody"]
        self.supervisors: list[str] = []
        self.add(tree, "root")

    def add(self, node: Json, path: str) -> None:
        known = self.supervisors if node["type"] == "supervisor" else self.workers
        if path not in known:
            known.append(path)
        for child in node.get("children", ()):
            self.add(child, f"{path}/{child['id']}")

    def learn(self, step: Json) -> None:
        for call in (step, *step.get("during", ())):
            if call["op"] == "start_child":
                self.add(call["spec"], f"{call['supervisor']}/{call['spec']['id']}")

    def below(self, supervisor: str) -> list[str]:
        everybody = self.workers + self.supervisors[1:]
        return [path for path in everybody if above(path) == supervisor] or [f"{supervisor}/nobody"]


@st.composite
def exits(draw: st.DrawFn, paths: Paths) -> Json:
    step: Json = {"op": "exit", "child": draw(st.sampled_from(paths.workers)), "reason": draw(REASONS)}
    if draw(st.integers(0, 3)) == 3:
        step["during"] = [draw(calls(paths, above(step["child"]))) for _ in range(draw(st.integers(1, 3)))]
    return step


@st.composite
def sweeps(draw: st.DrawFn, paths: Paths) -> Json:
    siblings = [path for path in paths.below(draw(st.sampled_from(paths.supervisors))) if path in paths.workers]
    dead = draw(st.permutations(siblings))[: draw(st.integers(1, 4))]
    return {"op": "exit_many", "exits": [{"child": path, "reason": draw(REASONS)} for path in dead]}


def sleeps() -> st.SearchStrategy[Json]:
    return st.builds(lambda seconds: {"op": "sleep", "seconds": seconds}, st.sampled_from([0.3, 1.3, 5.7]))


@st.composite
def calls(draw: st.DrawFn, paths: Paths, supervisor: str | None = None) -> Json:
    called = supervisor or draw(st.sampled_from(paths.supervisors))
    op = draw(st.sampled_from(["terminate_child", "restart_child", "delete_child", "start_child"]))
    if op != "start_child":
        return {"op": op, "child": draw(st.sampled_from(paths.below(called)))}
    name, may_signify = draw(st.sampled_from("abxy")), draw(st.booleans())
    return {"op": op, "supervisor": called, "spec": draw(children(name, 1, called == "root", may_signify))}


def above(path: str) -> str:
    return path.rpartition("/")[0]


def test_transcription_gives_the_public_vectors_their_traces() -> None:
    failures = {}
    for name, line in read("hand.jsonl") + read("random.jsonl"):
        vector = json.loads(line)
        difference = first_difference(vector["trace"], plain(supervisor_erl.run(vector["scenario"])))
        if difference is not None:
            failures[name] = difference
    assert failures == {}


@given(scenarios())
def test_core_and_transcription_give_the_same_trace(scenario: Json) -> None:
    try:
        wanted = supervisor_erl.run(scenario)
    except supervisor_erl.Beyond:
        for step in scenario["steps"]:
            step.pop("during", None)
        wanted = supervisor_erl.run(scenario)
    assert first_difference(plain(wanted), plain(run(scenario))) is None


def plain(trace: Json) -> Json:
    return json.loads(json.dumps(trace))
