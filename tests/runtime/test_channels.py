"""Channels of workers: the daemon's ends, and with a real daemon in every way to spawn."""

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from procsup.core.spec import Program
from procsup.runtime import seats
from procsup.runtime.channels import MAX_UNREAD, Channels
from procsup.runtime.loop import Loop
from procsup.runtime.spawn import Spawner, Stdio
from procsup.wire.messages import MAX_LINE
from tests.kit.alone import alone
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import supervisor, tree, worker
from tests.kit.wait import DEADLINE, wait_until

Json = dict[str, Any]

READY = b'{"type":"ready"}\n'


class Exchange:
    """Channels and their loop. `heard` and `complaints` hold what came of them; lives are numbered by the test."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.heard: list[tuple[int, Json]] = []
        self.complaints: list[tuple[int, int, str]] = []
        self.channels = Channels(
            self.loop,
            lambda life, worker, message: self.heard.append((life, message)),
            lambda life, worker, to, body: self.heard.append(
                (life, {"type": "send", "to": to, "body": json.loads(body)})
            ),
            lambda *complaint: self.complaints.append(complaint),
        )
        self.ends: dict[int, tuple[int, int]] = {}
        """life → the worker's ends, mailbox and outbox"""

    def open(self, life: int) -> None:
        self.ends[life] = self.channels.open(life, f"root/w{life}")
        os.set_blocking(self.ends[life][1], False)
        self.channels.listen(life)

    def say(self, life: int, data: bytes) -> None:
        """As the worker: write all of it, while the loop turns."""
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self.ends[life][1], data) :]
            self.loop.turn(0)

    def read(self, life: int, size: int = 1 << 20) -> bytes:
        """As the worker: what is in the mailbox, waited for."""
        assert select.select([self.ends[life][0]], (), (), DEADLINE)[0]
        return os.read(self.ends[life][0], size)

    def read_all(self, life: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += self.read(life)
            self.loop.turn(0)
        return found

    def turn_until(self, fact: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE
        while not fact():
            assert time.monotonic() < end, "it did not come about"
            self.loop.turn(0.01)

    def hang_up(self, life: int, *which: int) -> None:
        """As the worker: 0 closes its mailbox, 1 its outbox."""
        for end in which:
            os.close(self.ends[life][end])

    def close(self) -> None:
        self.channels.close()
        self.loop.close()


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """At its end no descriptor of the daemon's is left."""
    before = set(os.listdir("/proc/self/fd"))
    exchange = Exchange()
    yield exchange
    exchange.close()
    for pair in exchange.ends.values():
        for fd in pair:
            with contextlib.suppress(OSError):
                os.close(fd)
    assert set(os.listdir("/proc/self/fd")) == before


# Reading


def test_a_message_is_heard_from_whoever_says_it(exchange: Exchange) -> None:
    exchange.open(1)
    exchange.open(2)
    exchange.say(2, READY)
    exchange.say(1, b'{"type":"send","to":"eve","body":[1]}\n')
    exchange.turn_until(lambda: len(exchange.heard) == 2)
    assert exchange.heard == [(2, {"type": "ready"}), (1, {"type": "send", "to": "eve", "body": [1]})]


def test_a_message_may_come_in_any_pieces(exchange: Exchange) -> None:
    exchange.open(1)
    for byte in READY:
        exchange.say(1, bytes([byte]))
    exchange.turn_until(lambda: exchange.heard)
    assert exchange.heard == [(1, {"type": "ready"})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{\n", "not JSON"),
        (b"\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[" * 60000 + b"\n", "not JSON"),
        (b"[]\n", 'expected a JSON object with a "type"'),
        (b'{"type":"dance"}\n', "unknown type 'dance'"),
        (b'{"type":"send","to":1,"body":2}\n', "'to' of 'send' is 1, expected a string"),
        (b'"' + b"x" * MAX_LINE + b'"\n', f"longer than {MAX_LINE} bytes"),
        (b"x" * (10 * MAX_LINE) + b"\n", f"longer than {MAX_LINE} bytes"),
    ],
)
def test_what_is_no_message_is_complained_of_and_the_next_one_is_heard(
    exchange: Exchange, line: bytes, why: str
) -> None:
    exchange.open(1)
    exchange.say(1, line + READY)
    exchange.turn_until(lambda: exchange.heard)
    assert exchange.heard == [(1, {"type": "ready"})]
    [(life, count, told)] = exchange.complaints
    assert (life, count) == (1, 1)
    assert why in told


def test_what_is_said_before_anybody_listens_is_heard_then(exchange: Exchange) -> None:
    exchange.ends[1] = exchange.channels.open(1, "root/a")
    os.write(exchange.ends[1][1], READY)
    exchange.loop.turn(0)
    assert exchange.heard == []
    exchange.channels.listen(1)
    exchange.turn_until(lambda: exchange.heard)


def test_the_longest_message_is_heard(exchange: Exchange) -> None:
    line = b'{"type":"ready","x":"' + b"x" * (MAX_LINE - 24) + b'"}\n'
    assert len(line) == MAX_LINE
    exchange.open(1)
    exchange.say(1, line + line.replace(b"x", b"xx", 1))
    exchange.turn_until(lambda: exchange.complaints)
    assert len(exchange.heard) == 1


def test_complaints_are_counted_and_told_of_ever_more_seldom(exchange: Exchange) -> None:
    exchange.open(1)
    exchange.say(1, b"x\n" * 1500 + READY)
    exchange.turn_until(lambda: exchange.heard)
    assert [count for _, count, _ in exchange.complaints] == [1, 10, 100, 1000]


def test_who_has_much_to_say_takes_turns_with_the_others(exchange: Exchange) -> None:
    """The flood lies in the pipe already when the other one speaks."""
    exchange.open(1)
    exchange.open(2)
    flood = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            flood += os.write(exchange.ends[1][1], READY * 100)
    os.write(exchange.ends[2][1], READY)
    exchange.turn_until(lambda: (2, {"type": "ready"}) in exchange.heard)
    assert len(exchange.heard) < flood // len(READY)
    exchange.turn_until(lambda: len(exchange.heard) == flood // len(READY) + 1)


def test_who_comes_too_late_in_a_turn_is_heard_before_whoever_speaks_again(exchange: Exchange) -> None:
    """Many at once, more than a turn has time for; who was heard and says something more has to wait for the others."""
    lives = range(1, 301)
    for life in lives:
        exchange.open(life)
        os.write(exchange.ends[life][1], READY * 20)
    exchange.loop.turn(0)
    first = {life for life, _ in exchange.heard}
    assert 0 < len(first) < len(lives)
    for life in first:
        os.write(exchange.ends[life][1], b'{"type":"send","to":"eve","body":"again"}\n')
    exchange.turn_until(lambda: len(exchange.heard) == 20 * len(lives) + len(first))
    again = [number for number, (_, message) in enumerate(exchange.heard) if message["type"] == "send"]
    last_to_begin = max(
        next(number for number, (heard, _) in enumerate(exchange.heard) if heard == life) for life in lives
    )
    assert last_to_begin < min(again[1:])  # one may have been in the middle when the time was over


def test_an_outbox_that_is_closed_costs_nothing(exchange: Exchange) -> None:
    exchange.open(1)
    exchange.say(1, READY + b'{"type":')
    exchange.hang_up(1, 1)
    exchange.turn_until(lambda: exchange.complaints)
    assert "in the middle of a line" in exchange.complaints[0][2]
    assert exchange.channels.send(1, b"hello\n")
    assert exchange.read(1) == b"hello\n"


def test_last_words_are_heard_at_the_end_of_a_life(exchange: Exchange) -> None:
    exchange.open(1)
    os.write(exchange.ends[1][1], READY * 200)
    exchange.channels.end(1)
    assert len(exchange.heard) == 200


def test_an_endless_line_is_not_kept(exchange: Exchange) -> None:
    exchange.open(1)
    for _ in range(100):
        exchange.say(1, b"x" * 60000)
    channel = exchange.channels._lives[1]
    assert len(channel.unread) <= 2 * MAX_LINE


# Writing


def test_what_a_worker_does_not_read_is_kept_up_to_a_limit_and_then_refused(exchange: Exchange) -> None:
    exchange.open(1)
    line = b"x" * 9999 + b"\n"
    sent = 0
    while exchange.channels.send(1, line):
        sent += len(line)
    assert MAX_UNREAD - len(line) < sent <= MAX_UNREAD + 65536
    assert exchange.read_all(1, sent) == line * (sent // len(line))
    assert exchange.channels.send(1, line), "there is room again"


def test_the_daemons_own_words_have_room_beside_and_are_lost_in_the_end(exchange: Exchange) -> None:
    exchange.open(1)
    line = b"x" * 9999 + b"\n"
    while exchange.channels.send(1, line):
        pass
    exchange.channels.tell(1, line)
    assert exchange.complaints == []
    for _ in range(300):
        exchange.channels.tell(1, line)
    assert "its mailbox is full" in exchange.complaints[0][2]


def test_a_line_that_was_not_written_can_be_retracted(exchange: Exchange) -> None:
    exchange.open(1)
    filler = b"x" * 9999 + b"\n"
    for _ in range(10):
        exchange.channels.tell(1, filler)
    for ref in (1, 11, 1, 2):
        exchange.channels.tell(1, b'{"type":"down","ref":%d,"name":"b"}\n' % ref)
    exchange.channels.retract(1, b'{"type":"down","ref":1,')
    told = exchange.read_all(1, 10 * len(filler) + 1)
    while told.count(b"\n") < 12:
        told += exchange.read(1)
    refs = [json.loads(line)["ref"] for line in told.splitlines()[10:]]
    assert refs == [11, 2]


def test_who_does_not_read_its_answers_is_not_listened_to(exchange: Exchange) -> None:
    exchange.open(1)
    line = b"x" * 9999 + b"\n"
    told = 0
    while len(exchange.channels._lives[1].unwritten) <= MAX_UNREAD:
        exchange.channels.tell(1, line)
        told += len(line)
    exchange.say(1, READY * 2)
    for _ in range(10):
        exchange.loop.turn(0)
    assert exchange.heard == []
    exchange.read_all(1, told)
    exchange.turn_until(lambda: len(exchange.heard) == 2)


def test_a_mailbox_that_its_worker_has_closed_is_closed_by_the_next_message(exchange: Exchange) -> None:
    exchange.open(1)
    exchange.hang_up(1, 0)
    assert exchange.channels.send(1, b"hello\n")
    assert not exchange.channels.is_open(1)
    exchange.say(1, READY)
    exchange.turn_until(lambda: exchange.heard)


def test_a_full_mailbox_that_its_worker_closes_is_given_up(exchange: Exchange) -> None:
    exchange.open(1)
    while exchange.channels.send(1, b"x" * 9999 + b"\n"):
        pass
    exchange.hang_up(1, 0)
    exchange.turn_until(lambda: not exchange.channels.is_open(1))


def test_nobody_without_a_channel_is_told_anything(exchange: Exchange) -> None:
    exchange.channels.tell(7, b"hello\n")
    exchange.channels.end(7)
    assert not exchange.channels.is_open(7)


# Seats


@alone
def test_whoever_has_a_seat_gets_it_back() -> None:
    seats.occupy()
    readers = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
    before = seats_now()
    with seats.seated([(seats.MAILBOX, readers[0][0]), (seats.OUTBOX, readers[1][1])]):
        assert seats_now() == [os.fstat(readers[0][0]).st_ino, os.fstat(readers[1][1]).st_ino]
        assert os.get_inheritable(seats.MAILBOX)
    assert seats_now() == before
    for fd in (seats.MAILBOX, seats.OUTBOX):
        with contextlib.suppress(OSError):
            assert not os.get_inheritable(fd)


def seats_now() -> list[int]:
    """The inode in each; 0: nobody."""
    found = []
    for fd in (seats.MAILBOX, seats.OUTBOX):
        try:
            found.append(os.fstat(fd).st_ino)
        except OSError:
            found.append(0)
    return found


@alone
def test_a_spawned_program_has_its_channel_in_the_seats_and_nothing_else() -> None:
    spawner = Spawner(os.environ, b"PROCSUP_DAEMON=1:2")
    mailbox, mailbox_end = os.pipe2(os.O_CLOEXEC)
    outbox, outbox_end = os.pipe2(os.O_CLOEXEC)
    script = 'ls /proc/self/fd | tr "\\n" " " >&4; read -r line <&3; echo "$line $PROCSUP_MAILBOX_FD" >&4'
    stdio = Stdio(-1, -1, -1).with_channel(mailbox, outbox_end)
    pid = spawner.spawn(Program(("sh", "-c", script)), "root/a", 1, stdio)
    os.close(outbox_end)
    os.write(mailbox_end, b"hello\n")
    with open(outbox, closefd=False) as stream:
        told = stream.read().split()
    os.waitpid(pid, 0)
    assert told == ["0", "1", "2", "3", "4", "5", "hello", "3"]  # 5 is that of ls


# With a real daemon

AGENT = f"""
import json, os, sys
mailbox, outbox = open(3, closefd=False), open(4, "w", buffering=1, closefd=False)
def say(**message):
    outbox.write(json.dumps(message) + "\\n")
def hear():
    return json.loads(mailbox.readline())
def show(*things):
    with open(os.environ["SHOWN"], "a") as shown:
        shown.write(json.dumps(things) + "\\n")
sys.path.insert(0, {os.getcwd()!r})
"""


def agent(name: str, script: str, **keys: Any) -> str:
    """A worker with a channel, that does as the Python says: say(...), hear(), show(...)."""
    return worker(name, (sys.executable, "-I", "-S", "-c", AGENT + script), channel=True, **keys)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Any]]:
    """So many of the things that agents have shown, waited for."""
    file = tmp_path / "shown"
    monkeypatch.setenv("SHOWN", str(file))

    def lines(count: int) -> list[Any]:
        def found() -> list[str]:
            text = file.read_text().split("\n")[:-1] if file.exists() else []
            return text if len(text) >= count else []

        return [json.loads(line) for line in wait_until(found, f"{count} things are shown")]

    return lines


Shown = Callable[[int], list[Any]]

ECHO = "while True: message = hear(); say(type='send', to=message['from'], body=message['body'])"

SETTINGS: list[Any] = [
    pytest.param({}, id="plain"),
    pytest.param({"limits": {"core": 0}}, id="by the spawner process"),
    pytest.param({"nice": 1, "umask": "027"}, id="by the spawner process, with umask"),
]


@pytest.mark.parametrize("keys", SETTINGS)
def test_workers_send_each_other_messages(supervise: Supervise, shown: Shown, keys: Any) -> None:
    asks = "say(type='send', to='echo', body={'n': [1, None, 'ä']}); show(hear()); hear()"
    supervise(tree(supervisor("root", ["echo", "asker"]), agent("echo", ECHO, **keys), agent("asker", asks)))
    assert shown(1) == [[{"type": "message", "from": "echo", "body": {"n": [1, None, "ä"]}}]]


def test_a_request_with_an_id_is_answered(supervise: Supervise, shown: Shown) -> None:
    script = """
say(type="whereis", id=1, name="other"); show(hear())
say(type="whereis", id=2, name="nobody"); show(hear())
say(type="send", id=3, to="asker", body=7); show(hear()); show(hear())
say(type="send", id=4, to="nobody", body=7); show(hear()["error"]["kind"])
say(type="send", id=5, to="other", body=7); show(hear()["error"]["kind"])
say(type="ready")
hear()
"""
    daemon = supervise(tree(supervisor("root", ["other", "asker"]), worker("other"), agent("asker", script)))
    assert shown(6) == [
        [{"type": "reply", "id": 1, "result": daemon.row("other")["pid"]}],
        [{"type": "reply", "id": 2, "result": None}],
        [{"type": "message", "from": "asker", "body": 7}],
        [{"type": "reply", "id": 3, "result": None}],
        ["noproc"],
        ["no_channel"],
    ]


@pytest.mark.parametrize(("flush", "told"), [({"flush": True}, 0), ({"flush": False}, 1), ({}, 1)])
def test_flush_takes_back_a_down_that_waits_for_room(supervise: Supervise, shown: Shown, flush: Any, told: int) -> None:
    """The mailbox of `full` is filled, and nobody reads it until the daemon has understood; `other` is told how far it
    is, and hears of the same death.
    """
    fills = f"""
say(type="monitor", ref=7, name="mortal")
for number in range(20):
    say(type="send", to="full", body="x" * 9000)
say(type="send", to="other", body="filled")
open(os.environ["GATE"]).readline()
say(type="demonitor", ref=7, id=1, **{flush!r})
say(type="send", to="other", body="asked")
open(os.environ["GATE"]).readline()
heard = []
while not heard or heard[-1] != "reply":
    heard.append(hear()["type"])
show(heard.count("message"), heard.count("down"))
hear()
"""
    other = "show(hear()['body']); show(hear()['type']); show(hear()['body']); hear()"
    names = ["mortal", "other", "full"]
    tables = (
        supervisor("root", names),
        worker("mortal"),
        agent("full", fills),
        agent("other", other, monitors=["mortal"]),
    )
    daemon = supervise(tree(*tables))
    assert shown(1) == [["filled"]]
    daemon.kill("mortal")
    assert shown(2)[1] == ["down"]
    daemon.open_gate()
    assert shown(3)[2] == ["asked"]
    daemon.status()  # it has had another turn
    daemon.open_gate()
    assert shown(4)[3] == [20, told]


def test_a_sender_learns_that_a_mailbox_is_full_and_nobody_else_notices(supervise: Supervise, shown: Shown) -> None:
    script = """
for number in range(100000):
    say(type="send", id=number, to="deaf", body="x" * 10000)
    if "error" in (reply := hear()):
        break
show(reply["error"]["kind"], number * 10000)
say(type="send", to="echo", body=1)
show(hear()["body"])
hear()
"""
    deaf = agent("deaf", "import signal; signal.pause()")
    supervise(tree(supervisor("root", ["deaf", "echo", "a"]), deaf, agent("echo", ECHO), agent("a", script)))
    [[kind, sent], [echoed]] = shown(2)
    assert kind == "full"
    assert 1_000_000 < sent < 1_200_000
    assert echoed == 1


@pytest.mark.parametrize(
    "misuse",
    [
        "os.close(3); os.close(4); import signal; signal.pause()",
        "os.write(4, b'}' * 1000000); import signal; signal.pause()",
        "while True: os.write(4, b'rubbish\\n' * 8000)",
        "while True: say(type='whereis', id=1, name='echo')",
        "while True: say(type='send', to='asker', body='flood')",
        "while True: say(type='send', to='deaf', body='x' * 1000)",
    ],
)
def test_who_misuses_its_channel_is_noticed_by_nobody_else(supervise: Supervise, shown: Shown, misuse: str) -> None:
    asks = """
for n in range(20):
    say(type="send", to="echo", body=n)
    while (message := hear())["from"] != "echo":
        pass
    assert message["body"] == n
show("done")
hear()
"""
    daemon = supervise(
        tree(
            supervisor("root", ["deaf", "bad", "echo", "asker", "mortal"]),
            agent("deaf", "import signal; signal.pause()"),
            agent("bad", misuse),
            agent("echo", ECHO),
            agent("asker", asks),
            worker("mortal"),
        )
    )
    assert shown(1) == [["done"]]
    events = daemon.events()
    daemon.kill("mortal")
    events.wait("ready", "mortal")
    assert daemon.row("bad")["restarts"] == 0


def test_nonsense_is_told_as_an_event(supervise: Supervise) -> None:
    script = "open(os.environ['GATE']).readline(); os.write(4, b'hm\\n' * 20); hear()"
    daemon = supervise(tree(supervisor("root", ["a"]), agent("a", script)))
    events = daemon.events()
    daemon.open_gate()
    first, second = events.wait("bad_message", "a"), events.wait("bad_message", "a")
    assert [first["count"], second["count"]] == [1, 10]
    assert "not JSON" in first["reason"]


def test_descriptors_do_not_grow_with_restarts(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["a"], intensity=1000), agent("a", "hear()")))
    before = opened(daemon)
    events = daemon.events()
    for _ in range(20):
        daemon.kill("a")
        events.wait("ready", "a")
    wait_until(lambda: opened(daemon) <= before + 1, "as many are open as before")  # and the subscription


def opened(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def test_a_worker_without_a_channel_has_none(supervise: Supervise, tmp_path: Path) -> None:
    script = (
        f"ls /proc/self/fd > {tmp_path}/fds; env > {tmp_path}/env; mv {tmp_path}/env {tmp_path}/done; exec sleep 99"
    )
    supervise(
        tree(supervisor("root", ["with", "without"]), agent("with", "hear()"), worker("without", ("sh", "-c", script)))
    )
    wait_until((tmp_path / "done").exists, "it has looked")
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"]  # 3 is that of ls
    assert "PROCSUP_MAILBOX_FD" not in (tmp_path / "done").read_text()
