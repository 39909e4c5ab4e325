"""Links: exit signals between workers, as DESIGN § 4 and OTP-SEMANTICS § 10 say. What is told of monitors stands in
test_monitors.py.
"""

from itertools import combinations, permutations
from typing import Any

import pytest

from procsup.core.calls import Refusal
from procsup.core.child import State
from procsup.core.messages import Answer, Exit, Message, Shutdown
from procsup.core.readiness import Notify
from procsup.core.reason import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    ExitCode,
    KilledBySignal,
    Linked,
    NotReady,
    Reason,
    WorkerExit,
)
from procsup.core.requests import Link, TrapExits, Unlink
from procsup.core.spec import Bonds, SupervisorSpec, WorkerSpec
from tests.core.trees import BY_STRATEGY, one_for_all, one_for_one, worker
from tests.core.world import CRASH, HANGS, LEAVES_STUBBORN_REST, SLOW, STUBBORN, World
from tests.core.world import NORMAL as ENDS_WELL

TERM_CONT = ["SIGTERM", "SIGCONT"]
SEGV = KilledBySignal("SIGSEGV", core=True)


def bound(name: str, *links: str, restart: str = "permanent", traps: bool = False, **keys: Any) -> WorkerSpec:
    """It has a channel, too."""
    return worker(name, restart, bonds=Bonds(links, trap_exits=traps, channel=True), **keys)


def spies(restart: str = "permanent", traps: bool = False) -> World:
    """a, and b, which is linked with it; a has 9 restarts, and so has b."""
    return up(bound("a"), bound("b", "a", restart=restart, traps=traps))


def up(*workers: WorkerSpec | SupervisorSpec, strategy: str = "one_for_one") -> World:
    world = World(BY_STRATEGY[strategy]("root", *workers, intensity=9)).boot()
    world.tell()
    return world


def exits_told(world: World, name: str) -> list[Message]:
    return [message for message in world.messages_to(name) if isinstance(message, Exit)]


def fired(world: World) -> list[tuple[str, str, str, bool]]:
    """Every exit signal: to whom, from whom, the reason, and whether it was trapped."""
    return [
        (r.path.rpartition("/")[2], str(r.details["peer"]), str(r.details["reason"]), bool(r.details["trapped"]))
        for r in world.records
        if r.event == "link_fired"
    ]


# Who is struck, by what (the table of § 10)


def test_peer_that_ends_normally_ends_nobody() -> None:
    world = spies().kill("a", end=ENDS_WELL)
    assert (world.signals_to("b"), world.starts("a"), world.starts("b")) == ([], 2, 1)


@pytest.mark.parametrize(("end", "reason"), [(CRASH, "exit 1"), (SEGV, "signal SIGSEGV core")])
def test_peer_that_crashes_takes_the_other_along(end: WorkerExit, reason: str) -> None:
    world = spies().kill("a", end=end)
    assert world.signals_to("b") == TERM_CONT
    assert dict(world.record_of("exited", "b").details)["reason"] == f"linked a {reason}"
    assert world.child("b").last_exit == Linked("a", end)


def test_peer_that_was_asked_to_stop_takes_the_other_along_with_shutdown() -> None:
    world = spies()
    world.stop("a")
    assert world.child("b").last_exit == Linked("a", SHUTDOWN)


def test_peer_that_took_our_kill_takes_the_other_along_with_killed() -> None:
    world = up(bound("a", shutdown="brutal_kill"), bound("b", "a"))
    world.stop("a")
    assert world.child("b").last_exit == Linked("a", KILLED)


@pytest.mark.parametrize(("end", "reason"), [(ENDS_WELL, NORMAL), (CRASH, CRASH), (SEGV, SEGV)])
def test_who_traps_exits_is_told_and_lives_on(end: WorkerExit, reason: Reason) -> None:
    world = spies(traps=True).kill("a", end=end)
    assert exits_told(world, "b") == [Exit("a", reason)]
    assert (world.signals_to("b"), world.starts("b")) == ([], 1)


