"""Ready by a line of captured output in which a regular expression is found.

The output's own reader (output.py) passes on what it reads, in small pieces as long as somebody listens. Of each line
the beginning is looked at, up to _LONGEST bytes, for what an expression costs may grow with the square of that.
"""

import re
from collections.abc import Callable
from typing import Final

from procsup.runtime.output import Outputs
from procsup.runtime.probes.probe import Verdict

_LONGEST: Final = 1024


class Lines:
    """Listens from before the spawn on: what a worker writes may come sooner than the word that it was executed."""

    def __init__(self, outputs: Outputs, life: int, pattern: str, verdict: Verdict) -> None:
        self._outputs = outputs
        self._life = life
        self._pattern = re.compile(pattern)
        self._verdict = verdict
        self._has_begun = False
        self._is_found = False
        outputs.listen(life, lambda: _Listener(self._pattern, self._find).hear)

    def begin(self, pid: int) -> None:
        self._has_begun = True
        if self._is_found:
            self._verdict.ready()

    def last_look(self) -> None:
        self._outputs.drain(self._life)

    def stop(self) -> None:
        self._has_begun = False
        self._outputs.listen(self._life, None)

    def close(self) -> None:
        self.stop()

    def _find(self) -> None:
        is_first = not self._is_found
        self._is_found = True
        if is_first and self._has_begun:
            self._verdict.ready()


class _Listener:
    """Of one pipe."""

    def __init__(self, pattern: re.Pattern[str], find: Callable[[], None]) -> None:
        self._pattern = pattern
        self._find = find
        self._begun = b""

    def hear(self, piece: bytes) -> None:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            if self._is_it((self._begun + line)[:_LONGEST]):
                self._find()
                return
            self._begun = b""
        self._begun = (self._begun + rest)[:_LONGEST]

    def _is_it(self, line: bytes) -> bool:
        return self._pattern.search(line.removesuffix(b"\r").decode("utf-8", "backslashreplace")) is not None
