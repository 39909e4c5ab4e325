"""Clients that mean harm, or know no better: none of them makes the daemon wait, grow or fall."""

import contextlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.client import Client, Events, HungUp, Json
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise
from tests.kit.trees import SLEEP, STUBBORN, supervisor, tree, worker, workers
from tests.kit.wait import wait_until

QUICK = 2.0
"""Seconds in which the daemon answers a well-behaved client, whatever others do; a hundredth of it is usual."""

LITTLE = 8_000_000
"""Bytes that bad clients may cost."""

MAX_REQUEST = 1024 * 1024


@contextlib.contextmanager
def unharmed(daemon: Daemon) -> Iterator[Daemon]:
    """Afterwards it still answers others quickly, its worker is the same, and it has grown little."""
    with Client(daemon.socket, patience=QUICK) as bystander:
        life = bystander.call("status", names=["a"])["tree"][0]["pid"]
        before = daemon.memory()
        yield daemon
        rows = bystander.call("status", names=["a"])["tree"]
    assert rows[0]["pid"] == life
    assert daemon.memory() - before < LITTLE


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("kept"), workers("a b")) as daemon:
        yield daemon.wait_until_up()


@pytest.fixture
def shared(kept: Daemon) -> Iterator[Daemon]:
    """The daemon of all tests that leave it as it was."""
    with unharmed(kept):
        yield kept


@pytest.fixture
def daemon(supervise: Supervise) -> Iterator[Daemon]:
    """A daemon for one test."""
    with unharmed(supervise(workers("a b"))) as daemon:
        yield daemon


# What is not a call


def error_of(line: bytes) -> tuple[Any, int, str]:
    answer = json.loads(line)
    assert answer["jsonrpc"] == "2.0"
    return answer["id"], answer["error"]["code"], answer["error"]["data"]["kind"]


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"\x00\x01\xfe\xff",
        b"{",
        b'{"jsonrpc": "2.0", "id": 1, "method": "version"',
        b"[" * 100_000,
        b"9" * 5000,
        b"GET / HTTP/1.1\r",
    ],
    ids=lambda line: repr(line[:20]),
)
def test_line_that_is_not_json_is_a_parse_error_and_the_next_is_answered(shared: Daemon, line: bytes) -> None:
    client = shared.client()
    client.send(line + b"\n")
    assert error_of(client.read_line()) == (None, -32700, "parse_error")
    assert client.call("version")


@pytest.mark.parametrize(
    "line",
    [
        b"1",
        b"null",
        b'"version"',
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"version"}]',
        b"{}",
        b'{"id":1,"method":"version"}',
        b'{"jsonrpc":"1.0","id":1,"method":"version"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"method":1}',
        b'{"jsonrpc":"2.0","id":[1],"method":"version"}',
        b'{"jsonrpc":"2.0","id":{},"method":"version"}',
        b'{"jsonrpc":"2.0","id":true,"method":"version"}',
        b'{"jsonrpc":"2.0","id":1,"method":"version","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"version","params":"x"}',
    ],
    ids=lambda line: line.decode(),
)
def test_json_that_is_no_request_is_an_invalid_request_and_the_next_is_answered(shared: Daemon, line: bytes) -> None:
    client = shared.client()
    client.send(line + b"\n")
    assert error_of(client.read_line())[1:] == (-32600, "invalid_request")
    assert client.call("version")


@pytest.mark.parametrize("method", ["", "nope", "STATUS", "rpc.discover", "x" * 1000, "\u2028"])
def test_unknown_method_is_not_found(shared: Daemon, method: str) -> None:
    client = shared.client()
    client.send_object({"jsonrpc": "2.0", "id": "x", "method": method})
    assert error_of(client.read_line()) == ("x", -32601, "method_not_found")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("version", {"x": 1}),
        ("status", {"names": "a"}),
        ("status", {"names": [1]}),
        ("status", {"names": None}),
        ("start", {}),
        ("start", {"names": []}),
        ("start", {"names": ["a"], "wait": 1}),
        ("start", {"names": ["a"], "wait": None}),
        ("terminate_child", {"name": None}),
        ("start_child", {"supervisor": "root", "command": "sleep"}),
        ("start_child", {"supervisor": "root", "command": ["sleep"], "restart": ["permanent"]}),
        ("signal", {"signal": 9, "names": ["a"]}),
        ("shutdown", {"wait": "no"}),
    ],
)
def test_wrong_parameters_are_invalid(shared: Daemon, method: str, params: Json) -> None:
    client = shared.client()
    client.send_object({"jsonrpc": "2.0", "id": 1.5, "method": method, "params": params})
    assert error_of(client.read_line()) == (1.5, -32602, "invalid_params")


