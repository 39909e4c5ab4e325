"""Reading the tree: OTP's queries, and the rows of `status`."""

import pytest

from procsup.core.calls import Refusal
from procsup.core.events import TimePassed
from procsup.core.view import ChildView, Counts, Listed, count_children, tree, which_children
from tests.core.trees import chain, one_for_all, one_for_one, worker
from tests.core.world import FAILS, GOOD, LEAVES_STUBBORN_REST, NORMAL, STUBBORN, World


def test_which_children_lists_in_start_order() -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x"), worker("t", "transient"))).boot()
    world.kill("t", end=NORMAL)
    pid = world.child("a").pid
    assert which_children(world.node, "root") == (
        Listed("a", "running", pid, "worker"),
        Listed("s", "running", None, "supervisor"),
        Listed("t", "undefined", None, "worker"),
    )


def test_count_children_counts_specs_and_what_is_active() -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x"), worker("t", "transient"))).boot()
    world.kill("t", end=NORMAL)
    assert count_children(world.node, "root") == Counts(specs=3, active=2, supervisors=1, workers=2)


@pytest.mark.parametrize("path", ["nowhere", "root/a", "root/s", ""])
def test_who_is_no_running_supervisor_has_no_children(path: str) -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x"))).boot()
    world.stop("s")
    assert which_children(world.node, path) is Refusal.NOPROC
    assert count_children(world.node, path) is Refusal.NOPROC


def test_child_that_waits_for_its_retry_is_listed_as_restarting() -> None:
    """Between a failed try and the next one: with one_for_one and a call in progress that is a while."""
    world = World(one_for_one("root", "a", "b")).fate("a", GOOD, FAILS).fate("b", STUBBORN).boot()
    world.exits("a").deliver()
    world.delay().terminate_child("b")
    world.arrive()
    assert which_children(world.node, "root") == (
        Listed("a", "restarting", None, "worker"),
        Listed("b", "running", world.child("b").pid, "worker"),
    )


def test_child_of_whose_group_something_is_left_has_no_pid_in_otps_words() -> None:
    world = World(one_for_one("root", worker("a", "transient"))).fate("a", LEAVES_STUBBORN_REST).boot()
    world.kill("a", end=NORMAL)
    assert which_children(world.node, "root") == (Listed("a", "undefined", None, "worker"),)


def test_rows_come_depth_first_in_start_order() -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x", "y"), "b")).boot()
    rows = [(row.depth, row.path) for row in tree(world.node)]
    assert rows == [
        (0, "root"), (1, "root/a"), (1, "root/s"), (2, "root/s/x"), (2, "root/s/y"), (1, "root/b"),
    ]  # fmt: skip


def test_rows_of_a_part_begin_at_its_top() -> None:
    world = World(one_for_one("root", "a", one_for_one("s", "x"))).boot()
    assert [row.path for row in tree(world.node, "root/s")] == ["root/s", "root/s/x"]
    assert list(tree(world.node, "root/nobody")) == []


def test_rows_of_a_deep_tree_need_no_stack() -> None:
    world = World(chain(2000)).boot()
    assert sum(1 for _ in tree(world.node)) == 2001


def test_row_of_a_worker_tells_what_it_did() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.wait(1.0).kill("a").wait(2.0)
    shown = row(world, "a")
    assert (shown.state, shown.starts, shown.restarts, shown.last_exit) == ("running", 2, 1, "exit 1")
    assert (shown.pid, shown.started, shown.since) == (world.child("a").pid, world.now - 2.0, world.now - 2.0)


def test_row_of_a_supervisor_tells_the_budget_used_now() -> None:
    world = World(one_for_one("root", "a", "b", period=5.0)).boot()
    world.kill("a").wait(3.0).kill("b")
    assert row(world, "root").used == 2
    world.wait(2.5)
    assert row(world, "root").used == 1


@pytest.mark.parametrize(
    ("name", "state"), [("a", "running"), ("b", "stopping"), ("c", "down"), ("d", "stopping"), ("e", "down")]
)
def test_states_have_the_words_of_status(name: str, state: str) -> None:
    tree = one_for_one("root", "a", "b", worker("c", "transient"), worker("d", "transient"), one_for_one("e", "x"))
    world = World(tree).fate("b", STUBBORN).fate("d", LEAVES_STUBBORN_REST).boot()
    world.stop("b")
    world.kill("c", "d", end=NORMAL)
    world.stop("e")
    assert row(world, name).state == state


def test_child_that_is_being_started_is_starting_and_its_group_is_stopping() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("c", STUBBORN).boot()
    world.kill("a")
    assert [row(world, name).state for name in "abc"] == ["down", "stopping", "stopping"]
    world.now += 5.0
    world.pending.append(TimePassed())
    world.deliver_until(lambda: world.starts("a") == 2)
    assert [row(world, name).state for name in "abc"] == ["starting", "down", "down"]


@pytest.mark.parametrize("shutdown", [5.0, "brutal_kill", 0])
def test_child_that_was_stopped_is_not_missing(shutdown: float | str) -> None:
    world = World(one_for_one("root", worker("a", shutdown=shutdown), worker("b", shutdown=shutdown))).boot()
    world.stop("a")
    world.terminate_child("b")
    assert [row(world, name).is_missing for name in "ab"] == [False, False]


def test_running_child_is_not_missing() -> None:
    world = World(one_for_one("root", "a")).boot()
    assert [row(world, name).is_missing for name in ("root", "a")] == [False, False]


def test_child_that_ended_as_its_restart_type_allows_is_not_missing() -> None:
    world = World(one_for_one("root", worker("a", "transient"))).boot().kill("a", end=NORMAL)
    assert not row(world, "a").is_missing


def test_child_whose_start_failed_is_missing() -> None:
    world = World(one_for_one("root", "a")).fate("a", GOOD, FAILS).boot()
    world.restart("a")
    assert row(world, "a").is_missing


def test_supervisor_that_gave_up_and_stays_down_is_missing_and_its_children_are_not() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y", intensity=0, restart="transient"))).boot()
    world.kill("x")
    assert [row(world, name).is_missing for name in ("s", "x", "y")] == [True, False, False]


def test_child_on_its_way_up_is_missing_until_it_is_there() -> None:
    world = World(one_for_one("root", "a")).boot()
    world.exits("a").deliver()
    assert row(world, "a").is_missing
    world.settle()
    assert not row(world, "a").is_missing


def test_children_of_a_held_supervisor_are_not_missing() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"))).boot()
    world.stop("s")
    assert [row(world, name).is_missing for name in ("s", "x")] == [False, False]


def test_looking_changes_nothing() -> None:
    looked, other = (World(one_for_all("root", "a", "b", intensity=1)).boot() for _ in range(2))
    for world in (looked, other):
        world.kill("a").wait(6.0)
        if world is looked:
            list(tree(world.node))
            which_children(world.node, "root")
        world.kill("b").kill("a")
    assert repr(looked.actions) == repr(other.actions)


def row(world: World, name: str) -> ChildView:
    return next(tree(world.node, world.path(name)))
