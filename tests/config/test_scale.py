"""Ten thousand workers, a thousand levels, and as many mistakes."""

import gc

import pytest

from procsup.config.complaint import ConfigError
from procsup.config.config import Config
from procsup.config.nearest import Nearest
from procsup.config.render import as_json, json_text, tree_lines
from procsup.config.tree import DEEPEST
from tests.config.conftest import Folder, assert_says

MANY = 10_000


def chain(depth: int, last: str = "w") -> str:
    """Supervisors s1, s2 … in a row."""
    names = [f"s{i}" for i in range(1, depth + 1)]
    lists = zip(names, [*names[1:], last], strict=True)
    text = "".join(f'[supervisor.{name}]\nchildren = ["{child}"]\n' for name, child in lists)
    return text + '[worker.w]\ncommand = "x"\n'


def test_ten_thousand_workers_are_read(folder: Folder) -> None:
    config = folder.load("".join(f'[worker.w{i}]\ncommand = "run {i}"\nenv = {{ A = "1" }}\n' for i in range(MANY)))

    assert [child.name for child in config.tree.children] == [f"w{i}" for i in range(MANY)]
    assert len(tree_lines(config)) == MANY + 1


def test_ten_thousand_workers_with_one_environment_file_and_one_user_are_read(folder: Folder) -> None:
    folder.write("".join(f"V{i}='{i}'\n" for i in range(100)), "all.env")
    worker = 'command = "run"\nenv_file = "all.env"\nuser = "no such one"\nlimits = { nofile = 9 }\n'

    config = folder.load("".join(f"[worker.w{i}]\n{worker}env = {{ A = '{i}' }}\n" for i in range(MANY)))

    assert len(config.tree.children) == MANY
    assert len(config.warnings) == MANY


def test_ten_thousand_wrong_workers_are_all_complained_about_each_at_its_line(folder: Folder) -> None:
    complaints = folder.complaints("".join(f'[worker.w{i}]\ncommand = "x"\nrestart = "r{i}"\n' for i in range(MANY)))

    assert [complaint.line for complaint in complaints] == [3 * i + 3 for i in range(MANY)]


def test_ten_thousand_misspelt_children_get_their_suggestions(folder: Folder) -> None:
    names = [f"worker_{i:05}" for i in range(MANY)]
    lists = ", ".join(f'"{name[:-1]}x{name[-1]}"' for name in names)
    tables = "".join(f'[worker.{name}]\ncommand = "x"\n' for name in names)

    complaints = folder.complaints(f"[supervisor.top]\nchildren = [{lists}]\n{tables}")

    assert [c.hint for c in complaints if "no such child" in c.problem] == [f"did you mean {name!r}?" for name in names]


def test_ten_thousand_children_that_are_like_no_other_are_told_without_suggestions(folder: Folder) -> None:
    unknown = ", ".join(f'"{i}{"x" * (i % 50)}{i}"' for i in range(MANY))
    tables = "".join(f'[worker.worker_{i}]\ncommand = "x"\n' for i in range(MANY))

    complaints = folder.complaints(f"[supervisor.top]\nchildren = [{unknown}]\n{tables}")

    assert len(complaints) == 2 * MANY


def test_a_thousand_levels_are_read_and_shown(folder: Folder) -> None:
    config = folder.load(chain(DEEPEST))

    lines = tree_lines(config)
    assert lines[-1].endswith("└── w  x")
    assert len(lines) == DEEPEST + 1
    assert json_text(as_json("t", config)).count('"children": [') == DEEPEST


def test_one_level_more_is_an_error_at_its_supervisor(folder: Folder) -> None:
    complaint = folder.complaint(chain(DEEPEST + 1))

    assert (complaint.line, complaint.path) == (2 * DEEPEST + 1, f"supervisor.s{DEEPEST + 1}")
    assert_says(complaint, ["too deep", f"at most {DEEPEST}"])


@pytest.mark.parametrize("depth", [DEEPEST, MANY])
def test_a_long_cycle_is_spelled_by_its_ends(folder: Folder, depth: int) -> None:
    cycle = folder.complaints(chain(depth, last="s1"))[0]

    assert cycle.line == 2 * depth
    assert_says(cycle, ["a cycle: s1 → s2 →", f"({depth - 20} more)", f"→ s{depth} → s1"])


def test_many_cycles_are_told_each(folder: Folder) -> None:
    names = [f"s{i}" for i in range(1000)]
    lists = zip(names, [*names[1:], "w"], strict=True)
    text = "".join(f'[supervisor.{name}]\nchildren = ["{child}", "s0"]\n' for name, child in lists)

    complaints = folder.complaints(text + '[worker.w]\ncommand = "x"\n')

    assert sum("a cycle" in complaint.problem for complaint in complaints) == 1000


def test_names_that_have_nothing_to_do_with_each_other_use_up_the_comparisons() -> None:
    near = Nearest(f"worker_{i}" for i in range(MANY))

    found = [near.to(word) for word in ("wxrkxr_77", "wxrkxr_78", "wxrkxr_79")]

    assert found[0] is not None
    assert found[2] is None
    assert near.to("worker_12x34") == "worker_1234"


def test_the_parsed_file_does_not_outlive_the_reading(folder: Folder) -> None:
    config = folder.load('[worker.a]\ncommand = "x"\n')
    with pytest.raises(ConfigError) as refused:
        folder.load("[worker.a]")

    gc.collect()
    alive = {type(value).__name__ for value in gc.get_objects() if type(value).__module__.startswith("procsup.config")}

    assert isinstance(config, Config)
    assert refused.value.complaints
    assert alive.isdisjoint({"Document", "Reading", "Place", "Node", "Lines"})