def test_parameters_that_are_not_given_are_the_defaults(shared: Daemon) -> None:
    client = shared.client()
    client.send(b'{"jsonrpc":"2.0","id":1,"method":"status"}\n')
    assert len(json.loads(client.read_line())["result"]["tree"]) == 3


def test_empty_lines_are_nothing(shared: Daemon) -> None:
    client = shared.client()
    client.send(b"\n\n  \n\r\n")
    assert client.call("version")


@pytest.mark.parametrize(
    "notification",
    [
        {"method": "version"},
        {"method": "nope"},
        {"method": "status", "params": {"names": ["nope"]}},
        {"method": "start", "params": {"names": ["b"]}},
        {"method": "stop", "params": {}},
    ],
    ids=str,
)
def test_notification_is_not_answered(shared: Daemon, notification: Json) -> None:
    client = shared.client()
    client.send_object({"jsonrpc": "2.0", **notification})
    client.send_object({"jsonrpc": "2.0", "id": "next", "method": "version"})
    assert json.loads(client.read_line())["id"] == "next"


def test_notification_that_ends_the_daemon_is_not_answered(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    client = daemon.client()
    client.send_object({"jsonrpc": "2.0", "method": "shutdown"})
    assert client.read_to_the_end() == b""
    assert daemon.wait() == 0


def test_notification_is_carried_out(daemon: Daemon) -> None:
    client = daemon.client()
    client.send_object({"jsonrpc": "2.0", "method": "stop", "params": {"names": ["b"]}})
    wait_until(lambda: daemon.row("b")["state"] == "down", "b is down")


# Pieces, and hanging up


def test_request_in_pieces_is_one_request(shared: Daemon) -> None:
    client = shared.client()
    for byte in b'{"jsonrpc":"2.0","id":1,"method":"version"}\n':
        client.send(bytes([byte]))
    assert "result" in json.loads(client.read_line())


def test_many_requests_in_one_piece_are_all_answered_in_their_order(shared: Daemon) -> None:
    client = shared.client()
    client.send(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"version"}\n' % number for number in range(1000)))
    assert [json.loads(client.read_line())["id"] for _ in range(1000)] == list(range(1000))


def test_half_a_line_and_a_hang_up_is_nothing(shared: Daemon) -> None:
    for _ in range(20):
        with Client(shared.socket) as client:
            client.send(b'{"jsonrpc":"2.0","id":1,"method":"shutdown"')


def test_half_a_line_and_no_more_to_come_is_hung_up_on(shared: Daemon) -> None:
    client = shared.client()
    client.send(b'{"jsonrpc":"2.0"')
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_to_the_end() == b""


@pytest.mark.parametrize("method", ["status", "events", "start", "nope"])
def test_client_that_hangs_up_instead_of_reading_its_answer_harms_nobody(shared: Daemon, method: str) -> None:
    for _ in range(20):
        with Client(shared.socket) as client:
            for _ in range(10):
                client.ask(method, **({"names": ["b"]} if method == "start" else {}))


def test_client_that_has_said_all_still_gets_its_answers_and_is_then_hung_up_on(daemon: Daemon) -> None:
    client = daemon.client()
    client.ask("status")
    client.ask("restart", names=["b"])
    client.socket.shutdown(socket.SHUT_WR)
    answers = [json.loads(line) for line in client.read_to_the_end().splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[1]["result"]["results"][0]["state"] == "running"


def test_subscriber_that_has_said_all_still_hears_the_events(daemon: Daemon) -> None:
    events = daemon.events()
    events.socket.shutdown(socket.SHUT_WR)
    daemon.call("restart", names=["b"])
    events.wait("ready", "b")


def test_client_that_hangs_up_while_it_waits_costs_the_daemon_no_time(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown=1000))
    daemon.report_of("a")
    client = daemon.client()
    client.ask("stop", names=["a"])
    wait_until(lambda: daemon.row("a")["state"] == "stopping", "it is being stopped")
    client.socket.shutdown(socket.SHUT_WR)
    daemon.call("version")
    client.close()
    daemon.call("version")

    assert_idle(daemon)


def assert_idle(daemon: Daemon) -> None:
    """It waits for something to happen, instead of looking over and over."""
    before = int(daemon.proc_status("voluntary_ctxt_switches"))
    ticks = cpu_ticks(daemon)
    select.select([], [], [], 0.3)
    assert cpu_ticks(daemon) - ticks <= 3
    assert int(daemon.proc_status("voluntary_ctxt_switches")) - before <= 3


def cpu_ticks(daemon: Daemon) -> int:
    with open(f"/proc/{daemon.pid}/stat", "rb") as file:
        fields = file.read().rpartition(b") ")[2].split()
    return int(fields[11]) + int(fields[12])


# Too much


def send_as_much_as_it_takes(client: Client, data: bytes) -> None:
    """Until the daemon hangs up or does not read any more."""
    client.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError, ConnectionError):
        client.send(data)
    client.socket.settimeout(30)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no end", "an end"])