def test_sigkill_from_outside_cannot_be_trapped_and_peers_see_the_signal() -> None:
    world = up(bound("a", traps=True), bound("b", "a")).kill("a", end=KilledBySignal("SIGKILL"))
    assert world.starts("a") == 2
    assert world.child("b").last_exit == Linked("a", KilledBySignal("SIGKILL"))


def test_link_made_twice_fires_once() -> None:
    world = up(bound("a", "b"), bound("b", "a", traps=True))
    world.request("b", Link("a")).request("a", Link("b")).kill("a")
    assert exits_told(world, "b") == [Exit("a", ExitCode(1))]


@pytest.mark.parametrize("name", ["nobody", "s", "held", "hangs"])
def test_link_with_one_that_has_no_process_is_an_error(name: str) -> None:
    world = up(bound("a"), one_for_one("s", worker("held"), worker("hangs"))).every_fate("hangs", HANGS).kill("hangs")
    world.stop("held")
    world.request("a", Link(name), 7)
    assert world.messages_to("a") == [Answer(7, Refusal.NOPROC)]


def test_link_with_one_that_has_no_process_is_a_message_to_who_traps_exits() -> None:
    world = up(bound("a", traps=True)).request("a", Link("nobody"), 7)
    assert world.messages_to("a") == [Exit("nobody", NOPROC), Answer(7)]


def test_link_with_oneself_means_nothing() -> None:
    world = up(bound("a", "a")).request("a", Link("a"), 7).kill("a")
    assert world.messages_to("a") == [Answer(7)]
    assert (fired(world), world.starts("a")) == ([], 2)


# Both ways, anywhere in the tree


@pytest.mark.parametrize(("dead", "other"), [("a", "b"), ("b", "a")])
def test_link_works_both_ways(dead: str, other: str) -> None:
    world = spies().kill(dead)
    assert world.child(other).last_exit == Linked(dead, ExitCode(1))
    assert (world.starts("a"), world.starts("b")) == (2, 2)


def test_link_crosses_supervisors() -> None:
    tree = (one_for_one("s", bound("a", "b")), one_for_one("t", one_for_one("u", bound("b"), intensity=9)))
    world = up(*tree).kill("a")
    assert (world.starts("a"), world.starts("b"), world.child("u").starts) == (2, 2, 1)


def test_link_of_the_specs_holds_over_restarts() -> None:
    world = spies().kill("a").kill("b").kill("a")
    assert (world.starts("a"), world.starts("b")) == (4, 4)


def test_link_made_at_run_time_ends_with_the_life() -> None:
    world = up(bound("a"), bound("b")).request("a", Link("b"), 1).kill("b")
    assert world.messages_to("a")[0] == Answer(1)
    assert (world.starts("a"), world.starts("b")) == (2, 2)
    world.kill("b")
    assert (world.starts("a"), world.starts("b")) == (2, 3)


def test_unlink_ends_a_link_of_either_kind_for_this_life() -> None:
    world = spies().request("a", Unlink("b"), 1).kill("a")
    assert (world.messages_to("a"), world.starts("b")) == ([Answer(1)], 1)
    world.kill("a")
    assert world.starts("b") == 2


def test_unlink_after_the_death_leaves_what_was_told() -> None:
    world = spies(traps=True).kill("a").request("b", Unlink("a")).kill("a")
    assert exits_told(world, "b") == [Exit("a", ExitCode(1))]


def test_unlink_of_one_that_is_not_linked_is_ok() -> None:
    world = up(bound("a"), bound("b")).request("a", Unlink("b"), 1).request("a", Unlink("nobody"), 2)
    assert world.messages_to("a") == [Answer(1), Answer(2)]


def test_request_may_change_whether_exits_are_trapped() -> None:
    world = spies().request("b", TrapExits(on=True), 1).kill("a")
    assert world.messages_to("b") == [Answer(1), Exit("a", ExitCode(1))]
    world.request("b", TrapExits(on=False)).kill("a")
    assert world.starts("b") == 2


def test_trapping_that_was_asked_for_ends_with_the_life() -> None:
    world = spies().request("b", TrapExits(on=True)).kill("b").kill("a")
    assert exits_told(world, "b") == []
    assert world.starts("b") == 3


