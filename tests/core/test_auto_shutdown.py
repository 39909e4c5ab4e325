"""auto_shutdown and significant children: OTP-SEMANTICS § 8."""

import pytest

from procsup.core.reason import ExitCode, WorkerExit
from tests.core.trees import BY_STRATEGY, one_for_one, worker
from tests.core.world import CRASH, NORMAL, STUBBORN, World


def significant(name: str, restart: str = "transient") -> object:
    return worker(name, restart, significant=True)


@pytest.mark.parametrize(
    ("auto_shutdown", "restart", "end", "fires"),
    [
        ("any_significant", "transient", NORMAL, True),
        ("any_significant", "transient", CRASH, False),
        ("any_significant", "temporary", NORMAL, True),
        ("any_significant", "temporary", CRASH, True),
        ("all_significant", "transient", NORMAL, False),
        ("all_significant", "transient", CRASH, False),
        ("all_significant", "temporary", NORMAL, False),
        ("all_significant", "temporary", CRASH, False),
    ],
)
def test_end_of_one_of_two_significant_children(auto_shutdown: str, restart: str, end: WorkerExit, fires: bool) -> None:
    children = [worker(name, restart, significant=True) for name in "ab"]
    world = World(one_for_one("root", *children, "c", auto_shutdown=auto_shutdown)).boot()
    world.kill("a", end=end)
    assert (world.end is not None) is fires


@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_all_significant_fires_with_the_last_one(restart: str) -> None:
    children = [worker(name, restart, significant=True) for name in "ab"]
    world = World(one_for_one("root", *children, "c", auto_shutdown="all_significant")).boot()
    world.kill("a", end=NORMAL)
    world.tell()
    world.kill("b", end=NORMAL)
    removed = ["remove b temporary"] if restart == "temporary" else []
    stops = ["stop c shutdown", "exit root auto_shutdown", "end 0"]
    assert world.tell() == ["exit b normal", *removed, "auto_shutdown root", *stops]


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
def test_terminate_child_never_fires(auto_shutdown: str) -> None:
    world = World(one_for_one("root", worker("a", "transient", significant=True), auto_shutdown=auto_shutdown)).boot()
    world.terminate_child("a")
    assert world.end is None


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
def test_end_of_a_child_that_is_not_significant_never_fires(auto_shutdown: str) -> None:
    tree = one_for_one(
        "root", worker("a", "transient", significant=True), worker("b", "temporary"), auto_shutdown=auto_shutdown
    )
    world = World(tree).boot()
    world.terminate_child("a")
    world.kill("b", end=NORMAL)
    assert world.end is None


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
def test_significant_child_that_goes_with_its_group_never_fires(strategy: str, auto_shutdown: str) -> None:
    """After the group removed the temporary significant child nobody is left to fire."""
    temporary = worker("b", "temporary", significant=True)
    world = World(BY_STRATEGY[strategy]("root", "a", temporary, auto_shutdown=auto_shutdown)).boot()
    world.kill("a")
    assert (world.end, world.up()) == (None, ["a"])


def test_normal_exit_that_a_crash_of_a_sibling_overtakes_is_swallowed() -> None:
    tree = BY_STRATEGY["one_for_all"](
        "root", "a", worker("b", "transient", significant=True), auto_shutdown="any_significant"
    )
    world = World(tree).boot()
    world.exits("a").exits("b", end=NORMAL).settle()
    assert (world.end, sorted(world.up())) == (None, ["a", "b"])


def test_supervisor_can_be_the_significant_child() -> None:
    inner = one_for_one("s", "x", intensity=0, restart="transient", significant=True)
    world = World(one_for_one("root", inner, "a", auto_shutdown="any_significant")).boot()
    world.kill("x")
    assert world.end is not None
    assert world.end.status == 0


@pytest.mark.parametrize(("restart", "starts"), [("permanent", 2), ("transient", 1)])
def test_auto_shutdown_ends_a_supervisor_with_shutdown(restart: str, starts: int) -> None:
    inner = one_for_one(
        "s", worker("x", "transient", significant=True), auto_shutdown="any_significant", restart=restart
    )
    world = World(one_for_one("root", inner)).boot()
    world.kill("x", end=NORMAL)
    assert world.child("s").starts == starts


def test_restart_after_an_auto_shutdown_counts() -> None:
    inner = one_for_one("s", worker("x", "transient", significant=True), auto_shutdown="any_significant")
    world = World(one_for_one("root", inner, intensity=1)).boot()
    world.kill("x", end=NORMAL).kill("x", end=NORMAL)
    assert world.end is not None
    assert world.end.status == 70


def test_significant_child_that_is_being_stopped_counts_as_active() -> None:
    children = [worker(name, "transient", significant=True) for name in "ab"]
    world = World(one_for_one("root", *children, auto_shutdown="all_significant")).fate("a", STUBBORN).boot()
    world.terminate_child("a")
    world.kill("b", end=NORMAL).wait(5.0)
    assert world.end is not None


def test_auto_shutdown_names_the_child() -> None:
    tree = one_for_one("root", worker("a", "transient", significant=True), auto_shutdown="any_significant")
    world = World(tree).boot().kill("a", end=ExitCode(0))
    assert dict(world.record_of("auto_shutdown", "root").details) == {"child": "a"}
