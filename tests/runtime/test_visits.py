"""Visits to pipes that have much to carry: how much is read, when, and of whom; in virtual time."""

import time
from collections.abc import Callable

import pytest

from procsup.runtime.visits import REST, TURN_BYTES, Visits

CHUNK = 131072
NOON = time.monotonic() + 1e6
"""A turn that begins in the future is never over for lack of time."""


class Pipe:
    """Its writer says `rate` bytes a second, as far as it holds them. `read` is how much was taken."""

    def __init__(self, width: int = 65536, rate: float = 0.0) -> None:
        self.fd = 3
        self.width = width
        self.taken = NOON
        self.rate = rate
        self.held = 0.0
        self.read = 0
        self.is_watched = False
        self.can_be_watched = True
        self.widest = 1024 * 1024

    @property
    def chunk(self) -> int:
        return CHUNK

    def take(self) -> int:
        count = min(int(self.held), CHUNK)
        self.held -= count
        self.read += count
        return count

    def widen(self, width: int) -> None:
        self.width = min(max(self.width, width), self.widest)

    def watch(self) -> bool:
        self.is_watched = self.can_be_watched
        return self.is_watched


class Scene:
    """Visits, the pipes, and a clock that whoever waits for a visit puts forward."""

    def __init__(self, *pipes: Pipe) -> None:
        self.now = NOON
        self.visits = Visits()
        self.pipes = pipes
        for pipe in pipes:
            self.visits.add(pipe, self.now)

    def next_round(self, takes: float = 0.00002) -> float:
        """How long was waited for it; a round takes so many seconds."""
        due = self.visits.next_due()
        assert due is not None
        waited = max(0.0, due - self.now)
        self._let_pass(waited)
        self.visits.make(self.now)
        self._let_pass(takes)
        return waited

    def live(self, seconds: float) -> int:
        """Rounds for so long; how many rests there were."""
        end, rests = self.now + seconds, 0
        while self.now < end and self.visits.next_due() is not None:
            rests += self.next_round() > 0
        return rests

    def _let_pass(self, seconds: float) -> None:
        self.now += seconds
        for pipe in self.pipes:
            pipe.held = min(pipe.width, pipe.held + pipe.rate * seconds)


def full(width: int = 65536) -> Pipe:
    pipe = Pipe(width)
    pipe.held = width
    return pipe


def test_nobody_is_waited_for_where_there_is_no_pipe() -> None:
    assert Scene().visits.next_due() is None


def test_first_visit_comes_after_a_rest_and_takes_all_there_is() -> None:
    scene = Scene(pipe := Pipe(rate=20e6))
    assert scene.next_round() == pytest.approx(REST)
    assert pipe.read == pytest.approx(20_000, abs=1)


def test_round_before_its_time_does_nothing() -> None:
    scene = Scene(pipe := full())
    scene.visits.make(scene.now)
    assert pipe.read == 0


def test_pipe_that_gives_nothing_for_a_rest_is_watched_again_and_visited_no_more() -> None:
    scene = Scene(silent := Pipe(), talks := Pipe(rate=20e6))
    scene.live(0.01)
    assert (silent.is_watched, talks.is_watched) == (True, False)
    assert len(scene.visits) == 1


def test_pipe_that_cannot_be_watched_is_visited_on() -> None:
    pipe = Pipe()
    pipe.can_be_watched = False
    scene = Scene(pipe)
    scene.live(0.01)
    assert len(scene.visits) == 1
    pipe.can_be_watched = True
    scene.live(0.01)
    assert len(scene.visits) == 0


