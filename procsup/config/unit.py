"""What a service unit of systemd says about stopping, and whether that suits a tree (`procsup check --unit`).

Reads the unit's file, those that amend it (NAME.d/*.conf) and the manager's own defaults, as systemd would
(systemd.unit(5), systemd-system.conf(5)), without asking it: so a unit can be checked before it is installed, and where
no systemd runs.

Law: the daemon says itself, while it stops, that it needs more time (EXTEND_TIMEOUT_USEC, systemd 236 and later). Where
that is heard, TimeoutStopSec is only how long systemd waits for a daemon that says nothing, and need not cover the
tree. It is not heard without NotifyAccess=all, for the daemon is a child of the service's main process.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from procsup.config.complaint import Complaint
from procsup.config.durations import duration_text
from procsup.config.stop_time import StopTime

_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Of the system's units, the first before the others."""

_MANAGER_FOLDERS = tuple(os.path.dirname(folder) for folder in _FOLDERS)

_DEFAULT_TIMEOUT = "90s"

_EXACT = 1 + 1e-9  # sums of times such as 0.1 are not exact

_UNITS = {
    1e-6: "us usec µs μs",
    1e-3: "ms msec",
    1.0: "s sec second seconds",
    60.0: "m min minute minutes",
    3600.0: "h hr hour hours",
    86400.0: "d day days",
    604800.0: "w week weeks",
    2629800.0: "M month months",
    31557600.0: "y year years",
}
_SECONDS = {unit: seconds for seconds, units in _UNITS.items() for unit in units.split()} | {"": 1.0}
_SPAN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Zµμ]*)")


