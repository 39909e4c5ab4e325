"""Every way to be ready, with real workers, and every way not to be."""

import contextlib
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.kit import processes
from tests.kit.cgroups import new_cgroup, of_process
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.strangers import needs_root
from tests.kit.trees import AT_THE_GATE, SLEEP, python, sh, supervisor, target, tree, worker
from tests.kit.wait import let_pass, wait_until
from tests.kit.warm import put_module

APP = """
import os, signal, socket

def notify(word):
    open(os.environ["GATE"]).readline()
    notify_at_once(word)

def notify_at_once(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.sendto(word.encode(), b"\\0" + os.environb[b"NOTIFY_SOCKET"][1:])
    signal.pause()

def newline(number):
    open(os.environ["GATE"]).readline()
    os.write(number, b"\\n")
    signal.pause()

def line(text):
    open(os.environ["GATE"]).readline()
    print(text, flush=True)
    signal.pause()

def stay():
    signal.pause()
"""

NOTIFY = """
import os, signal, socket, sys
def notify(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.sendto(word, b"\\0" + os.environb[b"NOTIFY_SOCKET"][1:])
def gate():
    open(os.environ["GATE"]).readline()
"""


def notifies(script: str) -> tuple[str, ...]:
    return python(f"{NOTIFY}\n{script}\nsignal.pause()")


WRITES_TO_200 = "import os, signal; open(os.environ['GATE']).readline(); os.write(200, b'\\n'); signal.pause()"

SPEAKS = [
    ("notify", notifies("gate(); notify(b'READY=1')")),
    ("notify", notifies("gate(); notify(b'MAINPID=1\\nSTATUS=up\\nREADY=1\\n')")),
    ({"fd": 3}, sh(f"{AT_THE_GATE}; echo >&3; exec sleep 1000")),
    ({"fd": 4}, sh(f"{AT_THE_GATE}; echo >&4; exec sleep 1000")),
    ({"fd": 7}, sh(f"{AT_THE_GATE}; echo >&7; exec sleep 1000")),
    ({"fd": 200}, python(WRITES_TO_200)),
    ({"line": "^listening on [0-9]+$"}, sh(f"echo listening; {AT_THE_GATE}; echo listening on 80; exec sleep 1000")),
    ({"line": "oops"}, sh(f"{AT_THE_GATE}; printf oo >&2; echo ps >&2; exec sleep 1000")),
    ({"command": sh("[ -e open ]")}, sh(f"{AT_THE_GATE}; touch open; exec sleep 1000")),
]
"""`ready`, and a worker that is so once it has come through the gate."""

Start = Callable[..., Daemon]


@pytest.fixture
def start(supervise: Supervise, tmp_path: Path) -> Start:
    """The daemon of these tables, not waited for."""

    def start(*tables: str, **keys: Any) -> Daemon:
        put_module(tmp_path / "daemon1", "app", APP)
        return supervise(tree(*tables), up=False, **keys).wait_until_listening()

    return start


@pytest.fixture
def port() -> int:
    """Of nobody."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
    return number


def wait_until_waiting(daemon: Daemon, why: str = "", name: str = "a") -> str:
    """Until it was executed, is not ready, and `why` is part of what it waits for."""

    def told() -> str:
        words = daemon.row(name)["waits_for"] or ""
        return words if why in words else ""

    words = wait_until(told, f"{name} waits: {why}")
    assert daemon.row(name)["state"] == "starting"
    return words


def answers(port: int, *replies: bytes) -> tuple[str, ...]:
    """A server that comes through the gate, then answers each connection as the next of these says; an empty one is
    never answered, and the last one is repeated.
    """
    return python(f"""
import os, socket
open(os.environ["GATE"]).readline()
server = socket.create_server(("127.0.0.1", {port}))
replies, kept = list({replies!r}), []
while True:
    client, _ = server.accept()
    kept.append(client)
    reply = replies.pop(0) if len(replies) > 1 else replies[0]
    if reply:
        client.recv(10000)
        client.send(reply)
        client.close()
