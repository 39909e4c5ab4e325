"""Environment files: what their lines mean, how several are laid over one another, and what is wrong with one."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.config.complaint import ConfigError
from procsup.config.config import Config
from procsup.config.content import Unreadable, read_text
from procsup.config.env_file import Assignment, assignments
from procsup.config.load import load
from procsup.config.place import Place, Reading
from procsup.core.spec import WorkerSpec
from tests.config.conftest import Folder, assert_says

WORKER = '[worker.api]\ncommand = "api"\nenv_file = "api.env"\n'


def environment_of(config: Config) -> dict[str, str]:
    (spec, *_) = config.tree.children
    assert isinstance(spec, WorkerSpec)
    assert spec.program.env == tuple(sorted(spec.program.env))
    return dict(spec.program.env)


def environment(folder: Folder, content: str | bytes) -> dict[str, str]:
    folder.write(content, "api.env")
    return environment_of(folder.load(WORKER))


# The lines of a file.


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=", ""),
        ("A=x", "x"),
        ("A = x", "x"),
        ("  A=x\t ", "x"),
        ("\tA\t=\t x", "x"),
        ("A=two words", "two words"),
        ("A=x=y", "x=y"),
        ("A==", "="),
        ("export A=x", "x"),
        ("export \tA=x", "x"),
        # quotes
        ("A='x y '", "x y "),
        ('A="x y "', "x y "),
        ("A=''", ""),
        ('A=""', ""),
        ("A='x' ", "x"),
        ('A=\'"\'"\'"', "\"'"),
        ('A="x"y', "xy"),
        ("A='x' 'y'", "xy"),
        ("A='x' y", "xy"),
        ("A=x'y'", "x'y'"),
        ("A=it's", "it's"),
        ('A="x"y"z"', 'xy"z"'),
        # backslashes
        (r"A=\x\\\'\"\$", "x\\'\"$"),
        (r"A=\ x\ ", " x "),
        ("A=x\\ \\  ", "x  "),
        ("A=x\\\\  ", "x\\"),
        (r"A=\'x y'", "'x y'"),
        (r"""A='\x\\\'""", "\\x\\\\\\"),
        (r'A="\"\\\$\`\x\'\n"', "\"\\$`\\x\\'\\n"),
        # more than one line
        ("A=x\\\ny", "xy"),
        ("A=x\\\n  y", "x  y"),
        ("A=\\\n  y", "  y"),
        ("A=x\\\n#y", "x#y"),
        ("A='x\ny'", "x\ny"),
        ('A="x\ny"', "x\ny"),
        ('A="x\\\ny"', "xy"),
        ("A='x\\\ny'", "x\\\ny"),
        ("A='x\n\n# y\n'", "x\n\n# y\n"),
        # nothing is substituted
        ("A=${HOME} $HOME", "${HOME} $HOME"),
        ('A="${HOME} $HOME `pwd` $(pwd)"', "${HOME} $HOME `pwd` $(pwd)"),
        ("A=$${HOME}", "$${HOME}"),
    ],
)
def test_value_of_a_line(folder: Folder, line: str, value: str) -> None:
    assert environment(folder, line) == {"A": value}
    assert environment(folder, f"B=1\n{line}\n\nC='2'") == {"A": value, "B": "1", "C": "2"}


@pytest.mark.parametrize(("content", "value"), [("A=x\\", "x"), ("A=\\", ""), ("A=x \\\n", "x "), ("A='x'\\", "x")])
def test_backslash_at_the_end_of_the_file_joins_nothing(folder: Folder, content: str, value: str) -> None:
    assert environment(folder, content) == {"A": value}


@pytest.mark.parametrize(
    "content",
    ["", "\n", "\n\n \t\n", "# A=1", "; A=1", "  # A=1\n\t; B=2\n", "#", "# no 'quotation\n", "# not continued \\\n"],
)
def test_blank_lines_and_comments_are_nothing(folder: Folder, content: str) -> None:
    assert environment(folder, content) == {}
    assert environment(folder, f"{content}\nA=1\n{content}") == {"A": "1"}


@pytest.mark.parametrize("name", ["A", "_", "a.b", "a-b", "A1", "1", "\u00fc", "export", "exported", "A;B", "A#B"])
def test_name_is_anything_without_blanks_and_quotes(folder: Folder, name: str) -> None:
    assert environment(folder, f"{name}=x\n") == {name: "x"}
    assert environment(folder, f"export {name}=x\n") == {name: "x"}


