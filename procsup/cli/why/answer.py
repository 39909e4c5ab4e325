"""The answer to why: what the journal and, where a daemon runs, its status say of the subject, as one value."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from procsup.cli.answers import Row
from procsup.cli.happening import Happening
from procsup.cli.journal import Journal
from procsup.cli.why.facts import Step, steps_of
from procsup.cli.why.inquiry import Inquiry, Subject
from procsup.cli.why.standing import Memory, Standing, of_living, of_remembered


@dataclass(frozen=True, slots=True)
class End:
    """Of the daemon. `status` is None when it ended without a word; then `time` is that of its last event. `by` is who
    asked it to stop, as in `stopping`, or "".
    """

    time: str
    status: int | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`path` is None when nobody was asked after, and then `standing` is too. `end` is of the daemon, and None while it
    runs. `steps` tell the last failure and are empty when there is none; `first` is the seq of what led to it.
    `is_of_earlier_run` when it befell an earlier daemon, `is_cut` when its beginning is not in the journal any more.
    `oldest` is the time of the oldest event that was looked at.
    """

    path: str | None
    standing: Standing | None
    end: End | None
    steps: tuple[Step, ...]
    first: int
    is_of_earlier_run: bool
    is_cut: bool
    oldest: str
    damaged: int
    missing: int

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "standing": None if self.standing is None else asdict(self.standing),
            "daemon": None if self.end is None else asdict(self.end),
            "chain": [step.as_json() for step in self.steps],
            "first": self.first if self.steps else None,
            "is_of_earlier_run": self.is_of_earlier_run,
            "is_cut": self.is_cut,
            "damaged_lines": self.damaged,
            "missing_events": self.missing,
        }


class NobodyOfThatName(Exception):
    """`known` are the names that there are."""

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__()
        self.known = tuple(known)


def answer(journal: Journal, name: str | None, rows: Mapping[str, Row], is_alive: bool) -> Answer:
    """Why it is not running, or failed last. `rows` are those of `status`, by path, of a daemon that answers;
    `is_alive`: the daemon whose journal it is runs.

    Raises:
        NobodyOfThatName: neither the tree nor the journal knows it.
        CannotDo: the journal cannot be read.
    """
    subject = Subject(name, _path_in_tree(name, rows))
    inquiry, memory = Inquiry(subject), Memory(subject)
    oldest: Happening | None = None
    for entry in journal.backwards():
        inquiry.take(entry.event, entry.run)
        memory.take(entry.event, entry.run)
        oldest = entry.event
        if inquiry.is_over:
            break
    inquiry.end()
    if name is not None and subject.path is None:
        raise NobodyOfThatName({*subject.met, *(path.rpartition("/")[2] for path in rows)})
    story = inquiry.story
    return Answer(
        path=subject.path,
        standing=_standing(subject.path, rows, memory),
        end=None if is_alive else _end(memory),
        steps=steps_of(story.events) if story is not None else (),
        first=story.first if story is not None else 0,
        is_of_earlier_run=story is not None and story.run > 0,
        is_cut=story is not None and story.is_cut,
        oldest=oldest.text("time") if oldest is not None else "",
        damaged=journal.damaged,
        missing=journal.missing,
    )


def _path_in_tree(name: str | None, rows: Mapping[str, Row]) -> str | None:
    if name is None:
        return None
    return next((path for path in rows if f"/{path}".endswith(f"/{name}")), None)


def _standing(path: str | None, rows: Mapping[str, Row], memory: Memory) -> Standing | None:
    if path is None:
        return None
    return of_living(path, rows, memory) if path in rows else of_remembered(memory)


def _end(memory: Memory) -> End:
    by = memory.asked.text("by") if memory.asked is not None else ""
    if memory.end is not None:
        return End(memory.end.text("time"), memory.end.whole("status"), memory.end.text("reason"), by)
    return End(memory.newest.text("time") if memory.newest is not None else "", None, "", by)
