"""Starts that fail: at boot they are final, later they are tried again. OTP-SEMANTICS § 3 and § 6."""

import pytest

from procsup.core.calls import DeleteChild, Restart, Start, Stop
from procsup.core.child import State
from procsup.core.reason import BadStartSpec, FailedToStartChild, StartFailed
from procsup.core.spec import BadCombination, DuplicateChildName, SpecError, SupervisorSpec
from tests.core.trees import BY_STRATEGY, chain, one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, World

ENOENT = StartFailed("exec", "ENOENT")


@pytest.mark.parametrize(
    ("strategy", "victim", "starts"),
    [
        ("one_for_all", "a", [4, 4, 4]),
        ("one_for_all", "c", [4, 4, 4]),
        ("rest_for_one", "a", [2, 2, 4]),
        ("rest_for_one", "b", [1, 2, 4]),
        ("rest_for_one", "c", [1, 1, 4]),
        ("one_for_one", "c", [1, 1, 4]),
    ],
)
def test_restart_that_fails_twice_is_tried_again_by_its_strategy(strategy: str, victim: str, starts: list[int]) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).fate("c", GOOD, FAILS, FAILS).boot()
    world.kill(victim)
    assert [world.starts(name) for name in "abc"] == starts
    assert sorted(world.up()) == ["a", "b", "c"]


@pytest.mark.parametrize("intensity", [0, 1, 3])
def test_restart_that_always_fails_is_tried_as_often_as_the_intensity_says(intensity: int) -> None:
    world = World(one_for_one("root", "a", intensity=intensity)).fate("a", GOOD).every_fate("a", FAILS).boot()
    world.kill("a")
    assert world.starts("a") == 1 + intensity
    assert world.end is not None
    assert world.end.status == 70


def test_failed_start_at_boot_stops_the_earlier_ones_in_reverse_and_ends_with_69() -> None:
    world = World(one_for_one("root", "a", "b", "c", "d")).every_fate("c", FAILS).boot()
    story = ["start a", "start b", "fail c", "stop b shutdown", "stop a shutdown", "fail root", "end 69"]
    assert world.tell() == story
    assert world.starts("d") == 0


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_boot_fails_whatever_the_restart_type_of_the_child_is(restart: str) -> None:
    world = World(one_for_one("root", worker("a", restart))).every_fate("a", FAILS).boot()
    assert world.end is not None
    assert world.end.reason == FailedToStartChild("a", ENOENT)


def test_failed_boot_is_not_tried_again_and_uses_no_intensity() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"), intensity=3)).every_fate("x", FAILS).boot()
    assert world.starts("x") == 1
    assert world.end is not None
    assert world.end.reason == FailedToStartChild("s", FailedToStartChild("x", ENOENT))


def test_boot_that_fails_500_supervisors_deep_fails_the_whole_boot() -> None:
    world = World(chain(500)).every_fate("leaf", FAILS).boot()
    assert world.end is not None
    assert world.end.status == 69


def test_supervisor_whose_boot_fails_on_restart_is_tried_again_by_its_parent() -> None:
    tree = one_for_one("root", one_for_one("s", "x", intensity=0), intensity=3)
    world = World(tree).fate("x", GOOD).every_fate("x", FAILS).boot()
    world.kill("x")
    assert world.starts("x") == 4
    assert world.end is not None


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        (one_for_one("root", "a", "a"), DuplicateChildName("a")),
        (one_for_one("root", worker("a", "transient", significant=True)), BadCombination("a")),
        (one_for_one("root", worker("a", significant=True), auto_shutdown="any_significant"), BadCombination("a")),
    ],
)
def test_children_that_contradict_each_other_fail_the_boot(tree: SupervisorSpec, complaint: SpecError) -> None:
    world = World(tree).boot()
    assert world.end is not None
    assert (world.end.status, world.end.reason) == (69, BadStartSpec(complaint))
    assert world.starts("a") == 0


def test_start_failed_names_stage_errno_and_program() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", FAILS).boot()
    details = dict(world.record_of("start_failed", "a").details)
    assert details == {"type": "worker", "reason": "start_failed exec ENOENT", "command": ("program",)}


