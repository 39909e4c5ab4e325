"""`events`: which ones, how many, in words and as JSON, out of the journal and from the daemon, and how it ends."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from procsup.cli.events import concerns
from procsup.cli.happening import Happening
from procsup.wire.decode import JSON
from tests.cli.conftest import Run
from tests.cli.fake_daemon import FakeDaemon
from tests.cli.rows import status

Lived = dict[str, Any]


pytestmark = pytest.mark.usefixtures("local_time_is_utc")


def happened(seq: int, event: str, path: str, when: str = "2026-07-28T03:12:44", **details: JSON) -> Lived:
    moment = f"{when}.{seq:06d}Z"
    return {"seq": seq, "time": moment, "mono": 1.0, "event": event, "path": path, "cause": None, **details}


BEGINNING = happened(1, "daemon_started", "k", pid=7, file="/k.toml", version="1")
STORY = [
    BEGINNING,
    happened(2, "starting", "k/lab/baker", type="worker", starts=2),
    happened(3, "started", "k/lab/baker", pid=5),
    happened(4, "started", "k/miller", pid=6),
    happened(5, "restarting", "k", child="lab", used=1, intensity=3, period=5.0, group=[]),
]
THE_END = happened(6, "daemon_stopped", "", status=0, reason="shutdown")
IN_WORDS = [
    "procsup       starts the tree of /k.toml (procsup 1, pid 7)",
    "baker         started, pid 5",
    "miller        started, pid 6",
    "k             restarts lab (1 of 3 in 5s)",
    "procsup       the tree is down: it was asked to stop; exit status 0",
]


def write(folder: Path, *events: Lived) -> None:
    with open(folder / "journal.jsonl", "a") as file:
        file.writelines(json.dumps(event, separators=(",", ":")) + "\n" for event in events)


def without_times(lines: list[str]) -> list[str]:
    """Nor days."""
    return [line.split(maxsplit=1)[1] for line in lines if " " in line]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """With the whole story."""
    write(tmp_path, *STORY, THE_END)
    return tmp_path


@pytest.fixture
def of(journal: Path, procsup: Run) -> Any:
    """`of("-n", "2")`: the lines of `events` on the journal."""

    def run(*words: str) -> list[str]:
        status, out, err = procsup("events", "--state-dir", str(journal), *words)
        assert (status, err) == (0, "")
        return out.splitlines()

    return run


# Out of the journal


def test_what_happened_is_told_in_words(of: Any) -> None:
    assert without_times(of()) == IN_WORDS
    assert of()[:2] == ["2026-07-28", f"03:12:44.000  {IN_WORDS[0]}"]


def test_json_has_every_event_as_the_journal_has_it(of: Any) -> None:
    assert [json.loads(line) for line in of("--json")] == [*STORY, THE_END]


def test_the_last_ones_are_those_that_are_told(of: Any) -> None:
    assert without_times(of("-n", "4")) == IN_WORDS[-4:]
    assert [json.loads(line)["seq"] for line in of("-n", "4", "--json")] == [3, 4, 5, 6]
    assert of("-n", "0") == []


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        (["-e", "started"], [3, 4]),
        (["-e", "start*"], [2, 3, 4]),
        (["-e", "starting", "-e", "restarting"], [2, 5]),
        (["baker", "-e", "started"], [3]),
        (["m*", "k/lab"], [2, 3, 4]),
    ],
)
def test_names_and_events_filter(of: Any, words: list[str], seqs: list[int]) -> None:
    assert [json.loads(line)["seq"] for line in of("--json", *words)] == seqs


def test_name_of_which_the_journal_knows_nothing_is_no_such_name(of: Any, journal: Path, procsup: Run) -> None:
    told = procsup("events", "--state-dir", str(journal), "nobody", "-e", "started")
    assert told == (4, "", "procsup: the journal knows nothing of 'nobody'\n")


def test_since_a_time(tmp_path: Path, procsup: Run) -> None:
    hours = [happened(seq, "started", "k/a", f"2026-07-28T{seq:02}:00:00", pid=seq) for seq in range(1, 24)]
    write(tmp_path, *hours)
    _, out, _ = procsup("events", "--state-dir", str(tmp_path), "--since", "2026-07-28 20:00", "--json")
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [20, 21, 22, 23]
    _, out, _ = procsup("events", "--state-dir", str(tmp_path), "--since", "2026-07-28 02:00", "--json", "-n", "2")
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [22, 23]


def test_without_a_limit_the_last_twenty_are_told_but_since_a_time_all(tmp_path: Path, procsup: Run) -> None:
    write(tmp_path, *(happened(seq, "held", "k/a") for seq in range(1, 101)))
    place = ("--state-dir", str(tmp_path), "--json")
    assert len(procsup("events", *place)[1].splitlines()) == 20
    assert len(procsup("events", *place, "--since", "2026-01-01")[1].splitlines()) == 100


def test_each_day_begins_with_its_date(tmp_path: Path, procsup: Run) -> None:
    days = ("2026-07-28", "2026-07-28", "2026-07-29")
    write(tmp_path, *(happened(seq, "held", "k/a", f"{day}T00:00:00") for seq, day in enumerate(days, 1)))
    _, out, _ = procsup("events", "--state-dir", str(tmp_path))
    assert [line for line in out.splitlines() if " " not in line] == ["2026-07-28", "2026-07-29"]


def test_of_a_daemon_that_was_killed_the_next_one_tells(tmp_path: Path, procsup: Run) -> None:
    write(tmp_path, *STORY, BEGINNING, THE_END, BEGINNING)
    _, out, _ = procsup("events", "--state-dir", str(tmp_path))
    assert [out.splitlines()[number - 1] for number, line in enumerate(out.splitlines()) if "starts the" in line] == [
        "2026-07-28",
        "(the daemon before it died without a word)",
        f"03:12:44.000  {IN_WORDS[-1]}",
    ]


def test_damage_is_said_beside_the_events(journal: Path, procsup: Run) -> None:
    with open(journal / "journal.jsonl", "a") as file:
        file.write('{"seq":7,"ev')
    status, out, err = procsup("events", "--state-dir", str(journal))
    assert (status, without_times(out.splitlines())) == (0, IN_WORDS)
    assert err == "procsup: lines of the journal that are damaged and left out: 1\n"


def test_json_is_ascii_so_that_no_name_reaches_the_terminal_unescaped(tmp_path: Path, procsup: Run) -> None:
    write(tmp_path, happened(1, "held", "k/\x1b\x9b\u202e"))
    _, out, _ = procsup("events", "--state-dir", str(tmp_path), "--json")
    assert out.isascii()
    assert out.rstrip("\n").isprintable()


def test_without_a_journal_it_fails_with_words(tmp_path: Path, procsup: Run) -> None:
    status, out, err = procsup("events", "--state-dir", str(tmp_path))
    assert (status, out) == (1, "")
    assert err.startswith("procsup: no journal in ")


# From the daemon


def followed(
    folder: Path, socket_path: str, procsup: Run, *words: str, live: tuple[JSON, ...]
) -> tuple[int, list[str], str]:
    answers = {"events": {}, "status": status(state_dir=str(folder))}
    with FakeDaemon(socket_path, answers, live):
        code, out, err = procsup("events", "-f", *words)
    return code, out.splitlines(), err


def test_what_happens_follows_what_happened_without_gap_or_double(
    tmp_path: Path, socket_path: str, procsup: Run
) -> None:
    """Some of it is in the journal already when we look there."""
    write(tmp_path, *STORY[:4])
    code, lines, err = followed(tmp_path, socket_path, procsup, "--json", live=(*STORY[2:], THE_END))
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in lines] == [*STORY, THE_END]


def test_following_begins_after_as_many_of_the_past_as_wanted(tmp_path: Path, socket_path: str, procsup: Run) -> None:
    write(tmp_path, *STORY[:4])
    _, lines, _ = followed(tmp_path, socket_path, procsup, "--json", "-n", "0", live=(*STORY[2:], THE_END))
    assert [json.loads(line)["seq"] for line in lines] == [5, 6]


def test_a_journal_of_an_earlier_daemon_hides_nothing(tmp_path: Path, socket_path: str, procsup: Run) -> None:
    write(tmp_path, *STORY)
    later = [event | {"time": "2026-07-29T00:00:00.000000Z"} for event in (*STORY, THE_END)]
    _, lines, _ = followed(tmp_path, socket_path, procsup, "--json", "-n", "0", live=tuple(later))
    assert [json.loads(line) for line in lines] == later


def test_what_neither_the_journal_nor_the_daemon_tells_is_said(tmp_path: Path, socket_path: str, procsup: Run) -> None:
    write(tmp_path, *STORY[:2])
    _, lines, err = followed(tmp_path, socket_path, procsup, "--json", live=(STORY[4], THE_END))
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 5, 6]
    assert err == "procsup: events that the journal does not have: 2\n"


def test_without_a_journal_what_happens_is_told_all_the_same(tmp_path: Path, socket_path: str, procsup: Run) -> None:
    code, lines, err = followed(tmp_path, socket_path, procsup, live=(*STORY, THE_END))
    assert (code, without_times(lines)) == (0, IN_WORDS)
    assert err.startswith("procsup: no journal in ")


def test_a_daemon_that_hangs_up_without_a_farewell_is_a_failure(journal: Path, socket_path: str, procsup: Run) -> None:
    code, _, err = followed(journal, socket_path, procsup, live=tuple(STORY))
    assert code == 1
    assert err.startswith("procsup: the daemon hung up")


def test_what_is_no_event_is_passed_over(journal: Path, socket_path: str, procsup: Run) -> None:
    live: tuple[JSON, ...] = (None, [1], "x", {}, THE_END | {"seq": 7})
    _, lines, _ = followed(journal, socket_path, procsup, "--json", "-n", "0", live=live)
    assert lines == [json.dumps(THE_END | {"seq": 7}, separators=(",", ":"))]


def test_the_end_is_no_failure_though_it_is_filtered_out(tmp_path: Path, socket_path: str, procsup: Run) -> None:
    write(tmp_path, BEGINNING)
    code, lines, _ = followed(tmp_path, socket_path, procsup, "miller", live=(*STORY, THE_END))
    assert (code, without_times(lines)) == (0, [IN_WORDS[2]])


def test_a_dead_journal_cannot_be_followed(journal: Path, procsup: Run) -> None:
    code, out, err = procsup("events", "-f", "--state-dir", str(journal))
    assert (code, out) == (2, "")
    assert "--state-dir" in err


def test_a_daemon_that_runs_says_where_its_journal_is(journal: Path, socket_path: str, procsup: Run) -> None:
    assert os.path.dirname(socket_path) == str(journal)
    with FakeDaemon(socket_path, {"status": status(state_dir=str(journal))}):
        assert without_times(procsup("events")[1].splitlines()) == IN_WORDS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("baker", ["k/lab/baker"]),
        ("k/lab/baker", ["k/lab/baker"]),
        ("lab", ["k/lab/baker", "k"]),
        ("k/lab", ["k/lab/baker"]),
        ("b*", ["k/lab/baker"]),
        ("mill?r", ["k/miller"]),
        ("k", ["k/lab/baker", "k/miller", "k"]),
        ("nobody", []),
    ],
)
def test_names_mean_children_and_all_below_them(name: str, expected: list[str]) -> None:
    concerned = {event["path"] for event in STORY[1:] if concerns(Happening(event), (name,))}
    assert sorted(concerned) == sorted(expected)