# Its own restart type and window


@pytest.mark.parametrize(
    ("restart", "crash", "stopped"), [("permanent", 2, 2), ("transient", 2, 1), ("temporary", 1, 1)]
)
def test_restart_type_of_the_victim_decides_by_the_reason(restart: str, crash: int, stopped: int) -> None:
    assert spies(restart).kill("a").starts("b") == crash
    world = spies(restart)
    world.stop("a")
    assert world.starts("b") == stopped
    assert world.has("b") == (restart != "temporary")


def test_restart_by_a_link_enters_the_window_of_the_victims_supervisor() -> None:
    world = World(one_for_one("root", bound("a"), one_for_one("s", bound("b", "a"), intensity=0), intensity=2)).boot()
    world.kill("a")
    assert [record.path for record in world.records if record.event == "gave_up"] == ["root/s"]
    assert (world.starts("a"), world.starts("b"), world.child("s").starts) == (2, 2, 2)


def test_group_of_the_victim_restarts_with_it() -> None:
    world = up(bound("a"), one_for_all("s", bound("b", "a"), worker("c"))).kill("a")
    assert (world.starts("b"), world.starts("c")) == (2, 2)


def test_linked_siblings_that_share_a_fate_restart_once() -> None:
    world = up(bound("a"), bound("b", "a"), strategy="one_for_all").kill("a")
    assert (world.starts("a"), world.starts("b")) == (2, 2)
    assert [record.event for record in world.records].count("restarting") == 1


def test_linked_siblings_that_died_together_strike_nobody() -> None:
    world = spies(traps=True).kill("a", "b")
    assert (fired(world), world.messages_to("b")) == ([], [])
    assert (world.starts("a"), world.starts("b")) == (2, 2)


# Chains and circles


@pytest.mark.parametrize("first", "abcd")
def test_one_death_in_a_circle_costs_each_member_one_restart(first: str) -> None:
    world = up(bound("a", "b"), bound("b", "c"), bound("c", "d"), bound("d", "a")).kill(first)
    assert [world.starts(name) for name in "abcd"] == [2, 2, 2, 2]
    assert len(fired(world)) == 3
    world.kill(first)
    assert [world.starts(name) for name in "abcd"] == [3, 3, 3, 3]


def test_reason_crosses_a_chain_unchanged_at_the_first_death() -> None:
    world = up(bound("a"), bound("b", "a"), bound("c", "b")).every_fate("c", STUBBORN)
    world.exits("a").deliver()
    assert fired(world) == [("b", "a", "exit 1", False), ("c", "b", "exit 1", False)]
    world.settle()
    assert world.child("c").last_exit == Linked("b", ExitCode(1))


def test_chain_ends_at_who_traps_exits() -> None:
    world = up(bound("a"), bound("b", "a", traps=True), bound("c", "b")).kill("a")
    assert [world.starts(name) for name in "abc"] == [2, 1, 1]


def test_everybody_linked_with_everybody_restarts_once() -> None:
    pairs = list(combinations("abcd", 2))
    world = up(*(bound(name, *(two for one, two in pairs if one == name)) for name in "abcd")).kill("c")
    assert [world.starts(name) for name in "abcd"] == [2, 2, 2, 2]


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_circle_that_obeys_in_any_order_costs_one_restart_each(order: tuple[str, ...]) -> None:
    world = up(bound("a", "b"), bound("b", "c"), bound("c", "a"), bound("d"))
    for name in "abc":
        world.fate(name, *[STUBBORN] * 2)
    world.kill("a")
    for name in order:
        if world.process(name).is_told:
            world.kill(name)
    world.wait(5.0)
    assert [world.starts(name) for name in "abc"] == [2, 2, 2]


# Who is down, starting, restarting or being stopped


def test_declared_link_rests_while_the_other_is_down() -> None:
    world = spies()
    world.stop("b")
    world.tell()
    world.kill("a")
    assert world.tell() == ["exit a exit 1", "start a"]
    world.start("b")
    assert world.kill("a").starts("b") == 3


