"""Durations: the two ways a file may write one, and the one way we write them back.

A number is seconds; a string is a number with one unit: "250ms", "5s", "1.5s", "2m", "1h".
"""

import math
import re

YEAR = 365 * 24 * 3600.0
"""The longest duration that a file may ask for, in seconds."""

EXPECTED = "seconds as a number, or a string such as '250ms', '5s', '2m' or '1h'"

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_WRITTEN = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")


def parse_duration(value: object) -> float:
    """Seconds, between 0 and a YEAR.

    Raises:
        ValueError: the message says what is wrong with it.
    """
    seconds = _seconds(value)
    if math.isnan(seconds):
        raise ValueError("not a number is not a duration")
    if seconds < 0:
        raise ValueError("a duration cannot be negative")
    if seconds > YEAR:
        raise ValueError("longer than a year")
    return seconds


def duration_text(seconds: float) -> str:
    """As a file would write it: "5s", "250ms", "1.5s", "2m", "1h"."""
    if math.isinf(seconds):
        return "infinity"
    if 0 < seconds < 1:
        return f"{seconds * 1000:.12g}ms"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.12g}{unit}"
    return f"{seconds:.12g}s"


def _seconds(value: object) -> float:
    match value:
        case bool():
            raise ValueError("true and false are not durations")
        case int():
            return float(max(-1, min(value, 2 * int(YEAR))))  # more digits than a float can hold are a year too many
        case float():
            return value
        case str():
            return _from_text(value)
        case _:
            raise ValueError("not a duration")


def _from_text(text: str) -> float:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("not a duration")
    sign, number, unit = found.groups()
    seconds = float(number) / 1000 if unit == "ms" else float(number) * _UNITS[unit]
    return -seconds if sign == "-" else seconds
