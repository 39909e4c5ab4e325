"""Why the daemon cannot run, and how guardian and daemon say so themselves. Imports nothing heavy."""

import contextlib
import os
import select


class CannotRun(Exception):
    """`message` reads `cannot <verb> <what>: <why>`, and what to do; `status` is the daemon's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def complain(text: str) -> None:
    """Write `procsup: text` to standard error, if that takes it at once: whoever writes has more urgent things to do
    than to wait for a terminal that is paused, or to die with one that is gone.
    """
    with contextlib.suppress(OSError):
        poll = select.poll()
        poll.register(2, select.POLLOUT)
        if poll.poll(0):
            os.write(2, f"procsup: {text}\n".encode("utf-8", "backslashreplace"))
