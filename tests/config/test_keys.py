"""Every key of the file: what it accepts, and what it says to what it does not accept."""

import signal

import pytest

from procsup.config.config import DaemonSettings
from procsup.config.load import load
from procsup.core.spec import (
    NORMAL_EXITS,
    AutoShutdown,
    Program,
    Restart,
    Strategy,
    SupervisorSpec,
    WorkerSpec,
)
from tests.config.conftest import Folder, assert_says

WORKER = '[worker.api]\ncommand = "api"\n'
SUPERVISOR = """[supervisor.top]
intensity = 0
children = ["sub"]
[worker.api]
command = "api"
[supervisor.sub]
children = ["api"]
"""


def worker(folder: Folder, line: str) -> WorkerSpec:
    (spec,) = folder.load(WORKER + line).tree.children
    assert isinstance(spec, WorkerSpec)
    return spec


def supervisor(folder: Folder, line: str) -> SupervisorSpec:
    (spec,) = folder.load(SUPERVISOR + line).tree.children
    assert isinstance(spec, SupervisorSpec)
    return spec


def test_a_worker_of_which_the_file_says_nothing_has_the_defaults_of_the_spec(folder: Folder) -> None:
    assert worker(folder, "") == WorkerSpec("api", Program(("api",), cwd=str(folder.path)))


def test_a_supervisor_of_which_the_file_says_nothing_has_the_defaults_of_the_spec(folder: Folder) -> None:
    spec = supervisor(folder, "")

    assert spec == SupervisorSpec("sub", spec.children)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('restart = "transient"', "restart", Restart.TRANSIENT),
        ('shutdown = "infinity"', "shutdown", "infinity"),
        ('shutdown = "brutal_kill"', "shutdown", "brutal_kill"),
        ("shutdown = 0", "shutdown", 0.0),
        ("shutdown = 3", "shutdown", 3.0),
        ("shutdown = 0.25", "shutdown", 0.25),
        ('shutdown = "250ms"', "shutdown", 0.25),
        ('shutdown = "1.5s"', "shutdown", 1.5),
        ('shutdown = "2m"', "shutdown", 120.0),
        ('shutdown = "1h"', "shutdown", 3600.0),
        ('shutdown = "8760h"', "shutdown", 365 * 24 * 3600.0),
        ('stop_signal = "SIGINT"', "stop_signal", "SIGINT"),
        ('stop_signal = "INT"', "stop_signal", "SIGINT"),
        ('stop_signal = "2"', "stop_signal", "SIGINT"),
        ("stop_signal = 2", "stop_signal", "SIGINT"),
        ('stop_signal = "SIGKILL"', "stop_signal", "SIGKILL"),
        ('stop_signal = "IOT"', "stop_signal", "SIGABRT"),
        ('stop_signal = "RTMIN+3"', "stop_signal", f"SIG{signal.SIGRTMIN + 3}"),
        ('start_timeout = "2m"', "start_timeout", 120.0),
        ('start_timeout = "infinity"', "start_timeout", "infinity"),
        ("normal_exits = []", "normal_exits", frozenset()),
        ('normal_exits = [0, 255, "TERM", "SIGINT"]', "normal_exits", frozenset({0, 255, "SIGTERM", "SIGINT"})),
    ],
)
def test_value_of_a_worker(folder: Folder, line: str, field: str, value: object) -> None:
    assert getattr(worker(folder, line), field) == value


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("env = {}", "env", ()),
        ('env = { B = "2", A = "" }', "env", (("A", ""), ("B", "2"))),
        ("inherit_env = false", "inherit_env", False),
        ('cwd = "/srv"', "cwd", "/srv"),
        ('cwd = "/srv/../x/"', "cwd", "/srv/../x"),
        ('umask = "027"', "umask", 0o027),
        ('umask = "0"', "umask", 0),
        ('umask = "0777"', "umask", 0o777),
        ('user = "www-data"', "user", "www-data"),
        ("user = 0", "user", "0"),
        ('user = "1000"', "user", "1000"),
        ('group = "007"', "group", "7"),
        (f'user = "{"0" * 5000}12"', "user", "12"),
        ('user = "00"', "user", "0"),
        ("group = 4294967294", "group", "4294967294"),
        ('group = "domain users"', "group", "domain users"),
        ("nice = -20", "nice", -20),
        ("nice = 19", "nice", 19),
    ],
)
def test_value_of_what_a_worker_runs(folder: Folder, line: str, field: str, value: object) -> None:
    assert getattr(worker(folder, line).program, field) == value


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('strategy = "rest_for_one"', "strategy", Strategy.REST_FOR_ONE),
        ("intensity = 0", "intensity", 0),
        ("period = 0.001", "period", 0.001),
        ('period = "8760h"', "period", 365 * 24 * 3600.0),
        ('auto_shutdown = "any_significant"', "auto_shutdown", AutoShutdown.ANY_SIGNIFICANT),
        ('restart = "temporary"', "restart", Restart.TEMPORARY),
        ('shutdown = "30s"', "shutdown", 30.0),
    ],
)
def test_value_of_a_supervisor(folder: Folder, line: str, field: str, value: object) -> None:
    assert getattr(supervisor(folder, line), field) == value


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ('["a", "b c", ""]', ("a", "b c", "")),
        ('"a b  c"', ("a", "b", "c")),
        ("\"a 'b c' d\\\\ e \\\"\\\"\"", ("a", "b c", "d e", "")),
        ('"a #b $c ~ * ; | >"', ("a", "#b", "$c", "~", "*", ";", "|", ">")),
        ('"""\n  a\n  b\n"""', ("a", "b")),
        ('"a\u00a0b"', ("a\u00a0b",)),
        ('["/bin/a"]', ("/bin/a",)),
    ],
)
def test_command_is_a_list_or_a_line_that_is_split_as_a_shell_does(
    folder: Folder, written: str, command: tuple[str, ...]
) -> None:
    (spec,) = folder.load(f"[worker.api]\ncommand = {written}").tree.children

    assert isinstance(spec, WorkerSpec)
    assert spec.program.command == command


@pytest.mark.parametrize("written", ["bin/api", "./bin/api", "bin//./api"])
def test_program_with_a_slash_is_relative_to_the_folder_of_the_file(folder: Folder, written: str) -> None:
    (spec,) = folder.load(f'[worker.api]\ncommand = ["{written}", "etc/x"]').tree.children

    assert isinstance(spec, WorkerSpec)
    assert spec.program.command == (f"{folder.path}/bin/api", "etc/x")


def test_paths_of_the_daemon_are_relative_to_the_folder_of_the_file(folder: Folder) -> None:
    daemon = '[daemon]\nsocket = "/run/s"\nstate_dir = "state"\nlog_dir = "../log"\n'

    settings = folder.load(daemon + WORKER).daemon

    assert settings == DaemonSettings("/run/s", f"{folder.path}/state", f"{folder.path}/../log")


def test_file_of_the_configuration_is_absolute(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(WORKER, "sub/tree.toml")
    monkeypatch.chdir(folder.path)

    config = load("sub/tree.toml", {}, privileged=False)

    assert config.file == f"{folder.path}/sub/tree.toml"


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        # one word of an enumeration
        ('restart = "permanant"', "restart", ["no such restart", "'permanant'", "did you mean 'permanent'?"]),
        ('restart = "TRANSIENT"', "restart", ["did you mean 'transient'?"]),
        ('restart = "sometimes"', "restart", ["'permanent', 'transient' or 'temporary'"]),
        ("restart = true", "restart", ["not a string", "true", "write 'true' in quotes"]),
        # durations
        ('shutdown = "5"', "shutdown", ["not a duration", "write 5 without quotes, or '5s'"]),
        ('shutdown = "5 s"', "shutdown", ["not a duration", "'5 s'", "'250ms'"]),
        ('shutdown = "1d"', "shutdown", ["not a duration"]),
        ('shutdown = "s"', "shutdown", ["not a duration"]),
        ('shutdown = "\u0665s"', "shutdown", ["not a duration"]),
        ('shutdown = "infinty"', "shutdown", ["did you mean 'infinity'?"]),
        ('shutdown = "brutal-kil"', "shutdown", ["did you mean 'brutal_kill'?"]),
        ("shutdown = -1", "shutdown", ["negative"]),
        ("shutdown = -1e-9", "shutdown", ["negative"]),
        ('shutdown = "-5s"', "shutdown", ["negative"]),
        ("shutdown = nan", "shutdown", ["not a number"]),
        ("shutdown = inf", "shutdown", ["longer than a year", "write 'infinity'"]),
        ("shutdown = -inf", "shutdown", ["negative"]),
        ("shutdown = true", "shutdown", ["true and false are not durations"]),
        ("shutdown = 31536001", "shutdown", ["longer than a year"]),
        ('shutdown = "8761h"', "shutdown", ["longer than a year"]),
        (f'shutdown = "{"9" * 400}h"', "shutdown", ["longer than a year"]),
        (f"shutdown = {'9' * 400}", "shutdown", ["longer than a year", "a very large number"]),
        ("shutdown = [5]", "shutdown", ["not a duration", "[5]"]),
        ("shutdown = 07:32:00", "shutdown", ["not a duration", "07:32:00"]),
        ("start_timeout = 0", "start_timeout", ["a start_timeout of no time", "above 0"]),
        ('start_timeout = "brutal_kill"', "start_timeout", ["not a duration", "or 'infinity'"]),
        ('start_timeout = "infinty"', "start_timeout", ["did you mean 'infinity'?"]),
        ("start_timeout = inf", "start_timeout", ["write 'infinity'"]),
        # signals
        ('stop_signal = "SIGTREM"', "stop_signal", ["no signal of this platform", "did you mean 'SIGTERM'?"]),
        ('stop_signal = "term"', "stop_signal", ["did you mean 'SIGTERM'?"]),
        ('stop_signal = "QIUT"', "stop_signal", ["did you mean 'SIGQUIT'?"]),
        ("stop_signal = 0", "stop_signal", ["no signal", "0"]),
        ("stop_signal = 400", "stop_signal", ["no signal"]),
        ("stop_signal = true", "stop_signal", ["not a string"]),
        # exit codes and signals
        ("normal_exits = 0", "normal_exits", ["not a list", "write [0]"]),
        ("normal_exits = [0, 256]", "normal_exits[1]", ["256", "between 0 and 255"]),
        ("normal_exits = [-1]", "normal_exits[0]", ["-1"]),
        ("normal_exits = [true]", "normal_exits[0]", ["true"]),
        ("normal_exits = [0.0]", "normal_exits[0]", ["0.0"]),
        ('normal_exits = ["0"]', "normal_exits[0]", ["a number in quotes"]),
        ('normal_exits = ["SIGTREM"]', "normal_exits[0]", ["did you mean 'SIGTERM'?"]),
        # yes or no
        ('significant = "true"', "significant", ["true or false, without quotes"]),
        ("inherit_env = 1", "inherit_env", ["neither true nor false", "1"]),
        ('trap_exits = "yes"', "trap_exits", ["neither true nor false"]),
        ("channel = 1", "channel", ["neither true nor false"]),
        # the environment
        ('env = "A=1"', "env", ["not a table", "{ NAME = 'value' }"]),
        ("env = { PORT = 80 }", "env.PORT", ["not a string", "write '80' in quotes"]),
        ('env = { "" = "x" }', 'env.""', ["no name for a variable"]),
        ('env = { "A=B" = "x" }', 'env."A=B"', ["no name for a variable", "without '=' or NUL"]),
        ('env = { "A\\u0000" = "x" }', 'env."A\\u0000"', ["no name for a variable"]),
        ('env = { A = "\\u0000" }', "env.A", ["NUL"]),
        ('env = { PROCSUP_NAME = "x" }', "env.PROCSUP_NAME", ["PROCSUP_NAME is not yours to set"]),
        # paths
        ('cwd = ""', "cwd", ["an empty path"]),
        ("cwd = 3", "cwd", ["not a string"]),
        ('cwd = "~/x"', "cwd", ["'~' is not expanded", "${HOME}/x"]),
        ('cwd = "a\\u0000b"', "cwd", ["NUL"]),
        # umask
        ("umask = 27", "umask", ["not a string", "octal digits in quotes"]),
        ('umask = "028"', "umask", ["not a umask", "'028'"]),
        ('umask = "1000"', "umask", ["not a umask"]),
        ('umask = ""', "umask", ["not a umask"]),
        # users and groups
        ('user = ""', "user", ["an empty name", "the name or the number of a user"]),
        ('user = "alice:staff"', "user", ["no name", "'alice:staff'", "a key of its own: group"]),
        ('group = "a/b"', "group", ["no name", "the name or the number of a group, without ':', '/'"]),
        ('user = "a\\nb"', "user", ["no name", "line ends"]),
        ('user = "a\\u0000b"', "user", ["NUL"]),
        ("user = -1", "user", ["no number of a user", "between 0 and 4294967294"]),
        ('group = "-1"', "group", ["no name", "no '-' before it"]),
        ("user = 4294967295", "user", ["no number of a user"]),
        (f"user = 0x{'f' * 5000}", "user", ["no number of a user", "a very large number"]),
        (f'user = "{"9" * 5000}"', "user", ["no number of a user"]),
        ("user = true", "user", ["neither a name nor a number", "true"]),
        ("user = 1.0", "user", ["neither a name nor a number"]),
        ('group = ["a"]', "group", ["neither a name nor a number", "['a']"]),
        # nice
        ("nice = 20", "nice", ["no nice value", "20", "between -20"]),
        ("nice = -21", "nice", ["no nice value"]),
        ('nice = "5"', "nice", ["no nice value", "'5'"]),
        ("nice = true", "nice", ["no nice value", "true"]),
        ("nice = 1.0", "nice", ["no nice value"]),
        # keys
        ('comand = "x"', "comand", ["unknown key", "one of command, target", "did you mean 'command'?"]),
        ('target = "a:b"', "target", ["both a command and a target"]),
        ("args = [1]", "args", ["no target for these arguments"]),
        ('"odd key" = 1', '"odd key"', ["unknown key"]),
        ('"" = 1', '""', ["unknown key"]),
        ('[worker.api.x]\ncommand = "x"', "x", ["unknown key", '[worker."api.x"]']),
    ],
)
def test_wrong_line_in_a_worker(folder: Folder, line: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(WORKER + line)

    assert (complaint.file, complaint.line, complaint.path) == (folder.main, 3, f"worker.api.{key}")
    assert_says(complaint, words)


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ('strategy = "one-for-al"', "strategy", ["no such strategy", "did you mean 'one_for_all'?"]),
        ("intensity = -1", "intensity", ["a negative number", "0 or more"]),
        ("intensity = 1.0", "intensity", ["not a whole number"]),
        ("intensity = true", "intensity", ["not a whole number"]),
        ('intensity = "3"', "intensity", ["not a whole number", "'3'"]),
        ("intensity = 9223372036854775808", "intensity", ["too large"]),
        ("period = 0", "period", ["a period of no time", "above 0"]),
        ('period = "0ms"', "period", ["a period of no time"]),
        ("period = -1", "period", ["negative"]),
        ("period = 31536001", "period", ["longer than a year"]),
        ('period = "infinity"', "period", ["not a duration"]),
        ('auto_shutdown = "any_significnt"', "auto_shutdown", ["did you mean 'any_significant'?"]),
        ('command = "x"', "command", ["unknown key", "one of strategy"]),
        ("intensty = 3", "intensty", ["did you mean 'intensity'?"]),
    ],
)
def test_wrong_line_in_a_supervisor(folder: Folder, line: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(SUPERVISOR + line)

    assert (complaint.file, complaint.line, complaint.path) == (folder.main, 8, f"supervisor.sub.{key}")
    assert_says(complaint, words)


@pytest.mark.parametrize(
    ("written", "key", "words"),
    [
        ('""', "command", ["there is nothing to run"]),
        ('"  "', "command", ["there is nothing to run"]),
        ("[]", "command", ["there is nothing to run"]),
        ('["", "x"]', "command[0]", ["the name of the program is empty"]),
        ("\"''\"", "command", ["the name of the program is empty"]),
        ("\"echo 'x\"", "command", ["a quotation that does not end", "as a list of words"]),
        ('"echo \\\\"', "command", ["a backslash with nothing after it"]),
        ('["x", 3]', "command[1]", ["not a string", "write '3' in quotes"]),
        ('["x", ["y"]]', "command[1]", ["not a string"]),
        ('["x\\u0000"]', "command[0]", ["NUL"]),
        ('"x \\u0000"', "command", ["NUL"]),
        ("3", "command", ["not a list", "words, or one string"]),
        ("{}", "command", ["not a list", "an empty table"]),
        ('["~/x"]', "command[0]", ["'~' is not expanded"]),
    ],
)
def test_wrong_command(folder: Folder, written: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(f"[worker.api]\n\ncommand = {written}")

    assert (complaint.line, complaint.path) == (3, f"worker.api.{key}")
    assert_says(complaint, words)


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("socket = 3", "socket", ["not a string"]),
        (f'socket = "/{"x" * 107}"', "socket", ["108 bytes long", "at most 107"]),
        ('include = "x.toml"', "include", ["not a list", "write ['x.toml']"]),
        ('include = [""]', "include[0]", ["an empty pattern"]),
        ('include = ["**/x"]', "include[0]", ["'**' is not supported"]),
        ("root = 3", "root", ["not a string"]),
        ('sokcet = "x"', "sokcet", ["unknown key", "did you mean 'socket'?"]),
    ],
)
def test_wrong_line_for_the_daemon(folder: Folder, line: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(f"{WORKER}[daemon]\n{line}")

    assert (complaint.line, complaint.path) == (4, f"daemon.{key}")
    assert_says(complaint, words)


def test_a_worker_without_command_is_told_so_once(folder: Folder) -> None:
    complaint = folder.complaint("\n[worker.api]\nrestart = 'transient'")

    assert (complaint.line, complaint.path) == (2, "worker.api")
    assert_says(complaint, ["no command", "command = ['program', 'argument']"])


def test_a_misspelt_command_is_not_also_a_missing_one(folder: Folder) -> None:
    assert folder.complaint("[worker.api]\ncomand = 'x'").path == "worker.api.comand"


def test_a_misspelt_children_list_makes_no_orphans(folder: Folder) -> None:
    assert folder.complaint('[supervisor.a]\nchildrn = ["x"]\n[worker.x]\ncommand = "x"').path == "supervisor.a.childrn"


def test_every_complaint_comes_at_once_in_order_of_lines(folder: Folder) -> None:
    text = """
        [worker.api]
        command = ["api", 3, "\\u0000"]
        restart = "permanant"
        shutdown = -1
        env = { A = 1, "B=" = "x" }
        [worker.web]
        umask = 22
        [supervisor.top]
        intensity = "x"
        period = 0
        children = ["api", "wbe", 3]
    """

    found = [(complaint.line, complaint.path) for complaint in folder.complaints(text)]

    assert found == [
        (3, "worker.api.command[1]"),
        (3, "worker.api.command[2]"),
        (4, "worker.api.restart"),
        (5, "worker.api.shutdown"),
        (6, "worker.api.env.A"),
        (6, 'worker.api.env."B="'),
        (7, "worker.web"),
        (7, "worker.web"),
        (8, "worker.web.umask"),
        (10, "supervisor.top.intensity"),
        (11, "supervisor.top.period"),
        (12, "supervisor.top.children[2]"),
        (12, "supervisor.top.children[1]"),
    ]


def test_equal_values_of_many_workers_are_one_object(folder: Folder) -> None:
    lines = 'command = "run --fast"\nenv = { A = "1" }\nnormal_exits = [0]\n'

    first, second = folder.load(f"[worker.a]\n{lines}[worker.b]\n{lines}").tree.children

    assert isinstance(first, WorkerSpec)
    assert isinstance(second, WorkerSpec)
    assert first.program is second.program
    assert first.normal_exits is second.normal_exits is NORMAL_EXITS
