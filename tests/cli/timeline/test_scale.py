"""The scale: in order, within its room, and so that what matters can be seen."""

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from procsup.cli.timeline.scale import Scale, scale_of

LEFT, RIGHT = 200.0, 1200.0


def scale(*times: float, lives: tuple[tuple[float, float], ...] = ()) -> Scale:
    return scale_of(times, lives, LEFT, RIGHT)


@given(some.lists(some.floats(0, 1e9), min_size=1, max_size=50), some.data())
def test_time_goes_from_left_to_right_and_stays_in_the_room(times: list[float], data: some.DataObject) -> None:
    ordered = sorted(times)
    lives = data.draw(some.lists(some.tuples(some.sampled_from(ordered), some.sampled_from(ordered)).map(sorted)))
    found = scale_of(times, [(life[0], life[1]) for life in lives], LEFT, RIGHT)
    places = [found.x(time) for time in ordered]
    assert places == sorted(places)
    assert LEFT - 0.001 <= places[0] <= places[-1] <= RIGHT + 0.001
    assert all(LEFT - 0.001 <= tick.x <= RIGHT + 0.001 for tick in found.ticks())


def test_hours_of_quiet_before_a_burst_are_cut_out() -> None:
    burst = [7200 + number / 10 for number in range(10)]
    found = scale(0.0, *burst, lives=tuple(pairwise(burst)))
    assert [(one.begin, one.end) for one in found.breaks] == [(0.0, 7200.0)]
    assert found.x(7200.9) - found.x(7200.0) > 800


def test_what_can_be_seen_without_is_not_cut() -> None:
    assert scale(0.0, 60.0, 70.0, lives=((0.0, 60.0), (60.0, 70.0))).breaks == ()


def test_a_storm_that_lasts_is_not_cut() -> None:
    storm = [float(number) for number in range(1000)]
    assert scale(*storm, lives=tuple(pairwise(storm))).breaks == ()


def test_what_happens_in_one_millisecond_has_an_order() -> None:
    found = scale(0.0, 1.0, 1.0001, 1.0002, 60.0)
    assert found.x(1.0001) - found.x(1.0) >= 5
    assert found.x(1.0002) - found.x(1.0001) >= 5


@pytest.mark.usefixtures("local_time_is_utc")
@pytest.mark.parametrize(
    ("length", "labels"),
    [
        (0.01, ["00:00:00.000", "00:00:00.001"]),
        (1.0, ["00:00:00.0", "00:00:00.1"]),
        (90.0, ["00:00:00", "00:00:10"]),
        (3600.0 * 8, ["01-01 00:00", "01-01 01:00"]),
        (86400.0 * 30, ["2026-01-02", "2026-01-07"]),
    ],
)
def test_ticks_are_at_round_times(length: float, labels: list[str]) -> None:
    began = datetime.fromisoformat("2026-01-01T00:00Z").timestamp()
    assert [tick.label for tick in scale(began, began + length).ticks()][:2] == labels


def test_a_single_moment_has_a_place_and_a_time() -> None:
    found = scale(7.0)
    assert LEFT <= found.x(7.0) <= RIGHT
    assert len(list(found.ticks())) == 1
