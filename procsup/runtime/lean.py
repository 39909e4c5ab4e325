"""A thread with a table of descriptors of its own, to spawn from.

Every spawn copies the caller's table of descriptors and closes the copy again, so that one from a daemon with 17,000
descriptors (two for each of 8,500 workers) costs milliseconds. A thread that has given up sharing the table
(unshare(2), CLONE_FILES) and closed what it does not need copies next to nothing; its children are the daemon's own.

What it is to use is sent to it. It sees the same memory, so what it is to do need not be. It takes signals like any
thread, and the interpreter's handler writes to a descriptor by its number: so that one stays open in its table too.
"""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from procsup.runtime import seats
from procsup.runtime.passing import receive_descriptors, send_descriptors
from procsup.runtime.syscalls import unshare_descriptors

_MOST: Final = 8
_HIGHEST: Final = 1 << 20


class LeanThread:
    """`keep` are the descriptors that it has under their numbers, besides the first three."""

    def __init__(self, keep: Iterable[int]) -> None:
        """Raises:
        OSError: the kernel does not let it have a table of its own.
        RuntimeError: there can be no more threads.
        """
        self._job: Callable[[list[int]], int] = len
        self._result: int | BaseException = 0
        self._ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = sorted({0, 1, 2, its.fileno(), *(fd for fd in keep if fd >= 0)})
        thread = threading.Thread(target=self._work, args=(its.fileno(), kept), daemon=True)
        with its:  # the thread has its own copy once it has answered
            try:
                thread.start()
                self._take_result()
            except (OSError, RuntimeError):
                self.close()
                if thread.ident is not None:  # it ends
                    thread.join()
                raise

    def call(self, job: Callable[[list[int]], int], fds: Sequence[int]) -> int:
        """Have it call `job` with its own copies of the descriptors, and wait; what the job returns.

        Raises:
            what the job raises; OSError: the descriptors cannot be sent, or the thread has ended.
        """
        self._job = job
        send_descriptors(self._ours, b"!", fds)
        return self._take_result()

    def close(self) -> None:
        """The thread ends."""
        self._ours.close()

    def _take_result(self) -> int:
        if not self._ours.recv(1):
            raise BrokenPipeError(errno.EPIPE, "the lean thread has ended")
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def _work(self, its: int, kept: list[int]) -> None:
        try:
            unshare_descriptors()
        except OSError as error:
            self._result = error
            os.write(its, b".")
            return
        for below, above in zip(kept, [*kept[1:], _HIGHEST], strict=True):
            os.closerange(below + 1, above)
        seats.occupy()
        with socket.socket(fileno=its) as orders:
            self._obey(orders)

    def _obey(self, orders: socket.socket) -> None:
        while True:
            orders.send(b".")
            word, fds = receive_descriptors(orders, _MOST)
            if not word:
                return
            try:
                self._result = self._job(fds)
            except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that waits
                self._result = error
            for fd in fds:
                os.close(fd)
