"""Files into TOML: everything that can go wrong before the first key.

Owns the reading of tree files, of the first one and of included ones. Whatever is wrong with a file as a whole (it
cannot be read, others may write it, it is not UTF-8, it is not TOML) is a complaint that names the file and, where
there is one, the line and its text; no error of the system or of tomli gets out of here.
"""

import ast
import glob
import os
import re

import tomli

from procsup.config.content import Unreadable, read_text
from procsup.config.place import Document, Place, Reading, Rejected, path_text, shown
from procsup.config.values import absolute

Table = dict[str, object]

_LARGEST = 64 * 1024 * 1024  # bytes
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DECLARED_TWICE = re.compile(r"Cannot declare (\(.*\)) twice", re.DOTALL)
_HINTS = {
    "Cannot overwrite a value": "the same key stands further up in this table",
    "Unclosed array": "a list further up is not closed with ']', or a ',' is missing",
    "Unclosed inline table": "a '{' further up is not closed with '}', or a ',' is missing",
    "Invalid value": "text is written in quotes",
    "Unterminated string": 'a string ends with the quote it began with; over many lines it takes three: """',
    "Invalid initial character for a key part": "a key of other characters than letters, digits, - and _ takes quotes",
}


def first_document(path: str, reading: Reading) -> Document:
    """The file at `path`, not read yet.

    Raises:
        OSError: the current folder, from which `path` is taken, is gone.
    """
    here = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    return reading.document(path, absolute("/", os.path.dirname(here)))


def read_document(document: Document, reading: Reading) -> Table:
    """What the file holds; its text goes into the document.

    Raises:
        Rejected: nothing can be read from it.
    """
    place = Place(document, (), reading)
    try:
        document.text = read_text(place, _LARGEST)
    except Unreadable as error:
        place.reject(f"cannot read the file: {error}", found=error.found, expected=error.expected)
    return _parsed(place)


def included_documents(place: Place, patterns: list[str]) -> list[Document]:
    """The files, not read yet, that `[daemon] include` names: each once, in its order, those of a pattern by name.

    A pattern that matches nothing is fine. A name without pattern must exist.
    """
    beside = os.path.dirname(place.document.file)
    documents: dict[str, Document] = {}
    for i, pattern in enumerate(patterns):
        for match in _matches(place.at(i), pattern):
            file = absolute(place.document.folder, match)
            if file not in documents:
                documents[file] = place.reading.document(os.path.join(beside, match), os.path.dirname(file))
    return list(documents.values())


def _matches(place: Place, pattern: str) -> list[str]:
    folder = place.document.folder
    itself = absolute(folder, os.path.basename(place.document.file))
    if glob.has_magic(pattern):
        return [match for match in sorted(glob.glob(pattern, root_dir=folder)) if absolute(folder, match) != itself]
    file = absolute(folder, pattern)
    if file == itself:
        place.complain("the file includes itself", found=shown(pattern))
    elif not os.path.lexists(file):
        place.complain("there is no such file", found=shown(pattern), expected=f"a file at {file}")
    else:
        return [pattern]
    return []


def _parsed(place: Place) -> Table:
    try:
        return tomli.loads(place.document.text)
    except tomli.TOMLDecodeError as error:
        _complain_of_toml(place, str(error))
    except RecursionError:
        place.complain("the file is not usable TOML: lists, tables or keys are nested too deeply")
    except ValueError:  # int() of more than 4,300 digits
        place.complain("the file is not usable TOML: a number in it has too many digits")
    raise Rejected


def _complain_of_toml(place: Place, message: str) -> None:
    lines = place.document.text.split("\n")
    position = _POSITION.search(message)
    message = _POSITION.sub("", message)
    if position is not None and position[1]:
        line, column = int(position[1]), int(position[2])
    else:
        line, column = len("\n".join(lines).rstrip().split("\n")), 0
    twice = _DECLARED_TWICE.fullmatch(message)
    if twice is not None:
        _complain_of_second_declaration(place, twice[1], line)
        return
    place.on(line).complain(
        f"the file is not TOML: {message}" + (f", column {column}" if column else ", at the end of the file"),
        found=shown(_around(lines[line - 1], column)),
        hint=_HINTS.get(message, ""),
    )


def _complain_of_second_declaration(place: Place, keys: str, line: int) -> None:
    """A [table] that stands in the file twice. The text before the second one is TOML, and tells where the first is."""
    for key in ast.literal_eval(keys):
        place = place.at(str(key))
    before = Document(place.document.file, place.document.folder, place.document.rank)
    before.text = "\n".join(place.document.text.split("\n")[: line - 1])
    place.on(line).complain(
        "the name is used twice",
        found=f"a second [{path_text(place.path)}]",
        other=("the first is at", Place(before, place.path, place.reading)),
    )


def _around(line: str, column: int) -> str:
    """The line, or the part of a long one that is around `column`."""
    start = max(0, column - 40) if len(line) > 80 else 0
    return line.rstrip("\r")[start : start + 80].strip()
