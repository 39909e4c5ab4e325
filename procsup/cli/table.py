"""The table that `procsup status` draws: a header, a row for each child, and what is wrong.

Pure: the daemon's answer, what the kernel knows of the processes and the time in, text out. Worker and supervisor share
the columns NAME, STATE and LAST EXIT; between these a worker has its process, a supervisor its strategy and how much of
its restart intensity is used.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from procsup.cli.answers import Daemon, Row, Status, name_of
from procsup.cli.drawing import Lines, branches
from procsup.cli.paint import Meaning, Paint
from procsup.cli.printable import columns, cut, padded, printable
from procsup.cli.processes import Usage
from procsup.cli.reasons import error_in_words
from procsup.cli.units import about, exactly, memory

_GAP = "  "
_NUMBERS = ("PID", "UPTIME", "RESTARTS", "CPU", "MEMORY")
_MOST_TASKS = 5
"""Lines of one worker; --json has them all."""
_MOST_NAMED = 5
"""Names in the last line; the table shows them all."""


class Line(NamedTuple):
    """Of one child. `middle` is one text for a supervisor, and a worker's cells in the order of _NUMBERS."""

    name: str
    state: str
    meaning: Meaning | None
    middle: str | tuple[str, ...]
    last_exit: str

    @property
    def of_worker(self) -> bool:
        return isinstance(self.middle, tuple)


def status_text(
    status: Status, usage: Mapping[int, Usage], now: float, paint: Paint, lines: Lines, width: int | None
) -> str:
    """`now` is in seconds since 1970; `width`, when there is one, cuts off the last column. O(rows)."""
    rows = status["tree"]
    drawn = [line for row, befores in _with_branches(rows, lines) for line in _lines(row, befores, usage, now)]
    daemon = status["daemon"]
    text = [_of_daemon(daemon, now), *_aligned(drawn, paint, width), *_of_journal(daemon, paint), *_wrong(rows, paint)]
    return "\n".join([*text, *_lost(rows, paint), *_waiting(rows, now, paint)]) + "\n"


def budget(row: Row) -> str:
    """ "one_for_one, 2 of 3 in 5s" """
    return f"{row['strategy']}, {row['used']} of {row['intensity']} in {exactly(row['period'])}"


def _with_branches(rows: Sequence[Row], lines: Lines) -> Iterable[tuple[Row, list[str]]]:
    """Each row with what is drawn before it, and before each of the lines below it, which are for its tasks."""
    heights = [1 + _height(row) for row in rows]
    paths = [
        row["path"] + (f"/{number}" if number else "")
        for row, height in zip(rows, heights, strict=True)
        for number in range(height)
    ]
    before = iter(branches(paths, lines))
    return [(row, [next(before) for _ in range(height)]) for row, height in zip(rows, heights, strict=True)]


def _height(row: Row) -> int:
    """Lines below it."""
    return min(len(row["tasks"]), _MOST_TASKS + 1) if row["type"] == "worker" else 0


def _lines(row: Row, befores: Sequence[str], usage: Mapping[int, Usage], now: float) -> Iterator[Line]:
    first, *others = befores
    yield _line(first, row, usage, now)
    if not others:
        return
    tasks = row["tasks"]
    for before, task in zip(others[:_MOST_TASKS], tasks, strict=False):
        cells = (str(task["pid"]), about(now - task["started"]), "", "", "")
        yield Line(before + printable(task["name"]), "task", "aside", cells, "")
    if len(others) > _MOST_TASKS:
        yield Line(f"{others[-1]}and {len(tasks) - _MOST_TASKS} more", "task", "aside", ("",) * len(_NUMBERS), "")


def _line(before: str, row: Row, usage: Mapping[int, Usage], now: float) -> Line:
    return Line(
        before + printable(name_of(row["path"])),
        printable(row["state"]) + (" (held)" if row["held"] else ""),
        _meaning(row),
        _process(row, usage, now) if row["type"] == "worker" else _supervision(row),
        _last_exit(row, now),
    )


def _meaning(row: Row) -> Meaning | None:
    if not row["ok"]:
        return "bad"
    match row["state"]:
        case "running":
            return "good"
        case "down":
            return "aside"
        case _:
            return "attention"


def _process(row: Row, usage: Mapping[int, Usage], now: float) -> tuple[str, ...]:
    pid, started, restarts = row["pid"], row["started"], str(row["restarts"])
    if pid is None or started is None:
        return ("-", "-", restarts, "-", "-")
    used = usage.get(pid)
    if used is None:
        return (str(pid), about(now - started), restarts, "-", "-")
    return (str(pid), about(now - started), restarts, f"{cpu_percent(used, started, now):.1f}%", memory(used.rss))