def test_group_of_a_child_that_an_operator_stopped_before_its_retry_starts_without_it() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("b", GOOD, FAILS).boot()
    world.exits("a").deliver_until(lambda: world.child("b").state is State.STARTING)
    ref = world.ask(Stop(world.path("b")))
    world.settle()
    assert world.answer(ref) == "ok"
    assert sorted(world.up()) == ["a", "c"]


def test_child_stopped_and_started_before_its_retry_runs_with_its_group() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("b", GOOD, FAILS).boot()
    world.exits("a").deliver_until(lambda: world.child("b").state is State.STARTING)
    refs = [world.ask(Stop(world.path("b"))), world.ask(Start(world.path("b")))]
    world.settle()
    assert [str(world.answer(ref)) for ref in refs] == ["ok", "ok"]
    assert sorted(world.up()) == ["a", "b", "c"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_child_stopped_and_started_before_its_retry_is_started_by_the_operator_and_not_by_its_supervisor(
    strategy: str,
) -> None:
    """It fails again: that is the operator's answer, no restart, and nothing that its group waits for."""
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c", intensity=1)).fate("b", GOOD, FAILS, FAILS).boot()
    world.exits("b").deliver_until(lambda: world.starts("b") == 2)
    refs = [world.ask(Stop(world.path("b"))), world.ask(Start(world.path("b")))]
    world.settle()
    assert [world.answer(ref) for ref in refs] == ["ok", ENOENT]
    assert (world.end, sorted(world.up()), world.starts("b")) == (None, ["a", "c"], 3)


@pytest.mark.parametrize(("deleted", "up"), [("b", ["a", "c"]), ("c", ["a"])])
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_group_of_a_child_that_an_operator_stopped_starts_without_those_that_were_deleted(
    strategy: str, deleted: str, up: list[str]
) -> None:
    """The call waits for its turn, which comes between the operator's stop and the start of the others."""
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).fate("b", GOOD, FAILS).boot()
    world.exits("b").deliver_until(lambda: world.state("b") is State.STARTING).delay()
    delete = world.ask(DeleteChild("root", deleted))
    world.deliver()
    stop = world.ask(Stop("root/b"))
    world.arrive()
    assert (world.answer(delete), world.answer(stop), world.has(deleted)) == ("ok", "ok", False)
    assert sorted(world.up()) == up


def test_group_of_a_child_that_an_operator_stopped_starts_once_when_another_crash_restarts_it_first() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("b", GOOD, FAILS).boot()
    world.exits("c").deliver_until(lambda: world.state("b") is State.STARTING)
    world.exits("a")
    world.pending.reverse()  # the crash of a comes before the failure of b
    ref = world.ask(Stop("root/b"))
    world.settle()
    assert (world.answer(ref), sorted(world.up())) == ("ok", ["a", "c"])
    assert [world.starts(name) for name in "abc"] == [3, 2, 2]


def test_held_child_started_before_the_rest_of_its_group_is_started_by_the_operator() -> None:
    """c does not wait for the retry of b, as it is held: when it is released and cannot start, that is no restart."""
    world = World(one_for_all("root", "a", "b", "c", intensity=1)).fate("b", GOOD, FAILS).fate("c", GOOD, FAILS).boot()
    world.stop("c")
    world.exits("a").deliver_until(lambda: world.starts("b") == 2)
    refs = [world.ask(Stop("root/b")), world.ask(Start("root/c"))]
    world.settle()
    assert [world.answer(ref) for ref in refs] == ["ok", ENOENT]
    assert (world.end, world.up()) == (None, ["a"])


def test_restart_of_a_child_that_waits_for_its_retry_waits_for_the_retry() -> None:
    world = World(one_for_one("root", "a")).fate("a", GOOD, FAILS).boot()
    world.exits("a").deliver()
    ref = world.ask(Restart(world.path("a")))
    world.settle()
    assert world.answer(ref) == "ok"
    assert world.starts("a") == 3
