"""The chart: who lived when, what happened to whom, and what led to what. Events in, frozen values out.

All times are seconds since 1970. Within a run they follow the monotonic clock from its first event on, so that a clock
which is set meanwhile bends nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from procsup.cli.answers import Row as StatusRow
from procsup.cli.happening import Happening
from procsup.cli.narrate import Narrator
from procsup.cli.units import exactly


@dataclass(frozen=True, slots=True)
class Life:
    """From the start attempt to the end. `up` is when it was ready, `stopping` when it was asked to stop, or None.
    `end` is the chart's for one that still lives; `ended` is "crash", "normal", "stopped", "killed", "start_failed",
    "lost" (its daemon died) or "alive".
    """

    begin: float
    up: float | None
    stopping: float | None
    end: float
    ended: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a child: `kind` is "crash", "normal", "stopped", "killed", "start_failed", "restart",
    "gave_up", "escalated", "auto_shutdown", "removed", "added", or the name of an event not known here.
    """

    time: float
    seq: int
    kind: str
    words: str
    note: str
    """What matters most of it, in as few letters as can be, or ""."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A child: its line in the chart. `holds` are (from, to)."""

    path: str
    type: str
    lives: tuple[Life, ...]
    marks: tuple[Mark, ...]
    holds: tuple[tuple[float, float], ...]

    @property
    def has_trouble(self) -> bool:
        return any(mark.kind not in ("stopped", "normal") for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Arrow:
    """What happened at `source` led to something at `target`, both being paths. `is_strong`: a give-up, an escalation
    or a link was in it.
    """

    source: str
    target: str
    begin: float
    end: float
    is_strong: bool


@dataclass(frozen=True, slots=True)
class Absence:
    """No daemon ran; `words` say how it ended."""

    begin: float
    end: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`lanes` are in tree order."""

    begin: float
    end: float
    lanes: tuple[Lane, ...]
    arrows: tuple[Arrow, ...]
    absences: tuple[Absence, ...]
    epilogue: str
    """How the daemon ended, or "" while it runs."""

    def count(self, *kinds: str) -> int:
        return sum(mark.kind in kinds for lane in self.lanes for mark in lane.marks)


def chart_of(
    events: Iterable[Happening], since: float | None, now: float, is_alive: bool, rows: Mapping[str, StatusRow]
) -> Chart:
    """Of all runs since then, or of the last one. `rows` of a daemon that answers tell of children of whom the journal
    does not, since they have been quiet for so long. O(events), and memory for what is in the chart.
    """
    draft = _Draft(since)
    for event in events:
        draft.take(event)
    return draft.finished(now, is_alive, rows)


_DECISIONS = {
    "restarting": "restart",
    "gave_up": "gave_up",
    "escalated": "escalated",
    "auto_shutdown": "auto_shutdown",
    "child_removed": "removed",
    "child_added": "added",
}

_STRONG = frozenset({"gave_up", "escalated", "auto_shutdown", "link_fired"})
_SILENT = frozenset({"daemon_started", "daemon_stopped", "journal_failed", "journal_resumed"})


class _Draft:
    def __init__(self, since: float | None) -> None:
        self._since = since
        self._reset()
        self._absences: list[Absence] = []
        self._gone_since: float | None = None
        self._epilogue = ""

    def _reset(self) -> None:
        """Nothing is known of what was before."""
        self._lanes: dict[str, _LaneDraft] = {}
        self._arrows: list[Arrow] = []
        self._begin: float | None = None
        self._base: tuple[float, float] | None = None
        self._seq = 0
        self._last = 0.0
        self._places: dict[int, tuple[str, float, str]] = {}
        """Where the events of this run are, that something may yet follow from: path, time, kind."""

    def take(self, event: Happening) -> None:
        if event.kind == "daemon_started" or event.seq <= self._seq:
            self._begin_run(event)
        when = self._time(event)
        self._seq, self._last = event.seq, when
        if self._begin is None:
            self._begin = when
        self._places[event.seq] = event.path, when, event.kind
        if event.kind == "daemon_stopped":
            self._gone_since = when
            self._epilogue = f"the daemon ended with exit status {event.text('status')}"
            self._end_lives(when, "lost")
        elif event.kind not in _SILENT:
            self._lane(event).take(event, when)
            self._add_arrow(event, when)

    def finished(self, now: float, is_alive: bool, rows: Mapping[str, StatusRow]) -> Chart:
        if self._begin is None:
            return Chart(now, now, (), (), (), "")
        begin = self._begin if self._since is None else max(self._since, self._begin)
        if is_alive:
            end = max(now, self._last)
            self._add_quiet(rows, begin)
            self._end_lives(end, "alive")
        else:
            self._end_run()
            end = self._last
        lanes = [lane.finished(path, begin) for path, lane in _in_tree_order(self._lanes)]
        lanes = [lane for lane in lanes if lane.lives or lane.marks or lane.holds]
        shown = {lane.path for lane in lanes}
        arrows = tuple(one for one in self._arrows if one.end >= begin and {one.source, one.target} <= shown)
        absences = tuple(one for one in self._absences if one.end >= begin)
        return Chart(begin, max(end, begin), tuple(lanes), arrows, absences, "" if is_alive else self._epilogue)

    # Runs

    def _begin_run(self, event: Happening) -> None:
        if self._since is None:
            self._reset()
        elif self._begin is not None:
            self._end_run()
            begin, words = self._gone_since or self._last, self._epilogue
            self._base, self._seq, self._places = None, 0, {}
            self._absences.append(Absence(begin, max(begin, self._time(event)), words))
        self._gone_since, self._epilogue = None, ""

    def _end_run(self) -> None:
        """Of a daemon that does not run any more."""
        if self._gone_since is None:
            self._epilogue = "the daemon died without a word"
            self._end_lives(self._last, "lost")

    def _end_lives(self, when: float, how: str) -> None:
        for lane in self._lanes.values():
            lane.end(when, how)

    def _time(self, event: Happening) -> float:
        wall, mono = event.seconds(), event.number("mono")
        if self._base is None and wall is not None and mono is not None:
            self._base = wall, mono
        if self._base is None or mono is None:
            return wall if wall is not None else self._last
        return self._base[0] + mono - self._base[1]

    # Lanes

    def _lane(self, event: Happening) -> "_LaneDraft":
        lane = self._lanes.get(event.path)
        if lane is None:
            lane = self._lanes[event.path] = _LaneDraft(self._since, self._begin or 0.0)
        return lane

    def _add_quiet(self, rows: Mapping[str, StatusRow], begin: float) -> None:
        """In the order of the tree, which may be another one than that of what happened."""
        known, self._lanes = self._lanes, {}
        for path, row in rows.items():
            lane = known.pop(path, None) or _LaneDraft(self._since, begin)
            lane.type = row["type"]
            if row["state"] == "running" and not lane.has_life:
                lane.is_up_since(row["since"])
            self._lanes[path] = lane
        self._lanes |= known

    def _add_arrow(self, event: Happening, when: float) -> None:
        cause = self._places.get(event.cause or 0)
        if cause is None:
            return
        source, begin, kind = cause
        if kind in ("starting", "started", "ready", "daemon_started") or source == event.path:
            return
        if kind == "restarting" and event.kind == "starting":
            return  # that it lives again is to be seen
        self._arrows.append(Arrow(source, event.path, begin, when, bool(_STRONG & {kind, event.kind})))


@dataclass(slots=True)
class _Open:
    """A life that goes on."""

    begin: float
    up: float | None = None
    stopping: float | None = None


class _LaneDraft:
    def __init__(self, since: float | None, origin: float) -> None:
        self._since = since
        self._origin = origin
        self._lives: list[Life] = []
        self._marks: list[Mark] = []
        self._holds: list[tuple[float, float]] = []
        self._held: float | None = None
        self._open: _Open | None = None
        self._has_lived = False
        self.type = "worker"

    @property
    def has_life(self) -> bool:
        return self._open is not None

    def take(self, event: Happening, when: float) -> None:
        if event.text("type") == "supervisor" or event.kind in ("restarting", "gave_up", "escalated"):
            self.type = "supervisor"
        match event.kind:
            case "starting":
                self._open = _Open(when)
            case "started":
                self._life(when)
            case "ready":
                self._life(when).up = when
            case "stopping":
                self._life(when).stopping = when
            case "exited" | "start_failed" | "stopped":
                how = _how_it_ended(event)
                self._life(when)
                self.end(when, how)
                self._mark(event, how, when)
            case "held":
                self._held = when
            case "released":
                self._release(when)
            case kind:
                self._mark(event, _DECISIONS.get(kind, kind), when)

    def is_up_since(self, when: float) -> None:
        self._open = _Open(when, when)

    def end(self, when: float, how: str) -> None:
        if how in ("alive", "lost"):
            self._release(when)
        if self._open is None:
            return
        if self._is_in(when):
            self._lives.append(Life(self._open.begin, self._open.up, self._open.stopping, when, how))
        self._has_lived, self._open = True, None

    def finished(self, path: str, begin: float) -> Lane:
        lives = tuple(life for life in self._lives if life.end >= begin)
        marks = tuple(mark for mark in self._marks if mark.time >= begin)
        return Lane(path, self.type, lives, marks, tuple(hold for hold in self._holds if hold[1] >= begin))

    def _life(self, when: float) -> _Open:
        """The present one. If its start is not known, and it is the first one, it began with the chart."""
        if self._open is None:
            self._open = _Open(when) if self._has_lived else _Open(self._origin, self._origin)
        return self._open

    def _release(self, when: float) -> None:
        if self._held is not None:
            self._holds.append((self._held, when))
            self._held = None

    def _mark(self, event: Happening, kind: str, when: float) -> None:
        if self._is_in(when):
            self._marks.append(Mark(when, event.seq, kind, _in_words(event), _note(event)))

    def _is_in(self, when: float) -> bool:
        return self._since is None or when >= self._since


def _how_it_ended(event: Happening) -> str:
    match event.kind:
        case "start_failed":
            return "start_failed"
        case "stopped":
            return "killed" if event.text("how") == "killed" else "stopped"
        case _ if event.text("reason") in ("normal", "auto_shutdown"):
            return "normal"
        case _ if event.text("type") == "supervisor":
            return "stopped"  # it gave up: that has a mark of its own
        case _:
            return "crash"


def _note(event: Happening) -> str:
    match event.kind:
        case "exited" if event.text("type") == "worker":
            return event.text("reason").removeprefix("normal")
        case "restarting" | "gave_up":
            period = event.number("period")
            return f"{event.text('used')} of {event.text('intensity')} in {exactly(period) if period else '?'}"
        case _:
            return ""


def _in_words(event: Happening) -> str:
    return "\n".join(" ".join(line.split()) for line in Narrator().tell(event.event))


def _in_tree_order(lanes: Mapping[str, "_LaneDraft"]) -> Iterator[tuple[str, "_LaneDraft"]]:
    """Children after their supervisor, in the order in which they came up first."""
    below: dict[str, list[str]] = {}
    for path in lanes:
        parent = path.rpartition("/")[0]
        while parent and parent not in lanes:
            parent = parent.rpartition("/")[0]
        below.setdefault(parent, []).append(path)
    stack = below.get("", [])[::-1]
    while stack:
        path = stack.pop()
        yield path, lanes[path]
        stack += below.get(path, [])[::-1]
