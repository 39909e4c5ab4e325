"""Workers' output: where it leads, joined or apart, whole lines, and never lost at the end."""

import fcntl
import os
import re
import select
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.core.spec import LogSettings, Program
from procsup.runtime.logfile import LogFiles
from procsup.runtime.loop import Loop
from procsup.runtime.output import Outputs
from procsup.runtime.spawn import SpawnFailure, Stdio
from procsup.runtime.visits import TURN_BYTES
from tests.kit.fixtures import Supervise
from tests.kit.trees import AT_THE_GATE, sh, supervisor, tree, waits_for, worker, workers
from tests.kit.wait import let_pass, wait_until

Lost = tuple[int, int, str]


class Speaker:
    """The worker root/a, which says what it is told to, and its output. `heard` is what a listener hears of it."""

    def __init__(self, loop: Loop, log_dir: Path, listens: bool = False, **program: object) -> None:
        self.loop = loop
        self.log = log_dir / "a.log"
        self.lost: list[Lost] = []
        self.heard: list[tuple[str, bytes]] = []
        listener = (lambda *lines: self.heard.append(lines)) if listens else None
        self.outputs = Outputs(loop, str(log_dir), LogFiles(), lambda *lost: self.lost.append(lost), listener)
        self._program = Program(("a",), **program)  # type: ignore[arg-type]  # fields of Program, whatever they are
        self.stdio = Stdio(-1, -1, -1)
        self.live(5)

    def live(self, life: int) -> None:
        """A life begins."""
        self.life = life
        self.stdio = self.outputs.open(life, "root/a", self._program)
        for fd in self.stdio.fds[1:]:
            if fd > 2:
                os.set_blocking(fd, False)

    def say(self, data: bytes, stream: int = 1) -> None:
        """Also lets the loop take it."""
        written = 0
        while written < len(data):
            written += os.write(self.stdio.fds[stream], data[written : written + 65536])
            turn(self.loop, self.outputs)
        turn(self.loop, self.outputs)

    def say_without_being_read(self, data: bytes, stream: int = 1) -> None:
        os.write(self.stdio.fds[stream], data)

    def grow_pipe(self, size: int) -> None:
        fcntl.fcntl(self.stdio.stdout, fcntl.F_SETPIPE_SZ, size)

    def fall_silent(self) -> None:
        """Close the pipes."""
        self.outputs.release(self.stdio)
        self.stdio = Stdio(-1, -1, -1)

    def end(self) -> None:
        """Nothing is left of the life."""
        self.outputs.end(self.life)
        self.outputs.tidy()

    def tail(self) -> tuple[str, ...]:
        return self.outputs.drain(self.life)

    def written(self) -> bytes:
        return self.log.read_bytes() if self.log.exists() else b""

    def close(self) -> None:
        self.fall_silent()
        self.outputs.close()


def turn(loop: Loop, outputs: Outputs) -> None:
    """As the daemon's, when the time for busy pipes has come."""
    loop.turn(0)
    due = outputs.next_poll()
    if due is not None:
        outputs.poll(due)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


Speak = Callable[..., Speaker]


@pytest.fixture
def speak(loop: Loop, tmp_path: Path) -> Iterator[Speak]:
    """`speak(stdout="null")`: a worker with this in its spec."""
    speakers: list[Speaker] = []

    def start(**arguments: object) -> Speaker:
        speakers.append(Speaker(loop, tmp_path / "logs", **arguments))  # type: ignore[arg-type]  # passed on
        return speakers[-1]

    (tmp_path / "logs").mkdir()
    yield start
    for speaker in speakers:
        speaker.close()


@pytest.fixture
def speaker(speak: Speak) -> Speaker:
    return speak()


# Where it leads


def test_stdout_and_stderr_that_lead_to_one_place_are_joined_in_the_order_written(speaker: Speaker) -> None:
    speaker.say_without_being_read(b"out\n", 1)
    speaker.say_without_being_read(b"err\n", 2)
    speaker.say_without_being_read(b"out\n", 1)
    speaker.end()
    assert speaker.written() == b"out\nerr\nout\n"


def test_stderr_may_go_to_a_file_of_its_own(speak: Speak, tmp_path: Path) -> None:
    speaker = speak(stderr=str(tmp_path / "errors"))
    speaker.say(b"out\n", 1)
    speaker.say(b"err\n", 2)
    assert speaker.written() == b"out\n"
    assert (tmp_path / "errors").read_bytes() == b"err\n"


def test_log_and_the_path_of_that_log_are_one_place(speak: Speak, tmp_path: Path) -> None:
    speaker = speak(stderr=str(tmp_path / "logs" / "a.log"))
    assert speaker.stdio.stdout == speaker.stdio.stderr


