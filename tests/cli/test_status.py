"""`status` and `tree`: what they draw, what they know of processes, and the JSON."""

import dataclasses
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from procsup.cli import answers
from procsup.cli.answers import as_status
from procsup.cli.drawing import ASCII, BOXES, branches
from procsup.cli.paint import coloured, plain
from procsup.cli.processes import Usage, usage_of
from procsup.cli.table import status_text
from procsup.wire.decode import JSON
from procsup.wire.status import DaemonRow, SupervisorRow, WorkerRow
from tests.cli.conftest import Ask
from tests.cli.rows import DOWN, NOW, status, supervisor, worker

KINGDOM = status(
    supervisor("kingdom", used=2),
    worker("kingdom/api_cache", pid=4711, started=NOW - 192, restarts=2, last_exit="exit 1"),
    supervisor("kingdom/lab", strategy="one_for_all", period=90.0, restarts=1, last_exit="gave_up"),
    worker(
        "kingdom/lab/spy_left", ok=False, state="restarting", last_exit="signal SIGSEGV core", pid=None, started=None
    ),
    worker("kingdom/lab/spy_right", held=True, since=NOW - 200, last_exit="shutdown", **DOWN),
    worker("kingdom/baker", pid=7, started=NOW - 90000, ok=True, state="stopping"),
)
USAGE = {4711: Usage(1.92, 12_900_000), 7: Usage(180_000.0, 3 * 2**30)}


def drawn(width: int | None = None) -> str:
    return status_text(as_status(KINGDOM), USAGE, NOW, plain, BOXES, width)


def test_status_draws_the_tree_with_facts() -> None:
    assert drawn() == (
        "procsup 0.1.0, pid 100, runs /etc/kingdom.toml, up 1h00m, containment: subreaper\n"
        "NAME             STATE         PID  UPTIME  RESTARTS     CPU  MEMORY  LAST EXIT\n"
        "kingdom          running      one_for_one, 2 of 3 in 5s\n"
        "├─ api_cache     running      4711   3m12s         2    1.0%  12.3MB  exit 1\n"
        "├─ lab           running      one_for_all, 0 of 3 in 90s, 1 restart   gave_up\n"
        "│  ├─ spy_left   restarting      -       -         0       -       -  signal SIGSEGV core\n"
        "│  └─ spy_right  down (held)     -       -         0       -       -  shutdown, 3m20s ago\n"
        "└─ baker         stopping        7   1d01h         0  200.0%   3.0GB  -\n"
        "1 of 6 should run and do not: spy_left\n"
    )


def test_tasks_stand_below_their_worker_and_of_many_some() -> None:
    tasks = [{"pid": 100 + number, "name": f"fetch_{number}", "started": NOW - 10 * number} for number in range(8)]
    answer = status(supervisor("root"), worker("root/few", tasks=tasks[:2]), worker("root/many", tasks=tasks))
    lines = status_text(as_status(answer), {}, NOW, plain, BOXES, None).splitlines()[2:]
    assert [line.split()[:5] for line in lines[1:4]] == [
        ["├─", "few", "running", "4711", "1m00s"],
        ["│", "├─", "fetch_0", "task", "100"],
        ["│", "└─", "fetch_1", "task", "101"],
    ]
    assert [line.split("task")[0].rstrip() for line in lines[5:]] == [
        *(f"   ├─ fetch_{number}" for number in range(5)),
        "   └─ and 3 more",
    ]


def test_status_says_when_the_journal_cannot_be_written() -> None:
    ill = status(worker("a"), journal_error="ENOSPC", journal_lost=3, state_dir="/s")
    assert status_text(as_status(ill), {}, NOW, plain, BOXES, None).splitlines()[-2:] == [
        "the journal in /s cannot be written: no space left on device (ENOSPC)",
        "events that are not in the journal: 3",
    ]


def test_a_terminal_cuts_off_only_the_last_column() -> None:
    lines = drawn(84).splitlines()
    assert lines[5] == "│  ├─ spy_left   restarting      -       -         0       -       -  signal SIGSEG…"
    assert lines[1].endswith("LAST EXIT")
    assert drawn(10).splitlines()[5] == "│  ├─ spy_left   restarting      -       -         0       -       -"


def test_colours_mark_states() -> None:
    text = status_text(as_status(KINGDOM), USAGE, NOW, coloured, BOXES, None)
    assert "\x1b[1;31mrestarting\x1b[0m" in text
    assert "\x1b[32mrunning\x1b[0m" in text
    assert (
        text.replace("\x1b[1;31m", "")
        .replace("\x1b[32m", "")
        .replace("\x1b[33m", "")
        .replace("\x1b[2m", "")
        .replace("\x1b[0m", "")
        == drawn()
    )


def test_a_name_cannot_write_to_the_terminal() -> None:
    row = worker("r/\x1b[2Jx", last_exit="exit \x07", state="run\nning")
    text = status_text(as_status(status(supervisor("r"), row)), {}, NOW, plain, ASCII, None)
    assert "\\x1b[2Jx" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_wide_characters_keep_the_columns() -> None:
    rows = status(supervisor("r"), worker("r/服务"), worker("r/abcd"))
    lines = status_text(as_status(rows), {}, NOW, plain, ASCII, None).splitlines()
    assert lines[3] == "|- 服务  running  4711   1m00s         0    -       -  -"
    assert lines[4] == "`- abcd  running  4711   1m00s         0    -       -  -"


