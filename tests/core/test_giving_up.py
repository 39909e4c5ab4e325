"""Giving up and escalation: OTP-SEMANTICS § 2 and § 4."""

import pytest

from procsup.core.child import State
from procsup.core.events import ShutdownRequested
from tests.core.trees import BY_STRATEGY, chain, one_for_all, one_for_one, worker
from tests.core.world import FAILS, NORMAL, STUBBORN, World


def crash_until_the_end(world: World, name: str, limit: int = 1000) -> World:
    for _ in range(limit):
        if world.end is not None:
            return world
        world.kill(name)
    raise AssertionError(f"{name} may crash for ever")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_others_are_stopped_in_reverse_and_the_offender_is_gone_already(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c", intensity=0)).boot()
    world.tell()
    world.kill("b")
    story = ["exit b exit 1", "gave_up root", "stop c shutdown", "stop a shutdown", "exit root gave_up", "end 70"]
    assert world.tell() == story


def test_poison_pill_takes_the_kingdom_down() -> None:
    kingdom = one_for_one("kingdom", one_for_one("api", "cache", "web", intensity=3), "lab", intensity=0)
    world = World(kingdom).boot()
    world.tell()
    crash_until_the_end(world, "cache")
    again = ["exit cache exit 1", "start cache"]
    end = ["exit cache exit 1", "gave_up api", "stop web shutdown", "exit api gave_up"]
    assert world.tell() == [*again * 3, *end, "gave_up kingdom", "stop lab shutdown", "exit kingdom gave_up", "end 70"]


@pytest.mark.parametrize(
    ("intensities", "starts"),
    [([0], 1), ([3], 4), ([2, 2], 9), ([1, 3], 8), ([0, 3], 4), ([3, 3, 3], 64)],
)
def test_levels_multiply(intensities: list[int], starts: int) -> None:
    """The worker is started the product of intensity + 1 along its path."""
    tree = one_for_one("s0", "leaf", intensity=intensities[-1])
    for level, intensity in enumerate(reversed(intensities[:-1]), start=1):
        tree = one_for_one(f"s{level}", tree, intensity=intensity)
    world = crash_until_the_end(World(tree).boot(), "leaf")
    assert world.starts("leaf") == starts


def test_escalation_goes_up_500_supervisors_with_intensity_0() -> None:
    world = World(chain(500, intensity=0)).boot()
    world.kill("leaf")
    assert world.end is not None
    assert world.end.status == 70
    assert len([record for record in world.records if record.event == "gave_up"]) == 500


def test_restart_at_the_top_of_500_supervisors_starts_all_of_them_again() -> None:
    tree = one_for_one("top", chain(500, intensity=0), intensity=1)
    world = World(tree).boot()
    world.kill("leaf")
    assert world.up() == ["leaf"]
    assert world.child("root").starts == 2


def test_shutdown_goes_down_500_supervisors_and_comes_back_up() -> None:
    world = World(chain(500)).boot()
    world.shut_down()
    assert world.end is not None
    assert world.end.status == 0


def test_hurry_goes_down_500_supervisors() -> None:
    world = World(chain(500)).every_fate("leaf", STUBBORN).boot()
    world.shut_down().wait(0.6).shut_down()
    assert world.end is not None


def test_supervisor_restarts_with_an_empty_window_and_its_original_children() -> None:
    tree = one_for_one("root", one_for_one("s", "x", worker("t", "temporary"), "d", intensity=1), intensity=9)
    world = World(tree).boot()
    world.kill("t", end=NORMAL)
    world.terminate_child("d")
    world.delete_child("d")
    world.start_child("s", worker("extra"))
    world.kill("x").kill("x")
    assert sorted(world.up()) == ["d", "t", "x"]
    world.kill("x")
    assert world.child("s").starts == 2


def test_deleted_supervisor_that_came_back_with_other_children_is_the_original_after_a_restart_above() -> None:
    tree = one_for_one("root", one_for_one("s", one_for_one("t", "x"), "k", intensity=0))
    world = World(tree).boot()
    world.terminate_child("t")
    world.delete_child("t")
    world.start_child("s", one_for_all("t", "y"))
    world.kill("k")
    assert sorted(world.up()) == ["k", "x"]


def test_parent_applies_its_own_strategy_to_a_supervisor_that_gave_up() -> None:
    world = World(one_for_all("root", "a", one_for_one("s", "x", intensity=0), "b")).boot()
    world.tell()
    world.kill("x")
    gave_up = ["exit x exit 1", "gave_up s", "exit s gave_up"]
    assert world.tell() == [
        *gave_up, "stop b shutdown", "stop a shutdown", "start a", "start x", "start s", "start b",
    ]  # fmt: skip


def test_parent_counts_one_whatever_happened_inside() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y", intensity=2), intensity=1)).boot()
    world.kill("x").kill("y").kill("x")
    assert world.record_of("restarting", "root").details["used"] == 1


def test_supervisor_that_gives_up_while_it_is_told_to_stop_is_stopped() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y", intensity=0))).every_fate("y", STUBBORN).boot()
    world.kill("x")
    world.happen(ShutdownRequested())
    world.wait(5.0)
    assert world.tell()[-4:] == ["stop y killed", "stop s shutdown", "stop root shutdown", "end 0"]


def test_root_that_gave_up_ends_with_70_though_it_is_told_to_stop_meanwhile() -> None:
    world = World(one_for_one("root", "x", "y", intensity=0)).every_fate("y", STUBBORN).boot()
    world.kill("x").shut_down().wait(5.0)
    assert world.end is not None
    assert world.end.status == 70


def test_gave_up_tells_the_last_straw_and_the_budget() -> None:
    world = World(one_for_one("root", "a", intensity=0, period=7.0)).boot()
    world.kill("a")
    details = dict(world.record_of("gave_up", "root").details)
    assert details == {"child": "a", "used": 1, "intensity": 0, "period": 7.0}


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_escalated_tells_the_verdict_of_the_parent(restart: str) -> None:
    verdicts = {"permanent": "restart", "transient": "leave", "temporary": "remove"}
    world = World(one_for_one("root", one_for_one("s", "x", intensity=0, restart=restart))).boot()
    world.kill("x")
    assert dict(world.record_of("escalated", "root").details) == {"child": "s", "verdict": verdicts[restart]}


def test_every_child_is_down_when_the_root_gave_up() -> None:
    world = World(one_for_one("root", "a", intensity=0)).boot().kill("a")
    assert {child.path: child.state for child in world.node.children()} == {
        "root": State.DOWN,
        "root/a": State.DOWN,
    }


def test_every_child_is_down_when_the_boot_failed() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", FAILS).boot()
    assert {child.path: child.state for child in world.node.children()} == {
        "root": State.DOWN,
        "root/a": State.DOWN,
    }
