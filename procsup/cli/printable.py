"""Text that is safe to show on a terminal.

What a worker wrote, or what it is named, may hold escape sequences that move the cursor, hide a line or rename the
window, and characters that turn the writing direction. None of them reaches the terminal: they are shown as escapes.
"""

import unicodedata


def printable(text: str) -> str:
    """One line with every character that does not print written as an escape (\\x1b, \\u202e); tabs become spaces, a
    byte that was not UTF-8 becomes \\xNN."""
    if text.isprintable():
        return text
    text = text.expandtabs(8)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def printable_line(line: bytes) -> str:
    """A line that a program wrote, without its end, which may be that of a teletype."""
    return printable(line.removesuffix(b"\r").decode("utf-8", "surrogateescape"))


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more)"


def columns(text: str) -> int:
    """How many columns of a terminal printable `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(c) for c in text)


def padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def cut(text: str, width: int) -> str:
    """At most `width` columns of `text`, the last one "…" when something was cut off."""
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return text + "…" if width > 0 else ""


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
