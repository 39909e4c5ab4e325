"""A virtual world under one node: processes that do what a test says, and a clock that moves when it is told to.

    world = World(one_for_all("root", "a", "b")).boot()
    world.kill("a")
    assert world.tell() == ["exit a exit 1", "stop b shutdown", "start a", "start b"]

Whatever the node is told and does is checked (invariants.py). The world answers actions by events that wait in
`pending`; `settle` delivers them, all at once, until nothing is left to happen but the passing of time. A test that
wants something to come in between delivers them by hand.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from procsup.core.actions import Action, Cancel, End, Record, Reply, Retract, Signal, Spawn, Tell
from procsup.core.calls import (
    Call,
    DeleteChild,
    Refusal,
    Restart,
    RestartChild,
    Start,
    StartChild,
    Stop,
    TerminateChild,
)
from procsup.core.child import Child, State
from procsup.core.events import (
    BecameReady,
    Booted,
    Called,
    Emptied,
    Event,
    Exited,
    Requested,
    ShutdownRequested,
    SpawnFailed,
    Started,
    TimePassed,
)
from procsup.core.messages import Message, RequestId
from procsup.core.node import Node
from procsup.core.readiness import is_ready_at_exec
from procsup.core.reason import ExitCode, KilledBySignal, StartFailure, WorkerExit
from procsup.core.requests import Request
from procsup.core.spec import ChildSpec, SupervisorSpec
from tests.core.invariants import Invariants
from tests.core.trees import paths

CRASH = ExitCode(1)
NORMAL = ExitCode(0)
BOOTED = Booted(4242, "kingdom.toml", "1")

Outcome = Refusal | StartFailure | str
"""What became of a call: "ok", or why not."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What will become of one start attempt, and what its process is like."""

    fails: bool = False
    """There will be no process."""
    hangs: bool = False
    """Nor will there be, but nobody learns of that until KILL is asked for."""
    is_slow: bool = False
    """It is not ready before a test says so, if more is needed than the execution."""
    ignores_stop: bool = False
    """The main process ends only by KILL."""
    leaves_rest: bool = False
    """Somebody else is in its group, who lives on when the main process ends by itself."""
    rest_ignores_stop: bool = False


GOOD = Fate()
FAILS = Fate(fails=True)
HANGS = Fate(hangs=True)
SLOW = Fate(is_slow=True)
SLOW_AND_STUBBORN = Fate(is_slow=True, ignores_stop=True, leaves_rest=True)
STUBBORN = Fate(ignores_stop=True)
LEAVES_REST = Fate(leaves_rest=True)
LEAVES_STUBBORN_REST = Fate(leaves_rest=True, rest_ignores_stop=True)


@dataclass(slots=True, eq=False)
class Process:
    """The process group of one life, until the node was told that nothing of it is left.

    `main` and `rest` say who lives, `is_known` that the node knows the pid, `is_told` that somebody sent a signal,
    `is_waiting` that it hangs, or that it is slow and not ready.
    """

    life: int
    path: str
    fate: Fate
    main: bool = True
    rest: bool = False
    has_channel: bool = False
    is_known: bool = False
    is_told: bool = False
    is_waiting: bool = False

    @property
    def can_ask(self) -> bool:
        return self.is_known and self.has_channel


