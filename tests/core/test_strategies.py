"""Who shares the fate of a child, and in which order: OTP-SEMANTICS § 5."""

import pytest

from procsup.core.reason import ExitCode
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, rest_for_one, worker
from tests.core.world import STUBBORN, World


@pytest.mark.parametrize(
    ("strategy", "victim", "story"),
    [
        ("one_for_one", "b", ["exit b exit 1", "start b"]),
        ("one_for_all", "a", ["exit a exit 1", "stop c shutdown", "stop b shutdown", "start a", "start b", "start c"]),
        ("one_for_all", "b", ["exit b exit 1", "stop c shutdown", "stop a shutdown", "start a", "start b", "start c"]),
        ("one_for_all", "c", ["exit c exit 1", "stop b shutdown", "stop a shutdown", "start a", "start b", "start c"]),
        ("rest_for_one", "a", ["exit a exit 1", "stop c shutdown", "stop b shutdown", "start a", "start b", "start c"]),
        ("rest_for_one", "b", ["exit b exit 1", "stop c shutdown", "start b", "start c"]),
        ("rest_for_one", "c", ["exit c exit 1", "start c"]),
    ],
)
def test_group_is_stopped_in_reverse_and_started_in_start_order(strategy: str, victim: str, story: list[str]) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).boot()
    world.tell()
    world.kill(victim)
    assert world.tell() == story


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_children_that_were_down_come_back_with_their_group(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", worker("b", "transient"), "c")).boot()
    world.kill("b", end=ExitCode(0))
    world.terminate_child("c")
    world.tell()
    world.kill("a")
    assert world.tell() == ["exit a exit 1", "start a", "start b", "start c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_temporary_sibling_is_stopped_and_removed_and_does_not_come_back(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", worker("b", "temporary"), "c")).boot()
    world.tell()
    world.kill("a")
    story = ["exit a exit 1", "stop c shutdown", "stop b shutdown", "remove b temporary", "start a", "start c"]
    assert world.tell() == story


def test_one_for_one_leaves_a_terminated_sibling_alone() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.terminate_child("b")
    world.kill("a")
    assert world.up() == ["a"]


def test_added_child_is_last_and_goes_with_every_crash_before_it() -> None:
    world = World(rest_for_one("root", "a", "b")).boot()
    world.start_child("root", worker("z"))
    world.tell()
    world.kill("b")
    assert world.tell() == ["exit b exit 1", "stop z shutdown", "start b", "start z"]


def test_next_child_is_stopped_only_when_the_one_after_it_is_down() -> None:
    world = World(one_for_all("root", "a", "b", "c")).every_fate("c", STUBBORN).boot()
    world.kill("a")
    assert [name for _, name, _ in world.signals] == ["c", "c"]
    world.wait(5.0)
    assert [name for _, name, _ in world.signals] == ["c", "c", "c", "b", "b"]


def test_next_child_is_started_only_when_the_one_before_it_is_up() -> None:
    world = World(one_for_all("root", "a", "b"))
    world.boot_until(lambda: world.starts("a") == 1)
    assert (world.starts("a"), world.starts("b")) == (1, 0)
    world.settle()
    assert (world.starts("a"), world.starts("b")) == (1, 1)


def test_supervisors_of_a_group_are_stopped_and_started_whole() -> None:
    world = World(one_for_all("root", one_for_one("s", "x", "y"), "a")).boot()
    world.tell()
    world.kill("a")
    stops = ["stop y shutdown", "stop x shutdown", "stop s shutdown"]
    assert world.tell() == ["exit a exit 1", *stops, "start x", "start y", "start s", "start a"]


@pytest.mark.parametrize(
    ("strategy", "victims", "is_alive"),
    [
        ("one_for_all", "abc", True),
        ("one_for_all", "cba", True),
        ("one_for_one", "abc", False),
        ("rest_for_one", "ac", True),
        ("rest_for_one", "ca", False),
    ],
)
def test_deaths_of_one_sweep_are_one_incident_when_a_group_restart_covers_them(
    strategy: str, victims: str, is_alive: bool
) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c", intensity=1)).boot()
    world.kill(*victims)
    assert (world.end is None) is is_alive


def test_death_of_a_sibling_that_waits_to_be_stopped_is_swallowed() -> None:
    world = World(one_for_all("root", "a", "b", "c", intensity=1)).every_fate("c", STUBBORN).boot()
    world.kill("a")
    world.kill("b")
    world.wait(5.0)
    assert sorted(world.up()) == ["a", "b", "c"]
    assert world.record_of("restarting", "root").details["used"] == 1


def test_siblings_restart_side_by_side_under_one_for_one() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.exits("a", "b").deliver()
    assert (world.starts("a"), world.starts("b")) == (2, 2)


def test_restarts_of_a_child_are_counted_and_those_of_its_group_too() -> None:
    world = World(rest_for_one("root", "a", "b", "c")).boot()
    world.kill("b")
    assert [world.child(name).restarts for name in "abc"] == [0, 1, 1]
