"""Who is whose child, and everything that keeps the children lists from being a tree."""

import pytest

from procsup.config.complaint import Complaint
from procsup.core.spec import ChildSpec, SupervisorSpec
from tests.config.conftest import Folder, assert_says


def workers(*names: str) -> str:
    return "".join(f'[worker.{name}]\ncommand = "x"\n' for name in names)


def names_of(spec: ChildSpec) -> object:
    """A tree of a few levels as names: {"top": ["a", {"lab": ["b"]}]}."""
    if isinstance(spec, SupervisorSpec):
        return {spec.name: [names_of(child) for child in spec.children]}
    return spec.name


def where(complaint: Complaint) -> tuple[int | None, str]:
    return complaint.line, complaint.path


def test_children_lists_make_the_tree_in_their_order(folder: Folder) -> None:
    text = '[supervisor.lab]\nchildren = ["c", "b"]\n[supervisor.top]\nintensity = 0\nchildren = ["a", "lab"]\n'

    assert names_of(folder.load(text + workers("a", "b", "c")).tree) == {"top": ["a", {"lab": ["c", "b"]}]}


def test_file_with_workers_only_gets_a_root_in_file_order(folder: Folder) -> None:
    config = folder.load(workers("b", "c", "a"))

    assert names_of(config.tree) == {"root": ["b", "c", "a"]}
    assert config.tree == SupervisorSpec("root", config.tree.children)
    assert config.warnings == ()


def test_supervisor_without_children_is_legal(folder: Folder) -> None:
    text = '[supervisor.top]\nchildren = ["a", "idle"]\n[supervisor.idle]\nchildren = []\n'

    assert names_of(folder.load(text + workers("a")).tree) == {"top": ["a", {"idle": []}]}


