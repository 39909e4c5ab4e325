"""Readers: from one value of a file to one value of a spec.

A reader takes the place and the value that tomli gave, and returns what belongs into the spec, or complains there and
raises Rejected. Every string goes through `text`: substitution and NUL are dealt with in one place.
"""

import os
import re
from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn, TypeVar

from procsup.config.durations import EXPECTED as EXPECTED_DURATION
from procsup.config.durations import parse_duration
from procsup.config.place import Place, Rejected, Variables, listed, shown
from procsup.config.signals import SIGNAL_NAMES, signal_name, signal_name_of
from procsup.config.sizes import EXPECTED as EXPECTED_SIZE
from procsup.config.sizes import parse_size, size_hint
from procsup.config.substitute import SubstitutionError, split_command, substituted
from procsup.core.spec import Shutdown, StartTimeout

T = TypeVar("T")
Word = TypeVar("Word", bound=StrEnum)
Reader = Callable[[Place, object], T]

_SHUTDOWN_WORDS = ("infinity", "brutal_kill")
_ENDLESS = {"shutdown": _SHUTDOWN_WORDS, "start_timeout": ("infinity",)}
"""What may be written for a duration, by key."""

_EXPECTED_SIGNAL = "a signal name such as 'SIGTERM'"
_LARGEST_ACCOUNT = 2**32 - 2  # the next one is -1, which means nobody to the kernel
_LONGEST_SOCKET = 107  # bytes of sun_path, unix(7), without its NUL


def text(place: Place, value: object) -> str:
    """A string, substituted and without NUL."""
    if not isinstance(value, str):
        place.reject("not a string", found=shown(value), expected="a string", hint=_quote_it(value))
    try:
        value = substituted(value, place.reading.environ)
    except SubstitutionError as error:
        place.reject(str(error), found=shown(value), hint=error.hint)
    return _without_nul(place, value)


def whole_number(place: Place, value: object) -> int:
    """An int between 0 and the largest of TOML, 2^63 - 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        place.reject("not a whole number", found=shown(value), expected="a whole number, 0 or more")
    if value < 0:
        place.reject("a negative number", found=shown(value), expected="a whole number, 0 or more")
    if value >= 2**63:
        place.reject("too large a number", found=shown(value), expected="a whole number below 2^63")
    return value


def yes_or_no(place: Place, value: object) -> bool:
    if not isinstance(value, bool):
        place.reject("neither true nor false", found=shown(value), expected="true or false, without quotes")
    return value


def one_of(words: type[Word]) -> Reader[Word]:
    """A reader of the words of an enumeration."""
    known = {word.value: word for word in words}
    names = tuple(known)

    def read(place: Place, value: object) -> Word:
        word = text(place, value)
        if word not in known:
            hint = place.reading.did_you_mean(word, names)
            place.reject(f"no such {place.key}", found=shown(word), expected=listed(names), hint=hint)
        return known[word]

    return read


def period(place: Place, value: object) -> float:
    return duration_above_zero(place, value, EXPECTED_DURATION)


def duration_above_zero(place: Place, value: object, expected: str) -> float:
    """Seconds."""
    written = text(place, value) if isinstance(value, str) else value
    seconds = _duration(place, written, expected)
    if seconds == 0:
        place.reject(f"a {place.key} of no time", found=shown(written), expected="a duration above 0, at most a year")
    return seconds


def start_timeout(place: Place, value: object) -> StartTimeout:
    if isinstance(value, str) and text(place, value) == "infinity":
        return "infinity"
    return duration_above_zero(place, value, f"{EXPECTED_DURATION}, or 'infinity'")


def shutdown(place: Place, value: object) -> Shutdown:
    match text(place, value) if isinstance(value, str) else value:
        case "infinity":
            return "infinity"
        case "brutal_kill":
            return "brutal_kill"
        case written:
            return _duration(place, written, f"{EXPECTED_DURATION}, or {listed(_SHUTDOWN_WORDS)}")


def stop_signal(place: Place, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return _signal_of_number(place, value)
    return _signal(place, text(place, value), _EXPECTED_SIGNAL)


def normal_exits(place: Place, value: object) -> frozenset[int | str]:
    return place.reading.shared(frozenset(each(place, value, _normal_exit, "exit codes and signal names")))


def names(place: Place, value: object) -> tuple[str, ...]:
    """A list of names, "" for one that was complained about. Whether they name anything is tree.py's business."""
    if not isinstance(value, list):
        _reject_single(place, value, "names")
    names: list[str] = []
    for i, item in enumerate(value):
        try:
            names.append(_name(place.at(i), item))
        except Rejected:
            names.append("")
    return tuple(names)


