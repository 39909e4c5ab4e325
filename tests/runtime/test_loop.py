"""The loop: handlers are called for what is ready, once a turn, and no signal is lost."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from procsup.runtime.loop import READ, WRITE, Loop
from tests.kit.wait import DEADLINE

Pipe = tuple[int, int]


@pytest.fixture
def loop() -> Iterator[Loop]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    loop = Loop()
    yield loop
    loop.close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    pipes = [os.pipe() for _ in range(2)]
    yield pipes
    for fds in pipes:
        for fd in fds:
            os.close(fd)


def test_handler_is_called_with_the_mask_of_its_descriptor(loop: Loop, pipes: list[Pipe]) -> None:
    seen: list[int] = []
    loop.watch(pipes[0][0], READ, seen.append)
    os.write(pipes[0][1], b"x")

    loop.turn(DEADLINE)

    assert seen == [READ]


def test_descriptor_that_stays_ready_is_told_again_each_turn(loop: Loop, pipes: list[Pipe]) -> None:
    seen: list[int] = []
    loop.watch(pipes[0][0], READ, seen.append)
    os.write(pipes[0][1], b"x")

    loop.turn(DEADLINE)
    loop.turn(DEADLINE)

    assert seen == [READ, READ]


def test_turn_without_anything_ready_ends_with_its_time_and_not_before(loop: Loop) -> None:
    begin = time.monotonic()
    loop.turn(0.0101)
    assert time.monotonic() - begin >= 0.0101


def test_turn_with_a_time_that_is_over_returns_at_once(loop: Loop) -> None:
    loop.turn(-1.0)


def test_forgotten_descriptor_is_silent_even_within_the_batch_that_found_it_ready(
    loop: Loop, pipes: list[Pipe]
) -> None:
    seen: list[int] = []
    fds = [reader for reader, _ in pipes]

    def forget_the_other(me: int, other: int) -> None:
        seen.append(me)
        loop.forget(other)

    loop.watch(fds[0], READ, lambda mask: forget_the_other(fds[0], fds[1]))
    loop.watch(fds[1], READ, lambda mask: forget_the_other(fds[1], fds[0]))
    for _, writer in pipes:
        os.write(writer, b"x")

    loop.turn(DEADLINE)

    assert len(seen) == 1


def test_turn_in_which_only_what_is_aside_was_ready_is_nobody_elses_business(loop: Loop, pipes: list[Pipe]) -> None:
    seen: list[str] = []
    loop.watch_aside(pipes[0][0], READ, lambda mask: seen.append("aside"))
    loop.watch(pipes[1][0], READ, lambda mask: seen.append("other"))
    os.write(pipes[0][1], b"x")
    first = loop.turn(DEADLINE)
    os.write(pipes[1][1], b"x")
    second = loop.turn(DEADLINE)
    loop.forget(pipes[0][0])
    loop.forget(pipes[1][0])
    third = loop.turn(0)

    assert (first, second, third) == (False, True, True)
    assert sorted(seen) == ["aside", "aside", "other"]


def test_changed_mask_decides_what_is_waited_for(loop: Loop, pipes: list[Pipe]) -> None:
    seen: list[int] = []
    loop.watch(pipes[0][1], WRITE, seen.append)
    loop.change(pipes[0][1], 0)

    loop.turn(0)

    assert seen == []


def test_descriptor_that_cannot_be_waited_for_is_an_error_and_not_kept(loop: Loop, tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        with pytest.raises(PermissionError):
            loop.watch(file.fileno(), READ, lambda mask: None)
        with pytest.raises(KeyError):
            loop.forget(file.fileno())


def test_signal_that_came_before_the_wait_ends_the_wait(loop: Loop) -> None:
    seen: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: seen.append("usr1"))
    os.kill(os.getpid(), signal.SIGUSR1)

    loop.turn(None)

    assert seen == ["usr1"]


def test_signals_of_one_kind_are_told_once_a_turn(loop: Loop) -> None:
    seen: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: seen.append("usr1"))
    loop.on_signal(signal.SIGUSR2, lambda: seen.append("usr2"))
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
        os.kill(os.getpid(), number)

    loop.turn(DEADLINE)

    assert seen == ["usr1", "usr2"]


def test_closed_loop_leaves_no_descriptor() -> None:
    before = os.listdir("/proc/self/fd")
    Loop().close()
    assert os.listdir("/proc/self/fd") == before