def test_declared_link_rests_until_both_are_ready() -> None:
    world = World(one_for_one("root", bound("a"), bound("b", "a", ready=Notify()), intensity=9)).fate("b", SLOW)
    world.boot().kill("a")
    assert (world.starts("a"), fired(world)) == (1, [])  # the boot goes on before anything is decided
    world.become_ready("b")
    assert world.kill("a").starts("b") == 2


def test_signal_to_one_that_is_not_ready_yet_fails_its_start() -> None:
    world = up(bound("a"), bound("b", ready=Notify())).fate("b", SLOW).kill("b")
    world.request("b", Link("a")).kill("a")
    assert dict(world.record_of("start_failed", "b").details)["reason"] == "not_ready linked a exit 1"
    assert world.starts("b") == 3


def test_end_before_being_ready_fires_the_links_of_that_life() -> None:
    world = up(bound("a"), bound("b", ready=Notify())).fate("b", SLOW).kill("b")
    world.request("b", Link("a")).kill("b")
    assert world.child("a").last_exit == Linked("b", NotReady(ExitCode(1)))


def test_start_that_is_too_late_fires_the_links_of_that_life() -> None:
    world = up(bound("a"), bound("b", ready=Notify())).fate("b", SLOW).kill("b")
    world.request("b", Link("a")).wait(60.0)
    assert fired(world) == [("a", "b", "timeout", False)]


def test_struck_one_is_dead_to_links() -> None:
    """Its later end fires nothing, nobody can link with it, and no second signal reaches it."""
    world = up(bound("a"), bound("b", "a", "c"), bound("c"), bound("d")).every_fate("b", STUBBORN)
    world.kill("b").exits("a").deliver()
    assert (world.state("b"), world.state("c")) == (State.STRUCK, State.STRUCK)
    world.settle().request("d", Link("b"), 1).kill("c").wait(5.0)
    assert world.messages_to("d") == [Answer(1, Refusal.NOPROC)]
    assert [signal for signal in fired(world) if signal[0] in "ad"] == [("a", "b", "exit 1", False)]
    assert (world.starts("b"), world.starts("d")) == (3, 1)


def test_one_that_is_being_stopped_is_not_struck_and_takes_the_other_along_when_it_is_down() -> None:
    world = spies().kill("b").every_fate("b", STUBBORN).kill("b")
    first = len(fired(world))
    world.stop("b")
    assert world.state("a") is State.RUNNING
    world.wait(5.0)
    assert fired(world)[first:] == [("a", "b", "killed", False)]


def test_peer_that_dies_while_the_other_is_being_stopped_is_of_no_consequence() -> None:
    world = spies().fate("b", STUBBORN).kill("b")
    world.stop("b")
    before = fired(world)
    world.kill("a").wait(5.0)
    assert fired(world) == before
    assert world.state("b") is State.DOWN


def test_shutdown_of_the_tree_fires_no_link() -> None:
    world = spies().shut_down()
    assert fired(world) == []
    assert world.tell() == ["stop b shutdown", "stop a shutdown", "stop root shutdown", "end 0"]


def half_down() -> World:
    """y is linked with x, which is below s. When t dies s is to stop, and waits for u, who does not obey."""
    x, u = bound("x", "y", ready=Notify()), worker("u")
    world = up(bound("y"), one_for_all("g", worker("t"), one_for_one("s", x, intensity=9), u, intensity=9))
    return world.every_fate("u", STUBBORN).kill("u")


def test_worker_below_a_supervisor_that_is_to_stop_is_not_struck() -> None:
    world = half_down()
    world.kill("t")
    assert (world.state("s"), world.state("x")) == (State.DOOMED, State.RUNNING)
    before = fired(world)
    world.kill("y")
    assert fired(world) == before


def test_worker_that_is_ready_when_its_supervisor_is_to_stop_is_not_linked() -> None:
    world = half_down().every_fate("x", SLOW).kill("x").kill("t")
    assert (world.state("s"), world.state("x")) == (State.DOOMED, State.STARTING)
    before = fired(world)
    world.become_ready("x").wait(5.0)
    assert fired(world) == before


