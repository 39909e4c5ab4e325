"""`events`: what has happened in the tree, out of the journal, and what happens from now on."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase

import click

from procsup.cli.client import Client
from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.happening import Happening
from procsup.cli.journal import Journal, Place
from procsup.cli.narrate import Narrator, is_told
from procsup.cli.options import connect, names_argument, since_option, socket_option, state_dir_option
from procsup.cli.paint import Paint, paint_for
from procsup.cli.source import find_source, journal_of
from procsup.cli.terminal import complain, say

_LAST = 20

_BATCH = 500
"""Events that are printed at once."""


@click.command()
@names_argument(required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until interrupted or the daemon ends.")
@click.option(
    "-n", "--lines", "count", metavar="N", type=click.IntRange(min=0),
    help=f"The last N events. [default: {_LAST}; with --since all]",
)  # fmt: skip
@since_option("What happened since then")
@click.option("-e", "--event", "kinds", metavar="EVENT", multiple=True, help="Only these; a glob, and more than once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with everything that is known.")
@state_dir_option
@socket_option
def events(
    names: tuple[str, ...],
    follow: bool,
    count: int | None,
    since: float | None,
    kinds: tuple[str, ...],
    as_json: bool,
    state_dir: str | None,
) -> int:
    """Tell what happened in the tree, and with -f what happens.

    Of NAMEs only, when given: names, paths or globs, also of children that are not in the tree any more; with a
    supervisor comes all below it. A start or a stop is told in one line, though it is several events. What happened
    stands in the daemon's journal: with --state-dir, or when no daemon runs, in that of a dead one.

    \b
    --json has in every event: seq, time (UTC), mono (seconds of the monotonic
    clock), event (daemon_started, starting, started, ready, start_failed, exited,
    link_fired, stopping, stopped, restarting, gave_up, escalated, auto_shutdown, held,
    released, reloaded, child_added, child_removed, lost_output, bad_message, journal_failed,
    journal_resumed, daemon_stopped), path, and cause, the seq of the event that led
    to this one, or null. A new daemon goes on with the next seq.
    """
    choice = Choice(names, kinds, is_whole=as_json)
    last = _LAST if count is None and since is None else count
    teller = Teller(choice, as_json, paint_for(sys.stdout))
    if not follow:
        source = find_source(state_dir)
        with Journal(source.folder, source.is_alive) as journal:
            begin = choice.begin(journal, last, since)
            if begin is None:
                _refuse_unknown(journal, names)
            teller.tell_all(journal, begin)
        return ExitStatus.DONE
    if state_dir is not None:
        raise CannotDo("cannot follow a journal: -f asks the daemon; leave --state-dir out", ExitStatus.USAGE)
    with connect() as client:
        return _follow(client, choice, teller, last, since)


def _refuse_unknown(journal: Journal, names: tuple[str, ...]) -> None:
    """Raises:
    CannotDo: no event is about one of these.
    """
    unknown = set(names)
    for entry in journal.backwards() if names else ():
        unknown -= {name for name in unknown if concerns(entry.event, (name,))}
        if not unknown:
            return
    if unknown:
        which = ", ".join(repr(name) for name in names if name in unknown)
        raise CannotDo(f"the journal knows nothing of {which}", ExitStatus.NO_SUCH_NAME)


def _follow(client: Client, choice: "Choice", teller: "Teller", last: int | None, since: float | None) -> int:
    """First the journal, which has all that happened before the subscription, and perhaps some of what comes after."""
    folder = journal_of(client)
    client.subscribe()
    newest: Happening | None = None
    try:
        with Journal(folder, is_alive=True) as journal:
            newest = next((entry.event for entry in journal.backwards()), None)
            teller.tell_all(journal, choice.begin(journal, last, since))
    except CannotDo as error:
        if not error.message:  # our own output was closed
            raise
        complain(error.message)
    kind = ""
    for event in map(Happening, client.notifications()):
        kind = event.kind
        if not kind or (newest is not None and _is_known(event, newest)):
            continue
        if newest is not None and event.seq > newest.seq + 1:
            complain(f"events that the journal does not have: {event.seq - newest.seq - 1}")
        newest = None
        teller.tell([event])
    if kind == "daemon_stopped":
        return ExitStatus.DONE
    raise CannotDo("the daemon hung up: it died, or this reader was too slow for it", ExitStatus.FAILED)


def _is_known(event: Happening, newest: Happening) -> bool:
    """Whether the journal, whose last event is `newest`, has it already. That one may be of an earlier daemon."""
    return event.seq <= newest.seq and event.text("time") <= newest.text("time")


class Choice:
    """Which events are wanted. `is_whole`: also those that are not told in words."""

    def __init__(self, names: tuple[str, ...], kinds: tuple[str, ...], is_whole: bool) -> None:
        self._names = names
        self._kinds = kinds
        self._is_whole = is_whole

    def has(self, event: Happening) -> bool:
        return (
            (not self._names or concerns(event, self._names))
            and (not self._kinds or any(fnmatchcase(event.kind, kind) for kind in self._kinds))
            and (self._is_whole or is_told(event))
        )

    def begin(self, journal: Journal, last: int | None, since: float | None) -> Place | None:
        """Where the `last` chosen events begin that happened `since` then; None: nowhere."""
        place: Place | None = None
        found = 0
        for entry in journal.backwards() if last != 0 else ():
            when = entry.event.seconds()
            if since is not None and when is not None and when < since:
                break
            if self.has(entry.event):
                place = entry.place
                found += 1
            if found == last:
                break
        return place


class Teller:
    """Prints what is chosen."""

    def __init__(self, choice: Choice, as_json: bool, paint: Paint) -> None:
        self._choice = choice
        self._tell = _in_json if as_json else InWords(paint).tell

    def tell_all(self, journal: Journal, begin: Place | None) -> None:
        """From this place on."""
        if journal.damaged:
            complain(f"lines of the journal that are damaged and left out: {journal.damaged}")
        if journal.missing:
            complain(f"events that are missing from the journal: {journal.missing}")
        if begin is None:
            return
        batch: list[Happening] = []
        for event in journal.forwards(begin):
            batch.append(event)
            if len(batch) == _BATCH:
                self.tell(batch)
                batch.clear()
        self.tell(batch)

    def tell(self, events: list[Happening]) -> None:
        text = "".join(self._tell(event, self._choice.has(event)) for event in events)
        if text:
            say(text)


class InWords:
    """As a narration, with a line where a new day begins, and where a daemon died without a word."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._narrator = Narrator(paint)
        self._day = datetime.now().strftime(_DAY)
        self._before = ""

    def tell(self, event: Happening, is_chosen: bool) -> str:
        """The narrator hears all, so as to know how long a stop took of which only the end was chosen."""
        lines = self._narrator.tell(event.event)
        before, self._before = self._before, event.kind
        if not is_chosen or not lines:
            return ""
        if event.kind == "daemon_started" and before not in ("", "daemon_stopped"):
            lines.insert(0, self._paint("bad", "(the daemon before it died without a word)"))
        return "".join(f"{line}\n" for line in (*self._new_day(event), *lines))

    def _new_day(self, event: Happening) -> Iterator[str]:
        seconds = event.seconds()
        if seconds is None:
            return
        day = datetime.fromtimestamp(seconds).strftime(_DAY)
        if day != self._day:
            self._day = day
            yield self._paint("aside", day)


_DAY = "%Y-%m-%d"


def _in_json(event: Happening, is_chosen: bool) -> str:
    return json.dumps(event.event, separators=(",", ":")) + "\n" if is_chosen else ""


def concerns(event: Happening, names: tuple[str, ...]) -> bool:
    """Whether the event happened to, or with, a child that one of `names` means, or to one below it."""
    words = [*_names_along(event.path), event.text("child")]
    return any(fnmatchcase(word, name) for word in words for name in names)


def _names_along(path: str) -> Iterator[str]:
    """The path of each supervisor on the way down and its name, and so of the child itself."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        yield path[:end].rpartition("/")[2]
        end = path.find("/", end + 1)
    yield path
    yield path.rpartition("/")[2]
