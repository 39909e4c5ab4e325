"""`status` and `tree`: the tree as it is now."""

import json
import sys
import time

import click

from procsup.cli.answers import Row, Status, as_status, name_of
from procsup.cli.drawing import ASCII, BOXES, Lines, branches
from procsup.cli.exits import ExitStatus
from procsup.cli.options import connect, names_argument, socket_option
from procsup.cli.paint import paint_for
from procsup.cli.printable import printable
from procsup.cli.processes import Usage, usage_of
from procsup.cli.terminal import can_show, say, width_of


@click.command()
@names_argument(required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; see above.")
@socket_option
def status(names: tuple[str, ...], as_json: bool) -> int:
    """Show who runs, since when, and why not.

    Of NAMEs (and all below them), or of the whole tree. Ends with status 3 when something that should run does not.
    CPU is the processor time of the worker's main process over its whole life, 100% being one processor; MEMORY what it
    has resident. Below it stand its tasks, if it tells of any. A supervisor shows its strategy and how many restarts of
    its limit are used now.

    \b
    --json prints {"daemon": {...}, "tree": [ROW, ...]}, a supervisor before its
    children. These keys stay; new ones may be added.
      daemon      pid, version, state (starting, running, stopping), started,
                  file, socket, state_dir, log_dir, containment (cgroup, subreaper,
                  group: what makes sure that nothing is left of a worker that is
                  down), journal_error (why it cannot be written, or null),
                  journal_lost (events that it will never have)
      every row   path, depth, type (worker, supervisor), state (running, starting,
                  stopping, restarting, down), held (by an operator's stop), ok
                  (false: should run and does not), restart, starts, restarts,
                  since (of this state), last_exit (text or null)
      worker      pid, started, cpu_percent, rss_bytes; null without a process;
                  stdout, stderr (log, inherit, null, journal or a path), lost_bytes
                  (of its output, that could not be written), waits_for (to be
                  ready: "tcp localhost:5432 (connection refused)", or null),
                  tasks (of the library's task supervisors, that run: a list of
                  pid, name, started)
      supervisor  strategy, intensity, period (seconds), used
    Times are seconds since 1970.
    """
    answer = _ask(names)
    rows = answer["tree"]
    pids = [row["pid"] for row in rows if row["type"] == "worker" and row["pid"] is not None]
    usage = usage_of(pids, answer["daemon"]["pid"]) if pids else {}
    say(_as_json(answer, usage) if as_json else _as_table(answer, usage))
    return ExitStatus.DONE if all(row["ok"] for row in rows) else ExitStatus.NOT_RUNNING


@click.command()
@names_argument(required=False)
@socket_option
def tree(names: tuple[str, ...]) -> int:
    """Draw the tree: who supervises whom, by which strategy."""
    rows = _ask(names)["tree"]
    before = branches([row["path"] for row in rows], _strokes())
    say("".join(f"{stroke}{printable(_named(row))}\n" for stroke, row in zip(before, rows, strict=True)))
    return ExitStatus.DONE


def _ask(names: tuple[str, ...]) -> Status:
    with connect() as client:
        return as_status(client.call("status", {"names": list(names)}))


def _as_table(answer: Status, usage: dict[int, Usage]) -> str:
    from procsup.cli.table import status_text

    return status_text(answer, usage, time.time(), paint_for(sys.stdout), _strokes(), width_of(sys.stdout))


def _as_json(answer: Status, usage: dict[int, Usage]) -> str:
    from procsup.cli.table import cpu_percent

    now = time.time()
    rows = []
    for row in answer["tree"]:
        if row["type"] != "worker":
            rows.append({**row})
            continue
        pid, started = row["pid"], row["started"]
        used = None if pid is None else usage.get(pid)
        percent = None if used is None or started is None else round(cpu_percent(used, started, now), 1)
        rows.append({**row, "cpu_percent": percent, "rss_bytes": None if used is None else used.rss})
    return json.dumps({**answer, "tree": rows}) + "\n"


def _strokes() -> Lines:
    return BOXES if can_show(sys.stdout, "".join(BOXES)) else ASCII


def _named(row: Row) -> str:
    name = name_of(row["path"])
    return f"{name} ({row['strategy']})" if row["type"] == "supervisor" else name
