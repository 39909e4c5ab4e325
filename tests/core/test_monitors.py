"""Monitors: the watcher is told of each death once for each monitor, and lives on. DESIGN § 4, OTP-SEMANTICS § 10."""

from typing import Any

import pytest

from procsup.core import monitors
from procsup.core.calls import Refusal
from procsup.core.child import State
from procsup.core.events import Requested
from procsup.core.messages import Answer, Down, Message
from procsup.core.readiness import Notify
from procsup.core.reason import KILLED, NOPROC, NORMAL, SHUTDOWN, TIMEOUT, ExitCode, Linked, NotReady, Reason
from procsup.core.requests import Demonitor, Link, Monitor
from procsup.core.spec import Bonds, WorkerSpec
from tests.core.trees import one_for_all, one_for_one, worker
from tests.core.world import CRASH, HANGS, LEAVES_STUBBORN_REST, SLOW, STUBBORN, World
from tests.core.world import NORMAL as ENDS_WELL


def watching(name: str, *names: str, **keys: Any) -> WorkerSpec:
    """By its spec; with a channel, too."""
    return worker(name, bonds=Bonds(monitors=names, channel=True), **keys)


def pair(**keys: Any) -> World:
    """a, and w, which has a channel."""
    return World(one_for_one("root", worker("a", **keys), watching("w"), intensity=9)).boot()


def downs(world: World, name: str = "w") -> list[Message]:
    return [message for message in world.messages_to(name) if isinstance(message, Down)]


# Made at run time


@pytest.mark.parametrize(("end", "reason"), [(CRASH, CRASH), (ENDS_WELL, NORMAL)])
def test_watcher_is_told_and_lives_on(end: ExitCode, reason: Reason) -> None:
    world = pair()
    pid = world.child("a").pid
    world.request("w", Monitor("a", 1), 5).kill("a", end=end)
    assert world.messages_to("w") == [Answer(5), Down(1, "a", pid, reason)]
    assert world.starts("w") == 1


def test_monitor_watches_one_life() -> None:
    world = pair().request("w", Monitor("a", 1)).kill("a").kill("a")
    assert len(downs(world)) == 1


def test_two_monitors_and_one_death_are_two_downs() -> None:
    world = pair().request("w", Monitor("a", 1)).request("w", Monitor("a", 2))
    pid = world.child("a").pid
    world.kill("a")
    assert downs(world) == [Down(1, "a", pid, CRASH), Down(2, "a", pid, CRASH)]


def test_ref_may_be_used_again_when_its_down_has_come() -> None:
    world = pair().request("w", Monitor("a", 1)).kill("a").request("w", Monitor("a", 1), 2).kill("a")
    assert len(downs(world)) == 2


def test_ref_that_is_in_use_is_refused() -> None:
    world = pair().request("w", Monitor("a", 1)).request("w", Monitor("a", 1), 2)
    assert world.messages_to("w") == [Answer(2, Refusal.ALREADY_PRESENT)]
    assert len(downs(world.kill("a"))) == 1


def test_monitor_that_is_one_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "MOST", 1)
    world = pair().request("w", Monitor("a", 1)).request("w", Monitor("a", 2), 9)
    assert world.messages_to("w") == [Answer(9, Refusal.TOO_MANY)]


@pytest.mark.parametrize("name", ["nobody", "s", "held", "hangs"])
def test_monitor_of_one_that_has_no_process_tells_noproc_at_once(name: str) -> None:
    world = World(one_for_one("root", watching("w"), one_for_one("s", worker("held"), worker("hangs")))).boot()
    world.every_fate("hangs", HANGS).kill("hangs")
    world.stop("held")
    world.request("w", Monitor(name, 3), 4)
    assert world.messages_to("w") == [Down(3, name, None, NOPROC), Answer(4)]


def test_monitor_of_oneself_is_ok_and_tells_nothing() -> None:
    world = pair().request("w", Monitor("w", 1), 2).kill("w")
    assert world.messages_to("w") == [Answer(2)]


