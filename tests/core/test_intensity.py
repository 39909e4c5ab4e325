"""The window of restarts: OTP-SEMANTICS § 2, in real seconds."""

import pytest

from procsup.core.intensity import Window
from procsup.core.reason import ExitCode
from tests.core.trees import one_for_all, one_for_one, rest_for_one, worker
from tests.core.world import STUBBORN, World


def test_entry_of_exactly_the_age_of_the_period_still_counts() -> None:
    window = Window(1, 5.0)
    assert [window.enter(now) for now in (0.0, 5.0)] == [1, 2]


def test_entry_older_than_the_period_does_not_count() -> None:
    window = Window(1, 5.0)
    assert [window.enter(now) for now in (0.0, 5.000001)] == [1, 1]


def test_window_slides() -> None:
    window = Window(9, 5.0)
    assert [window.enter(now) for now in (0.0, 3.0, 4.0, 6.0, 8.0, 9.0)] == [1, 2, 3, 3, 4, 4]


def test_looking_does_not_enter() -> None:
    window = Window(3, 5.0)
    window.enter(0.0)
    assert [window.used(now) for now in (1.0, 5.0, 5.1)] == [1, 1, 0]


def test_window_never_holds_more_than_one_entry_too_many() -> None:
    window = Window(2, 5.0)
    assert [window.enter(1.0) for _ in range(6)][-1] == 4
    assert window.used(1.0) == 3


def test_new_life_begins_with_an_empty_window() -> None:
    window = Window(1, 5.0)
    window.enter(0.0)
    window.clear()
    assert window.used(0.0) == 0


@pytest.mark.parametrize("intensity", [0, 1, 3])
def test_supervisor_survives_as_many_crashes_as_its_intensity_and_not_one_more(intensity: int) -> None:
    world = World(one_for_one("root", "a", intensity=intensity)).boot()
    for _ in range(intensity):
        world.kill("a")
    assert world.end is None
    world.kill("a")
    assert world.end is not None
    assert world.starts("a") == intensity + 1


def test_crashes_far_enough_apart_never_end_it() -> None:
    world = World(one_for_one("root", "a", intensity=1, period=5.0)).boot()
    for _ in range(20):
        world.kill("a").wait(5.001)
    assert world.end is None


def test_crash_as_old_as_the_period_ends_it() -> None:
    world = World(one_for_one("root", "a", intensity=1, period=5.0)).boot()
    world.kill("a").wait(5.0).kill("a")
    assert world.end is not None


def test_limit_cannot_be_reached_when_every_restart_takes_longer_than_the_period() -> None:
    """As in OTP: OTP-SEMANTICS § 9. `check` warns of it."""
    tree = one_for_all("root", "a", worker("b", shutdown=1.5), intensity=2, period=1.0)
    world = World(tree).every_fate("b", STUBBORN).boot()
    for _ in range(20):
        world.kill("a").wait(1.5)
    assert (world.end, world.starts("a")) == (None, 21)


def test_intensity_belongs_to_the_supervisor_and_not_to_the_child() -> None:
    world = World(one_for_one("root", "a", "b", intensity=1)).boot()
    world.kill("a").kill("b")
    assert world.end is not None


def test_group_restart_is_one_entry() -> None:
    world = World(one_for_all("root", "a", "b", "c", "d", intensity=1)).boot()
    world.kill("b")
    assert world.record_of("restarting", "root").details["used"] == 1


def test_normal_exits_of_permanent_children_count() -> None:
    world = World(one_for_one("root", "a", intensity=1)).boot()
    world.kill("a", end=ExitCode(0)).kill("a", end=ExitCode(0))
    assert world.end is not None


def test_restarting_tells_the_budget_and_the_group() -> None:
    world = World(rest_for_one("root", "a", "b", "c", intensity=2, period=7.0)).boot()
    world.kill("b").kill("b")
    details = dict(world.record_of("restarting", "root").details)
    assert details == {"child": "b", "used": 2, "intensity": 2, "period": 7.0, "group": ("c",)}


def test_commands_and_calls_of_an_operator_are_not_counted() -> None:
    world = World(one_for_one("root", "a", intensity=0)).boot()
    for ask in (world.restart, world.stop, world.start, world.terminate_child, world.restart_child) * 3:
        assert ask("a") == "ok"
    assert "restarting" not in {record.event for record in world.records}
