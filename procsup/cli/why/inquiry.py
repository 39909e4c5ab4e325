"""The inquiry: which failure answers the question why, and all that belongs to it.

Whatever follows from one event is an *incident*: from a crash its restarts, the give-up, the stops and the end. Read
backwards, its events come in before the first one, to which all their causes lead; until then they are held. An
incident is an answer when it is about the subject. What it lacks is what came before it: a supervisor that gave up had
restarted others before, within its period, for crashes that are incidents of their own. So each `gave_up` *demands* as
many of the supervisor's restarts as its budget says, each with the causes that lead to it.

Pure: events in, a Story out. Memory is bounded by what is under way at one moment, or by MOST_HELD.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from procsup.cli.happening import Happening

MOST_HELD = 50_000
"""Events of incidents whose beginning has not been read yet; then the longest is told without it."""

_SLACK = 1.0
"""Seconds by which the time of a record may differ from that of the decision."""

_TROUBLE = frozenset({"exited", "start_failed", "gave_up", "escalated", "link_fired"})
_OWN = frozenset(
    {"exited", "start_failed", "gave_up", "stopping", "stopped", "auto_shutdown", "child_removed", "daemon_stopped"}
)


class Subject:
    """Of whom to tell: the child that `name` means (its name, its path or the end of that), or with None anybody.

    `path` is known from the beginning, or from the first event on that has it.
    """

    def __init__(self, name: str | None, path: str | None = None) -> None:
        self.name = name
        self.path = path
        self.met: set[str] = set()
        """Names that came up while the path was unknown."""

    def meet(self, path: str) -> None:
        """Anybody's, or "", nobody's."""
        if self.name is None or self.path is not None or not path:
            return
        begin = f"/{path}/".find(f"/{self.name}/")
        if begin >= 0:
            self.path = path[: begin + len(self.name)]
        else:
            self.met.add(path.rpartition("/")[2])

    def is_above(self, path: str) -> bool:
        return self.path is not None and path.startswith(f"{self.path}/")


@dataclass(frozen=True, slots=True)
class Story:
    """One failure. `events` are in order; of them the one with the seq `first` led to all others, but for those of the
    supervisors' earlier restarts. `is_cut`: its beginning is not known any more. `run` as in journal.Entry.
    """

    events: tuple[Happening, ...]
    first: int
    run: int
    is_cut: bool


class Inquiry:
    """`take` the entries of a journal, backwards, until it `is_over`; `end` when there are no more."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._run = 0
        self._open: dict[int, list[_Incident]] = {}
        self._held = 0
        self._demands: list[_Demand] = []
        self._wanted: dict[int, list[_Demand]] = {}
        self._own: _Incident | None = None
        self._below: _Incident | None = None
        self.story: Story | None = None
        self.is_over = False

    def take(self, event: Happening, run: int) -> None:
        """O(1), but for the end of an incident."""
        if run != self._run:
            self._end_run()
            self._run = run
        if self.is_over:
            return
        self._subject.meet(event.path)
        self._subject.meet(_child_of(event))
        self._supply(event)
        if event.kind == "reloaded":
            self._part(event)
            return
        incident = self._joined(event)
        if event.kind == "gave_up":
            self._add_demand(event, incident)
        if event.cause is None or not 0 < event.cause < event.seq:
            self._complete(incident)
        else:
            self._open.setdefault(event.cause, []).append(incident)
        if self._held > MOST_HELD:
            self._cut_the_longest()
        if self._own is not None and not any(demand.is_unmet for demand in self._own.demands):
            self._close_case(self._own)

    def end(self) -> None:
        if not self.is_over:
            self._end_run()
        self.is_over = True

    # Incidents

    def _joined(self, event: Happening) -> "_Incident":
        """The incidents that this event led to are one."""
        parts = self._open.pop(event.seq, [])
        incident = max(parts, key=lambda part: len(part.events), default=None) or _Incident()
        for part in parts:
            if part is not incident:
                incident.events += part.events
                incident.demands += part.demands
        incident.events.append(event)
        self._held += 1
        return incident

    def _part(self, reload: Happening) -> None:
        """A reload leads to much that has nothing to do with one another: each is an incident of its own."""
        for incident in self._open.pop(reload.seq, []):
            incident.events.append(reload)
            self._held += 1
            self._complete(incident)

    def _complete(self, incident: "_Incident") -> None:
        self._held -= len(incident.events)
        match _weight(incident.events, self._subject):
            case "own" if self._own is None:
                self._own = incident
            case "below" if self._below is None:
                self._below = incident
            case _:
                for demand in incident.demands:
                    demand.drop()

    def _cut_the_longest(self) -> None:
        cause, incident = max(
            ((cause, one) for cause, ones in self._open.items() for one in ones), key=lambda item: len(item[1].events)
        )
        self._open[cause].remove(incident)
        incident.is_cut = True
        self._complete(incident)

    def _end_run(self) -> None:
        """What led to the incidents that are still open is not in the journal any more."""
        if self.is_over:
            return
        left = [incident for incidents in self._open.values() for incident in incidents]
        for incident in sorted(left, key=lambda one: -one.events[-1].seq):
            incident.is_cut = True
            self._complete(incident)
        self._open.clear()
        self._demands.clear()
        self._wanted.clear()
        found = self._own or self._below
        if found is not None:
            self._close_case(found)

    def _close_case(self, incident: "_Incident") -> None:
        self.is_over = True
        first = min(event.seq for event in incident.events)
        since = min((event.seq for event in incident.events if event.kind in _TROUBLE), default=first)
        told = {event.seq: event for event in incident.events if event.seq >= since or event.kind == "reloaded"}
        for demand in incident.demands:
            told |= {event.seq: event for event in demand.all_events()}
        events = tuple(told[seq] for seq in sorted(told))
        self.story = Story(events, max(first, since), self._run, incident.is_cut)

    # Demands

    def _add_demand(self, event: Happening, incident: "_Incident") -> None:
        incident.demands.append(self._demand_of(event))

    def _demand_of(self, event: Happening) -> "_Demand":
        used, now, period = event.whole("used"), event.number("mono"), event.number("period")
        since = now - period - _SLACK if now is not None and period is not None else None
        demand = _Demand(event.path, max((used or 1) - 1, 0), since)
        self._demands.append(demand)
        return demand

    def _supply(self, event: Happening) -> None:
        for demand in self._wanted.pop(event.seq, ()):
            if not demand.is_dropped:
                demand.owed -= 1
                self._give(event, demand)
                if event.kind == "gave_up":  # of a supervisor below, which had restarted others before
                    demand.inner.append(self._demand_of(event))
        if event.kind == "restarting" and self._demands:
            for demand in self._demands:
                if demand.wants(event):
                    demand.left -= 1
                    self._give(event, demand)
            self._demands = [demand for demand in self._demands if demand.left > 0 and not demand.is_dropped]

    def _give(self, event: Happening, demand: "_Demand") -> None:
        demand.events.append(event)
        if event.cause is not None and 0 < event.cause < event.seq:
            demand.owed += 1
            self._wanted.setdefault(event.cause, []).append(demand)


