"""Python functions as workers, with a real daemon: forks of the warm server."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit import processes
from tests.kit.cgroups import new_cgroup, of_process
from tests.kit.daemon import Daemon
from tests.kit.fixtures import Supervise
from tests.kit.strangers import needs_root
from tests.kit.trees import SLEEP, supervisor, target, tree, worker
from tests.kit.wait import wait_until
from tests.kit.warm import log_of, next_warm_server_of, put_module, warm_server_of

APP = """
import json, os, signal, sys

def stay(*_):
    signal.pause()

def tell(*things, **more):
    print(json.dumps([*things, more]), flush=True)
    stay()

def show(expression):
    import app
    tell(eval(expression))

def end(how):
    exec(how)
"""

Start = Callable[..., Daemon]


@pytest.fixture
def start(supervise: Supervise, tmp_path: Path) -> Start:
    """`start(target(...), ...)` → a daemon with these workers, their functions in a module app beside the file."""

    def start(*workers: str, preload: tuple[str, ...] = (), source: str = APP, **keys: Any) -> Daemon:
        put_module(tmp_path / "daemon1", "app", source)
        head = f"[daemon]\npreload = {json.dumps(preload)}\n"
        return supervise(head + tree(*workers), **keys)

    return start


def shown(daemon: Daemon, name: str = "a") -> Any:
    """What `tell` or `show` told."""
    return json.loads(log_of(daemon, name))[0]


# What a function is given


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["x", 1, [2.5, {"k": True}]], ["x", 1, [2.5, {"k": True}], {}]),
        ({"left": 1, "right": ["r"]}, [{"left": 1, "right": ["r"]}]),
        ([], [{}]),
    ],
)
def test_a_target_is_called_with_its_arguments(start: Start, args: Any, told: Any) -> None:
    daemon = start(target("a", "app:tell", args=args))
    assert json.loads(log_of(daemon, "a")) == told


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("sys.argv", ["app:show"]),
        ("os.getppid() == int(os.environ['PROCSUP_DAEMON'].split('=')[-1].split(':')[0])", True),
        ("os.getsid(0) == os.getpgid(0) == os.getpid()", True),
        ("sorted(map(int, os.listdir('/proc/self/fd')))[:6]", [0, 1, 2, 3, 4, 5]),
        ("len(os.listdir('/proc/self/fd'))", 6),
        ("[os.environ[n] for n in ('PROCSUP_NAME', 'PROCSUP_STARTS', 'OWN')]", ["root/a", "1", "mine"]),
        ("'PROCSUP_ROOM' in os.environ", False),
        ("signal.getsignal(signal.SIGTERM) is signal.SIG_DFL", True),
        ("signal.getsignal(signal.SIGINT) is signal.default_int_handler", True),
        ("[signal.getsignal(n) is signal.SIG_IGN for n in (signal.SIGPIPE, signal.SIGXFSZ)]", [True, True]),
        ("sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))", []),
        ("__import__('threading').main_thread().native_id == os.getpid()", True),
        ("__import__('gc').isenabled()", True),
        ("sys.path[0] == os.getcwd()", True),
        ("open('/proc/self/cmdline').read().rstrip('\\0')", "app:show (a)"),
        ("open('/proc/self/comm').read()", "a\n"),
        ("sys.stdin.read()", ""),
        ("[os.umask(0), os.nice(0)]", [0o27, 3]),
    ],
)
def test_a_target_finds_what_a_program_would(start: Start, expression: str, told: Any) -> None:
    keys: dict[str, Any] = {"umask": "027", "nice": 3} if "umask" in expression else {}
    daemon = start(target("a", "app:show", args=[expression], env={"OWN": "mine"}, **keys))
    assert shown(daemon) == told


@needs_root
def test_a_target_may_be_another_users(start: Start) -> None:
    expression = "[os.getuid() != 0, os.environ['USER'], os.access('/proc/self/fd', os.R_OK)]"
    daemon = start(target("a", "app:show", args=[expression], user="nobody", cwd="/"), preload=("app",))
    assert shown(daemon) == [True, "nobody", True]


def test_a_target_has_its_limits(start: Start) -> None:
    expression = "__import__('resource').getrlimit(__import__('resource').RLIMIT_NOFILE)"
    assert shown(start(target("a", "app:show", args=[expression], limits={"nofile": 77}))) == [77, 77]


@needs_root
def test_a_target_has_a_cgroup_of_its_own_where_there_are_any(start: Start) -> None:
    with new_cgroup() as cgroup:
        daemon = start(target("a", "app:stay"), program=cgroup.program())
        assert of_process(daemon.row("a")["pid"]).endswith(f"/procsup-{daemon.pid}/2.a")
        server = warm_server_of(daemon)
        assert server is not None
        assert of_process(server) == of_process(daemon.pid)
        assert daemon.stop() == 0


def test_a_target_is_imported_from_its_own_folder_first(start: Start, tmp_path: Path) -> None:
    put_module(tmp_path / "other", "here", "from app import tell\ndef run(): tell(__file__)")
    put_module(tmp_path / "daemon1", "here", "")
    daemon = start(target("a", "here:run", cwd=str(tmp_path / "other")), source=APP, preload=("app",))
    assert shown(daemon) == str(tmp_path / "other" / "here.py")


def test_two_targets_do_not_draw_the_same_random_numbers(start: Start) -> None:
    show = {"args": ["__import__('random').random()"]}
    daemon = start(target("a", "app:show", **show), target("b", "app:show", **show), preload=("random",))
    assert shown(daemon, "a") != shown(daemon, "b")


def test_what_a_target_is_named_after_shows_in_its_environment_for_those_who_look_from_outside(start: Start) -> None:
    """So an orphan that it forks is known as its own."""
    daemon = start(target("a", "app:stay"))
    environ = processes.environ_of(daemon.row("a")["pid"])
    assert {b"PROCSUP_NAME=root/a", b"PROCSUP_STARTS=1"} <= set(environ)
    assert any(word.startswith(b"PROCSUP_DAEMON=") for word in environ)


# How it ends


@pytest.mark.parametrize(
    ("how", "reason", "written"),
    [
        ("pass", "normal", []),
        ("sys.exit()", "normal", []),
        ("sys.exit(3)", "exit 3", []),
        ("sys.exit(-1)", "exit 255", []),
        ("sys.exit('sorry')", "exit 1", ["sorry"]),
        ("raise SystemExit", "normal", []),
        ("1 / 0", "exit 1", ["Traceback (most recent call last):", "ZeroDivisionError: division by zero"]),
        ("os.kill(os.getpid(), signal.SIGINT); signal.pause()", "signal SIGINT", ["KeyboardInterrupt"]),
        ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", "signal SIGTERM", []),
        ("print('unflushed')", "normal", ["unflushed"]),
        ("__import__('atexit').register(print, 'bye')", "normal", ["bye"]),
        (
            "__import__('atexit').register(print, 'bye'); 1 / 0",
            "exit 1",
            ["ZeroDivisionError: division by zero", "bye"],
        ),
        ("__import__('threading').Timer(0.05, print, ['late']).start()", "normal", ["late"]),
        ("sys.stdout = open('/dev/full', 'w'); print('x')", "exit 120", []),
        ("os.abort()", "signal SIGABRT", []),
    ],
)
def test_a_target_ends_as_python_does(start: Start, how: str, reason: str, written: list[str]) -> None:
    waiting = 'open(os.environ["GATE"]).readline(); ' + how
    daemon = start(target("a", "app:end", args=[waiting], restart="temporary"), worker("b", SLEEP))
    events = daemon.events()
    daemon.open_gate()
    assert events.wait("exited", "a")["reason"].removesuffix(" core") == reason
    lines = daemon.log("a").decode().splitlines()
    assert [line for line in lines if line in written] == written


def test_a_traceback_begins_with_the_users_code(start: Start) -> None:
    daemon = start(target("a", "app:end", args=["1 / 0"], restart="temporary"), worker("b", SLEEP))
    lines = log_of(daemon, "a", 3).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "/app.py" in lines[1]


# Failures


@pytest.mark.parametrize(
    ("function", "args", "reason", "written"),
    [
        ("nowhere:f", [], "import ENOENT", "No module named 'nowhere'"),
        ("app:nobody", [], "import ENOENT", "has no attribute 'nobody'"),
        ("app:json", [], "import EINVAL", "cannot be called"),
        ("broken:f", [], "import EINVAL", "ZeroDivisionError"),
        ("quits:f", [], "import EINVAL", "SystemExit"),
        ("syntax:f", [], "import EINVAL", "SyntaxError"),
    ],
)
def test_a_target_that_cannot_be_imported_is_a_failed_start_and_its_log_says_why(
    start: Start, tmp_path: Path, function: str, args: list[Any], reason: str, written: str
) -> None:
    for name, source in (("broken", "1 / 0"), ("quits", "import sys; sys.exit(1)"), ("syntax", "def")):
        put_module(tmp_path / "daemon1", name, source)
    daemon = start(target("a", function, args=args), up=False)
    assert daemon.wait() == 69
    assert written in daemon.log("a").decode()
    journal = [json.loads(line) for line in (daemon.state_dir / "journal.jsonl").read_text().splitlines()]
    assert f"start_failed {reason}" in [event.get("reason") for event in journal]


def test_a_child_that_a_module_forks_at_its_import_does_not_hold_up_the_start(start: Start, tmp_path: Path) -> None:
    source = "import os, signal\nif os.fork() == 0: signal.pause()\nfrom app import stay"
    put_module(tmp_path / "daemon1", "forks", source)
    assert start(target("a", "forks:stay")).row("a")["state"] == "running"


def test_a_preload_that_fails_fails_the_starts_and_is_tried_again_with_the_next(start: Start, tmp_path: Path) -> None:
    put_module(tmp_path / "daemon1", "fragile", "raise RuntimeError('not yet')")
    daemon = start(target("a", "app:stay"), preload=("fragile",), up=False)
    assert daemon.wait() == 69
    assert "RuntimeError: not yet" in daemon.log("a").decode()
    assert "cannot preload 'fragile': RuntimeError: not yet" in daemon.told()


def test_a_module_that_is_mended_is_preloaded_at_the_next_restart(start: Start, tmp_path: Path) -> None:
    put_module(tmp_path / "daemon1", "fragile", "")
    daemon = start(
        supervisor("root", ["a"], intensity=1000, period="1s"), target("a", "app:stay"), preload=("fragile",)
    )
    put_module(tmp_path / "daemon1", "fragile", "raise RuntimeError('not now')")
    server = warm_server_of(daemon)
    assert server is not None
    os.kill(server, signal.SIGKILL)
    events = daemon.events()
    daemon.kill("a")
    assert events.wait("start_failed", "a")["reason"] == "start_failed preload EINVAL"
    put_module(tmp_path / "daemon1", "fragile", "")
    events.wait("ready", "a")


def test_a_function_with_wrong_arguments_fails_when_it_is_called(start: Start) -> None:
    daemon = start(target("a", "app:end", args=["x", "y"], restart="temporary"), worker("b", SLEEP))
    assert "TypeError: end() takes 1 positional argument but 2 were given" in log_of(daemon, "a")


# The server


def test_there_is_no_warm_server_without_a_target(start: Start) -> None:
    daemon = start(worker("a", SLEEP), preload=("json",))
    assert warm_server_of(daemon) is None


def test_workers_live_on_when_the_warm_server_dies_and_it_comes_back(start: Start) -> None:
    daemon = start(target("a", "app:stay"))
    worker_before, server = daemon.process("a"), warm_server_of(daemon)
    assert server is not None
    os.kill(server, signal.SIGKILL)
    next_warm_server_of(daemon, server)
    assert daemon.process("a") == worker_before
    events = daemon.events()
    daemon.kill("a")
    events.wait("ready", "a")


def test_a_start_that_a_dying_server_had_is_tried_with_the_next(start: Start) -> None:
    daemon = start(target("a", "app:stay"))
    server = warm_server_of(daemon)
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    wait_until(lambda: processes.stat_of(server).state == "T", "the server is stopped")
    events = daemon.events()
    daemon.kill("a")
    events.wait("starting", "a")
    os.kill(server, signal.SIGKILL)
    assert events.wait("ready", "a")
    assert daemon.row("a")["restarts"] == 1


def test_what_is_preloaded_is_imported_once(start: Start, tmp_path: Path) -> None:
    count = tmp_path / "count"
    put_module(tmp_path / "daemon1", "counted", f"open({str(count)!r}, 'a').write('x')")
    daemon = start(target("a", "app:stay"), target("b", "app:stay"), preload=("counted", "app"))
    events = daemon.events()
    daemon.kill("a")
    events.wait("ready", "a")
    assert count.read_text() == "x"


def test_threads_of_a_preloaded_module_are_warned_of(start: Start, tmp_path: Path) -> None:
    source = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    put_module(tmp_path / "daemon1", "busy", source)
    daemon = start(target("a", "app:stay"), preload=("busy",))
    assert "preload has started threads (1)" in daemon.told()


def test_a_child_of_a_target_that_left_its_session_does_not_outlive_it(start: Start) -> None:
    """It never executed anything, so only what the target shows of its environment names its owner."""
    leaves = """
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    open(os.environ["REPORT"], "a").write(f"a {os.getpid()}\\\\n")
    signal.pause()
os.wait()
signal.pause()
"""
    daemon = start(target("a", "app:end", args=[leaves.replace("\\\\n", "\\n")]))
    child = daemon.report_of("a")
    daemon.call("stop", names=["a"])
    assert not processes.is_alive(child)


def test_targets_talk_over_their_channel_with_the_library(start: Start) -> None:
    source = (
        APP
        + """
from procsup.worker import attach, receive, send

def echo():
    attach()
    while True:
        message = receive()
        send(message.sender, message.body)

def ask():
    attach()
    send("echo", {"n": 1})
    tell(receive().body)
"""
    )
    daemon = start(
        supervisor("root", ["echo", "ask"]), target("echo", "app:echo"), target("ask", "app:ask"), source=source
    )
    assert shown(daemon, "ask") == {"n": 1}


def test_a_target_that_hangs_in_its_import_can_be_stopped(start: Start, tmp_path: Path) -> None:
    put_module(tmp_path / "daemon1", "slow", "import signal; signal.pause()")
    daemon = start(supervisor("root", ["b", "a"]), worker("b", SLEEP), target("a", "slow:f", shutdown=1), up=False)
    daemon.wait_until_listening()
    wait_until(lambda: warm_server_of(daemon), "the server is there")
    assert daemon.stop() == 0
