"""What follows from a death, decided without processes: links, monitors and exit signals as in OTP-SEMANTICS § 10."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.worker.node import Action, Address, Deliver, Interrupt, Kill, KillLater, Node

SCRIPT = (1, 0)
A, B, C = (10, 1), (11, 1), (12, 1)
STRANGER = (99, 1)


class World:
    """A node whose actions are carried out on paper: who is killed is gone at once, and what is delivered is kept."""

    def __init__(self) -> None:
        self.node = Node(SCRIPT)
        self.inbox: dict[Address, list[tuple[Any, ...]]] = {}
        self.interrupted: list[Address] = []
        self.doomed: list[Address] = []

    def say(self, sender: Address, *head: Any) -> None:
        self.node.handle(sender, head, b"")
        self.settle()

    def spawn(self, child: Address, parent: Address = SCRIPT, peers: tuple[Address, ...] = ()) -> None:
        self.announce(child, parent, peers)
        self.settle()

    def announce(
        self, child: Address, parent: Address = SCRIPT, peers: tuple[Address, ...] = (), ref: int | None = None
    ) -> None:
        number, born = child
        self.node.handle(parent, ("spawned", born, peers, ref), number.to_bytes(4, "little"))

    def end(self, who: Address, reason: str) -> None:
        """It says so, and is gone."""
        self.say(who, "exit", reason)
        self.gone(who)

    def gone(self, who: Address, kernel_says: str = "normal") -> None:
        self.node.gone(who, lambda: kernel_says)
        self.settle()

    def settle(self) -> None:
        while self.node.actions:
            self.perform(self.node.actions.pop(0))

    def perform(self, action: Action) -> None:
        match action:
            case Deliver(to, head):
                self.inbox.setdefault(to, []).append(head)
            case Kill(whom):
                if whom in self.node.lives:
                    self.node.gone(whom, lambda: "signal SIGKILL")
            case Interrupt(whom):
                self.interrupted.append(whom)
            case KillLater(whom):
                self.doomed.append(whom)

    def got(self, who: Address, *words: str) -> list[tuple[Any, ...]]:
        """What it was told, of these words."""
        return [head for head in self.inbox.get(who, []) if head[0] in words]

    def lives(self, who: Address) -> bool:
        return who in self.node.lives


@pytest.fixture
def world() -> World:
    """A script with three children who do not know each other."""
    world = World()
    for child in (A, B, C):
        world.spawn(child)
    return world


def test_a_link_to_the_dead_is_denied(world: World) -> None:
    world.say(A, "link", 7, STRANGER)

    assert world.got(A, "done") == [("done", 7, False)]


def test_a_monitor_of_the_dead_is_told_noproc_at_once(world: World) -> None:
    world.say(A, "monitor", 7, STRANGER)

    assert world.got(A, "DOWN") == [("DOWN", 7, STRANGER, "noproc")]


def test_a_linked_peer_that_ends_normally_changes_nothing(world: World) -> None:
    world.say(A, "link", 1, B)
    world.end(B, "normal")

    assert world.lives(A)
    assert not world.got(A, "EXIT")


@pytest.mark.parametrize("reason", ["shutdown", "boom", "signal SIGSEGV", "kill"])
def test_a_linked_peer_that_ends_otherwise_takes_one_along_with_its_own_reason(world: World, reason: str) -> None:
    world.say(A, "link", 1, B)
    world.say(C, "monitor", 2, A)
    world.end(B, reason)

    assert world.got(C, "DOWN") == [("DOWN", 2, A, reason)]


@pytest.mark.parametrize("reason", ["normal", "shutdown", "boom", "kill"])
def test_who_traps_exits_is_told_instead(world: World, reason: str) -> None:
    world.say(A, "traps", True)
    world.say(B, "link", 1, A)
    world.end(B, reason)

    assert world.lives(A)
    assert world.got(A, "EXIT") == [("EXIT", B, reason)]


def test_kill_ends_also_who_traps_exits_and_its_peers_see_killed(world: World) -> None:
    for process in (A, B):
        world.say(process, "traps", True)
    world.say(A, "link", 1, B)
    world.say(C, "signal", A, "kill")

    assert not world.lives(A)
    assert world.got(B, "EXIT") == [("EXIT", A, "killed")]


@pytest.mark.parametrize(("traps", "told"), [(False, []), (True, [("EXIT", B, "normal")])])
def test_a_normal_exit_signal_is_ignored_or_trapped(world: World, traps: bool, told: list[Any]) -> None:
    world.say(A, "traps", traps)
    world.say(B, "signal", A, "normal")

    assert world.lives(A)
    assert world.got(A, "EXIT") == told


def test_two_monitors_of_one_death_make_two_messages_and_two_links_make_one(world: World) -> None:
    world.say(A, "traps", True)
    for ref in (1, 2):
        world.say(A, "monitor", ref, B)
    world.say(A, "link", 3, B)
    world.say(B, "link", 4, A)
    world.end(B, "boom")

    assert world.got(A, "DOWN") == [("DOWN", 1, B, "boom"), ("DOWN", 2, B, "boom")]
    assert world.got(A, "EXIT") == [("EXIT", B, "boom")]


def test_an_unlinked_peer_changes_nothing_whoever_unlinked(world: World) -> None:
    world.say(A, "link", 1, B)
    world.say(B, "unlink", 2, A)
    world.end(A, "boom")

    assert world.lives(B)


def test_a_demonitored_death_is_not_told(world: World) -> None:
    world.say(A, "monitor", 1, B)
    world.say(A, "demonitor", 1)
    world.end(B, "boom")

    assert not world.got(A, "DOWN")


def test_a_monitor_does_not_concern_the_watched(world: World) -> None:
    world.say(A, "monitor", 1, B)
    world.end(A, "boom")

    assert world.lives(B)
    world.end(B, "normal")


def test_one_may_monitor_and_link_oneself(world: World) -> None:
    world.say(A, "monitor", 1, A)
    world.say(A, "link", 2, A)
    world.end(A, "boom")

    assert not world.lives(A)
    assert not world.got(A, "DOWN", "EXIT")


def test_the_reason_goes_round_a_circle_of_links_once(world: World) -> None:
    world.say(SCRIPT, "traps", True)
    for one, other in ((A, B), (B, C), (C, A), (SCRIPT, A), (SCRIPT, B), (SCRIPT, C)):
        world.say(one, "link", 0, other)
    world.end(A, "boom")

    assert sorted(world.got(SCRIPT, "EXIT")) == [("EXIT", process, "boom") for process in (A, B, C)]


def test_links_fire_when_the_process_is_gone_and_not_when_it_says_that_it_ends(world: World) -> None:
    world.say(A, "traps", True)
    world.say(A, "link", 1, B)
    world.say(B, "exit", "boom")
    assert not world.got(A, "EXIT")

    world.gone(B)
    assert world.got(A, "EXIT") == [("EXIT", B, "boom")]


def test_the_first_reason_stands(world: World) -> None:
    world.say(A, "monitor", 1, B)
    world.say(B, "exit", "mine")
    world.say(C, "signal", B, "yours")
    world.gone(B, "exit 1")

    assert world.got(A, "DOWN") == [("DOWN", 1, B, "mine")]


def test_what_the_kernel_says_is_the_reason_of_who_said_nothing(world: World) -> None:
    world.say(A, "monitor", 1, B)
    world.gone(B, "signal SIGSEGV core")

    assert world.got(A, "DOWN") == [("DOWN", 1, B, "signal SIGSEGV core")]


def test_the_parent_is_to_reap_before_it_learns_anything_else(world: World) -> None:
    world.say(SCRIPT, "monitor", 1, A)
    world.end(A, "boom")

    assert world.inbox[SCRIPT] == [("reap", A[0]), ("DOWN", 1, A, "boom")]


def test_a_new_process_that_is_to_be_linked_to_a_dead_one_dies_of_noproc(world: World) -> None:
    world.announce((20, 1), peers=(STRANGER,), ref=5)
    world.settle()

    assert world.got(SCRIPT, "DOWN") == [("DOWN", 5, (20, 1), "noproc")]


def test_who_is_ending_is_not_alive_but_can_still_be_linked_and_monitored(world: World) -> None:
    world.say(B, "exit", "boom")
    world.say(A, "alive", 1, B)
    world.say(A, "monitor", 2, B)
    world.say(A, "link", 3, B)
    assert world.got(A, "done") == [("done", 1, False), ("done", 3, True)]

    world.gone(B)
    assert not world.lives(A)


# The script


def test_the_script_is_interrupted_and_not_killed(world: World) -> None:
    world.say(SCRIPT, "link", 1, A)
    world.end(A, "boom")

    assert world.lives(SCRIPT)
    assert world.got(SCRIPT, "exit") == [("exit", "boom")]
    assert world.interrupted == [SCRIPT]


def test_the_script_can_be_killed(world: World) -> None:
    world.say(A, "signal", SCRIPT, "kill")

    assert not world.node.lives


def test_all_processes_end_with_the_script(world: World) -> None:
    world.spawn((20, 1), parent=A)
    world.gone(SCRIPT, "signal SIGKILL")

    assert world.node.is_over


def test_it_is_over_when_the_script_says_that_it_ends_and_nobody_else_lives(world: World) -> None:
    world.say(A, "traps", True)
    world.say(SCRIPT, "exit", "shutdown")
    assert not world.node.is_over

    world.end(A, "normal")
    assert world.node.is_over


# Parents and children


def test_a_child_ends_with_its_parent_also_when_that_ends_normally(world: World) -> None:
    world.spawn(child := (20, 1), parent=A)
    world.say(B, "monitor", 1, child)
    world.end(A, "normal")

    assert world.got(B, "DOWN") == [("DOWN", 1, child, "shutdown")]


def test_a_linked_child_ends_with_the_reason_of_its_parent(world: World) -> None:
    world.spawn(child := (20, 1), parent=A, peers=(A,))
    world.say(B, "monitor", 1, child)
    world.end(A, "boom")

    assert world.got(B, "DOWN") == [("DOWN", 1, child, "boom")]


@pytest.mark.parametrize(("linked", "reason"), [(True, "boom"), (False, "shutdown")])
def test_a_child_that_traps_exits_is_told_once_and_killed_at_last(world: World, linked: bool, reason: str) -> None:
    world.spawn(child := (20, 1), parent=A, peers=(A,) if linked else ())
    world.say(child, "traps", True)
    world.say(B, "monitor", 1, child)
    world.say(A, "exit", "boom")
    world.gone(A)
    assert world.got(child, "EXIT") == [("EXIT", A, reason)]
    assert world.doomed == [child]

    world.node.kill_at_last(child)
    world.settle()
    assert world.got(B, "DOWN") == [("DOWN", 1, child, "killed")]


def test_a_child_that_was_registered_after_its_parent_was_struck_ends_with_it(world: World) -> None:
    world.node.handle(SCRIPT, ("signal", A, "boom"), b"")  # struck, and not yet gone
    world.announce((20, 1), parent=A)
    world.settle()

    assert not world.lives((20, 1))


# Everything at once

_ADDRESSES = st.sampled_from([SCRIPT, A, B, C, (20, 1), STRANGER])
_REASONS = st.sampled_from(["normal", "shutdown", "boom", "kill"])
_NUMBERS = st.integers(0, 3)
_SAYINGS = st.one_of(
    st.tuples(st.just("link"), _NUMBERS, _ADDRESSES),
    st.tuples(st.just("unlink"), _NUMBERS, _ADDRESSES),
    st.tuples(st.just("monitor"), _NUMBERS, _ADDRESSES),
    st.tuples(st.just("demonitor"), _NUMBERS),
    st.tuples(st.just("traps"), st.booleans()),
    st.tuples(st.just("signal"), _ADDRESSES, _REASONS),
    st.tuples(st.just("exit"), _REASONS),
    st.tuples(st.just("gone")),
)


@given(st.lists(st.tuples(_ADDRESSES, _SAYINGS), max_size=40))
def test_whatever_is_said_the_book_stays_in_order(sayings: list[tuple[Address, tuple[Any, ...]]]) -> None:
    world = World()
    for child, parent in ((A, SCRIPT), (B, SCRIPT), (C, A), ((20, 1), C)):
        world.spawn(child, parent)
    refs = iter(range(100, 200))

    for sender, (word, *fields) in sayings:
        if not world.lives(sender):
            continue
        if word == "gone":
            world.gone(sender)
        elif word == "monitor":
            world.say(sender, word, next(refs), fields[1])
        else:
            world.say(sender, word, *fields)
        check_book(world.node)
    if world.lives(SCRIPT):
        world.gone(SCRIPT)
    for doomed in world.doomed:
        world.node.kill_at_last(doomed)
        world.settle()
        check_book(world.node)

    assert world.node.is_over


def check_book(node: Node) -> None:
    """Both sides of a tie know of it, nobody knows of the dead, and who lives has a parent."""
    for address, life in node.lives.items():
        assert life.address == address
        assert all(address in node.lives[peer].links for peer in life.links)
        assert all((address, ref) in node.lives[watched].watchers for ref, watched in life.watching.items())
        assert all(node.lives[watcher].watching[ref] == address for watcher, ref in life.watchers)
        assert all(node.lives[child].parent == address for child in life.children)
        assert life.parent is None or life.dismissed or address in node.lives[life.parent].children
