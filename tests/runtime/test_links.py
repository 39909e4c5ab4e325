"""Links, monitors and readiness over the channels of real workers, which use the library or plain JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import SLEEP, supervisor, target, tree, worker
from tests.kit.wait import wait_until
from tests.kit.warm import put_module

APP = """
import json, os, signal
from procsup.worker import *

def show(*things):
    with open(os.environ["SHOWN"], "a") as shown:
        shown.write(json.dumps(things) + "\\n")

def run(script):
    attach()
    exec(script, globals())
"""

Shown = Callable[[int], list[Any]]
Start = Callable[..., Daemon]


@pytest.fixture
def start(supervise: Supervise, tmp_path: Path) -> Start:
    """A daemon whose targets may be of the module app, preloaded."""

    def start(*tables: str, **keys: Any) -> Daemon:
        put_module(tmp_path / "daemon1", "app", APP)
        env = {"SHOWN": str(tmp_path / "shown")}
        return supervise("[daemon]\npreload = ['app']\n" + tree(*tables), env=env, **keys)

    return start


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    """So many of the things that workers have shown, waited for."""
    file = tmp_path / "shown"

    def lines(count: int) -> list[Any]:
        def found() -> list[str]:
            text = file.read_text().split("\n")[:-1] if file.exists() else []
            return text if len(text) >= count else []

        return [json.loads(line) for line in wait_until(found, f"{count} things are shown")]

    return lines


def runs(name: str, script: str, **keys: Any) -> str:
    """A target that is attached and does as the script says."""
    return target(name, "app:run", args=[script], **keys)


def test_who_is_linked_at_run_time_goes_with_the_other(start: Start, shown: Shown) -> None:
    links = runs("a", "link('b'); show('linked'); receive()", restart="temporary")
    daemon = start(supervisor("root", ["b", "a"]), worker("b", SLEEP), links)
    shown(1)
    events = daemon.events()
    pid = daemon.kill("b").pid
    assert events.wait("exited", "a")["reason"] == "linked b signal SIGKILL"
    wait_until(lambda: daemon.row("b")["pid"] not in (None, pid), "b has begun anew")


def test_who_traps_exits_is_told_and_lives_on(start: Start, shown: Shown) -> None:
    traps = "trap_exits(True); link('b'); show('linked'); m = receive(); show(m.pid, m.reason); receive()"
    daemon = start(supervisor("root", ["b", "a"]), worker("b", SLEEP), runs("a", traps))
    shown(1)
    daemon.kill("b")
    assert shown(2)[1] == ["b", "signal SIGKILL"]
    assert daemon.row("a")["restarts"] == 0


def test_a_declared_link_to_one_that_traps_exits_is_told_over_the_channel(start: Start, shown: Shown) -> None:
    traps = runs("a", "show('up'); m = receive(); show(m.pid, m.reason); receive()", trap_exits=True, links=["b"])
    daemon = start(supervisor("root", ["b", "a"]), worker("b", SLEEP), traps)
    shown(1)
    daemon.kill("b")
    assert shown(2)[1] == ["b", "signal SIGKILL"]


def test_monitors_of_the_file_and_of_run_time_are_told(start: Start, shown: Shown) -> None:
    script = """
ref = monitor('b')
show('up')
seen = {m.ref == ref: [m.pid, m.reason] for m in (receive(), receive())}
show(seen[True], seen[False])
receive()
"""
    daemon = start(supervisor("root", ["b", "a"]), worker("b", SLEEP), runs("a", script, monitors=["b"]))
    shown(1)
    daemon.kill("b")
    assert shown(2)[1] == [["b", "signal SIGKILL"], ["b", "signal SIGKILL"]]


def test_a_monitor_of_nobody_is_told_at_once(start: Start, shown: Shown) -> None:
    start(runs("a", "monitor('nobody'); m = receive(); show(m.pid, m.reason); receive()"))
    assert shown(1) == [["nobody", "noproc"]]


@pytest.mark.parametrize(
    ("traps", "told"), [(False, ["noproc"]), (True, ["nobody", "noproc"])], ids=["is ended", "traps exits"]
)
def test_a_link_with_nobody_is_noproc(start: Start, shown: Shown, traps: bool, told: list[str]) -> None:
    script = f"""
trap_exits({traps})
try:
    link('nobody'); m = receive(); show(m.pid, m.reason)
except Exit as error:
    show(error.reason)
receive()
"""
    start(runs("a", script))
    assert shown(1) == [told]


def test_who_has_unlinked_or_demonitored_hears_nothing(start: Start, shown: Shown) -> None:
    script = """
link('b'); unlink('b'); demonitor(monitor('b')); whereis('b'); show('up')
show(receive().body); receive()
"""
    daemon = start(
        supervisor("root", ["b", "a", "c"]),
        worker("b", SLEEP),
        runs("a", script),
        runs("c", "open(os.environ['GATE']).readline(); send('a', 'hello'); receive()"),
    )
    shown(1)
    events = daemon.events()
    daemon.kill("b")
    events.wait("ready", "b")
    daemon.open_gate()
    assert shown(2)[1] == ["hello"]


def test_a_worker_is_told_of_its_shutdown_before_the_signal(start: Start, shown: Shown) -> None:
    script = "show('up'); m = receive(); show(type(m).__name__, m.reason)"
    daemon = start(runs("a", "signal.signal(signal.SIGTERM, lambda *_: None)\n" + script), worker("b", SLEEP))
    shown(1)
    daemon.call("stop", names=["a"])
    assert shown(2)[1] == ["Exited", "shutdown"]


def test_the_next_child_starts_when_the_one_before_says_that_it_is_ready(start: Start) -> None:
    script = "open(os.environ['GATE']).readline(); ready(); receive()"
    daemon = start(supervisor("root", ["a", "b"]), runs("a", script, ready="channel"), worker("b", SLEEP), up=False)
    daemon.wait_until_listening()
    wait_until(lambda: daemon.row("a")["pid"], "a was executed")
    assert daemon.row("b")["pid"] is None
    daemon.open_gate()
    daemon.wait_until_up()
    assert daemon.row("b")["pid"]


def test_a_worker_that_never_says_that_it_is_ready_is_a_failed_start(start: Start) -> None:
    daemon = start(runs("a", "receive()", ready="channel", start_timeout="100ms"), up=False)
    assert daemon.wait() == 69


def test_a_worker_in_another_language_speaks_json(start: Start, tmp_path: Path) -> None:
    monitors = """echo '{"type":"monitor","ref":7,"name":"b"}' >&4; echo up > "$SHOWN" """
    script = monitors + """; read -r line <&3; echo "$line" >> "$SHOWN"; exec sleep 99"""
    daemon = start(supervisor("root", ["b", "a"]), worker("b", SLEEP), worker("a", ("sh", "-c", script), channel=True))
    wait_until(lambda: (tmp_path / "shown").exists() and (tmp_path / "shown").read_text(), "it is up")
    wait_until(lambda: daemon.call("status", names=["a"]), "what it said was heard")
    pid = daemon.kill("b").pid
    wait_until(lambda: (tmp_path / "shown").read_text().count("\n") == 2, "it was told")
    told = json.loads((tmp_path / "shown").read_text().splitlines()[1])
    assert [told[key] for key in ("type", "ref", "name")] == ["down", 7, "b"]
    assert (told["pid"], told["reason"]) in ((pid, "signal SIGKILL"), (None, "noproc"))
