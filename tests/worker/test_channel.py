"""A worker and a daemon: the daemon is a fake, the worker a real process that uses the library."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from procsup.worker import NoChannel, attach, link, monitor, ready, send, unlink, whereis
from tests.worker.fake_daemon import FakeDaemon

SHOW = """
def show(*things):
    send("test", [repr(thing) for thing in things])
"""
"""Tells the test in words."""


def told(daemon: FakeDaemon) -> list[str]:
    message = daemon.next()
    assert message["type"] == "send", message
    words: list[str] = message["body"]
    return words


def test_a_worker_says_that_it_is_ready() -> None:
    with FakeDaemon("attach(); ready(); ready()") as daemon:
        assert daemon.next() == {"type": "ready"}
        assert daemon.next() == {"type": "ready"}
        assert daemon.end() == (0, "", "")


def test_messages_to_names_are_json_and_so_are_those_from_them() -> None:
    with FakeDaemon(SHOW + "attach(); send('eve', {'a': [1, None]}); show(receive(), receive())") as daemon:
        assert daemon.next() == {"type": "send", "to": "eve", "body": {"a": [1, None]}}
        daemon.say(type="message", **{"from": "eve"}, body={"ä": 1.5})
        daemon.say(type="message", **{"from": "bob"}, body="x")

        assert told(daemon) == ["Message(sender='eve', body={'ä': 1.5})", "Message(sender='bob', body='x')"]


def test_receive_selects_among_messages_of_the_daemon_and_of_processes() -> None:
    source = (
        SHOW
        + """
attach()
here = self_()
Process.spawn(lambda: send(here, "local"))
show(receive(lambda message: message == "local"), receive(), os.environ.get("PROCSUP_MAILBOX_FD"))
"""
    )
    with FakeDaemon(source) as daemon:
        daemon.say(type="message", **{"from": "eve"}, body=1)

        assert told(daemon) == ["'local'", "Message(sender='eve', body=1)", "None"]


@pytest.mark.parametrize("verb", ["link", "unlink", "whereis"])
def test_a_request_waits_for_its_reply_and_no_other(verb: str) -> None:
    with FakeDaemon(SHOW + f"attach(); trap_exits(True); show({verb}('eve'), receive(timeout=0))") as daemon:
        assert daemon.next() == {"type": "trap_exits", "on": True}
        request = daemon.next()
        assert request == {"type": verb, "id": request["id"], "name": "eve"}
        daemon.say(type="reply", id=request["id"] + 1000, result=5)
        daemon.say(type="message", **{"from": "eve"}, body="meanwhile")
        daemon.say(type="reply", id=request["id"], result=7)

        assert told(daemon) == ["7" if verb == "whereis" else "None", "Message(sender='eve', body='meanwhile')"]


@pytest.mark.parametrize(("traps", "end"), [(True, ["Exited(pid='eve', reason='noproc')"]), (False, ["noproc"])])
def test_a_link_to_a_worker_that_does_not_run_is_an_exit_or_a_message(traps: bool, end: list[str]) -> None:
    source = (
        SHOW
        + f"""
attach()
trap_exits({traps})
try:
    link("eve")
    show(receive(timeout=0))
except Exit as error:
    send("test", [error.reason])
"""
    )
    with FakeDaemon(source) as daemon:
        daemon.next()
        daemon.say(type="reply", id=daemon.next()["id"], result=False)

        assert told(daemon) == end


def test_a_refused_request_says_why() -> None:
    with FakeDaemon("attach(); whereis('eve')") as daemon:
        daemon.say(type="reply", id=daemon.next()["id"], error={"kind": "x", "message": "not today"})

        status, _, err = daemon.end()
        assert status == 1
        assert "cannot whereis 'eve': the daemon says not today" in err


def test_supervisors_are_asked_for_their_children() -> None:
    source = (
        SHOW
        + """
attach()
show(Supervisor.which_children("lab"))
show(Supervisor.start_child("lab", ("sleep", "9"), name="new"))
try:
    Supervisor.terminate_child("lab", "old")
except Refused as error:
    show(error.reason, str(error))
