"""What a tree may do that its author may not expect."""

import pytest

from procsup.config.complaint import ConfigError
from tests.config.conftest import Folder, assert_says


def group(strategy: str, limits: str, **shutdown: str) -> str:
    """A root over workers; each keyword is a worker's shutdown as in TOML, "" for the default."""
    names = ", ".join(f'"{name}"' for name in shutdown)
    text = f'[supervisor.top]\nstrategy = "{strategy}"\nchildren = [{names}]\n{limits}\n'
    for name, value in shutdown.items():
        text += f'[worker.{name}]\ncommand = "x"\n' + (f"shutdown = {value}\n" if value else "")
    return text


def nested(*intensities: int, worker: str = "", top: str = "") -> str:
    """Supervisors s0, s1 … in a row, with the leaf at the end."""
    text = ""
    for i, intensity in enumerate(intensities):
        child = f"s{i + 1}" if i + 1 < len(intensities) else "leaf"
        text += f'[supervisor.s{i}]\nintensity = {intensity}\nchildren = ["{child}"]\n{top if i else ""}\n'
    return text + f'[worker.leaf]\ncommand = "x"\n{worker}'


# A supervisor that stays down.


@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_supervisor_that_stays_down_after_giving_up_is_warned_of(folder: Folder, restart: str) -> None:
    (warning,) = folder.warnings(nested(1, 1, top=f'restart = "{restart}"'))

    assert (warning.file, warning.line, warning.path) == (folder.main, 8, "supervisor.s1.restart")
    assert warning.warning
    assert_says(warning, [f"a {restart} supervisor stays down once it has given up"])


def test_supervisor_whose_end_ends_its_parent_is_not_warned_of(folder: Folder) -> None:
    text = nested(1, 1, top='restart = "transient"\nsignificant = true')

    assert folder.warnings(text.replace("intensity = 1", 'intensity = 1\nauto_shutdown = "any_significant"', 1)) == []


def test_supervisor_that_cannot_give_up_is_not_warned_of(folder: Folder) -> None:
    assert folder.warnings(nested(1, 1, top='restart = "transient"', worker='restart = "temporary"')) == []


# A restart cycle that is too long for the limit.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            group("one_for_all", 'intensity = 2\nperiod = "1s"', a="", b='"1500ms"'),
            ["a crash of 'a'", "may take 1.5s", "2 restarts in 1s", "shutdown times of 'b'", "at least '3s'"],
            id="the case of erlang/otp#4648",
        ),
        pytest.param(
            group("one_for_all", "", a="1", b="1", c="0.75"),
            ["a crash of 'c'", "may take 2s", "3 restarts in 5s", "'a', 'b'"],
            id="the sum of the others, for the child that makes it longest",
        ),
        pytest.param(
            group("rest_for_one", "", a="9", b="1", c="1"),
            ["a crash of 'a'", "may take 2s", "'b', 'c'"],
            id="rest_for_one: those after the first",
        ),
        pytest.param(
            group("one_for_all", "intensity = 1", a="", b='"infinity"'),
            ["may take for ever", "1 restart in 5s", "a finite shutdown"],
            id="a sibling that may take for ever",
        ),
    ],
)
def test_restart_cycle_that_is_longer_than_the_limit_allows_is_warned_of(
    folder: Folder, text: str, words: list[str]
) -> None:
    (warning,) = folder.warnings(text)

    assert warning.path.startswith("supervisor.top")
    assert_says(warning, ["for ever", "is never reached", *words])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(group("one_for_all", "", a="", b="", c=""), id="defaults never warn"),
        pytest.param(group("one_for_one", "", a='"10s"', b='"10s"'), id="one_for_one stops nobody"),
        pytest.param(group("one_for_all", "intensity = 0", a='"10s"', b='"10s"'), id="intensity 0 gives up at once"),
        pytest.param(group("one_for_all", "intensity = 5", a="", b='"1s"'), id="exactly period / intensity"),
        pytest.param(group("one_for_all", "intensity = 1\nperiod = 0.3", a="", b="0.1", c="0.1", d="0.1"),
                     id="exactly, but for rounding"),
        pytest.param(group("one_for_all", "", a='"10s"'), id="no sibling"),
        pytest.param(group("one_for_all", "", a="", b='"brutal_kill"'), id="killed at once"),
        pytest.param(group("rest_for_one", "", a='"10s"', b=""), id="rest_for_one does not stop those before"),
        pytest.param(group("one_for_all", "", a="", b="9\nrestart = 'temporary'"), id="a temporary sibling"),
        pytest.param(group("one_for_all", "", a="0\nrestart = 'temporary'", b="9"), id="a temporary child"),
    ],
)  # fmt: skip
def test_restart_cycle_that_fits_the_limit_is_not_warned_of(folder: Folder, text: str) -> None:
    assert folder.warnings(text) == []


