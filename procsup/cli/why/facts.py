"""The facts of a story, in order, as values: what a person wants to know of its events, and nothing else.

Starts are left out, but for those that made a child come up again; what is asked to stop and does is one fact with all
that were stopped for the same reason. Events that are not known here, of a newer daemon, are passed on as they are.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from procsup.cli.happening import Happening


@dataclass(frozen=True, slots=True)
class Died:
    """A worker ended by itself. `uptime` in seconds, or None; `tail` its last lines of output."""

    path: str
    reason: str
    uptime: float | None
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CouldNotStart:
    """`type` is "worker" or "supervisor"; a worker has a command. `waited_for`: in vain, until its time was over."""

    path: str
    type: str
    reason: str
    command: tuple[str, ...]
    tail: tuple[str, ...]
    waited_for: str = ""


@dataclass(frozen=True, slots=True)
class Restarted:
    """`used` of `intensity` restarts within `period` seconds, this one included; `others` are names that went along."""

    supervisor: str
    child: str
    used: int
    intensity: int
    period: float
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """As in Restarted; `used` is one more than `intensity`, for the restart that was not granted."""

    supervisor: str
    child: str
    used: int
    intensity: int
    period: float


@dataclass(frozen=True, slots=True)
class Stop:
    """`took` in seconds, None when it is not over; `how` is "shutdown", "killed" or "brutal_kill", or ""."""

    path: str
    how: str
    took: float | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """Workers that were stopped for what stands before, in the order in which they were down."""

    workers: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class LinkFired:
    """`peer`, a name, was linked with it and ended so; if it was not `trapped`, it was stopped for that."""

    path: str
    peer: str
    reason: str
    trapped: bool


@dataclass(frozen=True, slots=True)
class WentDown:
    """A supervisor is down, by itself."""

    supervisor: str
    reason: str


@dataclass(frozen=True, slots=True)
class LeftDown:
    """A supervisor learned that a child supervisor gave up, and restarts it not: `verdict` is "leave" or "remove"."""

    supervisor: str
    child: str
    verdict: str


@dataclass(frozen=True, slots=True)
class ShutItselfDown:
    """With its significant child."""

    supervisor: str
    child: str


@dataclass(frozen=True, slots=True)
class Removed:
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class CameBack:
    """These workers were up again."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DaemonEnded:
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The file was read once more, which led to what follows: `by` as in the event."""

    by: str


@dataclass(frozen=True, slots=True)
class Other:
    """An event that has no words here."""

    path: str
    event: str
    text: str


Fact = (
    Died | CouldNotStart | Restarted | GaveUp | Stopped | WentDown | LeftDown | ShutItselfDown | Removed | CameBack
    | LinkFired | Reloaded | DaemonEnded | Other
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """`seq` and `time` are those of the event, or of the first of several; `offset` is in seconds since the first step,
    or None where the journal does not say.
    """

    seq: int
    time: str
    offset: float | None
    fact: Fact

    def as_json(self) -> dict[str, Any]:
        fact = asdict(self.fact)
        return {"seq": self.seq, "time": self.time, "offset": self.offset, "fact": _name_of(self.fact), **fact}


def steps_of(events: Iterable[Happening]) -> tuple[Step, ...]:
    """Of events in order, of one run."""
    reader = _Reader()
    for event in events:
        reader.take(event)
    return reader.steps()


class _Reader:
    def __init__(self) -> None:
        self._steps: list[tuple[Happening, Fact]] = []
        self._asked: dict[str, float | None] = {}
        self._stopping: dict[str, Stop] = {}
        self._struck: set[str] = set()
        self._stopped_since: Happening | None = None
        self._back: list[str] = []
        self._back_since: Happening | None = None

    def take(self, event: Happening) -> None:
        match event.kind:
            case "stopping" if event.path in self._struck:
                pass  # the link that fired says so
            case "stopping" if event.text("type") != "supervisor":
                self._flush_back()
                self._stopped_since = self._stopped_since or event
                self._asked[event.path] = event.number("mono")
                self._stopping[event.path] = Stop(event.path, "", None)
            case "stopped" if event.text("type") != "supervisor":
                self._stopped(event)
            case "exited" if event.text("reason").startswith("linked "):
                pass  # likewise
            case "starting":
                self._struck.discard(event.path)
            case "ready" if event.text("type") != "supervisor":
                self._flush_stops(of=event.path)
                self._back_since = self._back_since or event
                self._back.append(event.path)
            case "started" | "ready" | "stopping" | "stopped" | "daemon_started" | "child_added":
                pass
            case _:
                if event.kind == "start_failed":
                    self._forget_stop(event.path)
                fact = _fact(event)
                if isinstance(fact, LinkFired) and not fact.trapped:
                    self._struck.add(event.path)
                if fact is not None:
                    self._flush_stops()
                    self._flush_back()
                    self._steps.append((event, fact))

    def steps(self) -> tuple[Step, ...]:
        self._flush_stops()
        self._flush_back()
        steps = sorted(self._steps, key=lambda step: step[0].seq)
        first = next((when for event, _ in steps if (when := event.number("mono")) is not None), None)
        return tuple(Step(event.seq, event.text("time"), _offset(event, first), fact) for event, fact in steps)

    def _stopped(self, event: Happening) -> None:
        begin, end = self._asked.pop(event.path, None), event.number("mono")
        took = end - begin if begin is not None and end is not None else None
        self._stopping.pop(event.path, None)  # so that it comes after those that were down before it
        self._stopping[event.path] = Stop(event.path, event.text("how"), took)
        self._stopped_since = self._stopped_since or event

    def _forget_stop(self, path: str) -> None:
        """It was stopped because it was not ready in time: that is how its start failed, and nothing else."""
        self._asked.pop(path, None)
        self._stopping.pop(path, None)
        if not self._stopping:
            self._stopped_since = None

    def _flush_stops(self, of: str | None = None) -> None:
        """Tell of those who were stopped; with `of` only if that one is among them."""
        if self._stopped_since is None or (of is not None and of not in self._stopping):
            return
        self._steps.append((self._stopped_since, Stopped(tuple(self._stopping.values()))))
        self._stopping, self._stopped_since = {}, None

    def _flush_back(self) -> None:
        if self._back_since is not None:
            self._steps.append((self._back_since, CameBack(tuple(dict.fromkeys(self._back)))))
            self._back, self._back_since = [], None


def _fact(event: Happening) -> Fact | None:
    path, child, reason = event.path, event.name("child"), event.text("reason")
    match event.kind:
        case "exited" if event.text("type") == "supervisor":
            return WentDown(path, reason)
        case "exited":
            return Died(path, reason, event.number("uptime"), event.texts("tail"))
        case "start_failed":
            facts = event.texts("command"), event.texts("tail"), event.text("waited_for")
            return CouldNotStart(path, event.text("type"), reason, *facts)
        case "restarting":
            others = tuple(name for other in event.texts("group") if (name := other.rpartition("/")[2]) != child)
            return Restarted(path, child, *_budget(event), others)
        case "gave_up":
            return GaveUp(path, child, *_budget(event))
        case "escalated":
            verdict = event.text("verdict")
            return None if verdict == "restart" else LeftDown(path, child, verdict)
        case "auto_shutdown":
            return ShutItselfDown(path, child)
        case "reloaded":
            return Reloaded(event.text("by"))
        case "link_fired":
            return LinkFired(path, event.name("peer"), reason, event.text("trapped") == "true")
        case "child_removed":
            return Removed(path, event.text("why"))
        case "daemon_stopped":
            return DaemonEnded(event.whole("status") or 0, reason)
        case kind:
            return Other(path, kind, event.all())


def _budget(event: Happening) -> tuple[int, int, float]:
    return event.whole("used") or 0, event.whole("intensity") or 0, event.number("period") or 0.0


def _offset(event: Happening, first: float | None) -> float | None:
    when = event.number("mono")
    return None if when is None or first is None else round(max(0.0, when - first), 6)


def _name_of(fact: Fact) -> str:
    """ "CouldNotStart" → "could_not_start" """
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(fact).__name__)[1:]
