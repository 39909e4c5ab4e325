"""What `procsup check` shows of a configuration."""

import json

import pytest

from procsup.config.complaint import Complaint, ConfigError
from procsup.config.render import as_json, complaint_text, json_text, tree_lines
from tests.config.conftest import Folder

KINGDOM = """
[supervisor.kingdom]
children = ["api", "lab", "cron"]
intensity = 1
[supervisor.lab]
strategy = "one_for_all"
intensity = 0
period = "2m"
auto_shutdown = "any_significant"
children = ["left", "right"]
[worker.api]
command = "python3 -m 'my api'"
[worker.left]
command = "/bin/spy"
restart = "transient"
significant = true
[worker.right]
command = ["echo", "a\\nb\\u001b[31m"]
restart = "temporary"
umask = "027"
user = 0
nice = 5
limits = { nofile = { soft = 100, hard = "unlimited" }, core = { soft = 0 } }
stdout = "/srv/out"
stderr = "null"
log = { backups = 1 }
env = { TOKEN = "secret", A = "1" }
shutdown = "infinity"
normal_exits = ["TERM", 3, 0]
[worker.cron]
command = "cron"
"""


def test_tree_is_drawn_with_what_was_understood(folder: Folder) -> None:
    assert tree_lines(folder.load(KINGDOM)) == [
        "kingdom  one_for_one, 1 in 5s",
        "├── api  python3 -m 'my api'",
        "├── lab  one_for_all, 0 in 2m, auto_shutdown any_significant",
        "│   ├── left  [transient, significant]  /bin/spy",
        "│   └── right  [temporary]  echo 'a\\nb\\x1b[31m'",
        "└── cron  cron",
    ]


def test_supervisor_without_children_is_drawn(folder: Folder) -> None:
    text = '[supervisor.top]\nchildren = ["a", "idle"]\n[supervisor.idle]\n[worker.a]\ncommand = "x"'

    assert tree_lines(folder.load(text))[1:] == ["├── a  x", "└── idle  one_for_one, 3 in 5s"]


def test_complaint_that_fits_is_one_line() -> None:
    complaint = Complaint("t.toml", 3, "worker.a.umask", "not a umask", "'9'", "octal digits", "write '022'")

    assert complaint_text(complaint) == (
        "t.toml:3: error: worker.a.umask: not a umask; found '9', expected octal digits; write '022'"
    )


def test_long_complaint_is_a_block() -> None:
    complaint = Complaint("t.toml", 3, "worker.a.x", "bad", "y" * 100, "z", "do that", warning=True)

    assert complaint_text(complaint).split("\n") == [
        "t.toml:3: warning: worker.a.x: bad",
        f"    found {'y' * 100}, expected z",
        "    do that",
    ]


def test_complaint_about_a_whole_file_has_neither_line_nor_path() -> None:
    assert complaint_text(Complaint("t.toml", None, "", "cannot read the file")) == (
        "t.toml: error: cannot read the file"
    )


def test_complaint_holds_nothing_that_a_terminal_obeys() -> None:
    complaint = Complaint("\x1b[31m\udcff", 1, "a", "b\nc", "\u202e")

    assert complaint_text(complaint) == "\\x1b[31m\\udcff:1: error: a: b\\nc; found \\u202e"


def test_json_of_a_good_configuration(folder: Folder) -> None:
    config = folder.load(KINGDOM, privileged=True)

    found = as_json("tree.toml", config)

    assert {key: found[key] for key in ("ok", "file", "errors", "warnings")} == {
        "ok": True,
        "file": folder.main,
        "errors": [],
        "warnings": [],
    }
    tree = json.loads(json_text(found["tree"]))
    assert (tree["type"], tree["name"], tree["period"], tree["restart"]) == ("supervisor", "kingdom", 5.0, None)
    assert [child["name"] for child in tree["children"]] == ["api", "lab", "cron"]
    assert tree["children"][1]["children"][1] == {
        "type": "worker",
        "name": "right",
        "command": ["echo", "a\nb\x1b[31m"],
        "target": None,
        "args": None,
        "cwd": str(folder.path),
        "env": ["A", "TOKEN"],
        "inherit_env": True,
        "user": "0",
        "group": None,
        "umask": "027",
        "nice": 5,
        "limits": {"core": {"soft": 0, "hard": None}, "nofile": {"soft": 100, "hard": "unlimited"}},
        "stdin": "null",
        "stdout": "/srv/out",
        "stderr": "null",
        "log": {"max_bytes": 10_000_000, "backups": 1, "timestamps": False},
        "restart": "temporary",
        "significant": False,
        "shutdown": "infinity",
        "stop_signal": "SIGTERM",
        "normal_exits": [0, 3, "SIGTERM"],
        "ready": "exec",
        "start_timeout": 60.0,
        "links": [],
        "monitors": [],
        "trap_exits": False,
        "channel": False,
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('"exec"', "exec"),
        ('"notify"', "notify"),
        ('"channel"', "channel"),
        ("{ fd = 5 }", {"fd": 5}),
        ('{ tcp = "[::1]:80" }', {"tcp": "[::1]:80"}),
        ('{ http = "http://localhost?a" }', {"http": "http://localhost:80/?a"}),
        ('{ command = ["true"] }', {"command": ["true"]}),
        ('{ line = "up$" }', {"line": "up$"}),
        ('{ after = "2s" }', {"after": 2.0}),
    ],
)
def test_json_of_every_way_to_be_ready(folder: Folder, written: str, shown: object) -> None:
    config = folder.load(f'[worker.a]\ncommand = "a"\nready = {written}\n')
    tree = json.loads(json_text(as_json("tree.toml", config)["tree"]))
    assert tree["children"][0]["ready"] == shown
    assert tree["children"][0]["channel"] == (written == '"channel"')


def test_json_of_what_ties_a_worker_to_others(folder: Folder) -> None:
    config = folder.load(
        '[worker.a]\ncommand = "a"\nlinks = ["b"]\nmonitors = ["c", "b"]\ntrap_exits = true\n'
        'start_timeout = "infinity"\n[worker.b]\ncommand = "b"\n[worker.c]\ncommand = "c"\n'
    )
    worker = json.loads(json_text(as_json("tree.toml", config)["tree"]))["children"][0]
    ties = {key: worker[key] for key in ("links", "monitors", "trap_exits", "channel", "start_timeout")}
    assert ties == {
        "links": ["b"], "monitors": ["c", "b"], "trap_exits": True, "channel": True, "start_timeout": "infinity",
    }  # fmt: skip


def test_json_of_a_bad_configuration() -> None:
    error = Complaint("t.toml", 3, "w", "bad", "x", "y", "z")
    warning = Complaint("t.toml", None, "", "odd", warning=True)

    assert as_json("t.toml", ConfigError([error, warning])) == {
        "ok": False,
        "file": "t.toml",
        "tree": None,
        "stop": None,
        "unit": None,
        "errors": [
            {"file": "t.toml", "line": 3, "path": "w", "problem": "bad", "found": "x", "expected": "y", "hint": "z"}
        ],
        "warnings": [
            {"file": "t.toml", "line": None, "path": "", "problem": "odd", "found": "", "expected": "", "hint": ""}
        ],
    }


def test_json_text_is_what_json_reads_back() -> None:
    value = as_json("t", ConfigError([])) | {"a": [], "b": {}, "c": [1, 2.5, None, True, {"x": ["\n", 'ü"']}]}

    assert json.loads(json_text(value)) == value
    assert json_text(value) == json.dumps(value)
