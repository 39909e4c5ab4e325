"""Whose an orphan is, as the daemon reads it off the list of its guardian's children, and that none is overlooked."""

import os

import pytest

from procsup.runtime.remains import Orphans
from tests.kit.wait import let_pass
from tests.runtime.guarded import INSIDE, Guarded, in_a_namespace

PRELUDE = """
import ctypes
from procsup.runtime.remains import Orphans, Worker

MARK = b"PROCSUP_DAEMON=1:1"

def worker_that(leaves, life=1, name="root/a", starts=1):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        leaves()
        os._exit(0)
    return Worker(life, pid, name, starts)

def reap(worker):
    os.waitpid(worker.pid, 0)
    worker.is_reaped = True

def orphan(*env, argv=("sleep", "1000")):
    '''In a session of its own, with this environment and no other.'''
    told, tell = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            words = (ctypes.c_char_p * (len(env) + 1))(*env, None)
            args = (ctypes.c_char_p * (len(argv) + 1))(*map(os.fsencode, argv), None)
            ctypes.CDLL(None).execve(b"/bin/" + args[0], args, words)
        os._exit(0)
    os.close(tell)
    os.wait()
    os.read(told, 1)

def in_a_group_of_its_own(what=signal.pause):
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setpgid(0, 0)
        os.write(tell, b".")
        what()
        os._exit(0)
    os.read(told, 1)

def pids(stats):
    return sorted(stat.pid for stat in stats)
"""
"""`orphan` is to be called by a worker, and returns when the orphan is executed."""


def says(work: str, **more: object) -> list[str]:
    """What a daemon says that does this; the guardian ends with 0."""
    with Guarded(f"{work}\nsay('end')\nreturn 0", before=PRELUDE, **more) as guarded:  # type: ignore[arg-type]  # Popen's
        said = []
        while (line := guarded.line()) != "end":
            said.append(line)
        assert guarded.wait() == 0
    return said


def test_process_that_is_not_our_parent_is_refused_as_guardian() -> None:
    with pytest.raises(OSError, match="not our parent"):
        Orphans(os.getpid(), b"MARK")


@pytest.mark.parametrize(
    ("environ", "is_its"),
    [
        (("PROCSUP_DAEMON=1:1", "PROCSUP_NAME=root/a", "PROCSUP_STARTS=3"), True),
        (("PROCSUP_DAEMON=1:2", "PROCSUP_NAME=root/a", "PROCSUP_STARTS=3"), False),
        (("PROCSUP_NAME=root/a", "PROCSUP_STARTS=3"), False),
        (("PROCSUP_DAEMON=1:1", "PROCSUP_NAME=root/b", "PROCSUP_STARTS=3"), False),
        (("PROCSUP_DAEMON=1:1", "PROCSUP_NAME=root/a", "PROCSUP_STARTS=2"), False),
        (("PROCSUP_DAEMON=1:1", "PROCSUP_NAME=root/a", "PROCSUP_STARTS=33"), False),
        (("PROCSUP_DAEMON=1:1", "PROCSUP_NAME=root/a"), False),
        (("PROCSUP_DAEMON=1:1",), False),
        ((), False),
        (("PROCSUP_WORD", "=", "PROCSUP_DAEMON=1:1", "PROCSUP_NAME=root/a", "PROCSUP_STARTS=3"), True),
    ],
    ids=["its own", "other daemon", "no daemon", "other worker", "earlier life", "other number", "no number", "no name",
         "nothing", "and nonsense"],
)  # fmt: skip
def test_orphan_in_another_session_belongs_to_the_life_that_its_environment_names(
    environ: tuple[str, ...], is_its: bool
) -> None:
    words = ", ".join(repr(word.encode()) for word in environ)
    work = f"""
remains = Orphans(link.guardian, MARK)
worker = worker_that(lambda: orphan({words}), starts=3)
remains.adopt(worker)
reap(worker)
remains.look()
say(len(remains.beyond(worker)))
"""
    assert says(work) == [str(int(is_its))]


def test_orphan_in_the_session_of_its_worker_belongs_to_it_without_any_environment() -> None:
    work = """
remains = Orphans(link.guardian, MARK)
workers = [worker_that(in_a_group_of_its_own, life=life, name=f"root/{life}") for life in range(3)]
for worker in workers:
    remains.adopt(worker)
    reap(worker)
remains.look()
for worker in workers:
    say(len(remains.beyond(worker)))
    (left,) = remains.beyond(worker)
    say(left.session == worker.pid)
"""
    assert says(work) == ["1", "True"] * 3