def test_file_of_its_own_is_rotated_too(speak: Speak, tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    speaker = speak(stdout=path, stderr=path, log=LogSettings(max_bytes=10, backups=1))
    speaker.say(b"one\ntwo\nthree\n")
    assert (tmp_path / "out").read_bytes() == b"three\n"
    assert (tmp_path / "out.1").read_bytes() == b"one\ntwo\n"


def test_null_and_inherit_need_no_pipe(speak: Speak) -> None:
    before = os.listdir("/proc/self/fd")
    speaker = speak(stdin="inherit", stdout="inherit", stderr="null")
    assert speaker.stdio == Stdio(0, 1, -1)
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1  # the epoll set
    speaker.stdio = Stdio(-1, -1, -1)


def test_stdin_may_come_from_a_file(speak: Speak, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"hello")
    speaker = speak(stdin=str(tmp_path / "in"))
    assert os.get_blocking(speaker.stdio.stdin)
    assert os.read(speaker.stdio.stdin, 10) == b"hello"


def test_fifo_as_stdin_is_not_waited_for(speak: Speak, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in")
    speaker = speak(stdin=str(tmp_path / "in"))
    with open(tmp_path / "in", "wb") as fifo:
        fifo.write(b"hello")
    assert os.read(speaker.stdio.stdin, 10) == b"hello"


@pytest.mark.parametrize(
    ("program", "stage"),
    [({"stdin": "/absent/file"}, "stdin"), ({"stdout": "journal"}, "journal"), ({"stderr": "journal"}, "journal")],
    ids=str,
)
def test_what_cannot_be_opened_is_a_failed_start_that_leaves_no_descriptor(
    loop: Loop, tmp_path: Path, program: dict[str, str], stage: str
) -> None:
    if stage == "journal" and os.path.exists("/run/systemd/journal/stdout"):
        pytest.skip("there is a journal here")
    outputs = Outputs(loop, str(tmp_path), LogFiles(), lambda *lost: None)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(SpawnFailure) as failure:
        outputs.open(5, "root/a", Program(("a",), **program))  # type: ignore[arg-type]  # strings, all of them

    outputs.tidy()
    assert (failure.value.stage, os.strerror(failure.value.errno)) == (stage, "No such file or directory")
    assert os.listdir("/proc/self/fd") == before
    outputs.close()


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
    speaker.end()
    assert speaker.written() == b"one\ntw\n"


def test_what_was_in_the_pipe_when_the_worker_ended_is_written(speaker: Speaker) -> None:
    speaker.say_without_being_read(b"last words\n")
    assert speaker.tail() == ("last words",)
    assert speaker.written() == b"last words\n"


def test_even_the_largest_pipe_is_read_to_its_end(speaker: Speaker) -> None:
    speaker.grow_pipe(1024 * 1024)
    said = b"x" * 1023 + b"\n"
    speaker.say_without_being_read(said * 1024)
    speaker.end()
    assert speaker.written() == said * 1024


@pytest.mark.parametrize("length", [300_000, 5 * 65536])
def test_endless_line_is_written_in_parts_and_not_kept(speaker: Speaker, length: int) -> None:
    speaker.say(b"x" * length)
    assert len(speaker.written()) >= length - 3 * 65536
    speaker.end()
    assert speaker.written() == b"x" * length + b"\n"


def test_closed_pipe_is_let_go_and_the_life_goes_on(speaker: Speaker) -> None:
    before = len(os.listdir("/proc/self/fd"))
    speaker.say(b"one\ntw")
    speaker.fall_silent()
    turn(speaker.loop, speaker.outputs)
    assert len(os.listdir("/proc/self/fd")) == before - 2 + 1  # both ends; the log is open now
    speaker.end()
    assert speaker.written() == b"one\ntw\n"


def test_what_is_left_of_a_life_may_write_on_when_its_worker_has_ended(speaker: Speaker) -> None:
    speaker.say(b"worker\n")
    speaker.tail()
    speaker.say(b"child\n")
    speaker.end()
    assert speaker.written() == b"worker\nchild\n"


def test_later_life_appends_to_the_log_of_the_one_before(speaker: Speaker) -> None:
    speaker.say(b"first")
    speaker.fall_silent()
    speaker.end()
    speaker.live(6)
    speaker.say(b"second\n")
    assert speaker.written() == b"first\nsecond\n"


def test_closed_outputs_leave_no_descriptor(loop: Loop, tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    speaker = Speaker(loop, tmp_path)
    speaker.say(b"hello\n")
    speaker.close()
    assert os.listdir("/proc/self/fd") == before


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"d" * 70_000]), max_size=20), st.booleans())
def test_log_is_what_was_said_and_an_end_for_the_last_line(chunks: list[bytes], timestamps: bool) -> None:
    loop = Loop()
    with tempfile.TemporaryDirectory() as folder:
        speaker = Speaker(loop, Path(folder), log=LogSettings(timestamps=timestamps))
        for chunk in chunks:
            speaker.say(chunk)
        speaker.end()
        written = speaker.written()
        speaker.close()
    loop.close()

    said = b"".join(chunks)
    assert _without_stamps(written, timestamps) == said + (b"" if said.endswith(b"\n") or not said else b"\n")


