"""A daemon that is two pipes: the test says what it says, and sees what a worker says to it.

with FakeDaemon("attach(); ready(); receive()") as daemon:
    assert daemon.next() == {"type": "ready"}
"""

import json
import os
import select
import subprocess
import sys
from typing import Any, Self

from tests.kit.wait import DEADLINE

Json = dict[str, Any]


class FakeDaemon:
    """Runs a program as its one worker, named kingdom/lab/spy. Nothing outlives the `with`."""

    def __init__(self, source: str) -> None:
        mailbox, self.mailbox = os.pipe()
        self.outbox, outbox = os.pipe()
        self._unread = b""
        self.worker = subprocess.Popen(
            [sys.executable, "-c", "from procsup.worker import *\nimport os, sys, time\n" + source],
            env={
                **os.environ,
                "PROCSUP_NAME": "kingdom/lab/spy",
                "PROCSUP_MAILBOX_FD": str(mailbox),
                "PROCSUP_OUTBOX_FD": str(outbox),
            },
            pass_fds=(mailbox, outbox),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(mailbox)
        os.close(outbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.worker.kill()
        self.worker.communicate()
        self.hang_up()
        os.close(self.outbox)

    def say(self, **message: Any) -> None:
        self.say_line(json.dumps(message).encode())

    def say_line(self, line: bytes) -> None:
        os.write(self.mailbox, line + b"\n")

    def next(self) -> Json:
        """The next message of the worker, waited for; {} when it has closed its outbox."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self.outbox], (), (), DEADLINE)
            assert ready, f"the worker says nothing; unread: {self._unread!r}"
            piece = os.read(self.outbox, 65536)
            if not piece:
                return {}
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        message: Json = json.loads(line)
        return message

    def hang_up(self) -> None:
        if self.mailbox >= 0:
            os.close(self.mailbox)
            self.mailbox = -1

    def end(self) -> tuple[int, str, str]:
        """Wait for the end of the worker: status, output, errors."""
        out, err = self.worker.communicate(timeout=DEADLINE)
        return self.worker.returncode, out, err
