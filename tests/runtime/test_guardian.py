"""The guardian: what goes through it to the daemon, what comes of the daemon's end, and who is left then."""

import fcntl
import os
import signal
import sys
import termios
from io import FileIO
from pathlib import Path

import pytest

from procsup.runtime import procfs
from tests.kit import processes
from tests.kit.client import in_words
from tests.kit.daemon import daemon_below
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, STUBBORN, sh, supervisor, tree, worker
from tests.kit.wait import wait_until
from tests.runtime.guarded import INSIDE, NUMBERS_HEARD, Guarded, in_a_namespace
from tests.runtime.test_chaos import zombies_of

# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signal_that_is_for_the_daemon_comes_to_it_once(number: int) -> None:
    with Guarded(NUMBERS_HEARD) as guarded:
        assert guarded.line() == "ready"
        guarded.send_signal(number)
        assert guarded.line() == str(number)
        guarded.send_signal(signal.SIGUSR1)
        assert guarded.line() == str(signal.SIGUSR1)
        guarded.send_signal(signal.SIGQUIT)
        assert guarded.wait() == 0


@pytest.mark.parametrize(
    "number", [signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG]
)
def test_signal_that_means_nothing_does_nothing(number: int) -> None:
    with Guarded(NUMBERS_HEARD) as guarded:
        assert guarded.line() == "ready"
        guarded.send_signal(number)
        guarded.send_signal(signal.SIGTERM)
        assert guarded.line() == str(signal.SIGTERM)
        guarded.send_signal(signal.SIGQUIT)
        assert guarded.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM])
def test_signal_that_asks_for_no_end_is_kept_while_the_daemon_starts(number: int) -> None:
    """Before it has handlers for them."""
    work = f"os.kill(os.getpid(), {int(number)})\nsay(signal.sigpending() == {{{int(number)}}})\nreturn 0"
    with Guarded(work) as guarded:
        assert guarded.line() == "True"
        assert guarded.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_tree_comes_up_though_signals_come_while_the_daemon_starts(supervise: Supervise, number: int) -> None:
    daemon = supervise(worker("a"), up=False)

    def is_listening() -> bool:
        if daemon_below(daemon.guardian):
            daemon.send_signal(number)  # the guardian takes it as soon as it has forked the daemon
        return daemon.has_ended or os.path.exists(daemon.socket)

    wait_until(is_listening, "it listens")
    daemon.wait_until_up()
    assert daemon.stop() == 0


def take_terminal() -> None:
    """In the child: standard input is its controlling terminal, and it is in the foreground there."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_in_the_terminal_comes_to_the_daemon_once(terminal: tuple[FileIO, FileIO]) -> None:
    person, program = terminal
    with Guarded(NUMBERS_HEARD, stdin=program, preexec_fn=take_terminal) as guarded:
        assert guarded.line() == "ready"
        person.write(b"\x03")
        assert guarded.line() == str(signal.SIGINT)
        guarded.send_signal(signal.SIGUSR1)
        assert guarded.line() == str(signal.SIGUSR1)
        guarded.send_signal(signal.SIGQUIT)
        assert guarded.wait() == 0


def test_ctrl_c_in_the_terminal_stops_the_tree_in_order_and_hurries_nobody(
    supervise: Supervise, terminal: tuple[FileIO, FileIO]
) -> None:
    person, program = terminal
    daemon = supervise(
        tree(worker("a"), worker("b", STUBBORN, shutdown="700ms")), stdin=program, preexec_fn=take_terminal
    )
    daemon.report_of("b")
    events = daemon.events()

    person.write(b"\x03")

    told = {(event["event"], event["path"]): event["mono"] for event in events.rest()}
    assert told["stopped", "root/b"] - told["stopping", "root/b"] >= 0.7
    assert told["stopping", "root/a"] >= told["stopped", "root/b"]
    assert daemon.wait() == 0


# The end of the daemon


@pytest.mark.parametrize("status", [0, 1, 69, 70, 73, 78, 137, 255])
def test_guardian_ends_with_the_status_of_the_daemon_and_says_nothing(status: int) -> None:
    with Guarded(f"return {status}") as guarded:
        assert guarded.wait() == status
        assert guarded.complaints() == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_guardian_of_a_daemon_that_was_killed_ends_with_128_and_the_signal_and_says_so(number: int) -> None:
    with Guarded(f"say(os.getpid())\nos.kill(os.getpid(), {int(number)})") as guarded:
        daemon = guarded.line()
        assert guarded.wait() == 128 + number
        assert f"the daemon (pid {daemon}) was killed by signal {int(number)};" in guarded.complaints()


@pytest.mark.parametrize("number", [0, signal.SIGSTOP])
def test_abrt_ends_a_daemon_that_hangs_and_whoever_is_left(supervise: Supervise, number: int) -> None:
    daemon = supervise(worker("a"))
    os.kill(daemon.pid, number)

    daemon.send_signal(signal.SIGABRT)

    assert daemon.wait() == 128 + signal.SIGABRT
    assert "Fatal Python error: Aborted" in daemon.told()
    assert "in turn" in daemon.told(), "where it was"
    assert daemon.remaining() == []


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_nothing_is_started_any_more_once_the_guardian_has_died(supervise: Supervise, strategy: str) -> None:
    """Not even by a supervisor in the middle of a restart, who has yet to be told to stop: what is left of the lives
    before may be out of sight.
    """
    daemon = supervise(
        tree(
            supervisor("root", ["all", "c"]),
            supervisor("all", ["a", "b"], strategy=strategy),
            worker("a", sh(f"{AT_THE_GATE}; exit 1")),
            worker("b", STUBBORN, shutdown="100s"),
            worker("c"),
        )
    )
    stubborn = daemon.report_of("b")
    events = daemon.events()
    daemon.open_gate()
    events.wait("stopping", "b")
    pid = daemon.pid
    os.kill(pid, signal.SIGSTOP)  # so that it learns of both at once
    wait_until(lambda: processes.stat_of(pid).state == "T", "the daemon is stopped")
    os.kill(stubborn.pid, signal.SIGKILL)
    processes.wait_until_gone(stubborn)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    os.kill(pid, signal.SIGCONT)

    told = events.rest()

    assert "start_failed a" in in_words(told)
    assert "started a" not in in_words(told)
    assert "the guardian has died, and nothing is started any more" in daemon.told()
    wait_until(lambda: not daemon.everybody(), "nobody is left")


ORPHANS = """
def leave(what):
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(tell, b"%d\\n" % os.getpid())
            what()
        os._exit(0)
    os.wait()
    return int(os.read(told, 16))

