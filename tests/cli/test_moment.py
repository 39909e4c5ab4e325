"""--since: a length of time, a time of day, or a date."""

from datetime import UTC, datetime

import pytest

from procsup.cli.moment import moment_from

NOW = datetime(2026, 3, 1, 12, 30, 0)
"""Local time, wherever the test runs."""


def test_length_of_time_is_reckoned_from_now() -> None:
    assert moment_from("10m", NOW) == NOW.timestamp() - 600
    assert moment_from("90", NOW) == NOW.timestamp() - 90
    assert moment_from("500ms", NOW) == NOW.timestamp() - 0.5


def test_time_of_day_is_the_last_one() -> None:
    assert moment_from("12:00", NOW) == datetime(2026, 3, 1, 12).timestamp()
    assert moment_from("12:29:59.5", NOW) == NOW.timestamp() - 0.5
    assert moment_from("13:00", NOW) == datetime(2026, 2, 28, 13).timestamp()


def test_date_without_a_zone_is_local() -> None:
    assert moment_from("2026-02-28", NOW) == datetime(2026, 2, 28).timestamp()
    assert moment_from("2026-02-28 23:10", NOW) == datetime(2026, 2, 28, 23, 10).timestamp()


def test_zone_counts_where_there_is_one() -> None:
    noon = datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()
    assert moment_from("2026-02-28T12:00Z", NOW) == noon
    assert moment_from("2026-02-28T12:00:00.000Z", NOW) == noon
    assert moment_from("2026-02-28T14:00+02:00", NOW) == noon


@pytest.mark.parametrize("text", ["", "yesterday", "-5m", "0", "25:00", "2026-13-01"])
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected how long ago"):
        moment_from(text, NOW)
