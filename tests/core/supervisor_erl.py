"""supervisor.erl of OTP 25, transcribed: an oracle for what no vector covers.

    run(scenario) -> trace

in the format of shared/otp-vectors/README.md. It is written as OTP's own code is, on the stack and one thing after
another, and has nothing in common with procsup/core but the rules; function names are those of supervisor.erl. It gives
all public vectors their traces (test_against_supervisor_erl.py).

Supervisors are processes with mailboxes that all run in one thread: scenarios in which two of them race are beyond it,
as they are beyond the vectors.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

Json = Any
Path = str
RESTARTING = "restarting"
"""The pid of a child that waits for its retry."""


class Beyond(Exception):
    """The scenario asks for what the vectors leave out."""


@dataclass(slots=True, eq=False)
class Process:
    path: Path
    parent: "Supervisor"
    is_alive: bool = True


@dataclass(slots=True, eq=False)
class Child:
    spec: Json
    pid: "Process | Supervisor | str | None" = None

    @property
    def name(self) -> str:
        return str(self.spec["id"])

    @property
    def is_temporary(self) -> bool:
        return str(self.spec.get("restart")) == "temporary"

    @property
    def is_significant(self) -> bool:
        return bool(self.spec.get("significant"))


@dataclass(frozen=True, slots=True)
class Exit:
    pid: "Process | Supervisor"
    reason: str


@dataclass(frozen=True, slots=True)
class TryAgainRestart:
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    ref: int
    step: Json


Message = Exit | TryAgainRestart | Call


@dataclass(slots=True)
class During:
    """Calls that arrive within the next start attempt of a worker."""

    supervisor: "Supervisor | None"
    calls: list[Call]


@dataclass(slots=True)
class Beam:
    """The world of one scenario."""

    now: float = 0.0
    events: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attempts: dict[Path, int] = field(default_factory=dict)
    starts: dict[Path, int] = field(default_factory=dict)
    registered: "dict[Path, Process | Supervisor]" = field(default_factory=dict)
    replies: dict[int, Json] = field(default_factory=dict)
    during: During | None = None
    exit_reason: str | None = None

    def start(self, parent: "Supervisor", spec: Json, path: Path) -> "tuple[Process | Supervisor | None, Json]":
        """The pid, or None and the error."""
        if spec["type"] == "supervisor":
            supervisor = Supervisor(self, parent, spec, path)
            error = supervisor.init()
            return (None, error) if error is not None else (supervisor, None)
        self._let_calls_in()
        self.attempts[path] = self.attempts.get(path, 0) + 1
        script = spec.get("start") or ["ok"]
        outcome = script[min(self.attempts[path], len(script)) - 1]
        if outcome == "fail":
            self.events.append(f"start_failed:{path}")
            return None, "init_failed"
        process = Process(path, parent)
        self.registered[path] = process
        self.count_start(path)
        if outcome != "ok":
            self.die(process, "error" if outcome == "crash" else "normal")
        return process, None

    def _let_calls_in(self) -> None:
        during, self.during = self.during, None
        if during is None:
            return
        if during.supervisor is None or self.registered.get(during.supervisor.path) is not during.supervisor:
            raise Beyond("the supervisor that is called in the middle of a start is gone")
        during.supervisor.mailbox.extend(during.calls)

    def count_start(self, path: Path) -> None:
        self.events.append(f"start:{path}")
        self.starts[path] = self.starts.get(path, 0) + 1

    def die(self, process: Process, reason: str) -> None:
        process.is_alive = False
        del self.registered[process.path]
        self.events.append(f"exited:{process.path}:{reason}")
        process.parent.mailbox.append(Exit(process, reason))

    def run(self) -> None:
        """Until every mailbox is empty."""
        while (supervisor := self._next()) is not None:
            supervisor.handle(supervisor.mailbox.popleft())

    def _next(self) -> "Supervisor | None":
        for process in self.registered.values():
            if isinstance(process, Supervisor) and process.mailbox:
                return process
        return None


class Supervisor:
    def __init__(self, beam: Beam, parent: "Supervisor | None", spec: Json, path: Path) -> None:
        self.beam = beam
        self.parent = parent
        self.spec = spec
        self.path = path
        self.children: list[Child] = []
        self.mailbox: deque[Message] = deque()
        self.restarts: list[float] = []
        self.is_alive = True

    def init(self) -> Json:
        """The error, or None."""
        self.beam.registered[self.path] = self
        error = self.check_startspec()
        if error is None:
            self.children = [Child(spec) for spec in self.spec.get("children", ())]
            failed = self.start_children(self.children)
            if failed is not None:
                self.terminate_children(self.children)
                error = ["failed_to_start_child", *failed]
        if error is None:
            self.beam.count_start(self.path)
            return None
        self.is_alive = False
        del self.beam.registered[self.path]
        self.beam.events.append(f"start_failed:{self.path}")
        return error

    def check_startspec(self) -> Json:
        names = set()
        for spec in self.spec.get("children", ()):
            if self.is_bad_combination(spec):
                return ["start_spec", "bad_combination"]
            if spec["id"] in names:
                return ["start_spec", ["duplicate_child_name", spec["id"]]]
            names.add(spec["id"])
        return None

    def is_bad_combination(self, spec: Json) -> bool:
        never = self.spec.get("auto_shutdown", "never") == "never"
        return bool(spec.get("significant")) and (never or spec.get("restart", "permanent") == "permanent")

    def handle(self, message: Message) -> None:
        match message:
            case Exit(pid=pid, reason=reason):
                child = next((child for child in self.children if child.pid is pid), None)
                if child is not None:
                    self.do_restart(child, reason)
            case TryAgainRestart(name=name):
                child = self.find_child(name)
                if child is not None and child.pid is RESTARTING:
                    self.restart(child)
            case Call(ref=ref, step=step):
                self.beam.replies[ref] = self.handle_call(step)

    # What becomes of a child

    def do_restart(self, child: Child, reason: str) -> None:
        kind = child.spec.get("restart", "permanent")
        if kind == "permanent" or (kind == "transient" and reason not in ("normal", "shutdown")):
            self.restart(child)
        else:
            self.del_child(child)
            self.do_auto_shutdown(child)

    def do_auto_shutdown(self, child: Child) -> None:
        kind = self.spec.get("auto_shutdown", "never")
        if not child.is_significant or kind == "never":
            return
        if kind == "all_significant" and any(c.is_significant and c.pid is not None for c in self.children):
            return
        self.beam.notes.append(f"auto_shutdown:{self.path}")
        self.exit_shutdown()

    def restart(self, child: Child) -> None:
        if not self.add_restart():
            self.beam.notes.append(f"max_intensity:{self.path}")
            self.del_child(child)
            self.exit_shutdown()
            return
        strategy = self.spec.get("strategy", "one_for_one")
        if strategy == "one_for_one":
            failed = self.start_children([child])
        else:
            group = self.children if strategy == "one_for_all" else self.children[self.children.index(child) :]
            failed = self.restart_multiple_children(child, group)
        if failed is not None:
            name = failed[0]
            again = self.find_child(name)
            assert again is not None
            again.pid = RESTARTING
            self.mailbox.append(TryAgainRestart(name))

    def add_restart(self) -> bool:
        """In real seconds, unlike OTP 25."""
        period = self.spec.get("period", 5)
        self.restarts = [time for time in self.restarts if self.beam.now - time <= period]
        self.restarts.append(self.beam.now)
        return len(self.restarts) <= int(self.spec.get("intensity", 3))

    def restart_multiple_children(self, child: Child, group: list[Child]) -> list[Json] | None:
        child.pid = None
        self.terminate_children(group)
        return self.start_children([child for child in group if child in self.children])

    def start_children(self, children: list[Child]) -> list[Json] | None:
        """The name of the one that failed, and the error."""
        for child in children:
            pid, error = self.beam.start(self, child.spec, f"{self.path}/{child.name}")
            if pid is None:
                return [child.name, error]
            child.pid = pid
        return None

    def terminate_children(self, children: list[Child]) -> None:
        for child in reversed(list(children)):
            self.do_terminate(child)
            self.del_child(child)

    def do_terminate(self, child: Child) -> None:
        pid = child.pid
        if isinstance(pid, str) or pid is None:
            return
        if not pid.is_alive:
            self.mailbox = deque(m for m in self.mailbox if not (isinstance(m, Exit) and m.pid is pid))
        elif isinstance(pid, Supervisor):
            pid.terminate()
            self.beam.events.append(f"stop:{pid.path}:shutdown")
        else:
            pid.is_alive = False
            del self.beam.registered[pid.path]
            self.beam.events.append(f"stop:{pid.path}:{self.shutdown(child.spec)}")

    def shutdown(self, spec: Json) -> str:
        if spec.get("shutdown") == "brutal_kill":
            return "brutal_kill"
        if not spec.get("ignore_shutdown"):
            return "shutdown"
        self.beam.now += spec["shutdown"] / 1000
        return "killed"

    def del_child(self, child: Child) -> None:
        if child.is_temporary:
            self.children.remove(child)
        else:
            child.pid = None

    def find_child(self, name: str) -> Child | None:
        return next((child for child in self.children if child.name == name), None)

    # Its own end

    def terminate(self) -> None:
        self.terminate_children(self.children)
        self.is_alive = False
        del self.beam.registered[self.path]
        for message in self.mailbox:
            if isinstance(message, Call):
                self.beam.replies[message.ref] = {"error": "noproc"}

    def exit_shutdown(self) -> None:
        self.terminate()
        self.beam.events.append(f"exited:{self.path}:shutdown")
        if self.parent is None:
            self.beam.exit_reason = "shutdown"
        else:
            self.parent.mailbox.append(Exit(self, "shutdown"))

    # Calls

    def handle_call(self, step: Json) -> Json:
        match step["op"]:
            case "start_child":
                return self.handle_start_child(step["spec"])
            case "terminate_child":
                child = self.find_child(name_of(step))
                if child is None:
                    return {"error": "not_found"}
                self.do_terminate(child)
                self.del_child(child)
                return "ok"
            case op:
                child = self.find_child(name_of(step))
                if child is None:
                    return {"error": "not_found"}
                if child.pid is not None:
                    return {"error": "restarting" if child.pid is RESTARTING else "running"}
                if op == "restart_child":
                    failed = self.start_children([child])
                    return "ok" if failed is None else {"error": failed[1]}
                self.children.remove(child)
                return "ok"

    def handle_start_child(self, spec: Json) -> Json:
        if self.is_bad_combination(spec):
            return {"error": "bad_combination"}
        present = self.find_child(spec["id"])
        if present is not None:
            is_down = present.pid is None or present.pid is RESTARTING
            return {"error": "already_present" if is_down else "already_started"}
        child = Child(spec)
        failed = self.start_children([child])
        if failed is not None:
            return {"error": failed[1]}
        self.children.append(child)
        return "ok"


def name_of(step: Json) -> str:
    return str(step["child"]).rpartition("/")[2]


def supervisor_of(step: Json) -> str:
    return str(step["supervisor"] if step["op"] == "start_child" else step["child"].rpartition("/")[0])


class Harness:
    """Plays a scenario and reports."""

    def __init__(self, scenario: Json) -> None:
        self.beam = Beam()
        self.scenario = scenario
        self.root = Supervisor(self.beam, None, scenario["tree"], scenario["tree"]["id"])
        self.declared: dict[Path, None] = {}
        self.refs = 0
        self.declare(scenario["tree"], scenario["tree"]["id"])

    def declare(self, node: Json, path: Path) -> None:
        self.declared[path] = None
        for child in node.get("children", ()):
            self.declare(child, f"{path}/{child['id']}")

    def start(self) -> Json:
        error = self.root.init()
        if error is not None:
            self.beam.exit_reason = "start_failed"
        self.beam.run()
        return self.report("start", "ok" if error is None else {"error": error})

    def step(self, step: Json) -> Json:
        result: Json
        match step["op"]:
            case "exit":
                return self.exit(step)
            case "exit_many":
                result = [self.kill(one["child"], one["reason"]) for one in step["exits"]]
                self.beam.run()
            case "sleep":
                self.beam.now += step["seconds"]
                result = "ok"
            case "stop":
                result = self.stop()
            case _:
                call = self.call(step)
                called = self.beam.registered.get(supervisor_of(step))
                if isinstance(called, Supervisor):
                    called.mailbox.append(call)
                    self.beam.run()
                    result = self.beam.replies[call.ref]
                else:
                    result = {"error": "noproc"}
        return self.report(step["op"], result)

    def exit(self, step: Json) -> Json:
        calls = [self.call(call) for call in step.get("during", ())]
        if calls:
            supervisor = self.beam.registered.get(step["child"].rpartition("/")[0])
            self.beam.during = During(supervisor if isinstance(supervisor, Supervisor) else None, calls)
        result = self.kill(step["child"], step["reason"])
        self.beam.run()
        if self.beam.during is not None:
            raise Beyond("no worker was started")
        report = self.report("exit", result)
        if "during" in step:
            report["during_results"] = [self.beam.replies[call.ref] for call in calls]
        return report

    def kill(self, path: Path, reason: str) -> Json:
        process = self.beam.registered.get(path)
        if not isinstance(process, Process):
            return {"error": "not_running"}
        self.beam.die(process, reason)
        return "ok"

    def stop(self) -> Json:
        if not self.root.is_alive:
            return {"error": "noproc"}
        self.root.terminate()
        self.beam.events.append(f"stop:{self.root.path}:shutdown")
        self.beam.exit_reason = "shutdown"
        return "ok"

    def call(self, step: Json) -> Call:
        self.refs += 1
        if step["op"] == "start_child":
            self.declare(step["spec"], f"{step['supervisor']}/{step['spec']['id']}")
        return Call(self.refs, step)

    def report(self, op: str, result: Json) -> Json:
        events, self.beam.events = self.beam.events, []
        notes, self.beam.notes = self.beam.notes, []
        return {
            "op": op,
            "result": result,
            "events": events,
            "root": {"alive": self.beam.exit_reason is None, "exit_reason": self.beam.exit_reason},
            "snapshot": {
                path: {"state": self.state(path), "starts": self.beam.starts.get(path, 0)} for path in self.declared
            },
            "notes": notes,
        }

    def state(self, path: Path) -> str:
        if path == self.root.path:
            return "running" if self.root.is_alive else "gone"
        above, _, name = path.rpartition("/")
        supervisor = self.beam.registered.get(above)
        child = supervisor.find_child(name) if isinstance(supervisor, Supervisor) else None
        if child is None:
            return "gone"
        return "stopped" if child.pid is None else "running"


def run(scenario: Json) -> Json:
    """The trace that OTP would give.

    Raises:
        Beyond: the scenario has calls `during` a start that never comes, or to a supervisor that is gone by then.
    """
    harness = Harness(scenario)
    steps = [harness.start()]
    steps += [harness.step(step) for step in scenario["steps"]]
    return {"name": scenario["name"], "steps": steps}