def test_orphans_are_all_met_when_they_are_more_than_one_reading_tells() -> None:
    work = """
def leave_many():
    for _ in range(1000):
        in_a_group_of_its_own()
remains = Orphans(link.guardian, MARK)
worker = worker_that(leave_many)
remains.adopt(worker)
reap(worker)
remains.look()
say(len(remains.beyond(worker)))
remains.kill_beyond(worker)
while remains.beyond(worker):
    remains.look()
say("killed")
"""
    assert says(work) == ["1000", "killed"]


def test_orphans_of_an_orphan_that_has_ended_are_met_in_its_stead() -> None:
    """Who has ended is looked at first, and those that it leaves come to the guardian only then."""
    work = """
def leave():
    in_a_group_of_its_own(lambda: (in_a_group_of_its_own(), signal.pause()))
remains = Orphans(link.guardian, MARK)
for life in range(100):
    worker = worker_that(leave, life=life)
    remains.adopt(worker)
    reap(worker)
    while len(remains.beyond(worker)) < 2:
        remains.look()
    upper = min(remains.beyond(worker), key=lambda stat: stat.parent != link.guardian).pid
    os.kill(upper, signal.SIGKILL)
    met = []
    while not met or upper in met:
        met = pids(remains.beyond(worker))
        if not met:
            say(f"overlooked in round {life}")
            break
    remains.kill_beyond(worker)
    while remains.beyond(worker):
        remains.look()
    remains.forget(life, worker)
"""
    assert says(work) == []


def test_orphans_that_were_known_are_met_when_the_guardian_has_died() -> None:
    work = """
remains = Orphans(link.guardian, MARK)
worker = worker_that(in_a_group_of_its_own)
remains.adopt(worker)
reap(worker)
remains.look()
os.kill(link.guardian, signal.SIGKILL)
os.read(link.fileno(), 1)
while os.getppid() == link.guardian:
    pass
remains.look()
say(len(remains.beyond(worker)))
remains.kill_beyond(worker)
while remains.beyond(worker):
    remains.look()
say("killed")
"""
    with Guarded(work, before=PRELUDE) as guarded:
        assert [guarded.line(), guarded.line()] == ["1", "killed"]


def test_orphan_that_a_guardian_who_is_just_ending_does_not_get_is_not_taken_for_gone() -> None:
    """It takes the guardian a while to end, as it has much memory to give back."""
    work = """
globals().pop("much")
remains = Orphans(link.guardian, MARK)
os.kill(link.guardian, signal.SIGKILL)
for life in range(1000):
    worker = worker_that(in_a_group_of_its_own, life=life)
    remains.adopt(worker)
    reap(worker)
    try:
        remains.look()
        found = len(remains.beyond(worker))
    except BlockingIOError:
        found = None
    if os.getppid() != link.guardian:
        break
    say(found)
say("gone")
"""
    with Guarded(work, before=f"{PRELUDE}much = b'x' * 500_000_000") as guarded:
        said = set(iter(guarded.line, "gone"))
    assert said <= {"1", "None"}
    assert "None" in said


@in_a_namespace
def test_pid_of_an_orphan_that_was_given_to_an_orphan_of_another_worker_is_that_ones() -> None:
    """Nobody looked while the first ended and the second came."""
    work = """
def on_signal():
    signal.sigwait([signal.SIGUSR1])
    in_a_group_of_its_own()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
remains = Orphans(link.guardian, MARK)
first, second = (worker_that(on_signal, life=life, name=f"root/{life}") for life in (1, 2))
for worker in (first, second):
    remains.adopt(worker)
os.kill(first.pid, signal.SIGUSR1)
reap(first)
remains.look()
(old,) = pids(remains.beyond(first))
import time
later = time.monotonic() + 0.05  # the kernel tells when a process has started in hundredths of a second
while time.monotonic() < later:
    pass
os.kill(old, signal.SIGKILL)
while os.path.exists(f"/proc/{old}"):
    pass
with open("/proc/sys/kernel/ns_last_pid", "w") as last:
    last.write(str(old - 1))
os.kill(second.pid, signal.SIGUSR1)
reap(second)
say("again")
hear()
remains.look()
say(pids(remains.beyond(first)))
say(pids(remains.beyond(second)) == [old])
"""
    with Guarded(f"{work}return 0", before=PRELUDE, inside=INSIDE) as guarded:
        assert guarded.line() == "again"
        let_pass(1.1)  # no pid comes round within a second
        guarded.say("look")
        assert [guarded.line(), guarded.line()] == ["[]", "True"]
        assert guarded.wait() == 0
