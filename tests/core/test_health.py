"""The line about the health of the tree. That its tally is right is an invariant, checked in every run."""

from procsup.core.health import health
from procsup.core.readiness import Notify
from tests.core.trees import one_for_one, worker
from tests.core.world import NORMAL, SLOW, STUBBORN, World


def line(world: World) -> str:
    return health(world.node)


def test_nothing_has_begun() -> None:
    assert line(World(one_for_one("root", "a"))) == "not started"


def test_all_are_up() -> None:
    assert line(World(one_for_one("root", "a", one_for_one("s", "b"))).boot()) == "2 workers up"
    assert line(World(one_for_one("root", "a")).boot()) == "1 worker up"


def test_supervisor_without_workers_is_healthy() -> None:
    assert line(World(one_for_one("root")).boot()) == "0 workers up"


def test_tree_that_starts_tells_for_whom_it_waits() -> None:
    world = World(one_for_one("root", "a", worker("b", ready=Notify()), "c"))
    world.fate("b", SLOW)
    world.boot()

    assert line(world) == "starting: 1 worker up; waiting for: b"


def test_worker_that_is_on_its_way_back_is_named_with_the_reason() -> None:
    world = World(one_for_one("root", "a", worker("b", ready=Notify()))).boot()
    world.every_fate("b", SLOW).kill("b")

    assert line(world) == "1 of 2 workers up; starting: b (exit 1)"


def test_worker_that_ended_as_it_may_is_down_with_the_reason() -> None:
    world = World(one_for_one("root", "a", worker("b", "transient"))).boot()
    world.kill("b", end=NORMAL)

    assert line(world) == "1 of 2 workers up; down: b (normal)"


def test_worker_that_was_removed_is_not_missed() -> None:
    world = World(one_for_one("root", "a", worker("b", "temporary"))).boot()
    world.kill("b")

    assert line(world) == "1 worker up"


def test_worker_that_an_operator_holds_is_down() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.stop("a")

    assert line(world) == "1 of 2 workers up; down: a (held)"


def test_worker_that_does_not_stop_is_named() -> None:
    world = World(one_for_one("root", "a", "b"))
    world.fate("a", STUBBORN)
    world.boot()
    world.stop("a")

    assert line(world) == "1 of 2 workers up; stopping: a (held)"


def test_first_few_of_many_are_named() -> None:
    world = World(one_for_one("root", *"abcde")).boot()
    for name in "abcde":
        world.stop(name)

    assert line(world) == "0 of 5 workers up; down: a (held), b (held), c (held) and 2 more"


def test_tree_that_stops_tells_how_many_are_left_and_for_whom_it_waits() -> None:
    world = World(one_for_one("root", "a", "b", "c"))
    world.fate("b", STUBBORN)
    world.boot()
    world.shut_down()

    assert line(world) == "stopping: 2 workers left; waiting for: b"


def test_tree_that_gives_up_says_so() -> None:
    world = World(one_for_one("root", "a", "b", intensity=0))
    world.fate("a", STUBBORN)
    world.boot()
    world.kill("b")

    assert line(world) == "stopping (gave_up): 1 worker left; waiting for: a"
    world.wait(5)
    assert line(world) == "stopped (gave_up)"


def test_worker_whose_place_a_supervisor_takes_again_is_forgotten() -> None:
    """A restart of the supervisor above begins from the original children."""
    world = World(one_for_one("root", one_for_one("s", "a", one_for_one("x", "b"), intensity=0))).boot()
    world.terminate_child("x")
    world.delete_child("x")
    assert world.start_child("s", worker("x")) == "ok"
    world.kill("a")

    assert line(world) == "2 workers up"
