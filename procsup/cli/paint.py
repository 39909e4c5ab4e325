"""Colours: what they mean, and whether there are any."""

import os
from collections.abc import Callable
from typing import Literal, TextIO

Meaning = Literal["good", "attention", "bad", "aside"]

Paint = Callable[[Meaning | None, str], str]

_CODES: dict[Meaning, str] = {"good": "32", "attention": "33", "bad": "1;31", "aside": "2"}


def plain(meaning: Meaning | None, text: str) -> str:
    return text


def coloured(meaning: Meaning | None, text: str) -> str:
    return text if meaning is None or not text else f"\x1b[{_CODES[meaning]}m{text}\x1b[0m"


def paint_for(stream: TextIO | None) -> Paint:
    """Colours on a terminal that has them, unless the person declined (https://no-color.org)."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return plain
    return coloured if stream.isatty() else plain
