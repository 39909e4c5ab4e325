"""Reload: a changed tree becomes the running one with the least disturbance. procsup/core/reload.py."""

from dataclasses import replace

import pytest

from procsup.core.calls import Refusal, Reload
from procsup.core.child import State
from procsup.core.readiness import Notify
from procsup.core.reload import Fate, plan
from procsup.core.spec import Bonds, LogSettings, SupervisorSpec, WorkerSpec
from tests.core.trees import BY_STRATEGY, OTHER_PROGRAM, PROGRAM, one_for_all, one_for_one, rest_for_one, worker
from tests.core.world import BOOTED, FAILS, GOOD, HANGS, NORMAL, SLOW, STUBBORN, Outcome, World


def changed(name: str, restart: str = "permanent") -> WorkerSpec:
    return replace(worker(name, restart), program=OTHER_PROGRAM)


def reload(world: World, tree: SupervisorSpec) -> Outcome:
    return world.call(Reload(tree))


def moves(world: World) -> list[str]:
    return [line for line in world.tell() if line.startswith(("start ", "stop "))]


def fates(world: World, tree: SupervisorSpec) -> dict[str, str]:
    return {change.path.removeprefix("root/"): change.fate.value for change in plan(world.node.root, tree)}


def test_same_tree_changes_nothing() -> None:
    tree = one_for_one("root", "a", one_for_all("s", "x"))
    world = World(tree).boot()
    world.tell()
    assert fates(world, replace(tree)) == {}
    assert reload(world, replace(tree)) == "ok"
    assert moves(world) == []


def test_changed_worker_is_restarted_and_its_siblings_run_on() -> None:
    world = World(one_for_one("root", "a", "b", "c")).boot()
    world.tell()
    after = one_for_one("root", "a", changed("b"), "c")
    assert fates(world, after) == {"b": "restart"}
    assert reload(world, after) == "ok"
    assert moves(world) == ["stop b shutdown", "start b"]
    assert world.child("b").spec == changed("b")


def test_under_one_for_one_one_is_back_before_the_next_stops() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.tell()
    reload(world, one_for_one("root", changed("a"), changed("b")))
    assert moves(world) == ["stop a shutdown", "start a", "stop b shutdown", "start b"]


def test_one_for_all_takes_everybody_along() -> None:
    world = World(one_for_all("root", "a", "b", "c")).boot()
    world.tell()
    after = one_for_all("root", "a", changed("b"), "c")
    assert fates(world, after) == {"a": "along", "b": "restart", "c": "along"}
    assert reload(world, after) == "ok"
    assert moves(world) == [
        "stop c shutdown", "stop b shutdown", "stop a shutdown", "start a", "start b", "start c",
    ]  # fmt: skip


