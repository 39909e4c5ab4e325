"""Tables: which keys one may hold, and how all of them are read.

The keys themselves are elsewhere (keys.py; limits.py and streams.py for tables in tables).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from procsup.config.place import Place, Rejected, key_text, shown
from procsup.config.values import Reader

Keys = Mapping[str, Reader[object]]


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
