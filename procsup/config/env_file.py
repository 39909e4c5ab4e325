r"""Environment files: NAME=VALUE, one a line, as systemd's EnvironmentFile= understands them (systemd.exec(5)).

* Blank lines, and lines that begin with # or ;, are nothing. A # further on in a line is part of the value.
* Blanks around the name and around the value are not part of them.
* 'in single quotes' everything is literal, line ends too; "in double quotes" a \ takes the meaning of " \ $ and `,
  joins two lines, and else is literal; without quotes it takes the meaning of any character, and joins two lines.
* Quotes are quotes where a value begins and right behind others; after other text they are literal.
* Nothing is substituted. Of a name that is there twice, the last value counts.

Unlike systemd: an `export` before a name is passed over; a line without =, a name that can be none and a quotation that
does not end are errors, where systemd is silent; what looks like a comment behind a value is warned of; a line may end
as in Windows.

Values may be secrets, so no complaint shows any, nor a line that may be part of one.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from procsup.config.content import Unreadable, read_text
from procsup.config.place import Place, Rejected, Variables
from procsup.config.values import each, path, variable

_LARGEST = 1024 * 1024  # bytes

_BETWEEN = re.compile(r"(?:[ \t\r\n]++|[#;][^\n]*+)*+")
_NAME = re.compile(r"(?:export[ \t]+(?![ \t=]))?(?P<name>[^=\n]*+)(?P<equals>=?)")
_NO_NAME = re.compile(r"""\A\Z|[\s'"]""")
_PIECE = re.compile(
    r"""[ \t\r]*+
    (?: '(?P<single>[^']*+)'
      | "(?P<double>(?:[^"\\]++|\\.)*+)"
      | (?P<unclosed>['"])
      | (?P<bare>(?:[^\\\n]++|\\.|\\\Z)++)
    )?+""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED_IN_QUOTES = re.compile(r'\\(?:(["\\$`])|\n)')
_ESCAPED = re.compile(r"\\(?:\n|(.)|\Z)", re.DOTALL)
_LIKE_A_COMMENT = re.compile(r"(?:\A|[ \t])#")


@dataclass(frozen=True, slots=True)
class Assignment:
    """`line` counts from 1; `bare` is what of the value is not in quotes, as it is written."""

    line: int
    name: str
    value: str
    bare: str


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    problem: str
    expected: str = ""
    hint: str = ""


def env_files(place: Place, value: object) -> Variables:
    """The variables of a file, or of a list of files, of which the later ones win."""
    if isinstance(value, list):
        return merged(each(place, value, _env_file, "paths, or one path"))
    return _env_file(place, value)


def merged(environments: Iterable[Variables]) -> Variables:
    """All variables, in order of their names; of one name, the last value."""
    variables = {name: value for environment in environments for name, value in environment}
    return tuple(sorted(variables.items()))


def assignments(text: str) -> Iterator[Assignment | Fault]:
    """What the text of an environment file says, in its order. Linear in its length."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._counted = 0  # how far the newlines have been counted into _line

    def scan(self) -> Iterator[Assignment | Fault]:
        self._take(_BETWEEN)
        while self._position < len(self._text):
            yield self._assignment()
            self._take(_BETWEEN)

    def _assignment(self) -> Assignment | Fault:
        self._count_lines()
        found = self._take(_NAME)
        name = found["name"].rstrip(" \t\r")
        if not found["equals"]:
            hint = "a comment begins with '#'; a value of several lines is written in quotes"
            return Fault(self._line, "no assignment", "NAME=VALUE", hint)
        pieces: list[str] = []
        bare = ""
        while (kind := (piece := self._take(_PIECE)).lastgroup) is not None:
            match kind:
                case "single":
                    pieces.append(piece[kind])
                case "double":
                    pieces.append(_ESCAPED_IN_QUOTES.sub(_meant, piece[kind]))
                case "bare":
                    bare = _without_blanks_behind(piece[kind])
                    pieces.append(_ESCAPED.sub(_meant, bare))
                case _:
                    self._position = len(self._text)  # what is inside of it, nobody knows
                    return Fault(self._line, "a quotation that does not end", "the same quote again behind the value")
        value = "".join(pieces)
        if "\0" in name + value:
            return Fault(self._line, "holds a NUL character", "text without NUL")
        if _NO_NAME.search(name):
            return Fault(self._line, "no name for a variable", "a name that is not empty, without blanks and quotes")
        return Assignment(self._line, name, value, bare)

    def _take(self, what: re.Pattern[str]) -> re.Match[str]:
        found = what.match(self._text, self._position)
        assert found is not None
        self._position = found.end()
        return found

    def _count_lines(self) -> None:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position


def _without_blanks_behind(text: str) -> str:
    """The last blank stays when a backslash escapes it."""
    bare = text.rstrip(" \t\r")
    backslashes = len(bare) - len(bare.rstrip("\\"))
    return text[: len(bare) + backslashes % 2]


def _meant(escaped: re.Match[str]) -> str:
    return escaped[1] or ""


def _env_file(place: Place, value: object) -> Variables:
    """The variables of one file, which is read once however many workers name it."""
    file = path(place, value)
    known = place.reading.env_files
    if file not in known:
        known[file] = _read(place, file)
    variables = known[file]
    if variables is None:
        raise Rejected
    return variables


def _read(place: Place, file: str) -> Variables | None:
    """None after complaints about what the file holds.

    Raises:
        Rejected: it cannot be read, which is complained about where it is named.
    """
    inside = file.removeprefix(f"{place.document.folder}/")
    named = os.path.join(os.path.dirname(place.document.file), inside)
    whole = Place(place.reading.document(named, os.path.dirname(file)), (), place.reading)
    try:
        return _variables(whole, read_text(whole, _LARGEST))
    except Unreadable as error:
        problem = f"cannot read the environment file {named!r}: {error}"
        place.reject(problem, found=error.found, expected=error.expected)
    except Rejected:
        return None


def _variables(whole: Place, text: str) -> Variables | None:
    variables: dict[str, str] = {}
    is_right = True
    for item in assignments(text):
        try:
            name, value = _variable(whole.on(item.line), item)
        except Rejected:
            is_right = False
        else:
            variables[name] = value
    return tuple(sorted(variables.items())) if is_right else None


def _variable(line: Place, item: Assignment | Fault) -> tuple[str, str]:
    if isinstance(item, Fault):
        line.reject(item.problem, expected=item.expected, hint=item.hint)
    place = line.at(item.name).on(item.line)
    if _LIKE_A_COMMENT.search(item.bare):
        place.complain(
            "what looks like a comment is part of the value",
            expected="comments on lines of their own",
            hint="a value that holds a '#' is clearer in quotes",
            warning=True,
        )
    return variable(place, item.name), item.value
