"""What is said: how things stand, the failure in a sentence, and then step by step."""

import os
import pwd
import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from procsup.cli.answers import Row
from procsup.cli.journal import Journal
from procsup.cli.paint import plain
from procsup.cli.why.answer import answer
from procsup.cli.why.words import answer_in_words
from procsup.core.calls import Stop
from procsup.core.events import ShutdownRequested
from procsup.core.readiness import Connection
from procsup.core.reason import KilledBySignal
from procsup.core.spec import Bonds
from procsup.wire.decode import JSON
from tests.cli.rows import DOWN, supervisor, worker
from tests.cli.why.journals import NOW, events_of, of_world, write
from tests.core.trees import one_for_all, one_for_one
from tests.core.trees import worker as permanent
from tests.core.world import FAILS, GOOD, NORMAL, SLOW, STUBBORN, World

pytestmark = pytest.mark.usefixtures("local_time_is_utc")


def said(folder: Path, name: str | None, *rows: JSON, is_alive: bool = False) -> list[str]:
    known = {row["path"]: row for row in (cast(Row, row) for row in rows)}
    with Journal(str(folder)) as journal:
        found = answer(journal, name, known, is_alive or bool(rows))
    return answer_in_words(found, NOW, plain)


# The failure


def test_the_poison_pill(tmp_path: Path) -> None:
    library = one_for_one("library", "librarian", "cache", "scribe", intensity=2)
    tree = one_for_one("kingdom", "crier", library, "baker", intensity=0)
    of_world(tmp_path, World(tree).boot().kill("cache").kill("cache").kill("cache"))
    assert said(tmp_path, "cache") == [
        "cache is not running: the daemon ended 1m00s ago with exit status 70, because the root gave up.",
        "",
        "The last failure of cache began 1m00s ago, at 2026-07-28 03:12:44.000.",
        "In short: cache exited with code 1, 3 times within 1.0s; so library gave up (2 restarts in 5s are",
        "          allowed), kingdom gave up (no restart is allowed) and the daemon ended with exit status",
        "          70.",
        "",
        "  +0.000s  cache exited with code 1, <1ms after its start; its last line:",
        "             | last words",
        "  +0.100s  library restarted cache: restart 1 of 2 within 5s, 1 left",
        "  +0.500s  cache exited with code 1, <1ms after its start, with the same last line",
        "  +0.600s  library restarted cache: restart 2 of 2 within 5s, none left",
        "  +1.000s  cache exited with code 1, <1ms after its start, with the same last line",
        "  +1.100s  library gave up: cache needed restart 3 within 5s, and 2 are allowed",
        "  +1.200s  stopped for it, in this order: scribe, librarian",
        "  +1.800s  kingdom gave up: library needed a restart, and none is allowed",
        "  +1.900s  stopped for it, in this order: baker, crier",
        "  +2.400s  the daemon ended with exit status 70: the root gave up",
    ]


def test_a_group_that_was_restarted(tmp_path: Path) -> None:
    world = World(one_for_all("root", "a", "b", "c")).fate("c", STUBBORN).boot()
    of_world(tmp_path, world.kill("a", end=KilledBySignal("SIGSEGV", core=True)).wait(5.0))
    assert said(tmp_path, "a", is_alive=True)[3:] == [
        "In short: a was ended by SIGSEGV, core dumped; so root restarted a and with it b and c.",
        "",
        "  +0.000s  a was ended by SIGSEGV, core dumped, <1ms after its start; its last line:",
        "             | last words",
        "  +0.100s  root restarted a and with it b and c: restart 1 of 3 within 5s, 2 left",
        "  +0.200s  stopped for it, in this order: c (killed after 0.1s), b",
        "  +0.800s  a, b and c came up again",
    ]


