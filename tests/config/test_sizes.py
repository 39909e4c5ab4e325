"""Sizes: what a file may write, and how many bytes it means."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.config.sizes import LARGEST, parse_size, size_hint

UNITS = {"KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (1, 1),
        (LARGEST, LARGEST),
        ("0KB", 0),
        ("64KB", 64_000),
        ("10MB", 10_000_000),
        ("1GB", 1_000_000_000),
        ("64KiB", 65_536),
        ("10MiB", 10_485_760),
        ("1GiB", 1_073_741_824),
        ("1.5GB", 1_500_000_000),
        ("0.5KiB", 512),
        ("007KB", 7000),
        (f"1.{'0' * 5000}KB", 1000),
        (f"{'0' * 5000}1KB", 1000),
    ],
)
def test_size(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (-1, "a size cannot be negative"),
        ("-1KB", "a size cannot be negative"),
        (LARGEST + 1, "too large a size"),
        ("9223372036854775.808KB", "too large a size"),
        (f"{'9' * 5000}GB", "too large a size"),
        (True, "true and false are not sizes"),
        (1.0, "a size is a whole number of bytes"),
        ("0.0001KB", "a size is a whole number of bytes"),
        ("0.1KiB", "a size is a whole number of bytes"),
        (f"0.{'0' * 5000}1GB", "a size is a whole number of bytes"),
        ("", "not a size"),
        ("64", "not a size"),
        ("64K", "not a size"),
        ("64kb", "not a size"),
        ("64 KB", "not a size"),
        ("KB", "not a size"),
        ("1.KB", "not a size"),
        (".5KB", "not a size"),
        ("1e3KB", "not a size"),
        ("\u0665KB", "not a size"),
        ("64KB\n", "not a size"),
        ([], "not a size"),
        ({}, "not a size"),
    ],
)
def test_what_is_no_size(written: object, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        parse_size(written)


@pytest.mark.parametrize("written", ["64K", "64k", "64kb", "64Kb", "64 KB", "64ki", "64kib"])
def test_what_is_almost_a_size_is_told_both_ways_to_write_it(written: str) -> None:
    assert size_hint(written) == "write '64KB' for units of 1,000, '64KiB' for units of 1,024"


def test_number_in_quotes_is_told_to_go_without() -> None:
    assert size_hint("65536") == "write 65536 without quotes"


def test_what_is_like_no_size_gets_no_hint() -> None:
    assert size_hint("much") == ""


@given(st.integers(0, LARGEST), st.sampled_from(sorted(UNITS)))
def test_size_written_in_any_unit_is_read_as_the_same_number_of_bytes(size: int, unit: str) -> None:
    assert parse_size(size) == size
    assert parse_size(decimal(Fraction(size, UNITS[unit])) + unit) == size


def decimal(number: Fraction) -> str:
    """All digits of it: a fraction of a power of ten, or of two, ends after at most 30."""
    digits = number * 10**30
    assert digits.denominator == 1
    whole, rest = divmod(digits.numerator, 10**30)
    return f"{whole}.{rest:030}".rstrip("0").rstrip(".")
