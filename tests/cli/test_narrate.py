"""Events as words: one example of each, the story of the poison pill, and anything at all."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from procsup.cli.narrate import Narrator
from procsup.cli.paint import coloured

EVENTS = (
    "daemon_started", "starting", "started", "ready", "start_failed", "exited", "stopping", "stopped", "restarting",
    "gave_up", "escalated", "auto_shutdown", "held", "released", "child_added", "child_removed", "lost_output",
    "journal_failed", "journal_resumed", "bad_message", "link_fired", "daemon_stopped",
)  # fmt: skip


@pytest.fixture(autouse=True)
def local_time_is_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def happened(event: str, path: str, mono: float = 10.0, **details: object) -> dict[str, object]:
    clock = "2026-07-28T03:12:44.120456Z"
    return {"seq": 1, "time": clock, "mono": mono, "event": event, "path": path, "cause": None, **details}


def words(*events: dict[str, object]) -> list[str]:
    """What is told of `events`, without times and column widths."""
    narrator = Narrator()
    return [" ".join(line.split()[1:]) for event in events for line in narrator.tell(event)]


STOPPING = happened("stopping", "k/baker", 9.988, type="worker", signal="SIGTERM")

EXAMPLES: list[tuple[list[dict[str, object]], list[str]]] = [
    (
        [happened("daemon_started", "", pid=4710, file="/etc/kingdom.toml", version="0.1.0")],
        ["procsup starts the tree of /etc/kingdom.toml (procsup 0.1.0, pid 4710)"],
    ),
    ([happened("starting", "k/baker", type="worker", starts=1)], []),
    ([happened("started", "k/baker", pid=4711)], ["baker started, pid 4711"]),
    (
        [happened("started", "k/baker", pid=4711, waits_for="tcp localhost:80")],
        ["baker started, pid 4711, waits for tcp localhost:80"],
    ),
    (
        [
            happened(
                "start_failed", "k/baker", type="worker", reason="timeout", pid=4711, waited_for="line ^up$ (x)"
            )
        ],
        ["baker cannot start: it was not ready in time, waiting for line ^up$ (x)"],
    ),
    ([happened("ready", "k/baker", type="worker")], []),
    ([happened("ready", "k/lab", type="supervisor")], ["lab is up"]),
    ([happened("ready", "k/baker", type="worker", after=1.25)], ["baker is ready after 1.2s"]),
    (
        [
            happened("link_fired", "k/baker", peer="the miller", reason="signal SIGSEGV core", trapped=False),
            STOPPING,
            happened(
                "exited",
                "k/baker",
                type="worker",
                reason="linked the miller signal SIGSEGV core",
                uptime=9.0,
                tail=[],
                how="shutdown",
                ended="signal SIGTERM",
            ),
        ],
        [
            "baker is stopped by its link with the miller, which was ended by SIGSEGV, core dumped",
            "baker stopped (SIGTERM, 12ms)",
        ],
    ),
    (
        [happened("link_fired", "k/baker", peer="miller", reason="timeout", trapped=True)],
        ["baker is told of miller, which was not ready in time"],
    ),
    (
        [
            happened("stopping", "k/baker", type="worker", pid=7, signal="SIGTERM"),
            happened(
                "start_failed",
                "k/baker",
                type="worker",
                reason="timeout",
                command=["bake"],
                pid=7,
                uptime=60.0,
                ended="signal SIGTERM",
                how="shutdown",
                tail=["waiting for the oven"],
            ),
        ],
        ["baker cannot start: it was not ready in time; its last line:", "waiting for the oven"],
    ),
    (
        [
            happened(
                "start_failed",
                "k/baker",
                type="worker",
                reason="not_ready exit 0",
                command=["bake"],
                pid=7,
                uptime=1.0,
                ended="exit 0",
                how="",
                tail=[],
            ),
        ],
        ["baker cannot start: exited with code 0 before it was ready"],
    ),
    (
        [
            happened(
                "start_failed",
                "k",
                type="supervisor",
                reason="failed_to_start_child my baker not_ready signal SIGBUS core",
            )
        ],
        ["k cannot start: its child my baker cannot start: was ended by SIGBUS, core dumped before it was ready"],
    ),
    (
        [happened("start_failed", "k", type="supervisor", reason="failed_to_start_child lab/timeout timeout")],
        ["k cannot start: its child timeout cannot start: it was not ready in time"],
    ),
    (
        [
            happened(
                "start_failed", "k/baker", type="worker", reason="start_failed exec ENOENT", command=["bin/bake", "-x"]
            )
        ],
        [
            "baker cannot start: its program cannot be executed: no such file or directory (ENOENT);"
            " its command: bin/bake -x"
        ],
    ),
    (
        [
            happened(
                "start_failed",
                "k",
                type="supervisor",
                reason="failed_to_start_child lab/my baker start_failed cwd EACCES",
            )
        ],
        [
            "k cannot start: its child my baker cannot start: its working folder cannot be entered:"
            " permission denied (EACCES)"
        ],
    ),
    (
        [happened("exited", "k/baker", type="worker", reason="exit 1", pid=1, uptime=0.312, tail=["a", "  b\tc"])],
        ["baker exited with code 1 after 0.3s; its last line:", "b c"],
    ),
    (
        [happened("exited", "k/baker", type="worker", reason="signal SIGSEGV core", pid=1, uptime=75.0, tail=[])],
        ["baker was ended by SIGSEGV, core dumped after 1m15s"],
    ),
    (
        [happened("exited", "k/baker", type="worker", reason="normal", pid=1, uptime=7200.0, tail=[])],
        ["baker ended normally after 2h00m"],
    ),
    ([happened("exited", "k/lab", type="supervisor", reason="gave_up")], ["lab is down: it gave up"]),
    ([happened("exited", "k/lab", type="supervisor", reason="auto_shutdown")], ["lab is down: it shut itself down"]),
    ([STOPPING], []),
    ([happened("stopping", "k", type="supervisor")], ["k is asked to stop"]),
    (
        [
            STOPPING,
            happened("stopped", "k/baker", type="worker", reason="shutdown", how="shutdown", ended="signal SIGTERM"),
        ],
        ["baker stopped (SIGTERM, 12ms)"],
    ),
    (
        [STOPPING, happened("stopped", "k/baker", type="worker", reason="shutdown", how="shutdown", ended="exit 3")],
        ["baker stopped (SIGTERM, 12ms, exit 3)"],
    ),
    (
        [
            happened("stopping", "k/baker", 5.0, type="worker", signal="SIGTERM"),
            happened("stopped", "k/baker", type="worker", reason="killed", how="killed", ended="signal SIGKILL"),
        ],
        ["baker killed: it was still there 5.0s after SIGTERM"],
    ),
    (
        [
            happened("stopping", "k/baker", 9.998, type="worker", signal="SIGKILL"),
            happened("stopped", "k/baker", type="worker", reason="killed", how="brutal_kill", ended="signal SIGKILL"),
        ],
        ["baker killed at once, as its spec says (2ms)"],
    ),
    (
        [happened("stopped", "k/baker", type="worker", reason="shutdown", how="shutdown", ended="exit 0")],
        ["baker stopped"],
    ),
    ([happened("stopped", "k/lab", type="supervisor", reason="shutdown", how="shutdown")], ["lab stopped"]),
    (
        [happened("restarting", "k/lab", child="baker", used=2, intensity=3, period=5.0, group=[])],
        ["lab restarts baker (2 of 3 in 5s)"],
    ),
    (
        [happened("restarting", "k/lab", child="baker", used=1, intensity=3, period=90.0, group=["miller", "baker"])],
        ["lab restarts baker and with it miller (1 of 3 in 90s)"],
    ),
    (
        [happened("gave_up", "k/lab", used=4, intensity=3, period=0.5, child="baker")],
        ["lab gives up: 4 restarts needed within 500ms, allowed are 3; the last straw was baker"],
    ),
    ([happened("escalated", "k", child="lab", verdict="restart")], ["k is told that lab gave up"]),
    (
        [happened("escalated", "k", child="lab", verdict="leave")],
        ["k is told that lab gave up, and leaves it down (transient)"],
    ),
    (
        [happened("escalated", "k", child="lab", verdict="remove")],
        ["k is told that lab gave up, and removes it (temporary)"],
    ),
    (
        [happened("auto_shutdown", "k/lab", child="baker")],
        ["lab shuts itself down, as its significant child baker ended"],
    ),
    ([happened("held", "k/baker")], ["baker is held down: an operator stopped it"]),
    ([happened("released", "k/baker")], ["baker is no longer held: an operator lets it run"]),
    ([happened("child_added", "k/baker", type="worker")], ["baker was added to the tree, a worker"]),
    ([happened("child_removed", "k/baker", why="temporary")], ["baker was taken out of the tree: it is temporary"]),
    (
        [happened("child_removed", "k/baker", why="deleted")],
        ["baker was taken out of the tree: an operator deleted it"],
    ),
    (
        [happened("child_removed", "k/baker", why="start_failed")],
        ["baker was taken out of the tree: it could not start"],
    ),
    (
        [happened("lost_output", "k/baker", bytes=4096, reason="cannot write: disk full")],
        ["baker lost 4096 bytes of output so far: cannot write: disk full"],
    ),
    (
        [happened("journal_failed", "k", reason="ENOSPC")],
        ["procsup cannot write the journal: no space left on device (ENOSPC)"],
    ),
    ([happened("journal_resumed", "k", lost=3)], ["procsup writes the journal again; events lost: 3"]),
    (
        [happened("bad_message", "k/baker", count=10, reason="cannot read the message: not JSON")],
        ["baker misuses its channel (10 times so far): cannot read the message: not JSON"],
    ),
    (
        [happened("daemon_stopped", "", status=70, reason="gave_up")],
        ["procsup the tree is down: the root gave up; exit status 70"],
    ),
    (
        [happened("daemon_stopped", "", status=0, reason="shutdown")],
        ["procsup the tree is down: it was asked to stop; exit status 0"],
    ),
    (
        [happened("daemon_stopped", "", status=0, reason="auto_shutdown")],
        ["procsup the tree is down: the root shut itself down; exit status 0"],
    ),
    (
        [happened("daemon_stopped", "", status=69, reason="failed_to_start_child baker start_failed exec EACCES")],
        [
            "procsup the tree is down: its child baker cannot start: its program cannot be executed:"
            " permission denied (EACCES); exit status 69"
        ],
    ),
]


@pytest.mark.parametrize(("events", "told"), EXAMPLES, ids=[str(events[-1]["event"]) for events, _ in EXAMPLES])
def test_what_is_told_of_each_event(events: list[dict[str, object]], told: list[str]) -> None:
    assert words(*events) == told


def test_there_is_an_example_of_every_event() -> None:
    assert {event["event"] for events, _ in EXAMPLES for event in events} == set(EVENTS)


def test_an_event_of_a_newer_daemon_is_shown_with_all_it_has() -> None:
    (line,) = words(happened("slept", "k/baker", hours=8))
    assert line.startswith("baker {")
    assert '"hours": 8' in line


def test_the_columns_are_aligned() -> None:
    narrator = Narrator(names=("api_cache_of_the_kingdom",))
    lines = [
        line
        for event in (
            happened("started", "k/api_cache_of_the_kingdom", pid=4711),
            happened("exited", "k/baker", type="worker", reason="exit 1", uptime=0.3, tail=["Connection refused"]),
        )
        for line in narrator.tell(event)
    ]
    assert lines == [
        "03:12:44.120  api_cache_of_the_kingdom  started, pid 4711",
        "03:12:44.120  baker                     exited with code 1 after 0.3s; its last line:",
        "                                        | Connection refused",
    ]


SECONDS = 1_785_208_364.1204
"""Of the events, whose time is shown as 03:12:44.120."""


def test_what_workers_write_is_quoted_in_the_same_columns() -> None:
    narrator = Narrator()
    (line,) = narrator.tell(happened("started", "k/baker", pid=4711))
    assert line == "03:12:44.120  baker         started, pid 4711"
    assert narrator.quote("k/baker", SECONDS, b"one\n\n  two\n") == (
        "03:12:44.120  baker         | one\n03:12:44.120  baker         | \n03:12:44.120  baker         |   two\n"
    )


def test_quoted_line_without_its_end_gets_one() -> None:
    assert Narrator().quote("k/baker", SECONDS, b"one") == "03:12:44.120  baker         | one\n"


def test_quotes_cannot_write_to_the_terminal() -> None:
    quoted = Narrator().quote("k/\x07", SECONDS, b"\x1b[2J\r\n\xff\tb\n")
    assert quoted == r"03:12:44.120  \x07          | \x1b[2J" "\n" r"03:12:44.120  \x07          | \xff       b" "\n"


def test_names_in_quotes_have_each_a_colour() -> None:
    narrator = Narrator(coloured)
    codes = [narrator.quote(f"k/{name}", SECONDS, b"x\n").split("\x1b[")[3][:3] for name in ("a", "b", "a")]
    assert codes == ["36m", "33m", "36m"]


def test_colours_mark_what_is_bad() -> None:
    (line,) = Narrator(coloured).tell(happened("gave_up", "k", used=1, intensity=0, period=5.0, child="x"))
    assert "\x1b[1;31mgives up" in line
    assert line.endswith("\x1b[0m")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("back\rforth\x08", r"back\rforth\x08"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff\udce4", r"\xff\xe4"),
        ("\x9b31m", r"\x9b31m"),
        ("caf\u00e9 \u2713", "caf\u00e9 \u2713"),
    ],
)
def test_a_worker_cannot_write_to_the_terminal_through_its_last_line(said: str, shown: str) -> None:
    event = happened("exited", "k/x", type="worker", reason="exit 1", uptime=0.3, tail=["before", said])
    assert [line.partition("| ")[2] for line in Narrator().tell(event)[1:]] == [shown]


def test_last_words_without_end_are_cut() -> None:
    event = happened("exited", "k/x", type="worker", reason="exit 1", uptime=0.3, tail=["y" * 100_000] * 1000)
    assert sum(map(len, Narrator().tell(event))) < 20_000


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(some.characters()),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = some.sampled_from(
    [
        "seq", "time", "mono", "path", "cause", "pid", "file", "version", "type", "starts", "reason", "command",
        "uptime", "tail", "signal", "how", "ended", "child", "used", "intensity", "period", "group", "verdict", "why",
        "bytes", "status", "after",
    ]
)  # fmt: skip
REASONS = some.sampled_from(
    [
        "exit",
        "signal",
        "start_failed",
        "failed_to_start_child",
        "start_spec",
        "normal",
        "1",
        "x",
        "not_ready",
        "timeout",
    ]
)
ODD_EVENT = some.builds(
    lambda event, details: {**details, "event": event},
    some.sampled_from(EVENTS) | JSON,
    some.dictionaries(KEYS, JSON | some.lists(REASONS).map(" ".join) | some.sampled_from(["worker", "killed"])),
)


@given(some.lists(ODD_EVENT | some.dictionaries(some.text(), JSON), max_size=4))
def test_no_event_raises_or_reaches_the_terminal_unescaped(events: list[dict[str, object]]) -> None:
    narrator = Narrator()
    for event in events:
        for line in narrator.tell(event):
            assert line.isprintable(), line


def test_what_is_being_stopped_is_all_that_is_remembered() -> None:
    narrator = Narrator()
    for i in range(1000):
        narrator.tell(happened("stopping", f"k/w{i}", type="worker", signal="SIGTERM"))
        if i % 2:
            narrator.tell(happened("stopped", f"k/w{i}", type="worker", how="shutdown", ended="exit 0"))
        else:
            narrator.tell(happened("start_failed", f"k/w{i}", type="worker", reason="timeout", how="shutdown"))
    assert narrator._asked == {}