def command(place: Place, value: object) -> tuple[str, ...]:
    """The argument vector, from a list of words or from a line that is split as a shell does."""
    if isinstance(value, str):
        words = _split(place, value)
    else:
        words = each(place, value, text, "words, or one string")
    if not words:
        place.reject("there is nothing to run", found=shown(value), expected="a program and its arguments")
    first = place if isinstance(value, str) else place.at(0)
    if not words[0]:
        first.reject("the name of the program is empty", found=shown(value), expected="a program and its arguments")
    if "/" in words[0]:
        words[0] = _absolute(first, words[0])
    shared = place.reading.shared
    return tuple([shared(word) for word in words])


def path(place: Place, value: object) -> str:
    """An absolute path; a relative one is relative to the folder of the file."""
    written = text(place, value)
    if not written:
        place.reject("an empty path", found=shown(value), expected="a path")
    return place.reading.shared(_absolute(place, written))


def socket_path(place: Place, value: object) -> str:
    """An absolute path, not longer than the kernel allows for a socket."""
    absolute = path(place, value)
    length = len(os.fsencode(absolute))
    if length > _LONGEST_SOCKET:
        expected = f"at most {_LONGEST_SOCKET} bytes, because the kernel takes no longer one for a socket"
        place.reject(f"the path is {length} bytes long", found=shown(absolute), expected=expected)
    return absolute


def globs(place: Place, value: object) -> list[str]:
    """Patterns of files, as written."""
    return each(place, value, _glob, "file names and patterns")


def environment(place: Place, value: object) -> Variables:
    """Variables and their values, in order of their names."""
    if not isinstance(value, dict):
        place.reject("not a table", found=shown(value), expected="a table of strings, { NAME = 'value' }")
    shared = place.reading.shared
    variables: list[tuple[str, str]] = []
    count_of_wrong = 0
    for name, item in sorted(value.items()):
        try:
            variables.append(shared((variable(place.at(name), name), text(place.at(name), item))))
        except Rejected:
            count_of_wrong += 1
    if count_of_wrong:
        raise Rejected
    return shared(tuple(variables))


def umask(place: Place, value: object) -> int:
    expected = "octal digits in quotes, between '000' and '777'"
    if not isinstance(value, str):
        place.reject("not a string", found=shown(value), expected=expected)
    digits = text(place, value)
    if not re.fullmatch("[0-7]{1,4}", digits) or int(digits, 8) > 0o777:
        place.reject("not a umask", found=shown(digits), expected=expected)
    return int(digits, 8)


