"""The start of a tree: in order, and what becomes of it when a child cannot start."""

import signal
from pathlib import Path

import pytest

from tests.kit.client import in_words
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import SLEEP, sh, supervisor, tree, worker, workers
from tests.kit.wait import wait_until


def started(daemon: Daemon) -> list[str]:
    """Who was started, in order, as the daemon told on its standard error."""
    return [line.split()[1] for line in daemon.told().splitlines() if " started, pid " in line]


def test_children_start_in_the_order_of_the_file_and_depth_first(supervise: Supervise) -> None:
    daemon = supervise(
        tree(
            supervisor("top", ["d", "left", "a", "right"]),
            supervisor("right", ["c"]),
            supervisor("left", ["b", "e"]),
            workers("a b c d e"),
        )
    )

    assert started(daemon) == ["d", "b", "e", "a", "c"]
    assert [row["path"] for row in daemon.status()["tree"]] == [
        "top", "top/d", "top/left", "top/left/b", "top/left/e", "top/a", "top/right", "top/right/c",
    ]  # fmt: skip
    assert {row["state"] for row in daemon.status()["tree"]} == {"running"}


def test_supervisor_that_starts_its_children_anew_does_so_in_order_each_after_the_one_before(
    supervise: Supervise,
) -> None:
    daemon = supervise(tree(supervisor("root", ["lab"]), supervisor("lab", ["b", "a", "c"]), workers("a b c")))
    events = daemon.events()
    daemon.call("restart", names=["lab"])

    told = in_words(events.until("ready", "lab"), "starting", "started", "ready")

    assert told == [
        "starting lab",
        *(f"{event} {name}" for name in "bac" for event in ("starting", "started", "ready")),
        "ready lab",
    ]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("/no/such/program",), "ENOENT"),
        (("/etc/passwd",), "EACCES"),
        (("/etc/passwd/program",), "ENOTDIR"),
    ],
)
def test_child_that_cannot_start_stops_those_before_it_in_reverse_order_and_ends_the_daemon_with_69(
    supervise: Supervise, command: tuple[str, ...], told: str
) -> None:
    daemon = supervise(
        tree(
            supervisor("root", ["a", "b", "lab", "d"]),
            supervisor("lab", ["c", "culprit", "e"]),
            workers("a b c d e"),
            worker("culprit", command),
        ),
        up=False,
    )

    assert daemon.wait() == 69

    lines = [line for line in daemon.told().splitlines() if " culprit " in line]
    assert any("cannot start" in line and told in line for line in lines), daemon.told()
    assert started(daemon) == ["a", "b", "c"]
    stopped = [line.split()[1] for line in daemon.told().splitlines() if "  stopped" in line]
    assert [name for name in stopped if len(name) == 1] == ["c", "b", "a"]


def test_folder_that_is_not_there_fails_the_start_and_is_named(supervise: Supervise) -> None:
    daemon = supervise(worker("a", cwd="/no/such/folder"), up=False)

    assert daemon.wait() == 69
    assert "ENOENT" in daemon.told()
    assert "folder" in daemon.told() or "cwd" in daemon.told()


def test_script_without_an_interpreter_fails_the_start_and_is_named(supervise: Supervise, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    daemon = supervise(worker("a", str(script)), up=False)

    assert daemon.wait() == 69
    assert "ENOEXEC" in daemon.told()


def test_worker_that_ends_at_once_after_its_start_was_started_and_is_restarted(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=2), worker("a", sh("exit 3"))), up=False)

    assert daemon.wait() == 70
    assert started(daemon) == ["a", "a", "a"]
    assert daemon.told().count("exited with code 3 after") == 3


def test_relative_program_and_folder_are_those_of_the_file(supervise: Supervise) -> None:
    daemon = supervise(worker("a", sh("pwd; exec sleep 1000")))
    wait_until(lambda: daemon.log("a") == f"{daemon.folder}\n".encode(), "it has told its folder")


def test_names_of_all_kinds_can_be_started(supervise: Supervise) -> None:
    names = ["a b", "ä", "$x", "-", "...", 'q"uote', "'", "x" * 200, "%s", "*", "~"]
    daemon = supervise(tree(*(worker(name, SLEEP) for name in names)))

    assert [row["path"].split("/")[1] for row in daemon.status()["tree"][1:]] == names
    assert daemon.call("stop", names=["a b", "*", "..."])["results"][0]["state"] == "down"
    assert daemon.stop() == 0


def test_daemon_that_is_told_to_stop_while_it_starts_stops_what_it_has_started(supervise: Supervise) -> None:
    names = [f"w{number}" for number in range(150)]
    first = sh("kill -TERM $PPID; exec sleep 1000")
    daemon = supervise(tree(worker("first", first), workers(" ".join(names))), up=False)

    assert daemon.wait() == 0

    told = [line.split()[1] for line in daemon.told().splitlines() if "  stopped (" in line]
    assert told == list(reversed(started(daemon)))
    assert daemon.remaining() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_daemon_that_is_told_to_stop_while_starts_fail_over_and_over_stops(
    supervise: Supervise, number: int, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.symlink_to("/bin/sleep")
    forever = supervisor("root", ["a", "b"], intensity=1_000_000_000)
    daemon = supervise(tree(forever, worker("a"), worker("b", [str(program), "1000"])))
    program.unlink()
    events = daemon.events()
    daemon.kill("b")
    events.wait("start_failed", "b")
    assert daemon.row("a")["state"] == "running"  # it answers in between

    daemon.send_signal(number)

    assert daemon.wait() == 0
