"""The e-mail discovery race: two unreliable services, a process for every lookup, and the first address wins."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit import processes
from tests.kit.daemon import Daemon
from tests.kit.wait import DEADLINE, wait_until

STORY = Path(__file__).resolve().parents[2] / "etc" / "discoverer"


class Town:
    """The story's tree, both services in the moods given."""

    def __init__(self, daemon: Daemon, port: str) -> None:
        self.daemon = daemon
        self.port = port

    def ask(self, *names: str) -> str:
        """What ask.py prints."""
        command = [sys.executable, str(STORY / "ask.py"), *names]
        environ = {**os.environ, "DISCOVERER_PORT": self.port}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def visit(self) -> socket.socket:
        """A visitor of our own."""
        return socket.create_connection(("127.0.0.1", int(self.port)), DEADLINE)

    def family(self) -> list[int]:
        """The pids of all processes of the worker, zombies included: the door's, its children's, and theirs."""
        door = self.daemon.process("discoverer").pid
        children = processes.children_of(door)
        return [door, *children, *(pid for child in children for pid in processes.children_of(child))]

    def idle_family(self) -> list[int]:
        """The same when nobody asks anything: door, node, Discoverer and TaskSupervisor."""
        wait_until(lambda: len(self.family()) == 4, "only those are there that last")
        return self.family()

    def wait_until_open(self) -> None:
        wait_until(lambda: b"services: hermes" in self.daemon.log("services"), "the services listen")
        wait_until(lambda: b"discoverer: listens" in self.daemon.log("discoverer"), "the Discoverer listens")


Open = Callable[[str, str], Town]


@contextmanager
def free_port() -> Iterator[str]:
    """A port that is free: it stays bound, but to another address of this machine."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.2", 0))
        yield str(holder.getsockname()[1])


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_town(hermes: str, pigeon: str) -> Town:
            services, discoverer = (stack.enter_context(free_port()) for _ in range(2))
            env = {
                "SERVICES_PORT": services, "DISCOVERER_PORT": discoverer, "HERMES_MOOD": hermes, "PIGEON_MOOD": pigeon,
            }  # fmt: skip
            daemon = stack.enter_context(Daemon(tmp_path, "", file=STORY / "discoverer.toml", env=env))
            daemon.wait_until_up()
            town = Town(daemon, discoverer)
            town.wait_until_open()
            return town

        yield open_town


@pytest.mark.parametrize(("hermes", "pigeon", "winner"), [("fine", "stuck", "hermes"), ("java", "fine", "pigeon")])
def test_the_first_address_is_the_answer(town: Open, hermes: str, pigeon: str, winner: str) -> None:
    assert town(hermes, pigeon).ask("ada") == f"ada: ada@{winner}.example\n"


@pytest.mark.parametrize(
    ("mood", "last_words"),
    [
        ("java", "json.decoder.JSONDecodeError: Extra data"),
        ("down", "urllib.error.HTTPError: HTTP Error 503"),
        ("renamed", "TypeError: HermesPerson.__init__() got an unexpected keyword argument 'eMail'"),
        ("stuck", ""),
    ],
)
def test_when_all_lookups_have_crashed_or_run_out_of_time_the_answer_is_null(
    town: Open, mood: str, last_words: str
) -> None:
    place = town(mood, mood)

    assert place.ask("ada", "grace") == "ada: null\ngrace: null\n"
    assert last_words in place.daemon.log("discoverer").decode()
    assert place.daemon.row("discoverer")["starts"] == 1


def test_many_requests_run_at_the_same_time(town: Open) -> None:
    place = town("stuck", "stuck")
    idle = place.idle_family()
    with ExitStack() as visitors:
        for number in range(3):
            visitors.enter_context(place.visit()).sendall(f"citizen-{number}\n".encode())

        wait_until(lambda: len(place.family()) == len(idle) + 3 + 6, "three visits and six lookups run")


def test_hundreds_of_requests_leave_no_process_behind(town: Open) -> None:
    place = town("any", "any")
    before = place.idle_family()

    said = place.ask("--many", "300")
    assert said.startswith("300 requests in ")
    assert all(end in said for end in (" hermes.example", " pigeon.example", " null"))
    assert place.idle_family() == before


def test_a_visitor_who_leaves_while_he_is_searched_for_disturbs_nobody(town: Open) -> None:
    place = town("fine", "stuck")
    idle = place.idle_family()
    with place.visit() as visitor:
        visitor.sendall(b"ada\n")
    assert place.ask("grace") == "grace: grace@hermes.example\n"
    assert place.idle_family() == idle


def test_a_visitor_may_ask_for_several_names(town: Open) -> None:
    with closing(town("fine", "down").visit()) as visitor, visitor.makefile("rw") as lines:
        for name in ("ada", "grace"):
            print(name, file=lines, flush=True)
            answer: Any = json.loads(lines.readline())
            assert answer == {"name": name, "address": f"{name}@hermes.example"}


@pytest.mark.parametrize(("victim", "who"), [*enumerate(["door", "node", "Discoverer", "TaskSupervisor"])])
def test_whoever_of_the_discoverer_is_killed_all_of_it_is_started_anew(town: Open, victim: int, who: str) -> None:
    place = town("fine", "fine")
    before = place.idle_family()
    os.kill(before[victim], signal.SIGKILL)

    wait_until(lambda: place.daemon.row("discoverer")["starts"] == 2, "the worker is back")
    wait_until(lambda: place.daemon.log("discoverer").count(b"discoverer: listens") == 2, "it listens")
    assert place.ask("ada").startswith("ada: ada@")
    assert not set(before) & set(place.idle_family())