""")


# Ready at last


@pytest.mark.parametrize(("ready", "command"), SPEAKS, ids=lambda one: str(one)[:30])
def test_the_next_child_starts_when_the_one_before_is_ready(start: Start, ready: Any, command: Any) -> None:
    daemon = start(supervisor("root", ["a", "b"]), worker("a", command, ready=ready), worker("b"))
    wait_until_waiting(daemon)
    assert daemon.row("b")["state"] == "down"
    daemon.open_gate()
    daemon.wait_until_up()
    assert daemon.row("b")["state"] == "running"


@pytest.mark.parametrize(("ready", "command"), SPEAKS, ids=lambda one: str(one)[:30])
def test_what_the_spawner_process_starts_may_be_ready_in_any_way(start: Start, ready: Any, command: Any) -> None:
    daemon = start(supervisor("root", ["a"]), worker("a", command, ready=ready, nice=3))
    wait_until_waiting(daemon)
    daemon.open_gate()
    daemon.wait_until_up()


@pytest.mark.parametrize(
    ("ready", "function", "argument"),
    [
        ("notify", "notify", "READY=1"),
        ({"fd": 5}, "newline", 5),
        ({"fd": 30}, "newline", 30),
        ({"line": "^up$"}, "line", "up"),
    ],
)
def test_a_target_may_be_ready_in_any_way(start: Start, ready: Any, function: str, argument: Any) -> None:
    daemon = start(supervisor("root", ["a"]), target("a", f"app:{function}", args=[argument], ready=ready))
    wait_until_waiting(daemon)
    daemon.open_gate()
    daemon.wait_until_up()


def test_a_target_may_be_ready_by_a_command(start: Start) -> None:
    start(supervisor("root", ["a"]), target("a", "app:stay", ready={"command": ["true"]})).wait_until_up()


@pytest.mark.parametrize("keys", [{}, {"nice": 3}])
def test_a_descriptor_beside_a_channel_holds_both(start: Start, keys: Any) -> None:
    script = 'read -r line <&3; echo >&9; echo "$line"; exec sleep 1000'
    says = """echo '{"type":"send","to":"a","body":1}' >&4; exec sleep 1000"""
    daemon = start(
        supervisor("root", ["b", "a"]),
        worker("a", sh(script), channel=True, ready={"fd": 9}, **keys),
        worker("b", sh(f"{AT_THE_GATE}; {says}"), channel=True),
    )
    wait_until_waiting(daemon)
    daemon.open_gate()
    daemon.wait_until_up()
    wait_until(lambda: b'"body":1' in daemon.log("a"), "the message has arrived")


def test_a_worker_finds_no_other_descriptor_than_the_one_for_its_newline(start: Start) -> None:
    shows = "ls /proc/$$/fd; echo >&{}; exec sleep 1000"
    by_spawner, by_vfork = (worker(name, sh(shows.format(fd)), ready={"fd": fd}) for name, fd in (("a", 8), ("b", 4)))
    daemon = start(by_spawner, by_vfork).wait_until_up()
    assert daemon.log("a").split() == [b"0", b"1", b"2", b"8"]
    assert daemon.log("b").split() == [b"0", b"1", b"2", b"4"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_who_is_to_accept_connections_is_tried_until_it_does(start: Start, port: int, host: str) -> None:
    daemon = start(worker("a", answers(port, b""), ready={"tcp": f"{host}:{port}"}), worker("b"))
    assert wait_until_waiting(daemon, "refused") == f"tcp {host}:{port} (connection refused)"
    daemon.open_gate()
    daemon.wait_until_up()


def test_an_answer_is_asked_for_until_its_status_is_a_good_one(start: Start, port: int) -> None:
    replies = (b"hello\n", b"HTTP/1.1 100 Go on\r\nx: y\r\n\r\nHTTP/1.1 500 No\r\n\r\n", b"HTTP/1.0 302 There\r\n\r\n")
    daemon = start(worker("a", answers(port, *replies), ready={"http": f"http://127.0.0.1:{port}/up"}))
    wait_until_waiting(daemon, f"http://127.0.0.1:{port}/up (connection refused)")
    daemon.open_gate()
    daemon.wait_until_up()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"HTTP/1.1 503 Not now\r\n\r\n", "the answer has status 503"),
        (b"SSH-2.0-x\r\n", "what answers there does not speak HTTP/1"),
        (b"HTTP/1.1", "the connection was closed before an answer"),
    ],
)
def test_an_answer_that_is_no_good_is_told(start: Start, port: int, reply: bytes, why: str) -> None:
    daemon = start(worker("a", answers(port, reply), ready={"http": f"http://localhost:{port}"}))
    daemon.open_gate()
    wait_until_waiting(daemon, why)


def test_a_server_that_accepts_and_never_answers_is_asked_again(start: Start, port: int) -> None:
    replies = (b"", b"HTTP/1.1 204 Fine\r\n\r\n")
    daemon = start(worker("a", answers(port, *replies), ready={"http": f"http://127.0.0.1:{port}"}))
    daemon.open_gate()
    wait_until_waiting(daemon, "no answer within 5s")
    daemon.wait_until_up()


def test_who_is_stopped_or_ready_is_not_asked_after_any_more(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        ready = worker("b", SLEEP, ready={"tcp": place})
        daemon = start(supervisor("root", ["b", "a"]), ready, worker("a", SLEEP, ready={"http": f"http://{place}"}))
        for _ in range(3):  # that of b, and two of a
            server.accept()[0].close()
        wait_until_waiting(daemon, "(")
        daemon.call("stop", names=["a"])
        server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            server.accept()[0].close()
        let_pass(0.7)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_host_without_an_address_holds_nobody_up(start: Start) -> None:
    daemon = start(supervisor("root", ["a"]), worker("a", ready={"tcp": "nowhere.invalid:80"}))
    assert "cannot resolve 'nowhere.invalid': " in wait_until_waiting(daemon, "(")
    assert daemon.stop() == 0


def test_a_time_is_waited_for(start: Start) -> None:
    daemon = start(worker("a", ready={"after": "300ms"}), worker("b"))
    assert wait_until_waiting(daemon) == "0.3s to pass"
    daemon.wait_until_up()
    assert daemon.row("b")["started"] - daemon.row("a")["started"] >= 0.299


# Commands


def test_a_command_sees_what_its_worker_sees_and_writes_into_its_log(start: Start, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    command = sh('echo "$PWD $OWN $(umask)"; ls /proc/$$/fd; echo err >&2')
    keys: dict[str, Any] = {"cwd": str(tmp_path / "here"), "env": {"OWN": "mine"}, "umask": "027"}
    daemon = start(worker("a", SLEEP, ready={"command": command}, **keys)).wait_until_up()
    assert daemon.log("a").decode().splitlines() == [f"{tmp_path}/here mine 0027", "0", "1", "2", "err"]


@needs_root
def test_a_command_is_run_by_the_user_of_its_worker(start: Start) -> None:
    daemon = start(worker("a", SLEEP, user="nobody", cwd="/", ready={"command": sh("id -un")}))
    daemon.wait_until_up()
    assert daemon.log("a") == b"nobody\n"


def test_why_a_command_fails_is_told(start: Start) -> None:
    daemon = start(worker("a", SLEEP, ready={"command": sh("echo no luck; exit 3")}))
    wait_until_waiting(daemon, "(exit 3: no luck)")


def test_a_command_that_cannot_be_executed_is_told_and_tried_again(start: Start, tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    daemon = start(worker("a", SLEEP, ready={"command": [str(probe)]}))
    wait_until_waiting(daemon, "(start_failed exec ENOENT)")
    probe.symlink_to("/bin/true")
    daemon.wait_until_up()


REPORTED = 'echo "probe $$" >> "$REPORT"'


@pytest.mark.parametrize("keys", [{}, {"nice": 3}])
def test_a_command_that_hangs_goes_with_its_worker(start: Start, keys: Any) -> None:
    hangs = sh(f"trap '' TERM; {REPORTED}; sleep 1000; true")
    daemon = start(worker("a", SLEEP, restart="temporary", ready={"command": hangs}, **keys), worker("b"))
    probe = daemon.report_of("probe")
    assert daemon.call("stop", names=["a"]) is not None
    assert not processes.is_alive(probe)


def test_the_next_life_begins_after_the_command_of_the_last_one_has_gone(start: Start) -> None:
    """The first command succeeds, the others never end."""
    probe = python("""