@pytest.mark.parametrize("name", ["api v2", "müller", "a.b", "-x", "*", "日本", "${X}", "a" * 300])
def test_unusual_names_are_fine(folder: Folder, name: str) -> None:
    assert names_of(folder.load(workers(f'"{name}"')).tree) == {"root": [name]}


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ('""', 'worker.""', ["the name of a worker is empty"]),
        ('"."', 'worker."."', ["'.' cannot be the name"]),
        ('".."', 'worker.".."', ["'..' cannot be the name"]),
        ('"a/b"', 'worker."a/b"', ["holds a '/'", "a name is not a path"]),
        ('"a\\nb"', 'worker."a\\nb"', ["cannot be printed", "'a\\nb'"]),
        ('"a\\u0000"', 'worker."a\\u0000"', ["cannot be printed"]),
        ('"a\\u202e"', 'worker."a\\u202e"', ["cannot be printed"]),
    ],
)
def test_impossible_name(folder: Folder, name: str, path: str, words: list[str]) -> None:
    complaint = folder.complaint("\n" + workers(name))

    assert where(complaint) == (2, path)
    assert_says(complaint, words)


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        ("", None, "", ["an empty tree", "at least one [worker.NAME]"]),
        ("[worker]\n[supervisor]\n", None, "", ["an empty tree"]),
        ("[supervisor.top]\nchildren = []", None, "", ["an empty tree"]),
        ("worker = 3", 1, "worker", ["found 3", "[worker.NAME]"]),
        ("[[worker]]\nname = 'a'", 1, "worker", ["a list of tables", "[worker.NAME]"]),
        ("[worker]\napi = 3", 2, "worker.api", ["not a table", "[worker.api]"]),
        ("[[worker.api]]\ncommand = 'x'", 1, "worker.api", ["[worker.api] with single brackets"]),
        ("[worker]\n\ncommand = 'x'\nshutdown = 1", 3, "worker.command", ["no name", "command, shutdown", "NAME"]),
        (workers("a") + "[supervisor]\nstrategy = 'x'", 4, "supervisor.strategy", ["no name", "[supervisor.NAME]"]),
        (workers("a") + "[workers.b]\ncommand = 'x'", 3, "workers", ["unknown key", "did you mean 'worker'?"]),
        (workers("a") + "[programs.b]\ncommand = 'x'", 3, "programs", ["unknown key", "one of supervisor, worker"]),
        (workers("a") + "[deamon]", 3, "deamon", ["did you mean 'daemon'?"]),
        ("command = 'x'\n" + workers("a"), 1, "command", ["unknown key"]),
        (workers("a") + "[[daemon]]", 3, "daemon", ["not a table", "a list of tables"]),
    ],
)
def test_tables_that_are_none_of_ours(
    folder: Folder, text: str, line: int | None, path: str, words: list[str]
) -> None:
    complaint = folder.complaint(text)

    assert where(complaint) == (line, path)
    assert_says(complaint, [word.removeprefix("found ") for word in words])


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        pytest.param(
            '[supervisor.top]\nchildren = ["spy_left",\n"spy_lfet"]\n' + workers("spy_left"),
            3, "supervisor.top.children[1]", ["no such child", "'spy_lfet'", "did you mean 'spy_left'?"],
            id="unknown child, misspelt",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a", "zebra"]\n' + workers("a"),
            2, "supervisor.top.children[1]", ["no such child", "'zebra'"],
            id="unknown child",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a", "lab/b"]\n' + workers("a"),
            2, "supervisor.top.children[1]", ["no such child", "names, not paths"],
            id="a path for a name",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a", ""]\n' + workers("a"),
            2, "supervisor.top.children[1]", ["an empty name"],
            id="an empty name",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = "a"\n' + workers("a"),
            2, "supervisor.top.children", ["not a list", "write ['a']"],
            id="a name for a list",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\n' + workers("a", "b"),
            5, "worker.b", ["no parent", "add 'b' to the children"],
            id="a child with no parent",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a",\n"b", "a"]\n' + workers("a", "b"),
            3, "supervisor.top.children[2]", ["'a' is listed twice", "tree.toml:2 (supervisor.top.children[0])"],
            id="listed twice in one list",
        ),
        pytest.param(
            '[supervisor.top]\nintensity = 0\nchildren = ["lab", "a"]\n[supervisor.lab]\nchildren = ["a"]\n'
            + workers("a"),
            5, "supervisor.lab.children[0]",
            ["'a' has two parents, 'top' and 'lab'", "tree.toml:3 (supervisor.top.children[1])"],
            id="listed in two lists",
        ),
        pytest.param(
            '[supervisor.one]\nchildren = ["a"]\n\n[supervisor.two]\nchildren = ["b"]\n' + workers("a", "b"),
            4, "supervisor.two", ["two roots", "'one' and 'two'", "tree.toml:1", "add 'two' to the children"],
            id="two roots",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\n[supervisor.a]\nchildren = ["b"]\n[supervisor.b]\n'
            'children = ["a", "w"]\n' + workers("w"),
            6, "supervisor.b.children[0]", ["a cycle: a → b → a"],
            id="a cycle below the root",
        ),
        pytest.param(
            '[supervisor.a]\nchildren = ["b"]\n[supervisor.b]\nchildren = ["c"]\n[supervisor.c]\n'
            'children = ["a", "w"]\n' + workers("w"),
            6, "supervisor.c.children[0]", ["a cycle: a → b → c → a"],
            id="a cycle and no root",
        ),
        pytest.param(
            '[supervisor.a]\nchildren = ["w", "a"]\n' + workers("w"),
            2, "supervisor.a.children[1]", ["a cycle: a → a"],
            id="its own child",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\n' + workers("a") + "[supervisor.a]\n",
            5, "supervisor.a", ["the name is used twice", "tree.toml:3 (worker.a)", "rename one"],
            id="a worker and a supervisor of one name",
        ),
        pytest.param(
            '[supervisor.a]\n[supervisor.top]\nchildren = ["a"]\n' + workers("a"),
            4, "worker.a", ["the name is used twice", "tree.toml:1 (supervisor.a)"],
            id="a supervisor and a worker of one name",
        ),
        pytest.param(
            workers("a", "root"),
            3, "worker.root", ["used twice", "'root'", "rename the worker"],
            id="a worker named as the implicit root",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\nrestart = "transient"\n' + workers("a"),
            3, "supervisor.top.restart", ["restart means nothing on the root"],
            id="restart on the root",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\nshutdown = "infinity"\n' + workers("a"),
            3, "supervisor.top.shutdown", ["shutdown means nothing on the root"],
            id="shutdown on the root",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\nsignificant = false\n' + workers("a"),
            3, "supervisor.top.significant", ["significant means nothing on the root"],
            id="significant on the root",
        ),
        pytest.param(
            '[supervisor.top]\nauto_shutdown = "any_significant"\nchildren = ["a"]\n' + workers("a")
            + "significant = true",
            6, "worker.a.significant", ["a permanent child cannot be significant", "'transient' or 'temporary'"],
            id="significant and permanent",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\n' + workers("a") + "restart = 'transient'\nsignificant = true",
            6, "worker.a.significant", ["shuts itself down, and 'top' never does", "'any_significant' or"],
            id="significant under a supervisor that never shuts itself down",
        ),
        pytest.param(
            workers("a") + "restart = 'transient'\nsignificant = true",
            4, "worker.a.significant", ["'root' never does", "write a supervisor of your own"],
            id="significant under the implicit root",
        ),
        pytest.param(
            workers("a") + "[daemon]\nroot = 'top'",
            4, "daemon.root", ["no such supervisor", "'root'"],
            id="root of a file with workers only has another name",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\n' + workers("a") + "[daemon]\nroot = 'tpo'",
            6, "daemon.root", ["no such supervisor", "did you mean 'top'?"],
            id="root is misspelt",
        ),
        pytest.param(
            '[supervisor.top]\nchildren = ["a"]\n' + workers("a") + "[daemon]\nroot = 'a'",
            6, "daemon.root", ["a worker, not a supervisor", "'top'"],
            id="root is a worker",
        ),
        pytest.param(
            '[supervisor.top]\nintensity = 0\nchildren = ["lab"]\n[supervisor.lab]\nchildren = ["a"]\n'
            + workers("a") + "[daemon]\nroot = 'lab'",
            9, "daemon.root", ["the child of another", "'top'"],
            id="root is the child of another",
        ),
        pytest.param(
            "[supervisor.one]\nchildren = ['a']\n[supervisor.two]\nchildren = ['b']\n" + workers("a", "b")
            + "[daemon]\nroot = 'two'",
            1, "supervisor.one", ["no parent", "add 'one' to the children"],
            id="the other of two roots, when the file says which is the root",
        ),
    ],
)  # fmt: skip
def test_lists_that_are_no_tree(folder: Folder, text: str, line: int, path: str, words: list[str]) -> None:
    complaint = folder.complaint(text)

    assert (complaint.file, *where(complaint)) == (folder.main, line, path)
    assert_says(complaint, words)


