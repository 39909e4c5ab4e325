"""Ready by sd_notify(3): READY=1 in a datagram to the socket that NOTIFY_SOCKET names.

Each life has a socket of its own, so that nobody speaks for another one, or for its own successor. It has an abstract
address (unix(7)): there is nothing to clean up, and a worker of any user can reach it, though only in the daemon's own
network namespace. Anybody else there can, too; hence the kernel is asked who sent it (SCM_CREDENTIALS): a user that the
worker is, ours, root, or, whoever it is, a process of the worker's session. As soon as a sender has ended only its user
is known, and who is the same user could do to the worker whatever he likes.

Afterwards the socket stays: what is sent to one that is closed fails, and what nobody reads makes the worker wait.
STATUS is what is in its way, as long as it is not ready; other words mean nothing here. Descriptors that are sent are
closed by the kernel, as there is no room for them (so that BARRIER=1 works).
"""

import os
import socket
import struct
from collections.abc import Collection

from procsup.runtime import procfs
from procsup.runtime.loop import READ, Loop
from procsup.runtime.probes.probe import Verdict

_LONGEST = 4096
_FAIR = 16
"""Datagrams at a time."""

_CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid: struct ucred, unix(7)."""


class Notifications:
    """Owns the socket. `word` is what the worker's environment says of it."""

    def __init__(self, loop: Loop, verdict: Verdict) -> None:
        """Raises:
        OSError: no descriptor left.
        """
        self._loop = loop
        self._verdict = verdict
        self._worker = 0
        self._is_over = False
        self._is_watched = False
        name = f"procsup/ready/{os.urandom(16).hex()}".encode()
        self.word = b"NOTIFY_SOCKET=@" + name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(b"\0" + name)
        except OSError:
            self._socket.close()
            raise

    def begin(self, pid: int) -> None:
        self._worker = pid
        try:
            self._loop.watch(self._socket.fileno(), READ, lambda mask: self._hear())
            self._is_watched = True
        except OSError:
            self._verdict.not_yet("the kernel lets us watch no more")

    def last_look(self) -> None:
        if self._is_watched:
            self._hear()

    def stop(self) -> None:
        self._is_over = True

    def close(self) -> None:
        self.stop()
        if self._is_watched:
            self._is_watched = False
            self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _hear(self) -> None:
        for _ in range(_FAIR):
            try:
                said, ancillary, _, _ = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(_CREDENTIALS.size))
            except OSError:  # nothing more
                return
            if not self._is_over and self._may_speak(ancillary):
                self._understand(said.split(b"\n"))

    def _understand(self, words: Collection[bytes]) -> None:
        if b"READY=1" in words:
            self._verdict.ready()
            return
        for word in words:
            if word.startswith(b"STATUS="):
                self._verdict.not_yet(word.removeprefix(b"STATUS=").decode("utf-8", "backslashreplace"))

    def _may_speak(self, ancillary: list[tuple[int, int, bytes]]) -> bool:
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid, uid, _ = _CREDENTIALS.unpack(content)
                return uid in (0, os.getuid()) or uid in procfs.users_of(self._worker) or self._is_of_worker(pid)
        return False

    def _is_of_worker(self, pid: int) -> bool:
        stat = procfs.stat_of(pid)
        return stat is not None and stat.session == self._worker
