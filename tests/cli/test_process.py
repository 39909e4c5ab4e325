"""The command as a process: interrupted, with no reader, with a full disk, with odd descriptors; and what it loads."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cli.fake_daemon import FakeDaemon, Manner
from tests.cli.rows import status, supervisor, worker

PROCSUP = [sys.executable, "-m", "procsup"]
DEADLINE = 20


def started(*words: str, stdout: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*PROCSUP, *words], stdout=stdout, stderr=subprocess.PIPE)


@pytest.mark.parametrize("words", [("stop", "x"), ("events",), ("status",)], ids=" ".join)
def test_an_interrupted_command_ends_with_130_and_says_nothing(words: tuple[str, ...], socket_path: str) -> None:
    with FakeDaemon(socket_path, dict.fromkeys(("stop", "events", "status"), Manner.SILENCE)) as daemon:
        process = started(*words)
        assert daemon.was_asked.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize(
    "words", [("status",), ("status", "--json"), ("tree",), ("version",), ("--help",)], ids=" ".join
)
def test_a_reader_that_has_gone_ends_the_command_quietly(words: tuple[str, ...], socket_path: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with FakeDaemon(socket_path, {"status": status(supervisor("r"), worker("r/a"))}):
        process = started(*words, stdout=writer)
        os.close(writer)
        _, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (141, b"")


def test_a_full_disk_is_a_failure_in_words(socket_path: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with FakeDaemon(socket_path, {"status": status(supervisor("r"))}):
        process = started("status", stdout=full)
        os.close(full)
        _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert err == b"procsup: cannot write the output: No space left on device\n"


def test_closed_standard_descriptors_are_no_error(socket_path: str) -> None:
    with FakeDaemon(socket_path, {"status": status(supervisor("r"))}):
        line = f"exec {sys.executable} -m procsup status <&- >&- 2>&-"
        assert subprocess.run(["sh", "-c", line], timeout=DEADLINE, check=False).returncode == 0


def test_arguments_that_are_not_utf8_are_no_error(socket_path: str) -> None:
    with FakeDaemon(socket_path, {}):
        found = subprocess.run([*PROCSUP, b"\xff\xfe"], capture_output=True, timeout=DEADLINE, check=False)
    assert found.returncode == 2
    assert b"no such command" in found.stderr


LISTED = """
import sys
from procsup.cli.program import obey
assert obey(sys.argv[1:]) == 0
print("LOADED", *sorted(sys.modules))
"""


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("tree",), ("version",)], ids=" ".join)
def test_a_query_loads_neither_the_daemon_nor_what_it_consists_of(words: tuple[str, ...], socket_path: str) -> None:
    with FakeDaemon(socket_path, {"status": status(supervisor("r"), worker("r/a"))}):
        found = subprocess.run(
            [sys.executable, "-c", LISTED, *words], capture_output=True, text=True, timeout=DEADLINE, check=True
        )
    loaded = set(found.stdout.rpartition("LOADED")[2].split())
    ours = {name for name in loaded if name.startswith("procsup.") and not name.startswith("procsup.cli")}
    assert ours <= {
        "procsup.config", "procsup.config.durations", "procsup.runtime", "procsup.runtime.places",
        "procsup.wire", "procsup.wire.decode", "procsup.wire.jsonrpc",
    }  # fmt: skip
    assert not loaded & {"asyncio", "tomli"}