class World:
    def __init__(self, tree: SupervisorSpec) -> None:
        self.node = Node(tree)
        self.invariants = Invariants(self.node)
        self.now = 100.0
        self.pending: list[Event] = []
        self.processes: dict[int, Process] = {}
        self.fates: dict[str, deque[Fate]] = {}
        self._always: dict[str, Fate] = {}
        self.answers: dict[int, Outcome] = {}
        self.records: list[Record] = []
        self.signals: list[tuple[float, str, str]] = []
        self.messages: list[tuple[str, Message]] = []
        """To whom, by name."""
        self.retracted: list[tuple[str, int]] = []
        self.spawned: dict[str, int] = {}
        self._lives: dict[int, str] = {}
        self.end: End | None = None
        self.history: list[tuple[tuple[Event, ...], float]] = []
        self.actions: list[Action] = []
        self._paths = {path.rpartition("/")[2]: path for path in paths(tree)}
        self._delayed: list[Event] = []
        self._story: list[str] = []
        self._refs = 0

    # What a test arranges

    def fate(self, name: str, *fates: Fate) -> Self:
        """The next start attempts of this worker; those after them are good, or as `every_fate` says."""
        self.fates.setdefault(self.path(name), deque()).extend(fates)
        return self

    def every_fate(self, name: str, fate: Fate) -> Self:
        self._always[self.path(name)] = fate
        return self

    # What it does

    def boot(self) -> Self:
        return self.happen(BOOTED)

    def kill(self, *names: str, end: WorkerExit = CRASH) -> Self:
        """The main processes of these workers end by themselves, and the node learns of all of them at once."""
        return self.exits(*names, end=end).settle()

    def become_ready(self, *names: str) -> Self:
        """These slow workers are ready now."""
        for name in names:
            self.wait_is_over(self.process(name))
        return self.settle()

    def request(self, name: str, request: Request, request_id: RequestId | None = None) -> Self:
        """The worker asks, and the world settles."""
        return self.happen(Requested(self.process(name).life, request_id, request))

    def exits(self, *names: str, end: WorkerExit = CRASH) -> Self:
        """The same, but the node has yet to learn of it."""
        for name in names:
            self.die(self.process(name), end)
        return self

    def boot_until(self, is_reached: Callable[[], bool]) -> Self:
        """Boot, but stop in the middle of it."""
        self.pending.append(BOOTED)
        return self.deliver_until(is_reached)

    def call(self, call: Call) -> Outcome:
        """The answer, once the world has settled; "unanswered" when it must wait for time to pass."""
        ref = self.ask(call)
        self.settle()
        return self.answer(ref)

    def start(self, name: str) -> Outcome:
        return self.call(Start(self.path(name)))

    def stop(self, name: str) -> Outcome:
        return self.call(Stop(self.path(name)))

    def restart(self, name: str) -> Outcome:
        return self.call(Restart(self.path(name)))

    def start_child(self, supervisor: str, spec: ChildSpec) -> Outcome:
        self._paths.setdefault(spec.name, f"{self.path(supervisor)}/{spec.name}")
        return self.call(StartChild(self.path(supervisor), spec))

    def terminate_child(self, name: str) -> Outcome:
        return self.call(TerminateChild(*self._place(name)))

    def restart_child(self, name: str) -> Outcome:
        return self.call(RestartChild(*self._place(name)))

    def delete_child(self, name: str) -> Outcome:
        return self.call(DeleteChild(*self._place(name)))

    def shut_down(self) -> Self:
        return self.happen(ShutdownRequested())

    def wait(self, seconds: float) -> Self:
        """Time passes; what is due on the way happens on the way."""
        until = self.now + seconds
        while (deadline := self.node.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            self.happen(TimePassed())
            assert self.node.next_deadline() != deadline, "the deadline has come and is not over"
        self.now = until
        return self.happen(TimePassed())

    def happen(self, *events: Event) -> Self:
        self.pending.extend(events)
        return self.settle()

    def ask(self, call: Call) -> int:
        """The call waits among the pending events; this is its ref."""
        self._refs += 1
        self.pending.append(Called(self._refs, call))
        return self._refs

    def settle(self) -> Self:
        while self.pending:
            self.deliver()
        self._check_quiescent()
        return self

    def deliver(self) -> Self:
        """What is pending now, in one batch; the answers to it are pending then."""
        batch, self.pending = self.pending, []
        self.handle(batch)
        return self

    def deliver_until(self, is_reached: Callable[[], bool]) -> Self:
        """Stops in the middle of things."""
        while not is_reached():
            assert self.pending, "the world has settled, and it was not reached"
            self.deliver()
        return self

    def delay(self) -> Self:
        """What is pending now takes its time, until `arrive`."""
        self._delayed.extend(self.pending)
        self.pending.clear()
        return self

    def arrive(self) -> Self:
        """What was delayed arrives, before anything else that is pending."""
        self.pending[:0] = self._delayed
        self._delayed.clear()
        return self.settle()

    def handle(self, events: Iterable[Event]) -> None:
        """One batch."""
        batch = tuple(events)
        self.history.append((batch, self.now))
        for event in batch:
            if isinstance(event, Started):
                self.processes[event.life].is_known = True
            if isinstance(event, Emptied | SpawnFailed) or (isinstance(event, Exited) and event.gone):
                del self.processes[event.life]
        actions = self.node.handle(batch, self.now)
        self.actions.extend(actions)
        self.invariants.check(batch, actions)
        for action in actions:
            self._perform(action)

    def die(self, process: Process, end: WorkerExit) -> None:
        """Its main process ends."""
        process.main = process.is_waiting = False
        self.pending.append(Exited(process.life, end, gone=not process.rest, tail=("last words",)))

    def wait_is_over(self, process: Process) -> None:
        """The slow is ready, or the spawn that hung has failed."""
        process.is_waiting = False
        if process.fate.hangs:
            self.pending.append(SpawnFailed(process.life, "spawn", "ECANCELED"))
        else:
            self.pending.append(BecameReady(process.life))

    def rest_dies(self, process: Process) -> None:
        process.rest = False
        if not process.main:
            self.pending.append(Emptied(process.life))

    # What it asks

    def tell(self) -> list[str]:
        """What happened since the last time, a line each, without seconds and numbers."""
        story, self._story = self._story, []
        return story

    def up(self) -> list[str]:
        """The names of the workers whose main process lives, in the order of their starts."""
        return [_name(process.path) for process in self.processes.values() if process.main]

    def child(self, name: str) -> Child:
        child = self.node.child(self.path(name))
        assert child is not None, f"there is no child {name}"
        return child

    def state(self, name: str) -> State | None:
        child = self.node.child(self.path(name))
        return None if child is None else child.state

    def has(self, name: str) -> bool:
        return self.node.child(self.path(name)) is not None

    def process(self, name: str) -> Process:
        path = self.path(name)
        return next(process for process in self.processes.values() if process.path == path)

    def starts(self, name: str) -> int:
        """The start attempts of a worker."""
        return self.spawned.get(self.path(name), 0)

    def answer(self, ref: int) -> Outcome:
        return self.answers.get(ref, "unanswered")

    def signals_to(self, name: str) -> list[str]:
        return [signal for _, to, signal in self.signals if to == name]

    def messages_to(self, name: str) -> list[Message]:
        return [message for to, message in self.messages if to == name]

    def record_of(self, event: str, name: str) -> Record:
        """The last one."""
        return next(r for r in reversed(self.records) if (r.event, r.path) == (event, self.path(name)))

    def path(self, name: str) -> str:
        return name if "/" in name else self._paths.get(name, name)

    # How it goes

    def _place(self, name: str) -> tuple[str, str]:
        above, _, last = self.path(name).rpartition("/")
        return above, last

    def _perform(self, action: Action) -> None:
        match action:
            case Spawn():
                self._spawn(action)
            case Cancel(life=life):
                self._end_spawn(life)
            case Signal(life=life, signal=signal):
                self.signals.append((self.now, _name(self._lives[life]), signal))
                if signal == "SIGKILL":
                    self._hasten(life)
                    self._end_spawn(life)
                if life in self.processes:
                    self._signal(self.processes[life], signal)
            case Tell(life=life, message=message):
                self.messages.append((_name(self._lives[life]), message))
            case Retract(life=life, ref=ref):
                self.retracted.append((_name(self._lives[life]), ref))
            case Reply(ref=ref, error=error):
                self.answers[ref] = "ok" if error is None else error
            case Record():
                self.records.append(action)
                self._story.extend(_lines(action))
            case End(status=status):
                self.end = action
                self._story.append(f"end {status}")

    def _spawn(self, spawn: Spawn) -> None:
        self._lives[spawn.life] = spawn.path
        self.spawned[spawn.path] = self.spawned.get(spawn.path, 0) + 1
        fate = self.next_fate(spawn.path)
        process = Process(spawn.life, spawn.path, fate, rest=fate.leaves_rest, has_channel=spawn.spec.has_channel)
        self.processes[spawn.life] = process
        if fate.fails or fate.hangs:
            process.main, process.is_waiting = False, fate.hangs
            if fate.fails:
                self.pending.append(SpawnFailed(spawn.life, "exec", "ENOENT"))
            return
        self.pending.append(Started(spawn.life, 1000 + spawn.life))
        if not is_ready_at_exec(spawn.spec.ready):
            process.is_waiting = fate.is_slow
            if not fate.is_slow:
                self.wait_is_over(process)

    def _end_spawn(self, life: int) -> None:
        """Unless it was answered, or its process is there: that of every second life is, though nobody knows so far."""
        for events in (self.pending, self._delayed):
            for number, event in enumerate(events):
                if isinstance(event, Started) and event.life == life and life % 2 == 0 and self.processes[life].main:
                    events[number] = SpawnFailed(life, "spawner", "ECANCELED")
                    self.processes[life].main = self.processes[life].rest = self.processes[life].is_waiting = False

    def _hasten(self, life: int) -> None:
        """What was delayed of it arrives."""
        self.pending.extend(event for event in self._delayed if _is_of(event, life))
        self._delayed = [event for event in self._delayed if not _is_of(event, life)]

    def next_fate(self, path: str) -> Fate:
        fates = self.fates.get(path)
        return fates.popleft() if fates else self._always.get(path, GOOD)

    def _signal(self, process: Process, signal: str) -> None:
        process.is_told = True
        if process.is_waiting and process.fate.hangs:
            self.wait_is_over(process)
        if signal == "SIGCONT":
            return
        is_kill = signal == "SIGKILL"
        rest_ends = process.rest and (is_kill or not process.fate.rest_ignores_stop)
        if process.main and (is_kill or not process.fate.ignores_stop):
            process.rest = process.rest and not rest_ends
            self.die(process, KilledBySignal(signal))
        elif rest_ends:
            self.rest_dies(process)

    def _check_quiescent(self) -> None:
        """Unless something is delayed, or somebody takes his time who was told to end, or is not ready."""
        if not self._delayed and not any(process.is_told or process.is_waiting for process in self.processes.values()):
            self.invariants.check_quiescent()


def _lines(record: Record) -> list[str]:
    name, details = _name(record.path), record.details
    match record.event:
        case "ready":
            return [f"start {name}"]
        case "start_failed":
            return [f"fail {name}"]
        case "exited":
            return [f"exit {name} {details['reason']}"]
        case "stopped":
            return [f"stop {name} {details['how']}"]
        case "child_removed":
            return [f"remove {name} {details['why']}"]
        case "gave_up" | "auto_shutdown" | "held" | "released" | "child_added":
            return [f"{record.event} {name}"]
        case _:
            return []


def _is_of(event: Event, life: int) -> bool:
    return isinstance(event, Started | BecameReady | SpawnFailed | Exited | Emptied) and event.life == life


def _name(path: str) -> str:
    return path.rpartition("/")[2]