def attempts(limits: str, *lines: str) -> str:
    keys = "\n".join(lines)
    return f'[supervisor.top]\nchildren = ["a"]\n{limits}\n[worker.a]\ncommand = "x"\n{keys}\n'


@pytest.mark.parametrize("limits", ["", 'strategy = "one_for_all"'])
def test_attempts_that_take_longer_than_the_limit_allows_are_warned_of(folder: Folder, limits: str) -> None:
    (warning,) = folder.warnings(attempts(limits, 'ready = "notify"', 'start_timeout = "10s"'))

    assert warning.path == "worker.a.start_timeout"
    assert_says(warning, ["'a'", "for ever", "'top', 3 restarts in 5s", "10s", "at least '30s'"])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(attempts("", 'ready = "notify"'), id="defaults never warn"),
        pytest.param(attempts("", 'start_timeout = "10s"'), id="ready at exec"),
        pytest.param(attempts("", 'ready = "notify"', 'start_timeout = "infinity"'), id="waits for ever instead"),
        pytest.param(attempts("intensity = 0", 'ready = "notify"', "start_timeout = 10"), id="intensity 0"),
        pytest.param(attempts('period = "30s"', 'ready = "notify"', "start_timeout = 10"), id="exactly"),
        pytest.param(
            attempts("", 'ready = "notify"', "start_timeout = 10", 'restart = "temporary"'), id="never restarted"
        ),
    ],
)
def test_attempts_that_the_limit_ends_are_not_warned_of(folder: Folder, text: str) -> None:
    assert folder.warnings(text) == []


def test_sibling_that_is_a_supervisor_takes_as_long_as_its_children_one_after_another(folder: Folder) -> None:
    text = """
        [supervisor.top]
        strategy = "one_for_all"
        intensity = 1
        children = ["a", "sub"]
        [supervisor.sub]
        intensity = 1
        children = ["b", "c"]
        [worker.a]
        command = "x"
        [worker.b]
        command = "x"
        shutdown = 3
        [worker.c]
        command = "x"
        shutdown = 4
    """

    (warning,) = folder.warnings(text)

    assert (warning.line, warning.path) == (4, "supervisor.top.intensity")
    assert_says(warning, ["may take 7s", "'sub'"])


def test_written_shutdown_of_a_supervisor_bounds_what_its_stop_takes(folder: Folder) -> None:
    text = '[supervisor.top]\nstrategy = "one_for_all"\nchildren = ["a", "sub"]\n[supervisor.sub]\nintensity = 0\n'
    text += 'children = ["b"]\nshutdown = "1s"\n[worker.a]\ncommand = "x"\n[worker.b]\ncommand = "x"\nshutdown = 1'

    assert folder.warnings(text) == []


# A shutdown time that is too short.


@pytest.mark.parametrize(
    ("supervisor", "worker", "words"),
    [
        ("shutdown = 4", "", ["may take 5s", "found 4s", "at least '5s'"]),
        ("shutdown = 0", "", ["may take 5s", "found 0s"]),
        ("shutdown = 59", "shutdown = '1m'", ["may take 1m", "at least '1m'"]),
        ("shutdown = '1h'", "shutdown = 'infinity'", ["may take for ever", "'infinity'"]),
    ],
)
def test_shutdown_that_is_shorter_than_the_children_may_need_is_warned_of(
    folder: Folder, supervisor: str, worker: str, words: list[str]
) -> None:
    (warning,) = folder.warnings(nested(1, 1, top=supervisor, worker=worker))

    assert (warning.line, warning.path) == (8, "supervisor.s1.shutdown")
    assert_says(warning, ["too short", *(word.removeprefix("found ") for word in words)])


@pytest.mark.parametrize(
    ("supervisor", "worker"),
    [
        ("shutdown = 5", ""),
        ("shutdown = 'infinity'", "shutdown = 'infinity'"),
        ("shutdown = 'brutal_kill'", ""),
        ("shutdown = 0", "shutdown = 'brutal_kill'"),
    ],
)
def test_shutdown_that_is_long_enough_is_not_warned_of(folder: Folder, supervisor: str, worker: str) -> None:
    assert folder.warnings(nested(1, 1, top=supervisor, worker=worker)) == []


def test_need_of_nested_supervisors_is_bounded_by_their_own_shutdown(folder: Folder) -> None:
    text = nested(1, 1, 1, worker='shutdown = "1m"')
    text = text.replace("[supervisor.s1]", "[supervisor.s1]\nshutdown = 2").replace(
        "[supervisor.s2]", "[supervisor.s2]\nshutdown = 2"
    )

    assert [warning.path for warning in folder.warnings(text)] == ["supervisor.s2.shutdown"]


