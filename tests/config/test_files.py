"""What can be wrong with a file before its first key, and how files include each other."""

import os
import stat
from pathlib import Path

import pytest

from procsup.config.complaint import Complaint, ConfigError
from procsup.config.load import load
from procsup.core.spec import WorkerSpec
from tests.config.conftest import Folder, assert_says

WORKER = '[worker.api]\ncommand = "api"\n'


def complaint_of(file: str) -> Complaint:
    with pytest.raises(ConfigError) as refused:
        load(file, {}, privileged=False)
    (complaint,) = refused.value.complaints
    return complaint


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"[worker.api]\ncommand = 'x'\n\xff\n", 3, ["not UTF-8", "0xff"]),
        (WORKER.encode("utf-16"), 1, ["not UTF-8", "UTF-16"]),
        (b"[worker.api]\ncommand = x", 2, ["not TOML", "command = x", "text is written in quotes"]),
        (b"[worker.api]\r\ncommand = x\r\n", 2, ["not TOML", "'command = x'"]),
        (b"[worker.api\n", 1, ["not TOML", "'[worker.api'"]),
        (b"[worker.api]\ncommand = 'x\n", 2, ["not TOML", "command = "]),
        (b"[worker.api]\ncommand = ['x'\n\n[worker.b]\n", 4, ["Unclosed array", "further up"]),
        (b"[worker.api]\ncommand = ['x'\n\n", 2, ["Unclosed array", "at the end of the file"]),
        (b"[worker.api]\numask = 027\n", 2, ["not TOML", "umask = 027"]),
        (b"[worker.api]\ncommand = 'x'\ncommand = 'y'\n", 3, ["stands further up", "command = "]),
        (b"[worker.api]\ncommand = 'x\0'\n", 2, ["not TOML", "\\x00"]),
        (b"\0", 1, ["not TOML"]),
        (b"x = " + b"9" * 5000, None, ["too many digits"]),
        (b"x = " + b"[" * 100_000, None, ["nested too deeply"]),
        (b"x = " + b"{a=" * 100_000, None, ["nested too deeply"]),
        (b"x" + b".x" * 100_000 + b" = 1", None, ["nested too deeply"]),
        (b"k = " + b" " * 500 + b"?" + b" " * 500, 1, ["not TOML", "'?'"]),
    ],
)
def test_file_that_is_no_toml(folder: Folder, content: bytes, line: int | None, words: list[str]) -> None:
    complaint = folder.complaint(content)

    assert (complaint.file, complaint.line, complaint.path) == (folder.main, line, "")
    assert_says(complaint, words)


def test_a_table_that_stands_in_the_file_twice_names_both_lines(folder: Folder) -> None:
    complaint = folder.complaint('[worker."a b"]\ncommand = "x"\n\n[worker."a b"]\ncommand = "y"\n')

    assert (complaint.line, complaint.path) == (4, 'worker."a b"')
    assert_says(complaint, ["the name is used twice", f"the first is at {folder.main}:1"])


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + WORKER.encode(), WORKER.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_line_ends_of_windows_are_fine(folder: Folder, content: bytes) -> None:
    assert [child.name for child in folder.load(content).tree.children] == ["api"]


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n"])
def test_lines_are_right_behind_a_byte_order_mark_and_windows_line_ends(folder: Folder, start: bytes) -> None:
    content = start + b'[worker.api]\r\ncommand = """\r\nx\r\n"""\r\nrestart = "x"\r\n'

    assert folder.complaint(content).line == 5 + start.count(b"\n")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    file = str(tmp_path / "none.toml")

    complaint = complaint_of(file)

    assert (complaint.file, complaint.line) == (file, None)
    assert_says(complaint, ["cannot read the file", "No such file"])


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert_says(complaint_of(str(tmp_path)), ["cannot read the file", "it is a folder"])


def test_named_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert_says(complaint_of(str(tmp_path / "pipe")), ["cannot read the file", "a pipe"])


def test_endless_device_is_refused() -> None:
    assert_says(complaint_of("/dev/zero"), ["cannot read the file", "a device"])


def test_enormous_file_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "huge.toml", "wb") as file:
        file.truncate(1 << 40)

    assert_says(complaint_of(str(tmp_path / "huge.toml")), ["too large", "at most 64 MiB"])


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000])
def test_impossible_file_name(name: str) -> None:
    assert_says(complaint_of(name), ["cannot read the file"])


def test_no_descriptor_is_left_open_by_files_that_cannot_be_read(folder: Folder) -> None:
    folder.write(WORKER)
    before = sorted(os.listdir("/proc/self/fd"))

    for file in (str(folder.path), folder.main + "x", "/dev/zero", folder.write(b"\xff", "latin.toml")):
        complaint_of(file)

    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("mode", "chmod"),
    [(0o664, "chmod g-w "), (0o646, "chmod o-w "), (0o666, "chmod go-w "), (0o622, "chmod go-w ")],
)
def test_file_that_others_may_write_is_an_error_for_root(folder: Folder, mode: int, chmod: str) -> None:
    Path(folder.write(WORKER)).chmod(mode)

    with pytest.raises(ConfigError) as refused:
        load(folder.main, {}, privileged=True)

    (complaint,) = refused.value.complaints
    assert (complaint.file, complaint.line) == (folder.main, None)
    assert_says(complaint, ["may write this file", f"{mode:04o}", chmod + folder.main])


def test_file_that_others_may_write_is_fine_for_others(folder: Folder) -> None:
    Path(folder.write(WORKER)).chmod(0o666)

    assert load(folder.main, {}, privileged=False).tree.children


