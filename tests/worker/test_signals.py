"""Signals are put off while the library is at its streams, also when there are other threads."""

import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from procsup.worker.signals import Held


class Raised(Exception):
    pass


@pytest.fixture
def came() -> Iterator[list[int]]:
    """What the handler of USR1 and USR2 was called with; of USR1 it raises."""
    came: list[int] = []

    def note_and_raise(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if number == signal.SIGUSR1:
            raise Raised

    before = {number: signal.signal(number, note_and_raise) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


def be_struck(steps: list[str]) -> None:
    with Held():
        os.kill(os.getpid(), signal.SIGUSR1)
        steps.append("after the signal")


@pytest.mark.parametrize("threads", [0, 1])
def test_a_handler_runs_right_after(came: list[int], threads: int) -> None:
    gate = threading.Event()
    others = [threading.Thread(target=gate.wait) for _ in range(threads)]
    for other in others:
        other.start()
    steps: list[str] = []

    try:
        with pytest.raises(Raised):
            be_struck(steps)
        assert steps == ["after the signal"]
        assert came == [signal.SIGUSR1]
    finally:
        gate.set()
        for other in others:
            other.join()


def test_it_is_in_its_place_again_after_that(came: list[int]) -> None:
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT)
    with Held(), Held():
        pass

    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT)) == before
    with pytest.raises(Raised):
        signal.raise_signal(signal.SIGUSR1)


def test_of_two_that_came_none_is_lost_though_the_first_raises(came: list[int]) -> None:
    def be_struck_twice() -> None:
        with Held(), Held():
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                os.kill(os.getpid(), number)

    with pytest.raises(Raised):
        be_struck_twice()

    assert sorted(came) == [signal.SIGUSR1, signal.SIGUSR2]


def test_in_another_thread_there_is_nothing_to_put_off(came: list[int]) -> None:
    results: list[str] = []

    def hold() -> None:
        with Held():
            results.append("held")

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()

    assert results == ["held"]
    assert signal.getsignal(signal.SIGUSR1) not in (signal.SIG_DFL, None)
