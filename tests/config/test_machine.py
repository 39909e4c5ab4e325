"""What this machine will refuse a worker. The accounts are those that this machine has."""

import grp
import os
import pwd
import resource
import subprocess
import sys

import pytest

from tests.config.conftest import Folder, assert_says

OWN = {"user": os.geteuid(), "group": os.getegid()}


def worker(*lines: str) -> str:
    return "\n".join(('[worker.api]\ncommand = "api"', *lines, ""))


def account(kind: str, *, own: bool) -> str:
    """The name of an account of this machine that is, or is not, our own."""
    if kind == "user":
        numbers = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    else:
        numbers = {group.gr_name: group.gr_gid for group in grp.getgrall()}
    name = next((name for name, number in numbers.items() if (number == OWN[kind]) is own), None)
    if name is None:
        pytest.skip(f"no such {kind} on this machine")
    return name


@pytest.mark.parametrize("kind", ["user", "group"])
@pytest.mark.parametrize("privileged", [True, False])
def test_account_that_does_not_exist_is_warned_of(folder: Folder, kind: str, privileged: bool) -> None:
    config = folder.load(worker(f'{kind} = "no such one"'), privileged=privileged)

    (warning,) = config.warnings
    assert (warning.file, warning.line, warning.path) == (folder.main, 3, f"worker.api.{kind}")
    assert warning.warning
    assert_says(warning, [f"there is no such {kind} on this machine", "'no such one'", "will fail to start"])


@pytest.mark.parametrize("kind", ["user", "group"])
def test_account_that_almost_exists_is_suggested(folder: Folder, kind: str) -> None:
    (warning,) = folder.warnings(worker(f'{kind} = "{account(kind, own=True)}x"'))

    assert_says(warning, ["did you mean '"])


@pytest.mark.parametrize("kind", ["user", "group"])
def test_another_account_is_warned_of_unless_we_are_root(folder: Folder, kind: str) -> None:
    text = worker(f'{kind} = "{account(kind, own=False)}"')

    (warning,) = folder.load(text, privileged=False).warnings
    assert (warning.line, warning.path) == (3, f"worker.api.{kind}")
    assert_says(warning, [f"only root may give a worker another {kind}", f"{kind} {OWN[kind]} runs procsup"])

    assert folder.load(text, privileged=True).warnings == ()


@pytest.mark.parametrize("kind", ["user", "group"])
def test_our_own_account_is_not_warned_of(folder: Folder, kind: str) -> None:
    assert folder.warnings(worker(f'{kind} = "{account(kind, own=True)}"')) == []
    assert folder.warnings(worker(f"{kind} = {OWN[kind]}")) == []


@pytest.mark.parametrize("kind", ["user", "group"])
def test_number_needs_no_account(folder: Folder, kind: str) -> None:
    unknown = 4_000_000_000

    assert folder.load(worker(f"{kind} = {unknown}"), privileged=True).warnings == ()
    (warning,) = folder.warnings(worker(f"{kind} = {unknown}"))
    assert_says(warning, [f"only root may give a worker another {kind}", f"'{unknown}'"])


def test_every_worker_with_a_wrong_account_is_warned_of(folder: Folder) -> None:
    text = "".join(f'[worker.w{i}]\ncommand = "x"\nuser = "no such one"\n' for i in range(3))

    assert [warning.line for warning in folder.warnings(text)] == [3, 6, 9]


def test_wrong_accounts_are_warned_of_beside_errors(folder: Folder) -> None:
    complaints = folder.complaints(worker('user = "no such one"', "nice = 99"))

    assert [(complaint.warning, complaint.path) for complaint in complaints] == [
        (False, "worker.api.nice"),
        (True, "worker.api.user"),
    ]


def lowest_nice() -> int:
    return 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]


@pytest.mark.skipif(lowest_nice() <= -20, reason="everybody may do everything here")
def test_a_negative_nice_is_warned_of_unless_we_are_root(folder: Folder) -> None:
    (warning,) = folder.load(worker("nice = -20"), privileged=False).warnings

    assert (warning.line, warning.path) == (3, "worker.api.nice")
    assert_says(warning, ["only root may make a worker more urgent", "-20"])
    assert folder.load(worker("nice = -20"), privileged=True).warnings == ()


@pytest.mark.parametrize("nice", [0, 1, 19])
def test_a_nice_that_everybody_may_have_is_not_warned_of(folder: Folder, nice: int) -> None:
    assert folder.warnings(worker(f"nice = {nice}")) == []


def test_a_negative_nice_that_the_limit_allows_is_not_warned_of(folder: Folder) -> None:
    """setrlimit(2): with a limit of 25, -5 is the lowest."""
    script = """
import resource, sys
from procsup.config.load import load
try:
    resource.setrlimit(resource.RLIMIT_NICE, (25, 25))
except ValueError:
    sys.exit("the limit cannot be raised")
print(*(len(load(file, {}, privileged=False).warnings) for file in sys.argv[1:]))
"""
    files = [folder.write(worker(f"nice = {nice}"), f"{nice}.toml") for nice in (-5, -6)]
    told = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True)
    if "cannot be raised" in told.stderr:
        pytest.skip("the limit cannot be raised")

    assert told.stdout == "0 1\n"


@pytest.mark.parametrize(
    ("lines", "imported"), [([], []), (['user = "0"', "group = 0", "nice = 1"], []), (['user = "x"'], ["pwd"])]
)
def test_accounts_are_imported_only_for_names(folder: Folder, lines: list[str], imported: list[str]) -> None:
    script = """
import sys
from procsup.config.load import load
sys.modules.pop("pwd", None), sys.modules.pop("grp", None)
load(sys.argv[1], {}, privileged=False)
print(*sorted({"pwd", "grp"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script, folder.write(worker(*lines))]

    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.split() == imported