def test_round_reads_no_more_than_a_turn_allows_and_the_rest_come_first_in_the_next_one() -> None:
    pipes = [full() for _ in range(50)]
    scene = Scene(*pipes)
    scene.next_round()
    assert sum(pipe.read for pipe in pipes) == TURN_BYTES
    assert scene.next_round() == 0
    assert all(pipe.read == 65536 for pipe in pipes[: 2 * TURN_BYTES // 65536])


def test_those_who_always_have_more_take_turns() -> None:
    pipes = [Pipe(rate=1e9) for _ in range(50)]
    Scene(*pipes).live(0.1)
    assert max(pipe.read for pipe in pipes) <= 2 * min(pipe.read for pipe in pipes)


def test_turn_is_over_when_its_time_is() -> None:
    pipes = [full(), full()]
    scene = Scene(*pipes)
    past = time.monotonic() - 10
    scene.visits = Visits()
    for pipe in pipes:
        scene.visits.add(pipe, past)
    scene.visits.make(past + 1)
    assert [pipe.read for pipe in pipes] == [65536, 0]


def test_pipe_that_closes_while_it_is_read_is_not_touched_again() -> None:
    scene = Scene(pipe := full())

    def take() -> int:
        pipe.fd = -1
        scene.visits.remove(pipe)
        return 0

    pipe.take = take  # type: ignore[method-assign]
    scene.next_round()
    assert scene.visits.next_due() is None


# Width


def test_pipe_that_is_found_more_than_half_full_is_widened() -> None:
    scene = Scene(slow := Pipe(rate=20e6), fast := Pipe(rate=50e6))
    scene.next_round()
    assert slow.width == 65536
    assert fast.width == 512 * 1024


def test_the_more_there_are_the_less_each_is_widened() -> None:
    pipes = [full() for _ in range(50)]
    Scene(*pipes).live(0.1)
    assert {pipe.width for pipe in pipes} == {131072}


def test_narrow_pipe_that_cannot_be_widened_is_read_more_often() -> None:
    pipe = full(8192)
    pipe.widest = 8192
    pipe.rate = 100e6
    scene = Scene(pipe)
    scene.live(0.1)
    assert pipe.read >= 0.1 * 40e6


# Rests


@pytest.mark.parametrize("rate", [1e6, 20e6, 100e6], ids="{:g}".format)
def test_much_output_is_read_with_rests_between(rate: float) -> None:
    scene = Scene(Pipe(1024 * 1024, rate))
    assert scene.live(0.1) >= 0.9 * 0.1 / (REST + 0.00002)


def test_a_burst_is_read_with_hardly_a_rest() -> None:
    scene = Scene(pipe := Pipe(1024 * 1024, 400e6))
    rests = scene.live(0.2)
    assert rests <= 24
    assert pipe.read >= 0.99 * 0.2 * 400e6


def test_a_burst_of_many_pipes_is_read_without_rests() -> None:
    """One alone would give too little to be read so."""
    pipes = [Pipe(131072, 24e6) for _ in range(50)]
    scene = Scene(*pipes)
    assert scene.live(0.2) <= 24
    assert sum(pipe.read for pipe in pipes) >= 0.99 * 0.2 * 50 * 24e6


def test_a_flood_that_goes_on_is_read_with_rests() -> None:
    scene = Scene(pipe := Pipe(1024 * 1024, 400e6))
    scene.live(0.3)
    before = pipe.read
    assert scene.live(0.5) >= 400
    assert pipe.read - before >= 0.99 * 0.5 * 400e6


def test_who_falls_silent_may_burst_again() -> None:
    scene = Scene(pipe := Pipe(1024 * 1024, 400e6))
    scene.live(2)
    pipe.rate = 0
    scene.live(0.1)
    assert pipe.is_watched
    pipe.rate = 400e6
    scene.visits.add(pipe, scene.now)
    assert scene.live(0.2) <= 24


@pytest.mark.parametrize("make", [full, lambda: Pipe(1024 * 1024, 400e6)], ids=["pressed", "rush"])
def test_there_are_rests_while_something_happens_in_the_tree(make: Callable[[], Pipe]) -> None:
    pipe = make()
    pipe.rate = 400e6
    scene = Scene(pipe)
    scene.live(0.01)
    scene.visits.give_way(scene.now)
    before = pipe.read
    assert scene.live(0.04) >= 38
    assert pipe.read - before <= 0.04 * 300e6
    scene.live(0.02)
    assert scene.live(0.1) <= 20
