"""Where a worker's streams lead, and how its log is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.core.spec import LogSettings, Program, WorkerSpec
from tests.config.conftest import Folder, assert_says

WORKER = '[worker.api]\ncommand = "api"\n'


def program(folder: Folder, line: str) -> Program:
    (spec,) = folder.load(WORKER + line, {"DIR": "/srv"}).tree.children
    assert isinstance(spec, WorkerSpec)
    return spec.program


@pytest.mark.parametrize("word", ["null", "inherit", "/in", "/dev/tty"])
def test_stdin_is_a_word_or_an_absolute_path(folder: Folder, word: str) -> None:
    assert program(folder, f'stdin = "{word}"').stdin == word


@pytest.mark.parametrize("word", ["log", "inherit", "null", "journal", "/out.log", "/dev/tty"])
def test_stdout_and_stderr_are_words_or_absolute_paths(folder: Folder, word: str) -> None:
    assert program(folder, f'stdout = "{word}"').stdout == word
    assert program(folder, f'stderr = "{word}"').stderr == word


@pytest.mark.parametrize(
    ("written", "path"),
    [("${DIR}/x.log", "/srv/x.log"), ("//x///./y/", "/x/y"), ("/x/../y", "/x/../y"), ("/null", "/null")],
)
def test_path_of_a_stream(folder: Folder, written: str, path: str) -> None:
    assert program(folder, f'stderr = "{written}"').stderr == path


@pytest.mark.parametrize("key", ["stdin", "stdout", "stderr"])
def test_the_null_device_is_null_and_no_file_to_be_kept(folder: Folder, key: str) -> None:
    assert getattr(program(folder, f'{key} = "/dev/null"'), key) == "null"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('stdin = "nul"', ["no such stdin", "'null', 'inherit' or an absolute path", "did you mean 'null'?"]),
        ('stdin = "log"', ["no such stdin", "'log'"]),
        ('stdin = "journal"', ["no such stdin"]),
        ('stdout = "jurnal"', ["no such stdout", "did you mean 'journal'?"]),
        ('stdout = "LOG"', ["did you mean 'log'?"]),
        ('stdout = "inherited"', ["did you mean 'inherit'?"]),
        ('stderr = ""', ["no such stderr", "'log', 'inherit', 'null', 'journal' or an absolute path"]),
        ("stdout = false", ["not a string", "false"]),
        ('stdout = ["log"]', ["not a string"]),
        ('stdout = "/x\\u0000"', ["NUL"]),
        ('stdout = "~/x"', ["a relative path", "write '${HOME}/x'"]),
        ('stdout = "~"', ["a relative path", "write '${HOME}'"]),
    ],
)
def test_wrong_stream(folder: Folder, line: str, words: list[str]) -> None:
    complaint = folder.complaint(WORKER + line)

    assert (complaint.file, complaint.line, complaint.path) == (folder.main, 3, f"worker.api.{line.split()[0]}")
    assert_says(complaint, words)


@pytest.mark.parametrize("written", ["logs/x", "./x", "../x", "x.log", "log/", "a.log", "..", "~alice/x"])
def test_relative_path_is_told_how_to_write_it_absolute(folder: Folder, written: str) -> None:
    complaint = folder.complaint(f'{WORKER}stdout = "{written}"')

    assert_says(complaint, ["a relative path", repr(written)])
    hint = complaint.hint.removeprefix("for a file, write ").strip("'")
    assert hint.startswith(f"{folder.path}/")
    assert program(folder, f'stdout = "{hint}"').stdout == hint


def test_word_that_is_like_no_other_may_have_been_a_file(folder: Folder) -> None:
    assert_says(folder.complaint(f'{WORKER}stdout = "whatever"'), ["no such stdout", f"write '{folder.path}/whatever'"])


# The log.


@pytest.mark.parametrize(
    ("table", "settings"),
    [
        ("{}", LogSettings()),
        ("{ max_bytes = 1 }", LogSettings(max_bytes=1)),
        ('{ max_bytes = "64KiB" }', LogSettings(max_bytes=65_536)),
        ("{ backups = 0 }", LogSettings(backups=0)),
        ("{ backups = 1000 }", LogSettings(backups=1000)),
        ("{ timestamps = true }", LogSettings(timestamps=True)),
        ('{ max_bytes = "1.5GB", backups = 1, timestamps = false }', LogSettings(1_500_000_000, 1, False)),
    ],
)
def test_log(folder: Folder, table: str, settings: LogSettings) -> None:
    assert program(folder, f"log = {table}").log == settings


def test_log_may_be_a_table_of_its_own(folder: Folder) -> None:
    assert program(folder, '[worker.api.log]\nmax_bytes = "1MB"\n').log == LogSettings(max_bytes=1_000_000)


@given(st.builds(LogSettings, st.integers(1, 2**63 - 1), st.integers(0, 1000), st.booleans()))
def test_log_that_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, log: LogSettings) -> None:
    folder = Folder(tmp_path_factory.getbasetemp())
    timestamps = str(log.timestamps).lower()

    table = f"{{ max_bytes = {log.max_bytes}, backups = {log.backups}, timestamps = {timestamps} }}"

    assert program(folder, f"log = {table}").log == log


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ('"10MB"', "", ["not a table", "'10MB'", "{ max_bytes = '10MB'"]),
        ("{ max_byte = 1 }", ".max_byte", ["unknown key", "did you mean 'max_bytes'?"]),
        ("{ size = 1 }", ".size", ["unknown key", "one of max_bytes, backups, timestamps"]),
        ("{ max_bytes = 0 }", ".max_bytes", ["a file of no size", "above 0"]),
        ('{ max_bytes = "0KB" }', ".max_bytes", ["a file of no size"]),
        ("{ max_bytes = -1 }", ".max_bytes", ["a size cannot be negative"]),
        ('{ max_bytes = "10M" }', ".max_bytes", ["not a size", "write '10MB'", "'10MiB'"]),
        ('{ max_bytes = "1000" }', ".max_bytes", ["not a size", "write 1000 without quotes"]),
        ("{ max_bytes = true }", ".max_bytes", ["true and false are not sizes"]),
        ("{ backups = 1001 }", ".backups", ["too many old files", "at most 1000"]),
        ("{ backups = -1 }", ".backups", ["a negative number"]),
        ('{ backups = "5" }', ".backups", ["not a whole number"]),
        ('{ timestamps = "yes" }', ".timestamps", ["neither true nor false"]),
    ],
)
def test_wrong_log(folder: Folder, table: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(f"{WORKER}log = {table}")

    assert (complaint.line, complaint.path) == (3, f"worker.api.log{key}")
    assert_says(complaint, words)
