"""What is different between two specs, in the words of the file. procsup/config/diff.py."""

from dataclasses import replace

from procsup.config.diff import Difference, differences
from procsup.core.readiness import Connection
from procsup.core.spec import LogSettings, Program, SupervisorSpec, WorkerSpec

WORKER = WorkerSpec("a", Program(("run", "fast"), env=(("A", "1"), ("B", "2"))))


def test_equal_specs_have_no_differences() -> None:
    assert differences(WORKER, replace(WORKER)) == ()


def test_keys_are_those_of_the_file_and_values_are_json() -> None:
    program = replace(WORKER.program, command=("run",), log=LogSettings(max_bytes=5), limits=(("nofile", (9, None)),))
    after = replace(WORKER, program=program, shutdown=9.5, ready=Connection("localhost", 80))
    assert differences(WORKER, after) == (
        Difference("command", '["run", "fast"]', '["run"]'),
        Difference("limits.nofile.soft", "null", "9"),
        Difference("limits.nofile.hard", "null", '"unlimited"'),
        Difference("log.max_bytes", "10000000", "5"),
        Difference("shutdown", "5.0", "9.5"),
        Difference("ready", '"exec"', '{"tcp": "localhost:80"}'),
    )


def test_environment_is_told_by_name_only() -> None:
    after = replace(WORKER, program=replace(WORKER.program, env=(("A", "secret"), ("C", "3"))))
    assert differences(WORKER, after) == (
        Difference("env.A", "set", "set"),
        Difference("env.B", "set", "unset"),
        Difference("env.C", "unset", "set"),
    )


def test_of_children_only_the_order_of_those_in_both_counts() -> None:
    a, b, c, d = (replace(WORKER, name=name) for name in "abcd")
    assert differences(SupervisorSpec("s", (a, b, c)), SupervisorSpec("s", (d, a, b))) == ()
    assert differences(SupervisorSpec("s", (a, b)), SupervisorSpec("s", (b, d, a))) == (
        Difference("children", '["a", "b"]', '["b", "a"]'),
    )


def test_worker_that_became_a_supervisor_has_another_type() -> None:
    assert differences(WORKER, SupervisorSpec("a")) == (Difference("type", '"worker"', '"supervisor"'),)
