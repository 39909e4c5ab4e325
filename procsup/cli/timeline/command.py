"""`timeline`: the lives of all, drawn."""

import os
import sys
import time

import click

from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.journal import Journal
from procsup.cli.options import since_option, socket_option, state_dir_option
from procsup.cli.source import find_source
from procsup.cli.terminal import complain, say
from procsup.cli.timeline.chart import chart_of
from procsup.cli.timeline.page import page_of
from procsup.cli.timeline.svg import svg_of


@click.command()
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(),
    help="Where to write it: FILE.svg, or FILE.html with the list of what happened. [default: SVG, to stdout]",
)  # fmt: skip
@since_option("From then on, over all daemons")
@state_dir_option
@socket_option
def timeline(output: str | None, since: float | None, state_dir: str | None) -> int:
    """Draw the lives of the workers as bars over time.

    Crashes, restarts, give-ups and escalations are marked, and arrows lead from each cause to what followed. One file,
    that explains itself and needs no other; to be opened in a browser. It shows what the last daemon did, or what
    happened --since, out of its journal: it does not matter whether it still runs.
    """
    suffix = ".svg" if output is None else os.path.splitext(output)[1].lower()
    if suffix not in (".svg", ".html"):
        raise CannotDo(f"cannot draw {output!r}: expected a name that ends in .svg or .html", ExitStatus.USAGE)
    if output is None and sys.stdout.isatty():
        raise CannotDo("cannot draw on a terminal: name a file, with -o FILE.svg or -o FILE.html", ExitStatus.USAGE)
    source = find_source(state_dir)
    with Journal(source.folder, source.is_alive) as journal:
        chart = chart_of(journal.forwards(journal.beginning()), since, time.time(), source.is_alive, source.rows)
    drawn = page_of(chart) if suffix == ".html" else svg_of(chart)
    if output is None:
        say(drawn)
        return ExitStatus.DONE
    _write(output, drawn)
    complain(f"wrote {output}")
    return ExitStatus.DONE


def _write(path: str, text: str) -> None:
    """Raises:
    CannotDo
    """
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CannotDo(f"cannot write {path!r}: {error.strerror}", ExitStatus.FAILED) from None
