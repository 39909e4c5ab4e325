"""How every command ends: the table of DESIGN § 6, and a daemon that is not well."""

import errno
import itertools
import socket
from pathlib import Path

import pytest

from procsup.cli.client import no_connection
from procsup.cli.exits import ExitStatus, worst
from procsup.wire.jsonrpc import Failure, encode_failure
from tests.cli.conftest import Ask, Run
from tests.cli.fake_daemon import Answer, FakeDaemon, Manner, Torn, answer_line, failed, result, results
from tests.cli.rows import DOWN, status, supervisor, worker

CLIENTS = [
    ("status",),
    ("tree",),
    ("start", "x"),
    ("stop", "x"),
    ("restart", "x"),
    ("signal", "HUP", "x"),
    ("events",),
    ("events", "-f"),
    ("why", "x"),
    ("start-child", "s", "--", "true"),
    ("delete-child", "x"),
    ("shutdown",),
]
METHODS = ("status", "start", "stop", "restart", "signal", "events", "start_child", "delete_child", "shutdown")


@pytest.mark.parametrize("words", CLIENTS, ids=" ".join)
def test_every_client_command_ends_with_6_where_no_daemon_is(
    words: tuple[str, ...], socket_path: str, procsup: Run
) -> None:
    status, out, err = procsup(*words)
    assert (status, out) == (6, "")
    assert f"no daemon at {socket_path}" in err
    assert "procsup run FILE" in err


def test_a_stale_socket_is_no_daemon(socket_path: str, procsup: Run) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(socket_path)
    listener.close()
    status, _, err = procsup("status")
    assert status == 6
    assert "nobody listens there" in err


def test_a_socket_path_that_cannot_be_one_is_no_daemon(procsup: Run) -> None:
    for path in ("/dev/null/s", "/tmp/" + "x" * 200, "/tmp/"):
        status, _, err = procsup("--socket", path, "status")
        assert status == 6, path
        assert err.startswith("procsup: no daemon at")


def test_a_socket_of_somebody_else_refuses() -> None:
    """Root may connect to every socket, so the kernel's answer is given here."""
    failure = no_connection("/run/s", PermissionError(errno.EACCES, "Permission denied"), 1.0)
    assert failure.status == 5
    assert "be root or the user it runs as" in failure.message


@pytest.mark.parametrize("words", CLIENTS, ids=" ".join)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Failure("no_such_name", "no such name 'x'"), 4),
        (Failure("refused", "cannot do that: running"), 5),
        (Failure("overtaken", "another command wants otherwise"), 1),
        (Failure("failed", "cannot start 'x': exec ENOENT"), 1),
        (Failure("invalid_params", "unknown signal 'FOO'"), 2),
        (Failure("method_not_found", "no method"), 1),
        (Failure("a kind of tomorrow", "no"), 1),
        (Manner.HANG_UP, 1),
        (b"not JSON\n", 1),
        (b"[1,2]\n", 1),
        (b"\xff\xfe\x00\n", 1),
        (b"[" * 100_000 + b"\n", 1),
        (Torn(b'{"jsonrpc":"2.0","id":1,"result":{"tr'), 1),
        (answer_line(99, {}), 1),
        (b'{"jsonrpc":"2.0","id":1,"error":"no object"}\n', 1),
    ],
    ids=str,
)
def test_a_failure_of_the_whole_call(words: tuple[str, ...], answer: Answer, expected: int, ask: Ask) -> None:
    status, out, err = ask(dict.fromkeys(METHODS, answer), *words)
    assert (status, out) == (expected, "")
    assert err.startswith("procsup: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", CLIENTS[:1] + CLIENTS[2:6] + CLIENTS[8:9], ids=" ".join)
@pytest.mark.parametrize(
    "answer",
    [None, 1, "x", [], {}, {"results": 1}, {"results": [1]}, {"results": [{}]}, {"tree": [], "daemon": 1},
     {"tree": [{}], "daemon": {}}],
    ids=str,
)  # fmt: skip
def test_an_answer_of_another_shape_is_a_failure_in_words(words: tuple[str, ...], answer: Answer, ask: Ask) -> None:
    status, out, err = ask(dict.fromkeys(METHODS, answer), *words)
    assert (status, out) == (1, "")
    assert "cannot understand" in err


def test_a_daemon_that_hangs_up_in_mid_answer_is_named(ask: Ask) -> None:
    _, _, err = ask({"status": Torn(b'{"jsonrpc":"2.0","id":1,"result":{"tr')}, "status")
    assert "hung up in the middle of its answer" in err


def test_an_answer_in_many_pieces_is_put_together(ask: Ask) -> None:
    rows = [worker(f"root/w{i}", last_exit="x" * 500) for i in range(3000)]
    status_, out, _ = ask({"status": status(supervisor("root"), *rows)}, "status", "--json")
    assert status_ == 0
    assert out.count("x" * 500) == 3000


def test_a_failure_without_id_is_the_answer_to_our_call(ask: Ask) -> None:
    line = encode_failure(None, Failure("parse_error", "cannot read the request: not JSON"))
    status, _, err = ask({"delete_child": line}, "delete-child", "x")
    assert (status, err) == (1, "procsup: cannot read the request: not JSON\n")


@pytest.mark.parametrize("command", ["start", "stop", "restart"])
def test_waiting_ends_with_7_after_the_timeout(command: str, ask: Ask) -> None:
    status, out, err = ask({command: Manner.SILENCE}, command, "x", "--timeout", "20ms")
    assert (status, out) == (7, "")
    assert err == "procsup: waited for 20ms and no longer: what was asked for goes on; see `procsup status`\n"


