"""The lines of a drawn tree: what stands before each name."""

from collections.abc import Sequence
from typing import NamedTuple


class Lines(NamedTuple):
    """The four strokes, all of one width."""

    more: str
    last: str
    past: str
    nothing: str


BOXES = Lines("├─ ", "└─ ", "│  ", "   ")
ASCII = Lines("|- ", "`- ", "|  ", "   ")


def branches(paths: Sequence[str], lines: Lines) -> list[str]:
    """What to draw before each of `paths`, which are in tree order. One whose parent is not among them is drawn as a
    root."""
    known = set(paths)
    parents = [_parent(path, known) for path in paths]
    drawn: list[str] = []
    below: dict[str, str] = {}
    for path, parent, is_last in zip(paths, parents, _are_last(parents), strict=True):
        if parent is None:
            drawn.append("")
            below[path] = ""
        else:
            before = below.get(parent, "")
            drawn.append(before + (lines.last if is_last else lines.more))
            below[path] = before + (lines.nothing if is_last else lines.past)
    return drawn


def _parent(path: str, known: set[str]) -> str | None:
    parent = path.rpartition("/")[0]
    return parent if parent in known else None


def _are_last(parents: Sequence[str | None]) -> list[bool]:
    """Of each child, whether no later one has the same parent."""
    seen: set[str | None] = set()
    last: list[bool] = []
    for parent in reversed(parents):
        last.append(parent not in seen)
        seen.add(parent)
    return last[::-1]