"""
    )
    with FakeDaemon(source) as daemon:
        request = daemon.next()
        assert request == {"type": "which_children", "id": request["id"], "supervisor": "lab"}
        daemon.say(type="reply", id=request["id"], result=[{"id": "old", "pid": "undefined", "type": "worker"}])
        assert told(daemon) == ["[Child(id='old', pid='undefined', type='worker')]"]
        request = daemon.next()
        spec = {"supervisor": "lab", "command": ["sleep", "9"], "name": "new", "restart": "permanent"}
        assert request == {"type": "start_child", "id": request["id"], **spec}
        daemon.say(type="reply", id=request["id"], result={"name": "new", "pid": 77})
        assert told(daemon) == ["77"]
        request = daemon.next()
        assert request == {"type": "terminate_child", "id": request["id"], "supervisor": "lab", "name": "old"}
        daemon.say(type="reply", id=request["id"], error={"kind": "not_found", "message": "no such child"})
        assert told(daemon) == ["'not_found'", "\"cannot terminate_child 'lab': the daemon says no such child\""]


def test_a_monitor_has_a_ref_and_its_down_comes_once() -> None:
    with FakeDaemon(SHOW + "attach(); ref = monitor('eve'); show(receive(), ref)") as daemon:
        request = daemon.next()
        assert request == {"type": "monitor", "ref": request["ref"], "name": "eve"}
        daemon.say(type="down", ref=request["ref"] + 1, name="eve", pid=1, reason="not asked for")
        daemon.say(type="down", ref=request["ref"], name="eve", pid=77, reason="signal SIGSEGV")

        ref = request["ref"]
        assert told(daemon) == [f"Down(ref={ref}, pid='eve', reason='signal SIGSEGV')", str(ref)]


def test_after_demonitor_a_down_that_was_on_its_way_is_thrown_away() -> None:
    source = SHOW + "attach(); ref = monitor('eve'); demonitor(ref); show(receive())"
    with FakeDaemon(source) as daemon:
        ref = daemon.next()["ref"]
        assert daemon.next() == {"type": "demonitor", "ref": ref, "flush": True}
        daemon.say(type="down", ref=ref, name="eve", pid=77, reason="normal")
        daemon.say(type="message", **{"from": "eve"}, body="hello")

        assert told(daemon) == ["Message(sender='eve', body='hello')"]


def test_exit_signals_and_the_supervisors_shutdown_are_exits() -> None:
    with FakeDaemon(SHOW + "attach(); show(receive(), receive())") as daemon:
        daemon.say(type="exit", **{"from": "eve"}, reason="signal SIGKILL")
        daemon.say(type="shutdown")

        assert told(daemon) == ["Exited(pid='eve', reason='signal SIGKILL')", "Exited(pid='lab', reason='shutdown')"]


@pytest.mark.parametrize("waiting", ["receive()", "receive(timeout=60)", "whereis('eve')", "link('eve')"])
def test_a_worker_whose_daemon_is_gone_ends_unless_it_catches_that(waiting: str) -> None:
    with FakeDaemon(f"attach(); send('test', 1); {waiting}") as daemon:
        daemon.next()
        daemon.hang_up()

        status, _, err = daemon.end()
        assert status == 1
        assert err.endswith("Exit: noconnection\n")


def test_what_came_before_the_daemon_was_gone_can_still_be_received() -> None:
    with FakeDaemon("attach(); print(receive(), receive())") as daemon:
        daemon.say(type="message", **{"from": "eve"}, body=1)
        daemon.say(type="message", **{"from": "eve"}, body=2)
        daemon.hang_up()

        assert daemon.end()[:2] == (0, "Message(sender='eve', body=1) Message(sender='eve', body=2)\n")


def test_processes_of_a_worker_end_with_it_when_its_daemon_is_gone() -> None:
    source = "attach(); pid = Process.spawn(receive); send('test', pid.number); receive()"
    with FakeDaemon(source) as daemon:
        number = daemon.next()["body"]
        daemon.hang_up()

        daemon.end()
        assert not os.path.exists(f"/proc/{number}")


def test_a_spawned_process_has_no_channel() -> None:
    source = (
        SHOW
        + """
attach()
here = self_()
def child():
    try:
        send("eve", "hello")
    except NoChannel as error:
        send(here, str(error))
    try:
        attach()
    except NoChannel as error:
        send(here, str(error))
