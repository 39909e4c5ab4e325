"""`logs`: whose, from where on, with whose name before each line, and what cannot be shown."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from procsup.runtime.logtime import stamped
from procsup.wire.decode import JSON
from tests.cli.conftest import Run
from tests.cli.fake_daemon import FakeDaemon
from tests.cli.rows import status, supervisor, worker
from tests.kit.wait import DEADLINE, wait_until

PROCSUP = (sys.executable, "-P", "-m", "procsup")


class Tree:
    """A daemon whose workers' logs are in `folder`."""

    def __init__(self, folder: Path, socket: str, procsup: Run) -> None:
        self.folder = folder
        self.socket = socket
        self._procsup = procsup

    def write(self, name: str, lines: bytes) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            log.write(lines)

    def answer(self, *rows: JSON) -> JSON:
        return status(*rows, log_dir=str(self.folder))

    def logs(self, rows: tuple[JSON, ...], *words: str) -> tuple[int, str, str]:
        with FakeDaemon(self.socket, {"status": self.answer(*rows)}):
            return self._procsup("logs", *words)


@pytest.fixture
def tree(tmp_path: Path, socket_path: str, procsup: Run) -> Tree:
    folder = tmp_path / "logs"
    folder.mkdir()
    return Tree(folder, socket_path, procsup)


A, B = worker("r/a"), worker("r/b")


# Whose


def test_lines_of_one_worker_are_shown_as_they_are(tree: Tree) -> None:
    tree.write("a", b"one\n\ttwo\n")
    assert tree.logs((A,), "a") == (0, "one\n\ttwo\n", "")


def test_lines_of_several_workers_begin_with_their_names(tree: Tree) -> None:
    tree.write("a", b"one\n")
    tree.write("long", b"two\n")
    assert tree.logs((A, worker("r/long")), "a", "long")[1] == "a    | one\nlong | two\n"


def test_without_a_name_all_workers_are_shown(tree: Tree) -> None:
    tree.write("a", b"one\n")
    tree.write("b", b"two\n")
    assert tree.logs((supervisor("r"), A, B))[1] == "a | one\nb | two\n"


def test_stderr_of_its_own_file_is_shown_too(tree: Tree) -> None:
    errors = tree.folder / "errors"
    errors.write_bytes(b"err\n")
    tree.write("a", b"out\n")
    assert tree.logs((worker("r/a", stderr=str(errors)),), "a")[1] == "out\nerr\n"


def test_log_of_several_workers_is_shown_once_under_all_their_names(tree: Tree) -> None:
    both = tree.folder / "both"
    both.write_bytes(b"one\n")
    rows = [worker(f"r/{name}", stdout=str(both), stderr=str(both)) for name in "ab"]
    assert tree.logs((*rows, worker("r/c")))[1] == "a,b | one\n"


def test_lines_with_timestamps_are_in_their_order(tree: Tree) -> None:
    for seconds in range(4):
        tree.write("ab"[seconds % 2], stamped(b"%d\n" % seconds, 1e9 + seconds, is_continued=False))
    lines = tree.logs((A, B), "a", "b")[1].splitlines()
    assert [(line[0], line[-1]) for line in lines] == [("a", "0"), ("b", "1"), ("a", "2"), ("b", "3")]


def test_bytes_that_are_no_text_are_shown_as_they_are_where_nobody_looks(tree: Tree) -> None:
    tree.write("a", b"\xff\x00\x1b[2J\r\n")
    with FakeDaemon(tree.socket, {"status": tree.answer(A)}):
        shown = subprocess.run([*PROCSUP, "logs", "a"], stdout=subprocess.PIPE, check=True).stdout
    assert shown == b"\xff\x00\x1b[2J\r\n"


# Where nothing is captured


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("journal", "sent to the journal of systemd; see `journalctl -t a`"),
        ("inherit", "sent where that of the daemon goes"),
        ("null", "thrown away"),
        ("/dev/null", "sent to /dev/null, which is no regular file"),
    ],
)
def test_what_is_not_captured_is_said_with_what_to_do(tree: Tree, place: str, why: str) -> None:
    row = worker("r/a", stdout=place, stderr=place)
    assert tree.logs((row,), "a") == (1, "", f"procsup: stdout and stderr of a: not captured, but {why}\n")


