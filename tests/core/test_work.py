"""At 10,000 workers a death, start, stop or look-up costs O(1), a group restart O(group): DESIGN § 9, law 6.

Work is counted, not timed: the bytecode instructions that the core executes for one event and all that follows from it.
The loops that C code makes (copying a list) do not show; that is what the review is for.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from procsup.core.actions import Action, Signal, Spawn
from procsup.core.calls import (
    Call,
    DeleteChild,
    Restart,
    RestartChild,
    Start,
    StartChild,
    Stop,
    TerminateChild,
)
from procsup.core.events import Called, Event, Exited, Requested, ShutdownRequested, Started, TimePassed
from procsup.core.node import Node
from procsup.core.reason import ExitCode, KilledBySignal
from procsup.core.requests import Link, Monitor
from procsup.core.spec import Bonds, Strategy
from procsup.core.view import which_children
from tests.core.trees import supervisor, worker
from tests.core.world import BOOTED

FEW, MANY = 10, 10_000
SLACK = 40
"""Instructions that a longer number or a fuller dict may cost."""


class Machine:
    """A node with many workers that all obey at once, and nothing else to slow it down."""

    def __init__(
        self, size: int, strategy: Strategy = Strategy.ONE_FOR_ONE, auto_shutdown: str = "never", **keys: Any
    ) -> None:
        names = [f"w{number}" for number in range(size)]
        workers = [worker(name, **keys) for name in names]
        self.node = Node(supervisor(strategy, "root", *workers, intensity=9, auto_shutdown=auto_shutdown))
        self.last = names[-1]
        self.refs = 0

    def booted(self) -> "Machine":
        self.run(BOOTED)
        return self

    def run(self, *events: Event) -> None:
        """These events and everything that they lead to."""
        batch = list(events)
        while batch:
            actions = self.node.handle(batch, 1.0)
            batch = [event for action in actions for event in _answer(action)]

    def call(self, call: Call) -> None:
        self.refs += 1
        self.run(Called(self.refs, call))

    def life(self, name: str) -> int:
        child = self.node.child(f"root/{name}")
        assert child is not None
        return child.life


def _answer(action: Action) -> list[Event]:
    match action:
        case Spawn(life=life):
            return [Started(life, life)]
        case Signal(life=life, signal="SIGTERM"):
            return [Exited(life, KilledBySignal("SIGTERM"))]
        case _:
            return []


def instructions(do: Callable[..., object], *arguments: object) -> int:
    """How many bytecode instructions it executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        do(*arguments)
    finally:
        sys.settrace(before)
    return count


def calls(do: Callable[..., object], *arguments: object) -> int:
    """How many Python functions it calls: coarser, and quick."""
    count = 0

    def profile(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        do(*arguments)
    finally:
        sys.setprofile(before)
    return count


@pytest.fixture(scope="module")
def few() -> Machine:
    return Machine(FEW).booted()


@pytest.fixture(scope="module")
def many() -> Machine:
    return Machine(MANY).booted()


def death(machine: Machine, name: str) -> None:
    machine.run(Exited(machine.life(name), ExitCode(1)))


def stop_and_start(machine: Machine, name: str) -> None:
    machine.call(Stop(f"root/{name}"))
    machine.call(Start(f"root/{name}"))


def restart(machine: Machine, name: str) -> None:
    machine.call(Restart(f"root/{name}"))


def terminate_and_restart(machine: Machine, name: str) -> None:
    machine.call(TerminateChild("root", name))
    machine.call(RestartChild("root", name))


def add_and_delete(machine: Machine, _: str) -> None:
    machine.call(StartChild("root", worker("extra")))
    machine.call(TerminateChild("root", "extra"))
    machine.call(DeleteChild("root", "extra"))


def look_up(machine: Machine, name: str) -> None:
    machine.node.child(f"root/{name}")
    machine.node.named(name)
    machine.node.next_deadline()


def nothing(machine: Machine, _: str) -> None:
    machine.run(TimePassed())


@pytest.mark.parametrize(
    "happens", [death, stop_and_start, restart, terminate_and_restart, add_and_delete, look_up, nothing]
)
@pytest.mark.parametrize("place", ["first", "last"])
def test_work_does_not_depend_on_the_number_of_siblings(
    few: Machine, many: Machine, happens: Callable[[Machine, str], None], place: str
) -> None:
    names = [machine.last if place == "last" else "w0" for machine in (few, many)]
    in_few = instructions(happens, few, names[0])
    in_many = instructions(happens, many, names[1])
    assert abs(in_many - in_few) <= SLACK, f"{in_few} instructions among {FEW}, {in_many} among {MANY}"


def test_death_of_one_with_ties_costs_the_same_among_any_number() -> None:
    work = []
    for size in (FEW, MANY):
        machine = Machine(size, bonds=Bonds(channel=True)).booted()
        machine.run(Requested(machine.life("w1"), None, Link("w0")))
        machine.run(Requested(machine.life("w2"), None, Monitor("w0", 1)))
        work.append(instructions(machine.run, Exited(machine.life("w0"), ExitCode(1))))
    assert abs(work[1] - work[0]) <= SLACK, work


def test_end_of_a_significant_child_does_not_look_at_the_others() -> None:
    work = []
    for size in (FEW, MANY):
        machine = Machine(size, restart="transient", significant=True, auto_shutdown="all_significant").booted()
        work.append(instructions(machine.run, Exited(machine.life("w0"), ExitCode(0))))
    assert abs(work[1] - work[0]) <= SLACK, work


def test_restart_of_the_last_ten_costs_the_same_among_any_number() -> None:
    machines = [(size, Machine(size, Strategy.REST_FOR_ONE).booted()) for size in (FEW, MANY)]
    work = [instructions(death, machine, f"w{size - 10}") for size, machine in machines]
    assert abs(work[1] - work[0]) <= SLACK, work


def test_group_restart_costs_in_proportion_to_the_group() -> None:
    machines = [Machine(size, Strategy.ONE_FOR_ALL).booted() for size in (50, 500)]
    work = [instructions(death, machine, "w0") for machine in machines]
    assert work[1] <= 11 * work[0], work


def test_boot_of_10_000_workers_is_linear() -> None:
    work = [calls(machine.booted) for machine in (Machine(1_000), Machine(10_000))]
    assert work[1] <= 10.1 * work[0], work


def test_shutdown_of_10_000_workers_is_linear() -> None:
    machines = [Machine(1_000).booted(), Machine(10_000).booted()]
    work = [calls(machine.run, ShutdownRequested()) for machine in machines]
    assert work[1] <= 10.1 * work[0], work


def test_listing_costs_in_proportion_to_the_children() -> None:
    machines = [Machine(100).booted(), Machine(1_000).booted()]
    work = [instructions(which_children, machine.node, "root") for machine in machines]
    assert work[1] <= 11 * work[0], work