def _without_stamps(lines: bytes, has_stamps: bool) -> bytes:
    if not has_stamps:
        return lines
    stamped = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)")
    bare = [stamped.fullmatch(line) for line in lines.split(b"\n")[:-1]]
    return b"".join(line.group(1) + b"\n" for line in bare if line is not None)


def test_listener_hears_what_is_captured_without_timestamps(speak: Speak) -> None:
    speaker = speak(listens=True, log=LogSettings(timestamps=True))
    speaker.say(b"one\ntwo\nthr")
    speaker.end()
    assert speaker.heard == [("root/a", b"one\ntwo\n"), ("root/a", b"thr\n")]


# Fairness


def test_one_turn_of_the_loop_reads_a_bounded_amount(loop: Loop, tmp_path: Path) -> None:
    outputs = Outputs(loop, str(tmp_path), LogFiles(), lambda *lost: None)
    pipes = [outputs.open(life, f"root/w{life}", Program(("a",))) for life in range(50)]
    line = b"x" * 65535 + b"\n"
    for pipe in pipes:
        os.write(pipe.stdout, line)

    loop.turn(0)

    written = sum(path.stat().st_size for path in tmp_path.glob("w*.log"))
    assert 0 < written <= TURN_BYTES
    for pipe in pipes:
        outputs.release(pipe)
    outputs.close()


def test_one_visit_to_busy_pipes_reads_a_bounded_amount(loop: Loop, tmp_path: Path) -> None:
    outputs = Outputs(loop, str(tmp_path), LogFiles(), lambda *lost: None)
    pipes = [outputs.open(life, f"root/w{life}", Program(("a",))) for life in range(50)]
    line = b"x" * 65535 + b"\n"
    for pipe in pipes:
        os.write(pipe.stdout, line)
    while any(not has_room(pipe.stdout) for pipe in pipes):
        loop.turn(0)
    before = sum(path.stat().st_size for path in tmp_path.glob("w*.log"))
    for pipe in pipes:
        os.write(pipe.stdout, line)

    due = outputs.next_poll()
    assert due is not None
    outputs.poll(due)

    written = sum(path.stat().st_size for path in tmp_path.glob("w*.log")) - before
    assert 0 < written <= TURN_BYTES
    for pipe in pipes:
        outputs.release(pipe)
    outputs.close()


def test_pipe_that_is_no_longer_busy_is_watched_again(speaker: Speaker) -> None:
    speaker.say(b"x" * 65535 + b"\n")
    while speaker.outputs.next_poll() is not None:
        turn(speaker.loop, speaker.outputs)
    speaker.say_without_being_read(b"again\n")
    speaker.loop.turn(0)
    assert speaker.written().endswith(b"again\n")


def test_those_who_always_have_something_to_say_take_turns(loop: Loop, tmp_path: Path) -> None:
    outputs = Outputs(loop, str(tmp_path), LogFiles(), lambda *lost: None)
    pipes = [outputs.open(life, f"root/w{life}", Program(("a",))) for life in range(50)]
    line = b"x" * 4095 + b"\n"
    for pipe in pipes:
        os.set_blocking(pipe.stdout, False)
    for _ in range(13 * 20):
        for pipe in pipes:
            if has_room(pipe.stdout):
                os.write(pipe.stdout, line * 8)
        turn(loop, outputs)

    sizes = [path.stat().st_size for path in tmp_path.glob("w*.log")]
    assert len(sizes) == 50
    assert max(sizes) <= 2 * min(sizes)
    for pipe in pipes:
        outputs.release(pipe)
    outputs.close()


