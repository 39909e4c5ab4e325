"""Processes, links, monitors and exit signals between real processes."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from procsup.worker import (
    Crash,
    Down,
    Exit,
    Exited,
    Pid,
    Process,
    demonitor,
    link,
    monitor,
    node_process,
    receive,
    self_,
    send,
    trap_exits,
    unlink,
)
from procsup.worker.mailbox import mine
from procsup.worker.spawn import leave
from tests.kit import processes
from tests.kit.wait import DEADLINE, wait_until
from tests.worker.kit import end_of, next_message, sit, spin, stay_busy

# Ends


def test_a_process_runs_a_function_with_what_its_parent_has() -> None:
    here, parent, secret = self_(), os.getpid(), threading.Lock()  # which cannot be pickled

    def tell(word: str, *, again: int) -> None:
        send(here, (word * again, secret.locked(), os.getppid()))

    Process.spawn(tell, "ho", again=3)

    assert receive(timeout=DEADLINE) == ("hohoho", False, parent)


def test_an_address_is_the_kernels_number_and_the_process_knows_it() -> None:
    here = self_()
    pid = Process.spawn(lambda: send(here, (self_(), os.getpid())))

    assert receive(timeout=DEADLINE) == (pid, pid.number)


def leave_without_a_word(code: int) -> None:
    os._exit(code)


def raise_exit(reason: object) -> None:
    raise Exit(reason)


ENDS: list[tuple[Callable[[], object], object]] = [
    (int, "normal"),
    (partial(raise_exit, "shutdown"), "shutdown"),
    (partial(raise_exit, ("shutdown", 5)), ("shutdown", 5)),
    (partial(raise_exit, "kill"), "kill"),
    (sys.exit, "normal"),
    (partial(sys.exit, 0), "normal"),
    (partial(sys.exit, 3), "exit 3"),
    (partial(sys.exit, 256), "normal"),
    (partial(sys.exit, "a complaint"), "exit 1"),
    (partial(leave_without_a_word, 0), "normal"),
    (partial(leave_without_a_word, 4), "exit 4"),
    (partial(os.execlp, "sh", "sh", "-c", "exit 5"), "exit 5"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal SIGKILL"),
    (lambda: os.kill(os.getpid(), signal.SIGTERM), "signal SIGTERM"),
    (lambda: os.kill(os.getpid(), signal.SIGRTMIN + 2), f"signal SIG{signal.SIGRTMIN + 2}"),
]


@pytest.mark.parametrize(("function", "reason"), ENDS)
def test_the_reason_of_an_end(function: Callable[[], object], reason: object) -> None:
    _, ref = Process.spawn_monitor(function)

    down = next_message(Down)
    assert (down.ref, down.reason) == (ref, reason)


def test_a_crash_is_told_with_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def divide_by(number: int) -> float:
        return 1 / number

    pid, _ = Process.spawn_monitor(divide_by, 0)

    crash = next_message(Down).reason
    assert isinstance(crash, Crash)
    assert isinstance(crash.exception, ZeroDivisionError)
    assert "return 1 / number" in crash.traceback
    assert "procsup/worker" not in crash.traceback
    assert f"procsup: process {pid.number} crashed:\n{crash.traceback}" in capfd.readouterr().err


class Stubborn(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


class Unpicklable(Exception):
    def __reduce__(self) -> str:
        raise RuntimeError("not me")


@pytest.mark.parametrize("error", [Stubborn(1, 2), Unpicklable("1 and 2")])
def test_a_crash_is_told_even_if_its_exception_cannot_travel(error: Exception) -> None:
    def fail() -> None:
        raise error

    Process.spawn_monitor(fail)

    crash = next_message(Down).reason
    assert isinstance(crash, Crash)
    assert str(crash.exception) == f"{type(error).__name__}: 1 and 2"
    assert "raise error" in crash.traceback


def test_a_reason_that_cannot_be_pickled_is_told_in_words() -> None:
    Process.spawn_monitor(raise_exit, threading.Lock())

    assert "lock" in str(next_message(Down).reason)


def test_a_process_that_becomes_another_program_is_followed_to_its_end(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    pid, _ = Process.spawn_monitor(os.execlp, "sh", "sh", "-c", f"read x <{gate}; exit 7")
    wait_until(lambda: processes.command_of(pid.number).startswith("sh"), "the program is executed")
    assert Process.alive(pid)

    gate.write_text("go\n")
    assert next_message(Down).reason == "exit 7"


def test_a_process_with_a_thread_is_down_when_the_thread_is() -> None:
    def start_thread_and_return() -> None:
        threading.Thread(target=spin).start()

    pid = Process.spawn(start_thread_and_return)

    assert end_of(pid) in ("normal", "noproc")
    assert not processes.of_group(pid.number)


def test_what_is_printed_is_not_lost_and_not_printed_twice(capfd: pytest.CaptureFixture[str]) -> None:
    sys.stdout.write("parent ")

    end_of(Process.spawn(partial(print, "child", end=" ")))

    assert capfd.readouterr().out == "parent child "


def test_nobody_is_left_unreaped(tmp_path: Path) -> None:
    dead = [Process.spawn(int) for _ in range(5)]
    for pid in dead:
        end_of(pid)

    assert not [pid for pid in dead if Path(f"/proc/{pid.number}").exists()]


def test_a_parent_that_only_spawns_reaps_meanwhile() -> None:
    first = Process.spawn(int)
    wait_until(lambda: processes.stat_of(first.number).state == "Z", "the first is a zombie")

    def is_reaped() -> bool:
        Process.spawn(int)
        return not Path(f"/proc/{first.number}").exists()

    wait_until(is_reaped, "the first is reaped")


# Links


def test_a_linked_process_dies_with_the_reason_of_its_peer() -> None:
    here = self_()
    trap_exits(True)

    def be_linked_to(other: Pid) -> None:
        link(other)
        send(here, "linked")
        stay_busy()

    first = Process.spawn(sit)
    second = Process.spawn_link(be_linked_to, first)
    assert receive(timeout=DEADLINE) == "linked"
    os.kill(first.number, signal.SIGKILL)

    assert next_message(Exited) == Exited(second, "signal SIGKILL")


@pytest.mark.parametrize("kind", [stay_busy, spin, lambda: os.kill(os.getpid(), signal.SIGSTOP)])
def test_an_exit_signal_ends_whom_it_strikes_whatever_he_is_doing(kind: Callable[[], None]) -> None:
    pid, _ = Process.spawn_monitor(kind)
    Process.exit(pid, "boom")

    assert next_message(Down).reason == "boom"
    assert not Path(f"/proc/{pid.number}").exists()


def test_a_normal_end_does_not_cross_a_link() -> None:
    here = self_()
    peer = Process.spawn(sit)

    def link_and_return() -> None:
        link(peer)
        send(here, "linked")

    assert end_of(Process.spawn(link_and_return)) in ("normal", "noproc")
    assert receive(timeout=DEADLINE) == "linked"
    assert Process.alive(peer)


def test_the_script_is_left_with_exit_when_a_link_strikes_it() -> None:
    def be_linked_and_wait() -> None:
        Process.spawn_link(raise_exit, "boom")
        receive(timeout=DEADLINE)

    with pytest.raises(Exit) as struck:
        be_linked_and_wait()
    assert struck.value.reason == "boom"


def test_the_script_is_interrupted_when_a_link_strikes_it_outside_of_the_library() -> None:
    def be_linked_and_work() -> None:
        Process.spawn_link(raise_exit, "boom")
        wait_until(lambda: False, "an exit signal interrupts this")

    with pytest.raises(Exit, match="boom"):
        be_linked_and_work()


def test_who_traps_exits_is_told_of_each_linked_end() -> None:
    assert trap_exits(True) is False
    pid = Process.spawn_link(int)

    assert receive(timeout=DEADLINE) == Exited(pid, "normal")
    assert trap_exits(False) is True


def test_a_spawned_process_traps_exits_for_itself() -> None:
    here = self_()

    def trap() -> None:
        trap_exits(True)
        send(here, "ready")
        send(here, receive())

    pid = Process.spawn(trap)
    assert receive(timeout=DEADLINE) == "ready"
    Process.exit(pid, ("reason", 1))

    assert receive(timeout=DEADLINE) == Exited(here, ("reason", 1))


def test_kill_cannot_be_trapped() -> None:
    here = self_()

    def trap() -> None:
        trap_exits(True)
        send(here, "ready")
        sit()

    pid, _ = Process.spawn_monitor(trap)
    assert receive(timeout=DEADLINE) == "ready"
    Process.exit(pid, "kill")

    assert next_message(Down).reason == "killed"


def test_one_may_kill_oneself() -> None:
    _, _ = Process.spawn_monitor(lambda: Process.exit(self_(), "kill"))

    assert next_message(Down).reason == "killed"


def test_an_exit_signal_to_oneself_is_raised_or_trapped() -> None:
    with pytest.raises(Exit, match="normal"):
        Process.exit(self_(), "normal")

    trap_exits(True)
    Process.exit(self_(), "normal")
    assert receive(timeout=0) == Exited(self_(), "normal")


def test_a_link_to_the_dead_is_an_exit_or_a_message() -> None:
    pid = Process.spawn(int)
    end_of(pid)
    with pytest.raises(Exit, match="noproc"):
        link(pid)

    trap_exits(True)
    link(pid)
    assert receive(timeout=0) == Exited(pid, "noproc")


def test_after_unlink_nothing_arrives() -> None:
    trap_exits(True)
    pid = Process.spawn_link(sit)
    unlink(pid)
    Process.exit(pid, "boom")

    assert end_of(pid) in ("boom", "noproc")
    with pytest.raises(TimeoutError):
        receive(timeout=0)


def test_unlink_leaves_a_message_that_is_there() -> None:
    trap_exits(True)
    pid = Process.spawn_link(raise_exit, "boom")
    end_of(pid)
    unlink(pid)

    assert receive(timeout=0) == Exited(pid, "boom")


def test_a_chain_of_links_falls_from_end_to_end() -> None:
    here = self_()

    def be_chained(length: int) -> None:
        if length:
            Process.spawn_link(be_chained, length - 1)
        else:
            send(here, self_())
        stay_busy()

    first, _ = Process.spawn_monitor(be_chained, 4)
    last = receive(timeout=DEADLINE)
    assert isinstance(last, Pid)
    Process.exit(last, "boom")

    assert next_message(Down) == Down(1, first, "boom")


# Monitors


def test_a_monitor_tells_of_the_end_once() -> None:
    pid = Process.spawn(sit)
    ref = monitor(pid)
    Process.exit(pid, "boom")

    assert receive(timeout=DEADLINE) == Down(ref, pid, "boom")
    with pytest.raises(TimeoutError):
        receive(timeout=0)


def test_a_monitor_of_the_dead_tells_noproc() -> None:
    pid = Process.spawn(int)
    end_of(pid)

    assert receive_down(monitor(pid)).reason == "noproc"


def receive_down(ref: int) -> Down:
    down = next_message(Down)
    assert down.ref == ref
    return down


def test_after_demonitor_nothing_arrives_and_flush_takes_away_what_is_there() -> None:
    pid = Process.spawn(sit)
    silent, flushed, kept = monitor(pid), monitor(pid), monitor(pid)
    demonitor(silent)
    Process.exit(pid, "boom")
    assert end_of(pid) in ("boom", "noproc")
    demonitor(flushed, flush=True)
    demonitor(kept)

    assert receive(timeout=0) == Down(kept, pid, "boom")
    with pytest.raises(TimeoutError):
        receive(timeout=0)


def test_siblings_and_cousins_can_monitor_each_other() -> None:
    here = self_()

    def watch(whom: Pid) -> None:
        monitor(whom)
        send(here, "watching")
        send(here, receive())

    def have_a_child() -> None:
        send(here, Process.spawn(sit))
        sit()

    Process.spawn(have_a_child)
    nephew = receive(timeout=DEADLINE)
    assert isinstance(nephew, Pid)
    Process.spawn(watch, nephew)
    assert receive(timeout=DEADLINE) == "watching"
    os.kill(nephew.number, signal.SIGUSR2)

    assert next_message(Down).reason == "signal SIGUSR2"


def test_a_down_says_that_the_process_is_really_gone() -> None:
    for _ in range(20):
        pid, _ = Process.spawn_monitor(int)
        next_message(Down)
        assert not Path(f"/proc/{pid.number}").exists()


# Parents and children


def test_a_child_ends_with_its_parent() -> None:
    here = self_()

    def have_a_child() -> None:
        send(here, Process.spawn(spin))

    Process.spawn(have_a_child)
    child = receive(timeout=DEADLINE)
    assert isinstance(child, Pid)

    assert end_of(child) in ("shutdown", "noproc")


def test_a_parent_is_down_only_after_its_children() -> None:
    here = self_()

    def have_children() -> None:
        send(here, [Process.spawn(spin) for _ in range(3)])

    _, ref = Process.spawn_monitor(have_children)
    children = receive(lambda message: isinstance(message, list), timeout=DEADLINE)
    assert isinstance(children, list)
    receive_down(ref)

    assert not [child for child in children if Path(f"/proc/{child.number}").exists()]


def test_children_of_a_killed_parent_end_too() -> None:
    here = self_()

    def have_a_child() -> None:
        send(here, Process.spawn(spin))
        spin()

    parent = Process.spawn(have_a_child)
    child = receive(timeout=DEADLINE)
    assert isinstance(child, Pid)
    monitor(child)
    os.kill(parent.number, signal.SIGKILL)

    assert next_message(Down).reason == "shutdown"


def test_a_child_that_traps_exits_may_clean_up_after_its_parent() -> None:
    here = self_()

    def clean_up() -> None:
        trap_exits(True)
        send(here, "ready")
        match receive():
            case Exited(_, reason):
                send(here, ("cleaned up", reason))

    def have_a_child() -> None:
        Process.spawn(clean_up)
        receive()
        raise Exit("boom")

    parent = Process.spawn(have_a_child)
    assert receive(timeout=DEADLINE) == "ready"
    send(parent, "go")

    assert receive(timeout=DEADLINE) == ("cleaned up", "shutdown")


@pytest.mark.parametrize("linked", [True, False])
def test_a_child_that_traps_exits_and_stays_is_killed_at_last(linked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_process, "GRACE", 0.05)  # of the node that is forked now
    here = self_()

    def stay() -> None:
        trap_exits(True)
        send(here, self_())
        spin()

    def have_a_child() -> None:
        (Process.spawn_link if linked else Process.spawn)(stay)
        receive()

    parent = Process.spawn(have_a_child)
    child = receive(timeout=DEADLINE)
    assert isinstance(child, Pid)
    monitor(child)
    send(parent, "return")

    assert next_message(Down) == Down(1, child, "killed")


# Strangers


def test_a_process_that_the_function_forks_is_not_taken_for_the_one_that_runs_it() -> None:
    here = self_()

    def fork_and_return() -> None:
        told, tell = os.pipe()
        if os.fork() == 0:
            os.close(told)
            return  # and its copy of the pipe closes when it ends
        os.close(tell)
        os.read(told, 1)
        send(here, "the stranger has ended")

    pid, _ = Process.spawn_monitor(fork_and_return)

    assert receive(timeout=DEADLINE) == "the stranger has ended"
    assert receive(timeout=DEADLINE) == Down(1, pid, "normal")


def test_a_process_that_somebody_else_forks_has_nothing_of_its_parents() -> None:
    Process.spawn(sit)
    told, tell = os.pipe()
    number = os.fork()
    if number == 0:
        child = Process.spawn(int)
        os.write(tell, f"{self_().number == os.getpid()} {end_of(child) in ('normal', 'noproc')}".encode())
        leave(mine())
        os._exit(0)
    os.waitpid(number, 0)

    assert os.read(told, 100) == b"True True"
    for fd in (told, tell):
        os.close(fd)


def test_another_thread_may_not_use_the_mailbox() -> None:
    self_()
    complaints: list[str] = []

    def use_it() -> None:
        try:
            self_()
        except RuntimeError as error:
            complaints.append(str(error))

    thread = threading.Thread(target=use_it)
    thread.start()
    thread.join()

    assert complaints
    assert "another thread" in complaints[0]