def test_what_is_captured_is_shown_also_when_the_other_stream_is_not(tree: Tree) -> None:
    tree.write("a", b"one\n")
    code, out, err = tree.logs((worker("r/a", stderr="null"),), "a")
    assert (code, out) == (0, "one\n")
    assert err == "procsup: stderr of a: not captured, but thrown away\n"


def test_workers_that_nobody_named_are_passed_over_quietly(tree: Tree) -> None:
    tree.write("a", b"one\n")
    assert tree.logs((A, worker("r/b", stdout="null", stderr="journal"))) == (0, "one\n", "")


def test_worker_that_has_not_written_yet_is_no_failure(tree: Tree) -> None:
    assert tree.logs((A,), "a") == (0, "", "procsup: there is nothing yet: no log has been written\n")


def test_log_that_cannot_be_read_is_a_failure_and_the_others_are_shown(tree: Tree) -> None:
    (tree.folder / "a.log").symlink_to("a.log")
    tree.write("b", b"two\n")
    code, out, err = tree.logs((A, B), "a", "b")
    assert (code, out) == (1, "two\n")
    assert err == f"procsup: cannot read the log {str(tree.folder / 'a.log')!r}: Too many levels of symbolic links\n"


# Without a daemon


def test_folder_is_read_without_a_daemon(tree: Tree, procsup: Run) -> None:
    tree.write("a", b"one\n")
    tree.write("b", b"two\n")
    (tree.folder / "old.log.1").write_bytes(b"three\n")
    folder = str(tree.folder)
    assert procsup("logs", "--log-dir", folder, "a") == (0, "one\n", "")
    assert procsup("logs", "--log-dir", folder, "r/lab/a") == (0, "one\n", "")
    assert procsup("logs", "--log-dir", folder, "o*") == (0, "three\n", "")
    assert procsup("logs", "--log-dir", folder) == (0, "a   | one\nb   | two\nold | three\n", "")


def test_name_without_a_log_is_4_and_the_others_are_shown(tree: Tree, procsup: Run) -> None:
    tree.write("a", b"one\n")
    code, out, err = procsup("logs", "--log-dir", str(tree.folder), "a", "nobody")
    assert (code, out) == (4, "one\n")
    assert err == f"procsup: cannot find a log of 'nobody' in {tree.folder}\n"


def test_folder_that_is_not_there_is_a_failure(tree: Tree, procsup: Run) -> None:
    code, _, err = procsup("logs", "--log-dir", str(tree.folder / "absent"), "a")
    assert code == 1
    assert err.startswith("procsup: cannot read the folder of the logs")


def test_without_a_daemon_and_a_folder_it_is_6(tree: Tree, procsup: Run) -> None:
    assert procsup("logs", "a")[0] == 6


# From where on


def test_twenty_lines_are_shown_unless_more_are_wanted(tree: Tree) -> None:
    tree.write("a", b"".join(b"%d\n" % number for number in range(100)))
    assert tree.logs((A,), "a")[1].split() == [str(number) for number in range(80, 100)]
    assert tree.logs((A,), "a", "-n", "3")[1].split() == ["97", "98", "99"]
    assert tree.logs((A,), "a", "-n", "0")[1] == ""


def test_since_shows_all_lines_from_then_on(tree: Tree) -> None:
    now = time.time()
    for minutes in range(100, 0, -1):
        tree.write("a", stamped(b"%d\n" % minutes, now - 60 * minutes, is_continued=False))
    assert len(tree.logs((A,), "a", "--since", "50m")[1].splitlines()) == 49
    assert len(tree.logs((A,), "a", "--since", "50m", "-n", "5")[1].splitlines()) == 5


def test_since_when_nobody_knows_shows_a_whole_file_and_says_so(tree: Tree) -> None:
    tree.write("a", b"one\n")
    code, out, err = tree.logs((A,), "a", "--since", "1m")
    assert (code, out) == (0, "one\n")
    assert err == "procsup: a: it is not known when the first lines shown were written\n"


