"""Places in the files, and what was found wrong there.

A `Place` is a key path in a file, and knows how to complain about itself. The complaints of one reading gather in
`Reading`, which holds whatever lives as long as one reading and no longer: the environment, the environment files, the
words that were mistyped, and the pool that lets equal values be one object.

Law: a wrong value is complained about where it is found and then left out, so that one mistake costs one complaint and
hides no other. Lines are looked up last, and only in files that somebody complained about.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NoReturn, TypeVar

from procsup.config.complaint import Complaint
from procsup.config.locate import Lines, Path
from procsup.config.nearest import Nearest
from procsup.core.spec import NORMAL_EXITS

T = TypeVar("T")
Variables = tuple[tuple[str, str], ...]
"""Of an environment: names and values, in order of the names."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 80


class Rejected(Exception):
    """A value is wrong, and a complaint says so already."""


class Document:
    """One file: `file` as the user named it, `folder` the absolute one that holds it, `rank` its turn among all.
    `Reading.document` makes them."""

    __slots__ = ("_lines", "file", "folder", "rank", "text")

    def __init__(self, file: str, folder: str, rank: int, text: str = "") -> None:
        self.file = file
        self.folder = folder
        self.rank = rank
        self.text = text
        self._lines: Lines | None = None

    def line_of(self, path: Path) -> int | None:
        """The line of a path, None for the whole file. The first question costs a scan of the file."""
        if not path:
            return None
        if self._lines is None:
            self._lines = Lines(self.text)
        return self._lines.of(path)


@dataclass(frozen=True, slots=True)
class Place:
    document: Document
    path: Path
    reading: "Reading"
    known_line: int | None = None

    def at(self, key: str | int) -> "Place":
        return Place(self.document, (*self.path, key), self.reading)

    def on(self, line: int) -> "Place":
        """The same place, of which the line is known: in text that is not TOML, or where no key leads."""
        return Place(self.document, self.path, self.reading, line)

    @property
    def key(self) -> str:
        return str(self.path[-1])

    @property
    def line(self) -> int | None:
        return self.known_line if self.known_line is not None else self.document.line_of(self.path)

    def complain(
        self,
        problem: str,
        *,
        found: str = "",
        expected: str = "",
        hint: str = "",
        warning: bool = False,
        other: "tuple[str, Place] | None" = None,
    ) -> None:
        """Notes a complaint. `other` is a second place and what it is to the first ("the first is at")."""
        self.reading.findings.append(Finding(self, problem, found, expected, hint, warning, other))

    def reject(self, problem: str, *, found: str = "", expected: str = "", hint: str = "") -> NoReturn:
        """Complains, and raises Rejected."""
        self.complain(problem, found=found, expected=expected, hint=hint)
        raise Rejected


@dataclass(frozen=True, slots=True)
class Finding:
    """A complaint whose lines have not been looked up yet."""

    place: Place
    problem: str
    found: str
    expected: str
    hint: str
    warning: bool
    other: tuple[str, Place] | None

    def complaint(self) -> Complaint:
        problem = self.problem
        if self.other is not None:
            words, place = self.other
            problem += f"; {words} {place.document.file}:{place.line} ({path_text(place.path)})"
        file, path = self.place.document.file, path_text(self.place.path)
        return Complaint(file, self.place.line, path, problem, self.found, self.expected, self.hint, self.warning)


class Reading:
    """What lives as long as one reading of a configuration."""

    __slots__ = ("_documents", "_pool", "_vocabularies", "env_files", "environ", "findings", "privileged")

    def __init__(self, environ: Mapping[str, str], *, privileged: bool) -> None:
        self.environ = environ
        self.privileged = privileged
        self.findings: list[Finding] = []
        self.env_files: dict[str, Variables | None] = {}  # by absolute path; None: complained about already
        self._documents = 0
        self._pool: dict[object, object] = {NORMAL_EXITS: NORMAL_EXITS}
        self._vocabularies: dict[tuple[str, ...], Nearest] = {}

    def document(self, file: str, folder: str) -> Document:
        """A file, not read yet, whose complaints come after those of the ones before."""
        self._documents += 1
        return Document(file, folder, self._documents)

    def take_complaints(self) -> tuple[Complaint, ...]:
        """Errors first, then warnings, each in order of file and line. Lets go of the findings, and so of the files."""
        located = [(finding.place.document.rank, finding.complaint()) for finding in self.findings]
        self.findings.clear()
        located.sort(key=lambda pair: (pair[1].warning, pair[0], pair[1].line or 0))
        return tuple(complaint for _, complaint in located)

    def shared(self, value: T) -> T:
        """An object that is equal to `value`, the same one each time. Only for strings, tuples of them, frozensets and
        programs: for numbers, equal is not the same (1 is 1.0 is True)."""
        return self._pool.setdefault(value, value)  # type: ignore[return-value]  # the key and its value are equal

    def did_you_mean(self, word: str, words: tuple[str, ...]) -> str:
        """The hint for a word that is none of `words`; "" when none is near."""
        return self.vocabulary(words).hint(word)

    def vocabulary(self, words: tuple[str, ...]) -> Nearest:
        """Where to look for the word that was meant. For the few words of a format: costs a hash of them all."""
        found = self._vocabularies.get(words)
        if found is None:
            found = self._vocabularies[words] = Nearest(words)
        return found


def path_text(path: Path) -> str:
    """A key path as a person writes it: worker.api.command[1]; keys are quoted where TOML wants them quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{key_text(part)}" if text else key_text(part)
    return text


def key_text(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=not key.isprintable())


def shown(value: object) -> str:
    """A value of a file in a few words, however large, deep or strange it is."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if value.bit_length() < 200 else "a very large number"
        case str():
            return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")
        case dict():
            return "a table" if value else "an empty table"
        case list():
            return _shown_list(value)
        case datetime() | date() | time():
            return f"the date or time {value.isoformat()}"
        case _:
            return repr(value)


def listed(words: Iterable[str]) -> str:
    """'a', 'b' or 'c'"""
    *most, last = map(repr, words)
    return f"{', '.join(most)} or {last}" if most else last


def _shown_list(items: list[object]) -> str:
    if not items:
        return "an empty list"
    if any(isinstance(item, dict) for item in items):
        return "a list of tables"
    if len(items) > 4 or any(isinstance(item, list) for item in items):
        return f"a list of {len(items)}"
    return f"[{', '.join(map(shown, items))}]"
