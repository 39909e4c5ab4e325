"""Python functions as workers: target, args and preload."""

import json

import pytest

from procsup.core.spec import SupervisorSpec, Target, WorkerSpec
from tests.config.conftest import Folder, assert_says

TARGET = """
[worker.api]
target = "app.web:serve"
"""


def only_worker(tree: SupervisorSpec) -> WorkerSpec:
    (worker,) = tree.children
    assert isinstance(worker, WorkerSpec)
    return worker


@pytest.mark.parametrize("name", ["a:b", "package.module:function", "m:Class.method", "_m1:f_2", "m\u00e4rz:tag"])
def test_a_target_is_a_function_of_a_module_and_has_a_channel(folder: Folder, name: str) -> None:
    worker = only_worker(folder.load(f"[worker.api]\ntarget = '{name}'").tree)

    assert worker.program.target == Target(name, "[]")
    assert worker.program.command == (name,)
    assert worker.has_channel


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("''", ["no function", "'package.module:function'"]),
        ("'app'", ["no function"]),
        ("'app.web.serve'", ["write 'app.web:serve'"]),
        ("'app.py:serve()'", ["no function"]),
        ("'src/app.py'", ["without folder and .py"]),
        ("'1a:b'", ["no function"]),
        ("'a:'", ["no function"]),
        ("'a:b:c'", ["no function"]),
        ("'a: b'", ["no function"]),
        ("['a', 'b']", ["not a string"]),
    ],
)
def test_a_target_that_is_no_function_is_complained_of(folder: Folder, name: str, words: list[str]) -> None:
    complaint = folder.complaint(f"[worker.api]\ntarget = {name}")

    assert (complaint.line, complaint.path) == (2, "worker.api.target")
    assert_says(complaint, words)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[]", []),
        ("[1, 2.5, true, 'a', [1, ['b']], {x = {y = 1}}]", [1, 2.5, True, "a", [1, ["b"]], {"x": {"y": 1}}]),
        ("['${HOST}', {name = '${HOST}!'}]", ["here", {"name": "here!"}]),
        ("{port = 80, hosts = ['${HOST}']}", {"port": 80, "hosts": ["here"]}),
    ],
)
def test_arguments_are_a_list_or_a_table_of_keywords(folder: Folder, written: str, expected: object) -> None:
    worker = only_worker(folder.load(f"{TARGET}args = {written}", {"HOST": "here"}).tree)

    assert worker.program.target is not None
    assert json.loads(worker.program.target.arguments) == expected


@pytest.mark.parametrize(
    ("written", "key", "words"),
    [
        ("'x'", "args", ["neither a list nor a table", "write ['x']"]),
        ("1", "args", ["neither a list nor a table", "write [1]"]),
        ("[2026-11-21]", "args[0]", ["no argument", "in quotes"]),
        ("{when = [12:00:00]}", "args.when[0]", ["no argument"]),
        ("{'a b' = 1}", "args.\"a b\"", ["no name of an argument", "a Python identifier"]),
        ("['${NOWHERE}']", "args[0]", ["NOWHERE"]),
        ("[" * 60 + "]" * 60, "args" + "[0]" * 48, ["nested too deeply"]),
    ],
)
def test_arguments_that_are_none_are_complained_of(folder: Folder, written: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(f"{TARGET}args = {written}")

    assert complaint.path == f"worker.api.{key}"
    assert_says(complaint, words)


def test_a_worker_needs_something_to_run_and_one_thing_only(folder: Folder) -> None:
    assert_says(folder.complaint("[worker.api]\nnice = 1"), ["no command", "target = 'package.module:function'"])
    assert_says(folder.complaint(TARGET + "command = 'x'"), ["both a command and a target"])
    assert_says(folder.complaint("[worker.api]\ncommand = 'x'\nargs = [1]"), ["no target for these arguments"])


def test_one_complaint_is_enough_for_a_target_that_is_wrong(folder: Folder) -> None:
    assert folder.complaint("[worker.api]\ntarget = 'x'\nargs = [1]").path == "worker.api.target"


def test_preload_is_a_list_of_modules(folder: Folder) -> None:
    config = folder.load("[daemon]\npreload = ['app.models', 'json']\n" + TARGET)

    assert config.daemon.preload == ("app.models", "json")
    assert_says(folder.complaint("[daemon]\npreload = ['app/models']\n" + TARGET), ["no name of a module"])
    assert_says(folder.complaint("[daemon]\npreload = 'json'\n" + TARGET), ["not a list", "write ['json']"])
