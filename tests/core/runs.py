"""Random runs: a random tree, random processes, and random steps, in which the world takes its time to answer.

Every step adds events to a batch, and may hand it over to the node: so that commands, deaths and timers arrive while
other things are under way, one by one or together. What a run did is in its steps: they print as what they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, assert_never

from hypothesis import strategies as st

from procsup.core.calls import (
    Call,
    DeleteChild,
    Reload,
    Restart,
    RestartChild,
    Start,
    StartChild,
    Stop,
    TerminateChild,
)
from procsup.core.child import State
from procsup.core.events import Event, Exited, Requested, ShutdownRequested, TimePassed
from procsup.core.readiness import AT_EXEC, Notify, Ready
from procsup.core.reason import ExitCode, KilledBySignal, WorkerExit
from procsup.core.requests import Demonitor, Link, Monitor, Request, TrapExits, Unlink
from procsup.core.spec import (
    UNBOUND,
    AutoShutdown,
    Bonds,
    ChildSpec,
    Shutdown,
    StartTimeout,
    SupervisorSpec,
    WorkerSpec,
)
from procsup.core.spec import Restart as RestartType
from procsup.core.spec import Strategy as RestartStrategy
from tests.core.trees import OTHER_PROGRAM, PROGRAM, paths
from tests.core.world import (
    BOOTED,
    FAILS,
    GOOD,
    HANGS,
    LEAVES_REST,
    LEAVES_STUBBORN_REST,
    SLOW,
    SLOW_AND_STUBBORN,
    STUBBORN,
    Fate,
    Outcome,
    Process,
    World,
)

# Steps. Numbers choose among what there is at that moment.


@dataclass(frozen=True, slots=True)
class Answer:
    """These of the pending events arrive."""

    choices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnswerAll:
    """Everything that is pending arrives."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Everything that is pending arrives, and what that leads to, until nothing is pending."""


@dataclass(frozen=True, slots=True)
class Die:
    """These workers end by themselves, and the node learns of all of them."""

    choices: tuple[int, ...]
    end: WorkerExit


@dataclass(frozen=True, slots=True)
class WaitEnds:
    """A slow worker becomes ready, or a spawn that hung fails."""

    choice: int


@dataclass(frozen=True, slots=True)
class RestDies:
    """What was left of a process group ends."""

    choice: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Time passes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Command:
    """An operator's. `at_busy`: at one of those on their way from one state to another, if there are any."""

    make: Callable[[str], Call]
    choice: int
    at_busy: bool


@dataclass(frozen=True, slots=True)
class ChildCall:
    make: Callable[[str, str], Call]
    choice: int
    at_busy: bool


@dataclass(frozen=True, slots=True)
class AddChild:
    choice: int
    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class ReloadTree:
    tree: SupervisorSpec


@dataclass(frozen=True, slots=True)
class Ask:
    """A worker asks something of the core. `is_wanted`: and wants to know what comes of it."""

    choice: int
    request: Request
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class ShutDown:
    pass


