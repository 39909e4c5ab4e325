"""Colours: what they mean, and whether there are any."""

import os
from collections.abc import Callable
from typing import Literal, TextIO

Meaning = Literal["good", "attention", "bad", "aside"]

Paint = Callable[[Meaning | None, str], str]

_CODES: dict[Meaning, str] = {"good": "32", "attention": "33", "bad": "1;31", "aside": "2"}


_TINTS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
"""To tell names apart; red means something else."""


def plain(meaning: Meaning | None, text: str) -> str:
    return text


def coloured(meaning: Meaning | None, text: str) -> str:
    return text if meaning is None or not text else f"\x1b[{_CODES[meaning]}m{text}\x1b[0m"


def paint_for(stream: TextIO | None) -> Paint:
    """Colours on a terminal that has them, unless the person declined (https://no-color.org)."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return plain
    return coloured if stream.isatty() else plain


class Tints:
    """A colour for each name, in the order in which they come; none where `paint` has none."""

    def __init__(self, paint: Paint) -> None:
        self._has_colours = paint is not plain
        self._codes: dict[str, str] = {}

    def paint(self, name: str, text: str) -> str:
        if not self._has_colours:
            return text
        code = self._codes.setdefault(name, _TINTS[len(self._codes) % len(_TINTS)])
        return f"\x1b[{code}m{text}\x1b[0m"
