"""The log of a daemon that nobody watches, in place of standard error: bounded by size as the workers' logs are."""

import os
import time
from collections.abc import Callable

from procsup.core.spec import LogSettings
from procsup.runtime.logfile import Log, LogFiles, NotWritten

_STDERR = 2


class DaemonLog:
    """Takes the lines that a PatientWriter takes elsewhere. Standard error leads to the same file, also after this one
    was rotated: for what is not told in lines of ours."""

    def __init__(self, path: str, files: LogFiles) -> None:
        self._files = files
        self._log = Log(path, LogSettings(timestamps=True), "")  # its lines have their time, of a kind
        self._lost_lines = 0

    def write(self, lines: str) -> None:
        """Never raises."""
        if not lines:
            return
        lost = f"... {self._lost_lines} lines not shown: they could not be written\n" if self._lost_lines else ""
        try:
            self._files.append(self._log, (lost + lines).encode("utf-8", "backslashreplace"), time.time())
        except NotWritten:
            self._lost_lines += lines.count("\n")
        else:
            self._lost_lines = 0
            os.dup2(self._files.descriptor(self._log.path), _STDERR)

    def offer(self, count: int, lines: Callable[[], str]) -> None:
        self.write(lines())

    def finish(self, seconds: float) -> None:
        """All has been written."""
