"""The outline of a configuration: every supervisor and worker that the files declare, before they are a tree.

Reads the three kinds of tables of each file, [supervisor.NAME], [worker.NAME] and [daemon], checks names, and makes a
`Node` of each child, its spec complete but for the children. What the tables hold is read by the rows of keys.py.

An `Outline` also says what cannot be known because something else is wrong: when an included file could not be read,
"there is no such child" would be a guess, and is not said.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from procsup.config.env_file import merged
from procsup.config.keys import BONDS, DAEMON, PROGRAM, SUPERVISOR, WORKER
from procsup.config.place import Place, key_text, shown
from procsup.config.start import check_start
from procsup.config.table import Keys, Row, read_table
from procsup.core.spec import Bonds, ChildSpec, Program, SupervisorSpec, Target, WorkerSpec

_TOP = ("supervisor", "worker", "daemon")


@dataclass(slots=True, eq=False)
class Node:
    """A supervisor or a worker of a file. `listed` are the names in its children list, `written` the keys that the
    file holds and that could be read, `wrong` those that could not. `children` is filled by tree.py."""

    place: Place
    spec: ChildSpec
    listed: tuple[str, ...]
    written: frozenset[str]
    wrong: frozenset[str]
    children: list["Node"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(slots=True)
class Outline:
    """`nodes` in the order of files and lines. What other errors may have hidden: any table at all (`lost_a_file`), a
    children list (`lost_a_list`), a worker that nobody could have listed (`lost_a_worker`)."""

    nodes: list[Node] = field(default_factory=list)
    lost_a_file: bool = False
    lost_a_list: bool = False
    lost_a_worker: bool = False


def read_daemon(place: Place, document: Mapping[str, object]) -> Row:
    """The table [daemon] of the first file."""
    table = document.get("daemon", {})
    if isinstance(table, dict):
        return read_table(place.at("daemon"), table, DAEMON)
    place.at("daemon").complain("not a table", found=shown(table), expected="[daemon] and its keys below")
    return Row({}, frozenset(DAEMON))


def outline_file(outline: Outline, place: Place, document: Mapping[str, object], *, included: bool) -> None:
    """Adds what one file declares."""
    for key, table in document.items():
        match key:
            case "supervisor" | "worker":
                _outline_tables(outline, place.at(key), key, table)
            case "daemon":
                if included:
                    expected = "[daemon], and so include, in the first file only"
                    place.at(key).complain("an included file cannot have this table", expected=expected)
            case _:
                _unknown_table(outline, place.at(key), key, table)


def _outline_tables(outline: Outline, place: Place, kind: str, tables: object) -> None:
    if not isinstance(tables, dict):
        problem = "a table of named tables is needed here"
        place.complain(problem, found=shown(tables), expected=f"[{kind}.NAME] and its keys below")
        outline.lost_a_worker = True
        return
    keys = SUPERVISOR if kind == "supervisor" else WORKER
    without_name = [key for key, table in tables.items() if key in keys and not isinstance(table, dict)]
    if without_name:
        _complain_of_no_name(place, kind, without_name)
        outline.lost_a_worker = True
        outline.lost_a_list = outline.lost_a_list or "children" in without_name
    for name, table in tables.items():
        if name not in without_name:
            outline.nodes.append(_node(outline, place.at(name), kind, name, table, keys))


def _complain_of_no_name(place: Place, kind: str, keys: list[str]) -> None:
    place.at(keys[0]).complain(
        f"the {kind} has no name",
        found=f"{', '.join(keys)} directly in [{kind}]",
        expected=f"[{kind}.NAME] and its keys below",
        hint=f"write [{kind}.main], or a better name, above the keys",
    )


def _unknown_table(outline: Outline, place: Place, key: str, table: object) -> None:
    hint = place.reading.did_you_mean(key, _TOP)
    place.complain("unknown key", found=shown(table), expected="one of supervisor, worker, daemon", hint=hint)
    meant = place.reading.vocabulary(_TOP).one_slip_from(key)
    if meant == "supervisor" or meant == "worker":
        _outline_tables(outline, place, meant, table)


def _node(outline: Outline, place: Place, kind: str, name: str, table: object, keys: Keys) -> Node:
    _check_name(place, kind, name)
    if isinstance(table, dict):
        row = read_table(place, table, keys)
    else:
        _not_a_table(place, kind, name, table)
        row = Row({}, frozenset(keys))
    name = sys.intern(name)
    if kind == "supervisor":
        outline.lost_a_list = outline.lost_a_list or "children" in row.wrong
        return _supervisor(place, name, row)
    return _worker(place, name, row)


def _check_name(place: Place, kind: str, name: str) -> None:
    expected = "a name of printable characters, not empty, not '.' or '..', without '/'"
    if not name:
        place.complain(f"the name of a {kind} is empty", expected=expected)
    elif name in (".", ".."):
        place.complain(f"{name!r} cannot be the name of a {kind}", expected=expected)
    elif "/" in name:
        hint = "a name is not a path: the children lists make the tree"
        place.complain("the name holds a '/'", found=shown(name), expected=expected, hint=hint)
    elif not name.isprintable():
        place.complain("the name holds characters that cannot be printed", found=shown(name), expected=expected)


def _not_a_table(place: Place, kind: str, name: str, found: object) -> None:
    header = f"[{kind}.{key_text(name)}]"
    is_array = isinstance(found, list) and any(isinstance(item, dict) for item in found)
    hint = f"write {header} with single brackets" if is_array else ""
    place.complain("not a table", found=shown(found), expected=f"{header} and its keys below", hint=hint)


def _supervisor(place: Place, name: str, row: Row) -> Node:
    found: dict[str, Any] = dict(row.values)  # each row of SUPERVISOR reads what the field of its name holds
    listed = found.pop("children", ())
    return Node(place, SupervisorSpec(name, **found), listed, frozenset(row.values), frozenset(row.wrong))


def _worker(place: Place, name: str, row: Row) -> Node:
    _check_what_it_runs(place, row)
    found: dict[str, Any] = dict(row.values)  # each row of WORKER reads what the field of its name holds
    program: dict[str, Any] = {key: found.pop(key) for key in PROGRAM if key in found}
    if "env_file" in program:
        program["env"] = merged((program.pop("env_file"), program.get("env", ())))
    shared = place.reading.shared
    arguments = program.pop("args", "[]")
    if "target" in program:
        function = program["target"]
        program |= {"command": (function,), "target": shared(Target(function, arguments))}
    defaults = {"command": (), "cwd": shared(place.document.folder)}
    bonds: dict[str, Any] = {key: found.pop(key) for key in BONDS if key in found}
    if bonds:
        found["bonds"] = shared(Bonds(**bonds))
    spec = WorkerSpec(name, shared(Program(**(defaults | program))), **found)
    check_start(place, spec, row)
    return Node(place, spec, (), frozenset(row.values), frozenset(row.wrong))


def _check_what_it_runs(place: Place, row: Row) -> None:
    has_command, has_target = (key in row.values or key in row.wrong for key in ("command", "target"))
    if "command" in row.values and "target" in row.values:
        hint = "take one of them away"
        place.at("target").complain("the worker has both a command and a target", expected="one of them", hint=hint)
    elif not has_command and not has_target:
        expected = "command = ['program', 'argument'], or one string; or target = 'package.module:function'"
        place.complain("the worker has no command", expected=expected)
    if not has_target and "args" in row.values:
        hint = "the arguments of a command are written in the command"
        place.at("args").complain("there is no target for these arguments", expected="target, with args", hint=hint)
