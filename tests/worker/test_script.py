"""The script, its node and its processes as a whole: nobody is left, however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import processes
from tests.kit.processes import Process
from tests.kit.wait import DEADLINE
from tests.worker.kit import run_script

FAMILY = """
from procsup.worker import *
import os, select, signal, sys

script = self_()

def tell(word):
    os.write(1, f"{word} {os.getpid()}\\n".encode())
    send(script, word)

def child():
    Process.spawn(grandchild)
    tell("child")
    receive()

def grandchild():
    tell("grandchild")
    while True:
        pass

def stopped():
    tell("stopped")
    os.kill(os.getpid(), signal.SIGSTOP)

Process.spawn(child)
Process.spawn(stopped)
for _ in range(3):
    receive()
sys.stdin.readline()
"""


class Family:
    """A script with processes, as a process of its own in a group of its own. Last it does `end`."""

    def __init__(self, end: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", FAMILY + end],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self.script = processes.process(self.popen.pid)
        self.members: dict[str, Process] = {}
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        while len(self.members) < 3:
            word, number = self.popen.stdout.readline().decode().split()
            self.members[word] = processes.process(int(number))
        self.node = next(one for one in processes.of_group(self.popen.pid) if name_of(one) == "procsup-node")
        self.popen.stdin.write(b"\n")
        self.popen.stdin.flush()

    def wait_until_all_are_gone(self) -> None:
        for one in (self.script, self.node, *self.members.values()):
            processes.wait_until_gone(one)


def name_of(one: Process) -> str:
    return Path(f"/proc/{one.pid}/comm").read_text().strip()


@pytest.fixture
def family(request: pytest.FixtureRequest) -> Iterator[Family]:
    family = Family(getattr(request, "param", "receive()"))
    yield family
    processes.kill_all(lambda: processes.of_group(family.popen.pid))
    family.popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nobody_outlives_a_script_that_a_signal_ends(family: Family, number: int) -> None:
    os.kill(family.script.pid, number)

    assert family.popen.wait(DEADLINE) == -number
    family.wait_until_all_are_gone()


@pytest.mark.parametrize(
    ("family", "status"),
    [
        ("receive(timeout=0.05)", 1),
        ("sys.exit(3)", 3),
        ("os._exit(4)", 4),
        ("os.execlp('sh', 'sh', '-c', 'exit 5')", 5),
    ],
    indirect=["family"],
)
def test_nobody_outlives_a_script_that_ends(family: Family, status: int) -> None:
    assert family.popen.wait(DEADLINE) == status
    family.wait_until_all_are_gone()


def test_interrupt_from_the_terminal_is_for_the_script_which_takes_all_along(family: Family) -> None:
    os.killpg(family.script.pid, signal.SIGINT)

    _, err = family.popen.communicate(timeout=DEADLINE)
    assert err.decode().count("KeyboardInterrupt") == 1
    assert family.popen.returncode == -signal.SIGINT
    family.wait_until_all_are_gone()


def test_nobody_lives_without_the_node(family: Family) -> None:
    os.kill(family.node.pid, signal.SIGKILL)

    _, err = family.popen.communicate(timeout=DEADLINE)
    assert err.decode().endswith("Exit: noconnection\n")
    assert family.popen.returncode == 1
    family.wait_until_all_are_gone()


def test_the_node_is_not_for_others_to_stop(family: Family) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
        os.kill(family.node.pid, number)
    os.kill(family.script.pid, signal.SIGKILL)

    family.wait_until_all_are_gone()


def test_the_node_keeps_nothing_of_the_scripts_open(family: Family) -> None:
    opened = {os.readlink(f"/proc/{family.node.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{family.node.pid}/fd")}
    assert family.popen.stdout is not None
    assert family.popen.stderr is not None

    assert pipe_of(family.popen.stdout.fileno()) not in opened
    assert {name.split(":")[0] for name in opened - {pipe_of(family.popen.stderr.fileno())}} == {
        "anon_inode", "socket", "pipe",
    }  # fmt: skip


def pipe_of(fd: int) -> str:
    return f"pipe:[{os.fstat(fd).st_ino}]"


def test_a_script_that_ends_returns_when_all_are_reaped(tmp_path: Path) -> None:
    done = run_script(tmp_path, "pid = Process.spawn(receive)\nprint(pid.number)")

    assert done.status == 0
    assert not done.err
    assert not Path(f"/proc/{int(done.out)}").exists()


def test_processes_that_trap_exits_may_clean_up_when_the_script_ends(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
class Cleaner(GenServer):
    def init(self, arg):
        trap_exits(True)
        return Ok(None)
    def terminate(self, reason, state):
        os.write(1, f"clean {reason}\\n".encode())
GenServer.start_link(Cleaner)
GenServer.start(Cleaner)
print("end")
""")  # fmt: skip

    assert done.out.split("\n") == ["end", "clean shutdown", "clean shutdown", ""]


