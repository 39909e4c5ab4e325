"""An event as it came, from a daemon or out of a journal, asked for what it holds.

Nothing of it is certain: it may be of a daemon of another version, and its words of a worker that means harm. What is
missing, or of another type than expected, is as good as empty.
"""

import json
from collections.abc import Mapping
from datetime import datetime


class Happening:
    """`event` is the JSON object."""

    __slots__ = ("event",)

    def __init__(self, event: Mapping[str, object]) -> None:
        self.event = event

    @property
    def kind(self) -> str:
        return self.text("event")

    @property
    def path(self) -> str:
        return self.text("path")

    @property
    def seq(self) -> int:
        return self.whole("seq") or 0

    @property
    def cause(self) -> int | None:
        return self.whole("cause")

    def text(self, key: str) -> str:
        value = self.event.get(key)
        if isinstance(value, str):
            return value
        return "" if value is None else _as_json(value)

    def name(self, key: str = "path") -> str:
        return self.text(key).rpartition("/")[2] or "?"

    def number(self, key: str) -> float | None:
        value = self.event.get(key)
        try:
            return float(value) if isinstance(value, int | float) else None
        except OverflowError:
            return None

    def whole(self, key: str) -> int | None:
        value = self.event.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def seconds(self) -> float | None:
        """When it happened, since 1970."""
        try:
            return datetime.fromisoformat(self.text("time")).timestamp()
        except (ValueError, OverflowError, OSError):
            return None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.event.get(key)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()

    def all(self) -> str:
        return _as_json(dict(self.event))


def _as_json(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return "?"
