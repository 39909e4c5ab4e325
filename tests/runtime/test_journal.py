"""The journal's writer: whole lines, bounded, beside supervision and never before it."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from procsup.runtime import journal
from procsup.runtime.journal import Journal
from procsup.wire.events import Event
from tests.kit.client import in_words
from tests.kit.disks import small_disk
from tests.kit.fixtures import Supervise
from tests.kit.trees import sh, supervisor, tree, worker
from tests.kit.wait import wait_until


class Diary:
    """A journal, and what it said of itself."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self.said: list[str | int] = []
        self.journal = Journal(str(folder), self.said.append, self.said.append)

    def append(self, *seqs: int, **details: Any) -> None:
        self.journal.append([event(seq, **details) for seq in seqs])

    def seqs(self, number: int = 0) -> list[int]:
        """Of the file of this number, as far as its lines are whole."""
        path = Path(f"{self.path}.{number}") if number else self.path
        found = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                found.append(json.loads(line)["seq"])
            except ValueError:
                continue
        return found


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path)


def event(seq: int, name: str = "starting", path: str = "root/a", **details: Any) -> Event:
    return Event(seq, "2026-07-28T03:12:44.120456Z", 1.0, name, path, None, details)


def test_every_event_is_one_line_as_clients_get_it(diary: Diary) -> None:
    diary.append(1, 2, type="worker")
    assert [json.loads(line) for line in diary.path.read_text().splitlines()] == [
        event(seq, type="worker").as_json() for seq in (1, 2)
    ]


def test_the_file_is_made_by_the_first_event(diary: Diary) -> None:
    assert not diary.path.exists()
    diary.append(1)
    assert diary.path.stat().st_mode & 0o777 == 0o640


def test_neither_a_name_nor_output_can_break_a_line(diary: Diary) -> None:
    evil = 'a"\n{"seq":7}\r\u2028\x00\udcff\x1b[2J'
    diary.journal.append([event(1, path=evil, tail=[evil])])
    (line,) = diary.path.read_bytes().split(b"\n")[:-1]
    assert json.loads(line) == event(1, path=evil, tail=[evil]).as_json()
    assert all(0x20 <= byte < 0x7F for byte in line)


def test_a_file_that_would_grow_too_large_is_renamed_first(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 1000)
    for seq in range(1, 41):
        diary.append(seq, tail=["x" * 300])
    kept = [seq for number in (5, 4, 3, 2, 1, 0) for seq in diary.seqs(number)]
    assert kept == list(range(41 - len(kept), 41))
    assert len(kept) == 12
    assert sorted(entry.name for entry in diary.path.parent.iterdir()) == [
        "journal.jsonl", *(f"journal.jsonl.{number}" for number in range(1, 6)),
    ]  # fmt: skip


def test_a_torn_line_is_ended_before_the_next_one(diary: Diary) -> None:
    diary.append(1)
    with open(diary.path, "ab") as file:
        file.write(b'{"seq":2,"ev')
    again = Diary(diary.path.parent)
    again.append(1)
    assert again.seqs() == [1, 1]
    assert len(again.path.read_bytes().splitlines()) == 3


def test_what_a_full_disk_does_not_take_is_written_later(diary: Diary) -> None:
    os.symlink("/dev/full", diary.path)
    diary.append(1)
    diary.append(2, 3)
    assert (diary.said, diary.journal.error, diary.journal.lost) == (["ENOSPC"], "ENOSPC", 0)
    diary.path.unlink()
    diary.append(4)
    assert diary.seqs() == [1, 2, 3, 4]
    assert (diary.said, diary.journal.error, diary.journal.lost) == (["ENOSPC", 0], None, 0)