import os, signal
if not os.path.exists("first"):
    open("first", "w").close()
    os._exit(0)
memory = bytearray(50_000_000)  # to give back takes time
with open(os.environ["REPORT"], "a") as report:
    report.write(f"probe {os.getpid()}\\n")
signal.pause()
""")
    daemon = start(supervisor("root", ["a"], intensity=1000), worker("a", SLEEP, ready={"command": probe}))
    events = daemon.wait_until_up().events()
    daemon.kill("a")
    for count in range(1, 11):
        events.wait("started", "a")
        command = daemon.report_of("probe", count)
        daemon.kill("a")
        events.wait("starting", "a")
        assert not processes.is_alive(command)


def test_what_a_command_leaves_behind_is_killed(start: Start) -> None:
    leaves = sh('setsid sh -c \'echo "left $$" >> "$REPORT"; exec sleep 1000\' & sleep 1000 & '
                'until grep -q left "$REPORT"; do :; done')  # fmt: skip
    daemon = start(worker("a", SLEEP, ready={"command": leaves})).wait_until_up()
    assert [name for name, _ in daemon.report()] == ["left"]
    wait_until(lambda: [one.pid for one in daemon.remaining()] == [daemon.row("a")["pid"]], "the worker is alone")


# Never ready


NEVER = [
    ("notify", SLEEP, "READY=1 at its NOTIFY_SOCKET"),
    ("notify", notifies("notify(b'STATUS=half way\\nREADY=0')"), "READY=1 at its NOTIFY_SOCKET (half way)"),
    ("channel", SLEEP, "ready on its channel"),
    ({"fd": 3}, sh("printf x >&3; exec sleep 1000"), "a newline on descriptor 3"),
    (
        {"fd": 5},
        sh("exec 5>&-; exec sleep 1000"),
        "a newline on descriptor 5 (it has closed descriptor 5 without a newline)",
    ),
    ({"tcp": "127.0.0.1:1"}, SLEEP, "tcp 127.0.0.1:1 (connection refused)"),
    ({"tcp": "[::ffff:127.0.0.1]:1"}, SLEEP, "tcp [::ffff:127.0.0.1]:1 (connection refused)"),
    ({"command": ["false"]}, SLEEP, "command false (exit 1)"),
    ({"line": "^ready$"}, sh("echo ready to go; printf ready; exec sleep 1000"), "line ^ready$"),
    ({"line": "late"}, sh("printf '%01024d late\\n' 1; exec sleep 1000"), "line late"),
]


@pytest.mark.parametrize(("ready", "command", "what"), NEVER, ids=lambda one: str(one)[:30])
def test_who_is_never_ready_fails_to_start_and_it_is_told_for_what_was_waited(
    start: Start, ready: Any, command: Any, what: str
) -> None:
    daemon = start(worker("b"), worker("a", command, ready=ready, start_timeout=0.5), options=["--verbose"])
    assert daemon.wait() == 69
    assert f"it was not ready in time, waiting for {what}" in daemon.told()


ENDS = [
    ("notify", "exit 3"),
    ({"fd": 3}, "exit 3"),
    ({"fd": 6}, "exit 3"),
    ({"tcp": "127.0.0.1:1"}, "exit 3"),
    ({"http": "http://127.0.0.1:1"}, "exit 3"),
    ({"command": ["sleep", "1000"]}, "exit 3"),
    ({"line": "x"}, "exit 3"),
    ({"after": "10s"}, "exit 3"),
]


@pytest.mark.parametrize(("ready", "script"), ENDS, ids=lambda one: str(one)[:30])
def test_who_ends_before_being_ready_has_failed_to_start(start: Start, ready: Any, script: str) -> None:
    daemon = start(
        supervisor("root", ["b", "a"], intensity=0),
        worker("b"),
        worker("a", sh(f"{AT_THE_GATE}; {script}"), ready=ready),
    )
    wait_until_waiting(daemon)
    daemon.open_gate()
    assert daemon.wait() == 69
    assert "exited with code 3 before it was ready" in daemon.told()


@pytest.mark.parametrize(
    ("ready", "command"),
    [
        ({"fd": 3}, sh(f"{AT_THE_GATE}; echo >&3; exit 3")),
        ("notify", python(f"{NOTIFY}\ngate(); notify(b'READY=1'); sys.exit(3)")),
        ({"line": "up"}, sh(f"{AT_THE_GATE}; echo up; exit 3")),
    ],
)
def test_what_a_worker_said_before_its_end_still_counts(start: Start, ready: Any, command: Any) -> None:
    daemon = start(supervisor("root", ["a"], intensity=0), worker("a", command, ready=ready))
    daemon.open_gate()
    assert daemon.wait() == 70
    assert "a             is ready after" in daemon.told()


# Restarts


def test_a_restart_that_is_not_ready_in_time_is_tried_again(start: Start) -> None:
    script = "[ $PROCSUP_STARTS = 2 ] || echo >&3; exec sleep 1000"
    daemon = start(worker("a", sh(script), ready={"fd": 3}, start_timeout=0.5), worker("b")).wait_until_up()
    events = daemon.events()
    daemon.kill("a")
    told = events.until("ready", "a")
    failed = next(event for event in told if event["event"] == "start_failed")
    assert (failed["reason"], failed["waited_for"]) == ("timeout", "a newline on descriptor 3")
    assert sum(event["event"] == "restarting" for event in told) == 2


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
@pytest.mark.parametrize("ready", ["notify", {"fd": 6}, {"line": "up"}])
def test_a_group_restart_waits_for_each_to_be_ready(start: Start, strategy: str, ready: Any) -> None:
    script = """
