"""Journals for tests: of a virtual world (tests/core/world.py), or of events that are made up."""

from collections.abc import Iterable
from pathlib import Path

from procsup.cli.journal import Journal
from procsup.cli.why.answer import Answer, answer
from procsup.cli.why.facts import Step
from procsup.core.actions import Record
from procsup.runtime import journal as writer
from procsup.wire.decode import JSON
from procsup.wire.events import Event
from tests.core.world import World

BEGAN = "2026-07-28T03:12:44.000000Z"
NOW = 1785208364.0 + 60
"""A minute later."""


def write(folder: Path, *runs: Iterable[Event]) -> None:
    written = writer.Journal(str(folder), lambda errno: None, lambda lost: None)
    for events in runs:
        written.append(events)
    written.close()


def events_of(records: Iterable[Record], times: dict[int, float] | None = None) -> list[Event]:
    """`times` has the seconds of each record by its seq; else they are a tenth apart."""
    return [event_of(record, times[record.seq] if times else record.seq / 10) for record in records]


def event_of(record: Record, mono: float) -> Event:
    details: dict[str, JSON] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in record.details.items()
    }
    return Event(record.seq, BEGAN, mono, record.event, record.path, record.cause, details)


def of_world(folder: Path, world: World) -> None:
    write(folder, events_of(world.records))


def asked(folder: Path, name: str | None, is_alive: bool = False) -> Answer:
    with Journal(str(folder)) as journal:
        return answer(journal, name, {}, is_alive)


def facts(steps: Iterable[Step]) -> list[str]:
    """ "Died a", "Restarted root a", "Stopped b c" """
    return [" ".join([type(step.fact).__name__, *_names(step)]) for step in steps]


def _names(step: Step) -> list[str]:
    json = step.as_json()
    paths = [json.get("path"), json.get("supervisor"), json.get("child"), *json.get("paths", ())]
    paths += [worker["path"] for worker in json.get("workers", ())]
    return [path.rpartition("/")[2] for path in paths if path]