def test_a_daemon_that_hangs_is_found_out_before_waiting(ask: Ask) -> None:
    status, _, err = ask({"version": Manner.SILENCE}, "stop", "x", "--timeout", "20ms")
    assert status == 7
    assert "did not answer within" in err


def test_a_daemon_that_accepts_nobody_is_found_out(
    socket_path: str, procsup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procsup.cli.version._PATIENCE", 0.02)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as in_the_queue:
        listener.bind(socket_path)
        listener.listen(0)
        in_the_queue.connect(socket_path)
        status, out, _ = procsup("version")
    assert status == 0
    assert "accepted no connection within 20ms" in out


@pytest.mark.parametrize("command", ["start", "stop", "restart"])
def test_each_name_has_its_line_and_the_worst_decides(command: str, ask: Ask) -> None:
    answer = results(
        result("root/a"),
        failed("root/b", "refused", "cannot do that to b: it is being deleted"),
        failed("root/c", "overtaken", "another command wants otherwise"),
        failed("root/d", "no_such_name", "no such name 'd'"),
    )
    status, out, err = ask({command: answer}, command, "a", "b", "c", "d")
    assert status == 1
    assert out == "a is running, pid 4711\n"
    assert err == (
        "procsup: cannot do that to b: it is being deleted\n"
        "procsup: c: another command wants otherwise\n"
        "procsup: no such name 'd'\n"
    )


def test_the_worst_status_does_not_depend_on_the_order() -> None:
    E = ExitStatus
    for some in itertools.permutations([E.DONE, E.NO_SUCH_NAME, E.REFUSED, E.TIMED_OUT, E.FAILED]):
        assert worst(some) is E.FAILED
    assert worst([E.NO_SUCH_NAME, E.REFUSED, E.DONE]) is E.REFUSED
    assert worst([]) is E.DONE


@pytest.mark.parametrize(
    ("words", "answers", "said"),
    [
        (("start", "a"), {"start": results(result("r/a"))}, "a is running, pid 4711\n"),
        (("stop", "a"), {"stop": results(result("r/a", "down", None))}, "a is down\n"),
        (("restart", "a"), {"restart": results(result("r/a", pid=5))}, "a is running, pid 5\n"),
        (("signal", "HUP", "a"), {"signal": results(result("r/a"))}, "HUP sent to a, pid 4711\n"),
        (("delete-child", "a"), {"delete_child": results(result("r/a", "down", None))}, "a is deleted\n"),
        (("start-child", "r", "--", "true"), {"start_child": result("r/true")}, "true is running, pid 4711\n"),
        (("shutdown",), {"shutdown": {"status": 0}}, "the tree is down; the daemon ended with status 0\n"),
        (("shutdown", "--no-wait"), {"shutdown": {"status": None}}, "the tree is being stopped\n"),
        (("tree",), {"status": status(supervisor("r"), worker("r/a"))}, "r (one_for_one)\n└─ a\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_was_done_is_said_and_ends_with_0(
    words: tuple[str, ...], answers: dict[str, Answer], said: str, ask: Ask
) -> None:
    assert ask(answers, *words) == (0, said, "")


def test_status_ends_with_3_when_something_that_should_run_does_not(ask: Ask) -> None:
    answer = status(supervisor("r"), worker("r/a", ok=False, **DOWN))
    assert ask({"status": answer}, "status")[0] == 3
    assert ask({"status": answer}, "status", "--json")[0] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("strat", "x"),
        ("start",),
        ("stop", "--wait", "x"),
        ("stop", "--timeout", "0", "x"),
        ("stop", "--timeout", "-1", "x"),
        ("stop", "--timeout", "soon", "x"),
        ("signal", "HUP"),
        ("events", "-n", "-1"),
        ("events", "--since", "yesteryear"),
        ("start-child", "s"),
        ("start-child", "s", "--restart", "often", "--", "true"),
        ("run",),
        ("check",),
        ("check", "--socket", "s", "f"),
        ("--socket", "s", "check", "f"),
        ("status", "--bogus"),
        (),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], socket_path: str, procsup: Run) -> None:
    assert procsup(*words)[0] == 2


def test_no_command_at_all_prints_the_help(procsup: Run) -> None:
    _, out, err = procsup()
    assert "Commands:" in out
    assert err == ""


def test_an_unknown_command_is_answered_with_the_nearest(procsup: Run) -> None:
    assert "no such command 'strat'; did you mean 'start'?" in procsup("strat")[2]
    assert "no such command 'xyzzy'; see `procsup --help`" in procsup("xyzzy")[2]


def test_version_needs_no_daemon(socket_path: str, procsup: Run) -> None:
    status, out, err = procsup("version")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == procsup("--version")[1].strip()
    assert out.splitlines()[1] == f"no daemon at {socket_path}: there is no such socket"


def test_version_tells_the_daemons_too(socket_path: str, ask: Ask) -> None:
    assert ask({}, "version")[1].splitlines()[1] == f"daemon 9.9, pid 77, at {socket_path}"


def test_the_socket_option_counts_before_and_after_the_command(tmp_path: Path, socket_path: str, procsup: Run) -> None:
    other = str(tmp_path / "other")
    with FakeDaemon(other, {}) as daemon:
        for words in (
            ("--socket", other, "version"),
            ("version", "--socket", other),
            ("--socket", "x", "version", "--socket", other),
        ):
            assert f"at {other}" in procsup(*words)[1]
    assert len(daemon.asked) == 3