def test_variable_named_export_is_no_prefix(folder: Folder) -> None:
    assert environment(folder, "export = x\n") == {"export": "x"}


def test_last_value_of_a_name_counts(folder: Folder) -> None:
    assert environment(folder, "A=1\nB=2\nA=3\n") == {"A": "3", "B": "2"}


@pytest.mark.parametrize(
    "content", [b"A=x\r\n\r\n# c\r\nB='y\r\nz'\r\n", b"\xef\xbb\xbfA=x\nB='y\nz'", b"A=x\r\nB=\"y\r\nz\"\r\n  \r\n"]
)
def test_line_ends_of_windows_and_a_byte_order_mark_are_fine(folder: Folder, content: bytes) -> None:
    assert environment(folder, content) == {"A": "x", "B": "y\nz"}


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))


def in_single_quotes(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


def in_double_quotes(value: str) -> str:
    return '"' + "".join(f"\\{c}" if c in '"\\$`' else c for c in value) + '"'


def in_backslashes(value: str) -> str:
    """A line end can only be in quotes."""
    return "".join(f"\\{c}" for c in value.replace("\n", ""))


@given(st.lists(st.tuples(VALUES, st.sampled_from([in_single_quotes, in_double_quotes, in_backslashes]))))
def test_values_that_were_quoted_are_read_again_at_their_lines(values: list[tuple[str, object]]) -> None:
    text, expected = "", []
    for i, (value, quoted) in enumerate(values):
        meant = value.replace("\n", "") if quoted is in_backslashes else value
        expected.append((1 + text.count("\n"), f"V{i}", meant))
        text += f"V{i}={quoted(value)}\n"  # type: ignore[operator]  # one of the three functions

    read = [item for item in assignments(text) if isinstance(item, Assignment)]

    assert [(item.line, item.name, item.value) for item in read] == expected


PIECES = ["'", "'a b'", '"', '"a"', "\\", "a", " ", "\n", "#", ";", "=", "A=", "export ", "\\\n", "\0", "\r\n", "$"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_a_file_holds_is_told_in_order_of_its_lines(text: str) -> None:
    lines = [item.line for item in assignments(text)]

    assert lines == sorted(lines)
    assert all(1 <= line <= 1 + text.count("\n") for line in lines)


QUOTED = ["'a b'", "'\\'", "'\"'", "'\n'", "'#'", '"a b"', "\"'\"", '"\\""', '"\\\\"', '"\\$"', '"\\a"', '"\\\n"']


@given(st.lists(st.sampled_from(QUOTED), max_size=6).map("".join), st.sampled_from(["", "export "]))
def test_quotes_without_substitution_mean_what_they_mean_to_a_shell(value: str, export: str) -> None:
    script = f'{export}A={value}\nprintf %s "$A"'
    told = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode()

    assert [item.value for item in assignments(f"{export}A={value}\n") if isinstance(item, Assignment)] == [told]


def test_a_mebibyte_of_anything_is_read_at_once() -> None:
    for piece in ("A=x\n", "A='x' ", 'A="\\', "\\", "A=\\ ", "'", "   ", "#", "export ", "A", "=", "A=' ' "):
        assert len(list(assignments(piece * (2**20 // len(piece))))) <= 2**18


# Where files are, and how they are laid over one another.


def test_variables_of_the_file_are_in_the_environment_of_the_worker(folder: Folder) -> None:
    folder.write("B=file\nA=file\n", "api.env")

    assert environment_of(folder.load(f'{WORKER}env = {{ C = "3" }}')) == {"A": "file", "B": "file", "C": "3"}


def test_env_wins_over_env_file_and_later_files_over_earlier_ones(folder: Folder) -> None:
    folder.write("A=1\nB=1\nC=1\n", "1.env")
    folder.write("B=2\nC=2\n", "2.env")

    config = folder.load('[worker.api]\nenv = { C = "3" }\ncommand = "x"\nenv_file = ["1.env", "2.env"]')

    assert environment_of(config) == {"A": "1", "B": "2", "C": "3"}


def test_no_files_are_nothing(folder: Folder) -> None:
    assert environment_of(folder.load('[worker.api]\ncommand = "x"\nenv_file = []')) == {}


def test_path_is_relative_to_the_file_that_names_it_and_is_substituted(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write('[worker.api]\ncommand = "x"\nenv_file = "${STAGE}.env"', "sub/tree.toml")
    folder.write("A=${STAGE}\n", "sub/live.env")
    monkeypatch.chdir(folder.path)

    assert environment_of(load("sub/tree.toml", {"STAGE": "live"}, privileged=False)) == {"A": "${STAGE}"}


def test_absolute_path_is_taken_as_it_is(folder: Folder) -> None:
    file = folder.write("A=1\n", "elsewhere/api.env")

    assert environment_of(folder.load(f'[worker.api]\ncommand = "x"\nenv_file = "{file}"')) == {"A": "1"}


def test_equal_environments_of_many_workers_are_one_object(folder: Folder) -> None:
    folder.write("A=1\n", "api.env")
    lines = 'command = "x"\nenv_file = "api.env"\nenv = { B = "2" }\n'

    first, second = folder.load(f"[worker.a]\n{lines}[worker.b]\n{lines}").tree.children

    assert isinstance(first, WorkerSpec)
    assert isinstance(second, WorkerSpec)
    assert first.program is second.program


# What is wrong with one.


@pytest.mark.parametrize(
    ("content", "line", "path", "words"),
    [
        ("A=1\n\nnonsense\n", 3, "", ["no assignment", "NAME=VALUE", "a comment begins with '#'"]),
        ("export A\n", 1, "", ["no assignment"]),
        ("A='x\ny'\n\nnonsense", 4, "", ["no assignment"]),
        ("A=x\\\ny\nnonsense", 3, "", ["no assignment"]),
        ("A=x\r\nnonsense\r\n", 2, "", ["no assignment"]),
        ("=x\n", 1, "", ["no name for a variable"]),
        ("export =x\n = y\n", 2, "", ["no name for a variable"]),
        ("A B=x\n", 1, "", ["no name for a variable", "without blanks and quotes"]),
        ("'A'=x\n", 1, "", ["no name for a variable"]),
        ("\nA='x\nB=y\n\n", 2, "", ["a quotation that does not end"]),
        ('\nA="x\nB=y\\"\n', 2, "", ["a quotation that does not end"]),
        ("A=''x\nB='' '\n", 2, "", ["a quotation that does not end"]),
        ("A=1\nB=\0\n", 2, "", ["NUL"]),
        ("\0\n", 1, "", ["no assignment"]),
        ("A\0=1\n", 1, "", ["NUL"]),
        ("A=1\nPROCSUP_NAME=x\n", 2, "PROCSUP_NAME", ["PROCSUP_NAME is not yours to set"]),
        (b"A=1\nB=\xff\n", 2, "", ["not UTF-8", "0xff"]),
        ("A=1\n".encode("utf-16"), 1, "", ["not UTF-8", "UTF-16"]),
    ],
)
def test_wrong_line(folder: Folder, content: str | bytes, line: int, path: str, words: list[str]) -> None:
    file = folder.write(content, "api.env")

    complaint = folder.complaint(WORKER)

    assert (complaint.file, complaint.line, complaint.path) == (file, line, path)
    assert_says(complaint, words)


def test_every_wrong_line_is_complained_about_after_the_file_that_names_it(folder: Folder) -> None:
    a = folder.write("x\nPROCSUP_A=1\nB=2\ny\n", "a.env")
    b = folder.write("x\n", "b.env")

    complaints = folder.complaints(f'{WORKER.replace("api.env", "none.env")}[worker.b]\nenv_file = ["b.env", "a.env"]')

    assert [(complaint.file, complaint.line) for complaint in complaints] == [
        (folder.main, 3),
        (folder.main, 4),
        (b, 1),
        (a, 1),
        (a, 2),
        (a, 4),
    ]


def test_file_that_many_workers_name_is_complained_about_once(folder: Folder) -> None:
    folder.write("nonsense\n", "api.env")

    assert folder.complaint(WORKER + WORKER.replace("worker.api", "worker.b")).problem == "no assignment"


def test_file_is_named_as_the_user_named_the_tree(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("nonsense\n", "sub/env/api.env")
    folder.write(WORKER.replace("api.env", "./env//api.env"), "sub/tree.toml")
    monkeypatch.chdir(folder.path)

    with pytest.raises(ConfigError) as refused:
        load("sub/tree.toml", {}, privileged=False)

    assert [complaint.file for complaint in refused.value.complaints] == ["sub/env/api.env"]


@pytest.mark.parametrize(
    "content",
    ["secret", "A B=secret", "A='secret", "A=\0secret", "PROCSUP_A=secret", "'secret'=", "A=x # secret\nx"],
)
def test_no_complaint_shows_what_may_be_a_secret(folder: Folder, content: str) -> None:
    folder.write(content, "api.env")

    assert "secret" not in str(folder.complaints(WORKER))


def test_missing_file_is_complained_about_wherever_it_is_named(folder: Folder) -> None:
    complaints = folder.complaints(f'{WORKER}[worker.b]\ncommand = "x"\nenv_file = [\n"/no/x.env", "api.env"]')

    assert [(c.file, c.line, c.path) for c in complaints] == [
        (folder.main, 3, "worker.api.env_file"),
        (folder.main, 7, "worker.b.env_file[0]"),
        (folder.main, 7, "worker.b.env_file[1]"),
    ]
    assert_says(complaints[0], ["cannot read the environment file", f"{folder.path}/api.env", "No such file"])


def test_file_that_may_not_be_one(folder: Folder) -> None:
    (folder.path / "sub").mkdir()
    os.mkfifo(folder.path / "pipe")

    for name, words in (("sub", "it is a folder"), ("pipe", "a pipe"), ("/dev/zero", "a device"), ("x/y", "No such")):
        complaint = folder.complaint(WORKER.replace("api.env", name))
        assert (complaint.line, complaint.path) == (3, "worker.api.env_file")
        assert_says(complaint, ["cannot read the environment file", words])


def test_file_of_more_than_a_mebibyte_is_an_error(folder: Folder) -> None:
    folder.write(b"#" * 2**20, "api.env")
    assert environment_of(folder.load(WORKER)) == {}

    folder.write(b"#" * (2**20 + 1), "api.env")
    assert_says(folder.complaint(WORKER), ["it is too large", "1048577 bytes", "at most 1 MiB"])


def test_file_that_is_larger_than_it_said_is_not_cut() -> None:
    """Files of /proc say that they are empty."""
    reading = Reading({}, privileged=False)
    whole = Place(reading.document("/proc/self/maps", "/proc/self"), (), reading)

    assert os.stat("/proc/self/maps").st_size == 0
    with pytest.raises(Unreadable, match="too large"):
        read_text(whole, 100)


@pytest.mark.parametrize(
    ("value", "key", "words"),
    [
        ("3", "", ["not a string"]),
        ("{}", "", ["not a string"]),
        ('""', "", ["an empty path"]),
        ('"~/api.env"', "", ["'~' is not expanded"]),
        ('["", 3]', "[0]", ["an empty path"]),
    ],
)
def test_wrong_path(folder: Folder, value: str, key: str, words: list[str]) -> None:
    complaint = folder.complaints(f'[worker.api]\ncommand = "x"\nenv_file = {value}')[0]

    assert (complaint.line, complaint.path) == (3, f"worker.api.env_file{key}")
    assert_says(complaint, words)


@pytest.mark.parametrize(("mode", "chmod"), [(0o620, "g-w"), (0o602, "o-w"), (0o666, "go-w")])
def test_file_that_others_may_write_is_an_error_for_root_only(folder: Folder, mode: int, chmod: str) -> None:
    file = Path(folder.write("A=1\n", "api.env"))
    file.chmod(mode)

    assert environment_of(folder.load(WORKER)) == {"A": "1"}
    (complaint,) = folder.complaints(WORKER, privileged=True)

    assert (complaint.file, complaint.line) == (str(file), None)
    assert_says(complaint, ["may write this file", f"mode {mode:04o}", f"run: chmod {chmod} {file}"])


def test_file_that_only_its_owner_may_write_is_fine_for_root(folder: Folder) -> None:
    file = Path(folder.write("A=1\n", "api.env"))
    file.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)

    assert environment_of(folder.load(WORKER, privileged=True)) == {"A": "1"}


# What looks like a comment and is none.


@pytest.mark.parametrize("line", ["A=x # note", "A='x' # note", "A=# note", "A=x\t#", "A=x\\\n #y"])
def test_what_looks_like_a_comment_behind_a_value_is_warned_of(folder: Folder, line: str) -> None:
    file = folder.write(f"\n{line}\n", "api.env")

    (warning,) = folder.warnings(WORKER)

    assert (warning.file, warning.line, warning.path) == (file, 2, "A")
    assert_says(warning, ["what looks like a comment is part of the value", "in quotes"])


@pytest.mark.parametrize("line", ["A=x#y", "A='x # y'", 'A="# y"', "# c\nA=1", "A=x\\ \\#y", "A=x\\\n#y"])
def test_what_looks_like_no_comment_is_not_warned_of(folder: Folder, line: str) -> None:
    folder.write(line, "api.env")

    assert folder.warnings(WORKER) == []