class _Incident:
    """`events` in the order of reading, the last one read being the one that led to the others. Later its demands may
    still be unmet."""

    __slots__ = ("demands", "events", "is_cut")

    def __init__(self) -> None:
        self.events: list[Happening] = []
        self.demands: list[_Demand] = []
        self.is_cut = False


class _Demand:
    """Of a supervisor that gave up. `left` restarts of it are still to come, none of them before `since`; `owed` counts
    the causes of those that have come. `inner` are those of supervisors below it that had given up for such a restart.
    """

    __slots__ = ("_since", "_supervisor", "events", "inner", "is_dropped", "left", "owed")

    def __init__(self, supervisor: str, restarts: int, since: float | None) -> None:
        self._supervisor = supervisor
        self._since = since
        self.left = restarts
        self.owed = 0
        self.events: list[Happening] = []
        self.inner: list[_Demand] = []
        self.is_dropped = False

    def drop(self) -> None:
        """Nobody asks any more."""
        for demand in self._nested():
            demand.is_dropped = True

    def all_events(self) -> Iterator[Happening]:
        for demand in self._nested():
            yield from demand.events

    def _nested(self) -> "Iterator[_Demand]":
        """A tree may be a thousand supervisors deep."""
        todo = [self]
        while todo:
            demand = todo.pop()
            yield demand
            todo += demand.inner

    def wants(self, event: Happening) -> bool:
        if self.is_dropped or event.path != self._supervisor:
            return False
        when = event.number("mono")
        if self._since is not None and when is not None and when < self._since:
            self.left = 0
        return self.left > 0

    @property
    def is_unmet(self) -> bool:
        return any(demand.left > 0 or demand.owed > 0 for demand in self._nested())


def _weight(events: Iterable[Happening], subject: Subject) -> str | None:
    """ "own" when the incident is a failure that befell the subject, "below" when one below it."""
    events = list(events)
    trouble = list(_trouble(events))
    if not trouble:
        return None
    if any(_befell(event, subject) for event in events):
        return "own"
    return "below" if any(subject.is_above(event.path) for event in trouble) else None


def _befell(event: Happening, subject: Subject) -> bool:
    if subject.name is None:
        return True
    return (event.kind in _OWN and event.path == subject.path) or _child_of(event) == subject.path


def _child_of(event: Happening) -> str:
    """The path of the child of which a supervisor's event speaks, or ""."""
    child = event.text("child")
    return f"{event.path}/{child}" if child else ""


def _trouble(events: list[Happening]) -> Iterator[Happening]:
    """That a worker ended normally, and nothing followed from it, is none."""
    if len(events) == 1 and events[0].text("reason") == "normal":
        return
    yield from (event for event in events if event.kind in _TROUBLE)