def test_included_file_that_others_may_write_is_an_error_for_root(folder: Folder) -> None:
    included = Path(folder.write(WORKER, "api.toml"))
    included.chmod(stat.S_IMODE(included.stat().st_mode) | stat.S_IWOTH)

    (complaint,) = folder.complaints('[daemon]\ninclude = ["api.toml"]', privileged=True)

    assert complaint.file == str(included)
    assert_says(complaint, [f"chmod o-w {included}"])


def test_other_complaints_come_with_that_of_the_mode(folder: Folder) -> None:
    Path(folder.write("[worker.api]\n")).chmod(0o666)

    with pytest.raises(ConfigError) as refused:
        load(folder.main, {}, privileged=True)

    assert [complaint.path for complaint in refused.value.complaints] == ["", "worker.api"]


# Included files.


def test_included_files_come_after_the_file_itself_sorted_by_name_in_the_order_of_the_patterns(folder: Folder) -> None:
    for name in ("conf.d/b", "conf.d/a", "conf.d/C", "last", "z"):
        folder.write(f'[worker."{name[-1]}"]\ncommand = "x"', f"{name}.toml")

    config = folder.load('[daemon]\ninclude = ["z.toml", "conf.d/*.toml"]\n[worker.main]\ncommand = "x"')

    assert [child.name for child in config.tree.children] == ["main", "z", "C", "a", "b"]


def test_included_file_may_hold_any_part_of_the_tree_and_its_paths_are_relative_to_itself(folder: Folder) -> None:
    folder.write('[supervisor.lab]\nchildren = ["spy"]\n[worker.spy]\ncommand = "bin/spy"', "sub/lab.toml")

    config = folder.load('[daemon]\ninclude = ["sub/*"]\n[supervisor.top]\nintensity = 0\nchildren = ["lab"]')

    (lab,) = config.tree.children
    (spy,) = lab.children  # type: ignore[union-attr]  # lab is a supervisor
    assert isinstance(spy, WorkerSpec)
    assert (spy.program.command, spy.program.cwd) == ((f"{folder.path}/sub/bin/spy",), f"{folder.path}/sub")


def test_pattern_that_matches_nothing_is_fine(folder: Folder) -> None:
    assert folder.load('[daemon]\ninclude = ["none/*.toml"]\n' + WORKER).tree.children


def test_pattern_that_matches_the_file_itself_leaves_it_out(folder: Folder) -> None:
    assert len(folder.load('[daemon]\ninclude = ["*.toml", "./*.toml"]\n' + WORKER).tree.children) == 1


def test_file_that_two_patterns_match_is_read_once(folder: Folder) -> None:
    folder.write(WORKER, "a.toml")

    assert len(folder.load('[daemon]\ninclude = ["a.toml", "./a*", "a*.toml"]').tree.children) == 1


def test_pattern_is_relative_to_a_folder_with_odd_characters(folder: Folder) -> None:
    folder.write(WORKER, "[x]*/a.toml")
    main = folder.write('[daemon]\ninclude = ["*.toml"]', "[x]*/tree.toml")

    assert len(load(main, {}, privileged=False).tree.children) == 1


def test_files_are_named_as_the_user_named_the_first_one(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("[worker.api]\n", "sub/a.toml")
    folder.write('[daemon]\ninclude = ["*"]', "sub/tree.toml")
    monkeypatch.chdir(folder.path)

    assert complaint_of("sub/tree.toml").file == "sub/a.toml"


@pytest.mark.parametrize(
    ("included", "words"),
    [
        ("[daemon]\ninclude = ['x']\n" + WORKER, ["an included file cannot have this table"]),
        ("daemon = 3\n" + WORKER, ["an included file cannot have this table"]),
    ],
)
def test_included_file_has_no_daemon_table(folder: Folder, included: str, words: list[str]) -> None:
    file = folder.write(included, "a.toml")

    complaint = folder.complaint('[daemon]\ninclude = ["a.toml"]\n')

    assert (complaint.file, complaint.line, complaint.path) == (file, 1, "daemon")
    assert_says(complaint, words)


def test_name_without_pattern_must_exist(folder: Folder) -> None:
    complaint = folder.complaint('[daemon]\ninclude = [\n"none.toml"]\n' + WORKER)

    assert (complaint.line, complaint.path) == (3, "daemon.include[0]")
    assert_says(complaint, ["there is no such file", f"{folder.path}/none.toml"])


def test_file_cannot_include_itself_by_name(folder: Folder) -> None:
    assert_says(folder.complaint('[daemon]\ninclude = ["./tree.toml"]\n' + WORKER), ["includes itself"])


def test_broken_included_file_is_complained_about_without_guesses_about_what_it_holds(folder: Folder) -> None:
    broken = folder.write("[worker.spy]\ncommand = 3 3", "spy.toml")

    complaint = folder.complaint('[daemon]\ninclude = ["*"]\nroot = "x"\n[supervisor.top]\nchildren = ["spy"]')

    assert (complaint.file, complaint.line) == (broken, 2)


def test_complaints_of_included_files_come_after_those_of_the_first(folder: Folder) -> None:
    for name in "ba":
        folder.write(f"[worker.{name}]\n", f"{name}.toml")

    complaints = folder.complaints('\n\n[daemon]\ninclude = ["*"]\n[worker.c]\n')

    assert [(complaint.line, complaint.path) for complaint in complaints] == [
        (5, "worker.c"),
        (1, "worker.a"),
        (1, "worker.b"),
    ]


def test_include_is_substituted(folder: Folder) -> None:
    folder.write(WORKER, "prod.toml")

    assert folder.load('[daemon]\ninclude = ["${STAGE}.toml"]', {"STAGE": "prod"}).tree.children
