"""Plays a scenario of the OTP conformance vectors to the core, in virtual time, and reports the trace.

    run(scenario: dict) -> dict

It translates: nodes to specs, steps to events, actions to what a world of scripted processes does, records to trace
events. It decides nothing: whatever a supervisor does, the core did.

    process and outcome     events that the world queues
    ok                      Started
    fail                    SpawnFailed
    crash, done             Started, Exited with 1 or 0
    a signal                Exited, unless the process ignores it

The reason "shutdown" (it ended because it was asked to, not by its supervisor) is played as death by SIGTERM, which
`normal_exits` declares.
"""

import sys
from collections import deque
from pathlib import Path
from typing import Any

if str(Path(__file__).resolve().parents[2]) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from procsup.core.actions import Action, Cancel, End, Record, Reply, Signal, Spawn
from procsup.core.calls import Call, DeleteChild, Refusal, RestartChild, StartChild, TerminateChild
from procsup.core.events import Booted, Called, Event, Exited, ShutdownRequested, SpawnFailed, Started, TimePassed
from procsup.core.node import Node
from procsup.core.reason import (
    BadStartSpec,
    ExitCode,
    FailedToStartChild,
    KilledBySignal,
    Reason,
    StartFailed,
    WorkerExit,
)
from procsup.core.spec import (
    AutoShutdown,
    BadCombination,
    ChildSpec,
    Program,
    Restart,
    Strategy,
    SupervisorSpec,
    WorkerSpec,
)
from procsup.core.view import which_children

Json = Any

ENDS: dict[str, WorkerExit] = {
    "normal": ExitCode(0),
    "shutdown": KilledBySignal("SIGTERM"),
    "error": ExitCode(1),
    "kill": KilledBySignal("SIGKILL"),
}
IGNORES = ("ignore_shutdown", "true")
CRASHES = {"crash": "error", "done": "normal"}


def run(scenario: Json) -> Json:
    """The trace of the scenario, in the format of the vectors' README."""
    world = World(scenario["tree"])
    steps = [world.start()]
    steps += [world.step(step) for step in scenario["steps"]]
    return {"name": scenario["name"], "steps": steps}