def test_line_of_ten_megabytes_is_refused_and_its_client_hung_up_on(daemon: Daemon, end: bytes) -> None:
    client = daemon.client()
    send_as_much_as_it_takes(client, b"x" * 10_000_000 + end)
    lines = client.read_to_the_end().splitlines()
    assert len(lines) == 1
    assert error_of(lines[0]) == (None, -32600, "invalid_request")


def test_subscriber_that_sends_ten_megabytes_in_one_line_is_hung_up_on_too(daemon: Daemon) -> None:
    events = daemon.events()
    send_as_much_as_it_takes(events, b"x" * 10_000_000)
    events.socket.settimeout(QUICK)
    assert len(events.read_to_the_end().splitlines()) == 1


def test_client_that_waits_and_sends_ten_megabytes_in_one_line_is_hung_up_on_too(supervise: Supervise) -> None:
    daemon = supervise(worker("a", STUBBORN, shutdown=1000))
    daemon.report_of("a")
    client = daemon.client()
    client.ask("stop", names=["a"])
    send_as_much_as_it_takes(client, b"x" * 10_000_000)
    client.socket.settimeout(QUICK)
    assert len(client.read_to_the_end().splitlines()) == 1


def test_line_of_one_megabyte_is_read_and_one_byte_more_is_too_long(daemon: Daemon) -> None:
    client = daemon.client()
    head, tail = b'{"jsonrpc":"2.0","id":1,"method":"version","pad":"', b'"}'
    fitting = head + b"x" * (MAX_REQUEST - len(head) - len(tail)) + tail
    client.send(fitting + b"\n")
    assert "result" in json.loads(client.read_line())

    client.send(fitting + b" \n")
    assert error_of(client.read_line())[2] == "invalid_request"


@pytest.mark.parametrize(
    "names",
    [
        ["x" * 1_000_000],
        ["a/" * 500_000],
        ["*a" * 500_000],
        ["[" * 900_000],
        ["*" * 1_000_000],
        ["[a-z]" * 200_000],
        ["x"] * 200_000,
        ["a"] * 200_000,
        ["*"] * 200_000,
        [f"*{number}*" for number in range(50_000)],
    ],
    ids=lambda names: f"{len(names)} times {names[0][:8]}",
)
def test_names_of_one_megabyte_are_answered_quickly(daemon: Daemon, names: list[str]) -> None:
    client, other = daemon.client(), daemon.client(patience=QUICK)
    client.ask("status", names=names)
    while not select.select([client.socket], [], [], 0)[0]:
        other.call("version")


def test_requests_without_end_whose_answers_nobody_reads_fill_no_memory_and_hold_up_nobody(
    supervise: Supervise,
) -> None:
    names = " ".join(f"w{number}" for number in range(100))
    daemon = supervise(workers(names, ("true",), restart="transient"))
    daemon.status()
    before = daemon.memory()
    client, other = daemon.client(), daemon.client(patience=QUICK)
    send_as_much_as_it_takes(client, b'{"jsonrpc":"2.0","id":1,"method":"status"}\n' * 50_000)

    other.call("version")

    assert daemon.memory() - before < LITTLE


def test_requests_without_end_whose_answers_are_read_hold_up_nobody(supervise: Supervise) -> None:
    """Each answer takes the daemon some milliseconds, and hundreds of such requests come in one piece."""
    names = " ".join(f"w{number}" for number in range(300))
    daemon = supervise(workers(names, ("true",), restart="transient"))
    greedy, other = daemon.client(), daemon.client(patience=QUICK / 4)
    reader = threading.Thread(target=greedy.read_to_the_end, daemon=True)
    reader.start()
    writer = threading.Thread(target=send_for_ever, args=(greedy, daemon), daemon=True)
    writer.start()

    for _ in range(20):
        other.call("version")

    greedy.socket.shutdown(socket.SHUT_RDWR)
    writer.join()
    reader.join()


def send_for_ever(client: Client, daemon: Daemon) -> None:
    with contextlib.suppress(OSError):
        while not daemon.has_ended:
            client.send(b'{"jsonrpc":"2.0","id":1,"method":"status"}\n' * 1000)