def account(place: Place, value: object) -> str:
    """The name or the number of a user or a group, as text. Whether there is one is warn.py's business."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _account_number(place, value)
    expected = f"the name or the number of a {place.key}"
    if not isinstance(value, str):
        place.reject("neither a name nor a number", found=shown(value), expected=expected)
    name = text(place, value)
    if re.fullmatch("[0-9]+", name):
        return _account_number(place, int(name.lstrip("0")[:20] or "0"))  # of more digits, the first 20 are too many
    if not name:
        place.reject("an empty name", found=shown(value), expected=expected)
    if name.startswith("-") or any(c in name for c in ":/\n"):
        hint = "a group has a key of its own: group" if place.key == "user" and ":" in name else ""
        expected += ", without ':', '/' and line ends, and no '-' before it"
        place.reject("no name", found=shown(name), expected=expected, hint=hint)
    return place.reading.shared(name)


def nice(place: Place, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -20 <= value <= 19:
        expected = "a whole number between -20, the most urgent, and 19"
        place.reject("no nice value", found=shown(value), expected=expected)
    return value


def size(place: Place, value: object) -> int:
    """Bytes."""
    written = text(place, value) if isinstance(value, str) else value
    try:
        return parse_size(written)
    except ValueError as error:
        hint = size_hint(written) if isinstance(written, str) else ""
        place.reject(str(error), found=shown(written), expected=EXPECTED_SIZE, hint=hint)


def absolute(folder: str, path: str) -> str:
    """`path`, taken from the absolute `folder`, without `.` parts. `..` stays: what it means, links decide."""
    parts = [part for part in os.path.join(folder, path).split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)


def each(place: Place, value: object, read: Reader[T], of_what: str) -> list[T]:
    """Every item of a list, read; Rejected, after the last one, when any was wrong."""
    if not isinstance(value, list):
        _reject_single(place, value, of_what)
    items: list[T] = []
    for i, item in enumerate(value):
        try:
            items.append(read(place.at(i), item))
        except Rejected:
            continue
    if len(items) < len(value):
        raise Rejected
    return items


def _reject_single(place: Place, value: object, of_what: str) -> NoReturn:
    hint = f"write [{shown(value)}]" if isinstance(value, str | int) and not isinstance(value, bool) else ""
    place.reject("not a list", found=shown(value), expected=f"a list of {of_what}", hint=hint)


def _account_number(place: Place, number: int) -> str:
    if not 0 <= number <= _LARGEST_ACCOUNT:
        expected = f"a number between 0 and {_LARGEST_ACCOUNT}"
        place.reject(f"no number of a {place.key}", found=shown(number), expected=expected)
    return place.reading.shared(str(number))


def _name(place: Place, value: object) -> str:
    name = text(place, value)
    if not name:
        place.reject("an empty name", found=shown(value), expected="the name of a worker or a supervisor")
    return name


def _duration(place: Place, written: object, expected: str) -> float:
    try:
        return parse_duration(written)
    except ValueError as error:
        place.reject(str(error), found=shown(written), expected=expected, hint=_duration_hint(place, written))


def _duration_hint(place: Place, written: object) -> str:
    if not isinstance(written, str):
        return "write 'infinity' for no limit" if written == float("inf") and place.key in _ENDLESS else ""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        return f"write {written} without quotes, or '{written}s'"
    return place.reading.did_you_mean(written, _ENDLESS.get(place.key, ()))


def _normal_exit(place: Place, value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= 255:
            place.reject("no exit code", found=shown(value), expected="an exit code between 0 and 255")
        return value
    if not isinstance(value, str):
        place.reject("neither an exit code nor a signal", found=shown(value), expected="0 to 255, or a signal name")
    word = text(place, value)
    if word.isdecimal():
        place.reject("a number in quotes", found=shown(word), expected="exit codes without quotes")
    return _signal(place, word, "an exit code, 0 to 255, or a signal name such as 'SIGTERM'")


def _signal(place: Place, written: str, expected: str) -> str:
    try:
        return signal_name(written)
    except KeyError:
        hint = place.reading.did_you_mean("SIG" + written.removeprefix("SIG"), SIGNAL_NAMES)
        place.reject("no signal of this platform", found=shown(written), expected=expected, hint=hint)


def _signal_of_number(place: Place, number: int) -> str:
    try:
        return signal_name_of(number)
    except KeyError:
        place.reject("no signal of this platform", found=shown(number), expected=_EXPECTED_SIGNAL)


def _split(place: Place, line: str) -> list[str]:
    try:
        words = split_command(line, place.reading.environ)
    except SubstitutionError as error:
        place.reject(str(error), found=shown(line), hint=error.hint)
    except ValueError:
        place.reject(
            "a quotation that does not end, or a backslash with nothing after it",
            found=shown(line),
            expected="a line that a shell could split",
            hint="or write the command as a list of words",
        )
    return [_without_nul(place, word) for word in words]


def _absolute(place: Place, written: str) -> str:
    if written == "~" or written.startswith("~/"):
        hint = f"write ${{HOME}}{written[1:]}, or ./{written} for a folder of that name"
        place.reject("'~' is not expanded here", found=shown(written), expected="a path", hint=hint)
    return absolute(place.document.folder, written)


def _glob(place: Place, value: object) -> str:
    pattern = text(place, value)
    if not pattern:
        place.reject("an empty pattern", found=shown(value), expected="a file name or a pattern")
    if "**" in pattern:
        place.reject("'**' is not supported", found=shown(pattern), expected="'*' for the files of one folder")
    return pattern


def variable(place: Place, name: str) -> str:
    if not name or "=" in name or "\0" in name:
        expected = "a name that is not empty, without '=' or NUL"
        place.reject("no name for a variable", found=shown(name), expected=expected)
    if name.startswith("PROCSUP_"):
        expected = "names that do not begin with PROCSUP_: those are procsup's own"
        place.reject(f"{name} is not yours to set", expected=expected)
    return place.reading.shared(name)


def _without_nul(place: Place, value: str) -> str:
    if "\0" in value:
        place.reject("holds a NUL character", found=shown(value), expected="text without NUL")
    return value


def _quote_it(value: object) -> str:
    return f"write '{shown(value)}' in quotes" if isinstance(value, int | float) else ""
