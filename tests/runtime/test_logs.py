"""Workers' output through a whole daemon: where it leads, what a disk that fails costs, and how it is read again."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon
from tests.kit.disks import read_only, small_disk
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, SLEEP, sh, supervisor, tree, worker
from tests.kit.wait import wait_until

LOGS = (sys.executable, "-P", "-m", "procsup", "logs")

SPEAKS = sh("echo out; echo err >&2; exec sleep 1000")

LINE_AT_A_TIME = sh(f'while {AT_THE_GATE}; do echo "line"; echo "${{PROCSUP_NAME##*/}} $$" >> "$REPORT"; done')
"""A line whenever the gate is opened."""


def logs(daemon: Daemon, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*LOGS, "--socket", daemon.socket, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def wait_for_log(daemon: Daemon, name: str, lines: bytes) -> None:
    wait_until(lambda: daemon.log(name) == lines, f"the log of {name} is {lines!r}")


# Where it leads


def test_status_tells_where_output_leads(supervise: Supervise, tmp_path: Path) -> None:
    errors = str(tmp_path / "errors")
    daemon = supervise(worker("a", SPEAKS, stdout="null", stderr=errors))
    row = daemon.row("a")
    assert (row["stdout"], row["stderr"], row["lost_bytes"]) == ("null", errors, 0)
    assert daemon.status()["daemon"]["log_dir"] == str(daemon.log_dir)
    wait_until(lambda: Path(errors).exists() and Path(errors).read_bytes() == b"err\n", "stderr is in its file")
    assert daemon.log("a") == b""


def test_output_may_go_where_that_of_the_daemon_goes(supervise: Supervise, tmp_path: Path) -> None:
    with open(tmp_path / "stdout", "wb") as stdout:
        daemon = supervise(worker("a", SPEAKS, stdout="inherit", stderr="inherit"), stdout=stdout)
    wait_until(lambda: (tmp_path / "stdout").read_bytes() == b"out\n", "the worker writes to the daemon's stdout")
    wait_until(lambda: "\nerr\n" in f"\n{daemon.told()}", "the worker writes to the daemon's stderr")
    assert not list(daemon.log_dir.iterdir())


def test_worker_reads_what_its_stdin_is(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"hello\n")
    daemon = supervise(worker("a", sh("cat; exec sleep 1000"), stdin=str(tmp_path / "in")))
    wait_for_log(daemon, "a", b"hello\n")


@pytest.mark.parametrize(("key", "value"), [("stdin", "/absent/file"), ("stderr", "journal")])
def test_what_cannot_be_opened_fails_the_start_and_is_named(supervise: Supervise, key: str, value: str) -> None:
    if value == "journal" and os.path.exists("/run/systemd/journal/stdout"):
        pytest.skip("there is a journal here")
    daemon = supervise(worker("a", **{key: value}), up=False)
    assert daemon.wait() == 69
    assert "cannot start: " in daemon.told()
    assert "no such file or directory (ENOENT)" in daemon.told()


def test_lines_get_timestamps_and_files_the_size_that_they_should_have(supervise: Supervise) -> None:
    log = {"max_bytes": 5000, "backups": 2, "timestamps": True}
    daemon = supervise(worker("a", sh("seq 0 1999; exec sleep 1000"), log=log))
    wait_until(lambda: daemon.log("a").endswith(b"Z 1999\n"), "everything is written")
    files = sorted(daemon.log_dir.glob("a.log*"), reverse=True)
    assert [path.name for path in files] == ["a.log.2", "a.log.1", "a.log"]
    assert all(4900 < path.stat().st_size <= 5000 for path in files[:2])
    numbers = [int(line.split()[1]) for path in files for line in path.read_bytes().splitlines()]
    assert numbers == list(range(2000 - len(numbers), 2000))


# Files that somebody else moves, and disks that fail


def test_usr1_lets_go_of_a_renamed_log(supervise: Supervise) -> None:
    daemon = supervise(worker("a", LINE_AT_A_TIME))
    log, old = daemon.log_dir / "a.log", daemon.log_dir / "old"
    daemon.open_gate()
    wait_for_log(daemon, "a", b"line\n")
    log.rename(old)
    daemon.open_gate()
    wait_until(lambda: old.read_bytes() == b"line\n" * 2, "the renamed file is written on")

    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: str(old) not in open_files(daemon.pid), "the daemon has let go of it")
    daemon.open_gate()

    wait_for_log(daemon, "a", b"line\n")
    assert old.read_bytes() == b"line\n" * 2


def open_files(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    found = []
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(entry))
    return found


def test_removed_log_is_made_anew(supervise: Supervise) -> None:
    daemon = supervise(worker("a", LINE_AT_A_TIME))
    for _ in range(2):
        daemon.open_gate()
        wait_for_log(daemon, "a", b"line\n")
        (daemon.log_dir / "a.log").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 256 * 1024) as folder:
        yield folder


def test_full_disk_is_survived_counted_shown_and_told_in_the_log(supervise: Supervise, disk: Path) -> None:
    script = f"{AT_THE_GATE}; yes abcdefghi | head -n 100000; {AT_THE_GATE}; echo after; exec sleep 1000"
    daemon = supervise(worker("a", sh(script)), log_dir=disk)
    life = daemon.process("a")
    events = daemon.events()

    daemon.open_gate()
    reason = events.wait("lost_output", "a")["reason"]
    wait_until(lambda: written(daemon) + lost(daemon) == 1_000_000, "every line is written or lost")
    held = daemon.log("a")
    (disk / "a.log").unlink()
    daemon.open_gate()
    wait_until(lambda: daemon.log("a").endswith(b"after\n"), "what comes after it is written")

    assert reason == "ENOSPC"
    assert (daemon.row("a")["state"], daemon.process("a")) == ("running", life)
    told = re.findall(
        rb"^procsup: (\d+) bytes of output are missing here: no space left on device \(ENOSPC\)\n",
        held + daemon.log("a"),
        re.MULTILINE,
    )
    assert lost(daemon) == sum(map(int, told)) > 700_000
    assert f"output that could not be written: a ({lost(daemon) / 1024:.0f}KB)" in shown_status(daemon)


def written(daemon: Daemon) -> int:
    """Bytes of whole lines of the worker a."""
    return 10 * daemon.log("a").splitlines().count(b"abcdefghi")


def lost(daemon: Daemon) -> int:
    number: int = daemon.row("a")["lost_bytes"]
    return number


def shown_status(daemon: Daemon) -> str:
    command = [*LOGS[:-1], "status", "--socket", daemon.socket]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_disk_that_is_read_only_for_a_while_costs_only_what_was_written_meanwhile(
    supervise: Supervise, disk: Path
) -> None:
    daemon = supervise(worker("a", LINE_AT_A_TIME), log_dir=disk)
    daemon.open_gate()
    wait_for_log(daemon, "a", b"line\n")
    daemon.send_signal(signal.SIGUSR1)  # a file that is open for writing keeps a disk from being made read-only
    daemon.call("version")
    with read_only(disk):
        daemon.open_gate()
        wait_until(lambda: daemon.row("a")["lost_bytes"] == 5, "a line is lost")
    daemon.open_gate()
    told = b"procsup: 5 bytes of output are missing here: read-only file system (EROFS)\n"
    wait_for_log(daemon, "a", b"line\n" + told + b"line\n")


# Reading them


def test_logs_shows_workers_below_a_supervisor_and_removed_ones(supervise: Supervise) -> None:
    daemon = supervise(
        tree(supervisor("root", ["lab"]), supervisor("lab", ["a", "b"]), worker("a", SPEAKS), worker("b"))
    )
    daemon.call("start_child", supervisor="root", command=list(SPEAKS), name="guest")
    wait_for_log(daemon, "a", b"out\nerr\n")
    wait_for_log(daemon, "guest", b"out\nerr\n")
    daemon.call("stop", names=["guest"])
    daemon.call("delete_child", names=["guest"])

    assert logs(daemon, "lab").stdout == "a | out\na | err\n"
    assert logs(daemon, "guest", "-n", "1").stdout == "err\n"
    assert logs(daemon, "gue*", "a").stdout.splitlines()[0] == "a     | out"
    unknown = logs(daemon, "nobody")
    assert (unknown.returncode, unknown.stdout) == (4, "")
    assert unknown.stderr.startswith("procsup: cannot find 'nobody' in the tree")


def test_follower_gets_every_line_of_a_worker_whose_log_is_rotated_all_the_time(supervise: Supervise) -> None:
    script = f"{AT_THE_GATE}; exec seq 1 200000"
    daemon = supervise(
        tree(
            supervisor("root", ["a"], intensity=0),
            worker("a", sh(script), restart="temporary", log={"max_bytes": 20_000, "backups": 1000}),
        )
    )
    command = [*LOGS, "--log-dir", str(daemon.log_dir), "-f", "a"]
    (daemon.log_dir / "a.log").write_bytes(b"0\n")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"0\n"
        daemon.open_gate()
        lines = [follower.stdout.readline() for _ in range(200_000)]
        follower.kill()
    assert lines == [b"%d\n" % number for number in range(1, 200_001)]


def test_what_was_written_within_the_last_seconds_is_found_without_timestamps(supervise: Supervise) -> None:
    daemon = supervise(worker("a", SPEAKS))
    wait_for_log(daemon, "a", b"out\nerr\n")
    shown = logs(daemon, "a", "--since", "1h")
    assert (shown.stdout, shown.stderr) == ("out\nerr\n", "")


# On standard error, as it comes


@pytest.mark.parametrize("options", [("--verbose",), ()], ids=str)
def test_verbose_daemon_shows_what_its_workers_write(supervise: Supervise, options: tuple[str, ...]) -> None:
    script = "echo one; printf 'two\\033[2J\\n' >&2; printf end; exit 1"
    daemon = supervise(worker("a", sh(script), restart="temporary"), up=False, options=options)
    wait_until(lambda: "exited with code 1" in daemon.told(), "the end is told")
    quoted = [line.partition("  ")[2] for line in daemon.told().splitlines() if "  | " in line and "  a " in line]
    assert quoted == (["a             | one", "a             | two\\x1b[2J", "a             | end"] if options else [])
    assert daemon.stop() == 0


def test_verbose_daemon_is_not_held_up_by_a_flood(supervise: Supervise) -> None:
    flood = tree(worker("a", ("yes",)), worker("b", ("cat", "/dev/urandom")), worker("c", ("cat", "/dev/zero")))
    daemon = supervise(tree(flood, worker("d", SLEEP)), options=("--verbose",), stderr=subprocess.DEVNULL)
    events = daemon.events()
    daemon.kill("d")
    events.wait("ready", "d")
    assert daemon.stop() == 0


def test_detached_verbose_daemon_shows_it_in_its_log(supervise: Supervise, tmp_path: Path) -> None:
    file = tmp_path / "tree.toml"
    file.write_text(worker("a", SPEAKS))
    places = ["--socket", str(tmp_path / "s"), "--state-dir", str(tmp_path / "state"), "--log-dir", str(tmp_path / "l")]
    procsup = [*LOGS[:-1]]
    subprocess.run([*procsup, "run", str(file), "--detach", "--verbose", *places], check=True)
    try:
        told = tmp_path / "state" / "daemon.log"
        wait_until(lambda: "a             | err\n" in told.read_text(), "stderr is quoted")
    finally:
        subprocess.run([*procsup, "shutdown", *places[:2]], check=True, stdout=subprocess.DEVNULL)