Process.spawn(child)
show(receive(), receive())
"""
    )
    with FakeDaemon(source) as daemon:
        first, second = told(daemon)
        assert first.startswith("\"cannot reach 'eve': this process has no channel")
        assert second.startswith("'cannot attach: PROCSUP_MAILBOX_FD is not set")


def test_the_channel_is_not_inherited_by_programs() -> None:
    source = "attach(); import subprocess; p = subprocess.Popen(['cat'], close_fds=False, stdin=subprocess.PIPE)\n"
    with FakeDaemon(source + "send('test', p.pid); print(receive()); p.communicate()") as daemon:
        pid = daemon.next()["body"]
        opened = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}

        assert not {f"pipe:[{os.fstat(fd).st_ino}]" for fd in (daemon.mailbox, daemon.outbox)} & opened
        daemon.say(type="message", **{"from": "eve"}, body="go")
        assert daemon.end()[0] == 0


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"type":"message","from":"eve"}', b'{"type":"something new"}', b"\xff\xff"]
)
def test_a_line_that_is_not_understood_is_complained_of_and_costs_nothing_else(line: bytes) -> None:
    with FakeDaemon(SHOW + "attach(); show(receive())") as daemon:
        daemon.say_line(line)
        daemon.say(type="message", **{"from": "eve"}, body="hello")

        assert told(daemon) == ["Message(sender='eve', body='hello')"]
        assert "procsup: cannot read the message: " in daemon.end()[2]


def test_messages_may_come_in_any_pieces() -> None:
    with FakeDaemon(SHOW + "attach(); show(receive(), receive())") as daemon:
        lines = b'{"type":"message","from":"eve","body":"\xc3\xa4"}\n{"type":"shutdown"}\n'
        for byte in lines:
            os.write(daemon.mailbox, bytes([byte]))

        assert told(daemon) == ["Message(sender='eve', body='ä')", "Exited(pid='lab', reason='shutdown')"]


def test_a_worker_that_sends_more_than_the_pipe_holds_waits_and_can_be_interrupted() -> None:
    """And what was interrupted is completed by the next message, so that no line is broken."""
    source = """
import signal
attach()
def interrupt(*_):
    raise InterruptedError
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.1)
sent = 0
try:
    while True:
        send("eve", [sent] * 5000)
        sent += 1
except InterruptedError:
    print(sent, flush=True)
send("eve", "last")
"""
    with FakeDaemon(source) as daemon:
        assert daemon.worker.stdout is not None
        sent = int(daemon.worker.stdout.readline())
        bodies: list[Any] = []
        while bodies[-1:] != ["last"]:
            bodies.append(daemon.next()["body"])

        assert bodies[:sent] == [[number] * 5000 for number in range(sent)]
        assert bodies[sent:] in (["last"], [[sent] * 5000, "last"])


def test_a_message_that_is_too_long_or_no_json_is_not_sent() -> None:
    source = """
attach()
for body in ("x" * 65536, {1, 2}, float("nan")):
    try:
        send("eve", body)
    except (ValueError, TypeError) as error:
        send("test", str(error))
"""
    with FakeDaemon(source) as daemon:
        words = [daemon.next()["body"] for _ in range(3)]
        assert "as JSON it has 65573 bytes, at most 65536 are possible" in words[0]
        assert "not JSON serializable" in words[1]
        assert "Out of range float values" in words[2]


def test_a_name_means_nothing_without_a_channel() -> None:
    uses: list[Callable[[], object]] = [
        partial(send, "eve", 1), partial(link, "eve"), partial(unlink, "eve"), partial(monitor, "eve"),
        partial(whereis, "eve"), ready,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(NoChannel, match=r"attach\(\)"):
            use()


@pytest.mark.parametrize("value", ["x", "-1", "999"])
def test_a_channel_that_is_none_is_not_attached_to(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCSUP_MAILBOX_FD", value)
    monkeypatch.setenv("PROCSUP_OUTBOX_FD", value)

    with pytest.raises(NoChannel, match=f"PROCSUP_MAILBOX_FD is '{value}', which is no open descriptor"):
        attach()
