"""The text of a file, of a tree or of an environment, as far as it can be had.

A file is opened without waiting and must be a regular one, so that a named pipe cannot hang the daemon at a reload. For
root it must be one that only its owner may write: it says what root does.
"""

import os
import shlex
import stat

from procsup.config.place import Place, Rejected


class Unreadable(Exception):
    """The file cannot be read. The message says why; `found` and `expected` are as in a complaint."""

    def __init__(self, why: str, found: str = "", expected: str = "") -> None:
        super().__init__(why)
        self.found = found
        self.expected = expected


def read_text(whole: Place, largest: int) -> str:
    """The text of the document of `whole`, without byte order mark. `largest` is in bytes.

    Raises:
        Unreadable: nobody has complained yet; the caller knows where.
        Rejected: the file is not UTF-8.
    """
    content, state = _content(whole.document.file, largest)
    if whole.reading.privileged:
        _check_writers(whole, state)
    return _decoded(whole, content)


def _content(file: str, largest: int) -> tuple[bytes, os.stat_result]:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            state = os.fstat(fd)
            _check_kind(state)
            _check_size(state.st_size, largest)
            with open(fd, "rb", closefd=False) as stream:
                content = stream.read(largest + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise Unreadable(error.strerror or "unknown error") from None
    except ValueError:
        raise Unreadable("its name holds a NUL character") from None
    _check_size(len(content), largest)  # it may have grown, and a file of /proc never tells
    return content, state


def _check_kind(state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise Unreadable("it is a folder", expected="a text file")
    if not stat.S_ISREG(state.st_mode):
        raise Unreadable("it is a pipe, a socket or a device", expected="a regular file")


def _check_size(size: int, largest: int) -> None:
    if size > largest:
        raise Unreadable("it is too large", f"{size} bytes", f"at most {largest // 2**20} MiB")


def _check_writers(whole: Place, state: os.stat_result) -> None:
    match bool(state.st_mode & stat.S_IWGRP), bool(state.st_mode & stat.S_IWOTH):
        case True, True:
            who, mode = "its group and everybody else", "go-w"
        case True, False:
            who, mode = "its group", "g-w"
        case False, True:
            who, mode = "everybody", "o-w"
        case _:
            return
    whole.complain(
        f"{who} may write this file, and root would run what it says",
        found=f"mode {stat.S_IMODE(state.st_mode):04o}",
        expected="a file that only its owner may write",
        hint=f"run: chmod {mode} {shlex.quote(whole.document.file)}",
    )


def _decoded(whole: Place, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        whole.on(content.count(b"\n", 0, error.start) + 1).complain(
            "the file is not UTF-8",
            found=f"byte 0x{content[error.start]:02x}",
            expected="a text file in UTF-8",
            hint="it looks like UTF-16: save it as UTF-8" if is_utf16 else "",
        )
        raise Rejected from None
