"""The limits of a worker: every resource, the ways to write a limit, and what is none."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from procsup.config.config import Config
from procsup.config.load import load
from procsup.core.spec import Limit, LimitValue, WorkerSpec
from tests.config.conftest import Folder, assert_says

WORKER = '[worker.api]\ncommand = "api"\n'
COUNTS = ("locks", "nice", "nofile", "nproc", "rtprio", "sigpending")
SIZES = ("as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack")
TIMES = ("cpu", "rttime")


def limits_of(config: Config) -> dict[str, Limit]:
    (spec,) = config.tree.children
    assert isinstance(spec, WorkerSpec)
    assert spec.program.limits == tuple(sorted(spec.program.limits))
    return dict(spec.program.limits)


def limits(folder: Folder, table: str) -> dict[str, Limit]:
    return limits_of(folder.load(f"{WORKER}limits = {table}"))


@pytest.mark.parametrize("resource", [*COUNTS, *SIZES, *TIMES])
def test_every_resource_takes_a_number_a_word_and_a_table(folder: Folder, resource: str) -> None:
    assert limits(folder, f"{{ {resource} = 7 }}") == {resource: (7, 7)}
    assert limits(folder, f'{{ {resource} = "unlimited" }}') == {resource: (None, None)}
    assert limits(folder, f"{{ {resource} = {{ soft = 1, hard = 2 }} }}") == {resource: (1, 2)}


@pytest.mark.parametrize("resource", SIZES)
def test_resource_in_bytes_takes_sizes(folder: Folder, resource: str) -> None:
    assert limits(folder, f'{{ {resource} = "64KB" }}') == {resource: (64_000, 64_000)}
    assert limits(folder, f'{{ {resource} = {{ soft = "1KiB", hard = "1MB" }} }}') == {resource: (1024, 1_000_000)}


@pytest.mark.parametrize(
    ("table", "limit"),
    [
        ('{ cpu = "2m" }', 120),
        ('{ cpu = "1000ms" }', 1),
        ("{ cpu = 40000000 }", 40_000_000),
        ('{ rttime = "200ms" }', 200_000),
        ('{ rttime = "0.3ms" }', 300),
        ('{ rttime = "1s" }', 1_000_000),
    ],
)
def test_resource_in_time_takes_durations(folder: Folder, table: str, limit: int) -> None:
    assert list(limits(folder, table).values()) == [(limit, limit)]


@pytest.mark.parametrize(
    ("table", "limit"),
    [
        ("{ soft = 5 }", (5, "unchanged")),
        ("{ hard = 5 }", ("unchanged", 5)),
        ('{ hard = "unlimited" }', ("unchanged", None)),
        ('{ soft = "unlimited" }', (None, "unchanged")),
        ('{ soft = 5, hard = "unlimited" }', (5, None)),
        ("{ soft = 0, hard = 0 }", (0, 0)),
        ('{ soft = "unlimited", hard = "unlimited" }', (None, None)),
    ],
)
def test_limit_that_is_not_written_is_unchanged(folder: Folder, table: str, limit: Limit) -> None:
    assert limits(folder, f"{{ nofile = {table} }}") == {"nofile": limit}


def test_limits_may_be_a_table_of_their_own_and_are_substituted(folder: Folder) -> None:
    config = folder.load(f'{WORKER}[worker.api.limits]\nstack = "${{STACK}}"\ncore = 0\n', {"STACK": "8MiB"})

    assert limits_of(config) == {"core": (0, 0), "stack": (8 * 2**20, 8 * 2**20)}


def test_no_limits_are_none(folder: Folder) -> None:
    assert limits(folder, "{}") == {}


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ("3", "", ["not a table", "{ nofile = 1024 }"]),
        ("[]", "", ["not a table", "an empty list"]),
        ("{ nofiles = 1 }", ".nofiles", ["unknown key", "one of as, core", "did you mean 'nofile'?"]),
        ("{ files = 1 }", ".files", ["unknown key", "did you mean 'nofile'?"]),
        ("{ nofile = -1 }", ".nofile", ["a negative number", "write 'unlimited' for no limit"]),
        ("{ nofile = 1.5 }", ".nofile", ["not a whole number", "1.5"]),
        ("{ nofile = inf }", ".nofile", ["write 'unlimited' for no limit"]),
        ("{ nofile = true }", ".nofile", ["not a whole number", "true"]),
        ('{ nofile = "1024" }', ".nofile", ["not a whole number", "write 1024 without quotes"]),
        ('{ nofile = "64KB" }', ".nofile", ["not a whole number", "'64KB'"]),
        ('{ nofile = "unlimted" }', ".nofile", ["did you mean 'unlimited'?"]),
        ("{ nofile = 9223372036854775808 }", ".nofile", ["too large a number"]),
        ("{ nofile = [1, 2] }", ".nofile", ["not a whole number", "[1, 2]"]),
        ("{ nofile = {} }", ".nofile", ["neither soft nor hard"]),
        ("{ nofile = { sotf = 1 } }", ".nofile.sotf", ["unknown key", "did you mean 'soft'?"]),
        ('{ nofile = { soft = "x" } }', ".nofile.soft", ["not a whole number", "'x'"]),
        ("{ nofile = { soft = 3, hard = 2 } }", ".nofile", ["the soft limit is above the hard one", "soft 3, hard 2"]),
        ('{ nofile = { soft = "unlimited", hard = 2 } }', ".nofile", ["above the hard one", "soft unlimited, hard 2"]),
        ('{ as = { soft = "1MiB", hard = "1MB" } }', ".as", ["above", "soft 1048576, hard 1000000"]),
        ('{ as = "64K" }', ".as", ["not a size", "write '64KB'", "or 'unlimited'"]),
        ('{ as = "1024" }', ".as", ["not a size", "write 1024 without quotes"]),
        ('{ as = "unlimtd" }', ".as", ["did you mean 'unlimited'?"]),
        ("{ as = -1 }", ".as", ["a size cannot be negative", "write 'unlimited' for no limit"]),
        ("{ as = 1.0 }", ".as", ["a whole number of bytes"]),
        ("{ as = 9223372036854775808 }", ".as", ["too large a size"]),
        ('{ cpu = "1500ms" }', ".cpu", ["not a whole number of seconds"]),
        ('{ cpu = "-1s" }', ".cpu", ["negative"]),
        ("{ cpu = 1.0 }", ".cpu", ["not a whole number"]),
        ('{ cpu = "1d" }', ".cpu", ["not a duration", "'30s'"]),
        ('{ cpu = "8761h" }', ".cpu", ["longer than a year"]),
        ('{ rttime = "0.0001ms" }', ".rttime", ["not a whole number of microseconds"]),
        ('{ as = "${NO}" }', ".as", ["NO is not set in the environment"]),
    ],
)
def test_wrong_limit(folder: Folder, table: str, key: str, words: list[str]) -> None:
    complaint = folder.complaint(f"{WORKER}limits = {table}")

    assert (complaint.line, complaint.path) == (3, f"worker.api.limits{key}")
    assert_says(complaint, words)


def test_slip_in_a_key_hides_no_other_mistake(folder: Folder) -> None:
    complaints = folder.complaints(f"{WORKER}limits = {{ nofle = {{ sof = 3, hard = 2 }} }}")

    assert [complaint.path.removeprefix("worker.api.limits.") for complaint in complaints] == [
        "nofle", "nofle.sof", "nofle"
    ]  # fmt: skip


def test_every_wrong_limit_is_complained_about_at_its_line(folder: Folder) -> None:
    text = f'{WORKER}[worker.api.limits]\nas = "x"\nnofile = 3\ncpu = {{ soft = "x", hard = "y" }}\ncoer = 1\n'

    found = [(complaint.line, complaint.path) for complaint in folder.complaints(text)]

    assert found == [
        (4, "worker.api.limits.as"),
        (6, "worker.api.limits.cpu.soft"),
        (6, "worker.api.limits.cpu.hard"),
        (7, "worker.api.limits.coer"),
    ]


def is_above(soft: LimitValue, hard: LimitValue) -> bool:
    return soft != "unchanged" and isinstance(hard, int) and (soft is None or soft > hard)


def is_possible(limit: Limit) -> bool:
    return limit != ("unchanged", "unchanged") and not is_above(*limit)


NUMBERS = st.integers(0, 2**63 - 1)
VALUES: st.SearchStrategy[LimitValue] = st.one_of(NUMBERS, st.none(), st.just("unchanged"))
LIMITS = st.tuples(VALUES, VALUES).filter(is_possible)


@given(st.dictionaries(st.sampled_from([*COUNTS, *SIZES, *TIMES]), LIMITS))
def test_limits_that_were_written_are_read_again(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, Limit]
) -> None:
    assert limits(Folder(tmp_path_factory.getbasetemp()), written(wanted)) == wanted


@given(st.sampled_from([*COUNTS, *SIZES, *TIMES]), NUMBERS | st.none(), NUMBERS)
def test_soft_limit_above_the_hard_one_is_refused(
    tmp_path_factory: pytest.TempPathFactory, resource: str, soft: int | None, hard: int
) -> None:
    assume(is_above(soft, hard))
    folder = Folder(tmp_path_factory.getbasetemp())

    complaint = folder.complaint(f"{WORKER}limits = {written({resource: (soft, hard)})}")

    assert complaint.path == f"worker.api.limits.{resource}"


def written(limits: dict[str, Limit]) -> str:
    tables: list[str] = []
    for name, limit in limits.items():
        words = ["'unlimited'" if value is None else str(value) for value in limit]
        keys = [f"{key} = {word}" for key, word in zip(("soft", "hard"), words, strict=True) if word != "unchanged"]
        tables.append(f"{name} = {{ {', '.join(keys)} }}")
    return f"{{ {', '.join(tables)} }}"


def test_limits_of_a_file_are_hashable_so_that_equal_programs_are_one(folder: Folder) -> None:
    worker = 'command = "x"\nlimits = { nofile = { soft = 1 } }\n'

    first, second = load(folder.write(f"[worker.a]\n{worker}[worker.b]\n{worker}"), {}, privileged=False).tree.children

    assert isinstance(first, WorkerSpec)
    assert isinstance(second, WorkerSpec)
    assert first.program is second.program