def test_subscriber_that_was_hung_up_on_for_its_long_line_and_does_not_read_fills_no_memory(daemon: Daemon) -> None:
    events = daemon.events()
    before = daemon.memory()
    make_events(daemon, 100)  # more than its socket takes, so that even the complaint stays with the daemon
    send_as_much_as_it_takes(events, b"x" * 2_000_000)
    for _ in range(30):
        make_events(daemon, 100)
    assert daemon.memory() - before < LITTLE


def make_events(daemon: Daemon, count: int) -> None:
    """Each of them of four kilobytes: a child whose program has a long name cannot start."""
    client = daemon.client()
    program = "/" + "x" * 4000
    asked = [client.ask("start_child", supervisor="root", command=[program], name="none") for _ in range(count)]
    for request in asked:
        client.answer(request)


def test_subscriber_that_never_reads_is_hung_up_on_and_fills_no_memory(daemon: Daemon) -> None:
    deaf, hearing = daemon.events(), daemon.events()
    make_events(daemon, 100)
    for _ in range(6):
        make_events(daemon, 100)
        for _ in range(100):
            hearing.wait("child_removed", "none")

    heard = deaf.read_to_the_end()

    assert len(heard) < 3_000_000
    assert all(json.loads(line)["method"] == "event" for line in heard.splitlines()[:-1])
    daemon.call("restart", names=["b"])
    hearing.wait("ready", "b")


def test_subscribers_that_never_read_do_not_hold_up_the_end(supervise: Supervise) -> None:
    daemon = supervise(worker("a"))
    deaf = daemon.events()
    fill(deaf)
    make_events(daemon, 100)
    begin = time.monotonic()

    assert daemon.stop() == 0

    assert time.monotonic() - begin < QUICK + 2


def fill(client: Client) -> None:
    """Make its side small, so that little fills it."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)


def test_six_hundred_connections_leave_those_before_them_and_the_worker_alone(daemon: Daemon) -> None:
    with contextlib.ExitStack() as stack:
        crowd = []
        for _ in range(600):
            with contextlib.suppress(OSError):
                crowd.append(stack.enter_context(Client(daemon.socket)))
        assert daemon.call("version")
        for client in crowd:
            with contextlib.suppress(OSError):
                client.ask("version")
        assert daemon.row("a")["state"] == "running"
        turned_away = sum(not answers(client) for client in crowd)
        assert turned_away >= 600 - 512

    wait_until(lambda: can_connect(daemon), "there is room again")


def answers(client: Client) -> bool:
    try:
        client.answer(1)
    except (HungUp, OSError):
        return False
    return True


def can_connect(daemon: Daemon) -> bool:
    with contextlib.suppress(HungUp, OSError), Client(daemon.socket) as client:
        return bool(client.call("version"))
    return False


def test_connections_that_take_all_descriptors_are_turned_away_and_cost_no_time(supervise: Supervise) -> None:
    daemon = supervise(workers("a b"), program=("prlimit", "--nofile=40:40", *PROCSUP))
    daemon.call("version")
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            with contextlib.suppress(OSError):
                stack.enter_context(Client(daemon.socket))
        assert daemon.row("a")["state"] == "running"
        assert_idle(daemon)

    wait_until(lambda: can_connect(daemon), "there is room again")
    assert daemon.stop() == 0


# Strangers


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_hung_up_on_even_where_the_file_would_let_him_in(supervise: Supervise) -> None:
    daemon = supervise(worker("a"), for_strangers=True)
    os.chmod(os.path.dirname(daemon.socket), 0o755)
    os.chmod(daemon.socket, 0o666)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writer, what_a_stranger_gets(daemon.socket))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        told = file.read()
    os.waitpid(pid, 0)

    assert told == b"hung up"
    assert daemon.row("a")["state"] == "running"


def what_a_stranger_gets(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(20)
        stranger.connect(path)
        try:
            stranger.sendall(b'{"jsonrpc":"2.0","id":1,"method":"shutdown"}\n')
            return stranger.recv(1000) or b"hung up"
        except ConnectionError:
            return b"hung up"


def test_call_during_events_is_answered_between_them(daemon: Daemon) -> None:
    events: Events = daemon.events()
    assert events.call("restart", names=["b"])["results"][0]["state"] == "running"
    events.wait("ready", "b")


def test_call_before_the_tree_is_up_is_answered(supervise: Supervise) -> None:
    names = [f"w{number}" for number in range(150)]
    daemon = supervise(tree(supervisor("root", names), *(worker(name, SLEEP) for name in names)), up=False)
    daemon.wait_until_listening()
    assert daemon.status()["daemon"]["state"] in ("starting", "running")
    assert daemon.stop() == 0