def test_name_used_in_two_files_names_both_places(folder: Folder) -> None:
    first = folder.write("\n" + workers("a"), "1.toml")
    second = folder.write("\n\n" + workers("a"), "2.toml")

    complaint = folder.complaint('[daemon]\ninclude = ["*"]')

    assert (complaint.file, *where(complaint)) == (second, 3, "worker.a")
    assert_says(complaint, ["the name is used twice", f"{first}:2 (worker.a)"])


def test_two_parents_in_two_files_name_both_places(folder: Folder) -> None:
    included = folder.write('[supervisor.lab]\nchildren = ["a"]', "lab.toml")
    text = '[daemon]\ninclude = ["*"]\n[supervisor.top]\nchildren = ["lab", "a"]\n'

    complaint = folder.complaint(text + workers("a"))

    assert (complaint.file, *where(complaint)) == (included, 2, "supervisor.lab.children[0]")
    assert_says(complaint, [f"{folder.main}:4 (supervisor.top.children[1])"])


def test_the_root_that_the_file_names_is_the_root(folder: Folder) -> None:
    text = '[supervisor.top]\nchildren = ["a"]\n[daemon]\nroot = "top"\n'

    assert folder.load(text + workers("a")).tree.name == "top"


def test_the_implicit_root_may_be_named(folder: Folder) -> None:
    assert folder.load('[daemon]\nroot = "root"\n' + workers("a")).tree.name == "root"


def test_significant_child_of_a_supervisor_that_shuts_itself_down_is_fine(folder: Folder) -> None:
    text = '[supervisor.top]\nauto_shutdown = "all_significant"\nchildren = ["a"]\n'

    config = folder.load(text + workers("a") + 'significant = true\nrestart = "temporary"')

    assert config.tree.children[0].significant


def test_wrong_restart_is_not_also_a_bad_combination(folder: Folder) -> None:
    text = '[supervisor.top]\nauto_shutdown = "any_significant"\nchildren = ["a"]\n'

    complaint = folder.complaint(text + workers("a") + 'significant = true\nrestart = "transiant"')

    assert complaint.path == "worker.a.restart"


def test_children_of_a_misspelt_kind_of_table_are_known(folder: Folder) -> None:
    text = '[supervisor.top]\nchildren = ["a"]\n[workers.a]\ncommand = "x"\nrestart = "x"\n'

    assert [complaint.path for complaint in folder.complaints(text)] == ["workers", "workers.a.restart"]


def test_all_complaints_about_the_tree_come_at_once(folder: Folder) -> None:
    text = """
        [supervisor.top]
        children = ["lab", "lab", "nobody", "a"]
        restart = "temporary"
        [supervisor.lab]
        children = ["a", "top", "b"]
        [supervisor.other]
        children = ["c"]
        [worker.a]
        command = "x"
        [worker.b]
        command = "x"
        significant = true
        [worker.c]
        command = "x"
        [worker.orphan]
        command = "x"
    """

    assert [(complaint.path, complaint.problem.split(":")[0]) for complaint in folder.complaints(text)] == [
        ("supervisor.top.children[2]", "there is no such child"),
        ("supervisor.top.children[1]", "'lab' is listed twice; the first is at " + folder.main),
        ("supervisor.lab.children[1]", "a cycle"),
        ("supervisor.lab.children[0]", "'a' has two parents, 'top' and 'lab'; the first is at " + folder.main),
        ("worker.b.significant", "a permanent child cannot be significant"),
        ("worker.b.significant", "a significant child needs a supervisor that shuts itself down, and 'lab' never does"),
        ("worker.orphan", "a child with no parent"),
    ]
