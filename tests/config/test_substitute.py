"""${NAME} in strings, and the words of a command line."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.config.substitute import SubstitutionError, split_command, substituted
from procsup.core.spec import WorkerSpec
from tests.config.conftest import Folder, assert_says

ENVIRON = {"A": "one", "B_2": "two words", "EMPTY": "", "REF": "${A}", "QUOTE": "it's \"so\" \\"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${A}", "one"),
        ("${A}${A}/${B_2}!", "oneone/two words!"),
        ("${EMPTY}", ""),
        ("${A:-x}", "one"),
        ("${UNSET:-x y}", "x y"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-x}", "x"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${UNSET:-$A $}", "$A $"),
        ("$${A}", "${A}"),
        ("$${", "${"),
        ("$$${A}", "$${A}"),
        ("$$A $A $ $( $$", "$$A $A $ $( $$"),
        ("${REF}", "${A}"),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    assert substituted(text, ENVIRON) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${UNSET}", "UNSET is not set in the environment"),
        ("${A", "is not closed"),
        ("x ${", "is not closed"),
        ("${}", "is neither ${NAME} nor ${NAME:-default}"),
        ("${A-x}", "is neither"),
        ("${A:=x}", "is neither"),
        ("${A:+x}", "is neither"),
        ("${#A}", "is neither"),
        ("${1}", "is neither"),
        ("${ A }", "is neither"),
        ("${UNSET:-${A}}", "holds a reference of its own"),
    ],
)
def test_what_is_not_written_right_is_an_error(text: str, words: str) -> None:
    with pytest.raises(SubstitutionError) as refused:
        substituted(text, ENVIRON)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run ${A} b", ["run", "one", "b"]),
        ("run ${B_2}", ["run", "two", "words"]),
        ('run "${B_2}"', ["run", "two words"]),
        ("run '${B_2}'", ["run", "two words"]),
        ("run ${EMPTY} b", ["run", "b"]),
        ('run "${EMPTY}" b', ["run", "", "b"]),
        ("run ${UNSET:-x y} b", ["run", "x", "y", "b"]),
        ("run --${A}=${B_2}", ["run", "--one=two", "words"]),
        ("run $${A} '$${A}'", ["run", "${A}", "${A}"]),
        ("run ${QUOTE}", ["run", "it's", '"so"', "\\"]),
        ("run '${QUOTE}'", ["run", 'it\'s "so" \\']),
        ('run "${QUOTE}"', ["run", 'it\'s "so" \\']),
        ("run 'it' \"'\" ${A}", ["run", "it", "'", "one"]),
        ("run \\' ${A}", ["run", "'", "one"]),
    ],
)
def test_value_in_a_command_line_is_split_only_outside_of_quotes(line: str, words: list[str]) -> None:
    assert split_command(line, ENVIRON) == words


_WORDS = ["a", " ", "${V}", '"${V}"', "'a b'", "\\'", "\\\\", "b${V}c", '"a \\" ${V} \'"', "''", "  "]


@given(st.lists(st.sampled_from(_WORDS), max_size=8).map("".join), st.text("a '\"\\", max_size=6))
def test_command_line_is_split_as_a_shell_splits_it(line: str, value: str) -> None:
    words = split_command(line, {"V": value})

    script = f"printf '%s\\0' begin {line}"
    told = subprocess.run(["sh", "-c", script], env={"V": value}, capture_output=True, check=True).stdout

    assert words == [word.decode() for word in told.split(b"\0")[1:-1]]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0$"), max_size=5), min_size=1))
def test_a_line_that_was_quoted_for_a_shell_is_split_into_the_same_words(words: list[str]) -> None:
    assert split_command(shlex.join(words), {}) == words


def test_every_string_of_a_file_is_substituted(folder: Folder) -> None:
    text = """
        [supervisor.top]
        children = ["${CHILD}"]
        [worker.api]
        command = ["${DIR}/api", "${A}"]
        restart = "${RESTART:-transient}"
        shutdown = "${SECONDS}s"
        cwd = "${DIR}"
        env = { X = "<${A}>" }
    """

    config = folder.load(text, {"CHILD": "api", "DIR": "/srv", "A": "a b", "SECONDS": "7"})

    (api,) = config.tree.children
    assert isinstance(api, WorkerSpec)
    assert (api.restart, api.shutdown) == ("transient", 7.0)
    assert (api.program.command, api.program.cwd, api.program.env) == (("/srv/api", "a b"), "/srv", (("X", "<a b>"),))


def test_names_of_tables_and_variables_are_not_substituted(folder: Folder) -> None:
    (worker,) = folder.load('[worker."${A}"]\ncommand = "x"\nenv = { "${A}" = "x" }').tree.children

    assert isinstance(worker, WorkerSpec)
    assert (worker.name, worker.program.env) == ("${A}", (("${A}", "x"),))


@pytest.mark.parametrize("command", ['"run ${PORT}"', '["run", "${PORT}"]'])
def test_unset_variable_is_an_error_that_says_how_to_give_a_default(folder: Folder, command: str) -> None:
    complaint = folder.complaint(f"[worker.api]\ncommand = {command}")

    assert complaint.line == 2
    assert_says(complaint, ["PORT is not set in the environment", "${PORT:-default}"])


def test_wrong_value_is_shown_as_it_was_substituted(folder: Folder) -> None:
    complaint = folder.complaint('[worker.api]\ncommand = "x"\nrestart = "${R}"', {"R": "transiet"})

    assert_says(complaint, ["'transiet'", "did you mean 'transient'?"])


def test_nul_in_the_environment_does_not_get_through(folder: Folder) -> None:
    assert_says(folder.complaint('[worker.api]\ncommand = "x ${R}"', {"R": "a\0b"}), ["NUL"])