def test_a_script_that_a_link_strikes_ends_with_the_traceback_of_the_crash(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
def crash(): raise ValueError("because")
print(Task.await_(Task.async_(crash)))
""")  # fmt: skip

    assert done.status == 1
    assert done.err.endswith("ValueError: because\n")
    assert "Exit: ValueError: because" in done.err
    assert not done.out


def test_a_script_that_another_thread_runs_is_struck_when_it_uses_the_library(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
import threading
def run():
    Process.spawn_link(sys.exit, 3)
    try:
        receive()
    except Exit as error:
        print("struck by", error)
thread = threading.Thread(target=run)
thread.start()
thread.join()
""")  # fmt: skip

    assert done == (0, "struck by exit 3\n", "")


def test_a_script_may_leave_its_signal_handlers_to_itself(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
signal.signal(signal.SIGURG, lambda *_: print("mine"))
signal.signal(signal.SIGTERM, lambda *_: print("mine"))
pid, _ = Process.spawn_monitor(receive)
os.kill(os.getpid(), signal.SIGTERM)
os.kill(pid.number, signal.SIGTERM)
print(receive().reason)
""")  # fmt: skip

    assert done.out == "mine\nsignal SIGTERM\n"


def test_a_script_that_inherited_an_ignored_sigchld_learns_the_reasons_nevertheless(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
Process.spawn_monitor(os._exit, 3)
print(receive().reason)
""")  # fmt: skip

    assert done.out == "exit 3\n"


def test_without_descriptors_nothing_is_spawned_and_nothing_lost(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
def try_to_spawn():
    try:
        return Process.spawn_monitor(receive)
    except OSError as error:
        return error
spawned = [try_to_spawn() for _ in range(40)]
said = set()
for pid, ref in spawned:
    Process.exit(pid, "enough")
    said.add(receive(lambda message: message.ref == ref).reason)
print(sorted(said))
print(Task.await_(Task.async_(int)))
""")  # fmt: skip

    assert done.out == "['enough', 'system_limit']\n0\n"


def test_when_no_process_can_be_had_the_script_is_told_and_goes_on(tmp_path: Path) -> None:
    done = run_script(tmp_path, """
import resource
Process.spawn(int)
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)  # for root there is no limit
limits = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (1, limits[1]))
try:
    Process.spawn(int)
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_NPROC, limits)
print(Task.await_(Task.async_(int)))
""")  # fmt: skip

    assert done.out == "Resource temporarily unavailable\n0\n"


def test_a_script_that_has_become_another_user_goes_on(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    done = run_script(tmp_path, """
pid = Process.spawn(receive)
os.setresuid(65534, 65534, 65534)
print(Task.await_(Task.async_(os.getuid)))
Process.spawn_monitor(os._exit, 3)
print(receive().reason)
ref = monitor(pid)
Process.exit(pid, "enough")
print(receive().reason)
""")  # fmt: skip

    assert done == (0, "65534\nexit 3\nenough\n", "")


def test_the_library_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"click", "psutil", "asyncio", "dataclasses", "inspect", "logging", "multiprocessing", "subprocess",
             "threading", "procsup.runtime", "procsup.core", "procsup.config", "procsup.cli"}  # fmt: skip
    light = {"json", "pickle", "socket", "traceback", "procsup.worker.task", "procsup.worker.gen_server"}
    done = run_script(tmp_path, f"""
print([name for name in {sorted(heavy)} if name in sys.modules])
""")  # fmt: skip
    assert done.out == "[]\n"

    bare = subprocess.run(
        [sys.executable, "-c", f"import sys, procsup.worker\nprint([n for n in {sorted(light)} if n in sys.modules])"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert bare.stdout == "[]\n"
