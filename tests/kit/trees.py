"""Tree files in a few words, and worker programs.

    tree(supervisor("root", ["a", "b"], strategy="one_for_all"), worker("a", SLEEP), worker("b", sh("exit 1")))

The programs are sh, which starts in a millisecond. They find in their environment where to report: $REPORT is a file to
which they add lines, and Daemon.report_of reads; $GATE is one to read a line from, which Daemon.open_gate writes.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

Command = str | Sequence[str]

SLEEP = ("sleep", "1000")
"""Obeys TERM, says nothing."""


def tree(*tables: str) -> str:
    return "\n".join(tables)


def supervisor(name: str, children: Sequence[str], **keys: Any) -> str:
    return _table(f"supervisor.{json.dumps(name)}", {"children": children, **keys})


def worker(name: str, command: Command = SLEEP, **keys: Any) -> str:
    return _table(f"worker.{json.dumps(name)}", {"command": command, **keys})


def target(name: str, function: str, **keys: Any) -> str:
    return _table(f"worker.{json.dumps(name)}", {"target": function, **keys})


def workers(names: str, command: Command = SLEEP, **keys: Any) -> str:
    """One worker for each word of `names`."""
    return "\n".join(worker(name, command, **keys) for name in names.split())


def sh(script: str, *words: str) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", *words)


def reports(then: str) -> tuple[str, ...]:
    """Adds the line "NAME PID" to the report, then goes on as the script `then` says."""
    return sh(f'echo "${{PROCSUP_NAME##*/}} $$" >> "$REPORT"; {then}')


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", script)


def waits_for(signal: str, then: str) -> tuple[str, ...]:
    """Reports, waits for this signal and does as the Python statement says. Unlike a shell's trap and wait it never
    misses the signal.
    """
    return python(f"""
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{signal}])
with open(os.environ["REPORT"], "a") as report:
    report.write(os.environ["PROCSUP_NAME"].rpartition("/")[2] + f" {{os.getpid()}}\\n")
signal.sigwait([signal.{signal}])
{then}
""")


STAYS = reports("exec sleep 1000")
"""Obeys TERM."""

STUBBORN = sh("""trap '' TERM; echo "${PROCSUP_NAME##*/} $$" >> "$REPORT"; exec sleep 1000""")
"""Ignores TERM."""

FORKS_AND_LEAVES = sh("""sleep 1000 & echo "${PROCSUP_NAME##*/} $!" >> "$REPORT"; exit 1""")
"""Reports its child, which stays in its group, and ends."""

FORKS_AND_LEAVES_STUBBORN = sh("""trap '' TERM; sleep 1000 & echo "${PROCSUP_NAME##*/} $!" >> "$REPORT"; exit 1""")
"""As FORKS_AND_LEAVES; the child ignores TERM."""

FORKS_AND_STAYS = sh("""sleep 1000 & echo "${PROCSUP_NAME##*/} $!" >> "$REPORT"; wait""")
"""Reports its child and waits for it."""

AT_THE_GATE = 'read -r go < "$GATE"'
"""A part of a script: wait until the test opens the gate, once for each who waits there."""

ALONE = 'exec 9>>"$LOCKS/${PROCSUP_NAME##*/}"; flock -n 9 || echo "${PROCSUP_NAME##*/} $$" >> "$OVERLAPS"'
"""The beginning of a script. A worker, with whatever it forks, holds the lock of its name while it lives, like a port;
who finds it taken, so that two lives overlap, says so.
"""


def _table(head: str, keys: dict[str, Any]) -> str:
    return "\n".join([f"[{head}]", *(f"{key} = {_toml(value)}" for key, value in keys.items()), ""])


def _toml(value: Any) -> str:
    """JSON's strings, numbers and booleans are TOML's. A `${` is meant for the shell, not for procsup."""
    match value:
        case str():
            return json.dumps(value).replace("${", "$${")
        case dict():
            return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return json.dumps(value)
