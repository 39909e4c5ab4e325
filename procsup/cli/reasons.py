"""Exit reasons (core/reason.py), from the text that all of procsup shares into a sentence's end.

A reason that is not known here, of a newer daemon, is passed on as it is.
"""

import errno
import os
import re

_WHAT_FAILED = {
    "exec": "its program cannot be executed",
    "cwd": "its working folder cannot be entered",
    "fork": "no process can be made for it",
    "pipe": "no pipe can be made for it",
    "cgroup": "no cgroup can be made for it",
    "limits": "its limits cannot be set",
    "nice": "its niceness cannot be set",
    "user": "it cannot become its user",
    "group": "it cannot become a member of its group",
    "spawner": "the process that starts such workers has failed",
    "channel": "no pipes can be made for its channel",
    "ready": "what tells that it is ready cannot be set up",
    "preload": "the modules of preload cannot be imported",
    "import": "its target cannot be imported",
    "stdin": "its standard input cannot be opened",
    "stdout": "its standard output cannot be opened",
    "stderr": "its standard error cannot be opened",
    "journal": "the journal of systemd cannot be reached",
}

_FAILED_CHILD = re.compile(r"failed_to_start_child (.+) ((?:start_failed|not_ready|start_spec) .+|timeout)", re.DOTALL)

_END = r"(?:not_ready )?(?:exit \S+|signal \S+(?: core)?)|shutdown|killed|timeout"
_LINKED = re.compile(rf"linked (.+?) ({_END})", re.DOTALL)

_WHO = {"user", "group"}
_ONLY_ROOT = {"user", "group", "nice", "limits"}


def reason_in_words(reason: str) -> str:
    """ "exit 1" → "exited with code 1"; the subject is the child."""
    match reason.split(" "):
        case ["normal"]:
            return "ended normally"
        case ["shutdown"]:
            return "was asked to stop"
        case ["exit", code]:
            return f"exited with code {code}"
        case ["signal", signal]:
            return f"was ended by {signal}"
        case ["signal", signal, "core"]:
            return f"was ended by {signal}, core dumped"
        case ["killed"]:
            return "was killed"
        case ["gave_up"]:
            return "it gave up"
        case ["auto_shutdown"]:
            return "it shut itself down"
        case ["start_failed", "spawner", "ECANCELED"]:
            return "it was told to stop before its program was executed"
        case ["start_failed", "guardian", _]:
            return "the guardian has died, and nothing is started any more"
        case ["start_failed", ("import" | "preload") as stage, number]:
            what = "no such module or function" if number == "ENOENT" else "an exception was raised"
            return f"{_WHAT_FAILED[stage]}: {what}; the traceback is in its log"
        case ["start_failed", stage, number]:
            return f"{_WHAT_FAILED.get(stage, stage)}: {_error_at(stage, number)}"
        case ["linked", *_]:
            return _linked(reason)
        case ["not_ready", "exit" | "signal" | "linked", *_]:
            return f"{reason_in_words(reason.removeprefix('not_ready '))} before it was ready"
        case ["timeout"]:
            return "it was not ready in time"
        case ["failed_to_start_child", *_]:
            return _failed_child(reason)
        case _:
            return reason


def peer_in_words(peer: str, reason: str) -> str:
    """What has become of who was linked."""
    return f"{peer}, which {reason_in_words(reason).removeprefix('it ')}"


def why_the_tree_is_down(reason: str) -> str:
    match reason:
        case "gave_up":
            return "the root gave up"
        case "auto_shutdown":
            return "the root shut itself down"
        case "shutdown":
            return "it was asked to stop"
        case _:
            return reason_in_words(reason)


def why_removed(why: str) -> str:
    """Of a child whose spec is gone."""
    match why:
        case "temporary":
            return "it is temporary"
        case "deleted":
            return "an operator deleted it"
        case "start_failed":
            return "it could not start"
        case "reloaded":
            return "the file does not have it there any more"
        case "restarted":
            return "it was not in the file, and its supervisor begins anew"
        case _:
            return why


def _linked(reason: str) -> str:
    """A name may hold spaces, and words that we know."""
    found = _LINKED.fullmatch(reason)
    return reason if found is None else f"was ended by its link with {peer_in_words(*found.groups())}"


def _failed_child(reason: str) -> str:
    """The last child named is the one that failed; the supervisors above it only pass that on. A name may hold spaces,
    so it is what stands between the words that we know."""
    found = _FAILED_CHILD.fullmatch(reason)
    if found is None:
        return reason
    names, why = found.groups()
    return f"its child {names.rpartition('/')[2]} cannot start: {reason_in_words(why)}"


def _error_at(stage: str, number: str) -> str:
    if stage in _WHO and number == "ENOENT":
        return f"there is no such {stage} on this machine"
    if stage in _ONLY_ROOT and number in ("EPERM", "EACCES"):
        return f"{error_in_words(number)}; the daemon would have to run as root"
    return error_in_words(number)


def error_in_words(name: str) -> str:
    """ "ENOSPC" → "no space left on device (ENOSPC)" """
    number = getattr(errno, name, None)
    return f"{os.strerror(number).lower()} ({name})" if isinstance(number, int) else name