if os.environ["PROCSUP_STARTS"] == "2": gate()
print("up", flush=True)
notify(b"READY=1") if "NOTIFY_SOCKET" in os.environ else None
os.path.exists("/proc/self/fd/6") and os.write(6, b"\\n")
"""
    daemon = start(
        supervisor("root", ["a", "b"], strategy=strategy), worker("a", notifies(script), ready=ready), worker("b")
    ).wait_until_up()
    daemon.kill("a")
    wait_until(lambda: daemon.row("a")["starts"] == 2 and daemon.row("b")["pid"] is None, "a has begun anew, b has not")
    wait_until_waiting(daemon)
    assert daemon.row("b")["state"] == "down"
    daemon.open_gate()
    wait_until(lambda: daemon.row("b")["state"] == "running" and daemon.row("b")["starts"] == 2, "b follows")


def test_each_life_has_a_socket_of_its_own_and_the_last_ones_is_gone(start: Start) -> None:
    script = """
print(os.environ["NOTIFY_SOCKET"], flush=True)
notify(b"READY=1")
"""
    daemon = start(worker("a", notifies(script), ready="notify")).wait_until_up()
    events = daemon.events()
    daemon.kill("a")
    events.wait("ready", "a")
    first, second = daemon.log("a").decode().split()
    assert first != second
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as stranger, pytest.raises(ConnectionRefusedError):
        stranger.sendto(b"READY=1", b"\0" + first[1:].encode())


def test_readiness_that_comes_too_late_changes_nothing(start: Start) -> None:
    script = """
