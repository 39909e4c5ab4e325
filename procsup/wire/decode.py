"""JSON values ⇄ frozen dataclasses, strictly: a key that is unknown, missing or of the wrong type is an error.

The field's annotation is the schema. It may be str, bool, int, float, Literal,
`tuple[str, ...]`, or one of these `| None`.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

T = TypeVar("T")

_WORDS = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}


class DecodeError(ValueError):
    """The message says which key is wrong, what was found and what was expected."""


def decode(shape: type[T], value: Mapping[str, object]) -> T:
    """An instance of the dataclass `shape` from a JSON object.

    Raises:
        DecodeError: an unknown key, a missing one, or one of the wrong type.
    """
    fields = {f.name: f for f in dataclasses.fields(shape)}  # type: ignore[arg-type]  # shape is a dataclass
    hints = typing.get_type_hints(shape)
    for key in value:
        if key not in fields:
            raise DecodeError(f"unknown parameter {key!r}; there are: {', '.join(fields) or 'none'}")
    found: dict[str, Any] = {}
    for key, spec in fields.items():
        if key in value:
            found[key] = _checked(key, hints[key], value[key])
        elif spec.default is dataclasses.MISSING:
            raise DecodeError(f"missing parameter {key!r}")
    return shape(**found)


def _checked(key: str, hint: Any, value: object) -> object:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not types.NoneType)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise _wrong(key, value, "one of " + ", ".join(map(repr, typing.get_args(hint))))
    elif origin is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _wrong(key, value, "a list of strings")
        return tuple(value)
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise _wrong(key, value, _WORDS[hint])
    return value


def _wrong(key: str, value: object, expected: str) -> DecodeError:
    shown = repr(value)
    return DecodeError(f"parameter {key!r} is {shown if len(shown) <= 60 else shown[:57] + '...'}, expected {expected}")
