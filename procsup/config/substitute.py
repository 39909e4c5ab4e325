"""What stands for something else in a string: ${NAME}, ${NAME:-default}, and the words of a command.

`${NAME}` is the value of an environment variable, which is put in once and not looked at again; `$${` is a literal
`${`; every other `$` stays as it is. As in a shell, the default of `:-` stands in for an empty value too. Whatever
begins with `${` and is none of this is an error, so that no form a shell knows is misread in silence.

A command line is split as a shell would: a value outside of quotes may become several words or none, inside of
quotes it stays one; quotes and backslashes in the value itself mean nothing.
"""

import re
import shlex
from collections.abc import Mapping

_REFERENCE = re.compile(r"(\$\$\{)|\$\{([^}]*)(\}?)")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_NEXT_PIECE = {  # what comes next outside of quotes, in double ones, and in single ones
    "": re.compile(r"""(?P<reference>\$?\$\{[^}]*\}?)|(?P<quote>["'])|\\.|[^$"'\\]+|.""", re.DOTALL),
    '"': re.compile(r"""(?P<reference>\$?\$\{[^}]*\}?)|(?P<quote>")|\\.|[^$"\\]+|.""", re.DOTALL),
    "'": re.compile(r"""(?P<reference>\$?\$\{[^}]*\}?)|(?P<quote>')|[^$']+|.""", re.DOTALL),
}
_BLANKS = re.compile(r"[ \t\r\n]+")


class SubstitutionError(ValueError):
    """The message says what is wrong; `hint` what to do about it."""

    def __init__(self, problem: str, hint: str = "write $${ for a literal ${") -> None:
        super().__init__(problem)
        self.hint = hint


def substituted(text: str, environ: Mapping[str, str]) -> str:
    """`text` with every reference replaced.

    Raises:
        SubstitutionError: a variable that is not set, or a reference that is not written right.
    """
    if "${" not in text:
        return text
    return _REFERENCE.sub(lambda found: _value(found, environ), text)


def split_command(line: str, environ: Mapping[str, str]) -> list[str]:
    """The words of a command line.

    Raises:
        SubstitutionError: as `substituted`.
        ValueError: a quotation that does not end, or a backslash at the end.
    """
    if "${" in line:
        line = _substituted_in_quotes(line, environ)
    if not any(c in line for c in "\"'\\"):
        return [word for word in _BLANKS.split(line) if word]  # a tenth of what shlex takes
    return shlex.split(line)


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    literal, inside, closing = found.groups()
    if literal:
        return "${"
    if not closing:
        raise SubstitutionError(f"{_short(found.group())} is not closed with }}")
    reference = _INSIDE.fullmatch(inside)
    if reference is None:
        raise SubstitutionError(f"{found.group()!r} is neither ${{NAME}} nor ${{NAME:-default}}")
    name, default = reference.groups()
    if default is None:
        if name not in environ:
            raise SubstitutionError(f"{name} is not set in the environment", f"set it, or write ${{{name}:-default}}")
        return environ[name]
    if "${" in default:
        raise SubstitutionError(f"the default of {name} holds a reference of its own, which is not possible")
    return environ.get(name) or default


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:30] + "…")


def _substituted_in_quotes(line: str, environ: Mapping[str, str]) -> str:
    """The line with the value of every reference put in so that shlex takes it as a shell takes the expansion."""
    pieces: list[str] = []
    quote, position = "", 0
    while position < len(line):
        piece = _NEXT_PIECE[quote].match(line, position)
        assert piece is not None
        if piece["reference"]:
            reference = _REFERENCE.match(line, position)
            assert reference is not None
            pieces.append(_quoted(_value(reference, environ), quote))
            position = reference.end()
            continue
        if piece["quote"]:
            quote = "" if quote else piece["quote"]
        pieces.append(piece.group())
        position = piece.end()
    return "".join(pieces)


def _quoted(value: str, quote: str) -> str:
    match quote:
        case "'":
            return value.replace("'", "'\"'\"'")
        case '"':
            return re.sub(r'([\\"])', r"\\\1", value)
        case _:
            return re.sub(r"([\\'\"])", r"\\\1", value)
