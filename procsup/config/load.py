"""From a path to a configuration, or to every complaint about it at once.

The one entry of this floor: files (read.py), tables (outline.py, keys.py, values.py), the tree (tree.py), and what may
surprise (warn.py), in this order. A step goes on with what the one before could read, so that all complaints come out
together; nothing of the TOML outlives the reading.
"""

import os
from collections.abc import Mapping
from typing import Any

from procsup.config.complaint import Complaint, ConfigError
from procsup.config.config import Config, DaemonSettings
from procsup.config.outline import Outline, outline_file, read_daemon
from procsup.config.place import Place, Reading, Rejected
from procsup.config.read import first_document, included_documents, read_document
from procsup.config.table import Row
from procsup.config.tree import RootName, arrange, build
from procsup.config.values import absolute
from procsup.config.warn import warn


def load(path: str, environ: Mapping[str, str], *, privileged: bool) -> Config:
    """The configuration in the file at `path` and in those it includes. Linear in their size.

    `environ` is what `${NAME}` is taken from. `privileged` says that the daemon would run as root: then a file that
    its group or others may write is an error. Environment files are read here too, each once.

    Raises:
        ConfigError: with every error and every warning.
    """
    outcome = _load(path, environ, privileged=privileged)
    if isinstance(outcome, Config):
        return outcome
    raise ConfigError(outcome)  # from here, where no local keeps the files alive


def _load(path: str, environ: Mapping[str, str], *, privileged: bool) -> Config | tuple[Complaint, ...]:
    reading = Reading(environ, privileged=privileged)
    try:
        document = first_document(path, reading)
    except OSError as error:
        return (Complaint(path, None, "", f"cannot tell the current folder: {error.strerror}"),)
    whole = Place(document, (), reading)
    outline = Outline()
    try:
        table = read_document(document, reading)
    except Rejected:
        return reading.take_complaints()
    daemon = read_daemon(whole, table)
    outline_file(outline, whole, table, included=False)
    _outline_included(outline, whole, daemon)
    root = arrange(outline, whole, _root_name(whole, daemon))
    if root is not None:
        warn(root)
    complaints = reading.take_complaints()
    if root is None or not all(complaint.warning for complaint in complaints):
        return complaints
    file = absolute(document.folder, os.path.basename(path))
    return Config(file, build(root), _settings(daemon), complaints)


def _outline_included(outline: Outline, whole: Place, daemon: Row) -> None:
    if "include" in daemon.wrong:
        outline.lost_a_file = True
    patterns: Any = daemon.values.get("include", [])  # a list of strings, by the row of DAEMON
    before = len(whole.reading.findings)
    documents = included_documents(whole.at("daemon").at("include"), patterns)
    if len(whole.reading.findings) > before:
        outline.lost_a_file = True
    for document in documents:
        place = Place(document, (), whole.reading)
        try:
            table = read_document(document, whole.reading)
        except Rejected:
            outline.lost_a_file = True
        else:
            outline_file(outline, place, table, included=True)


def _root_name(whole: Place, daemon: Row) -> RootName | None:
    name = daemon.values.get("root")
    return RootName(name, whole.at("daemon").at("root")) if isinstance(name, str) else None


def _settings(daemon: Row) -> DaemonSettings:
    found: dict[str, Any] = {key: value for key, value in daemon.values.items() if key not in ("include", "root")}
    return DaemonSettings(**found)