def test_what_is_kept_for_a_full_disk_is_bounded_and_the_rest_is_counted(
    diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_KEPT", 1000)
    os.symlink("/dev/full", diary.path)
    for seq in range(1, 101):
        diary.append(seq, tail=["x" * 200])
    diary.path.unlink()
    diary.append(101)
    kept = diary.seqs()
    assert kept[:2] == [1, 2]
    assert diary.said == ["ENOSPC", 101 - len(kept)]
    assert diary.journal.lost == 101 - len(kept)


def test_after_a_loss_a_second_one_is_counted_anew(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_KEPT", 0)
    for _ in range(2):
        os.symlink("/dev/full", diary.path)
        diary.append(1, 2)
        diary.append(3)
        diary.path.unlink()
        diary.append(4)
        diary.path.unlink()
        diary.journal.close()
    assert diary.said == ["ENOSPC", 2, "ENOSPC", 2]
    assert diary.journal.lost == 4


HALF = """
import resource, signal, sys
from tests.runtime.test_journal import Diary, Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
diary = Diary(Path(sys.argv[1]))
diary.append(1)
size = diary.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size * 2 + size // 2, resource.RLIM_INFINITY))
diary.append(2, 3)
print(diary.said, diary.seqs(), diary.path.stat().st_size == size * 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
diary.append(4)
print(diary.said, diary.seqs(), diary.path.read_bytes().count(b"\\n"))
"""


def test_of_a_write_that_got_half_through_the_whole_lines_stay_and_the_rest_follows(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", HALF, tmp_path], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert told.splitlines() == ["['EFBIG'] [1, 2] True", "['EFBIG', 0] [1, 2, 3, 4] 4"]


def test_what_was_kept_is_written_without_another_event_when_there_is_room(diary: Diary) -> None:
    os.symlink("/dev/full", diary.path)
    assert diary.journal.next_poll() is None
    diary.append(1)
    due = diary.journal.next_poll()
    assert due is not None
    diary.path.unlink()
    diary.journal.poll(due - 0.1)
    assert diary.said == ["ENOSPC"]
    diary.journal.poll(due)
    assert (diary.said, diary.seqs(), diary.journal.next_poll()) == (["ENOSPC", 0], [1], None)


def test_the_next_daemon_goes_on_after_the_last_whole_event_wherever_the_journal_is_cut(diary: Diary) -> None:
    diary.append(1, 2, 3)
    whole = diary.path.read_bytes()
    ends = [number for number, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        diary.path.write_bytes(whole[:length])
        assert diary.journal.last_seq() == sum(end <= length for end in ends)


@pytest.mark.parametrize("damage", [b"\0" * 100_000, b"\n" * 100_000, b'{"seq":"7"}\n[8]\n9\n', b"\xff\n{"])
def test_the_next_daemon_goes_on_after_the_last_event_whatever_comes_behind_it(diary: Diary, damage: bytes) -> None:
    diary.append(6)
    with open(diary.path, "ab") as file:
        file.write(damage)
    assert diary.journal.last_seq() == 6


def test_the_next_daemon_goes_on_after_the_last_event_of_the_file_before(diary: Diary) -> None:
    diary.append(6)
    diary.path.rename(f"{diary.path}.1")
    diary.path.touch()
    assert diary.journal.last_seq() == 6


def test_without_a_journal_there_is_no_last_event_and_nobody_waits_for_one(diary: Diary) -> None:
    assert diary.journal.last_seq() == 0
    os.mkfifo(diary.path)
    assert diary.journal.last_seq() == 0


def test_a_journal_that_somebody_removed_is_begun_again(diary: Diary) -> None:
    diary.append(1)
    diary.path.unlink()
    diary.append(2)
    assert diary.seqs() == [2]


def test_a_closed_journal_opens_what_has_its_name(diary: Diary) -> None:
    diary.append(1)
    diary.path.rename(diary.path.with_suffix(".old"))
    diary.journal.close()
    diary.append(2)
    assert diary.seqs() == [2]


# With a daemon


def lines_of(state_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (state_dir / "journal.jsonl").read_text().splitlines()]


def test_the_journal_has_what_the_subscribers_hear_and_before_they_hear_it(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a")))
    events = daemon.events()
    daemon.kill("a")
    heard = events.until("ready", "a")
    written = lines_of(daemon.state_dir)
    assert written[-len(heard) :] == heard
    assert [line["seq"] for line in written] == list(range(1, len(written) + 1))


def test_the_whole_of_a_short_run_is_in_the_journal(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a", sh("echo words; exit 3"))), up=False)
    assert daemon.wait() == 70
    written = lines_of(daemon.state_dir)
    assert in_words(written)[0] == "daemon_started root"
    assert in_words(written)[-1] == "daemon_stopped root"
    exits = [line for line in written if (line["event"], line["path"]) == ("exited", "root/a")]
    assert [line["tail"] for line in exits] == [["words"]] * 4


def test_the_journal_of_a_killed_daemon_is_whole_and_goes_on_with_the_next(supervise: Supervise) -> None:
    a = tree(supervisor("root", ["a"]), worker("a"))
    daemon = supervise(a)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    before = lines_of(daemon.state_dir)
    assert before[-1]["event"] != "daemon_stopped"
    again = supervise(a, state_dir=daemon.state_dir)
    pid = again.pid
    assert again.stop() == 0
    run = lines_of(daemon.state_dir)[len(before) :]
    assert (run[0]["event"], run[0]["seq"], run[0]["pid"]) == ("daemon_started", before[-1]["seq"] + 1, pid)
    assert [line["seq"] for line in lines_of(daemon.state_dir)] == list(range(1, len(before) + len(run) + 1))


def test_supervision_goes_on_without_a_journal_and_status_says_so(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"]), worker("a")))
    events = daemon.events()
    path = daemon.state_dir / "journal.jsonl"
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (path.stat().st_size, -1))
    daemon.kill("a")
    events.wait("journal_failed", reason="EFBIG")
    assert daemon.row("a")["starts"] == 2
    assert daemon.status()["daemon"]["journal_error"] == "EFBIG"
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (soft, hard))
    daemon.kill("a")
    events.wait("journal_resumed", lost=0)
    assert daemon.status()["daemon"]["journal_error"] is None
    wait_until(lambda: lines_of(daemon.state_dir)[-1]["event"] == "journal_resumed", "it is in the journal")
    assert [line["seq"] for line in lines_of(daemon.state_dir)] == list(range(1, len(lines_of(daemon.state_dir)) + 1))


def test_a_full_disk_is_survived_and_nothing_is_lost_when_there_is_room_again(
    supervise: Supervise, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 256 * 1024) as disk:
        daemon = supervise(tree(supervisor("root", ["a"], intensity=1000), worker("a")), state_dir=disk / "state")
        fill(disk / "filler")
        events = daemon.events()
        while daemon.status()["daemon"]["journal_error"] is None:
            starts = daemon.row("a")["starts"]
            daemon.kill("a")
            wait_until(lambda: daemon.row("a")["starts"] > starts, "it was restarted")  # noqa: B023  # waited for here
        events.wait("journal_failed", reason="ENOSPC")
        (disk / "filler").unlink()
        events.wait("journal_resumed", lost=0)
        wait_until(lambda: lines_of(daemon.state_dir)[-1]["event"] == "journal_resumed", "it is in the journal")
        seqs = [line["seq"] for line in lines_of(daemon.state_dir)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert daemon.stop() == 0


def fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_after_usr1_it_is_written_to_what_has_its_name(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=1000), worker("a")))
    path = daemon.state_dir / "journal.jsonl"
    path.rename(daemon.state_dir / "taken")
    daemon.send_signal(signal.SIGUSR1)

    def is_made_anew() -> bool:
        starts = daemon.row("a")["starts"]
        daemon.kill("a")
        wait_until(lambda: daemon.row("a")["starts"] > starts, "it was restarted")
        return path.exists()

    wait_until(is_made_anew, "it has heard of it")
