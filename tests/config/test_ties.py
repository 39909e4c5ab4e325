"""`links` and `monitors`: whom a worker may name."""

import pytest

from procsup.core.spec import UNBOUND, Bonds, SupervisorSpec, WorkerSpec
from tests.config.conftest import Folder, assert_says

TREE = """[supervisor.top]
intensity = 0
children = ["a", "lab"]
[supervisor.lab]
children = ["b"]
[worker.b]
command = "b"
[worker.a]
command = "a"
"""


def bonds(folder: Folder, lines: str) -> Bonds:
    first = folder.load(TREE + lines).tree.children[0]
    assert isinstance(first, WorkerSpec)
    return first.bonds


def test_worker_that_names_nobody_is_unbound(folder: Folder) -> None:
    assert bonds(folder, "") is UNBOUND


def test_ties_go_anywhere_in_the_tree(folder: Folder) -> None:
    assert bonds(folder, 'links = ["b"]\nmonitors = ["b"]') == Bonds(("b",), ("b",))


def test_tie_may_name_a_worker_of_a_file_that_is_included(folder: Folder) -> None:
    folder.write('[worker.c]\ncommand = "c"\n', "c.toml")
    tree = folder.load('[worker.a]\ncommand = "a"\nlinks = ["c"]\n[daemon]\ninclude = ["c.toml"]\n').tree
    assert isinstance(tree, SupervisorSpec)
    assert [child.name for child in tree.children] == ["a", "c"]


@pytest.mark.parametrize("key", ["links", "monitors"])
@pytest.mark.parametrize(
    ("names", "number", "words"),
    [
        ('["b", "nobody"]', 1, ["there is no such worker", "'nobody'", "the name of another worker"]),
        ('["a"]', 0, ["this is the worker itself"]),
        ('["lab"]', 0, ["this is a supervisor", "name a worker below it"]),
        ('["top/lab/b"]', 0, ["there is no such worker", "did you mean 'b'?"]),
        ('["top/nobody"]', 0, ["names, not paths"]),
        ('[""]', 0, ["an empty name"]),
        ("[3]", 0, ["not a string"]),
    ],
)
def test_names_of_nobody_to_be_tied_to(folder: Folder, key: str, names: str, number: int, words: list[str]) -> None:
    complaint = folder.complaint(f"{TREE}{key} = {names}\n")
    assert (complaint.line, complaint.path) == (10, f"worker.a.{key}[{number}]")
    assert_says(complaint, words)


def test_single_name_is_no_list(folder: Folder) -> None:
    assert_says(folder.complaint(f'{TREE}links = "b"\n'), ["not a list", "write ['b']"])


def test_near_miss_is_told(folder: Folder) -> None:
    text = '[worker.spy_left]\ncommand = "l"\nlinks = ["spy_rihgt"]\n[worker.spy_right]\ncommand = "r"\n'
    assert_says(folder.complaint(text), ["did you mean 'spy_right'?"])


def test_every_wrong_tie_is_told_at_once(folder: Folder) -> None:
    complaints = folder.complaints(f'{TREE}links = ["x", "y"]\nmonitors = ["z"]\n')
    assert [complaint.path for complaint in complaints] == [
        "worker.a.links[0]", "worker.a.links[1]", "worker.a.monitors[0]",
    ]  # fmt: skip


def test_name_that_a_lost_file_may_hold_is_not_complained_about(folder: Folder) -> None:
    text = '[worker.a]\ncommand = "a"\nlinks = ["c"]\n[daemon]\ninclude = ["missing.toml"]\n'
    assert "include" in folder.complaint(text).path