def has_room(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


# The tail


def test_tail_holds_the_last_ten_lines(speaker: Speaker) -> None:
    speaker.say(b"".join(b"line %d\n" % number for number in range(30)))
    assert speaker.tail() == tuple(f"line {number}" for number in range(20, 30))


def test_tail_has_what_was_said_without_an_end_too(speaker: Speaker) -> None:
    speaker.say(b"one\ntwo")
    assert speaker.tail() == ("one", "two")


def test_tail_grows_over_several_reads(speaker: Speaker) -> None:
    for word in (b"one\n", b"two\nth", b"ree\n"):
        speaker.say(word)
    assert speaker.tail() == ("one", "two", "three")


def test_tail_shows_bytes_that_are_not_utf8(speaker: Speaker) -> None:
    speaker.say("schön \n".encode() + b"\xff\xfe\n")
    assert speaker.tail() == ("schön ", r"\xff\xfe")


def test_tail_drops_a_first_line_of_which_only_the_end_is_left(speaker: Speaker) -> None:
    speaker.say(b"x" * 2000 + b"\n" + b"y" * 1000 + b"\n")
    assert speaker.tail() == ("y" * 1000,)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no end", "an end"])
def test_tail_of_one_long_line_is_the_end_of_that_line(speaker: Speaker, end: bytes) -> None:
    speaker.say(b"Error: " + b"x" * 5000 + b" connection refused" + end)

    tail = speaker.tail()

    assert len(tail) == 1
    assert tail[0].endswith("xxx connection refused")


def test_tail_of_a_silent_life_is_empty(speaker: Speaker) -> None:
    assert speaker.tail() == ()


def test_tail_ends_with_stderr_when_that_is_apart(speak: Speak, tmp_path: Path) -> None:
    speaker = speak(stderr=str(tmp_path / "errors"))
    speaker.say(b"Traceback:\n", 2)
    speaker.say(b"".join(b"line %d\n" % number for number in range(30)), 1)
    assert speaker.tail() == (*(f"line {number}" for number in range(21, 30)), "Traceback:")


def test_tail_has_no_timestamps(speak: Speak) -> None:
    speaker = speak(log=LogSettings(timestamps=True))
    speaker.say(b"one\n")
    assert speaker.tail() == ("one",)


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
    assert speaker.outputs.lost_bytes("root/a") == 8
    assert speaker.outputs.lost_bytes("root/b") == 0


def test_log_tells_what_is_missing_once_it_can_be_written_again(speaker: Speaker) -> None:
    speaker.log.mkdir()
    speaker.say(b"one\n")
    speaker.say(b"two\n")
    speaker.log.rmdir()
    speaker.say(b"three\n")
    speaker.say(b"four\n")
    assert speaker.written() == (b"procsup: 8 bytes of output are missing here: is a directory (EISDIR)\nthree\nfour\n")


def test_log_with_timestamps_tells_when_it_could_be_written_again(speak: Speak) -> None:
    speaker = speak(log=LogSettings(timestamps=True))
    speaker.log.mkdir()
    speaker.say(b"one\n")
    speaker.log.rmdir()
    speaker.say(b"two\n")
    told = b"procsup: 4 bytes of output are missing here: is a directory (EISDIR)\n"
    assert _without_stamps(speaker.written(), True) == told + b"two\n"


def test_what_is_missing_of_one_life_is_told_in_the_next(speaker: Speaker) -> None:
    speaker.log.mkdir()
    speaker.say(b"one\n")
    speaker.fall_silent()
    speaker.end()
    speaker.log.rmdir()
    speaker.live(6)
    speaker.say(b"two\n")
    assert speaker.written().startswith(b"procsup: 4 bytes of output are missing here")


def test_loss_in_the_middle_of_a_line_is_told_on_a_line_of_its_own(speaker: Speaker, tmp_path: Path) -> None:
    """The folder is away while the second part comes, and back, with the first part, for the third."""
    speaker.say(b"x" * 65537)
    begin = speaker.written()
    speaker.outputs.reopen()
    away = speaker.log.parent.rename(tmp_path / "away")
    speaker.say(b"y" * 65537)
    away.rename(speaker.log.parent)
    speaker.say(b"z" * 65537 + b"\n")

    begun, told, rest, end = speaker.written().split(b"\n")
    assert begun == begin
    assert told.startswith(b"procsup: ")
    assert (set(rest), end) == (set(b"z"), b"")


def test_losses_in_quick_succession_are_told_once_and_counted_all(speaker: Speaker) -> None:
    for _ in range(3):
        speaker.log.mkdir()
        speaker.say(b"lost\n")
        speaker.log.rmdir()
        speaker.say(b"written\n")
        os.unlink(speaker.log)
    assert speaker.lost == [(5, 5, "EISDIR")]
    assert speaker.outputs.lost_bytes("root/a") == 15


def test_what_could_not_be_written_is_still_in_the_tail(speaker: Speaker) -> None:
    speaker.log.mkdir()
    speaker.say(b"one\n")
    assert speaker.tail() == ("one",)


def test_renamed_log_is_left_after_reopening(speaker: Speaker, tmp_path: Path) -> None:
    speaker.say(b"one\n")
    speaker.log.rename(tmp_path / "old")
    speaker.say(b"two\n")
    speaker.outputs.reopen()
    speaker.say(b"three\n")
    assert (tmp_path / "old").read_bytes() == b"one\ntwo\n"
    assert speaker.written() == b"three\n"


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
