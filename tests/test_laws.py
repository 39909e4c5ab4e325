"""The laws of the house that can be read off the source: who may import whom, who may reap, who may spawn.

A module is read once into its *mentions*: every dotted name that it imports or uses, aliases resolved ("os.fork" for
`import os as o; o.fork` and for `from os import fork`). An attribute of something unknown is "?.fork". The tables below
are the laws; the functions beneath them know none.
"""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

FLOORS = {"core": 0, "config": 1, "wire": 1, "worker": 2, "runtime": 3, "cli": 4}
"""A floor imports itself and lower floors. procsup/__main__.py is above all, procsup/__init__.py imports nothing."""

TOP_LEVEL = {"pyproject.toml", "bin", "procsup", "tests", "etc", "README.md"}
"""What the checkout holds, beside dot files."""


@dataclass(frozen=True)
class Banned:
    """Files that match `where` (a glob over the whole path, except those in `but`) do not mention `names`."""

    where: str
    names: tuple[str, ...]
    why: str
    but: tuple[str, ...] = ()


CORE_IS_PURE = (
    "os", "io", "sys", "pathlib", "tempfile", "shutil", "fcntl", "ctypes", "importlib", "resource",
    "time", "datetime", "random", "secrets", "uuid", "logging",
    "signal", "socket", "select", "selectors", "subprocess", "multiprocessing", "threading", "asyncio",
)  # fmt: skip

REAPING = ("*.waitpid", "*.waitid", "*.wait3", "*.wait4", "os.wait", "psutil.wait_procs")

FORKING = ("*.fork", "*.forkpty")

SPAWNING = (
    "*.fork_exec", "*.posix_spawn", "*.posix_spawnp", "*.vfork", "os.spawn*", "os.system", "os.popen",
    "subprocess", "multiprocessing", "pty", "psutil.Popen", "asyncio.create_subprocess_*",
)  # fmt: skip

EXECUTING = ("os.exec*", "*.fork_sibling")
"""The spawner process forks children of the daemon's, at its order, and these execute."""

HEAVY = ("asyncio", "dataclasses", "inspect", "logging", "threading", "concurrent", "importlib.metadata")

REAPER = "procsup/runtime/wait.py"
SPAWNER = "procsup/runtime/spawn.py"
SPAWNER_PROCESS = "procsup/runtime/spawner.py"
DETACHER = "procsup/runtime/detach.py"
GUARDIAN = "procsup/runtime/guardian.py"
FORERUNNER = "procsup/cli/forerunner.py"
WORKER_SPAWNER = "procsup/worker/spawn.py"
"""Forks and waits in the programs of users, where no daemon does it for them."""

BANS = [
    Banned("procsup/core/*", CORE_IS_PURE, "the core has no clock, no kernel and no randomness"),
    Banned("procsup/*", ("click",), "click belongs to the command line", but=("procsup/cli/*", "procsup/__main__.py")),
    Banned("procsup/*", ("psutil",), "psutil belongs to the runtime and the command line",
           but=("procsup/runtime/*", "procsup/cli/*", "procsup/__main__.py")),
    Banned("procsup/*", REAPING, "exactly one place reaps", but=(REAPER, WORKER_SPAWNER)),
    Banned("procsup/*", SPAWNING, "exactly one place spawns", but=(SPAWNER,)),
    Banned("procsup/*", EXECUTING, "only the spawner process executes by itself", but=(SPAWNER_PROCESS,)),
    Banned("procsup/*", FORKING, "exactly one place spawns",
           but=(SPAWNER, GUARDIAN, DETACHER, FORERUNNER, WORKER_SPAWNER)),
    Banned("procsup/worker/*", HEAVY, "its import must be cheap"),
    Banned("tests/*", ("time.sleep",), "a test waits for a fact, with a deadline", but=("tests/bench/*",)),
]  # fmt: skip


@dataclass(frozen=True)
class Required:
    """Once the folder of `home` is a package, the file `home` mentions one of `names`."""

    home: str
    names: tuple[str, ...]
    why: str


