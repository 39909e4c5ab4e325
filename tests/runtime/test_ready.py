"""Every way to be ready, with real workers, and every way not to be."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, python, sh, supervisor, tree, worker
from tests.kit.wait import wait_until
from tests.kit.warm import put_module

APP = """
import os, signal, socket

def notify(word):
    open(os.environ["GATE"]).readline()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.sendto(word.encode(), b"\\0" + os.environb[b"NOTIFY_SOCKET"][1:])
    signal.pause()

def newline(number):
    open(os.environ["GATE"]).readline()
    os.write(number, b"\\n")
    signal.pause()

def line(text):
    open(os.environ["GATE"]).readline()
    print(text, flush=True)
    signal.pause()

def stay():
    signal.pause()
"""

NOTIFY = """
import os, signal, socket, sys
def notify(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.sendto(word, b"\\0" + os.environb[b"NOTIFY_SOCKET"][1:])
def gate():
    open(os.environ["GATE"]).readline()
"""


def notifies(script: str) -> tuple[str, ...]:
    return python(f"{NOTIFY}\n{script}\nsignal.pause()")


SPEAKS = [
    ("notify", notifies("gate(); notify(b'READY=1')")),
    ({"fd": 3}, sh(f"{AT_THE_GATE}; echo >&3; exec sleep 1000")),
    ({"fd": 4}, sh(f"{AT_THE_GATE}; echo >&4; exec sleep 1000")),
    ({"fd": 7}, sh(f"{AT_THE_GATE}; echo >&7; exec sleep 1000")),
    ({"fd": 200}, python("import os, signal; open(os.environ['GATE']).readline(); os.write(200, b'\\n'); signal.pause()")),
    ({"line": "^listening on [0-9]+$"}, sh(f"echo listening; {AT_THE_GATE}; echo listening on 80; exec sleep 1000")),
    ({"line": "oops"}, sh(f"{AT_THE_GATE}; echo oops >&2; exec sleep 1000")),
    ({"command": sh('[ -e ready ] || { touch ready; exit 1; }')}, sh(f"{AT_THE_GATE}; exec sleep 1000")),
]
"""`ready`, and a worker that is so once it has come through the gate."""


Start = Callable[..., Daemon]


@pytest.fixture
def start(supervise: Supervise, tmp_path: Path) -> Start:
    """The daemon of these tables, not waited for."""

    def start(*tables: str, **keys: Any) -> Daemon:
        put_module(tmp_path / "daemon1", "app", APP)
        return supervise(tree(*tables), up=False, **keys).wait_until_listening()

    return start


@pytest.fixture
def port() -> Iterator[int]:
    """Of nobody."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
    yield number


def is_starting(daemon: Daemon, name: str = "a") -> None:
    """Waited for: it was executed, and is not ready."""
    wait_until(lambda: daemon.row(name)["waits_for"], f"{name} was executed and waits")
    assert daemon.row(name)["state"] == "starting"


@pytest.mark.parametrize(("ready", "command"), SPEAKS[:7], ids=lambda one: str(one)[:30])
def test_the_next_child_starts_when_the_one_before_is_ready(start: Start, ready: Any, command: Any) -> None:
    daemon = start(supervisor("root", ["a", "b"]), worker("a", command, ready=ready), worker("b"))
    is_starting(daemon)
    assert daemon.row("b")["state"] == "down"
    daemon.open_gate()
    daemon.wait_until_up()
    assert daemon.row("b")["state"] == "running"