# How often the deepest leaf may be started.


def test_starts_of_the_deepest_leaf_are_told_once_from_sixteen_on(folder: Folder) -> None:
    (warning,) = folder.warnings(nested(3, 3))

    assert (warning.line, warning.path) == (9, "worker.leaf")
    assert_says(warning, ["'leaf' may be started 16 times before 's0' gives up", "(3 + 1) of 's0' * (3 + 1) of 's1'"])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (nested(3, 3, 3), "64 times"),
        (nested(0, 99, 2), "300 times"),
        (nested(*[9] * 40), "about 10^"),
        (nested(*[2**63 - 1] * 3), "about 10^"),
    ],
)
def test_starts_multiply_over_the_levels(folder: Folder, text: str, count: str) -> None:
    (warning,) = folder.warnings(text)

    assert_says(warning, [count])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested(100), id="one level"),
        pytest.param(nested(2, 4), id="fifteen"),
        pytest.param(nested(3, 3, worker="restart = 'temporary'"), id="a leaf that is not restarted"),
    ],
)
def test_few_starts_are_not_told(folder: Folder, text: str) -> None:
    assert folder.warnings(text) == []


def test_supervisors_that_stay_down_do_not_multiply(folder: Folder) -> None:
    warnings = folder.warnings(nested(3, 3, 3, top="restart = 'transient'"))

    assert [warning.path for warning in warnings] == ["supervisor.s1.restart", "supervisor.s2.restart"]


# Output.


@pytest.mark.parametrize(
    ("stdout", "stderr"), [("null", "null"), ("inherit", "journal"), ("journal", "null"), ("/dev/null", "null")]
)
def test_log_of_a_worker_whose_output_is_not_captured_is_warned_of(folder: Folder, stdout: str, stderr: str) -> None:
    text = f'[worker.a]\ncommand = "x"\nstdout = "{stdout}"\nstderr = "{stderr}"\n[worker.a.log]\nbackups = 1'

    (warning,) = folder.warnings(text)

    assert (warning.line, warning.path) == (5, "worker.a.log")
    assert_says(warning, ["log means nothing here", f"stderr '{stderr}'", "'log' or a path"])


@pytest.mark.parametrize("keys", ["", 'stdout = "null"', 'stderr = "/a"\nstdout = "null"', 'stdout = "/a"'])
def test_log_of_a_worker_of_which_something_is_captured_is_not_warned_of(folder: Folder, keys: str) -> None:
    assert folder.warnings(f'[worker.a]\ncommand = "x"\n{keys}\nlog = {{ backups = 1 }}') == []


def test_log_is_not_warned_of_when_a_stream_could_not_be_read(folder: Folder) -> None:
    text = '[worker.a]\ncommand = "x"\nstdout = "lgo"\nstderr = "null"\nlog = { backups = 1 }'

    assert not folder.complaint(text).warning


def test_every_further_worker_that_writes_the_file_of_another_is_warned_of(folder: Folder) -> None:
    text = """
        [worker.a]
        command = "x"
        stderr = "/srv/log"
        [worker.b]
        command = "x"
        stdout = "/srv//log"
        [worker.c]
        command = "x"
        stdout = "/srv/log"
        stderr = "/srv/log"
    """

    warnings = folder.warnings(text)

    assert [(warning.line, warning.path) for warning in warnings] == [(7, "worker.b.stdout"), (10, "worker.c.stdout")]
    assert_says(warnings[1], ["two workers write this file", "'/srv/log'", f"{folder.main}:4 (worker.a.stderr)"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('stdout = "/x"\nstderr = "/x"', ""),
        ('stdout = "/x"', 'stdout = "/y"'),
        ('stdout = "null"', 'stdout = "null"'),
        ('stdin = "/x"', 'stdin = "/x"\nstdout = "/x"'),
    ],
)
def test_workers_that_do_not_write_the_same_file_are_not_warned_of(folder: Folder, first: str, second: str) -> None:
    assert folder.warnings(f'[worker.a]\ncommand = "x"\n{first}\n[worker.b]\ncommand = "x"\n{second}') == []


# Warnings beside errors.


def test_warnings_come_after_the_errors(folder: Folder) -> None:
    complaints = folder.complaints(nested(3, 3, worker="umask = 3"))

    assert [(complaint.warning, complaint.path) for complaint in complaints] == [
        (False, "worker.leaf.umask"),
        (True, "worker.leaf"),
    ]


def test_values_that_could_not_be_read_are_not_reckoned_with(folder: Folder) -> None:
    with pytest.raises(ConfigError) as refused:
        folder.load(nested(1, 1, top="shutdown = 4", worker='shutdown = "5"'))

    assert [complaint.warning for complaint in refused.value.complaints] == [False]
