"""`reload`: the daemon reads its file once more, and the tree becomes what that says."""

import json
from typing import Any

import click

from procsup.cli.answers import name_of
from procsup.cli.client import QUICK
from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.options import connect, socket_option, waiting_options
from procsup.cli.printable import padded, printable, shortened
from procsup.cli.results import tell_result
from procsup.cli.terminal import complain, say, write_error
from procsup.wire.decode import JSON

Change = dict[str, Any]

_LONGEST_VALUE = 60

_WIDEST = 24

_WORDS = {"stop": "stops", "restart": "restarts", "along": "restarts", "start": "starts", "adjust": "runs on"}
_DONE = {"stop": "stopped", "restart": "restarted", "along": "restarted along", "start": "started"}


@click.command()
@click.option("--plan", is_flag=True, help="Show what would be done and why, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; see above.")
@waiting_options
@socket_option
def reload(plan: bool, as_json: bool, wait: bool, timeout: float | None) -> int:
    """Make the running tree what the daemon's file says now.

    Workers run on unless what they run has changed; those are restarted, with the siblings that the strategy of their
    supervisor ties to them. What is gone from the file stops, what is new starts, all other settings change in place.
    A file with errors changes nothing. The signal HUP does the same.

    \b
    --json prints {"ok", "errors", "warnings", "changes", "results"}: a change is
    {"path", "type", "change", "pid", "differences", "tied_to"} with change one of
    "stop", "restart", "along", "start", "adjust", "held" and differences a list
    of {"key", "before", "after"}; a result is {"path", "ok", "state", "pid"} or
    {"path", "ok", "kind", "message", "reason"}.
    """
    params: dict[str, JSON] = {"plan": plan, "wait": wait}
    with connect() as client:
        if plan or not wait:
            answer = client.call("reload", params, timeout or QUICK)
        else:
            answer = client.call_patiently("reload", params, timeout)
    if not isinstance(answer, dict) or not isinstance(answer.get("changes"), list):
        raise CannotDo("cannot understand the daemon's answer: expected changes", ExitStatus.FAILED)
    failures = [result for result in _list(answer, "results") if result.get("ok") is not True]
    if as_json:
        say(json.dumps(answer) + "\n")
    else:
        _tell(answer, failures, is_plan=plan, is_done=wait and not plan)
    return ExitStatus.FAILED if failures or answer.get("ok") is not True else ExitStatus.DONE


def _tell(answer: Change, failures: list[Any], *, is_plan: bool, is_done: bool) -> None:
    for text in (*_list(answer, "errors"), *_list(answer, "warnings")):
        write_error("".join(f"{printable(line)}\n" for line in str(text).split("\n")))
    if answer.get("ok") is not True:
        complain("cannot reload: the file cannot be used, and nothing has changed")
        return
    changes = _list(answer, "changes")
    if not changes:
        say("nothing to do: the tree is what the file says\n")
        return
    width = min(_WIDEST, max(len(name_of(str(change.get("path")))) for change in changes))
    homes = {name_of(change["path"]): change["path"] for change in changes if change.get("change") == "start"}
    for change in changes:
        if change.get("change") == "stop":
            change["moves_to"] = homes.get(name_of(change["path"]))
        say("".join(f"{line}\n" for line in _lines(change, width)))
    if is_plan:
        say("this is the plan; nothing was done\n")
    elif is_done:
        for failure in failures:
            tell_result(failure, str)
        say(f"reloaded: {_summary(changes, failures)}\n")
    else:
        say("the daemon was told to do so\n")


def _lines(change: Change, width: int) -> list[str]:
    """ "api   restarts   command: [\\"a\\"] is now [\\"b\\"]", and a line for each further difference"""
    reasons = _reasons(change)
    first = f"{padded(printable(name_of(str(change.get('path')))), width)}  {_what(change):9}"
    below = " " * (width + 11)
    return [f"{first}  {reasons[0]}" if reasons else first.rstrip(), *(f"{below}  {reason}" for reason in reasons[1:])]


def _what(change: Change) -> str:
    kind = str(change.get("change"))
    if kind == "adjust" and (change.get("type") == "supervisor" or change.get("pid") is None):
        return "changes"
    if kind == "restart" and change.get("pid") is None and change.get("type") == "worker":
        return "starts"
    return "stays held" if kind == "held" else _WORDS.get(kind, kind)


def _reasons(change: Change) -> list[str]:
    match change.get("change"):
        case "stop" if change.get("moves_to"):
            return [f"moves to {printable(change['moves_to'])}"]
        case "stop":
            return ["is not in the file any more"]
        case "start":
            return ["is new"]
        case "along":
            return [f"with {', '.join(map(printable, _list(change, 'tied_to')))}"]
        case _:
            return [_difference(one) for one in _list(change, "differences")]


def _difference(one: Change) -> str:
    key, before, after = (printable(str(one.get(name))) for name in ("key", "before", "after"))
    if before == after:
        return f"{key} has another value"
    return f"{key} was {shortened(before, _LONGEST_VALUE)}, is now {shortened(after, _LONGEST_VALUE)}"


def _summary(changes: list[Change], failures: list[Any]) -> str:
    """ "1 restarted, 2 started, 1 stopped, 3 with other settings" """
    failed = {failure.get("path") for failure in failures}
    kinds = [str(change.get("change")) for change in changes if change.get("path") not in failed]
    counts = [f"{kinds.count(kind)} {words}" for kind, words in _DONE.items() if kind in kinds]
    others = len(kinds) - sum(kind in _DONE for kind in kinds)
    return ", ".join([*counts, *([f"{others} with other settings"] if others else [])]) or "nothing came up"


def _list(table: Change, key: str) -> list[Any]:
    found = table.get(key)
    return found if isinstance(found, list) else []
