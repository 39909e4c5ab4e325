"""Lengths of time and amounts of memory: from the words of a person, and into them."""

import math

from procsup.config.durations import duration_text, parse_duration


def seconds_from(text: str) -> float:
    """Seconds from "2.5", or from "250ms", "5s", "2m" or "1h" as in a tree file.

    Raises:
        ValueError: it is none of these, or not above 0.
    """
    try:
        value: object = float(text)
    except ValueError:
        value = text
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; expected seconds, or a number with ms, s, m or h") from None
    if seconds == 0:
        raise ValueError(f"{text!r}: expected a time above 0")
    return seconds


def about(seconds: float) -> str:
    """How long something took, in two digits or two units: <1ms, 12ms, 0.3s, 42s, 3m12s, 5h03m, 3d04h."""
    if not math.isfinite(seconds):
        return "?"
    seconds = max(0.0, seconds)
    if seconds < 0.0005:
        return "<1ms"
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def exactly(seconds: float) -> str:
    """A configured time as one would write it in the tree file: 250ms, 5s, 2m."""
    return duration_text(seconds) if math.isfinite(seconds) else "?"


def memory(size: float) -> str:
    """Bytes with 1024 to the next unit: 312KB, 12.3MB, 1.5GB."""
    amount = size / 1024
    for unit in ("KB", "MB"):
        if amount < 999.5:
            return f"{amount:.0f}{unit}" if unit == "KB" else f"{amount:.1f}{unit}"
        amount /= 1024
    return f"{amount:.1f}GB"