def test_time_that_is_none_is_wrong_usage(tree: Tree) -> None:
    code, _, err = tree.logs((A,), "a", "--since", "soon")
    assert code == 2
    assert "expected how long ago" in err


def test_line_whose_end_is_still_to_come_is_shown(tree: Tree) -> None:
    tree.write("a", b"one\nbegun")
    assert tree.logs((A,), "a")[1] == "one\nbegun\n"


# Following, and terminals


class Reader:
    """`procsup logs` as a process; `seen` is what it printed so far."""

    def __init__(self, tree: Tree, *words: str, on_terminal: bool = False) -> None:
        self._reader, writer = pty.openpty() if on_terminal else os.pipe()
        os.set_blocking(self._reader, False)
        environ = {**os.environ, "TERM": "xterm"}
        environ.pop("NO_COLOR", None)
        command = [*PROCSUP, "logs", "--log-dir", str(tree.folder), *words]
        self.process = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=environ)
        os.close(writer)
        self._seen = b""

    def seen(self) -> bytes:
        try:
            while data := os.read(self._reader, 65536):
                self._seen += data
        except OSError:  # nothing for now, or the other end of the terminal is closed
            pass
        return self._seen

    def wait_for(self, end: bytes) -> bytes:
        return wait_until(lambda: self.seen() if self.seen().endswith(end) else b"", f"{end!r} is shown")

    def end(self) -> tuple[int, bytes]:
        """Exit status and standard error."""
        _, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, err

    def hang_up(self) -> None:
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1

    def close(self) -> None:
        self.hang_up()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def read(tree: Tree) -> Iterator[Callable[..., Reader]]:
    readers: list[Reader] = []

    def start(*words: str, on_terminal: bool = False) -> Reader:
        readers.append(Reader(tree, *words, on_terminal=on_terminal))
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()


Read = Callable[..., Reader]


def test_what_is_added_is_shown_until_interrupted(tree: Tree, read: Read) -> None:
    tree.write("a", b"one\n")
    reader = read("a", "-f")
    reader.wait_for(b"one\n")
    tree.write("a", b"two\nthr")
    reader.wait_for(b"one\ntwo\n")
    tree.write("a", b"ee\n")
    assert reader.wait_for(b"three\n") == b"one\ntwo\nthree\n"
    reader.process.send_signal(signal.SIGINT)
    assert reader.end() == (130, b"")


def test_several_logs_are_followed_over_rotation(tree: Tree, read: Read) -> None:
    tree.write("a", b"a1\n")
    tree.write("b", b"b1\n")
    reader = read("-f")
    reader.wait_for(b"b | b1\n")
    (tree.folder / "a.log").rename(tree.folder / "a.log.1")
    tree.write("a", b"a2\n")
    reader.wait_for(b"a | a2\n")
    tree.write("b", b"b2\n")
    assert reader.wait_for(b"b2\n") == b"a | a1\nb | b1\na | a2\nb | b2\n"


def test_follower_whose_reader_has_gone_ends_though_nothing_is_added(tree: Tree, read: Read) -> None:
    tree.write("a", b"one\n")
    reader = read("a", "-f")
    reader.wait_for(b"one\n")
    reader.hang_up()
    assert reader.end() == (141, b"")


def test_control_characters_are_harmless_on_a_terminal(tree: Tree, read: Read) -> None:
    tree.write("a", "\x1b[2J\a\tschön\r\n".encode() + b"\xff\n")
    shown = read("a", on_terminal=True).wait_for(b"\\xff\r\n")
    assert shown.decode() == "\\x1b[2J\\x07   schön\r\n\\xff\r\n"


def test_names_have_colours_on_a_terminal(tree: Tree, read: Read) -> None:
    tree.write("a", b"one\n")
    tree.write("b", b"two\n")
    shown = read(on_terminal=True).wait_for(b"two\r\n")
    assert shown == b"\x1b[36ma |\x1b[0m one\r\n\x1b[33mb |\x1b[0m two\r\n"