class World:
    """Scripted processes under one node."""

    def __init__(self, tree: Json) -> None:
        self.root = tree["id"]
        self.node = Node(supervisor_spec(tree))
        self.now = 0.0
        self.queue: deque[Event] = deque()
        self.attempts: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.declared: dict[str, None] = {}
        self.alive: dict[int, Spawn] = {}
        self.events: list[str] = []
        self.notes: list[str] = []
        self.replies: dict[int, Json] = {}
        self.refs = 0
        self.during: list[Event] = []
        self.end: End | None = None
        self.declare(tree, tree["id"])

    def declare(self, node: Json, path: str) -> None:
        self.declared[path] = None
        for child in node.get("children", ()):
            self.declare(child, f"{path}/{child['id']}")

    # Steps

    def start(self) -> Json:
        self.queue.append(Booted(1, "", ""))
        self.settle()
        return self.report("start", {"error": term(self.end.reason)} if self.end and self.has_failed else "ok")

    def step(self, step: Json) -> Json:
        self.events, self.notes = [], []
        op = step["op"]
        match op:
            case "exit":
                during = [self.call(call) for call in step.get("during", ())]
                self.during = [event for _, event in during]
                result = self.exit(step["child"], step["reason"])
                self.settle()
                report = self.report(op, result)
                if "during" in step:
                    report["during_results"] = [self.replies[ref] for ref, _ in during]
                return report
            case "exit_many":
                result = [self.exit(one["child"], one["reason"]) for one in step["exits"]]
            case "sleep":
                self.now += step["seconds"]
                self.queue.append(TimePassed())
                result = "ok"
            case "stop":
                result = "ok" if self.end is None else {"error": "noproc"}
                self.queue.append(ShutdownRequested())
            case _:
                ref, event = self.call(step)
                self.queue.append(event)
                self.settle()
                return self.report(op, self.replies[ref])
        self.settle()
        return self.report(op, result)

    def exit(self, path: str, reason: str) -> Json:
        for life, spawn in self.alive.items():
            if spawn.path == path:
                self.die(life, reason)
                return "ok"
        return {"error": "not_running"}

    def call(self, step: Json) -> tuple[int, Event]:
        self.refs += 1
        above, _, name = step.get("child", "").rpartition("/")
        call: Call
        match step["op"]:
            case "start_child":
                self.declare(step["spec"], f"{step['supervisor']}/{step['spec']['id']}")
                call = StartChild(step["supervisor"], child_spec(step["spec"]))
            case "terminate_child":
                call = TerminateChild(above, name)
            case "restart_child":
                call = RestartChild(above, name)
            case "delete_child":
                call = DeleteChild(above, name)
        return self.refs, Called(self.refs, call)

    # The world

    def settle(self) -> None:
        """Until nothing is left to happen; stop times pass when nothing else does."""
        while True:
            if not self.queue:
                deadline = self.node.next_deadline()
                if deadline is None:
                    return
                self.now = max(self.now, deadline)
                self.queue.append(TimePassed())
            batch, self.queue = self.queue, deque()
            for action in self.node.handle(batch, self.now):
                self.perform(action)

    def perform(self, action: Action) -> None:
        match action:
            case Spawn():
                self.queue.extend(self.during)
                self.during = []
                self.spawn(action)
            case Cancel():
                pass  # as in OTP, nothing happens before a start is over
            case Signal(life=life, signal=signal):
                self.signal(life, signal)
            case Reply(ref=ref, error=error):
                self.replies[ref] = "ok" if error is None else {"error": term(error)}
            case Record():
                self.log(action)
            case End():
                self.end = action

    def spawn(self, spawn: Spawn) -> None:
        life, path, script = spawn.life, spawn.path, spawn.spec.program.command
        self.attempts[path] = self.attempts.get(path, 0) + 1
        outcome = script[min(self.attempts[path], len(script)) - 1]
        if outcome == "fail":
            self.events.append(f"start_failed:{path}")
            self.queue.append(SpawnFailed(life, "exec", "ENOENT"))
            return
        self.events.append(f"start:{path}")
        self.starts[path] = self.starts.get(path, 0) + 1
        self.alive[life] = spawn
        self.queue.append(Started(life, 1000 + life))
        if outcome in CRASHES:
            self.die(life, CRASHES[outcome])

    def die(self, life: int, reason: str) -> None:
        self.events.append(f"exited:{self.alive.pop(life).path}:{reason}")
        self.queue.append(Exited(life, ENDS[reason]))

    def signal(self, life: int, signal: str) -> None:
        spawn = self.alive.get(life)
        if spawn is None or signal == "SIGCONT" or (signal != "SIGKILL" and IGNORES in spawn.spec.program.env):
            return
        del self.alive[life]
        self.queue.append(Exited(life, KilledBySignal(signal)))

    # The trace

    def log(self, record: Record) -> None:
        is_supervisor = record.details.get("type") == "supervisor"
        match record.event:
            case "ready" if is_supervisor:
                self.starts[record.path] = self.starts.get(record.path, 0) + 1
                self.events.append(f"start:{record.path}")
            case "start_failed" if is_supervisor:
                self.events.append(f"start_failed:{record.path}")
            case "exited" if is_supervisor:
                self.events.append(f"exited:{record.path}:shutdown")
            case "stopped":
                self.events.append(f"stop:{record.path}:{record.details['how']}")
            case "gave_up":
                self.notes.append(f"max_intensity:{record.path}")
            case "auto_shutdown":
                self.notes.append(f"auto_shutdown:{record.path}")

    def report(self, op: str, result: Json) -> Json:
        reason = None
        if self.end is not None:
            reason = "start_failed" if self.has_failed else "shutdown"
        return {
            "op": op,
            "result": result,
            "events": self.events,
            "root": {"alive": self.end is None, "exit_reason": reason},
            "snapshot": {path: self.snapshot(path) for path in self.declared},
            "notes": self.notes,
        }

    @property
    def has_failed(self) -> bool:
        return self.end is not None and self.end.status == 69

    def snapshot(self, path: str) -> Json:
        return {"state": self.state(path), "starts": self.starts.get(path, 0)}

    def state(self, path: str) -> str:
        if path == self.root:
            return "running" if self.end is None else "gone"
        above, _, name = path.rpartition("/")
        listed = which_children(self.node, above)
        if isinstance(listed, Refusal):
            return "gone"
        states = {child.name: child.state for child in listed}
        return {"undefined": "stopped", None: "gone"}.get(states.get(name), states.get(name, "gone"))


def child_spec(node: Json) -> ChildSpec:
    return supervisor_spec(node) if node["type"] == "supervisor" else worker_spec(node)


def supervisor_spec(node: Json) -> SupervisorSpec:
    return SupervisorSpec(
        node["id"],
        tuple(child_spec(child) for child in node.get("children", ())),
        Strategy(node.get("strategy", "one_for_one")),
        node.get("intensity", 3),
        float(node.get("period", 5)),
        AutoShutdown(node.get("auto_shutdown", "never")),
        Restart(node.get("restart", "permanent")),
        node.get("significant", False),
    )


def worker_spec(node: Json) -> WorkerSpec:
    shutdown: Json = node.get("shutdown", 5000)
    env = (IGNORES,) if node.get("ignore_shutdown") else ()
    return WorkerSpec(
        node["id"],
        Program(tuple(node.get("start") or ["ok"]), env=env),
        Restart(node.get("restart", "permanent")),
        node.get("significant", False),
        shutdown / 1000 if isinstance(shutdown, int) else shutdown,
        normal_exits=frozenset({0, "SIGTERM"}),
    )


def term(error: Reason | Refusal) -> Json:
    """An error as the term that OTP's call would return."""
    match error:
        case Refusal():
            return error.value
        case StartFailed():
            return "init_failed"
        case FailedToStartChild(name=name, reason=reason):
            return ["failed_to_start_child", name, term(reason)]
        case BadStartSpec(complaint=BadCombination()):
            return ["start_spec", "bad_combination"]
        case BadStartSpec(complaint=complaint):
            return ["start_spec", ["duplicate_child_name", complaint.name]]
        case _:
            return str(error)
