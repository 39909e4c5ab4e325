"""Standard output and standard error: the one place that writes to them, and what they can show.

A reader that leaves (`procsup status | head -1`) ends the command quietly; an output that cannot be written otherwise
is a failure like any other.
"""

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from typing import TextIO

from procsup.cli.exits import CannotDo, ExitStatus


def prepare() -> None:
    """Descriptors 0 to 2 exist from now on, so that no socket of ours becomes one of them; and what cannot be encoded
    is shown as an escape instead of raising."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # Python's way to say that it was closed as we began
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Writes `text`, which ends its own lines, to standard output at once.

    Raises:
        CannotDo: the reader has gone (then there is nothing to print), or the output cannot be written.
    """
    with _output_failures():
        sys.stdout.write(text)
        sys.stdout.flush()


def say_bytes(lines: bytes | bytearray) -> None:
    """As `say`, of bytes in no known encoding."""
    with _output_failures():
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()


def wait_while_read(seconds: float) -> None:
    """Waits so long, with standard output open.

    Raises:
        CannotDo: its reader has gone.
    """
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always told
    if poll.poll(seconds * 1000):
        silence()
        raise CannotDo("", ExitStatus.OUTPUT_CLOSED)


@contextlib.contextmanager
def _output_failures() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        silence()
        raise CannotDo("", ExitStatus.OUTPUT_CLOSED) from None
    except OSError as error:
        silence()
        raise CannotDo(f"cannot write the output: {error.strerror}", ExitStatus.FAILED) from None


def complain(message: str) -> None:
    """Writes `procsup: message` to standard error; where that cannot be written there is nobody to tell."""
    write_error(f"procsup: {message}\n")


def write_error(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO | None = None) -> None:
    """Sends the rest of `stream` (standard output) nowhere. Else the interpreter would try to write it once more as it
    ends, complain, and end with 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, (stream or sys.stdout).fileno())
    except (OSError, ValueError):  # no descriptor stands behind it
        pass
    finally:
        os.close(nowhere)


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal; None when it is none, and lines may be of any length."""
    if not stream.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS", "")) or None
    except ValueError:
        pass
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def can_show(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has these characters."""
    try:
        text.encode(stream.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
