"""Whatever happens, and whenever: the laws of the core under random trees, deaths and commands.

invariants.py checks every event and action of a run; here stands what is to be true at its end.
"""

from dataclasses import replace

import pytest
from hypothesis import given

from procsup.core.calls import Refusal, Reload, Restart, Start, Stop, TerminateChild
from procsup.core.child import Child, State
from procsup.core.node import Node
from procsup.core.reason import FailedToStartChild, StartFailure
from procsup.core.reload import plan
from procsup.core.spec import ChildSpec, SupervisorSpec
from procsup.core.spec import Restart as RestartType
from tests.core.runs import (
    ASKING,
    CHILD_CALLS,
    COMMANDS,
    NO_BONDS,
    PEACEFUL_FATES,
    PEACEFUL_STEPS,
    RELOADS,
    SHUT_DOWN,
    AddChild,
    ChildCall,
    RandomWorld,
    ReloadTree,
    Run,
    runs,
    supervisor_specs,
)
from tests.core.trees import paths

EVERYTHING = runs(COMMANDS, CHILD_CALLS, RELOADS, ASKING, SHUT_DOWN)


@given(runs())
def test_deaths_and_failed_starts_break_no_law(run: Run) -> None:
    play(run).finish()


@given(runs(COMMANDS))
def test_commands_break_no_law(run: Run) -> None:
    play(run).finish()


@given(runs(ASKING))
def test_requests_of_workers_break_no_law(run: Run) -> None:
    play(run).finish()


@given(runs(CHILD_CALLS))
def test_child_calls_break_no_law(run: Run) -> None:
    play(run).finish()


@given(runs(RELOADS))
def test_reloads_break_no_law(run: Run) -> None:
    play(run).finish()


@given(EVERYTHING)
def test_everything_together_breaks_no_law(run: Run) -> None:
    play(run).finish()


@given(EVERYTHING)
def test_nothing_is_alive_at_the_end_and_the_status_tells_why_it_ended(run: Run) -> None:
    world = play(run).finish()
    assert world.end is not None
    assert world.processes == {}
    why = {"gave_up": 70, "auto_shutdown": 0, "stopping": 0}
    said = next((why[r.event] for r in world.records if r.path == "root" and r.event in why), 69)
    assert world.end.status == (69 if isinstance(world.end.reason, FailedToStartChild) else said)


@given(EVERYTHING)
def test_same_events_give_the_same_actions(run: Run) -> None:
    world = play(run).finish()
    again = Node(run.tree)
    actions = [action for events, now in world.history for action in again.handle(events, now)]
    assert repr(actions) == repr(world.actions)


@given(runs(COMMANDS, RELOADS))
def test_every_permanent_child_of_a_running_supervisor_runs_unless_an_operator_is_why_not(run: Run) -> None:
    """He holds it, or his own try to start it failed, or a reload's. One that was down when a reload made it permanent
    stays so.
    """
    world = play(run)
    trees = [paths(run.tree), *(paths(step.tree) for step, _ in run.steps if isinstance(step, ReloadTree))]
    for child in children_of_running(world):
        kinds = {tree[child.path].restart for tree in trees if child.path in tree}
        if kinds == {RestartType.PERMANENT} and not child.held:
            assert child.state is State.RUNNING or isinstance(child.last_exit, StartFailure)


@given(runs(COMMANDS, world=PEACEFUL_STEPS, fates=PEACEFUL_FATES, bonds=NO_BONDS))
def test_commands_alone_never_enter_a_window(run: Run) -> None:
    world = play(run)
    assert not {"restarting", "gave_up", "escalated"} & {record.event for record in world.records}
    assert {child.supervisor.window.used(world.now) for child in world.node.children() if child.supervisor} == {0}


@pytest.mark.parametrize("command", [Start, Restart])
@given(run=EVERYTHING)
def test_every_child_can_be_stopped_and_started_whatever_was_before(command: type[Start | Restart], run: Run) -> None:
    world = play(run)
    for path in [child.path for child in children_of_running(world)]:
        if world.node.child(path) is None or world.end is not None:
            continue
        assert world.ask_calmly(Stop(path)) == "ok"
        answer = world.ask_calmly(command(path))
        if answer == "ok":
            assert world.state(path) is State.RUNNING
        else:  # a link may have restarted its group meanwhile, or the supervisor above it, which forgets who was added
            assert answer in (Refusal.NOPROC, Refusal.UNKNOWN) or isinstance(answer, StartFailure)


@given(EVERYTHING)
def test_every_child_can_be_terminated_whatever_was_before(run: Run) -> None:
    world = play(run)
    for child in children_of_running(world):
        if world.node.child(child.path) is child and child.parent is not None:
            assert world.ask_calmly(TerminateChild(child.parent.child.path, child.name)) in ("ok", Refusal.NOPROC)


@given(EVERYTHING, supervisor_specs())
def test_tree_that_runs_after_a_reload_is_the_one_of_the_file(run: Run, tree: SupervisorSpec) -> None:
    """But for those that were never in a file, and those that an operator has deleted."""
    world = play(runs_without_calls(run))
    if world.end is not None or world.ask_calmly(Reload(tree)) != "ok" or world.end is not None:
        return
    for path, spec in paths(tree).items():
        child = world.node.child(path)
        if child is not None and child.parent is not None and child.parent.child.state is State.RUNNING:
            assert replace_children(child.spec) == replace_children(spec)
    assert {child.path for child in world.node.children()} <= set(paths(tree))


@given(EVERYTHING, supervisor_specs())
def test_second_reload_of_the_same_tree_changes_nothing(run: Run, tree: SupervisorSpec) -> None:
    world = play(run)
    world.ask_calmly(Reload(tree))
    if world.end is None and world.state("root") is State.RUNNING:
        starts = {child.path: child.starts for child in world.node.children()}
        assert list(plan(world.node.root, tree)) == []
        world.ask_calmly(Reload(tree))
        assert {child.path: child.starts for child in world.node.children()} == starts


def runs_without_calls(run: Run) -> Run:
    return replace(run, steps=tuple(step for step in run.steps if not isinstance(step[0], AddChild | ChildCall)))


def replace_children(spec: ChildSpec) -> ChildSpec:
    return replace(spec, children=()) if isinstance(spec, SupervisorSpec) else spec


def play(run: Run) -> RandomWorld:
    """Until nothing is left to happen."""
    world = RandomWorld(run)
    world.play()
    return world.calm_down()


def children_of_running(world: RandomWorld) -> list[Child]:
    children = list(world.node.children())
    return [child for child in children if child.parent is not None and child.parent.child.state is State.RUNNING]
