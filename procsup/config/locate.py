"""Where a key stands: the line of every key path of a TOML text.

tomli gives values without positions, so this scanner walks the text a second time and notes lines, nothing else. It
knows tables, arrays of tables, dotted and quoted keys, inline tables, arrays, and strings and arrays over many lines.

Laws: it is only given text that tomli has accepted, and so checks nothing; it is run only when there is something to
complain about; it does not recurse, and its cost is linear in the text (but for the length of one dotted key).

Paths are tomli's: the keys of tables as strings, the items of arrays (and of arrays of tables) as numbers from 0. The
line of a table is that of its own [header]; of one without header, of the first line that mentions it.
"""

import re

import tomli

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n,]++|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*+")
_DOT = re.compile(r"[ \t]*+\.[ \t]*+")
_EQUALS = re.compile(r"[ \t]*+=[ \t]*+")
_KEY = re.compile(
    r"""
      (?P<bare>[A-Za-z0-9_-]++)
    | '(?P<literal>[^'\n]*+)'
    | "(?P<basic>(?:[^"\\\n]++|\\.)*+)"
    """,
    re.VERBOSE,
)
_SCALAR = re.compile(  # no lookahead in a possessive group: Python before 3.11.5 does not match it
    r"""
      \"{3} (?: "{0,2} (?: [^"\\]++ | \\. ) )*+ \"{3,5}
    | '{3}  (?: '{0,2} [^']++ )*+ '{3,5}
    | \"    (?: [^"\\\n]++ | \\. )*+ \"
    | '     [^'\n]*+ '
    | [^,\]}\#\n]++
    """,
    re.VERBOSE | re.DOTALL,
)


class Lines:
    """The lines of one text. Built in one pass; `of` costs the length of the path."""

    __slots__ = ("_top",)

    def __init__(self, text: str) -> None:
        self._top = _Scanner(text.replace("\r\n", "\n")).scan()

    def of(self, path: Path) -> int:
        """The line of `path`, counted from 1; of a path that the text does not hold, the line of what holds it."""
        mark = self._top
        for key in path:
            inner = mark.inside.get(key) if mark.inside is not None else None
            if inner is None:
                break
            mark = inner
        return mark.line


class _Mark:
    """One key or item: its line, and what is inside it. `is_array_of_tables` when written as [[header]]."""

    __slots__ = ("inside", "is_array_of_tables", "line")

    def __init__(self, line: int) -> None:
        self.line = line
        self.inside: dict[str | int, _Mark] | None = None
        self.is_array_of_tables = False

    def at(self, key: str | int, line: int) -> "_Mark":
        """The mark of `key` in here, made with `line` when it is new."""
        if self.inside is None:
            self.inside = {}
        mark = self.inside.get(key)
        if mark is None:
            mark = self.inside[key] = _Mark(line)
        return mark

    def append(self, line: int) -> "_Mark":
        return self.at(len(self.inside) if self.inside is not None else 0, line)

    def last_item(self) -> "_Mark":
        assert self.inside is not None
        return self.inside[len(self.inside) - 1]


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._counted = 0  # how far the newlines have been counted into _line

    def scan(self) -> _Mark:
        top = _Mark(1)
        table = top
        self._skip(_BLANK)
        while self._position < len(self._text):
            if self._text.startswith("[[", self._position):
                table = self._header(top, is_array=True)
            elif self._text[self._position] == "[":
                table = self._header(top, is_array=False)
            else:
                mark = self._key(table)
                self._skip(_EQUALS)
                self._value(mark)
            self._skip(_BLANK)
        return top

    def _header(self, top: _Mark, *, is_array: bool) -> _Mark:
        brackets = 2 if is_array else 1
        self._position += brackets
        self._skip(_SPACE)
        mark = self._key(top, is_header=True)
        self._skip(_SPACE)
        if is_array:
            mark.is_array_of_tables = True
            mark = mark.append(self._line)
        mark.line = self._line
        self._position += brackets
        return mark

    def _key(self, table: _Mark, *, is_header: bool = False) -> _Mark:
        """Reads a dotted key; its mark, below `table`. A header goes on in the last item of an array of tables."""
        mark = table
        while True:
            mark = mark.at(self._key_part(), self._line)
            dot = _DOT.match(self._text, self._position)
            if dot is None:
                return mark
            self._position = dot.end()
            if is_header and mark.is_array_of_tables:
                mark = mark.last_item()

    def _key_part(self) -> str:
        self._count_lines()
        found = _KEY.match(self._text, self._position)
        assert found is not None
        self._position = found.end()
        if found["basic"] is not None and "\\" in found["basic"]:
            return str(tomli.loads(f"key = {found.group()}")["key"])
        return found[found.lastgroup or 0]

    def _value(self, mark: _Mark) -> None:
        """Reads a value; what is inside it is noted below `mark`."""
        around: list[tuple[_Mark, str]] = []  # the arrays and inline tables that are open, and how each closes
        while True:
            opening = self._text[self._position]
            if opening == "[":
                around.append((mark, "]"))
                self._position += 1
            elif opening == "{":
                around.append((mark, "}"))
                self._position += 1
            else:
                self._skip(_SCALAR)
            self._close(around)
            if not around:
                return
            mark = self._inner(*around[-1])

    def _close(self, around: list[tuple[_Mark, str]]) -> None:
        while around:
            self._skip(_BLANK)
            if self._text[self._position] != around[-1][1]:
                return
            self._position += 1
            around.pop()

    def _inner(self, holder: _Mark, closing: str) -> _Mark:
        self._count_lines()
        if closing == "]":
            return holder.append(self._line)
        mark = self._key(holder)
        self._skip(_EQUALS)
        return mark

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._text, self._position)
        assert found is not None
        self._position = found.end()

    def _count_lines(self) -> None:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