REQUIREMENTS = [
    Required(REAPER, REAPING, "exactly one place reaps"),
    Required(SPAWNER, (*SPAWNING, *FORKING), "exactly one place spawns"),
    Required(WORKER_SPAWNER, FORKING, "exactly one place of the worker library spawns"),
    Required(WORKER_SPAWNER, REAPING, "exactly one place of the worker library reaps"),
]


@dataclass(frozen=True)
class Mention:
    name: str
    line: int


@dataclass(frozen=True)
class Violation:
    where: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.why}"


def test_a_floor_imports_only_itself_and_lower_floors() -> None:
    assert_none(floor_violations(CHECKOUT))


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: f"{ban.where} {ban.names[0]}")
def test_nothing_banned_is_mentioned(ban: Banned) -> None:
    assert_none(ban_violations(CHECKOUT, ban))


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.home)
def test_what_is_reserved_for_one_module_is_there(requirement: Required) -> None:
    assert_none(requirement_violations(CHECKOUT, requirement))


def test_the_top_level_holds_nothing_else() -> None:
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    assert_none(top_level_violations(listed.stdout.rstrip("\0").split("\0")))


def assert_none(violations: Iterable[Violation]) -> None:
    found = list(violations)
    assert not found, "\n" + "\n".join(map(str, found))


# The laws, applied to a tree of files.


def floor_violations(top: Path) -> Iterator[Violation]:
    for path in python_files(top, "procsup/*"):
        for mention in mentions(top, path):
            complaint = floor_complaint(path, mention.name)
            if complaint:
                yield Violation(f"{path}:{mention.line}", mention.name, complaint)


def floor_complaint(path: str, name: str) -> str:
    if path == "procsup/__main__.py":
        return ""
    if path == "procsup/__init__.py":
        return "procsup/__init__.py imports nothing"
    here = path.split("/")[1]
    if here not in FLOORS:
        return f"{here} is no floor of the house"
    package, there = [*name.split("."), "", ""][:2]
    if package != "procsup" or there == here:
        return ""
    if there == "__main__":
        return "procsup/__main__.py is above all floors"
    if there in FLOORS and FLOORS[there] >= FLOORS[here]:
        return f"{there} (floor {FLOORS[there]}) is not below {here} (floor {FLOORS[here]})"
    return ""


def ban_violations(top: Path, ban: Banned) -> Iterator[Violation]:
    for path in python_files(top, ban.where):
        if not any(fnmatchcase(path, exception) for exception in ban.but):
            for mention in mentions(top, path):
                if matches(mention.name, ban.names):
                    yield Violation(f"{path}:{mention.line}", mention.name, ban.why)


def requirement_violations(top: Path, requirement: Required) -> Iterator[Violation]:
    home = top / requirement.home
    if not (home.parent / "__init__.py").exists():
        return
    if not home.exists() or not any(matches(m.name, requirement.names) for m in mentions(top, requirement.home)):
        yield Violation(requirement.home, f"none of {', '.join(requirement.names)}", requirement.why)


def top_level_violations(paths: Iterable[str]) -> Iterator[Violation]:
    for name in sorted({path.split("/")[0] for path in paths}):
        if name not in TOP_LEVEL and not name.startswith("."):
            yield Violation(name, "a new name", "the top level is for " + ", ".join(sorted(TOP_LEVEL)))


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern covers the name or what it is an attribute of: "time" covers "time.sleep"."""
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, pattern + ".*") for pattern in patterns)


# Reading a module.


def python_files(top: Path, where: str) -> list[str]:
    folder = where.split("/")[0]
    paths = (path.relative_to(top).as_posix() for path in sorted((top / folder).rglob("*.py")))
    return [path for path in paths if fnmatchcase(path, where)]


def mentions(top: Path, path: str) -> list[Mention]:
    tree = ast.parse((top / path).read_text("utf-8"), path)
    bindings = list(read_imports(tree, path))
    names = {bound: mention.name for bound, mention in bindings}
    return [mention for _, mention in bindings] + list(read_uses(tree, names))


def read_imports(tree: ast.AST, path: str) -> Iterator[tuple[str, Mention]]:
    """Each with the name that it binds, or ""; wherever it stands, in a function or under TYPE_CHECKING."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    yield alias.asname or "", Mention(alias.name, node.lineno)
                    if alias.asname is None:
                        first = alias.name.split(".")[0]
                        yield first, Mention(first, node.lineno)
            case ast.ImportFrom(names=aliases):
                module = imported_from(node, path)
                yield "", Mention(module, node.lineno)
                for alias in aliases:
                    yield alias.asname or alias.name, Mention(f"{module}.{alias.name}", node.lineno)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield "", Mention(module, node.lineno)


