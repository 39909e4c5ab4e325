"""The writers (writer.c): what they write, and the gate that lets all of them go at once."""

import os
from pathlib import Path
from typing import Self

KINDS = (("lines", 100), ("blocks", 65536))
"""Bytes of one write(2): a line each, as programs do that flush every line, or as much as a pipe holds."""


class Gate:
    """A FIFO. Whoever opens it to read waits until it is open."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._fd = -1
        os.mkfifo(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)  # never blocks, while O_WRONLY waits for a reader