def cpu_percent(used: Usage, started: float, now: float) -> float:
    """Processor time over the life of the process; 200 is two whole processors."""
    return 100 * used.cpu_seconds / max(now - started, 0.01)


def _supervision(row: Row) -> str:
    text = printable(budget(row))
    match row["restarts"]:
        case 0:
            return text
        case 1:
            return f"{text}, 1 restart"
        case count:
            return f"{text}, {count} restarts"


def _last_exit(row: Row, now: float) -> str:
    if row["last_exit"] is None:
        return "-" if row["type"] == "worker" else ""
    text = printable(row["last_exit"])
    return f"{text}, {about(now - row['since'])} ago" if row["state"] == "down" else text


def _of_daemon(daemon: Daemon, now: float) -> str:
    what = "runs" if daemon["state"] == "running" else f"is {daemon['state']}:"
    who = f"procsup {daemon['version']}, pid {daemon['pid']}"
    where = daemon["file"] or "a tree from no file"
    up = f"up {about(now - daemon['started'])}"
    return printable(f"{who}, {what} {where}, {up}, containment: {daemon['containment']}")


def _of_journal(daemon: Daemon, paint: Paint) -> list[str]:
    """Nothing, as long as it is well."""
    said: list[str] = []
    error = daemon["journal_error"]
    if error is not None:
        said.append(f"the journal in {daemon['state_dir']} cannot be written: {error_in_words(error)}")
    if daemon["journal_lost"]:
        said.append(f"events that are not in the journal: {daemon['journal_lost']}")
    return [paint("bad", printable(line)) for line in said]


class _Widths(NamedTuple):
    """In columns; `cells` is of _NUMBERS, and `last` is None where the terminal sets no limit."""

    name: int
    state: int
    cells: tuple[int, ...]
    middle: int
    last: int | None


def _aligned(drawn: Sequence[Line], paint: Paint, terminal: int | None) -> Iterable[str]:
    lines = [Line("NAME", "STATE", None, _NUMBERS, "LAST EXIT"), *drawn]
    widths = _widths(lines, terminal)
    return [_text_of(line, widths, paint) for line in lines]


def _widths(lines: Sequence[Line], terminal: int | None) -> _Widths:
    name = max(columns(line.name) for line in lines)
    state = max(len(line.state) for line in lines)
    cells = [max(map(len, column)) for column in zip(*(line.middle for line in lines if line.of_worker), strict=True)]
    of_supervisors = max((len(line.middle) for line in lines if not line.of_worker), default=0)
    middle = max(sum(cells) + len(_GAP) * (len(cells) - 1), of_supervisors)
    last = None if terminal is None else max(0, terminal - name - state - middle - 3 * len(_GAP))
    return _Widths(name, state, tuple(cells), middle, last)


def _text_of(line: Line, widths: _Widths, paint: Paint) -> str:
    state = paint(line.meaning, line.state) + " " * (widths.state - len(line.state))
    middle = line.middle
    if isinstance(middle, tuple):
        middle = _GAP.join([cell.rjust(width) for cell, width in zip(middle, widths.cells, strict=True)])
    last = line.last_exit if widths.last is None else cut(line.last_exit, widths.last)
    return _GAP.join((padded(line.name, widths.name), state, middle.ljust(widths.middle), last)).rstrip()


def _wrong(rows: Sequence[Row], paint: Paint) -> list[str]:
    names = [name_of(row["path"]) for row in rows if not row["ok"]]
    if not names:
        return []
    return [paint("bad", printable(f"{len(names)} of {len(rows)} should run and do not: {_listed(names)}"))]


def _waiting(rows: Sequence[Row], now: float, paint: Paint) -> list[str]:
    """A line for each worker that was executed and is not ready."""
    lines = [
        f"{name_of(row['path'])} has been starting for {about(now - row['since'])}: it waits for {row['waits_for']}"
        for row in rows
        if row["type"] == "worker" and row["waits_for"]
    ]
    rest = [f"and {len(lines) - _MOST_NAMED} more"] if len(lines) > _MOST_NAMED else []
    return [paint("attention", printable(line)) for line in (*lines[:_MOST_NAMED], *rest)]


def _lost(rows: Sequence[Row], paint: Paint) -> list[str]:
    losers = [
        f"{name_of(row['path'])} ({memory(row['lost_bytes'])})"
        for row in rows
        if row["type"] == "worker" and row["lost_bytes"]
    ]
    return [paint("bad", printable(f"output that could not be written: {_listed(losers)}"))] if losers else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown
