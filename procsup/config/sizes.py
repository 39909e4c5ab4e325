"""Sizes: the two ways a file may write one.

A number is bytes; a string is a number with one unit: of 1,000 ("64KB", "10MB", "1.5GB") or of 1,024 ("64KiB", "10MiB",
"1GiB"). A size is a whole number of bytes, and reckoned without rounding.
"""

import re

LARGEST = 2**63 - 1
"""Bytes: the largest whole number of TOML."""

EXPECTED = "bytes as a whole number, or a string such as '64KB', '10MB' or '1GiB'"

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_WRITTEN = re.compile(r"([+-]?)0*([0-9]+)(?:\.([0-9]+))?([KMG]i?B)")
_ALMOST_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgKMG])[iI]?[bB]?")
_MOST_DIGITS = 40  # int() takes no more than 4,300, and quadratic time for many


def parse_size(value: object) -> int:
    """Bytes, between 0 and LARGEST.

    Raises:
        ValueError: the message says what is wrong with it.
    """
    size = _bytes(value)
    if size < 0:
        raise ValueError("a size cannot be negative")
    if size > LARGEST:
        raise ValueError("too large a size")
    return size


def size_hint(text: str) -> str:
    """What to write instead of a text that is no size, "" where that is not clear."""
    if re.fullmatch("[0-9]+", text):
        return f"write {text} without quotes"
    almost = _ALMOST_WRITTEN.fullmatch(text)
    if almost is None:
        return ""
    number, unit = almost[1], almost[2].upper()
    return f"write '{number}{unit}B' for units of 1,000, '{number}{unit}iB' for units of 1,024"


def _bytes(value: object) -> int:
    match value:
        case bool():
            raise ValueError("true and false are not sizes")
        case int():
            return value
        case float():
            raise ValueError("a size is a whole number of bytes")
        case str():
            return _from_text(value)
        case _:
            raise ValueError("not a size")


def _from_text(text: str) -> int:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("not a size")
    sign, whole, fraction, unit = found.groups(default="")
    fraction = fraction.rstrip("0")
    if len(whole) > _MOST_DIGITS:
        return LARGEST + 1
    if len(fraction) > _MOST_DIGITS:
        raise ValueError("a size is a whole number of bytes")
    parts: int = 10 ** len(fraction)
    size, rest = divmod(int(whole + fraction) * _UNITS[unit], parts)
    if rest:
        raise ValueError("a size is a whole number of bytes")
    return -size if sign == "-" else size
