"""Charts for tests, of journals that are made up."""

from collections.abc import Iterable

from procsup.cli.happening import Happening
from procsup.cli.timeline.chart import Chart, Lane, chart_of
from tests.cli.why.journals import events_of
from tests.core.world import World

BEGAN = 1785208364.0


def happenings(*events: tuple[float, str, str] | tuple[float, str, str, dict[str, object]]) -> list[Happening]:
    """(seconds, event, path, what else it carries); each is the next seq, and a worker's if nothing else is said."""
    return [
        Happening({"seq": number, "time": "2026-07-28T03:12:44.000000Z", "mono": event[0], "event": event[1],
                   "path": event[2], "cause": None, "type": "worker", **(event[3] if len(event) == 4 else {})})
        for number, event in enumerate(events, 1)
    ]  # fmt: skip


def chart(events: Iterable[Happening], since: float | None = None, is_alive: bool = False) -> Chart:
    return chart_of(events, since, BEGAN + 100, is_alive, {})


def chart_of_world(world: World) -> Chart:
    return chart(Happening(event.as_json()) for event in events_of(world.records))


def lane(chart: Chart, name: str) -> Lane:
    return next(lane for lane in chart.lanes if lane.path.endswith(name))


def kinds(lane: Lane) -> list[str]:
    return [mark.kind for mark in lane.marks]
