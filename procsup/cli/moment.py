"""Moments in the past, in the words of a person."""

from datetime import datetime, time, timedelta

from procsup.cli.units import seconds_from

_EXPECTED = "how long ago ('30s', '10m', '2h') or a time ('12:30', '2026-03-01 12:30', '2026-03-01T11:30Z')"


def moment_from(text: str, now: datetime) -> float:
    """Seconds since 1970. A time without a zone is local time, one without a date is the last such moment before `now`.

    Raises:
        ValueError: it is neither a length of time nor a time.
    """
    try:
        return now.timestamp() - seconds_from(text)
    except ValueError:
        pass
    try:
        return _time_of_day(text, now)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r}: expected {_EXPECTED}") from None


def _time_of_day(text: str, now: datetime) -> float:
    moment = datetime.combine(now.date(), time.fromisoformat(text))
    if moment.timestamp() > now.timestamp():
        moment -= timedelta(days=1)
    return moment.timestamp()
