"""Messages: order, selection, timers, size."""

import os
import signal
import socket
import time
from types import FrameType
from typing import NoReturn

import pytest

from procsup.worker import (
    Exit,
    Pid,
    Process,
    Readable,
    cancel_timer,
    mailbox,
    receive,
    self_,
    send,
    send_after,
    when_readable,
)
from tests.kit.wait import DEADLINE
from tests.worker.kit import end_of


def echo() -> None:
    while True:
        match receive():
            case (Pid() as sender, message):
                send(sender, message)


def test_messages_of_one_process_arrive_in_order() -> None:
    here = self_()

    def count() -> None:
        for number in range(1000):
            send(here, number)

    Process.spawn(count)

    assert [receive(timeout=DEADLINE) for _ in range(1000)] == list(range(1000))


def test_a_process_may_send_to_itself_a_copy() -> None:
    original = [1]
    send(self_(), original)
    original.append(2)

    assert receive(timeout=0) == [1]


def test_the_oldest_that_matches_is_received_and_the_others_stay() -> None:
    for message in (1, "a", 2, "b"):
        send(self_(), message)

    assert receive(lambda message: isinstance(message, str)) == "a"
    assert [receive(timeout=0) for _ in range(3)] == [1, 2, "b"]


def test_what_is_received_may_be_chosen_by_its_type() -> None:
    for message in ("a word", 7, "another word"):
        send(self_(), message)

    number: int = receive(int, timeout=0)
    assert number == 7
    assert [receive(timeout=0) for _ in range(2)] == ["a word", "another word"]


def test_a_match_is_waited_for_past_messages_that_do_not() -> None:
    here = self_()

    def tell() -> None:
        for message in ("no", "never", "yes"):
            send(here, message)

    Process.spawn(tell)

    assert receive(lambda message: message == "yes", timeout=DEADLINE) == "yes"
    assert receive(timeout=0) == "no"


@pytest.mark.parametrize("seconds", [0, 0.02])
def test_receive_gives_up_after_its_timeout_and_not_before(seconds: float) -> None:
    send(self_(), "other")
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        receive(lambda message: message == "this", timeout=seconds)
    assert time.monotonic() - began >= seconds


def test_a_message_to_the_dead_vanishes() -> None:
    pid = Process.spawn(int)
    end_of(pid)
    send(pid, "hello?")


def test_two_may_flood_each_other_with_more_than_any_buffer_holds() -> None:
    """Neither reads before it has sent everything."""
    here, block = self_(), b"x" * 100_000

    def answer_late() -> None:
        for _ in range(50):
            send(here, block)
        send(here, sum(receive() == block for _ in range(50)))

    pid = Process.spawn(answer_late)
    for _ in range(50):
        send(pid, block)

    assert receive(lambda message: isinstance(message, int), timeout=DEADLINE) == 50


def test_a_message_may_be_large() -> None:
    echoer = Process.spawn(echo)
    block = os.urandom(10_000_000)
    send(echoer, (self_(), block))

    assert receive(timeout=DEADLINE) == block


def test_a_message_that_cannot_be_unpickled_is_lost_alone() -> None:
    send(self_(), Explosive())
    send(self_(), "after")

    with pytest.raises(RuntimeError, match="boom"):
        receive(timeout=0)
    assert receive(timeout=0) == "after"


def explode() -> NoReturn:
    raise RuntimeError("boom")


class Explosive:
    def __reduce__(self) -> tuple[object, tuple[()]]:
        return explode, ()


