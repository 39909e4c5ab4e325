"""What travels between processes: values and functions, whole frames and broken ones."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.worker import frames
from procsup.worker.parcel import unwrap, unwrap_reason, wrap, wrap_reason

GLOBAL = 100


def a_function(number: int) -> int:
    return number + GLOBAL


def copy(value: Any) -> Any:
    return unwrap(wrap(value))


def test_a_function_that_can_be_imported_goes_by_name() -> None:
    assert copy(a_function) is a_function
    assert copy(Callables.method) is Callables.method
    assert copy(functools.partial(a_function, 1))() == 101


class Callables:
    def method(self) -> int:
        return 1


def test_a_lambda_goes_with_its_defaults_and_what_it_has_closed_over() -> None:
    step = [5]
    function: Callable[..., int] = lambda a, b=2, *, c=3: a + b + c + step[0] + GLOBAL  # noqa: E731  # on purpose

    copied = copy(function)
    step[0] = 1000
    assert copied(1) == 1 + 2 + 3 + 5 + GLOBAL
    assert copied(1, 1, c=1) == 3 + 5 + GLOBAL


def test_functions_within_functions_go_along() -> None:
    def make(base: int) -> Callable[[int], int]:
        def recur(number: int) -> int:
            return base if number == 0 else 1 + recur(number - 1)

        recur.note = "kept"  # type: ignore[attr-defined]  # functions may have attributes
        return recur

    copied = copy({"f": make(10)})["f"]

    assert copied(5) == 15
    assert copied.note == "kept"
    assert (copied.__name__, copied.__module__) == ("recur", __name__)


def test_a_variable_without_a_value_yet_goes_without() -> None:
    def function() -> int:
        return later

    copied = copy(function)
    later = 1
    assert function() == later
    with pytest.raises(NameError):
        copied()


def test_two_that_share_a_list_share_the_copy() -> None:
    shared: list[int] = []
    add, read = copy((lambda number: shared.append(number), lambda: shared))

    add(1)
    assert read() == [1]
    assert shared == []


@pytest.mark.parametrize("reason", ["normal", ("shutdown", 1), 5, None, {"a": [1]}])
def test_a_reason_comes_as_it_went(reason: object) -> None:
    assert unwrap_reason(wrap_reason(reason)) == reason


def test_a_reason_that_cannot_travel_comes_in_words() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "<generator object" in str(unwrap_reason(wrap_reason(number for number in range(3))))
    assert "a Silent" in str(unwrap_reason(wrap_reason(Silent())))
    assert "cannot be read here" in str(unwrap_reason(b"no pickle"))


# Frames

_HEADS = st.tuples(st.text(max_size=5), st.none() | st.integers() | st.binary(max_size=5) | st.booleans())


@given(st.lists(st.tuples(_HEADS, st.binary(max_size=50))), st.integers(1, 40))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(sent: list[tuple[Any, bytes]], size: int) -> None:
    stream = b"".join(frames.encode(head, body) for head, body in sent)
    decoder = frames.Decoder()

    pieces = [stream[begin : begin + size] for begin in range(0, len(stream), size)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == sent