Step = (
    Answer | AnswerAll | Settle | Die | WaitEnds | RestDies | Pass | Command | ChildCall | AddChild | ReloadTree | Ask
    | ShutDown
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """What is going to happen. `steps` have a flag each: whether the batch is handed over after it. `is_up`: they begin
    when the tree is up, which no failed start prevents; else at the first moment.
    """

    tree: SupervisorSpec
    fates: tuple[Fate, ...]
    steps: tuple[tuple[Step, bool], ...]
    is_up: bool = False


class RandomWorld(World):
    """Plays a run. The fates of the start attempts are those of the run, over and over again."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.tree)
        self._run = run
        self._attempts = 0
        self._is_good = False
        self._batch: list[Event] = []
        self.known = [*paths(run.tree), "nowhere", f"{run.tree.name}/nobody"]

    def next_fate(self, path: str) -> Fate:
        self._attempts += 1
        if self._is_good:
            return GOOD
        fate = self._run.fates[self._attempts % len(self._run.fates)]
        is_boot = self._run.is_up and self.child("root").starts == 0
        return GOOD if is_boot and (fate.fails or fate.hangs or fate.is_slow) else fate

    def play(self) -> None:
        self._batch.append(BOOTED)
        if self._run.is_up:
            self._hand_over()
            self.settle()
        for step, is_last in self._run.steps:
            self._step(step)
            if is_last:
                self._hand_over()
        self._hand_over()

    def calm_down(self) -> Self:
        """Everything arrives, time passes, an operator kills who does not end, and who was slow is ready at last, until
        nothing is left to happen.

        A restart that takes longer than the period and always fails goes on for ever, in OTP too (OTP-SEMANTICS § 9):
        after a hundred deadlines the world turns good.
        """
        rounds = 0
        while True:
            rounds += 1
            self._is_good |= rounds > 100
            self.settle()
            deadline = self.node.next_deadline()
            told = next((process for process in self.processes.values() if process.is_told), None)
            waiting = next((process for process in self.processes.values() if process.is_waiting), None)
            if deadline is not None:
                self.now = max(self.now, deadline)
                self.pending.append(TimePassed())
            elif told is not None:
                self._end_group(told)
            elif waiting is not None:
                self.wait_is_over(waiting)
            else:
                return self

    def finish(self) -> Self:
        """Shut down, and calm down."""
        self.pending.append(ShutdownRequested())
        return self.calm_down()

    def ask_calmly(self, call: Call) -> Outcome:
        ref = self.ask(call)
        self.calm_down()
        return self.answer(ref)

    def take(self, choice: int) -> Event:
        """One of the pending events, to be delivered. Of one life, what happened first comes first."""
        chosen = self.pending[choice % len(self.pending)]
        first = next(event for event in self.pending if _life(event) == _life(chosen))
        self.pending.remove(first)
        return first

    def _end_group(self, process: Process) -> None:
        was_main, process.rest = process.main, False
        if was_main:
            self.die(process, KilledBySignal("SIGKILL"))
        else:
            self.rest_dies(process)

    def _hand_over(self) -> None:
        batch, self._batch = self._batch, []
        self.handle(batch)

    def _step(self, step: Step) -> None:
        match step:
            case Answer(choices=choices):
                self._batch.extend(self.take(choice) for choice in choices[: len(self.pending)])
            case AnswerAll():
                self._batch.extend(self.pending)
                self.pending.clear()
            case Settle():
                self._hand_over()
                self.settle()
            case Die(choices=choices, end=end):
                for choice in choices:
                    self._die(choice, end)
            case WaitEnds(choice=choice):
                waiting = [p for p in self.processes.values() if p.is_waiting]
                if waiting:
                    self.wait_is_over(waiting[choice % len(waiting)])
            case RestDies(choice=choice):
                left = [p for p in self.processes.values() if p.rest]
                if left:
                    self.rest_dies(left[choice % len(left)])
            case Pass(seconds=seconds):
                self.now += seconds
                self._batch.append(TimePassed())
            case Command(make=make, choice=choice, at_busy=at_busy):
                self._batch_call(make(self._target(choice, at_busy)))
            case ChildCall(make=make_call, choice=choice, at_busy=at_busy):
                above, _, name = self._target(choice, at_busy).rpartition("/")
                self._batch_call(make_call(above, name))
            case AddChild(choice=choice, spec=spec):
                above = self._known(choice)
                self.known.extend(path for path in paths(spec, f"{above}/") if path not in self.known)
                self._batch_call(StartChild(above, spec))
            case ReloadTree(tree=tree):
                self.known.extend(path for path in paths(tree) if path not in self.known)
                self._batch_call(Reload(tree))
            case Ask(choice=choice, request=request, is_wanted=is_wanted):
                speakers = [p for p in self.processes.values() if p.can_ask]
                if speakers:
                    life = speakers[choice % len(speakers)].life
                    self._batch.append(Requested(life, len(self._batch) if is_wanted else None, request))
            case ShutDown():
                self._batch.append(ShutdownRequested())
            case _:
                assert_never(step)

    def _target(self, choice: int, at_busy: bool) -> str:
        children = self.node.children() if at_busy else ()
        busy = [child.path for child in children if child.state not in (State.DOWN, State.RUNNING)]
        busy += [self.processes[event.life].path for event in self._batch if isinstance(event, Exited)]
        return busy[choice % len(busy)] if busy else self._known(choice)

    def _known(self, choice: int) -> str:
        return self.known[choice % len(self.known)]

    def _batch_call(self, call: Call) -> None:
        self.ask(call)
        self._batch.append(self.pending.pop())

    def _die(self, choice: int, end: WorkerExit) -> None:
        living = [process for process in self.processes.values() if process.main]
        if living:
            process = living[choice % len(living)]
            self.die(process, end)
            self._batch.extend(event for event in self.pending if _life(event) == process.life)
            self.pending = [event for event in self.pending if _life(event) != process.life]


def _life(event: Event) -> int:
    number = getattr(event, "life", 0)
    assert isinstance(number, int)
    return number


# Strategies

DURATIONS = st.sampled_from([0.5, 1.0, 5.0])
SHUTDOWNS: st.SearchStrategy[Shutdown] = st.sampled_from([5.0, 0.5, 0, "brutal_kill", "infinity"])
SUPERVISOR_SHUTDOWNS: st.SearchStrategy[Shutdown] = st.sampled_from(
    ["infinity", "infinity", "infinity", 5.0, 0.5, 0, "brutal_kill"]
)
ENDS = st.sampled_from([ExitCode(1), ExitCode(0), KilledBySignal("SIGTERM"), KilledBySignal("SIGSEGV", core=True)])
READINESS: st.SearchStrategy[Ready] = st.sampled_from([AT_EXEC, AT_EXEC, Notify()])
START_TIMEOUTS: st.SearchStrategy[StartTimeout] = st.sampled_from([60.0, 1.0, "infinity"])
FATES = st.sampled_from(
    [*[GOOD] * 6, FAILS, STUBBORN, LEAVES_REST, LEAVES_STUBBORN_REST, SLOW, HANGS, SLOW_AND_STUBBORN]
)
SOME_NAMES = st.lists(st.sampled_from("abcd"), max_size=2).map(tuple)
NO_BONDS = st.just(UNBOUND)
BONDS = NO_BONDS | st.builds(Bonds, SOME_NAMES, SOME_NAMES, st.booleans(), st.booleans())
AUTO_SHUTDOWNS = st.sampled_from([AutoShutdown.NEVER, AutoShutdown.NEVER, *AutoShutdown])
PEACEFUL_FATES = st.sampled_from([GOOD, STUBBORN, LEAVES_REST, LEAVES_STUBBORN_REST])
# The first few more often: two commands should meet at one child.
CHOICES = st.sampled_from([1, 1, 1, 1, 2, 2, 2, 3, 3, 4, *range(32)])
SOME = st.lists(CHOICES, min_size=1, max_size=4).map(tuple)


@st.composite
def child_specs(
    draw: st.DrawFn, name: str, auto_shutdown: AutoShutdown, depth: int, bonds: st.SearchStrategy[Bonds] = BONDS
) -> ChildSpec:
    restart = draw(st.sampled_from(RestartType))
    can_signify = auto_shutdown is not AutoShutdown.NEVER and restart is not RestartType.PERMANENT
    significant = can_signify and draw(st.booleans())
    if depth > 0 and draw(st.integers(0, 2)) == 2:
        return draw(supervisor_specs(name, depth, restart, significant, bonds))
    ready, timeout = draw(READINESS), draw(START_TIMEOUTS)
    program = draw(st.sampled_from([PROGRAM, PROGRAM, PROGRAM, OTHER_PROGRAM]))
    return WorkerSpec(
        name, program, restart, significant, draw(SHUTDOWNS), ready=ready, start_timeout=timeout, bonds=draw(bonds)
    )


@st.composite
def supervisor_specs(
    draw: st.DrawFn,
    name: str = "root",
    depth: int = 3,
    restart: RestartType = RestartType.PERMANENT,
    significant: bool = False,
    bonds: st.SearchStrategy[Bonds] = BONDS,
) -> SupervisorSpec:
    auto_shutdown = draw(AUTO_SHUTDOWNS)
    names = "abcd"[: draw(st.sampled_from([3, 2, 1, 4, 0]))]
    return SupervisorSpec(
        name,
        tuple(draw(child_specs(child, auto_shutdown, depth - 1, bonds)) for child in names),
        draw(st.sampled_from(RestartStrategy)),
        draw(st.sampled_from([2, 3, 1, 0])),
        draw(DURATIONS),
        auto_shutdown,
        restart,
        significant,
        draw(SUPERVISOR_SHUTDOWNS),
    )


@st.composite
def added_specs(draw: st.DrawFn) -> ChildSpec:
    """Of a name that may be taken, and perhaps refused for its significance."""
    return draw(child_specs(draw(st.sampled_from("abxy")), draw(st.sampled_from(AutoShutdown)), 1))


PEACEFUL_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Answer, SOME),
    st.builds(AnswerAll),
    st.builds(Settle),
    st.builds(Pass, st.sampled_from([0.1, 0.5, 0.6, 1.0, 5.0])),
)
WORLD_STEPS: st.SearchStrategy[Step] = st.one_of(
    PEACEFUL_STEPS, st.builds(Die, SOME, ENDS), st.builds(RestDies, CHOICES), st.builds(WaitEnds, CHOICES)
)
COMMANDS: st.SearchStrategy[Step] = st.builds(Command, st.sampled_from([Start, Stop, Restart]), CHOICES, st.booleans())
CHILD_CALLS: st.SearchStrategy[Step] = st.one_of(
    st.builds(ChildCall, st.sampled_from([TerminateChild, RestartChild, DeleteChild]), CHOICES, st.booleans()),
    st.builds(AddChild, CHOICES, added_specs()),
)
NAMES = st.sampled_from(["a", "b", "c", "d", "nobody"])
REFS = st.integers(0, 3)
REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(Link, NAMES),
    st.builds(Unlink, NAMES),
    st.builds(Monitor, NAMES, REFS),
    st.builds(Demonitor, REFS, st.booleans()),
    st.builds(TrapExits, st.booleans()),
)
ASKING: st.SearchStrategy[Step] = st.builds(Ask, CHOICES, REQUESTS, st.booleans())
RELOADS: st.SearchStrategy[Step] = st.builds(ReloadTree, supervisor_specs())
SHUT_DOWN: st.SearchStrategy[Step] = st.sampled_from([*[Settle()] * 9, ShutDown()])


def runs(
    *kinds: st.SearchStrategy[Step],
    world: st.SearchStrategy[Step] = WORLD_STEPS,
    fates: st.SearchStrategy[Fate] = FATES,
    bonds: st.SearchStrategy[Bonds] = BONDS,
) -> st.SearchStrategy[Run]:
    """Runs of the world's own steps and steps of these kinds."""
    steps = st.lists(st.tuples(st.one_of(world, *kinds), st.booleans()), max_size=10)
    return st.builds(
        Run,
        supervisor_specs(bonds=bonds),
        st.lists(fates, min_size=1, max_size=12).map(tuple),
        st.lists(steps, min_size=4, max_size=20).map(lambda parts: tuple(step for part in parts for step in part)),
        st.sampled_from([True, True, True, False]),
    )
