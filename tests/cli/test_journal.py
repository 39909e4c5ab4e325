"""Reading the journal: both ways, whatever has become of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from procsup.cli import journal
from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.journal import Entry, Journal, Place, event_of
from procsup.runtime import journal as writer
from procsup.wire.events import Event


def event(seq: int, kind: str = "ready", **details: str) -> Event:
    cause = seq - 1 if seq > 1 else None
    return Event(seq, "2026-07-28T03:12:44.120456Z", seq / 10, kind, "root/ä", cause, {**details})


def write(folder: Path, *runs: int) -> Path:
    """Runs of so many events each."""
    written = writer.Journal(str(folder), lambda errno: None, lambda lost: None)
    for length in runs:
        written.append([event(1, "daemon_started"), *(event(seq) for seq in range(2, length + 1))])
    written.close()
    return folder / "journal.jsonl"


def read(folder: Path) -> tuple[list[tuple[int, int]], Journal]:
    """(run, seq) of every event, the last one first; and the closed journal."""
    with Journal(str(folder)) as found:
        return [(entry.run, entry.event.seq) for entry in found.backwards()], found


def forwards(folder: Path) -> list[int]:
    with Journal(str(folder)) as found:
        return [event.seq for event in found.forwards(found.beginning())]


def test_events_come_backwards_and_are_counted_by_run(tmp_path: Path) -> None:
    write(tmp_path, 3, 2)
    assert read(tmp_path)[0] == [(0, 2), (0, 1), (1, 3), (1, 2), (1, 1)]


def test_from_every_place_the_rest_can_be_read_forwards(tmp_path: Path) -> None:
    write(tmp_path, 3, 2)
    with Journal(str(tmp_path)) as found:
        places = [entry.place for entry in found.backwards()]
        rests = [[event.seq for event in found.forwards(place)] for place in places]
    assert rests == [[2], [1, 2], [3, 1, 2], [2, 3, 1, 2], [1, 2, 3, 1, 2]]


def test_older_files_are_read_too_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_BYTES", 300)
    for _ in range(3):
        write(tmp_path, 2)
    assert (tmp_path / "journal.jsonl.2").exists()
    assert read(tmp_path)[0] == [(0, 2), (0, 1), (1, 2), (1, 1), (2, 2), (2, 1)]
    assert forwards(tmp_path) == [1, 2] * 3


def test_a_file_that_is_missing_in_the_row_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 2).rename(tmp_path / "journal.jsonl.2")
    write(tmp_path, 1)
    assert read(tmp_path)[0] == [(0, 1), (1, 2), (1, 1)]


def test_a_file_that_was_renamed_while_we_opened_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl.1").hardlink_to(write(tmp_path, 2))
    assert read(tmp_path)[0] == [(0, 2), (0, 1)]


def test_what_is_written_later_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, 2)
    with Journal(str(tmp_path)) as found:
        write(tmp_path, 2)
        assert len(list(found.backwards())) == 2


def test_cut_at_any_byte_it_loses_at_most_the_line_that_was_cut(tmp_path: Path) -> None:
    path = write(tmp_path, 3, 2)
    whole = path.read_bytes()
    ends = [number + 1 for number, byte in enumerate(whole) if byte == ord("\n")]
    expected = [(1, 1), (1, 2), (1, 3), (0, 1), (0, 2)]
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        seqs = [seq for _, seq in read(tmp_path)[0]][::-1]
        complete = sum(end - 1 <= length for end in ends)  # its end may be missing, if nothing else is
        assert seqs == [seq for _, seq in expected[:complete]]
        assert forwards(tmp_path) == seqs
        is_torn = length not in ends and length + 1 not in ends
        assert read(tmp_path)[1].damaged == is_torn


@given(some.data())
def test_torn_at_any_byte_and_gone_on_with_only_the_torn_line_is_lost(
    tmp_path_factory: pytest.TempPathFactory, data: some.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    path = write(folder, 4)
    whole = path.read_bytes()
    length = data.draw(some.integers(1, len(whole)))
    path.write_bytes(whole[:length])
    write(folder, 2)
    seqs, found = read(folder)
    before = [seq for run, seq in seqs if run > 0]
    assert [seq for run, seq in seqs if run == 0] == [2, 1]
    assert before[::-1] == list(range(1, len(before) + 1))
    assert len(before) >= whole[:length].count(b"\n")
    assert found.damaged <= 1


def test_a_line_in_the_middle_that_is_damaged_is_left_out_and_missed(tmp_path: Path) -> None:
    path = write(tmp_path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1][:30] + b"\0" * 20 + b"\n", *lines[2:]]))
    seqs, found = read(tmp_path)
    assert seqs == [(0, 4), (0, 3), (0, 1)]
    assert (found.damaged, found.missing) == (1, 1)


def test_a_run_whose_first_line_is_lost_is_still_another_run(tmp_path: Path) -> None:
    path = write(tmp_path, 3, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"torn\n", *lines[4:]]))
    assert [run for run, _ in read(tmp_path)[0]] == [0, 0, 1, 1, 1]


def test_a_hole_of_zeros_costs_one_line_and_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_LONGEST_LINE", 100_000)
    path = write(tmp_path, 2)
    with open(path, "r+b") as file:
        file.seek(0, 2)
        file.truncate(file.tell() + 3_000_000)
    write(tmp_path, 2)
    seqs, found = read(tmp_path)
    assert (seqs, found.damaged) == ([(0, 2), (0, 1), (1, 2), (1, 1)], 1)
    assert forwards(tmp_path) == [1, 2, 1, 2]


@given(some.lists(some.binary(max_size=40) | some.sampled_from([b"", b'{"seq":1,"event":"x","path":"p"}']), max_size=8))
def test_nothing_in_a_journal_can_make_reading_it_fail(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (folder / "journal.jsonl").write_bytes(b"\n".join(lines))
    whole = [line for part in lines for line in part.split(b"\n") if event_of(line)]
    assert len(read(folder)[0]) == len(forwards(folder)) == len(whole)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
)


@given(some.dictionaries(some.sampled_from(["seq", "event", "path", "x"]), JSON))
def test_an_event_has_a_seq_a_name_and_a_path(value: dict[str, object]) -> None:
    found = event_of(json.dumps(value).encode())
    seq, kind, path = value.get("seq"), value.get("event"), value.get("path")
    is_event = type(seq) is int and seq > 0 and isinstance(kind, str) and kind != "" and isinstance(path, str)
    assert (found is not None) is is_event


@pytest.mark.parametrize("line", [b"[" * 100_000, b"1" * 10_000, b'{"seq":1', b"\xff", b"", b"[1]", b"null"])
def test_what_is_no_event(line: bytes) -> None:
    assert event_of(line) is None


def test_a_folder_without_a_journal_is_a_failure_with_words(tmp_path: Path) -> None:
    with pytest.raises(CannotDo, match="no journal in") as error:
        Journal(str(tmp_path / "nowhere"))
    assert error.value.status is ExitStatus.FAILED


def test_what_cannot_be_read_is_a_failure_with_words(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(CannotDo, match="cannot read the journal"), Journal(str(tmp_path)) as found:
        list(found.backwards())


def entries(folder: Path) -> Iterator[Entry]:
    with Journal(str(folder)) as found:
        yield from found.backwards()


def test_places_are_those_of_the_lines(tmp_path: Path) -> None:
    whole = write(tmp_path, 3).read_bytes()
    begins = [0, *(number + 1 for number, byte in enumerate(whole) if byte == ord("\n"))][:3]
    assert [entry.place for entry in entries(tmp_path)] == [Place(0, offset) for offset in reversed(begins)]
