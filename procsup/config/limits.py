"""The table `limits` of a worker: one row for each resource of setrlimit(2), with the unit of its numbers.

    limits = { nofile = 4096, core = "unlimited", as = "2GB", cpu = "1h", nproc = { soft = 100, hard = 200 } }

One value is both limits, soft and hard, as with `ulimit` in a shell. In a table, the one that is not written stays what
the daemon has. A number means what it means to setrlimit(2): bytes, seconds, a count; of rttime, microseconds.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from procsup.config.durations import parse_duration
from procsup.config.place import Place, Rejected, shown
from procsup.config.sizes import EXPECTED as EXPECTED_SIZE
from procsup.config.sizes import parse_size, size_hint
from procsup.config.table import Keys, read_table
from procsup.config.values import Reader, text
from procsup.core.spec import Limit, LimitValue

_UNLIMITED = "unlimited"


def limits(place: Place, value: object) -> tuple[tuple[str, Limit], ...]:
    """Limits by resource, in order of their names."""
    if not isinstance(value, dict):
        place.reject("not a table", found=shown(value), expected="a table of limits, { nofile = 1024 }")
    row = read_table(place, value, _RESOURCES)
    if row.wrong:
        raise Rejected
    return tuple(sorted(row.values.items()))  # type: ignore[arg-type]  # each row of _RESOURCES reads a Limit


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a limit is counted in. `parse` raises ValueError, whose message says what is wrong."""

    parse: Callable[[object], int]
    expected: str


def _limit_in(unit: _Unit) -> Reader[Limit]:
    read_bound = _bound_in(unit)
    keys: Keys = {"soft": read_bound, "hard": read_bound}

    def read(place: Place, value: object) -> Limit:
        if not isinstance(value, dict):
            both = read_bound(place, value)
            return both, both
        row = read_table(place, value, keys)
        if row.wrong:
            raise Rejected
        if not row.values:
            place.reject("neither soft nor hard", found=shown(value), expected="soft, hard, or both")
        soft: LimitValue = row.values.get("soft", "unchanged")  # type: ignore[assignment]  # as its row in `keys` reads
        hard: LimitValue = row.values.get("hard", "unchanged")  # type: ignore[assignment]  # as its row in `keys` reads
        if _is_above(soft, hard):
            found = f"soft {_UNLIMITED if soft is None else soft}, hard {hard}"
            place.reject("the soft limit is above the hard one", found=found, expected="soft at most hard")
        return soft, hard

    return read


def _bound_in(unit: _Unit) -> Reader[int | None]:
    def read(place: Place, value: object) -> int | None:
        written = text(place, value) if isinstance(value, str) else value
        if written == _UNLIMITED:
            return None
        try:
            return unit.parse(written)
        except ValueError as error:
            expected = f"{unit.expected}, or {_UNLIMITED!r}"
            place.reject(str(error), found=shown(written), expected=expected, hint=_hint(place, written, unit))

    return read


def _hint(place: Place, written: object, unit: _Unit) -> str:
    if not isinstance(written, str):
        return f"write {_UNLIMITED!r} for no limit" if written == -1 or written == math.inf else ""
    if re.fullmatch("[0-9]+", written):
        return f"write {written} without quotes"
    return (size_hint(written) if unit is _BYTES else "") or place.reading.did_you_mean(written, (_UNLIMITED,))


def _is_above(soft: LimitValue, hard: LimitValue) -> bool:
    if soft == "unchanged" or hard == "unchanged" or hard is None:
        return False
    return soft is None or soft > hard


def _parse_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a whole number")
    if value < 0:
        raise ValueError("a negative number")
    if value >= 2**63:
        raise ValueError("too large a number")
    return value


def _parse_time_in(fraction: int, name: str) -> Callable[[object], int]:
    """A parser of times in so many parts of a second."""

    def parse(value: object) -> int:
        if not isinstance(value, str):
            return _parse_count(value)
        time = parse_duration(value) * fraction
        if not math.isclose(time, round(time), rel_tol=1e-9):
            raise ValueError(f"not a whole number of {name}")
        return round(time)

    return parse


_COUNT = _Unit(_parse_count, "a whole number, 0 or more")
_BYTES = _Unit(parse_size, EXPECTED_SIZE)
_SECONDS = _Unit(_parse_time_in(1, "seconds"), "seconds as a whole number, or a string such as '30s', '2m' or '1h'")
_MICROSECONDS = _Unit(
    _parse_time_in(1_000_000, "microseconds"), "microseconds as a whole number, or a string such as '200ms' or '1s'"
)

_RESOURCES: Keys = {
    "as": _limit_in(_BYTES),
    "core": _limit_in(_BYTES),
    "cpu": _limit_in(_SECONDS),
    "data": _limit_in(_BYTES),
    "fsize": _limit_in(_BYTES),
    "locks": _limit_in(_COUNT),
    "memlock": _limit_in(_BYTES),
    "msgqueue": _limit_in(_BYTES),
    "nice": _limit_in(_COUNT),
    "nofile": _limit_in(_COUNT),
    "nproc": _limit_in(_COUNT),
    "rss": _limit_in(_BYTES),
    "rtprio": _limit_in(_COUNT),
    "rttime": _limit_in(_MICROSECONDS),
    "sigpending": _limit_in(_COUNT),
    "stack": _limit_in(_BYTES),
}
