"""Restart type by exit reason: OTP-SEMANTICS § 1 and § 4."""

import pytest

from procsup.core.policy import Verdict, verdict
from procsup.core.reason import (
    AUTO_SHUTDOWN,
    GAVE_UP,
    KILLED,
    NORMAL,
    SHUTDOWN,
    ExitCode,
    KilledBySignal,
    Reason,
    StartFailed,
    WorkerExit,
    is_abnormal,
    judge_exit,
)
from procsup.core.spec import Restart
from tests.core.trees import one_for_one, worker
from tests.core.world import World

ORDERLY: tuple[Reason, ...] = (NORMAL, SHUTDOWN, GAVE_UP, AUTO_SHUTDOWN)
ABNORMAL: tuple[Reason, ...] = (ExitCode(1), KilledBySignal("SIGSEGV"), KILLED, StartFailed("exec", "ENOENT"))


@pytest.mark.parametrize("reason", [*ORDERLY, *ABNORMAL], ids=str)
def test_permanent_child_is_restarted_whatever_the_reason(reason: Reason) -> None:
    assert verdict(Restart.PERMANENT, reason) is Verdict.RESTART


@pytest.mark.parametrize("reason", [*ORDERLY, *ABNORMAL], ids=str)
def test_temporary_child_is_removed_whatever_the_reason(reason: Reason) -> None:
    assert verdict(Restart.TEMPORARY, reason) is Verdict.REMOVE


@pytest.mark.parametrize("reason", ORDERLY, ids=str)
def test_transient_child_is_left_down_after_an_orderly_end(reason: Reason) -> None:
    assert verdict(Restart.TRANSIENT, reason) is Verdict.LEAVE


@pytest.mark.parametrize("reason", ABNORMAL, ids=str)
def test_transient_child_is_restarted_after_an_abnormal_end(reason: Reason) -> None:
    assert verdict(Restart.TRANSIENT, reason) is Verdict.RESTART


@pytest.mark.parametrize(
    ("restart", "end", "story"),
    [
        ("permanent", ExitCode(0), ["exit a normal", "start a"]),
        ("permanent", ExitCode(3), ["exit a exit 3", "start a"]),
        ("permanent", KilledBySignal("SIGKILL"), ["exit a signal SIGKILL", "start a"]),
        ("transient", ExitCode(0), ["exit a normal"]),
        ("transient", ExitCode(3), ["exit a exit 3", "start a"]),
        ("transient", KilledBySignal("SIGSEGV", core=True), ["exit a signal SIGSEGV core", "start a"]),
        ("temporary", ExitCode(0), ["exit a normal", "remove a temporary"]),
        ("temporary", ExitCode(3), ["exit a exit 3", "remove a temporary"]),
    ],
)
def test_restart_type_decides_what_becomes_of_a_worker(restart: str, end: WorkerExit, story: list[str]) -> None:
    world = World(one_for_one("root", worker("a", restart))).boot()
    world.tell()
    world.kill("a", end=end)
    assert world.tell() == story


def test_spec_of_a_transient_child_stays_and_that_of_a_temporary_one_goes() -> None:
    world = World(one_for_one("root", worker("a", "transient"), worker("b", "temporary"))).boot()
    world.kill("a", "b", end=ExitCode(0))
    assert (world.has("a"), world.has("b")) == (True, False)


@pytest.mark.parametrize(
    ("restart", "story"),
    [
        ("permanent", ["start x", "start s"]),
        ("transient", []),
        ("temporary", ["remove s temporary"]),
    ],
)
def test_supervisor_that_gave_up_is_to_its_parent_a_child_that_ended_with_shutdown(
    restart: str, story: list[str]
) -> None:
    world = World(one_for_one("root", one_for_one("s", "x", intensity=0, restart=restart))).boot()
    world.tell()
    world.kill("x")
    assert world.tell() == ["exit x exit 1", "gave_up s", "exit s gave_up", *story]


def test_exits_that_need_no_restart_are_not_counted_and_touch_no_sibling() -> None:
    children = ("a", worker("b", "transient"), worker("c", "temporary"))
    world = World(one_for_one("root", *children, intensity=0)).boot()
    world.tell()
    world.kill("b", "c", end=ExitCode(0))
    assert world.tell() == ["exit b normal", "exit c normal", "remove c temporary"]
    assert world.up() == ["a"]


@pytest.mark.parametrize(
    ("end", "normal_exits", "reason"),
    [
        (ExitCode(0), {0}, "normal"),
        (ExitCode(0), set(), "exit 0"),
        (ExitCode(75), {0, 75}, "normal"),
        (KilledBySignal("SIGTERM"), {0}, "signal SIGTERM"),
        (KilledBySignal("SIGTERM"), {0, "SIGTERM"}, "normal"),
        (KilledBySignal("SIGTERM"), {0, 15}, "signal SIGTERM"),
        (ExitCode(15), {0, "SIGTERM"}, "exit 15"),
    ],
)
def test_normal_is_what_the_spec_declares_so(end: WorkerExit, normal_exits: set[int | str], reason: str) -> None:
    assert str(judge_exit(end, frozenset(normal_exits))) == reason


@pytest.mark.parametrize("reason", [*ORDERLY, *ABNORMAL], ids=str)
def test_only_orderly_ends_are_not_abnormal(reason: Reason) -> None:
    assert is_abnormal(reason) is (reason in ABNORMAL)