def test_rest_for_one_takes_those_after_the_first_changed_along() -> None:
    world = World(rest_for_one("root", "a", "b", "c")).boot()
    world.tell()
    after = rest_for_one("root", "a", changed("b"), "c")
    assert fates(world, after) == {"b": "restart", "c": "along"}
    assert reload(world, after) == "ok"
    assert moves(world) == ["stop c shutdown", "stop b shutdown", "start b", "start c"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_removed_child_stops_and_new_one_starts_and_nobody_else_is_touched(strategy: str) -> None:
    world = World(BY_STRATEGY[strategy]("root", "a", "b", "c")).boot()
    world.tell()
    after = BY_STRATEGY[strategy]("root", "a", "c", "d")
    assert fates(world, after) == {"b": "stop", "d": "start"}
    assert reload(world, after) == "ok"
    assert moves(world) == ["stop b shutdown", "start d"]
    assert [child.name for child in world.node.children()] == ["root", "a", "c", "d"]


def test_removed_ones_stop_in_reverse_order_before_anything_starts() -> None:
    world = World(one_for_one("root", "a", "b", "c")).boot()
    world.tell()
    reload(world, one_for_one("root", "new", "b"))
    assert moves(world) == ["stop c shutdown", "stop a shutdown", "start new"]


def test_worker_that_moves_to_another_supervisor_never_runs_twice() -> None:
    world = World(one_for_one("root", one_for_one("s", "keep"), one_for_one("t", "x"))).boot()
    world.every_fate("x", STUBBORN)
    world.tell()
    reload(world, one_for_one("root", one_for_one("s", "keep", "x"), one_for_one("t")))
    lines = moves(world)
    assert lines.index("start x") > next(i for i, line in enumerate(lines) if line.startswith("stop x"))
    moved = world.node.child("root/s/x")
    assert moved is not None
    assert moved.state is State.RUNNING


def test_settings_of_supervision_change_in_place() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"), "a")).boot()
    world.tell()
    after = one_for_one(
        "root",
        one_for_one("s", replace(worker("x", "transient"), shutdown=9.0), intensity=7, period=1.0, shutdown=3.0),
        "a",
        intensity=9,
    )
    assert fates(world, after) == {"root": "adjust", "s": "adjust", "s/x": "adjust"}
    assert reload(world, after) == "ok"
    assert moves(world) == []
    assert world.child("x").spec.shutdown == 9.0
    inner = world.child("s").supervisor
    assert inner is not None
    assert (inner.window.intensity, inner.window.period, inner.spec.shutdown) == (7, 1.0, 3.0)


def test_how_a_log_is_kept_changes_in_place() -> None:
    world = World(one_for_one("root", "a")).boot()
    program = replace(PROGRAM, log=LogSettings(max_bytes=5))
    assert fates(world, one_for_one("root", replace(worker("a"), program=program))) == {"a": "adjust"}


def test_raised_limit_holds_for_the_restarts_that_were() -> None:
    world = World(one_for_one("root", "a", intensity=1)).boot().kill("a")
    reload(world, one_for_one("root", "a", intensity=2))
    world.kill("a")
    assert world.up() == ["a"]
    assert world.kill("a").end is not None


def test_plan_of_a_supervisor_that_restarts_along_names_all_below_it() -> None:
    world = World(one_for_all("root", "a", one_for_one("s", "x", "y"))).boot()
    after = one_for_all("root", changed("a"), one_for_one("s", changed("x"), "y", "z"))
    assert fates(world, after) == {"a": "restart", "s": "along", "s/x": "restart", "s/y": "along", "s/z": "start"}
    assert reload(world, after) == "ok"
    assert sorted(world.up()) == ["a", "x", "y", "z"]
    assert [world.starts(name) for name in "axy"] == [2, 2, 2]


def test_plan_names_all_below_a_supervisor_that_comes_or_goes() -> None:
    world = World(one_for_one("root", one_for_one("s", "x"))).boot()
    after = one_for_one("root", one_for_one("t", one_for_one("u", "y")))
    assert fates(world, after) == {"t": "start", "t/u": "start", "t/u/y": "start", "s": "stop", "s/x": "stop"}


def test_reload_that_changes_nothing_waits_for_nobody() -> None:
    tree = one_for_one("root", replace(worker("a"), ready=Notify()))
    world = World(tree).fate("a", SLOW).happen(BOOTED)
    assert world.state("root") is State.STARTING
    assert reload(world, replace(tree)) == "ok"


def test_strategy_changes_in_place() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    reload(world, one_for_all("root", "a", "b"))
    world.tell()
    world.kill("a")
    assert "start b" in world.tell()


def test_new_order_is_that_of_the_next_stop() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    assert fates(world, one_for_one("root", "b", "a")) == {"root": "adjust"}
    reload(world, one_for_one("root", "b", "a"))
    world.tell()
    world.shut_down()
    assert moves(world)[:2] == ["stop a shutdown", "stop b shutdown"]


def test_held_child_stays_down_and_is_started_by_the_new_spec() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.stop("a")
    after = one_for_one("root", changed("a"), "b")
    assert fates(world, after) == {"a": "held"}
    assert reload(world, after) == "ok"
    assert world.up() == ["b"]
    assert world.start("a") == "ok"
    assert world.child("a").spec == changed("a")


def test_changed_child_that_had_ended_is_started_and_takes_nobody_along() -> None:
    world = World(one_for_all("root", worker("job", "transient"), "b")).boot().kill("job", end=NORMAL)
    world.tell()
    reload(world, one_for_all("root", changed("job", "transient"), "b"))
    assert moves(world) == ["start job"]


def test_temporary_child_that_has_ended_stays_gone_unless_it_is_changed() -> None:
    world = World(one_for_one("root", worker("job", "temporary"), "b")).boot().kill("job")
    world.tell()
    reload(world, one_for_one("root", worker("job", "temporary"), "b"))
    assert moves(world) == []
    reload(world, one_for_one("root", changed("job", "temporary"), "b"))
    assert moves(world) == ["start job"]


def test_child_added_at_run_time_stays_and_a_deleted_one_stays_away() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    world.start_child("root", worker("extra"))
    world.terminate_child("b")
    world.delete_child("b")
    assert fates(world, one_for_one("root", "a", "b")) == {}
    reload(world, one_for_one("root", "a", "b", "c"))
    assert sorted(world.up()) == ["a", "c", "extra"]


def test_worker_that_becomes_a_supervisor_is_replaced() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    after = one_for_one("root", one_for_one("a", "x"), "b")
    assert [change.fate for change in plan(world.node.root, after)] == [Fate.START, Fate.START, Fate.STOP]
    assert reload(world, after) == "ok"
    assert sorted(world.up()) == ["b", "x"]


def test_start_that_fails_leaves_its_child_down_and_counts_for_nothing() -> None:
    world = World(one_for_all("root", "a", "b", "c", intensity=0)).boot().fate("b", FAILS, GOOD)
    assert reload(world, one_for_all("root", "a", changed("b"), "c")) == "ok"
    assert world.up() == ["a", "c"]
    assert world.state("b") is State.DOWN
    assert world.start("b") == "ok"


def test_reload_waits_for_what_its_supervisor_is_doing() -> None:
    a = replace(worker("a"), ready=Notify())
    world = World(one_for_all("root", a, "b")).fate("a", GOOD, SLOW).boot().kill("a")
    ref = world.ask(Reload(one_for_all("root", a, "b", "c")))
    world.settle()
    assert not world.has("c")
    world.become_ready("a")
    assert world.answer(ref) == "ok"
    assert sorted(world.up()) == ["a", "b", "c"]


def test_supervisor_that_is_down_begins_with_the_new_children() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y"))).boot()
    world.stop("s")
    reload(world, one_for_one("root", one_for_one("s", "y", "z")))
    assert not world.has("x")
    assert world.start("s") == "ok"
    assert sorted(world.up()) == ["y", "z"]


def test_what_is_gone_below_a_supervisor_that_is_down_is_gone_at_once() -> None:
    world = World(one_for_one("root", one_for_one("s", one_for_one("t", "x", "y"), "z"))).boot()
    world.stop("s")
    reload(world, one_for_one("root", one_for_one("s", one_for_one("t", "y"), "w")))
    assert not world.has("x")
    assert not world.has("z")
    assert world.start("s") == "ok"
    assert sorted(world.up()) == ["w", "y"]


def test_supervisor_that_gives_up_meanwhile_begins_again_with_the_new_children() -> None:
    world = World(one_for_one("root", one_for_one("s", "x", "y", intensity=0))).boot().fate("y", STUBBORN)
    world.exits("x")
    ref = world.ask(Reload(one_for_one("root", one_for_one("s", "x", "z", intensity=0))))
    world.settle()
    assert world.answer(ref) == "ok"
    assert sorted(world.up()) == ["x", "z"]


def test_child_made_temporary_while_its_group_restarts_goes_with_its_stop() -> None:
    world = World(one_for_all("root", "a", "b")).every_fate("b", STUBBORN).boot()
    world.exits("a").deliver()
    world.tell()
    world.ask(Reload(one_for_all("root", "a", worker("b", "temporary"))))
    world.settle().wait(5)
    assert [line for line in world.tell() if "start" in line or "remove" in line] == [
        "remove b temporary",
        "start a",
    ]
    assert world.up() == ["a"]


def reload_while_a_restart_fails(before: SupervisorSpec, after: SupervisorSpec) -> World:
    """The last of the group has crashed, and the start of "a", which those after it wait for, fails while the reload
    waits for its turn.
    """
    world = World(before).fate("a", GOOD, HANGS).boot().kill("c")
    ref = world.ask(Reload(after))
    world.settle()
    world.wait_is_over(world.process("a"))
    world.settle()
    assert world.answer(ref) == "ok"
    return world


def test_those_who_wait_for_a_child_that_cannot_start_do_not_wait_for_it_once_it_is_removed() -> None:
    world = reload_while_a_restart_fails(one_for_all("root", "a", "b", "c"), one_for_all("root", "b", "c"))
    assert world.up() == ["b", "c"]
    assert not world.has("a")


def test_nor_once_it_is_a_supervisor() -> None:
    after = one_for_all("root", one_for_one("a", "x"), "b", "c")
    world = reload_while_a_restart_fails(one_for_all("root", "a", "b", "c"), after)
    assert sorted(world.up()) == ["b", "c", "x"]


def test_nor_once_their_strategy_does_not_tie_them_to_it_any_more() -> None:
    """It fails again, and has its next turn after the reload has."""
    world = World(one_for_all("root", "a", "b", "c")).fate("a", GOOD, FAILS, FAILS, FAILS, FAILS).boot()
    world.exits("c")
    ref = world.ask(Reload(one_for_one("root", "a", "b", "c", intensity=5)))
    world.settle()
    assert world.answer(ref) == "ok"
    assert sorted(world.up()) == ["a", "b", "c"]


def test_each_of_those_has_its_own_tries() -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("a", GOOD, FAILS, FAILS, FAILS).fate("b", GOOD, FAILS).boot()
    world.exits("c")
    world.ask(Reload(one_for_one("root", "a", "b", "c", intensity=9)))
    world.settle()
    assert sorted(world.up()) == ["a", "b", "c"]


def test_links_change_in_place() -> None:
    a, b = worker("a", "temporary"), worker("b", "temporary")
    world = World(one_for_one("root", replace(a, bonds=Bonds(links=("b",))), b, "c")).boot()
    pids = [world.child(name).pid for name in "abc"]
    assert reload(world, one_for_one("root", replace(a, bonds=Bonds(links=("c",))), b, "c")) == "ok"
    assert [world.child(name).pid for name in "abc"] == pids
    world.kill("a")
    assert world.up() == ["b", "c"]
    assert world.starts("c") == 2


def test_worker_that_gets_a_channel_is_restarted() -> None:
    world = World(one_for_one("root", "a", "b")).boot()
    after = one_for_one("root", replace(worker("a"), bonds=Bonds(monitors=("b",))), "b")
    assert fates(world, after) == {"a": "restart"}


def test_reload_while_the_tree_stops_is_refused() -> None:
    tree = one_for_one("root", "a")
    world = World(tree).every_fate("a", STUBBORN).boot().shut_down()
    assert reload(world, tree) is Refusal.NOPROC