def test_monitors_vanish_with_their_watcher() -> None:
    world = pair().request("w", Monitor("a", 1)).kill("w").kill("a")
    assert downs(world) == []


def test_watcher_and_watched_that_died_together_are_told_nothing() -> None:
    world = pair().request("w", Monitor("a", 1)).kill("a", "w")
    assert downs(world) == []


def test_two_that_watch_each_other_are_told_of_each_other() -> None:
    world = World(one_for_one("root", watching("v"), watching("w"), intensity=9)).boot()
    world.request("v", Monitor("w", 1)).request("w", Monitor("v", 1)).kill("v")
    assert (len(downs(world, "v")), len(downs(world, "w"))) == (0, 1)
    world.kill("w")
    assert (len(downs(world, "v")), len(downs(world, "w"))) == (0, 1)


# Demonitor


def test_no_down_comes_after_a_demonitor() -> None:
    world = pair().request("w", Monitor("a", 1)).request("w", Demonitor(1), 2).kill("a")
    assert world.messages_to("w") == [Answer(2)]
    assert world.retracted == []


def test_demonitor_after_the_death_leaves_the_down_in_the_mailbox() -> None:
    world = pair().request("w", Monitor("a", 1)).kill("a").request("w", Demonitor(1), 2)
    assert (len(downs(world)), world.retracted) == (1, [])


def test_demonitor_with_flush_takes_the_down_back() -> None:
    world = pair().request("w", Monitor("a", 1)).kill("a").request("w", Demonitor(1, flush=True), 2)
    assert world.retracted == [("w", 1)]
    assert world.messages_to("w")[-1] == Answer(2)


def test_demonitor_with_flush_in_time_has_nothing_to_take_back() -> None:
    world = pair().request("w", Monitor("a", 1)).request("w", Demonitor(1, flush=True)).kill("a")
    assert (downs(world), world.retracted) == ([], [])


def test_demonitor_of_an_unknown_ref_is_ok() -> None:
    assert pair().request("w", Demonitor(8), 2).messages_to("w") == [Answer(2)]


# Of the spec


def test_monitor_of_the_spec_tells_of_every_death() -> None:
    world = World(one_for_one("root", watching("w", "a"), worker("a"), intensity=9)).boot()
    pids = [world.child("a").pid]
    world.kill("a")
    pids.append(world.child("a").pid)
    world.kill("w").kill("a")
    assert downs(world) == [Down(None, "a", pid, CRASH) for pid in pids]


def test_monitor_of_the_spec_says_nothing_of_one_that_does_not_run() -> None:
    world = World(one_for_one("root", worker("a"), watching("w", "a", "nobody"))).boot()
    world.stop("a")
    assert len(downs(world)) == 1
    world.restart("w")
    assert len(downs(world)) == 1


def test_monitor_of_the_spec_does_not_depend_on_the_order_of_starts() -> None:
    tree = one_for_one("root", one_for_one("s", watching("w", "a")), one_for_one("t", one_for_one("u", worker("a"))))
    assert len(downs(World(tree).boot().kill("a"))) == 1


def test_monitor_of_a_child_that_is_added_later_works() -> None:
    world = World(one_for_one("root", watching("w", "new"))).boot()
    world.start_child("root", worker("new"))
    assert len(downs(world.kill("new"))) == 1


def test_removed_watcher_watches_no_more() -> None:
    world = World(one_for_one("root", worker("a"))).boot()
    world.start_child("root", watching("w", "a"))
    world.terminate_child("w")
    world.delete_child("w")
    assert downs(world.kill("a")) == []


# Every kind of end


def test_end_of_one_that_was_asked_to_stop_is_shutdown() -> None:
    world = pair().request("w", Monitor("a", 1))
    world.stop("a")
    assert [message.reason for message in downs(world) if isinstance(message, Down)] == [SHUTDOWN]


