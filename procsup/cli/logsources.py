"""Which logs `procsup logs` reads: of workers in the tree, as the daemon says, and of removed ones, by file name."""

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from procsup.cli.answers import Daemon, Row, Status, as_status, name_of
from procsup.cli.client import Client
from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.printable import printable, shortened
from procsup.cli.terminal import complain
from procsup.runtime.logtime import marks_path

_LONGEST_LIST = 200
"""Characters."""


class Source(NamedTuple):
    """A log, and who writes it: a name, or several with commas. `marks` are the paths of its marks, logtime.py."""

    name: str
    path: str
    marks: tuple[str, ...]


class Sources:
    """What was found, and in `statuses` how it went with each name of which there is nothing to read."""

    def __init__(self) -> None:
        self._writers: dict[str, dict[str, None]] = {}
        """Path of a log → names of workers, each once"""
        self._elsewhere: dict[tuple[str, str], list[str]] = {}
        """Where output goes that is not captured, and which → names of workers"""
        self._state_dir = ""
        self.statuses: list[ExitStatus] = []

    def all(self) -> list[Source]:
        return [
            Source(",".join(names), path, tuple(marks_path(self._state_dir, name) for name in names))
            for path, names in self._writers.items()
        ]

    def add_from_daemon(self, client: Client, names: tuple[str, ...]) -> None:
        """Of these names, those below supervisors included; of the whole tree when there are none. A name that is not
        in the tree is looked for among the files in the daemon's folder of logs.

        Raises:
            CannotDo: the daemon does not answer.
        """
        daemon: Daemon | None = None
        removed: list[tuple[str, CannotDo]] = []
        for name in names or (None,):
            try:
                answer = _ask(client, name)
            except CannotDo as error:
                if name is None or error.status != ExitStatus.NO_SUCH_NAME:
                    raise
                removed.append((name, error))
            else:
                daemon = answer["daemon"]
                self._add_rows(answer, is_wanted=name is not None)
        daemon = daemon or _ask(client, None)["daemon"]
        self._state_dir = daemon["state_dir"]
        for name, failure in removed:
            if not self._add_files(daemon["log_dir"], _names_in(daemon["log_dir"]), name):
                complain(failure.message)
                self.statuses.append(failure.status)

    def add_from_folder(self, folder: str, state_dir: str, names: tuple[str, ...]) -> None:
        """Of the workers of these names whose logs are in a folder; of all when there are none.

        Raises:
            CannotDo: the folder cannot be read.
        """
        self._state_dir = state_dir
        there = _names_in(folder)
        for name in names or ("*",):
            if not self._add_files(folder, there, name):
                complain(printable(f"cannot find a log of {name!r} in {folder}"))
                self.statuses.append(ExitStatus.NO_SUCH_NAME)

    def tell_what_is_elsewhere(self) -> None:
        for (place, streams), names in self._elsewhere.items():
            whose = shortened(", ".join(names), _LONGEST_LIST)
            complain(printable(f"{streams} of {whose}: not captured, but {_where(place, names)}"))

    def _add_rows(self, answer: Status, is_wanted: bool) -> None:
        workers = [row for row in answer["tree"] if row["type"] == "worker"]
        found = [self._add_worker(row, answer["daemon"]["log_dir"], is_wanted) for row in workers]
        if is_wanted and not any(found):
            self.statuses.append(ExitStatus.FAILED)

    def _add_worker(self, row: Row, folder: str, is_wanted: bool) -> bool:
        """Whether anything that it writes is captured."""
        name = name_of(row["path"])
        elsewhere: dict[str, list[str]] = {}
        found = False
        for stream, place in (("stdout", row["stdout"]), ("stderr", row["stderr"])):
            path = _log_of(folder, name) if place == "log" else place
            if path.startswith("/") and (os.path.isfile(path) or not os.path.exists(path)):
                self._writers.setdefault(path, {})[name] = None
                found = True
            else:
                elsewhere.setdefault(path, []).append(stream)
        if is_wanted:
            for place, streams in elsewhere.items():
                self._elsewhere.setdefault((place, " and ".join(streams)), []).append(name)
        return found

    def _add_files(self, folder: str, there: Iterable[str], name: str) -> bool:
        wanted = name_of(name)
        found = [one for one in there if one == wanted] or [one for one in there if fnmatchcase(one, wanted)]
        for one in found:
            self._writers.setdefault(_log_of(folder, one), {})[one] = None
        return bool(found)


def _ask(client: Client, name: str | None) -> Status:
    return as_status(client.call("status", {"names": [] if name is None else [name]}))


def _log_of(folder: str, name: str) -> str:
    return os.path.join(folder, f"{name}.log")


def _names_in(folder: str) -> list[str]:
    """Of the workers that have a log there, sorted."""
    try:
        files = os.listdir(folder)
    except OSError as error:
        raise CannotDo(f"cannot read the folder of the logs {folder!r}: {error.strerror}", ExitStatus.FAILED) from None
    names: set[str] = set()
    for file in files:
        name, _, number = file.rpartition(".log.")
        if file.endswith(".log"):
            names.add(file.removesuffix(".log"))
        elif name and number.isdigit():
            names.add(name)
    return sorted(names)


def _where(place: str, names: list[str]) -> str:
    match place:
        case "journal":
            return f"sent to the journal of systemd; see `journalctl {' '.join(f'-t {name}' for name in names)}`"
        case "inherit":
            return "sent where that of the daemon goes"
        case "null":
            return "thrown away"
        case _:
            return f"sent to {place}, which is no regular file"
