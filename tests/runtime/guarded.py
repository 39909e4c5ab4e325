"""A guardian whose daemon is a few lines of Python, for tests of what guardian and daemon are to each other.

    with Guarded("say('hello')\\nreturn 7") as guarded:
        assert guarded.line() == "hello"
        assert guarded.wait() == 7

The lines find `link`, as every daemon does, `say` and `hear`, which write and read a line, and the modules os, signal
and sys. `before` is what the guardian does before it becomes one.
"""

import os
import select
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Self

import pytest

from tests.kit import processes
from tests.kit.processes import Process
from tests.kit.wait import DEADLINE
from tests.runtime.test_chaos import can_unshare

INSIDE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Process 1 of a pid namespace of its own."""

in_a_namespace = pytest.mark.skipif(not can_unshare(), reason="no new pid namespace can be had here")

_PROGRAM = """
import os, signal, sys
from procsup.runtime.guardian import guard

def say(text):
    os.write(1, f"{text}\\n".encode())

def hear():
    text = b""
    while not text.endswith(b"\\n"):
        text += os.read(0, 1)
    return text.decode().strip()

"""


class Guarded:
    """`inside` runs the interpreter. Arguments of Popen may follow. All are gone at its end."""

    def __init__(
        self,
        work: str,
        before: str = "",
        inside: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **popen: Any,
    ) -> None:
        self.mark = f"KIT_MARK={uuid.uuid4().hex}"
        guard = f"{_PROGRAM}{before}\ndef work(link):\n{textwrap.indent(work, '    ')}\nsys.exit(guard(work))\n"
        self._popen = subprocess.Popen(
            [*inside, sys.executable, "-P", "-c", guard],
            env={**os.environ, **(env or {}), **dict([self.mark.split("=")])},
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen},
        )
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._popen.kill()
        self._popen.wait()
        processes.kill_all(self.everybody)
        for stream in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        """The guardian's, or that of what it was started `inside`."""
        return self._popen.pid

    def everybody(self) -> list[Process]:
        return processes.carrying(self.mark)

    def line(self) -> str:
        """The next one that the daemon says."""
        assert self._popen.stdout is not None
        while b"\n" not in self._unread:
            assert select.select([self._popen.stdout], (), (), DEADLINE)[0], "the daemon says nothing"
            said = os.read(self._popen.stdout.fileno(), 65536)
            assert said, f"the daemon has ended: {self.complaints()}"
            self._unread += said
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def say(self, text: str) -> None:
        """To the daemon."""
        assert self._popen.stdin is not None
        os.write(self._popen.stdin.fileno(), f"{text}\n".encode())

    def send_signal(self, number: int) -> None:
        """To the guardian."""
        self._popen.send_signal(number)

    def wait(self) -> int:
        """For the guardian's end: its status, or the negative number of the signal that killed it."""
        return self._popen.wait(DEADLINE)

    def complaints(self) -> str:
        """What was written to standard error, once nobody holds that any more."""
        assert self._popen.stderr is not None
        assert select.select([self._popen.stderr], (), (), DEADLINE)[0], "somebody lives on"
        complaints: bytes = self._popen.stderr.read()
        return complaints.decode()


NUMBERS_HEARD = """
signals = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
say("ready")
while (number := signal.sigwait(signals)) != signal.SIGQUIT:
    say(number)
return 0
"""
"""A daemon that says the number of every signal it gets, until that is QUIT."""
