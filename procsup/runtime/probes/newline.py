"""Ready by a newline on a descriptor of the worker, a pipe, as s6-notifywhenup. Our end is closed after that, so the
worker should close its own too. What precedes the newline means nothing.
"""

import os

from procsup.runtime.loop import READ, Loop
from procsup.runtime.probes.probe import Verdict

_PIECE = 4096


class Newlines:
    """Owns our end of the pipe. `theirs` is the worker's, for the caller to close."""

    def __init__(self, loop: Loop, number: int, verdict: Verdict) -> None:
        """Raises:
        OSError: no descriptor left.
        """
        self._loop = loop
        self._number = number
        self._verdict = verdict
        self._ours, self.theirs = os.pipe2(os.O_CLOEXEC)
        self._is_watched = False
        os.set_blocking(self._ours, False)

    def begin(self, pid: int) -> None:
        try:
            self._loop.watch(self._ours, READ, lambda mask: self._hear())
            self._is_watched = True
        except OSError:
            self._verdict.not_yet("the kernel lets us watch no more")

    def last_look(self) -> None:
        if self._is_watched:
            self._hear()

    def stop(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.forget(self._ours)

    def close(self) -> None:
        self.stop()
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def _hear(self) -> None:
        try:
            said = os.read(self._ours, _PIECE)
        except BlockingIOError:
            return
        if b"\n" in said:
            self._verdict.ready()
            self.close()
        elif not said:
            self._verdict.not_yet(f"it has closed descriptor {self._number} without a newline")
            self.close()
