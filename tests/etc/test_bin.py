"""bin/procsup and bin/test in a small checkout of their own, where python, venv and sh are real and pip is not."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(__file__).resolve().parents[2] / "bin"

NOTHING: Mapping[str, str] = {}

SETTING_UP = "setting up .venv (once) ...\n"

# What sh keeps for itself, whoever starts it.
OF_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_"}

MAIN = """
import json, os, procsup, sys
environ = [pair.split("=", 1) for pair in open("/proc/self/environ").read().split("\\0") if pair]
said = {"argv": sys.argv[1:], "environ": dict(environ), "cwd": os.getcwd(), "file": procsup.__file__}
said["fds"] = [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)]
json.dump(said, sys.stdout)
"""

TOOL = """
import os, sys
print(os.path.basename(__file__)[:-3], *sys.argv[1:])
sys.exit(os.path.basename(__file__)[:-3] in os.environ.get("FAILING", ""))
"""

# Logs each call. Its pip installs the checkout as editable. When there is a fifo `gate`, pip waits for a line from it;
# when there is a file `no-index`, pip fails.
PYTHON = """#!/bin/sh
tools=${{0%/*}}
echo "$*" >>"$tools/log"
case "$*" in
    *sys.executable*) echo "$0" ;;
    *"-m venv"*) exec "{real}" -m venv --without-pip "$4" ;;
    *"-m pip"*)
        [ ! -e "$tools/gate" ] || read -r _ <"$tools/gate"
        [ ! -e "$tools/no-index" ] || {{ echo "pip: there is no index" >&2; exit 1; }}
        for site in .venv/lib/python3*/site-packages; do pwd >"$site/procsup.pth"; done ;;
    *) exec "{real}" "$@" ;;
esac
"""


@dataclass
class Ran:
    status: int
    out: str
    err: str

    def said(self) -> dict[str, object]:
        assert self.status == 0, self.err
        answer: dict[str, object] = json.loads(self.out)
        return answer


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "check out"
        self.tools = folder / "tools"
        self.tools.mkdir()
        write(self.tools / "python", PYTHON.format(real=sys.executable), mode=0o755)
        shutil.copytree(BIN, self.root / "bin")
        write(self.root / "pyproject.toml", "[project]\n")
        write(self.root / "procsup" / "__init__.py", "")
        write(self.root / "procsup" / "__main__.py", MAIN)
        for tool in ("ruff", "mypy", "pytest", "xdist"):
            write(self.root / f"{tool}.py", TOOL if tool != "xdist" else "")

    def start(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] = NOTHING
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd or self.root,
            env={"PATH": os.environ["PATH"], "PYTHON": str(self.tools / "python"), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] = NOTHING) -> Ran:
        with self.start(*command, cwd=cwd, env=env) as process:
            out, err = process.communicate(timeout=60)
        return Ran(process.returncode, out, err)

    def calls(self, module: str) -> int:
        log = self.tools / "log"
        return log.read_text().count(f"-m {module}") if log.exists() else 0

    def wait_for_call(self, module: str) -> None:
        deadline = time.monotonic() + 30
        while not self.calls(module):
            assert time.monotonic() < deadline, f"no {module} was run"
            select.select([], [], [], 0.01)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    assert checkout.run("bin/procsup").err == f"bin/procsup: {SETTING_UP}"
    return checkout


def test_arguments_arrive_untouched(ready: Checkout) -> None:
    arguments = ["run", "a b", "", "*", "$HOME", "-x", "--", "two\nlines", "\\", "'\""]

    assert ready.run("bin/procsup", *arguments).said()["argv"] == arguments


def test_environment_arrives_untouched_and_the_user_s_python_path_is_not_procsup_s(
    ready: Checkout, tmp_path: Path
) -> None:
    write(tmp_path / "mine" / "json.py", "raise SystemExit('this json is not for procsup')")
    mine = str(tmp_path / "mine")
    given = {"PYTHONPATH": mine, "PYTHONHOME": "/nowhere", "CDPATH": "/", "EMPTY": "", "DOLLAR": "$HOME"}
    of_scripts = {"here": "1", "target": "2", "root": "3", "venv": "4", "python": "5", "level": "6"}

    environ = ready.run("bin/procsup", env=given | of_scripts).said()["environ"]

    assert isinstance(environ, dict)
    expected = {"PATH": os.environ["PATH"], "PYTHON": str(ready.tools / "python"), **given, **of_scripts}
    assert {name: value for name, value in environ.items() if name not in OF_THE_SHELL} == expected


def test_no_descriptor_is_added(ready: Checkout) -> None:
    assert ready.run("bin/procsup").said()["fds"] == [0, 1, 2]


def test_current_folder_stays_and_is_not_imported_from(ready: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "json.py", "raise SystemExit('this json is not for procsup')")
    write(elsewhere / "procsup.py", "raise SystemExit('this is not procsup')")

    said = ready.run(ready.root / "bin" / "procsup", cwd=elsewhere).said()

    assert (said["cwd"], said["file"]) == (str(elsewhere), str(ready.root / "procsup" / "__init__.py"))


def test_checkout_is_found_through_symlinks(ready: Checkout, tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "procsup").symlink_to(ready.root / "bin" / "procsup")
    (tmp_path / "usr" / "bin" / "ps").symlink_to("../procsup")

    for command in (tmp_path / "usr" / "bin" / "ps", "bin/ps", "./procsup"):
        assert ready.run(command, cwd=tmp_path / "usr").said()["file"] == str(ready.root / "procsup" / "__init__.py")


@pytest.mark.parametrize("command", [["./procsup"], ["sh", "procsup"], ["../bin/procsup"]])
def test_checkout_is_found_from_its_own_bin(ready: Checkout, command: list[str]) -> None:
    assert ready.run(*command, cwd=ready.root / "bin").err == ""


def test_second_run_sets_nothing_up(ready: Checkout, tmp_path: Path) -> None:
    write(ready.tools / "python", "#!/bin/sh\nexit 1\n", mode=0o755)
    for name in ("python3", "python3.11", "pip", "pip3"):
        write(tmp_path / "broken" / name, "#!/bin/sh\nexit 1\n", mode=0o755)

    ran = ready.run("bin/procsup", env={"PATH": f"{tmp_path / 'broken'}:{os.environ['PATH']}"})

    assert (ran.status, ran.err) == (0, "")


def test_changed_pyproject_is_installed_into_the_same_venv_once(ready: Checkout) -> None:
    write(ready.root / "pyproject.toml", "[project]\n# changed\n")

    assert ready.run("bin/procsup").err == f"bin/procsup: {SETTING_UP}"
    assert ready.run("bin/procsup").err == ""
    assert (ready.calls("pip"), ready.calls("venv")) == (2, 1)


def test_moved_checkout_gets_a_venv_of_its_own(ready: Checkout) -> None:
    ready.root = ready.root.rename(ready.root.with_name("moved"))

    assert ready.run("bin/procsup").said()["file"] == str(ready.root / "procsup" / "__init__.py")
    assert ready.calls("venv") == 2


def test_venv_whose_python_is_gone_is_made_anew(ready: Checkout) -> None:
    for python in (ready.root / ".venv" / "bin").glob("python*"):
        python.unlink()
        python.symlink_to("/nowhere/python")

    assert ready.run("bin/procsup").status == 0
    assert ready.calls("venv") == 2


def test_venv_made_by_hand_is_taken_over(checkout: Checkout) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout.root / ".venv"], check=True)

    assert checkout.run("bin/procsup").status == 0
    assert (checkout.calls("pip"), checkout.calls("venv")) == (1, 0)


def test_failing_pip_shows_its_error_and_is_tried_again(checkout: Checkout) -> None:
    write(checkout.tools / "no-index", "")

    failed = checkout.run("bin/procsup")

    assert failed.status == 72
    assert failed.out == ""
    assert failed.err.startswith(f"bin/procsup: {SETTING_UP}pip: there is no index\nbin/procsup: cannot set up .venv")
    (checkout.tools / "no-index").unlink()
    assert checkout.run("bin/procsup").status == 0


def test_without_any_python_it_says_what_to_install(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "path").mkdir()
    for tool in ("readlink", "cmp"):
        (tmp_path / "path" / tool).symlink_to(str(shutil.which(tool)))

    ran = checkout.run("bin/procsup", env={"PATH": str(tmp_path / "path"), "PYTHON": "/nowhere/python"})

    assert ran.status == 72
    assert "PYTHON=/nowhere/python is not Python 3.11 or newer" in ran.err
    assert "cannot set up .venv" in ran.err
    assert "there is no Python 3.11 or newer, nor does PYTHON say where it is. Needed: Python 3.11" in ran.err


def test_set_up_that_was_killed_is_done_anew(checkout: Checkout) -> None:
    os.mkfifo(checkout.tools / "gate")
    with checkout.start("bin/procsup") as first:
        checkout.wait_for_call("pip")
        os.killpg(first.pid, signal.SIGKILL)
    (checkout.tools / "gate").unlink()

    assert checkout.run("bin/procsup").status == 0
    assert (checkout.calls("pip"), checkout.calls("venv")) == (2, 2)


def test_of_two_at_once_the_second_waits_and_sets_nothing_up(checkout: Checkout) -> None:
    os.mkfifo(checkout.tools / "gate")
    with checkout.start("bin/procsup") as first, checkout.start("bin/procsup") as second:
        checkout.wait_for_call("pip")
        assert first.stderr is not None
        assert second.stderr is not None
        assert select.select([first.stderr], [], [], 30)[0]
        assert select.select([second.stderr], [], [], 30)[0]
        (checkout.tools / "gate").write_text("open\n")
        said = sorted([first.communicate(timeout=60)[1], second.communicate(timeout=60)[1]])

    assert said == [f"bin/procsup: {SETTING_UP}", "bin/procsup: waiting for another set-up of .venv ...\n"]
    assert (first.returncode, second.returncode, checkout.calls("pip")) == (0, 0, 1)


def test_bin_test_runs_all_steps_and_pytest_has_the_last_word(checkout: Checkout) -> None:
    ran = checkout.run("bin/test")

    assert ran.status == 0
    assert [line for line in ran.out.splitlines() if not line.startswith("bin/test: ")] == [
        "ruff check --quiet .",
        "mypy --no-error-summary",
        "pytest -n logical --maxprocesses 8",
    ]
    assert ran.out.splitlines()[-1].startswith("pytest")


def test_bin_test_does_without_xdist(checkout: Checkout) -> None:
    (checkout.root / "xdist.py").unlink()

    assert checkout.run("bin/test").out.splitlines()[-1] == "pytest"


@pytest.mark.parametrize("step", ["ruff", "mypy", "pytest"])
def test_bin_test_fails_when_a_step_fails_and_runs_the_others(checkout: Checkout, step: str) -> None:
    ran = checkout.run("bin/test", env={"FAILING": step})

    assert ran.status == 1
    assert ran.out.splitlines()[-1].startswith("pytest")
    assert (f"bin/test: {step} FAILED" in ran.out) == (step != "pytest")


def test_bin_test_with_arguments_runs_only_pytest_wherever_it_is_called(checkout: Checkout, tmp_path: Path) -> None:
    ran = checkout.run(checkout.root / "bin" / "test", "tests/core", "-k", "a or b", cwd=tmp_path)

    assert ran.out == "pytest tests/core -k a or b\n"


def test_bin_test_installs_more_than_bin_procsup(ready: Checkout) -> None:
    assert ready.run("bin/test", "x").err == f"bin/test: {SETTING_UP}"

    assert "--editable .[dev]" in (ready.tools / "log").read_text()
    assert ready.run("bin/procsup").err == ""
    assert ready.run("bin/test", "x").err == ""


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
