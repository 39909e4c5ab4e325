"""The keys that a file may hold: one row for each, with the reader of its value.

What a key is called in the file, the spec's field is called too; a key that the file does not hold has the default of
the field. The keys of a worker that say what it runs are fields of its `Program`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from procsup.config import values
from procsup.config.place import Place, Rejected, key_text, shown
from procsup.config.values import Reader
from procsup.core.spec import AutoShutdown, Restart, Strategy

Keys = Mapping[str, Reader[object]]

AS_CHILD: Keys = {
    "restart": values.one_of(Restart),
    "significant": values.yes_or_no,
    "shutdown": values.shutdown,
}

SUPERVISOR: Keys = {
    "strategy": values.one_of(Strategy),
    "intensity": values.whole_number,
    "period": values.period,
    "auto_shutdown": values.one_of(AutoShutdown),
    "children": values.names,
    **AS_CHILD,
}

PROGRAM: Keys = {
    "command": values.command,
    "cwd": values.path,
    "env": values.environment,
    "inherit_env": values.yes_or_no,
    "umask": values.umask,
}

WORKER: Keys = {
    **PROGRAM,
    **AS_CHILD,
    "stop_signal": values.stop_signal,
    "normal_exits": values.normal_exits,
}

DAEMON: Keys = {
    "socket": values.socket_path,
    "state_dir": values.path,
    "log_dir": values.path,
    "include": values.globs,
    "root": values.text,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What a table held: the values that could be read, by key, and the keys whose value is wrong."""

    values: dict[str, object]
    wrong: Collection[str]


def read_table(place: Place, table: Mapping[str, object], keys: Keys) -> Row:
    """Every key of a table. What is wrong is complained about and left out.

    A key that is surely a slip of the pen is read as what it was meant to be, and one that may be another counts as
    that one's being wrong: what hangs on the key (10,000 children, say) is not wrong too.
    """
    found: dict[str, object] = {}
    wrong: set[str] = set()
    for key, value in table.items():
        meant = key
        if key not in keys:
            meant, is_sure = _meant(place, key, keys)
            _complain_of_unknown_key(place.at(key), value, keys, meant)
            if not is_sure or meant in table:
                wrong.add(meant)
                continue
        try:
            found[meant] = keys[meant](place.at(key), value)
        except Rejected:
            wrong.add(meant)
    return Row(found, wrong)


def _meant(place: Place, key: str, keys: Keys) -> tuple[str, bool]:
    """The key that an unknown one stands for, itself when there is none, and whether that is sure."""
    vocabulary = place.reading.vocabulary(tuple(keys))
    slip = vocabulary.one_slip_from(key)
    return (slip, True) if slip is not None else (vocabulary.to(key) or key, False)


def _complain_of_unknown_key(place: Place, value: object, keys: Keys, meant: str) -> None:
    hint = ""
    if meant in keys:
        hint = f"did you mean {meant!r}?"
    elif isinstance(value, dict) and len(place.path) == 3:
        kind, name, key = map(str, place.path)
        hint = f"a name with a dot is written in quotes: [{kind}.{key_text(f'{name}.{key}')}]"
    place.complain("unknown key", found=shown(value), expected=f"one of {', '.join(keys)}", hint=hint)
