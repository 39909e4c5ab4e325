"""`logs`: what workers wrote, read by this command itself; the daemon is only asked where the files are."""

import heapq
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter

import click

from procsup.cli.exits import CannotDo, ExitStatus, worst
from procsup.cli.logreader import LogReader
from procsup.cli.logsources import Source, Sources
from procsup.cli.moment import moment_from
from procsup.cli.options import connect, names_argument, socket_option
from procsup.cli.paint import Tints, paint_for
from procsup.cli.printable import columns, padded, printable, printable_line
from procsup.cli.terminal import complain, say_bytes, wait_while_read
from procsup.runtime.logtime import stamp_of
from procsup.runtime.places import default_state_dir

_LAST = 20
_LOOK = 0.1
"""Seconds between two looks whether a log has grown."""
_REST = 10
"""With thousands of logs it rests for so many times as long as a look at all of them takes."""

_BATCH = 64 * 1024
"""Bytes that are printed at once."""


def _moment(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else moment_from(text, datetime.now())
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command()
@names_argument(required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until interrupted.")
@click.option(
    "-n", "--lines", "count", metavar="N", type=click.IntRange(min=0),
    help=f"Of each worker the last N lines. [default: {_LAST}; with --since all]",
)  # fmt: skip
@click.option(
    "--since", metavar="TIME", callback=_moment,
    help="What was written since then: so long ago (30s, 10m, 2h), or a time (12:30, '2026-03-01 12:30'), local unless "
    "it has a Z or an offset.",
)  # fmt: skip
@click.option(
    "--log-dir", metavar="FOLDER", type=click.Path(), help="Read the logs in FOLDER; needs no daemon, and asks none."
)
@socket_option
def logs(names: tuple[str, ...], follow: bool, count: int | None, since: float | None, log_dir: str | None) -> int:
    """Show what workers wrote.

    Of NAMEs, or of all workers: names, paths or globs; with a supervisor come all workers below it. With several
    workers each line begins with the name. One that was removed from the tree is found as long as its log is there.

    Lines are shown in the order of their timestamps where the logs have them (`log = { timestamps = true }`), else one
    log after the other; what is added is shown as it comes. --since is exact with timestamps, and goes back up to ten
    seconds too far without. On a terminal, control characters are shown as escapes; elsewhere every byte is as the
    worker wrote it.
    """
    sources = Sources()
    if log_dir is None:
        with connect() as client:
            sources.add_from_daemon(client, names)
    else:
        sources.add_from_folder(os.path.abspath(log_dir), default_state_dir(os.environ, os.geteuid()), names)
    sources.tell_what_is_elsewhere()
    _raise_limit_of_files()
    last = _LAST if count is None and since is None else count
    statuses = [*sources.statuses]
    readings: list[Reading] = []
    for source in sources.all():
        try:
            readings.append((source, LogReader(source.path, last, since, source.marks)))
        except OSError as error:
            complain(printable(f"cannot read the log {source.path!r}: {error.strerror}"))
            statuses.append(ExitStatus.FAILED)
    _tell_what_is_odd(readings)
    try:
        _show(readings, follow)
    except OSError as error:
        raise CannotDo(f"cannot read a log: {error.strerror}", ExitStatus.FAILED) from None
    return worst(statuses)


Reading = tuple[Source, LogReader]


def _show(readings: Sequence[Reading], follow: bool) -> None:
    printer = _Printer([source.name for source, _ in readings])
    _show_backlog(readings, printer)
    if not follow:
        _show_unfinished(readings, printer)
    while follow and readings:
        begin = time.monotonic()
        if not _show_news(readings, printer):
            wait_while_read(max(_LOOK, _REST * (time.monotonic() - begin)))


class _Printer:
    """Prints lines, with the name of whoever wrote them when there is more than one."""

    def __init__(self, names: Sequence[str]) -> None:
        shown = {name: printable(name) for name in names}
        width = max(map(columns, shown.values()), default=0)
        tints = Tints(paint_for(sys.stdout))
        self._is_terminal = sys.stdout.isatty()
        self._kept = bytearray()
        self._before = {
            name: f"{tints.paint(name, padded(text, width) + ' |')} " if len(shown) > 1 else ""
            for name, text in shown.items()
        }

    def put(self, name: str, lines: Sequence[bytes]) -> None:
        before = self._before[name]
        if self._is_terminal:
            texts = [f"{before}{printable_line(line)}\n" for line in lines]
            self._kept += "".join(texts).encode()
        else:
            prefix = before.encode("utf-8", "surrogateescape")
            self._kept += b"".join([prefix + line + b"\n" for line in lines])
        if len(self._kept) > _BATCH:
            self.flush()

    def flush(self) -> None:
        say_bytes(self._kept)
        self._kept.clear()


def _show_backlog(readings: Sequence[Reading], printer: _Printer) -> None:
    """What was there as they began, in the order of the stamps; a line without one goes with the line before it."""
    if len(readings) == 1:
        for source, reader in readings:
            for lines in _backlog(reader):
                printer.put(source.name, lines)
    else:
        for _, name, line in heapq.merge(*map(_with_stamps, readings), key=itemgetter(0)):
            printer.put(name, (line,))
    printer.flush()


def _show_unfinished(readings: Sequence[Reading], printer: _Printer) -> None:
    """Lines so long that they are written in parts."""
    for source, reader in readings:
        if line := reader.unfinished():
            printer.put(source.name, (line,))
    printer.flush()


def _show_news(readings: Sequence[Reading], printer: _Printer) -> bool:
    """Some of what has been added; whether there was anything."""
    is_any = False
    for source, reader in readings:
        if lines := reader.read():
            printer.put(source.name, lines)
            is_any = True
    printer.flush()
    return is_any


def _backlog(reader: LogReader) -> Iterator[list[bytes]]:
    left = reader.backlog
    while left > 0 and (lines := reader.read()):
        yield lines
        left -= sum(map(len, lines)) + len(lines)


def _with_stamps(reading: Reading) -> Iterator[tuple[bytes, str, bytes]]:
    source, reader = reading
    last = b""
    for lines in _backlog(reader):
        for line in lines:
            last = stamp_of(line) or last
            yield last, source.name, line


def _tell_what_is_odd(readings: Sequence[Reading]) -> None:
    if readings and not any(reader.has_file for _, reader in readings):
        complain("there is nothing yet: no log has been written")
    for source, reader in readings:
        if not reader.is_exact:
            complain(printable(f"{source.name}: it is not known when the first lines shown were written"))


def _raise_limit_of_files() -> None:
    """A log may be several files, and there may be thousands of logs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
