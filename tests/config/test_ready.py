"""`ready`: every way to be ready, and everything that is none."""

import pytest

from procsup.core.readiness import (
    AT_EXEC,
    Connection,
    Elapsed,
    Line,
    Newline,
    Notify,
    OnChannel,
    Ready,
    Response,
    Success,
)
from procsup.core.spec import WorkerSpec
from tests.config.conftest import Folder, assert_says

WORKER = '[worker.api]\ncommand = "api"\n'


def worker(folder: Folder, lines: str) -> WorkerSpec:
    (spec,) = folder.load(WORKER + lines, {"PORT": "8080"}).tree.children
    assert isinstance(spec, WorkerSpec)
    return spec


@pytest.mark.parametrize(
    ("written", "ready"),
    [
        ('"exec"', AT_EXEC),
        ('"notify"', Notify()),
        ('"channel"', OnChannel()),
        ("{ fd = 3 }", Newline(3)),
        ("{ fd = 1023 }", Newline(1023)),
        ('{ tcp = "localhost:${PORT}" }', Connection("localhost", 8080)),
        ('{ tcp = "127.0.0.1:1" }', Connection("127.0.0.1", 1)),
        ('{ tcp = "[::1]:65535" }', Connection("::1", 65535)),
        ('{ tcp = "[fe80::1%eth0]:80" }', Connection("fe80::1%eth0", 80)),
        ('{ http = "http://localhost" }', Response("localhost", 80, "/")),
        (
            '{ http = "http://localhost:${PORT}/health?full=1&x=%20" }',
            Response("localhost", 8080, "/health?full=1&x=%20"),
        ),
        ('{ http = "http://[::1]:81?a" }', Response("::1", 81, "/?a")),
        ('{ command = "curl -f http://x" }', Success(("curl", "-f", "http://x"))),
        ('{ command = ["/bin/true"] }', Success(("/bin/true",))),
        ("{ line = 'Listening on port \\d+$' }", Line(r"Listening on port \d+$")),
        ('{ after = "250ms" }', Elapsed(0.25)),
        ("{ after = 2 }", Elapsed(2.0)),
    ],
)
def test_way_to_be_ready(folder: Folder, written: str, ready: Ready) -> None:
    assert worker(folder, f"ready = {written}").ready == ready


def test_command_of_a_relative_path_starts_at_the_folder_of_the_file(folder: Folder) -> None:
    spec = worker(folder, 'ready = { command = "bin/is-up" }')
    assert spec.ready == Success((f"{folder.path}/bin/is-up",))