signal.signal(signal.SIGTERM, lambda *_: (notify(b"READY=1"), print("said", flush=True)))
if os.environ["PROCSUP_STARTS"] != "2": notify(b"READY=1")
while True: signal.pause()
"""
    keys: dict[str, Any] = {"ready": "notify", "start_timeout": 0.5, "shutdown": 0.3}
    daemon = start(worker("a", notifies(script), **keys), worker("b")).wait_until_up()
    events = daemon.events()
    daemon.kill("a")
    told = events.until("ready", "a")
    assert [event["reason"] for event in told if event["event"] == "start_failed"] == ["timeout"]
    assert [event["pid"] for event in told if event["event"] == "started"][1] == daemon.row("a")["pid"]
    assert daemon.log("a") == b"said\n"


# Who may say so


@needs_root
def test_another_user_cannot_say_that_a_worker_is_ready(start: Start) -> None:
    script = "print(os.environ['NOTIFY_SOCKET'], flush=True); gate(); notify(b'STATUS=alone')"
    daemon = start(worker("a", notifies(script), ready="notify"))
    address = wait_until(lambda: daemon.log("a").strip(), "the address is known")
    child = os.fork()
    if child == 0:
        os.setresuid(61234, 61234, 61234)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as stranger:
            stranger.sendto(b"READY=1", b"\0" + address[1:])
        os._exit(0)
    os.waitpid(child, 0)
    daemon.open_gate()
    wait_until_waiting(daemon, "(alone)")


@needs_root
def test_a_worker_of_another_user_can(start: Start) -> None:
    keys = {"user": "nobody", "cwd": "/", "ready": "notify"}
    start('[daemon]\npreload = ["app"]', target("a", "app:notify_at_once", args=["READY=1"], **keys)).wait_until_up()


@needs_root
def test_a_worker_that_has_become_another_user_can_too(start: Start) -> None:
    become = "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)"
    start(worker("a", notifies(f"{become}; notify(b'READY=1')"), ready="notify")).wait_until_up()


def test_who_is_ready_may_go_on_talking(start: Start) -> None:
    """The default queue of such a socket holds ten."""
    script = "for i in range(1000): notify(b'READY=1\\nSTATUS=%d' % i)\nprint('done', flush=True)"
    daemon = start(worker("a", notifies(script), ready="notify")).wait_until_up()
    wait_until(lambda: daemon.log("a") == b"done\n", "all was said")


# Where descriptors are many, and where there are cgroups


def test_a_crowded_daemon_gives_its_workers_their_descriptors_too(start: Start) -> None:
    """From 512 descriptors on, another thread does it."""
    crowd = [worker(f"w{number}", SLEEP) for number in range(260)]
    speaks = (worker(f"fd{fd}", sh(f"echo >&{fd}; exec sleep 1000"), ready={"fd": fd}) for fd in (3, 4, 5))
    daemon = start(*crowd, *speaks).wait_until_up()
    assert len(os.listdir(f"/proc/{daemon.pid}/fd")) > 512
    assert {row["state"] for row in daemon.status()["tree"]} == {"running"}


@needs_root
def test_a_command_and_what_it_leaves_are_killed_in_their_cgroup(start: Start) -> None:
    leaves = sh("setsid sleep 1000 & sleep 1000 & [ -e open ]")
    with new_cgroup() as cgroup:
        daemon = start(worker("a", sh(f"{AT_THE_GATE}; touch open; exec sleep 1000"), ready={"command": leaves}),
                       program=cgroup.program())  # fmt: skip
        wait_until_waiting(daemon, "(exit 1)")
        assert daemon.status()["daemon"]["containment"] == "cgroup"
        daemon.open_gate()
        daemon.wait_until_up()
        own = f"/procsup-{daemon.pid}/2.a"
        wait_until(
            lambda: [of_process(one.pid).endswith(own) for one in daemon.remaining()].count(True) == 1
            and not any(one for one in daemon.remaining() if "ready" in of_process(one.pid)),
            "the worker is alone",
        )
        assert daemon.stop() == 0