def imported_from(node: ast.ImportFrom, path: str) -> str:
    """`from ..core import x` in procsup/cli/status.py is from procsup.core."""
    package = path.split("/")[: -node.level] if node.level else []
    return ".".join([*package, *([node.module] if node.module else [])])


def read_uses(tree: ast.AST, names: dict[str, str]) -> Iterator[Mention]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield Mention(dotted(node, names), node.lineno)


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    match node:
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value, names)}.{attr}"
        case ast.Name(id=name):
            return names.get(name, "?")
        case _:
            return "?"


# The laws of the laws: each finds what has been planted, and only that.

LAWFUL = {
    "procsup/__init__.py": "__version__ = '1'",
    "procsup/__main__.py": "from procsup.cli import program\nimport click, psutil",
    "procsup/core/spec.py": "import dataclasses\nfrom procsup.core import reason\nfrom . import timers",
    "procsup/core/timers.py": "def due(self, time, random):\n    return self.time.select(random.os)",
    "procsup/config/read.py": "import os\nfrom procsup import __version__\nfrom procsup.core.spec import SpecError",
    "procsup/worker/attach.py": "from procsup.wire import messages\nfrom ..core import spec",
    "procsup/worker/spawn.py": "import os\nos.fork()\nos.waitpid(1, 0)",
    "procsup/runtime/__init__.py": "",
    "procsup/runtime/wait.py": "import os\nos.waitpid(1, 0)",
    "procsup/runtime/spawn.py": "import _posixsubprocess\n_posixsubprocess.fork_exec()",
    "procsup/runtime/spawner.py": "import os\nfrom procsup.runtime.syscalls import fork_sibling\nos.execve()",
    "procsup/runtime/detach.py": "import os, psutil\nos.fork()",
    "procsup/cli/status.py": "import click, psutil, procsup.runtime.loop\nimport procsup\nprocsup.core.spec.x",
    "tests/test_x.py": "import time\ntime.monotonic()\n'time.sleep(1)'",
}