@pytest.mark.parametrize(
    ("written", "key", "words"),
    [
        ("true", "ready", ["neither a word nor a table", "'exec', 'notify' or 'channel'", "{ fd = … }"]),
        ('"notfy"', "ready", ["no such way to be ready", "did you mean 'notify'?"]),
        ('"always"', "ready", ["'exec', 'notify' or 'channel'"]),
        ("{}", "ready", ["an empty table", "{ after = … }"]),
        ('{ fd = 5, after = "2s" }', "ready", ["more than one way"]),
        ('{ port = "x" }', "ready.port", ["unknown key", "fd, tcp, http, command, line, after"]),
        ("{ fd = 2 }", "ready.fd", ["between 3 and 1023", "standard streams"]),
        ("{ fd = 1024 }", "ready.fd", ["between 3 and 1023"]),
        ('{ fd = "5" }', "ready.fd", ["not a whole number"]),
        ("{ tcp = 80 }", "ready.tcp", ["a port without a host", "'localhost:8080'"]),
        ('{ tcp = "80" }', "ready.tcp", ["no address of TCP", "write 'localhost:80'"]),
        ('{ tcp = "localhost" }', "ready.tcp", ["no address of TCP", "'host:port'"]),
        ('{ tcp = ":80" }', "ready.tcp", ["there is no host"]),
        ('{ tcp = "a b:80" }', "ready.tcp", ["no name or address of a host"]),
        ('{ tcp = "::1:80" }', "ready.tcp", ["brackets"]),
        ('{ tcp = "[localhost]x:80" }', "ready.tcp", ["no address of TCP"]),
        ('{ tcp = "localhost:0" }', "ready.tcp", ["no port", "between 1 and 65535"]),
        ('{ tcp = "localhost:65536" }', "ready.tcp", ["no port"]),
        ('{ http = "localhost/health" }', "ready.http", ["no URL of HTTP", "'http://host:port/path'"]),
        ('{ http = "https://localhost" }', "ready.http", ["only plain HTTP"]),
        ('{ http = "http://me@localhost/" }', "ready.http", ["no URL of HTTP"]),
        ('{ http = "http:///x" }', "ready.http", ["there is no host"]),
        ('{ http = "http://localhost/a b" }', "ready.http", ["without spaces"]),
        ('{ http = "http://localhost/a#b" }', "ready.http", ["without fragment"]),
        ('{ http = "http://localhost/\u00e4" }', "ready.http", ["in ASCII"]),
        ('{ http = "http://localhost:99999/" }', "ready.http", ["no port"]),
        ("{ command = [] }", "ready.command", ["there is nothing to run"]),
        ('{ line = "" }', "ready.line", ["an empty pattern"]),
        ('{ line = "(up" }', "ready.line", ["no regular expression", "position 0"]),
        ("{ line = 3 }", "ready.line", ["not a string"]),
        ("{ after = 0 }", "ready.after", ["above 0"]),
        ('{ after = "soon" }', "ready.after", ["not a duration"]),
    ],
)
def test_no_way_to_be_ready(folder: Folder, written: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(f"{WORKER}ready = {written}\n")
    assert (complaint.line, complaint.path) == (3, f"worker.api.{key}")
    assert_says(complaint, words)


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ('ready = "channel"\nchannel = false', "channel", ["has a channel anyway", "take channel away"]),
        ("trap_exits = true\nchannel = false", "channel", ["has a channel anyway"]),
        ("ready = { fd = 3 }\nchannel = true", "ready.fd", ["the mailbox", "5 or more"]),
        ("ready = { fd = 4 }\ntrap_exits = true", "ready.fd", ["the outbox"]),
        ('ready = { line = "up" }\nstdout = "null"\nstderr = "inherit"', "ready.line", ["no output", "is captured"]),
        ('ready = { after = "2m" }', "ready.after", ["cannot be ready in time", "less than the start_timeout, 1m"]),
        ("ready = { after = 1 }\nstart_timeout = 1", "ready.after", ["cannot be ready in time"]),
    ],
)
def test_ways_that_other_keys_forbid(folder: Folder, lines: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(WORKER + lines)
    assert complaint.path == f"worker.api.{key}"
    assert_says(complaint, words)


@pytest.mark.parametrize(
    "lines",
    [
        "ready = { fd = 3 }",
        "ready = { fd = 5 }\nchannel = true",
        'ready = { line = "up" }\nstdout = "null"',
        'ready = { line = "up" }\nstdout = "/var/log/api"\nstderr = "null"',
        'ready = { after = "2m" }\nstart_timeout = "infinity"',
        'ready = "channel"\nchannel = true',
        "trap_exits = false\nchannel = false",
    ],
)
def test_ways_that_other_keys_allow(folder: Folder, lines: str) -> None:
    assert worker(folder, lines).name == "api"


def test_time_to_start_that_is_wrong_is_complained_about_once(folder: Folder) -> None:
    assert (
        folder.complaint(f'{WORKER}ready = {{ after = "2m" }}\nstart_timeout = "x"').path == "worker.api.start_timeout"
    )


@pytest.mark.parametrize(
    ("lines", "has_channel"),
    [
        ("", False),
        ("channel = true", True),
        ("trap_exits = true", True),
        ('ready = "channel"', True),
        ('ready = "notify"', False),
    ],
)
def test_channel_is_there_when_it_is_asked_for_or_needed(folder: Folder, lines: str, has_channel: bool) -> None:
    assert worker(folder, lines).has_channel == has_channel