def test_an_empty_answer_draws_no_row() -> None:
    assert len(status_text(as_status(status()), {}, NOW, plain, BOXES, 80).splitlines()) == 2


def test_many_names_that_do_not_run_are_counted() -> None:
    rows = [worker(f"r/w{i}", ok=False, **DOWN) for i in range(9)]
    text = status_text(as_status(status(supervisor("r"), *rows)), {}, NOW, plain, BOXES, None)
    assert text.endswith("9 of 10 should run and do not: w0, w1, w2, w3, w4 and 4 more\n")


def test_output_that_was_lost_is_told_below() -> None:
    rows = [worker("r/a", lost_bytes=5_000_000), worker("r/b"), worker("r/c", lost_bytes=800)]
    text = status_text(as_status(status(supervisor("r"), *rows)), {}, NOW, plain, BOXES, None)
    assert text.endswith("\noutput that could not be written: a (4.8MB), c (1KB)\n")


def test_what_a_worker_waits_for_to_be_ready_is_told_below() -> None:
    waits: dict[str, JSON] = {"state": "starting", "ok": False, "since": NOW - 3, "waits_for": "tcp db:1 (refused)"}
    rows = [worker("r/a", **waits), worker("r/b")]
    text = status_text(as_status(status(supervisor("r"), *rows)), {}, NOW, plain, BOXES, None)
    assert text.endswith("\na has been starting for 3.0s: it waits for tcp db:1 (refused)\n")


def test_of_many_that_wait_to_be_ready_the_others_are_counted() -> None:
    rows = [worker(f"r/w{i}", state="starting", ok=False, waits_for="1s to pass") for i in range(7)]
    text = status_text(as_status(status(supervisor("r"), *rows)), {}, NOW, plain, BOXES, None)
    assert text.endswith("w4 has been starting for 1m00s: it waits for 1s to pass\nand 2 more\n")


def test_branches_of_a_forest() -> None:
    paths = ["k/lab", "k/lab/a", "k/lab/b", "k/other", "k/other/c"]
    assert branches(paths, BOXES) == ["", "├─ ", "└─ ", "", "└─ "]


def test_the_checked_shape_is_that_of_the_protocol() -> None:
    for table, row in (
        (answers.ROWS["worker"], WorkerRow), (answers.ROWS["supervisor"], SupervisorRow), (answers.DAEMON, DaemonRow),
    ):  # fmt: skip
        assert table.keys() == {field.name for field in dataclasses.fields(row)}
    of_rows = {field.name for row in (WorkerRow, SupervisorRow) for field in dataclasses.fields(row)}
    assert answers.Row.__annotations__.keys() == of_rows
    assert answers.Daemon.__annotations__.keys() == answers.DAEMON.keys()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that is alive and has used no processor time to speak of."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def test_json_is_the_daemons_answer_with_what_the_processes_use(ask: Ask, child: subprocess.Popen[bytes]) -> None:
    rows = [
        supervisor("r"),
        worker("r/a", pid=child.pid, started=time.time() - 10),
        worker("r/b", **DOWN),
        worker("r/c", pid=1, started=NOW),
    ]
    answer = status(*rows, pid=os.getpid())
    status_, out, err = ask({"status": answer}, "status", "--json")
    assert (status_, err) == (0, "")
    found = json.loads(out)
    assert isinstance(answer, dict)
    assert found["daemon"] == answer["daemon"]
    assert found["tree"][0] == rows[0]
    a, b, c = found["tree"][1:]
    assert 0 <= a["cpu_percent"] < 100
    assert a["rss_bytes"] > 100_000
    for row, sent in ((a, rows[1]), (b, rows[2]), (c, rows[3])):
        more = {key: row.pop(key) for key in ("cpu_percent", "rss_bytes")}
        assert row == sent
        assert row is a or set(more.values()) == {None}


def test_a_process_is_the_workers_only_as_the_daemons_child(child: subprocess.Popen[bytes]) -> None:
    assert usage_of([child.pid], os.getpid()).keys() == {child.pid}
    assert usage_of([child.pid], os.getppid()) == {}
    assert usage_of([1, 0, -1, 2**31, 2**70], os.getpid()) == {}


def test_keys_of_a_newer_daemon_are_passed_on(ask: Ask) -> None:
    row = {**_object(supervisor("r")), "mood": "good"}
    assert json.loads(ask({"status": status(row)}, "status", "--json")[1])["tree"][0]["mood"] == "good"


def test_tree_draws_names_and_strategies(ask: Ask) -> None:
    assert ask({"status": KINGDOM}, "tree")[1] == (
        "kingdom (one_for_one)\n├─ api_cache\n├─ lab (one_for_all)\n│  ├─ spy_left\n│  └─ spy_right\n└─ baker\n"
    )


def test_an_encoding_without_boxes_gets_plain_strokes(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", screen)
    assert ask({"status": status(supervisor("r"), worker("r/\u2713"))}, "tree")[0] == 0
    screen.flush()
    assert screen.buffer.getvalue() == b"r (one_for_one)\n`- \\u2713\n"


def _object(value: JSON) -> dict[str, JSON]:
    assert isinstance(value, dict)
    return value
