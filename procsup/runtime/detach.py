"""Detaching: the daemon goes on in the background, and whoever called returns when the tree is up.

Guardian and daemon are below a fork of the caller, in sessions of their own. The daemon complains about its file where
the caller does (the file may be one of the caller's descriptors, too); then it lets go of the terminal, and of whatever
else the caller had open, for a log file. It tells the caller over a pipe where that is, and that the tree is up; if it
ends before that, the guardian's exit status tells, and the log has the story.
"""

import contextlib
import json
import os
from collections.abc import Callable

from procsup.runtime.failure import CannotRun
from procsup.runtime.guardian import Link, speak_through
from procsup.runtime.inheritance import close_all_but
from procsup.runtime.lock import make_folder
from procsup.runtime.logfile import open_log
from procsup.runtime.wait import wait_for


class Caller:
    """Whoever waits for the tree to be up. Owns the write end of the pipe to it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def let_go(self, log_path: str, link: Link) -> None:
        """Nothing that the caller had open is left to this process and to its guardian; standard error is the log.

        Raises:
            CannotRun: 73; the log cannot be made.
        """
        make_folder(os.path.dirname(log_path), "the daemon's log")
        try:
            log = open_log(log_path)
        except OSError as error:
            raise CannotRun(f"cannot write the log {log_path!r}: {error.strerror}", 73) from None
        self._tell({"log": log_path, "begin": os.fstat(log).st_size})
        link.speak_through(log)
        speak_through(log)
        close_all_but((self._pipe, link.fileno()))

    def is_up(self) -> None:
        """The tree is: the caller may go."""
        self._tell({"up": True})
        os.close(self._pipe)

    def _tell(self, words: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # it has been interrupted and waits no more
            os.write(self._pipe, json.dumps(words).encode() + b"\n")


def in_background(work: Callable[[Caller], int]) -> int:
    """Run `work` in the background. In the caller: 0 once the tree is up, or the status with which it ended before,
    after what it wrote to its log was written to standard error. In the background it returns what `work` does.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os.setsid()
        return work(Caller(tell))
    os.close(tell)
    words: dict[str, object] = {}
    with open(told, "rb") as pipe:
        for line in pipe:
            words |= json.loads(line)
            if "up" in words:
                return 0
    status = wait_for(pid)
    if "log" in words:
        os.write(2, _story(str(words["log"]), int(str(words["begin"]))))
    return status


def _story(log_path: str, begin: int) -> bytes:
    with open(log_path, "rb") as log:
        log.seek(begin)
        return log.read(1024 * 1024)