class NoUnit(Exception):
    """There is no such unit, or it cannot be read. The message says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """An assignment, and where it stands."""

    value: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Unit:
    """`file` is absolute if the unit was named, else as it was given. `settings` are those of [Service], the last
    assignment of each key. `timeout_stop` is in seconds, and may be infinite.
    """

    file: str
    settings: Mapping[str, Setting]
    timeout_stop: float

    @property
    def hears_the_daemon(self) -> bool:
        return self._says("NotifyAccess") == "all"

    @property
    def stops_in_order(self) -> bool:
        """TERM goes to the main process alone."""
        return self._says("KillMode") in ("mixed", "process")

    @property
    def waits_for_ready(self) -> bool:
        return self._says("Type") in ("notify", "notify-reload")

    def _says(self, key: str) -> str:
        return self.settings[key].value if key in self.settings else ""


def find_unit(name: str, root: str = "/") -> Unit:
    """`name` is a unit of the system, or, with a slash in it, the path of a unit file, which only PATH.d/*.conf amends.
    `root` is where / is.

    Raises:
        NoUnit
    """
    if "/" in name:
        file, folders = name, [os.path.dirname(name)]
    else:
        name = name if "." in name else f"{name}.service"
        folders = [_below(root, folder) for folder in _FOLDERS]
        file = _first_file(_with_template(name), folders)
    if not file:
        raise NoUnit(f"cannot find the unit {name!r}: it is in none of {', '.join(_FOLDERS)}; give the file's path")
    amended = dict.fromkeys([*_with_template(name), "service"])
    drop_ins = [os.path.join(folder, f"{one}.d") for folder in folders for one in amended]
    settings = _settings([file, *_confs(drop_ins)], "Service")
    return Unit(file, settings, _timeout_stop(settings, root))


def unit_complaints(unit: Unit, stop: StopTime) -> tuple[Complaint, ...]:
    """Warnings."""
    return tuple(filter(None, (_deaf(unit), _too_short(unit, stop), _out_of_order(unit))))


def is_too_short(unit: Unit, stop: StopTime) -> bool:
    return unit.timeout_stop * _EXACT < stop.seconds


def _deaf(unit: Unit) -> Complaint | None:
    if not unit.waits_for_ready or unit.hears_the_daemon:
        return None
    return _complaint(
        unit,
        "NotifyAccess",
        "systemd will wait in vain for the tree to be up: it hears only the main process, and the daemon is its child",
        "NotifyAccess=all",
    )


def _too_short(unit: Unit, stop: StopTime) -> Complaint | None:
    if not is_too_short(unit, stop):
        return None
    needed = "infinity" if math.isinf(stop.seconds) else f"{math.ceil(stop.seconds)}s, or more"
    expected = f"TimeoutStopSec={needed}"
    if unit.hears_the_daemon:
        problem = (
            "the tree may need longer than that to stop; systemd waits on only as long as the daemon asks it to, which"
            " it does (systemd 236 and later)"
        )
    else:
        problem = "the tree may need longer than that to stop, and systemd kills whatever is left then"
        expected += "; or NotifyAccess=all, so that the daemon can ask for more time"
    return _complaint(unit, "TimeoutStopSec", problem, expected, default=duration_text(unit.timeout_stop))


def _out_of_order(unit: Unit) -> Complaint | None:
    if unit.stops_in_order:
        return None
    problem = "a stop goes to all processes at once, so the tree cannot stop in order"
    return _complaint(unit, "KillMode", problem, "KillMode=mixed", default="control-group")


def _complaint(unit: Unit, key: str, problem: str, expected: str, default: str = "nothing") -> Complaint:
    file, line, found = unit.file, None, f"{default}, by default"
    setting = unit.settings.get(key)
    if setting is not None:
        file, line, found = setting.file, setting.line, f"{key}={setting.value}"
    return Complaint(file, line, f"Service.{key}", problem, found, expected, warning=True)


# Finding and reading


def _with_template(name: str) -> tuple[str, str]:
    """The name of the unit, and of the template that it may be an instance of."""
    own = os.path.basename(name)
    return own, re.sub(r"@.*\.", "@.", own)


def _below(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def _first_file(names: Iterable[str], folders: Sequence[str]) -> str:
    """Its path, "" if there is none."""
    paths = (os.path.join(folder, name) for name in names for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), "")


def _confs(folders: Iterable[str]) -> list[str]:
    """By their names, whichever folder they are in; of one name the first counts."""
    found: dict[str, str] = {}
    for folder in folders:
        if os.path.isdir(folder):
            for name in os.listdir(folder):
                if name.endswith(".conf"):
                    found.setdefault(name, os.path.join(folder, name))
    return [found[name] for name in sorted(found)]


def _timeout_stop(settings: Mapping[str, Setting], root: str) -> float:
    setting = settings.get("TimeoutStopSec")
    text = setting.value if setting is not None else _default_timeout(root)
    seconds = span(text)
    if seconds is None:  # systemd complains, and goes on without it
        seconds = span(_default_timeout(root)) or span(_DEFAULT_TIMEOUT)
    assert seconds is not None
    return seconds or math.inf


def _default_timeout(root: str) -> str:
    folders = [_below(root, folder) for folder in _MANAGER_FOLDERS]
    file = _first_file(("system.conf",), folders)
    drop_ins = _confs(f"{folder}/system.conf.d" for folder in folders)
    settings = _settings([*filter(None, [file]), *drop_ins], "Manager")
    setting = settings.get("DefaultTimeoutStopSec")
    return setting.value if setting is not None else _DEFAULT_TIMEOUT


def _settings(files: Iterable[str], section: str) -> dict[str, Setting]:
    """The last assignment of each key; an empty one takes back those before it. TimeoutSec stands for what it means.

    Raises:
        NoUnit: a file cannot be read.
    """
    found: dict[str, Setting] = {}
    for file in files:
        for where, key, setting in _assignments(file):
            name = "TimeoutStopSec" if key == "TimeoutSec" else key
            if where == section:
                found.pop(name, None)
                if setting.value:
                    found[name] = setting
    return found


def _assignments(file: str) -> Iterator[tuple[str, str, Setting]]:
    """(section, key, assignment), in order. A line that ends with a backslash goes on in the next."""
    section, begun, begin = "", "", 0
    for number, line in enumerate(_text(file).splitlines(), 1):
        line = line.strip()
        if line[:1] in ("#", ";"):  # also within an assignment that goes on
            continue
        begun, begin = (f"{begun} {line}", begin) if begun else (line, number)
        if begun.endswith("\\"):
            begun = begun[:-1].rstrip()
            continue
        if begun.startswith("[") and begun.endswith("]"):
            section = begun[1:-1]
        elif "=" in begun:
            key, _, value = begun.partition("=")
            yield section, key.rstrip(), Setting(value.strip(), file, begin)
        begun = ""


def _text(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError as error:
        raise NoUnit(f"cannot read the unit {file!r}: {error.strerror}") from None


def span(text: str) -> float | None:
    """Seconds of "90", "1min 30s" or "infinity", as systemd.time(7); None if it is nothing of the kind."""
    if text == "infinity":
        return math.inf
    total, end = 0.0, 0
    for found in _SPAN.finditer(text):
        if found.start() != end or found[2] not in _SECONDS:
            return None
        total, end = total + float(found[1]) * _SECONDS[found[2]], found.end()
    return total if end and not text[end:].strip() else None