PLANTED = [
    ("procsup/__init__.py", "from procsup.core import spec", "procsup.core.spec"),
    ("procsup/stray.py", "import json", "json"),
    ("procsup/core/x.py", "from procsup.wire import calls", "procsup.wire"),
    ("procsup/core/x.py", "from ..runtime import loop", "procsup.runtime.loop"),
    ("procsup/core/x.py", "def f():\n    import procsup.cli.table", "procsup.cli.table"),
    ("procsup/core/x.py", "import procsup\nprocsup.runtime.loop", "procsup.runtime.loop"),
    ("procsup/core/x.py", "from procsup.__main__ import main", "procsup.__main__.main"),
    ("procsup/config/x.py", "from procsup.wire.decode import JSON", "procsup.wire.decode"),
    ("procsup/wire/x.py", "from procsup import config", "procsup.config"),
    ("procsup/worker/x.py", "if TYPE_CHECKING:\n    import procsup.runtime.loop", "procsup.runtime.loop"),
    ("procsup/runtime/x.py", "import importlib\nimportlib.import_module('procsup.cli.table')", "procsup.cli.table"),
    *(("procsup/core/x.py", f"import {name}", name) for name in CORE_IS_PURE),
    ("procsup/core/x.py", "from os import path", "os.path"),
    ("procsup/core/x.py", "from time import monotonic as now", "time.monotonic"),
    ("procsup/runtime/x.py", "import click", "click"),
    ("procsup/worker/x.py", "from click.core import Command", "click.core"),
    ("procsup/worker/x.py", "import psutil", "psutil"),
    ("procsup/worker/x.py", "import os\nos.fork()", "os.fork"),
    ("procsup/worker/x.py", "import os\nos.waitpid(1, 0)", "os.waitpid"),
    ("procsup/worker/x.py", "import asyncio", "asyncio"),
    ("procsup/worker/spawn.py", "import subprocess", "subprocess"),
    ("procsup/config/x.py", "import psutil as p", "psutil"),
    ("procsup/runtime/x.py", "import os\nos.waitpid(-1, 0)", "os.waitpid"),
    ("procsup/runtime/x.py", "from os import waitid as w", "os.waitid"),
    ("procsup/runtime/x.py", "import os as o\nf = o.wait3", "os.wait3"),
    ("procsup/cli/x.py", "def f(kernel):\n    kernel.wait4(1)", "?.wait4"),
    ("procsup/runtime/detach.py", "import os\nos.wait()", "os.wait"),
    ("procsup/runtime/x.py", "import os\nos.fork()", "os.fork"),
    ("procsup/runtime/detach.py", "import os\nos.posix_spawn()", "os.posix_spawn"),
    ("procsup/runtime/x.py", "from _posixsubprocess import fork_exec", "_posixsubprocess.fork_exec"),
    ("procsup/cli/x.py", "import subprocess", "subprocess"),
    ("procsup/cli/x.py", "import os\nos.execvp()", "os.execvp"),
    ("procsup/runtime/spawn.py", "import os\nos.execve()", "os.execve"),
    ("procsup/runtime/spawner.py", "import os\nos.fork()", "os.fork"),
    ("procsup/runtime/x.py", "from procsup.runtime import syscalls\nsyscalls.fork_sibling()",
     "procsup.runtime.syscalls.fork_sibling"),
    ("tests/deep/test_x.py", "import time\ntime.sleep(1)", "time.sleep"),
    ("tests/test_x.py", "from time import sleep", "time.sleep"),
]


def test_a_lawful_tree_has_no_violations(tmp_path: Path) -> None:
    plant(tmp_path, LAWFUL)

    assert all_violations(tmp_path) == []


@pytest.mark.parametrize(("path", "source", "name"), PLANTED)
def test_a_planted_violation_is_found_where_it_stands(tmp_path: Path, path: str, source: str, name: str) -> None:
    plant(tmp_path, LAWFUL | {path: LAWFUL.get(path, "") + "\n" + source})

    last_line = len(LAWFUL.get(path, "").splitlines() or [""]) + len(source.splitlines())
    assert (f"{path}:{last_line}", name) in [(v.where, v.what) for v in all_violations(tmp_path)]


@pytest.mark.parametrize("home", [REAPER, SPAWNER, WORKER_SPAWNER])
def test_a_package_without_its_one_reaper_or_spawner_is_found(tmp_path: Path, home: str) -> None:
    plant(tmp_path, {f"{home.rpartition('/')[0]}/__init__.py": "", home: "import os"})

    assert home in [violation.where for violation in all_violations(tmp_path)]


def test_a_new_name_at_the_top_level_is_found() -> None:
    found = top_level_violations(["README.md", ".ci/run", "procsup/core/spec.py", "scripts/x.py", "setup.cfg"])

    assert [violation.where for violation in found] == ["scripts", "setup.cfg"]


def plant(top: Path, files: dict[str, str]) -> None:
    for path, source in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(source + "\n")


def all_violations(top: Path) -> list[Violation]:
    return [
        *floor_violations(top),
        *(violation for ban in BANS for violation in ban_violations(top, ban)),
        *(violation for requirement in REQUIREMENTS for violation in requirement_violations(top, requirement)),
    ]
