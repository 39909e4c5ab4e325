"""Descriptors that travel over a socket (unix(7), SCM_RIGHTS). What arrives is close-on-exec, which the standard
library's recv_fds forgets.
"""

import array
import socket
from collections.abc import Sequence


def send_descriptors(through: socket.socket, word: bytes, fds: Sequence[int]) -> None:
    """Raises:
    OSError
    """
    socket.send_fds(through, [word], fds)


def receive_descriptors(through: socket.socket, most: int) -> tuple[bytes, list[int]]:
    """The next word, of at most 64 bytes, b"" when the other end is closed; and what came with it.

    Raises:
        OSError
    """
    fds = array.array("i")
    room = socket.CMSG_LEN(most * fds.itemsize)
    word, ancillary, _, _ = through.recvmsg(64, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return word, list(fds)
