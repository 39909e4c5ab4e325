"""The results of a command on several children: a line for each, and the worst as exit status."""

import re
from collections.abc import Callable
from typing import Any

from procsup.cli.answers import name_of
from procsup.cli.exits import CannotDo, ExitStatus, status_of, worst
from procsup.cli.printable import printable
from procsup.cli.reasons import reason_in_words
from procsup.cli.terminal import complain, say

Result = dict[str, Any]
InWords = Callable[[Result], str]


def tell_results(answer: object, in_words: InWords) -> ExitStatus:
    """Prints `in_words(result)` of every success and the daemon's words of every failure; the worst as exit status.

    Raises:
        CannotDo: it is not an answer with results.
    """
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        raise CannotDo("cannot understand the daemon's answer: expected results", ExitStatus.FAILED)
    return worst([tell_result(result, in_words) for result in results])


def tell_result(result: object, in_words: InWords) -> ExitStatus:
    if not isinstance(result, dict) or not isinstance(result.get("path"), str):
        raise CannotDo("cannot understand the daemon's answer: expected a result with a path", ExitStatus.FAILED)
    if result.get("ok") is True:
        say(printable(in_words(result)) + "\n")
        return ExitStatus.DONE
    name, message = name_of(result["path"]), _message(result)
    complain(printable(message if _speaks_of(name, message) else f"{name}: {message}"))
    return status_of(str(result.get("kind")))


def _message(result: Result) -> str:
    if result.get("kind") == "failed" and isinstance(result.get("reason"), str):
        return f"cannot start: {reason_in_words(result['reason'])}"
    return str(result.get("message"))


def reached(result: Result) -> str:
    """ "api_cache is running, pid 4711" """
    return f"{name_of(result['path'])} is {result.get('state')}{_pid(result)}"


def told_to(verb: str) -> InWords:
    """Without waiting there is no state to speak of yet."""
    return lambda result: f"{name_of(result['path'])} is told to {verb}"


def sent(signal: str) -> InWords:
    return lambda result: f"{signal} sent to {name_of(result['path'])}{_pid(result)}"


def deleted(result: Result) -> str:
    return f"{name_of(result['path'])} is deleted"


def _speaks_of(name: str, message: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", message) is not None


def _pid(result: Result) -> str:
    return "" if result.get("pid") is None else f", pid {result['pid']}"
