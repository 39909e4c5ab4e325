"""Exit reasons as words, from the values of the core."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from procsup.cli.reasons import reason_in_words
from procsup.core.reason import (
    KILLED,
    SHUTDOWN,
    TIMEOUT,
    ExitCode,
    FailedToStartChild,
    KilledBySignal,
    Linked,
    NotReady,
    Reason,
    StartFailed,
)

SEGV = KilledBySignal("SIGSEGV", core=True)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Linked("a", ExitCode(1)), "was ended by its link with a, which exited with code 1"),
        (Linked("a", SHUTDOWN), "was ended by its link with a, which was asked to stop"),
        (Linked("a", KILLED), "was ended by its link with a, which was killed"),
        (Linked("a", TIMEOUT), "was ended by its link with a, which was not ready in time"),
        (
            Linked("a", NotReady(ExitCode(1))),
            "was ended by its link with a, which exited with code 1 before it was ready",
        ),
        (
            Linked("exit 1 killed", SEGV),
            "was ended by its link with exit 1 killed, which was ended by SIGSEGV, core dumped",
        ),
        (
            NotReady(Linked("a", ExitCode(1))),
            "was ended by its link with a, which exited with code 1 before it was ready",
        ),
        (
            FailedToStartChild("b", NotReady(Linked("a", SHUTDOWN))),
            "its child b cannot start: was ended by its link with a, which was asked to stop before it was ready",
        ),
    ],
)
def test_reason_with_a_link_names_who_ended_first(reason: Reason, words: str) -> None:
    assert reason_in_words(str(reason)) == words


def test_start_after_the_death_of_the_guardian_is_no_failure_of_the_worker_s() -> None:
    reason = StartFailed("guardian", "ESRCH")
    assert reason_in_words(str(reason)) == "the guardian has died, and nothing is started any more"


@given(some.lists(some.sampled_from(["linked", "not_ready", "exit", "1", "a", "", "timeout"]), max_size=9))
def test_no_text_is_too_odd(parts: list[str]) -> None:
    assert isinstance(reason_in_words(" ".join(parts)), str)
