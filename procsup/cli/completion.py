"""Names for the shell's TAB key, asked of the running daemon: quickly, or not at all."""

from click.shell_completion import CompletionItem

from procsup.cli.answers import as_status, name_of
from procsup.cli.exits import CannotDo
from procsup.cli.options import connect

_PATIENCE = 0.5
"""Seconds that a person at the TAB key has."""


def names_of_tree(beginning: str, of_type: str | None = None) -> list["CompletionItem[str]"]:
    """The names, and their states as help, that begin so; none when no daemon answers in time."""
    try:
        with connect(_PATIENCE) as client:
            tree = as_status(client.call("status", {"names": []}, _PATIENCE))["tree"]
    except CannotDo:
        return []
    return [
        CompletionItem(name, help=f"{row['type']}, {row['state']}")
        for row in tree
        if (name := name_of(row["path"])).startswith(beginning) and of_type in (None, row["type"])
    ]
