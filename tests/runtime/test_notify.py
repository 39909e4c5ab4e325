"""What a service manager is told, by real sockets."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from typing import Self

import pytest

from procsup.runtime.notify import EXTEND_EVERY, STATUS_EVERY, ServiceManager
from tests.kit import processes
from tests.kit.daemon import PROCSUP
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, STAYS, STUBBORN, sh, supervisor, tree, worker, workers
from tests.kit.wait import DEADLINE, let_pass, wait_until
from tests.runtime.test_idle import WATCHED, Settled, time_on_cpu

EXTEND = "EXTEND_TIMEOUT_USEC=30000000"


class Manager:
    """Listens where $NOTIFY_SOCKET says, as systemd does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(DEADLINE)
        self.told: list[str] = []
        """Every line, in order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def wait_for(self, line: str) -> Self:
        """Until it is told this, if it was not yet."""
        while line not in self.told:
            self._take(self._socket.recv(65536))
        return self

    def news(self) -> list[str]:
        """What came since the last look, without waiting."""
        before = len(self.told)
        self._socket.setblocking(False)
        try:
            while True:
                self._take(self._socket.recv(65536))
        except BlockingIOError:
            self._socket.settimeout(DEADLINE)
        return self.told[before:]

    def environ(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, **more}

    def _take(self, datagram: bytes) -> None:
        self.told += datagram.decode().split("\n")


@pytest.fixture
def manager() -> Iterator[Manager]:
    with tempfile.TemporaryDirectory(prefix="ps-") as folder, Manager(os.path.join(folder, "notify")) as listening:
        yield listening


def service_manager(manager: Manager, line: str = "all is well", **environ: str) -> ServiceManager:
    return ServiceManager(manager.environ(**environ), (os.getpid(),), lambda: line)


# The words, at given times


def test_ready_is_told_with_the_status(manager: Manager) -> None:
    service_manager(manager).ready()
    assert manager.news() == ["READY=1", "STATUS=all is well"]


def test_abstract_address_is_understood() -> None:
    with Manager(f"@procsup-test-{os.getpid()}") as manager:
        service_manager(manager).ready()
        assert "READY=1" in manager.news()


@pytest.mark.parametrize(
    "address", ["", "vsock:2:1234", "relative", "/no/such/socket", "/" + "x" * 200, "@" + "x" * 200]
)
def test_manager_that_cannot_be_told_is_not(address: str) -> None:
    mute = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}, (), lambda: "")
    mute.ready()
    mute.changed(1.0)
    mute.poll(2.0)
    mute.stopping()
    mute.close()


def test_without_a_manager_nothing_is_ever_due() -> None:
    nobody = ServiceManager({"WATCHDOG_USEC": "1000"}, (), lambda: "")
    assert nobody.next_deadline() is None
    nobody.changed(1.0)
    nobody.stopping()
    assert nobody.next_deadline() is None


def test_manager_that_does_not_read_costs_no_wait(manager: Manager) -> None:
    ours = service_manager(manager)
    for _ in range(10_000):
        ours.ready()
    assert manager.news()


def test_patience_is_asked_for_until_the_tree_is_up_and_again_when_it_is_stopped(manager: Manager) -> None:
    ours = service_manager(manager)
    ours.poll(100.0)
    assert manager.news() == [EXTEND]
    assert ours.next_deadline() == 100.0 + EXTEND_EVERY
    ours.poll(100.0 + EXTEND_EVERY)
    assert manager.news() == [EXTEND]
    ours.ready()
    assert ours.next_deadline() is None
    ours.stopping()
    ours.poll(200.0)
    assert manager.news()[-2:] == ["STATUS=all is well", EXTEND]
    assert ours.next_deadline() == 200.0 + EXTEND_EVERY


def test_stopping_is_told_once_and_neither_ready_nor_reloading_after_it(manager: Manager) -> None:
    ours = service_manager(manager)
    ours.stopping()
    ours.stopping()
    ours.reloading()
    ours.ready()
    assert manager.news() == ["STOPPING=1", "STATUS=all is well"]


def test_reload_begins_with_the_time_and_ends_with_ready(manager: Manager) -> None:
    ours = service_manager(manager)
    ours.ready()
    manager.news()
    ours.reloading()
    reloading, when = manager.news()
    assert reloading == "RELOADING=1"
    assert int(when.removeprefix("MONOTONIC_USEC=")) > 0
    ours.poll(10.0)
    assert manager.news() == [EXTEND]
    ours.ready()
    assert "READY=1" in manager.news()
    assert ours.next_deadline() is None


def test_status_is_told_when_it_says_something_new_and_not_too_often(manager: Manager) -> None:
    lines = ["one"]
    ours = ServiceManager(manager.environ(), (), lambda: lines[0])
    ours.ready()
    manager.news()

    ours.changed(10.0)
    ours.poll(10.0)
    assert manager.news() == []  # nothing new
    lines[0] = "two"
    ours.changed(10.1)
    ours.poll(10.1)
    assert manager.news() == ["STATUS=two"]
    lines[0] = "three"
    ours.changed(10.2)
    ours.changed(10.3)
    assert ours.next_deadline() == 10.1 + STATUS_EVERY
    lines[0] = "four"
    ours.poll(10.1 + STATUS_EVERY)
    assert manager.news() == ["STATUS=four"]
    assert ours.next_deadline() is None


def test_watchdog_is_told_at_half_of_its_time(manager: Manager) -> None:
    ours = service_manager(manager, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
    ours.ready()
    ours.poll(50.0)
    assert "WATCHDOG=1" in manager.news()
    assert ours.next_deadline() == 51.5
    ours.poll(51.5)
    assert manager.news() == ["WATCHDOG=1"]


@pytest.mark.parametrize(("micros", "pid"), [("3000000", "1"), ("", ""), ("soon", ""), ("-1", ""), ("0", "")])
def test_watchdog_that_is_not_ours_or_none_is_not_told(manager: Manager, micros: str, pid: str) -> None:
    ours = service_manager(manager, WATCHDOG_USEC=micros, WATCHDOG_PID=pid)
    ours.ready()
    manager.news()
    assert ours.next_deadline() is None


# The daemon


def test_ready_is_told_when_the_tree_is_up_and_not_before(supervise: Supervise, manager: Manager) -> None:
    slow = sh(f"""{AT_THE_GATE}; echo '{{"type":"ready"}}' >&4; exec sleep 1000""")
    daemon = supervise(tree(worker("a"), worker("b", slow, ready="channel")), up=False, env=manager.environ())
    manager.wait_for("STATUS=starting: 1 worker up; waiting for: b")
    assert EXTEND in manager.told
    assert "READY=1" not in manager.told
    daemon.open_gate()
    manager.wait_for("READY=1")
    assert daemon.status()["daemon"]["state"] == "running"
    assert manager.told[manager.told.index("READY=1") + 1] == "STATUS=2 workers up"
    assert daemon.stop() == 0
    manager.news()
    assert manager.told[-1] == "STATUS=stopped (shutdown)"


def test_death_and_stop_are_told(supervise: Supervise, manager: Manager) -> None:
    daemon = supervise(workers("a b"), env=manager.environ())
    daemon.call("stop", names=["b"])
    manager.wait_for("STATUS=1 of 2 workers up; down: b (held)")


def test_stop_that_takes_its_time_asks_for_patience_and_says_who_is_left(
    supervise: Supervise, manager: Manager
) -> None:
    daemon = supervise(tree(workers("a b", STAYS), worker("stubborn", STUBBORN)), env=manager.environ())
    stubborn = daemon.report_of("stubborn")
    manager.wait_for("READY=1")
    manager.news()
    manager.told.clear()

    daemon.send_signal(signal.SIGTERM)

    manager.wait_for("STOPPING=1").wait_for(EXTEND)
    manager.wait_for("STATUS=stopping: 3 workers left; waiting for: stubborn")
    os.kill(stubborn.pid, signal.SIGKILL)
    assert daemon.wait() == 0


def test_reload_is_told_from_its_beginning_to_its_end(supervise: Supervise, manager: Manager) -> None:
    daemon = supervise(workers("a"), env=manager.environ())
    manager.wait_for("READY=1")
    daemon.file.write_text(workers("a b"))

    daemon.send_signal(signal.SIGHUP)

    manager.wait_for("RELOADING=1")
    del manager.told[: manager.told.index("RELOADING=1")]
    manager.wait_for("READY=1").wait_for("STATUS=2 workers up")


def test_root_that_gives_up_tells_that_it_stops(supervise: Supervise, manager: Manager) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=0), worker("a", STAYS)), env=manager.environ())
    daemon.report_of("a")
    daemon.kill("a")
    assert daemon.wait() == 70
    manager.wait_for("STOPPING=1").wait_for("STATUS=stopped (gave_up)")


def test_tree_that_cannot_start_is_never_ready(supervise: Supervise, manager: Manager) -> None:
    daemon = supervise(worker("a", "/no/such/program"), up=False, env=manager.environ())
    assert daemon.wait() == 69
    assert "READY=1" not in manager.news()
    assert manager.told[-1] == "STATUS=stopped (failed_to_start_child a start_failed exec ENOENT)"


def test_loop_tells_the_watchdog_over_and_over_until_it_hangs(supervise: Supervise, manager: Manager) -> None:
    """As systemd, which knows the guardian only."""
    program = sh('WATCHDOG_PID=$$ exec "$@"', *PROCSUP)
    daemon = supervise(workers("a"), program=program, env=manager.environ(WATCHDOG_USEC="100000"))
    wait_until(lambda: manager.news().count("WATCHDOG=1") > 0, "it was told")
    wait_until(lambda: manager.news().count("WATCHDOG=1") > 0, "and again")
    os.kill(daemon.pid, signal.SIGSTOP)
    wait_until(lambda: processes.stat_of(daemon.pid).state == "T", "it is stopped")
    manager.news()
    let_pass(0.3)
    assert manager.news() == []
    os.kill(daemon.pid, signal.SIGCONT)


def test_daemon_without_a_watchdog_is_idle_though_a_manager_listens(supervise: Supervise, manager: Manager) -> None:
    daemon = supervise(workers("a b"), env=manager.environ())
    daemon.kill("a")
    wait_until(lambda: daemon.row("a")["restarts"] == 1, "it was restarted")
    let_pass(STATUS_EVERY)
    wait_until(Settled(daemon).has_not_run_since_the_last_look, "daemon and guardian sleep")
    before = time_on_cpu(daemon)
    let_pass(WATCHED)
    assert time_on_cpu(daemon) == before