def test_supervisor_that_gives_up_strikes_only_those_outside() -> None:
    world = World(
        one_for_one("root", bound("x", "b"), one_for_one("s", bound("a"), bound("b", "a"), intensity=0), intensity=9)
    ).boot()
    world.kill("a")
    assert {signal[0] for signal in fired(world)} == {"b", "x"}
    assert (world.starts("x"), world.starts("a"), world.starts("b")) == (2, 2, 2)


def test_group_restart_crosses_the_links_of_its_members() -> None:
    """To be stopped by a strategy is `shutdown`, too."""
    world = up(one_for_all("s", worker("a"), bound("b")), bound("x", "b", restart="transient")).kill("a")
    assert world.child("x").last_exit == Linked("b", SHUTDOWN)
    assert world.state("x") is State.DOWN


def test_rest_of_a_struck_group_is_waited_for() -> None:
    world = spies().every_fate("b", LEAVES_STUBBORN_REST).kill("b")
    world.exits("a").settle()
    assert world.starts("b") == 2
    world.wait(5.0)
    assert world.starts("b") == 3


def test_struck_one_that_does_not_obey_is_killed_and_the_reason_stands() -> None:
    world = spies().every_fate("b", STUBBORN).kill("b").kill("a").wait(5.0)
    assert world.signals_to("b")[-1] == "SIGKILL"
    details = dict(world.record_of("exited", "b").details)
    assert (details["reason"], details["how"], details["ended"]) == ("linked a exit 1", "killed", "signal SIGKILL")


def test_struck_one_is_told_before_its_stop_signal() -> None:
    assert spies().kill("a").messages_to("b") == [Shutdown()]


def test_worker_without_a_channel_is_struck_without_a_word() -> None:
    world = up(worker("a"), worker("b", bonds=Bonds(("a",)))).kill("a")
    assert (world.starts("b"), world.messages) == (2, [])


# Commands to one that is struck


def test_operator_who_stops_a_struck_worker_holds_it() -> None:
    world = spies().every_fate("b", STUBBORN).kill("b").kill("a")
    assert world.state("b") is State.STRUCK
    assert world.stop("b") == "unanswered"
    world.wait(5.0)
    assert (world.answers, world.state("b"), world.starts("b")) == ({1: "ok"}, State.DOWN, 2)


@pytest.mark.parametrize("restart", ["permanent", "transient"])
@pytest.mark.parametrize("command", ["start", "restart"])
def test_operator_who_starts_a_struck_worker_gets_it(restart: str, command: str) -> None:
    world = spies(restart).every_fate("b", STUBBORN)
    world.restart("b")
    world.wait(5.0)
    world.stop("a")
    assert world.state("b") is State.STRUCK
    assert getattr(world, command)("b") == "unanswered"
    world.wait(5.0)
    assert (world.state("b"), world.answers[max(world.answers)]) == (State.RUNNING, "ok")


def test_struck_child_that_is_terminated_is_not_restarted() -> None:
    world = spies().every_fate("b", STUBBORN).kill("b").kill("a")
    assert world.terminate_child("b") == "unanswered"
    world.wait(5.0)
    assert (world.state("b"), world.starts("b")) == (State.DOWN, 2)


def test_shutdown_waits_for_a_struck_worker() -> None:
    world = spies().every_fate("b", STUBBORN).kill("b").kill("a").shut_down()
    assert world.end is None
    world.wait(5.0)
    assert world.end is not None


# Why


def test_end_by_a_link_can_be_followed_to_the_first_death() -> None:
    world = up(bound("a"), bound("b", "a"), bound("c", "b")).kill("a")
    story, record = [], world.record_of("exited", "c")
    while record.cause is not None:
        record = world.records[record.cause - 1]
        story.append(f"{record.event} {record.path}")
    assert story == ["stopping root/c", "link_fired root/c", "link_fired root/b", "exited root/a"]


def test_trapped_signal_is_recorded_but_for_normal_ends() -> None:
    world = spies(traps=True).kill("a", end=ENDS_WELL).kill("a")
    assert fired(world) == [("b", "a", "exit 1", True)]