"""
"""leave(what) forks twice and leaves the session; the orphan's pid."""


def test_orphans_are_reaped_as_they_end_while_the_daemon_lives_on() -> None:
    work = "for _ in range(50):\n    leave(lambda: os._exit(0))\nsay('left')\nhear()\nreturn 0"
    with Guarded(work, before=ORPHANS) as guarded:
        assert guarded.line() == "left"
        wait_until(lambda: len(list(procfs.children_of(guarded.pid))) == 1, "all but the daemon are reaped")
        guarded.say("end")
        assert guarded.wait() == 0
        assert guarded.complaints() == ""


def test_whoever_is_left_is_killed_with_all_below_and_counted() -> None:
    """Those that end by themselves at the same time are not counted."""
    work = """
def family():
    for _ in range(3):
        os.fork()
    say("here")
    signal.pause()
leave(family)
leave(family)
hear()
for _ in range(10):
    leave(lambda: os._exit(0))
return 7
"""
    with Guarded(work, before=ORPHANS) as guarded:
        assert [guarded.line() for _ in range(16)] == ["here"] * 16
        guarded.say("end")
        assert guarded.wait() == 7
        assert guarded.everybody() == []
        assert guarded.complaints().endswith("has ended; processes left and killed: 16\n")


def test_nobody_gets_away_by_forking_and_ending_over_and_over() -> None:
    work = """
def run():
    while not os.fork():
        os.setsid()
leave(run)
return 7
"""
    with Guarded(work, before=ORPHANS) as guarded:
        assert guarded.wait() == 7
        assert guarded.everybody() == []


def test_hundreds_that_are_left_are_killed() -> None:
    work = """
for _ in range(400):
    if os.fork() == 0:
        signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""
    with Guarded(work) as guarded:
        assert guarded.wait() == 128 + signal.SIGKILL
        assert guarded.everybody() == []
        assert guarded.complaints().endswith("processes left and killed: 400\n")


def test_child_that_was_there_before_the_daemon_is_left_alone() -> None:
    """As in `exec procsup run FILE 2> >(tee log)`: tee is a child of procsup, and has yet to write the last line."""
    before = "import subprocess\nstranger = subprocess.Popen(['sleep', '1000'])\n"
    with Guarded("say(stranger.pid)\nreturn 0", before=before) as guarded:
        stranger = processes.process(int(guarded.line()))
        assert guarded.wait() == 0
        assert processes.is_alive(stranger)


def test_child_that_was_there_before_the_daemon_is_reaped_when_it_ends() -> None:
    before = "import subprocess\nstranger = subprocess.Popen(['sleep', '1000'])\n"
    with Guarded("say(stranger.pid)\nhear()\nreturn 0", before=before) as guarded:
        stranger = int(guarded.line())
        os.kill(stranger, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{stranger}"), "it is reaped")
        guarded.say("end")
        assert guarded.wait() == 0


def test_guardian_whose_terminal_is_gone_ends_as_any_other(terminal: tuple[FileIO, FileIO]) -> None:
    person, program = terminal
    work = "say('ready')\nhear()\nos.kill(os.getpid(), signal.SIGKILL)"
    with Guarded(work, stderr=program) as guarded:
        assert guarded.line() == "ready"
        program.close()
        person.close()
        guarded.say("end")
        assert guarded.wait() == 128 + signal.SIGKILL


def test_guardian_whose_output_nobody_reads_ends_as_any_other() -> None:
    work = """