def test_end_by_our_kill_is_killed() -> None:
    world = pair(shutdown="brutal_kill").request("w", Monitor("a", 1))
    world.stop("a")
    assert [message.reason for message in downs(world) if isinstance(message, Down)] == [KILLED]


def test_end_by_a_link_says_so() -> None:
    tree = one_for_one("root", worker("a"), worker("b", bonds=Bonds(("a",))), watching("w", "b"), intensity=9)
    world = World(tree).boot().kill("a")
    assert [message.reason for message in downs(world) if isinstance(message, Down)] == [Linked("a", CRASH)]


def test_end_of_a_start_that_was_not_ready_is_told() -> None:
    tree = one_for_one("root", watching("w", "a"), worker("a", ready=Notify()), intensity=9)
    world = World(tree).boot().fate("a", SLOW, SLOW).kill("a").kill("a").wait(60.0)
    reasons = [message.reason for message in downs(world) if isinstance(message, Down)]
    assert reasons == [CRASH, NotReady(CRASH), TIMEOUT]


def test_program_that_could_not_be_executed_has_not_ended() -> None:
    world = World(one_for_one("root", watching("w", "a"), worker("a"))).boot().fate("a", HANGS).kill("a")
    world.stop("a")
    world.wait(5.0)
    assert len(downs(world)) == 1


def test_starting_one_can_be_watched() -> None:
    world = World(one_for_one("root", watching("w"), worker("a", ready=Notify()), intensity=9)).boot()
    world.fate("a", SLOW).kill("a").request("w", Monitor("a", 1)).kill("a")
    assert len(downs(world)) == 1


def test_one_that_is_on_its_way_down_can_be_watched_until_its_process_has_ended() -> None:
    world = pair().every_fate("a", STUBBORN).kill("a")
    world.stop("a")
    world.request("w", Monitor("a", 1)).wait(5.0)
    assert [message.reason for message in downs(world) if isinstance(message, Down)] == [KILLED]
    world.request("w", Monitor("a", 2))
    assert downs(world)[-1] == Down(2, "a", None, NOPROC)


def test_death_is_told_at_the_end_of_the_process_and_not_of_its_group() -> None:
    world = pair().every_fate("a", LEAVES_STUBBORN_REST).kill("a").request("w", Monitor("a", 1)).kill("a")
    assert len(downs(world)) == 1
    world.request("w", Monitor("a", 2))
    assert downs(world)[-1] == Down(2, "a", None, NOPROC)


def test_watcher_that_is_being_stopped_is_told_as_long_as_it_lives() -> None:
    world = World(one_for_all("root", worker("a"), watching("w", "a"), intensity=9)).every_fate("w", STUBBORN).boot()
    world.stop("w")
    assert world.state("w") is State.STOPPING
    assert len(downs(world.kill("a"))) == 1


def test_watcher_whose_process_has_ended_is_told_nothing() -> None:
    world = World(one_for_one("root", worker("a"), watching("w", "a"), intensity=9))
    world.every_fate("w", LEAVES_STUBBORN_REST).boot().kill("w").kill("a")
    assert downs(world) == []


def test_watcher_that_is_not_ready_is_told() -> None:
    tree = one_for_one("root", worker("a"), watching("w", "a", ready=Notify()), intensity=9)
    world = World(tree).boot().fate("w", SLOW).kill("w").kill("a")
    assert len(downs(world)) == 1


# Whoever asks


def test_request_of_a_life_that_is_over_is_not_answered() -> None:
    world = pair()
    life = world.child("w").life
    world.kill("w").happen(Requested(life, 1, Monitor("a", 1)))
    assert world.messages_to("w") == []
    assert downs(world.kill("a")) == []


def test_link_and_monitor_of_one_pair_are_told_both() -> None:
    world = World(one_for_one("root", worker("a"), worker("w", bonds=Bonds(trap_exits=True)), intensity=9)).boot()
    world.request("w", Monitor("a", 1)).request("w", Link("a")).kill("a")
    assert [type(message).__name__ for message in world.messages_to("w")] == ["Exit", "Down"]
