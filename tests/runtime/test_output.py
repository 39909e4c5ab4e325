"""Workers' output: whole lines, in order, in files of bounded size, and never lost at the end."""

import fcntl
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from procsup.runtime import output
from procsup.runtime.failure import CannotRun
from procsup.runtime.loop import Loop
from procsup.runtime.output import Output
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, sh, supervisor, tree, waits_for, worker, workers
from tests.kit.wait import let_pass, wait_until

Lost = tuple[int, int, str]


class Speaker:
    """A worker that says what it is told to, and the output of its life."""

    def __init__(self, loop: Loop, log: Path) -> None:
        self.loop = loop
        self.log = log
        self.lost: list[Lost] = []
        self.output = Output(loop, str(log), 5, lambda *lost: self.lost.append(lost))
        self._pipe = self.output.open()

    def say(self, data: bytes) -> None:
        """Also lets the loop take it."""
        written = 0
        os.set_blocking(self._pipe, False)
        while written < len(data):
            written += os.write(self._pipe, data[written : written + 65536])
            self.loop.turn(0)
        self.loop.turn(0)

    def say_without_being_read(self, data: bytes) -> None:
        os.write(self._pipe, data)

    def grow_pipe(self, size: int) -> None:
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, size)

    def fall_silent(self) -> None:
        """Close the pipe."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def written(self) -> bytes:
        return self.log.read_bytes() if self.log.exists() else b""


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def speak(loop: Loop, tmp_path: Path) -> Iterator[Callable[[], Speaker]]:
    speakers: list[Speaker] = []

    def start() -> Speaker:
        speakers.append(Speaker(loop, tmp_path / "logs" / "a.log"))
        return speakers[-1]

    (tmp_path / "logs").mkdir()
    yield start
    for speaker in speakers:
        speaker.fall_silent()
        speaker.output.close()


@pytest.fixture
def speaker(speak: Callable[[], Speaker]) -> Speaker:
    return speak()


# Lines


def test_whole_lines_are_written_at_once_and_byte_by_byte(speaker: Speaker) -> None:
    speaker.say(b"one\n\xff\x00\xfe\n\n")
    assert speaker.written() == b"one\n\xff\x00\xfe\n\n"


def test_line_without_its_end_is_held_back_until_that_comes(speaker: Speaker) -> None:
    speaker.say(b"one\ntw")
    assert speaker.written() == b"one\n"
    speaker.say(b"o\n")
    assert speaker.written() == b"one\ntwo\n"


def test_line_that_never_ended_is_written_with_an_end_when_the_life_is_over(speaker: Speaker) -> None:
    speaker.say(b"one\ntw")
    speaker.output.close()
    assert speaker.written() == b"one\ntw\n"


def test_what_was_in_the_pipe_when_the_life_ended_is_written(speaker: Speaker) -> None:
    speaker.say_without_being_read(b"last words\n")
    speaker.output.drain()
    assert speaker.written() == b"last words\n"


def test_even_the_largest_pipe_is_read_to_its_end(speaker: Speaker) -> None:
    speaker.grow_pipe(1024 * 1024)
    said = b"x" * 1023 + b"\n"
    speaker.say_without_being_read(said * 1024)
    speaker.output.close()
    assert speaker.written() == said * 1024


def test_endless_line_is_written_in_parts_and_not_kept(speaker: Speaker) -> None:
    speaker.say(b"x" * 300_000)
    assert len(speaker.written()) >= 200_000
    speaker.output.close()
    assert speaker.written() == b"x" * 300_000 + b"\n"


def test_closed_pipe_is_let_go_and_the_life_goes_on(speaker: Speaker) -> None:
    speaker.say(b"one\ntw")
    speaker.fall_silent()
    speaker.loop.turn(0)
    assert speaker.output.fd == -1
    speaker.output.close()
    assert speaker.written() == b"one\ntw\n"


def test_later_life_appends_to_the_log_of_the_one_before(speak: Callable[[], Speaker]) -> None:
    for word in (b"first", b"second"):
        speaker = speak()
        speaker.say(word)
        speaker.output.close()
    assert speaker.written() == b"first\nsecond\n"


def test_closed_output_leaves_no_descriptor(loop: Loop, tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    speaker = Speaker(loop, tmp_path / "a.log")
    speaker.say(b"hello\n")
    speaker.fall_silent()
    speaker.output.close()
    assert os.listdir("/proc/self/fd") == before


# The tail


def test_tail_holds_the_last_ten_lines(speaker: Speaker) -> None:
    speaker.say(b"".join(b"line %d\n" % number for number in range(30)))
    assert speaker.output.tail() == tuple(f"line {number}" for number in range(20, 30))


def test_tail_has_what_was_said_without_an_end_too(speaker: Speaker) -> None:
    speaker.say(b"one\ntwo")
    assert speaker.output.tail() == ("one", "two")


def test_tail_grows_over_several_reads(speaker: Speaker) -> None:
    for word in (b"one\n", b"two\nth", b"ree\n"):
        speaker.say(word)
    assert speaker.output.tail() == ("one", "two", "three")


def test_tail_shows_bytes_that_are_not_utf8(speaker: Speaker) -> None:
    speaker.say("schön \n".encode() + b"\xff\xfe\n")
    assert speaker.output.tail() == ("schön ", r"\xff\xfe")


def test_tail_drops_a_first_line_of_which_only_the_end_is_left(speaker: Speaker) -> None:
    speaker.say(b"x" * 2000 + b"\n" + b"y" * 1000 + b"\n")
    assert speaker.output.tail() == ("y" * 1000,)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no end", "an end"])
def test_tail_of_one_long_line_is_the_end_of_that_line(speaker: Speaker, end: bytes) -> None:
    speaker.say(b"Error: " + b"x" * 5000 + b" connection refused" + end)

    tail = speaker.output.tail()

    assert len(tail) == 1
    assert tail[0].endswith("xxx connection refused")


def test_tail_of_a_silent_life_is_empty(speaker: Speaker) -> None:
    assert speaker.output.tail() == ()


# Rotation


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_BYTES", 100)


@pytest.mark.usefixtures("small_files")
def test_log_that_would_grow_too_large_is_renamed_first(speaker: Speaker, tmp_path: Path) -> None:
    for number in range(3):
        speaker.say(b"%d" % number * 59 + b"\n")

    logs = {path.name: path.read_bytes()[:1] for path in (tmp_path / "logs").iterdir()}
    assert logs == {"a.log": b"2", "a.log.1": b"1", "a.log.2": b"0"}


@pytest.mark.usefixtures("small_files")
def test_as_many_old_logs_are_kept_as_is_said_and_no_more(speaker: Speaker, tmp_path: Path) -> None:
    for number in range(9):
        speaker.say(b"%d" % number * 59 + b"\n")

    logs = {path.name: path.read_bytes()[:1] for path in (tmp_path / "logs").iterdir()}
    assert logs == {"a.log": b"8", **{f"a.log.{back}": b"%d" % (8 - back) for back in range(1, 6)}}


@pytest.mark.usefixtures("small_files")
def test_log_that_is_exactly_full_is_not_renamed_yet(speaker: Speaker, tmp_path: Path) -> None:
    speaker.say(b"x" * 49 + b"\n")
    speaker.say(b"x" * 49 + b"\n")
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["a.log"]


@pytest.mark.usefixtures("small_files")
def test_log_that_is_opened_for_long_is_renamed_first_when_it_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "daemon.log").write_bytes(b"x" * 101)
    fd = output.open_log(str(tmp_path / "daemon.log"))
    os.write(fd, b"new")
    os.close(fd)
    assert (tmp_path / "daemon.log").read_bytes() == b"new"
    assert (tmp_path / "daemon.log.1").read_bytes() == b"x" * 101


def test_log_that_cannot_be_opened_for_long_is_73(tmp_path: Path) -> None:
    with pytest.raises(CannotRun) as refused:
        output.open_log(str(tmp_path / "absent" / "daemon.log"))
    assert refused.value.status == 73


# Loss


def make_folder(log: Path) -> None:
    log.mkdir()


def remove_folder(log: Path) -> None:
    log.parent.rmdir()


def fill_the_disk(log: Path) -> None:
    log.symlink_to("/dev/full")


def make_fifo(log: Path) -> None:
    os.mkfifo(log)


HINDRANCES = [(make_folder, "EISDIR"), (remove_folder, "ENOENT"), (fill_the_disk, "ENOSPC"), (make_fifo, "ENXIO")]
"""What stands in the way of a log, and the error that it gives."""


@pytest.mark.parametrize(("hinder", "errno"), HINDRANCES)
def test_what_cannot_be_written_is_counted_and_told_once(
    speaker: Speaker, hinder: Callable[[Path], None], errno: str
) -> None:
    hinder(speaker.log)
    speaker.say(b"one\n")
    speaker.say(b"two\n")
    assert speaker.lost == [(5, 4, errno)]


def test_loss_that_begins_anew_is_told_anew_with_all_that_was_lost(speaker: Speaker) -> None:
    for _ in range(2):
        speaker.log.mkdir()
        speaker.say(b"lost\n")
        speaker.log.rmdir()
        speaker.say(b"written\n")
        os.unlink(speaker.log)
    assert speaker.lost == [(5, 5, "EISDIR"), (5, 10, "EISDIR")]


def test_what_could_not_be_written_is_still_in_the_tail(speaker: Speaker) -> None:
    speaker.log.mkdir()
    speaker.say(b"one\n")
    assert speaker.output.tail() == ("one",)


# In a daemon


def test_last_words_are_in_the_log_and_in_the_event_when_the_exit_is_told(supervise: Supervise) -> None:
    script = f'{AT_THE_GATE}; echo out; echo err >&2; echo out again; printf "no end" >&2; exit 1'
    daemon = supervise(worker("a", sh(script)))
    events = daemon.events()
    daemon.open_gate()

    told = events.wait("exited", "a")

    assert daemon.log("a") == b"out\nerr\nout again\nno end\n"
    assert told["tail"] == ["out", "err", "out again", "no end"]


def test_ten_megabytes_fill_a_log_and_no_line_is_split_between_two(supervise: Supervise) -> None:
    said = "seq 1 3000000"  # 22.9 MB
    daemon = supervise(worker("a", sh(f"{said}; echo finished; exec sleep 1000")))
    wait_until(lambda: daemon.log("a").endswith(b"finished\n"), "everything is written")

    logs = [daemon.log_dir / f"a.log{end}" for end in (".2", ".1", "")]
    parts = [path.read_bytes() for path in logs]
    assert b"".join(parts) == b"".join(b"%d\n" % number for number in range(1, 3_000_001)) + b"finished\n"
    assert all(len(part) <= 10_000_000 and part.endswith(b"\n") for part in parts)
    assert sorted(daemon.log_dir.iterdir()) == sorted(logs)


def test_flood_of_output_neither_fills_the_memory_nor_holds_up_the_others(supervise: Supervise) -> None:
    daemon = supervise(tree(workers("a b", ("yes",)), worker("c", ("cat", "/dev/zero")), worker("d")))
    before = daemon.memory()
    events = daemon.events()
    daemon.kill("d")
    events.wait("ready", "d")

    assert [result["state"] for result in daemon.call("stop", names=["a", "c"])["results"]] == ["down", "down"]
    assert daemon.memory() - before < 4_000_000
    assert daemon.stop() == 0


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("hinder", [shutil.rmtree, replace_by_a_file])
def test_log_folder_that_is_gone_is_told_and_the_worker_goes_on(
    supervise: Supervise, hinder: Callable[[Path], object]
) -> None:
    daemon = supervise(worker("a", sh(f"{AT_THE_GATE}; echo word; exec sleep 1000")))
    life = daemon.process("a")
    events = daemon.events()
    hinder(daemon.log_dir)
    daemon.open_gate()

    lost = events.wait("lost_output", "a")

    assert lost["bytes"] == 5
    assert lost["reason"] in ("ENOENT", "ENOTDIR")
    assert daemon.row("a")["state"] == "running"
    assert daemon.process("a") == life


def test_worker_that_closes_its_outputs_runs_on(supervise: Supervise) -> None:
    daemon = supervise(worker("a", sh('echo before; exec >&- 2>&-; echo "a $$" >> "$REPORT"; exec sleep 1000')))
    life = daemon.report_of("a")
    wait_until(lambda: daemon.log("a") == b"before\n", "what it said before is written")

    assert daemon.row("a")["state"] == "running"
    assert daemon.process("a") == life
    assert daemon.call("restart", names=["a"])["results"][0]["ok"]


def test_output_of_what_is_left_of_a_group_is_written_too(supervise: Supervise) -> None:
    left = shlex.join(waits_for("SIGTERM", "print('goodbye')"))
    daemon = supervise(worker("a", sh(f"{left} & exec sleep 1000")))
    daemon.report_of("a")
    daemon.call("stop", names=["a"])

    assert daemon.log("a") == b"goodbye\n"


def test_loss_that_begins_when_a_life_is_just_over_harms_nobody(supervise: Supervise) -> None:
    """Somebody who has left the group writes on into the pipe of each life, and the folder comes and goes."""
    crashes = worker("a", sh("setsid -f yes; sleep 0.005; exit 1"))
    daemon = supervise(tree(supervisor("root", ["a", "b"], intensity=1_000_000), crashes, worker("b")))
    life = daemon.process("b")
    for _ in range(150):
        away = daemon.log_dir.rename(daemon.folder / "away")
        let_pass(0.001)
        away.rename(daemon.log_dir)
        let_pass(0.001)

    assert daemon.row("a")["starts"] > 1
    assert daemon.process("b") == life
