"""Where the socket, the state and the logs are: by option, environment, file and default."""

import pytest

from procsup.config.config import DaemonSettings
from procsup.runtime.places import Places, choose, socket_path

NOTHING = DaemonSettings()
FILE = DaemonSettings("/file/s", "/file/state", "/file/logs")
USER, ROOT = 1000, 0
DEFAULT = "/run/procsup/procsup.sock"

Environ = dict[str, str]


@pytest.mark.parametrize(
    ("option", "environ", "setting", "uid", "expected"),
    [
        ("/option", {"PROCSUP_SOCKET": "/env", "RUNTIME_DIRECTORY": "/run/unit"}, "/file", USER, "/option"),
        (None, {"PROCSUP_SOCKET": "/env", "RUNTIME_DIRECTORY": "/run/unit"}, "/file", USER, "/env"),
        (None, {"RUNTIME_DIRECTORY": "/run/unit"}, "/file", USER, "/file"),
        (None, {"RUNTIME_DIRECTORY": "/run/u:/run/v", "XDG_RUNTIME_DIR": "/x"}, None, ROOT, "/run/u/procsup.sock"),
        (None, {"XDG_RUNTIME_DIR": "/x"}, None, ROOT, DEFAULT),
        (None, {"XDG_RUNTIME_DIR": "/x", "HOME": "/h"}, None, USER, "/x/procsup/procsup.sock"),
        (None, {"HOME": "/h"}, None, USER, "/h/.local/state/procsup/procsup.sock"),
        (None, {"HOME": "/h", "XDG_STATE_HOME": "/xs"}, None, USER, "/xs/procsup/procsup.sock"),
        ("", {"PROCSUP_SOCKET": "", "RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": "/x"}, None, ROOT, DEFAULT),
    ],
)  # fmt: skip
def test_socket_is_where_the_first_of_them_says(
    option: str | None, environ: Environ, setting: str | None, uid: int, expected: str
) -> None:
    assert socket_path(option, environ, uid, setting) == expected


@pytest.mark.parametrize(
    ("settings", "environ", "uid", "expected"),
    [
        (FILE, {"STATE_DIRECTORY": "/env/state", "LOGS_DIRECTORY": "/env/logs"}, USER, ("/file/state", "/file/logs")),
        (NOTHING, {"STATE_DIRECTORY": "/env/state", "LOGS_DIRECTORY": "/env/logs"}, USER, ("/env/state", "/env/logs")),
        (NOTHING, {"STATE_DIRECTORY": "/a:/b", "LOGS_DIRECTORY": "/c:/d"}, ROOT, ("/a", "/c")),
        (NOTHING, {}, ROOT, ("/var/lib/procsup", "/var/log/procsup")),
        (NOTHING, {"HOME": "/h"}, USER, ("/h/.local/state/procsup", "/h/.local/state/procsup/logs")),
        (NOTHING, {"HOME": "/h", "XDG_STATE_HOME": "/xs"}, USER, ("/xs/procsup", "/xs/procsup/logs")),
    ],
)
def test_state_and_logs_are_where_the_first_of_them_says(
    settings: DaemonSettings, environ: Environ, uid: int, expected: tuple[str, str]
) -> None:
    places = choose(settings, environ, uid)
    assert (places.state_dir, places.log_dir) == expected


def test_options_come_before_everything_else() -> None:
    environ = {"PROCSUP_SOCKET": "/env/s", "STATE_DIRECTORY": "/env/state", "LOGS_DIRECTORY": "/env/logs"}
    places = choose(FILE, environ, ROOT, socket="/o/s", state_dir="/o/state", log_dir="/o/logs")
    assert places == Places("/o/s", "/o/state", "/o/logs")


def test_relative_option_is_relative_to_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    assert choose(FILE, {}, ROOT, socket="s", state_dir="x/../state").state_dir == "/usr/state"
    assert choose(FILE, {}, ROOT, socket="s").socket == "/usr/s"