os.set_blocking(2, False)
try:
    while True:
        os.write(2, bytes(4096))
except BlockingIOError:
    os.set_blocking(2, True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with Guarded(work) as guarded:
        assert guarded.wait() == 128 + signal.SIGKILL


# Descriptors


def open_files(pid: int) -> list[str]:
    """What its descriptors are, but for the first three."""
    folder = Path(f"/proc/{pid}/fd")
    return sorted(os.readlink(folder / fd).split(":")[0] for fd in os.listdir(folder) if int(fd) > 2)


def test_daemon_has_nothing_of_its_guardians_open_but_the_link() -> None:
    with Guarded("say(os.getpid())\nhear()\nreturn 0") as guarded:
        assert open_files(int(guarded.line())) == ["socket"]


def test_guardian_has_nothing_open_but_its_signals_the_link_and_the_locks(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    assert open_files(daemon.guardian) == sorted(
        ["pipe", "pipe", "socket", str(daemon.state_dir / "lock"), f"{daemon.socket}.lock"]
    )


def test_worker_has_nothing_open_but_its_own(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    assert open_files(daemon.process("a").pid) == []


# As process 1 of a container


def process_1_below(unshare: int) -> int:
    (init,) = wait_until(lambda: processes.children_of(unshare), "process 1 is there")
    return init


@in_a_namespace
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH, signal.SIGRTMIN, signal.SIGVTALRM])
def test_signal_that_means_nothing_does_nothing_to_process_1(number: int) -> None:
    with Guarded(NUMBERS_HEARD, inside=INSIDE) as guarded:
        assert guarded.line() == "ready"
        init = process_1_below(guarded.pid)
        os.kill(init, number)
        os.kill(init, signal.SIGTERM)
        assert guarded.line() == str(signal.SIGTERM)
        os.kill(init, signal.SIGQUIT)
        assert guarded.wait() == 0


@in_a_namespace
def test_process_1_stops_the_tree_in_order_on_term_and_ends_with_its_status(supervise: Supervise) -> None:
    daemon = supervise(tree(worker("a"), worker("b")), program=(*INSIDE, sys.executable, "-P", "-m", "procsup"))
    events = daemon.events()
    os.kill(process_1_below(daemon.guardian), signal.SIGTERM)
    told = [event["path"] for event in events.rest() if event["event"] == "stopped"]
    assert told == ["root/b", "root/a", "root"]
    assert daemon.wait() == 0


@in_a_namespace
def test_process_1_ends_with_70_when_the_root_gives_up(supervise: Supervise) -> None:
    daemon = supervise(
        tree(supervisor("root", ["a"], intensity=0), worker("a", sh("exit 3"))),
        program=(*INSIDE, sys.executable, "-P", "-m", "procsup"), up=False,
    )  # fmt: skip
    assert daemon.wait() == 70


@in_a_namespace
def test_process_1_reaps_strangers() -> None:
    """Who were nobody's when they came to it."""
    work = "for _ in range(20):\n    leave(lambda: os._exit(3))\nsay('left')\nhear()\nreturn 0"
    with Guarded(work, before=ORPHANS, inside=INSIDE) as guarded:
        assert guarded.line() == "left"
        init = process_1_below(guarded.pid)
        wait_until(lambda: not zombies_of(init), "all are reaped")
        guarded.say("end")
        assert guarded.wait() == 0


@in_a_namespace
def test_proc_of_another_pid_namespace_leads_to_no_wrong_kill_and_no_wait_for_ever() -> None:
    """`unshare --pid` without a new /proc: its numbers are not ours."""
    inside = [word for word in INSIDE if word != "--mount-proc"]
    with Guarded("say(leave(signal.pause))\nreturn 7", before=ORPHANS, inside=inside) as guarded:
        guarded.line()
        assert guarded.wait() == 7
        wait_until(lambda: not guarded.everybody(), "the namespace has gone with its process 1")
