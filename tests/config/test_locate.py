"""The line of every key path, against tomli: whatever tomli finds has a line, and it is the right one."""

from dataclasses import dataclass, field

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from procsup.config.locate import Lines, Path

_KEYS = st.one_of(
    st.text("abXY_-01", min_size=1, max_size=4),
    st.sampled_from(["", ".", "a.b", "a b", "#no", "=", "[x]", '"', "'", "\\", "tab\t", "new\nline", "ü", "\x7f"]),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=3),
)

_SCALARS = st.sampled_from(
    [
        "1",
        "-1_000.5e3",
        "true",
        "inf",
        "0xdead_beef",
        "1979-05-27 07:32:00",
        "1979-05-27T07:32:00-07:00",
        "07:32:00.5",
        '""',
        "''",
        '"# no comment, [no] {table} = \\" \\\\"',
        "'# no comment \\'",
        '"""one line"""',
        '""""quoted" ""\\""""',
        '"""""two quotes at the end"""""',
        "'''''two quotes at the end'''''",
        '"""\nfirst\n  second = [\n""" ',
        '"""joined \\\n\n   up"""',
        "'''\n''\n[no.table]\n'''",
    ]
)


@dataclass
class Writer:
    """A TOML text as it grows, and the line at which each path was written."""

    text: str = ""
    lines: dict[Path, int] = field(default_factory=dict)

    def write(self, text: str) -> None:
        self.text += text

    def mark(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)


def _written_key(draw: st.DrawFn, key: str) -> str:
    forms = ['"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in key) + '"']
    if key and all(c.isascii() and (c.isalnum() or c in "_-") for c in key):
        forms.append(key)
    if "'" not in key and "\n" not in key and key.isprintable():
        forms.append(f"'{key}'")
    return draw(st.sampled_from(forms))


def _value(draw: st.DrawFn, out: Writer, path: Path, depth: int) -> None:
    out.mark(path)
    kind = draw(st.sampled_from(["scalar", "scalar", "array", "inline"] if depth < 3 else ["scalar"]))
    if kind == "scalar":
        out.write(draw(_SCALARS))
    elif kind == "array":
        _array(draw, out, path, depth)
    else:
        out.write("{ ")
        for i, key in enumerate(draw(st.lists(_KEYS, unique=True, max_size=3))):
            out.write(", " if i else "")
            _pair(draw, out, (*path, key), [key], depth)
        out.write(" }")


def _array(draw: st.DrawFn, out: Writer, path: Path, depth: int) -> None:
    blank = st.sampled_from(["", " ", "\n", " # a ], comment\n\n", "\t\n "])
    out.write("[" + draw(blank))
    length = draw(st.integers(0, 3))
    for i in range(length):
        _value(draw, out, (*path, i), depth + 1)
        out.write(draw(blank))
        if i < length - 1 or draw(st.booleans()):
            out.write("," + draw(blank))
    out.write("]")


def _pair(draw: st.DrawFn, out: Writer, path: Path, keys: list[str], depth: int) -> None:
    for i in range(len(keys)):
        out.mark(path[: len(path) - len(keys) + i + 1])
    dot = draw(st.sampled_from([".", " . ", "\t."]))
    out.write(dot.join(_written_key(draw, key) for key in keys))
    out.write(draw(st.sampled_from([" = ", "=", "\t=  "])))
    _value(draw, out, path, depth + 1)


def _table(draw: st.DrawFn, out: Writer, path: Path, names: list[str], depth: int) -> None:
    """The key-value pairs of one table, then its subtables, each with a header of its own."""
    keys = draw(st.lists(_KEYS, unique=True, max_size=4))
    subtables = [key for key in keys if depth < 3 and draw(st.booleans())]
    for key in keys:
        if key not in subtables:
            tail = draw(st.lists(_KEYS, max_size=2))
            out.write(draw(st.sampled_from(["", "\n", "# [comment]\n", "   "])))
            _pair(draw, out, (*path, key, *tail), [key, *tail], 0)
            out.write(draw(st.sampled_from(["\n", " # = comment\n", "\n\n"])))
    for key in subtables:
        header = " . ".join(_written_key(draw, name) for name in [*names, key])
        if draw(st.booleans()):
            out.mark((*path, key))
            out.write(f"[ {header} ] # comment\n")
            _table(draw, out, (*path, key), [*names, key], depth + 1)
            continue
        for i in range(draw(st.integers(1, 3))):
            out.mark((*path, key))
            out.mark((*path, key, i))
            out.write(f"[[{header}]]\n")
            _table(draw, out, (*path, key, i), [*names, key], depth + 1)


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    out = Writer()
    _table(draw, out, (), [], 0)
    if draw(st.booleans()):
        out.text = out.text.rstrip("\n")
    return out


def paths_of(value: object, path: Path = ()) -> list[Path]:
    found: list[Path] = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths_of(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            found += paths_of(inner, (*path, i))
    return found


@given(documents())
def test_every_path_that_tomli_finds_has_the_line_at_which_it_was_written(document: Writer) -> None:
    assert set(paths_of(tomli.loads(document.text))) == set(document.lines)

    lines = Lines(document.text)

    assert {path: lines.of(path) for path in document.lines} == document.lines


@given(documents())
def test_line_ends_of_windows_change_no_line(document: Writer) -> None:
    lines = Lines(document.text.replace("\n", "\r\n"))

    assert {path: lines.of(path) for path in document.lines} == document.lines


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        pytest.param("[a.b]\n\n[a]\n", ("a",), 3, id="a table's own header, though a subtable stands before it"),
        pytest.param("[a.b.c]\n", ("a", "b"), 1, id="no header of its own: the first that mentions it"),
        pytest.param("\n[a]\nx = 1\n", ("a", "y", "z"), 2, id="a path that is not there: what holds it"),
        pytest.param("\n\nx = 1\n", ("y",), 1, id="nothing holds it: the beginning"),
        pytest.param("[[a]]\n[[a]]\n[a.b]\nx = 1", ("a", 1, "b", "x"), 4, id="subtable of the last item"),
        pytest.param("a = [\n  1,\n  # two\n  2,\n]", ("a", 1), 4, id="item of a long list"),
        pytest.param("a = { b = [\n1, 2,\n3] }", ("a", "b", 2), 3, id="item in an inline table"),
        pytest.param('"a\\u0062" = 1', ("ab",), 1, id="escape in a key"),
        pytest.param("", ("a",), 1, id="empty text"),
    ],
)
def test_line_of_a_path(text: str, path: Path, line: int) -> None:
    assert Lines(text).of(path) == line


def test_deeply_nested_lists_are_walked_without_recursion() -> None:
    depth = 300
    path: Path = ("a", *[0] * depth)

    assert Lines("a = " + "[\n" * depth + "]" * depth).of(path) == depth
