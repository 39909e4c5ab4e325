"""The journal of systemd, as a worker's output: a socket that the worker itself writes to, so that nothing is pumped.

Before the log lines journald wants to know, in seven lines, whose they are: the protocol of sd_journal_stream_fd(3) and
of `StandardOutput=journal`, systemd.exec(5). As systemd does it for its services: one connection for stdout and stderr,
both of priority "info"; a line that begins with "<3>" says its own (sd-daemon(3)).
"""

import os
import socket

SOCKET = "/run/systemd/journal/stdout"

_INFO = 6


def connect(identifier: str, path: str = SOCKET) -> int:
    """A descriptor to write lines to; `journalctl -t IDENTIFIER` shows them.

    Raises:
        OSError: no journald listens there, or it hangs.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as journal:
        journal.setblocking(False)  # a full queue of connections is an error, not a wait
        journal.connect(path)
        journal.sendall(_header(identifier))
        journal.shutdown(socket.SHUT_RD)
        journal.setblocking(True)
        return journal.detach()


def _header(identifier: str) -> bytes:
    unit = ""
    is_prefixed, to_syslog, to_kmsg, to_console = 1, 0, 0, 0
    lines = (identifier, unit, _INFO, is_prefixed, to_syslog, to_kmsg, to_console)
    return os.fsencode("".join(f"{line}\n" for line in lines))
