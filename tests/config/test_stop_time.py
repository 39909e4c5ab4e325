"""How long a stop of the tree may take."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.config.stop_time import StopTime, stop_time
from procsup.core.spec import ChildSpec, SupervisorSpec
from tests.core.trees import one_for_one, paths, worker
from tests.core.world import STUBBORN, World


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (one_for_one("root"), StopTime(0, ())),
        (one_for_one("root", "a", worker("b", shutdown=2.5)), StopTime(7.5, ())),
        (one_for_one("root", worker("a", shutdown="brutal_kill")), StopTime(0, ())),
        (one_for_one("root", "a", one_for_one("s", "b", "c")), StopTime(15, ())),
        (one_for_one("root", one_for_one("s", "b", "c", shutdown=3.0)), StopTime(3, ())),
        (one_for_one("root", one_for_one("s", "b", "c", shutdown=30.0)), StopTime(10, ())),
        (one_for_one("root", one_for_one("s", "b", "c", shutdown="brutal_kill")), StopTime(0, ())),
        (
            one_for_one("root", "a", one_for_one("s", worker("b", shutdown="infinity"))),
            StopTime(math.inf, ("root/s/b",)),
        ),
        (one_for_one("root", one_for_one("s", worker("b", shutdown="infinity"), shutdown=3.0)), StopTime(3, ())),
    ],
)
def test_shutdown_times_add_up(tree: SupervisorSpec, expected: StopTime) -> None:
    assert stop_time(tree) == expected


def test_own_shutdown_of_the_root_means_nothing() -> None:
    assert stop_time(one_for_one("root", "a", shutdown=1.0)).seconds == 5


def test_tree_may_be_deep() -> None:
    tree: ChildSpec = worker("leaf")
    for level in range(3000):
        tree = one_for_one(f"s{level}", tree)
    assert isinstance(tree, SupervisorSpec)
    assert stop_time(tree).seconds == 5


LIMITS = st.sampled_from([0.25, 1.0, 4.0, "brutal_kill", "infinity"])


@st.composite
def trees(draw: st.DrawFn) -> SupervisorSpec:
    names = iter(f"n{number}" for number in range(100))

    def some(depth: int) -> list[ChildSpec]:
        return [one(depth) for _ in range(draw(st.integers(0, 3)))]

    def one(depth: int) -> ChildSpec:
        limit = draw(LIMITS)
        if depth and draw(st.booleans()):
            return one_for_one(next(names), *some(depth - 1), shutdown=limit)
        return worker(next(names), shutdown=limit)

    return one_for_one("root", *some(3))


@given(trees())
def test_tree_in_which_nobody_obeys_takes_exactly_so_long(tree: SupervisorSpec) -> None:
    world = World(tree)
    for path, spec in paths(tree).items():
        if not isinstance(spec, SupervisorSpec):
            world.every_fate(path, STUBBORN)
    begin = world.boot().now
    world.shut_down()

    while world.end is None and (deadline := world.node.next_deadline()) is not None:
        world.wait(deadline - world.now)

    expected = stop_time(tree)
    assert (world.now - begin if world.end else math.inf) == pytest.approx(expected.seconds)
    assert bool(expected.unbounded) == math.isinf(expected.seconds)