def test_a_link_that_fired(tmp_path: Path) -> None:
    tree = one_for_one("root", "a", permanent("b", bonds=Bonds(links=("a",))))
    of_world(tmp_path, World(tree).boot().kill("a"))
    assert said(tmp_path, "b", is_alive=True)[3:-1] == [
        "In short: a exited with code 1; so b was stopped by its link with a, root restarted a and root",
        "          restarted b.",
        "",
        "  +0.000s  a exited with code 1, <1ms after its start; its last line:",
        "             | last words",
        "  +0.100s  b was stopped by its link with a, which exited with code 1",
        "  +0.300s  root restarted a: restart 1 of 3 within 5s, 2 left",
        "  +0.700s  a came up again",
        "  +0.800s  root restarted b: restart 2 of 3 within 5s, 1 left",
    ]


def test_who_was_only_stopped_has_not_failed(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_all("root", "a", "b")).boot().kill("a"))
    assert said(tmp_path, "b", is_alive=True)[2].startswith("What stopped b began 1m00s ago")


def test_a_start_that_failed_again_and_again(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a", intensity=2)).fate("a", GOOD, *[FAILS] * 3).boot().kill("a")
    of_world(tmp_path, world)
    lines = said(tmp_path, "a")
    assert lines[3:5] == [
        "In short: a exited with code 1, and failed otherwise 2 times; so root restarted a, root gave up (2",
        "          restarts in 5s are allowed) and the daemon ended with exit status 70.",
    ]
    failed = "could not start: its program cannot be executed: no such file or directory (ENOENT)"
    assert f"  +0.300s  a {failed}; its command: program" in lines


def test_failures_of_others_that_used_up_the_limit_are_not_forgotten(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a", "b", intensity=1)).boot().kill("b").kill("a")
    of_world(tmp_path, world)
    assert said(tmp_path, None)[3].startswith("In short: a exited with code 1, besides failures of b; so root gave up")


def test_of_many_failures_that_are_alike_the_middle_is_a_number(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a", intensity=100)).boot()
    for _ in range(101):
        world.kill("a")
    write(tmp_path, events_of(world.records, {record.seq: record.seq / 1000 for record in world.records}))
    lines = said(tmp_path, "a")
    assert len(lines) < 20
    assert " " * 11 + "… and so on, 97 more times …" in lines
    assert "In short: a exited with code 1, 101 times within 0.5s;" in lines[3]


def test_a_transient_supervisor_that_gave_up_is_left_down(tmp_path: Path) -> None:
    tree = one_for_one("root", one_for_one("s", "x", intensity=0, restart="transient"))
    of_world(tmp_path, World(tree).boot().kill("x"))
    rows = supervisor("root"), supervisor("root/s", state="down", ok=False, last_exit="gave_up", since=NOW - 60)
    lines = said(tmp_path, "s", *rows, worker("root/s/x", **DOWN))
    assert lines[0] == "s is down for 1m00s: it gave up, and its restart type leaves it so."
    assert lines[-1] == "  +0.300s  root left s down, for it is transient"
    down = said(tmp_path, "x", *rows, worker("root/s/x", **DOWN))
    assert down[0] == "x is down: s, above it in the tree, is down."
    assert down[4:] == lines[4:]


def test_a_temporary_supervisor_that_gave_up_is_gone(tmp_path: Path) -> None:
    tree = one_for_one("root", one_for_one("s", "x", intensity=0, restart="temporary"))
    of_world(tmp_path, World(tree).boot().kill("x"))
    lines = said(tmp_path, "s", supervisor("root"))
    assert lines[0] == "s was taken out of the tree 1m00s ago: it is temporary."
    assert lines[-2:] == [
        "  +0.300s  root removed s, for it is temporary",
        "  +0.400s  s was taken out of the tree: it is temporary",
    ]


def test_nothing_of_a_worker_reaches_the_terminal_unescaped(tmp_path: Path) -> None:
    events = events_of(World(one_for_one("root", "a")).boot().kill("a").records)
    evil = "\x1b]0;owned\x07\u202e"
    events = [
        type(event)(event.seq, event.time, event.mono, event.event, event.path, event.cause, {
            key: [evil] if key == "tail" else evil if key == "reason" else value for key, value in event.details.items()
        })
        for event in events
    ]  # fmt: skip
    write(tmp_path, events)
    assert all(line.isprintable() for line in said(tmp_path, "a"))


# How things stand


def test_a_worker_that_runs_and_never_failed(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", "a")).boot())
    assert said(tmp_path, "a", supervisor("root"), worker("root/a", pid=7, since=NOW - 200)) == [
        "a has been running for 3m20s (pid 7)."
        " It has not failed since 2026-07-28 03:12:44.000, as far back as the journal goes.",
    ]
    assert said(tmp_path, None, is_alive=True) == [
        "The daemon runs. Nothing has failed since 2026-07-28 03:12:44.000, as far back as the journal goes.",
    ]


def test_a_held_child_is_held_by_somebody_since_a_time(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a")).boot()
    world.call(Stop("root/a", f"uid {os.getuid()}"))
    of_world(tmp_path, world)
    user = pwd.getpwuid(os.getuid()).pw_name
    held = f"a is held down: an operator (by {user}) stopped it 1m00s ago"
    (line,) = said(tmp_path, "a", supervisor("root"), worker("root/a", held=True, **DOWN))
    assert line.startswith(f"{held}. It has not failed since")
    assert said(tmp_path, "a")[0].startswith(f"{held}; and the daemon died without a word")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [supervisor("root", state="starting"), worker("root/b", state="starting"), worker("root/a", **DOWN)],
            "a is down: it waits for b, which is starting.",
        ),
        (
            [
                supervisor("root", strategy="one_for_all"),
                worker("root/a", last_exit="exit 1", **DOWN),
                worker("root/b", state="stopping"),
            ],
            "a is down: it waits for b, which is stopping.",
        ),
        (
            [
                supervisor("root", state="stopping"),
                worker("root/a", last_exit="shutdown", **DOWN),
                worker("root/b", state="stopping"),
            ],
            "a is down: it waits for b, which is stopping.",
        ),
        (
            [supervisor("root", state="stopping"), worker("root/a", state="stopping", since=NOW - 60, pid=7)],
            "a has been stopping for 1m00s (pid 7).",
        ),
        (
            [supervisor("root"), worker("root/a", last_exit="normal", since=NOW - 60, **DOWN)],
            "a is down for 1m00s: it ended normally, and its restart type leaves it so.",
        ),
        (
            [supervisor("root"), worker("root/a", last_exit="linked b shutdown", since=NOW - 60, **DOWN)],
            "a is down for 1m00s: it was ended by its link with b, which was asked to stop, and its restart type leaves"
            " it so.",
        ),
        (
            [supervisor("root"), worker("root/a", last_exit="start_failed exec ENOENT", since=NOW - 60, **DOWN)],
            "a is down for 1m00s: it could not start: its program cannot be executed: no such file or directory"
            " (ENOENT).",
        ),
        (
            [supervisor("root"), worker("root/a", last_exit="shutdown", since=NOW - 60, **DOWN)],
            "a is down for 1m00s: it was stopped, and nobody has started it again.",
        ),
        (
            [supervisor("root"), worker("root/a", state="restarting", pid=None, since=NOW - 60)],
            "a has been restarting for 1m00s.",
        ),
    ],
)
def test_why_it_does_not_run(tmp_path: Path, rows: list[JSON], expected: str) -> None:
    of_world(tmp_path, World(one_for_one("root", "a", "b")).boot())
    (line,) = said(tmp_path, "a", *rows)
    assert line.partition(" It has not failed")[0] == expected


def test_a_supervisor_waits_for_its_children(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", one_for_one("s", "x"))).boot())
    starting = supervisor("root", state="starting"), supervisor("root/s", state="starting")
    assert said(tmp_path, "s", *starting, worker("root/s/x", state="starting"))[0].startswith(
        "s is starting: it waits for x, which is starting."
    )


def test_a_child_that_somebody_deleted(tmp_path: Path) -> None:
    world = World(one_for_one("root", "a")).boot()
    world.stop("a")
    world.delete_child("a")
    of_world(tmp_path, world)
    assert said(tmp_path, "a", supervisor("root"))[0].startswith(
        "a was taken out of the tree 1m00s ago: an operator deleted it."
    )


def test_a_temporary_worker_that_ended_normally(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", permanent("a", "temporary"))).boot().kill("a", end=NORMAL))
    assert said(tmp_path, "a", supervisor("root"))[0] == "a was taken out of the tree 1m00s ago: it is temporary."


def test_a_worker_that_waits_to_be_ready_says_for_what(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", "a", "b")).boot())
    row = worker("root/a", state="starting", ok=False, since=NOW - 60, waits_for="tcp db:1 (refused)")
    root, down = supervisor("root", state="starting"), worker("root/b", ok=False, **DOWN)
    waits = "waits for tcp db:1 (refused)"
    assert said(tmp_path, "a", root, row, down)[0].startswith(f"a has been starting for 1m00s: it {waits}.")
    of_b = said(tmp_path, "b", root, row, down)[0]
    assert of_b.startswith(f"b is down: it waits for a, which is starting and {waits}.")


def test_a_worker_that_was_not_ready_in_time_is_told_with_what_it_waited_for(tmp_path: Path) -> None:
    waiter = replace(permanent("a"), ready=Connection("db", 1), start_timeout=2.0)
    of_world(tmp_path, World(one_for_one("root", waiter)).fate("a", SLOW).boot().wait(10.0))
    text = "\n".join(said(tmp_path, "a"))
    assert "In short: a could not start (it was not ready in time, waiting for tcp db:1)" in text
    assert "  a could not start: it was not ready in time, waiting for tcp db:1; its command: program" in text


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("SIGTERM", ", because it was asked to stop (by SIGTERM)"),
        (f"uid {os.getuid()}", f", because it was asked to stop (by {pwd.getpwuid(os.getuid()).pw_name})"),
        ("uid 4000000000", ", because it was asked to stop (by uid 4000000000)"),
        ("guardian_died", ": it stopped the tree as its guardian had died"),
        ("bug", ": it stopped the tree for a bug of its own, of which its standard error tells"),
        ("", ", because it was asked to stop"),
    ],
)
def test_a_daemon_that_was_asked_to_end_says_by_whom(tmp_path: Path, by: str, words: str) -> None:
    of_world(tmp_path, World(one_for_one("root", "a")).boot().happen(ShutdownRequested(by=by)))
    end = f"the daemon ended 1m00s ago with exit status 0{words}."
    assert said(tmp_path, "a") == [f"a is not running: {end}"]
    assert said(tmp_path, None) == [end.replace("the", "The", 1)]


def test_restarts_in_every_life_of_a_supervisor_that_gave_up_again_and_again_are_told(tmp_path: Path) -> None:
    world = World(one_for_one("root", one_for_one("s", "a", intensity=1), intensity=1)).boot()
    while world.end is None:
        world.wait(0.1).kill("a")
    of_world(tmp_path, world)
    lines = said(tmp_path, "a")
    assert re.search(r"a exited with code 1, 4 times within .*; so s gave up", " ".join(map(str.strip, lines)))
    assert sum("a exited with code 1, 0.1s after" in line for line in lines) == 4
    assert sum("s restarted a: restart 1 of 1" in line for line in lines) == 2


def test_a_daemon_that_was_killed_has_not_said_goodbye(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", "a")).boot())
    assert said(tmp_path, None) == [
        "The daemon died without a word, 1m00s ago or later: it was killed, or the machine stopped.",
    ]


def test_damage_is_said(tmp_path: Path) -> None:
    of_world(tmp_path, World(one_for_one("root", "a", "b")).boot())
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{torn\n", *lines[4:]]))
    assert said(tmp_path, "b", is_alive=True)[1:] == [
        "(Lines of the journal that are damaged and left out: 1.)",
        "(Events that are missing from the journal: 1.)",
    ]
