"""Readers of what concerns Python functions as workers: `target` and its `args`, and the modules of `preload`.

Names are looked at only; nothing is imported here, so that reading a file runs no code.
"""

import json
import re

from procsup.config.place import Place, Rejected, shown
from procsup.config.values import each, text

_NAME = r"[^\W\d]\w*"
_MODULE = re.compile(rf"{_NAME}(\.{_NAME})*")
_FUNCTION = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*")
_DEEPEST = 50


def function(place: Place, value: object) -> str:
    """ "package.module:function"; dots after the colon lead to attributes."""
    name = text(place, value)
    if not _FUNCTION.fullmatch(name):
        hint = ""
        before, dot, last = name.rpartition(".")
        if ":" not in name and dot and _MODULE.fullmatch(name):
            hint = f"write '{before}:{last}'"
        elif name.endswith(".py") or "/" in name:
            hint = "a module is named as in an import, without folder and .py"
        place.reject("no function", found=shown(name), expected="'package.module:function'", hint=hint)
    return place.reading.shared(name)


def arguments(place: Place, value: object) -> str:
    """A list, or a table of keywords, as JSON text."""
    match value:
        case list():
            read: object = each(place, value, _argument, "arguments")
        case dict():
            read = _table(place, value)
            for name in value:
                if not re.fullmatch(_NAME, name):
                    place.at(name).reject("no name of an argument", found=shown(name), expected="a Python identifier")
        case _:
            expected = "a list of arguments, or a table of keyword arguments"
            hint = f"write [{shown(value)}]" if isinstance(value, str | int | float) else ""
            place.reject("neither a list nor a table", found=shown(value), expected=expected, hint=hint)
    return place.reading.shared(json.dumps(read, ensure_ascii=False))


def modules(place: Place, value: object) -> tuple[str, ...]:
    return tuple(each(place, value, _module, "module names"))


def _module(place: Place, value: object) -> str:
    name = text(place, value)
    if not _MODULE.fullmatch(name):
        place.reject("no name of a module", found=shown(name), expected="a name as in an import: 'package.module'")
    return name


def _argument(place: Place, value: object) -> object:
    """Strings are substituted; what TOML has and JSON has not is rejected."""
    if not isinstance(value, str | int | float | list | dict):
        expected = "strings, numbers, true, false, and lists and tables of them"
        place.reject("no argument", found=shown(value), expected=expected, hint="write a date or a time in quotes")
    match value:
        case str():
            return text(place, value)
        case list():
            _check_depth(place)
            return each(place, value, _argument, "arguments")
        case dict():
            _check_depth(place)
            return _table(place, value)
        case _:
            return value


def _check_depth(place: Place) -> None:
    if len(place.path) > _DEEPEST:
        place.reject("nested too deeply", expected=f"at most {_DEEPEST} levels")


def _table(place: Place, table: dict[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in table.items():
        try:
            found[key] = _argument(place.at(key), value)
        except Rejected:
            continue
    if len(found) < len(table):
        raise Rejected
    return found