class Interrupted(Exception):
    pass


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raises in the library only, where the test expects it."""
    while frame is not None:
        if frame.f_code.co_filename == mailbox.__file__:
            raise Interrupted
        frame = frame.f_back


def test_a_handler_that_raises_while_waiting_costs_no_message() -> None:
    """As ^C at a prompt does."""
    here, script = self_(), os.getpid()
    seen: list[object] = []

    def interrupt_and_tell() -> None:
        for number in range(100):
            os.kill(script, signal.SIGUSR1)
            send(here, number)

    def is_last(message: object) -> bool:
        seen.append(message)
        return message == 99

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        Process.spawn(interrupt_and_tell)
        while True:
            try:
                receive(is_last, timeout=DEADLINE)
                break
            except Interrupted:
                seen.clear()  # they are all still there
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert seen == list(range(100))


class Interrupting:
    """When it is opened, a signal comes."""

    def __reduce__(self) -> tuple[object, tuple[int, int]]:
        return os.kill, (os.getpid(), signal.SIGUSR1)


def test_a_handler_that_raises_while_a_message_is_opened_does_not_cost_it() -> None:
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        send(self_(), Interrupting())
        with pytest.raises(Interrupted):
            receive(timeout=DEADLINE)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert receive(timeout=0) is None  # what os.kill returned


# Timers


def test_a_message_to_oneself_may_come_later() -> None:
    began = time.monotonic()
    send_after(self_(), "late", 0.02)
    send_after(self_(), "soon", 0.01)

    assert [receive(timeout=DEADLINE), receive(timeout=DEADLINE)] == ["soon", "late"]
    assert time.monotonic() - began >= 0.02


def test_a_message_to_another_may_come_later_also_if_the_sender_is_gone() -> None:
    here = self_()
    sender = Process.spawn(lambda: send_after(here, "late", 0.05))
    end_of(sender)

    assert receive(timeout=DEADLINE) == "late"


def test_a_cancelled_timer_does_not_go_off() -> None:
    echoer = Process.spawn(echo)
    for timer in (send_after(self_(), "late", 60), send_after(echoer, "late", 60)):
        left = cancel_timer(timer)
        assert left is not None
        assert 0 < left <= 60
        assert cancel_timer(timer) is None


def test_a_time_may_be_as_long_as_one_likes() -> None:
    echoer = Process.spawn(echo)
    send_after(self_(), "never", 1e300)
    send_after(echoer, "never", 1e300)
    send(echoer, (self_(), "still here"))

    assert receive(timeout=float("inf")) == "still here"


def test_a_timer_that_went_off_cannot_be_cancelled() -> None:
    timer = send_after(self_(), "now", 0)
    receive(timeout=DEADLINE)

    assert cancel_timer(timer) is None


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_timer_needs_a_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot send after"):
        send_after(self_(), "never", seconds)


def test_bytes_and_messages_can_be_waited_for_at_the_same_time() -> None:
    here, server = self_(), socket.create_server(("127.0.0.1", 0))

    def visit() -> None:
        send(here, "on my way")
        socket.create_connection(server.getsockname())

    with server:
        when_readable(server)
        when_readable(server)
        Process.spawn(visit)

        assert {receive(timeout=DEADLINE) for _ in range(2)} == {"on my way", Readable(server.fileno())}
        server.accept()[0].close()


def test_one_is_told_once_that_there_is_something_to_read_until_one_asks_again() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"something")
    when_readable(read_end)

    assert receive(timeout=DEADLINE) == Readable(read_end)
    with pytest.raises(TimeoutError):
        receive(timeout=0)
    when_readable(read_end)
    assert receive(timeout=DEADLINE) == Readable(read_end)
    os.close(read_end)
    os.close(write_end)


def test_who_is_spawned_is_not_told_of_what_the_parent_watches() -> None:
    here = self_()
    read_end, write_end = os.pipe()
    when_readable(read_end)

    def look() -> None:
        os.write(write_end, b"something")
        try:
            send(here, receive(timeout=0))
        except TimeoutError:
            send(here, "nothing")

    child = Process.spawn(look)
    assert end_of(child) in ("normal", "noproc")
    assert {receive(timeout=DEADLINE) for _ in range(2)} == {"nothing", Readable(read_end)}
    os.close(read_end)
    os.close(write_end)


def test_what_is_closed_cannot_be_watched() -> None:
    with socket.socket() as closed:
        pass

    with pytest.raises(ValueError, match="negative"):
        when_readable(closed)


def test_what_cannot_be_pickled_is_not_sent() -> None:
    with pytest.raises(TypeError, match="pickle"):
        send(Process.spawn(echo), (number for number in range(3)))


def test_the_script_goes_on_after_an_exit_that_it_catches() -> None:
    def be_struck() -> None:
        Process.spawn_link(lambda: Process.exit(self_(), "boom"))
        receive(timeout=DEADLINE)

    with pytest.raises(Exit, match="boom"):
        be_struck()
    echoer = Process.spawn(echo)
    send(echoer, (self_(), "still here"))

    assert receive(timeout=DEADLINE) == "still here"
