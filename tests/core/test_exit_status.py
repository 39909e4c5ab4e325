"""What the daemon ends with: DESIGN § 6."""

import pytest

from procsup.core.policy import exit_status
from procsup.core.reason import AUTO_SHUTDOWN, GAVE_UP, SHUTDOWN, BadStartSpec, FailedToStartChild, Reason, StartFailed
from procsup.core.spec import DuplicateChildName
from tests.core.trees import one_for_one, worker
from tests.core.world import FAILS, NORMAL, STUBBORN, World


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (SHUTDOWN, 0),
        (AUTO_SHUTDOWN, 0),
        (FailedToStartChild("a", StartFailed("exec", "ENOENT")), 69),
        (BadStartSpec(DuplicateChildName("a")), 69),
        (GAVE_UP, 70),
    ],
    ids=str,
)
def test_status_follows_from_the_reason_of_the_root(reason: Reason, status: int) -> None:
    assert exit_status(reason) == status


def test_status_is_0_after_a_shutdown() -> None:
    assert status(World(one_for_one("root", "a")).boot().shut_down()) == (0, "shutdown")


def test_status_is_0_after_a_shutdown_in_the_middle_of_the_boot() -> None:
    world = World(one_for_one("root", "a", "b"))
    world.boot_until(lambda: world.starts("b") == 1)
    assert status(world.shut_down()) == (0, "shutdown")


def test_status_is_0_though_workers_had_to_be_killed() -> None:
    world = World(one_for_one("root", "a")).every_fate("a", STUBBORN).boot()
    assert status(world.shut_down().wait(5.0)) == (0, "shutdown")


def test_status_is_0_after_an_auto_shutdown_of_the_root() -> None:
    tree = one_for_one("root", worker("a", "transient", significant=True), auto_shutdown="any_significant")
    assert status(World(tree).boot().kill("a", end=NORMAL)) == (0, "auto_shutdown")


def test_status_is_69_when_the_tree_could_not_start() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"))).every_fate("x", FAILS).boot()
    reason = FailedToStartChild("s", FailedToStartChild("x", StartFailed("exec", "ENOENT")))
    assert status(world) == (69, str(reason))


def test_status_is_70_when_the_root_gave_up() -> None:
    assert status(World(one_for_one("root", "a", intensity=0)).boot().kill("a")) == (70, "gave_up")


def test_tree_whose_children_all_ended_in_peace_runs_on() -> None:
    world = World(one_for_one("root", worker("a", "transient"), worker("b", "temporary"))).boot()
    world.kill("a", "b", end=NORMAL)
    assert world.end is None


def status(world: World) -> tuple[object, object]:
    """As the last record says, which the End must repeat."""
    assert world.end is not None
    details = world.records[-1].details
    assert (world.records[-1].event, details["status"]) == ("daemon_stopped", world.end.status)
    return details["status"], details["reason"]
