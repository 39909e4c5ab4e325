"""The programs of etc/poison_pill by themselves, without a supervisor."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

POISON_PILL = Path(__file__).resolve().parents[2] / "etc" / "poison_pill"
PYTHON = [sys.executable, "-u"]
REFUSED = "http://127.0.0.1:481/spells"


class Program:
    """A program of the folder, with its stdout and stderr in one pipe."""

    def __init__(self, *command: str, **env: str) -> None:
        self.process = subprocess.Popen(
            command, cwd=POISON_PILL, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.said = ""

    def wait_for_text(self, text: str, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while text not in self.said:
            assert self.process.stdout is not None
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"{text!r} not within {within} s, but: {self.said}"
            more = os.read(self.process.stdout.fileno(), 65536)
            assert more, f"{text!r} not before its end, but: {self.said}"
            self.said += more.decode()

    def wait_for_end(self, within: float = 20.0) -> int:
        self.said += self.process.communicate(timeout=within)[0].decode()
        return self.process.returncode

    def stop(self) -> int:
        self.process.terminate()
        return self.wait_for_end(within=5.0)


Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as ends:

        def started(*command: str, **env: str) -> Program:
            program = Program(*command, **env)
            ends.enter_context(program.process)
            ends.callback(program.process.kill)
            return program

        yield started


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_typo_crashes_with_connection_refused_as_the_last_line(start: Start) -> None:
    pill = start(*PYTHON, "api_cache.py", REFUSED)

    assert pill.wait_for_end() == 1
    assert pill.said.splitlines()[-1] == "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>"


def test_proxy_of_the_environment_changes_nothing(start: Start, free_port: int) -> None:
    start(*PYTHON, "api_server.py", str(free_port)).wait_for_text("3 spells at")

    cache = start(*PYTHON, "api_cache.py", spells_at(free_port), http_proxy=REFUSED)

    cache.wait_for_text("api_cache: synced 3 spells\n")


@pytest.mark.parametrize("program", ["api_cache.py", "api_cache_cured.py"])
def test_cache_syncs_with_the_right_url_and_stops_at_term(start: Start, free_port: int, program: str) -> None:
    start(*PYTHON, "api_server.py", str(free_port)).wait_for_text("3 spells at")

    cache = start(*PYTHON, program, spells_at(free_port))

    cache.wait_for_text("api_cache: synced 3 spells\n")
    assert cache.stop() == -signal.SIGTERM


def test_cured_cache_survives_without_the_api_and_syncs_once_it_is_up(start: Start, free_port: int) -> None:
    cache = start(*PYTHON, "api_cache_cured.py", spells_at(free_port), "0.1")
    cache.wait_for_text("still 0 spells: <urlopen error [Errno 111] Connection refused>; next try in 0.1 s\n")

    start(*PYTHON, "api_server.py", str(free_port))

    cache.wait_for_text("api_cache: synced 3 spells\n")


def test_cured_cache_takes_an_answer_that_is_not_the_api_s(start: Start, free_port: int) -> None:
    start(*PYTHON, "api_server.py", str(free_port)).wait_for_text("3 spells at")

    cache = start(*PYTHON, "api_cache_cured.py", f"http://127.0.0.1:{free_port}/potions", "0.1")

    cache.wait_for_text("still 0 spells: HTTP Error 404: Not Found; next try in 0.1 s\n")


def test_server_answers_stops_at_term_and_leaves_its_port_free(start: Start, free_port: int) -> None:
    for _ in range(2):
        server = start(*PYTHON, "api_server.py", str(free_port))
        server.wait_for_text(f"api_server: 3 spells at {spells_at(free_port)}\n")

        with build_opener(ProxyHandler({})).open(spells_at(free_port), timeout=10) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert "lumos" in json.load(answer)

        assert server.stop() == -signal.SIGTERM


def test_server_says_in_one_line_that_its_port_is_taken(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        server = start(*PYTHON, "api_server.py", str(port))

        assert server.wait_for_end() == 1
        assert server.said == f"api_server: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_villager_says_one_line_and_stops_at_term(start: Start) -> None:
    villager = start("sh", "villager.sh", "hear ye", PROCSUP_NAME="kingdom/town_crier")

    villager.wait_for_text("town_crier: hear ye\n")
    assert villager.stop() == -signal.SIGTERM


def spells_at(port: int) -> str:
    return f"http://127.0.0.1:{port}/spells"
