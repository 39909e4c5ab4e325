"""Spawning: what a worker is given, and at which stage a spawn fails."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from procsup.core.spec import Program
from procsup.runtime.leftovers import mark_of
from procsup.runtime.spawn import Spawner, SpawnFailure, Stdio, errno_name
from tests.kit import processes
from tests.kit.daemon import PROCSUP, Daemon
from tests.kit.fixtures import Supervise
from tests.kit.strangers import as_stranger, needs_root
from tests.kit.trees import SLEEP, STAYS, supervisor, tree, worker, workers
from tests.kit.wait import wait_until

MARK = b"PROCSUP_DAEMON=1:2"

Spawn = Callable[..., int]
Run = Callable[..., bytes]


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    before = set(os.listdir("/proc/self/fd"))
    yield Spawner(os.environ, MARK)
    for fd in set(os.listdir("/proc/self/fd")) - before:
        try:
            os.close(int(fd))
        except OSError:
            continue  # it was that of the listing


@pytest.fixture
def run(spawner: Spawner) -> Run:
    """`run(command, cwd=...)` → what the program wrote until it ended."""

    def run(*command: str, by: Spawner = spawner, **keys: object) -> bytes:
        reader, writer = os.pipe()
        pid = by.spawn(Program(command, **keys), "root/a", 7, Stdio(-1, writer, writer))  # type: ignore[arg-type]  # any of its fields
        os.close(writer)
        with open(reader, "rb") as file:
            output = file.read()
        os.waitpid(pid, 0)
        return output

    return run


def executable(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


# Failures name their stage


@pytest.mark.parametrize(
    ("name", "text", "mode", "expected"),
    [
        ("absent", None, 0, "exec ENOENT"),
        ("not_executable", "#!/bin/sh\n", 0o644, "exec EACCES"),
        ("no_shebang", "echo hello\n", 0o755, "exec ENOEXEC"),
        ("empty", "", 0o755, "exec ENOEXEC"),
        ("no_interpreter", "#!/no/such/interpreter\n", 0o755, "exec ENOENT"),
        ("file/program", None, 0, "exec ENOTDIR"),
        (".", None, 0, "exec EACCES"),
        ("x" * 300, None, 0, "exec ENAMETOOLONG"),
    ],
)
def test_program_that_cannot_be_executed_is_a_failure_of_stage_exec(
    spawner: Spawner, tmp_path: Path, name: str, text: str | None, mode: int, expected: str
) -> None:
    (tmp_path / "file").write_text("")
    if text is not None:
        executable(tmp_path / name, text, mode)

    assert failure_of(spawner, Program((f"{tmp_path}/{name}",))) == expected


def test_arguments_too_long_for_the_kernel_are_a_failure_of_stage_exec(spawner: Spawner) -> None:
    assert failure_of(spawner, Program(("true", "x" * 1_000_000))) == "exec E2BIG"


@pytest.mark.parametrize(
    ("name", "expected"), [("absent", "cwd ENOENT"), ("file", "cwd ENOTDIR"), ("loop", "cwd ELOOP")]
)
def test_folder_that_cannot_be_entered_is_a_failure_of_stage_cwd(
    spawner: Spawner, tmp_path: Path, name: str, expected: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")

    assert failure_of(spawner, Program(("true",), cwd=f"{tmp_path}/{name}")) == expected


def test_program_that_is_found_in_no_folder_of_the_path_is_absent(spawner: Spawner) -> None:
    assert failure_of(spawner, Program(("no-such-program",))) == "exec ENOENT"


def test_program_that_may_not_be_run_is_told_from_one_that_is_absent_elsewhere_in_the_path(
    spawner: Spawner, tmp_path: Path
) -> None:
    executable(tmp_path / "tool", "#!/bin/sh\n", 0o644)
    path = f"/no/such/folder:{tmp_path}:/usr"
    assert failure_of(spawner, Program(("tool",), env=(("PATH", path),))) == "exec EACCES"


def test_failed_spawns_leave_neither_descriptors_nor_zombies(spawner: Spawner) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        failure_of(spawner, Program(("/no/such/program",)))

    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_spawn_after_a_failed_one_succeeds(spawner: Spawner, run: Run) -> None:
    failure_of(spawner, Program(("/no/such/program",)))
    assert run("echo", "hello") == b"hello\n"


def failure_of(spawner: Spawner, program: Program) -> str:
    with pytest.raises(SpawnFailure) as failed:
        spawner.spawn(program, "root/a", 1, Stdio(-1, -1, -1))
    return f"{failed.value.stage} {errno_name(failed.value.errno)}"


# What a worker is given


def test_environment_is_exactly_what_the_spec_says(run: Run) -> None:
    output = run("/usr/bin/env", "-0", env=(("A", "1"), ("B", "x y\n")), inherit_env=False)

    assert sorted(output.rstrip(b"\0").split(b"\0")) == [
        b"A=1",
        b"B=x y\n",
        MARK,
        b"PROCSUP_NAME=root/a",
        b"PROCSUP_STARTS=7",
    ]


def test_environment_of_the_spec_is_laid_over_the_inherited_one(run: Run) -> None:
    spawner = Spawner({"A": "inherited", "B": "inherited", "PATH": "/usr/bin:/bin"}, MARK)
    output = run("env", "-0", by=spawner, env=(("A", "own"),))

    assert {b"A=own", b"B=inherited", b"PATH=/usr/bin:/bin"} < set(output.split(b"\0"))


def test_what_a_service_manager_told_the_daemon_is_not_told_to_workers(run: Run) -> None:
    told = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
    spawner = Spawner({"PATH": "/usr/bin:/bin", **dict.fromkeys(told, "1")}, MARK)
    output = run("env", "-0", by=spawner)

    names = {entry.partition(b"=")[0].decode() for entry in output.split(b"\0")}
    assert not names & set(told)


def test_environment_that_is_not_utf8_is_passed_on_byte_by_byte(run: Run) -> None:
    spawner = Spawner({"PATH": "/usr/bin:/bin", "A": os.fsdecode(b"\xff\xfe")}, MARK)
    assert b"A=\xff\xfe" in run("env", "-0", by=spawner).split(b"\0")


def test_program_is_searched_in_the_path_of_the_worker(run: Run, tmp_path: Path) -> None:
    executable(tmp_path / "greet", "#!/bin/sh\necho hello\n")
    assert run("greet", env=(("PATH", f"/no/such:{tmp_path}"),)) == b"hello\n"


def test_program_with_a_slash_is_taken_from_the_workers_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "greet", "#!/bin/sh\necho hello\n")
    assert run("bin/greet", cwd=str(tmp_path)) == b"hello\n"


def test_worker_runs_in_its_folder_with_its_umask(run: Run, tmp_path: Path) -> None:
    assert run("sh", "-c", "pwd; umask", cwd=str(tmp_path), umask=0o027) == f"{tmp_path}\n0027\n".encode()


def test_umask_of_the_daemon_is_kept_where_the_spec_has_none(run: Run) -> None:
    old = os.umask(0o051)
    try:
        output = run("sh", "-c", "umask")
    finally:
        os.umask(old)
    assert output == b"0051\n"


def test_worker_leads_a_session_and_a_group_of_its_own(run: Run) -> None:
    pid, _, _, _, group, session = run("cat", "/proc/self/stat").split()[:6]
    assert group == session == pid


def test_both_outputs_are_one_pipe_and_nothing_can_be_read(run: Run) -> None:
    output = run("sh", "-c", "readlink /proc/self/fd/0; readlink /proc/$$/fd/1; readlink /proc/$$/fd/2 >&2; cat")
    stdin, stdout, stderr = output.splitlines()
    assert stdin == b"/dev/null"
    assert stdout == stderr
    assert stdout.startswith(b"pipe:")


# What it is given by a daemon that was itself started in odd ways


def test_worker_has_no_descriptor_of_the_daemon(supervise: Supervise) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    daemon = supervise(workers("a b c"), pass_fds=(writer,))
    os.close(writer)
    daemon.events()
    daemon.kill("b")
    wait_until(lambda: daemon.row("b")["restarts"] == 1 and daemon.row("b")["state"] == "running", "b is restarted")

    standard = [["0", "1", "2"]] * 3
    wait_until(lambda: [descriptors(daemon, name) for name in "abc"] == standard, "all have the standard three only")
    os.close(reader)


def descriptors(daemon: Daemon, name: str) -> list[str]:
    """execve(2) lets the daemon go on just before it closes what is close-on-exec."""
    return sorted(os.listdir(f"/proc/{daemon.row(name)['pid']}/fd"))


def test_worker_blocks_and_ignores_no_signal_whatever_the_daemon_was_started_with(supervise: Supervise) -> None:
    def spoil() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGRTMIN, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    daemon = supervise(worker("a"), preexec_fn=spoil)

    lines = Path(f"/proc/{daemon.row('a')['pid']}/status").read_text().splitlines()
    masks = dict(line.split(":\t") for line in lines if line.startswith("Sig"))
    assert {name: int(mask, 16) for name, mask in masks.items() if name in ("SigBlk", "SigIgn", "SigCgt")} == {
        "SigBlk": 0,
        "SigIgn": 0,
        "SigCgt": 0,
    }
    assert daemon.stop() == 0


def test_daemon_that_was_started_with_sigchld_ignored_still_learns_of_deaths(supervise: Supervise) -> None:
    daemon = supervise(worker("a"), preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    events = daemon.events()
    daemon.kill("a")

    assert events.wait("exited", "a")["reason"] == "signal SIGKILL"


def test_worker_keeps_the_limit_of_descriptors_that_the_daemon_was_started_with(supervise: Supervise) -> None:
    daemon = supervise(worker("a"), program=("prlimit", "--nofile=100:200", *PROCSUP))

    worker_limit = resource.prlimit(daemon.row("a")["pid"], resource.RLIMIT_NOFILE)
    assert worker_limit == (100, 200)
    assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (200, 200)


def test_daemon_without_standard_descriptors_gives_its_worker_all_three(supervise: Supervise) -> None:
    daemon = supervise(worker("a"), program=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *PROCSUP))

    folder = f"/proc/{daemon.row('a')['pid']}/fd"
    wait_until(lambda: descriptors(daemon, "a") == ["0", "1", "2"], "a has executed, and has no other")
    assert os.readlink(f"{folder}/0") == "/dev/null"
    assert os.readlink(f"{folder}/1").startswith("pipe:")
    assert daemon.stop() == 0


def test_worker_is_told_its_name_and_which_start_it_is(supervise: Supervise) -> None:
    daemon = supervise(tree(supervisor("root", ["lab"]), supervisor("lab", ["a"]), worker("a", STAYS)))
    first = daemon.report_of("a")
    seen = [named(first.pid)]
    daemon.kill("a")
    seen.append(named(daemon.report_of("a", 2).pid))

    mark = mark_of(daemon.pid)
    assert seen == [{b"PROCSUP_NAME=root/lab/a", b"PROCSUP_STARTS=%d" % n, mark} for n in (1, 2)]


def named(pid: int) -> set[bytes]:
    return {entry for entry in processes.environ_of(pid) if entry.startswith(b"PROCSUP_")}


# The process table and the table of descriptors are full


@needs_root
def test_full_process_table_fails_the_start_of_the_tree_and_is_named(supervise: Supervise) -> None:
    daemon = supervise(workers("a b c"), up=False, for_strangers=True, program=as_stranger(4))

    assert daemon.wait() == 69
    assert "c" in daemon.told()
    assert "EAGAIN" in daemon.told() or os.strerror(11) in daemon.told()


@needs_root
@pytest.mark.parametrize("processes", [1, 2])
def test_process_table_that_is_full_from_the_first_moment_is_a_failed_start_too(
    supervise: Supervise, processes: int
) -> None:
    daemon = supervise(workers("a b"), up=False, for_strangers=True, program=as_stranger(processes))

    assert daemon.wait() == 69
    assert "Traceback" not in daemon.told()


@needs_root
def test_full_process_table_fails_a_new_child_and_nobody_else(supervise: Supervise) -> None:
    daemon = supervise(workers("a b"), for_strangers=True, program=as_stranger(4))

    answer = daemon.call("start_child", supervisor="root", command=list(SLEEP), name="c")

    assert (answer["ok"], answer["kind"], answer["reason"]) == (False, "failed", "start_failed fork EAGAIN")
    assert [row["state"] for row in daemon.status("a", "b")["tree"]] == ["running", "running"]


@needs_root
def test_worker_starts_when_the_full_process_table_has_room_again(supervise: Supervise) -> None:
    daemon = supervise(workers("a b"), for_strangers=True, program=as_stranger(4))
    daemon.call("stop", names=["a"])
    assert daemon.call("start_child", supervisor="root", command=list(SLEEP), name="c")["ok"]
    assert not daemon.call("start", names=["a"])["results"][0]["ok"]

    daemon.call("stop", names=["c"])

    assert daemon.call("start", names=["a"])["results"][0]["state"] == "running"


def test_full_table_of_descriptors_fails_the_start_of_the_tree_and_is_named(supervise: Supervise) -> None:
    names = " ".join(f"w{number}" for number in range(40))
    daemon = supervise(workers(names), up=False, program=("prlimit", "--nofile=30:30", *PROCSUP))

    assert daemon.wait() == 69
    assert "EMFILE" in daemon.told() or os.strerror(24) in daemon.told()
    assert "Traceback" not in daemon.told()
