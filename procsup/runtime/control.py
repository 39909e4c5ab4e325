"""The control socket: clients, their lines in and their lines out. What the lines mean is api.py's business.

Laws: no client can make the daemon wait, grow or fall. A line has at most MAX_REQUEST bytes; a client that sends more
is told so and cut off. A client that does not read its answers is not read from either, and one that subscribed to
events and falls behind by more than MAX_BACKLOG is cut off. One that has closed its writing side still gets its
answers. Only root and the daemon's own user may speak; the socket is 0600 besides.
"""

import contextlib
import errno
import os
import socket
import stat
import struct
from collections.abc import Callable

from procsup.runtime.failure import CannotRun
from procsup.runtime.loop import ERROR, HANG_UP, READ, WRITE, Loop
from procsup.wire.jsonrpc import MAX_REQUEST, Failure, encode_failure

MAX_BACKLOG = 1024 * 1024
"""Bytes of unread answers from which on a client is not read from, or, if it only listens, is cut off."""
MAX_CLIENTS = 512
FAIR = 8
"""Lines of one client in one turn."""
_CHUNK = 65536


class Client:
    """One connection. Owns its socket. `is_open` turns False once, for ever. `pending` counts its calls that wait."""

    def __init__(self, loop: Loop, sock: socket.socket, take: "Take", on_close: Callable[["Client"], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._take = take
        self._on_close = on_close
        self._in = bytearray()
        self._searched = 0
        self._out = bytearray()
        self._mask = READ
        self._has_ended = False
        """It says nothing more, or nothing that we would listen to."""
        self._is_taking = False
        self._is_waiting_its_turn = False
        self.is_open = True
        self.is_subscribed = False
        self.pending = 0
        loop.watch(sock.fileno(), READ, self._ready)

    def send(self, line: bytes) -> None:
        """Send, or keep until the client reads. Never blocks."""
        if not self.is_open:
            return
        self._out += line
        if not self._is_taking:
            self._flush()
            self._wait_or_close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._loop.forget(self._sock.fileno())
            self._sock.close()
            self._on_close(self)

    @property
    def uid(self) -> int:
        """Whose process connected. SO_PEERCRED, unix(7)."""
        return _uid_of(self._sock)

    @property
    def has_unsent(self) -> bool:
        return self.is_open and bool(self._out)

    def _ready(self, mask: int) -> None:
        if mask & (HANG_UP | ERROR) and self._has_ended:
            self.close()
            return
        if (mask & READ or mask & HANG_UP) and len(self._in) <= MAX_REQUEST:
            self._read()
        self._go_on()

    def _go_on(self) -> None:
        """Take some lines, as long as the client takes its answers."""
        if self._is_waiting_its_turn:
            return
        self._is_taking = True
        taken = 0
        while self._flush() and taken < FAIR and self._take_line():
            taken += 1
        self._is_taking = False
        if taken == FAIR:
            self._is_waiting_its_turn = True
            self._loop.soon(self._take_turn)
        else:
            self._wait_or_close()

    def _take_turn(self) -> None:
        self._is_waiting_its_turn = False
        if self.is_open:
            self._go_on()

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._in += data
        self._has_ended = not data

    def _take_line(self) -> bool:
        """Hand over the next whole line. False when there is none."""
        end = self._in.find(b"\n", self._searched)
        if (len(self._in) if end < 0 else end) > MAX_REQUEST:
            self._cut_off()
            return True
        if end < 0:
            self._searched = len(self._in)
            if self._has_ended:  # half a line, and nobody to end it
                self._in.clear()
            return False
        line = bytes(self._in[:end])
        del self._in[: end + 1]
        self._searched = 0
        if line.strip():
            self._take(self, line)
        return True

    def _cut_off(self) -> None:
        """A line without end: say so, and hang up."""
        self._in.clear()
        self._searched = 0
        self._has_ended, self.pending, self.is_subscribed = True, 0, False
        self._out += encode_failure(None, Failure("invalid_request", f"a line may have at most {MAX_REQUEST} bytes"))

    def _flush(self) -> bool:
        """Whether the client takes its answers."""
        try:
            while self.is_open and self._out:
                del self._out[: self._sock.send(memoryview(self._out)[:_CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        return self.is_open and len(self._out) <= MAX_BACKLOG

    def _wait_or_close(self) -> None:
        """Close when all is said, or when a listener has fallen behind; else wait for what there is to wait for."""
        if not self.is_open:
            return
        is_behind = len(self._out) > MAX_BACKLOG
        is_done = self._has_ended and not self._out and not self._in and self.pending <= 0 and not self.is_subscribed
        if is_done or (is_behind and self.is_subscribed):
            self.close()
            return
        want = (WRITE if self._out else 0) | (0 if self._has_ended or is_behind else READ)
        if want != self._mask:
            self._mask = want
            self._loop.change(self._sock.fileno(), want)


Take = Callable[[Client, bytes], None]


class Control:
    """The listening socket and all clients."""

    def __init__(self, loop: Loop, path: str, take: Take, on_close: Callable[[Client], None]) -> None:
        """The caller holds the lock of `path`, so whatever is there is a dead daemon's.

        Raises:
            CannotRun: 73; the socket cannot be made.
        """
        self._loop = loop
        self._path = path
        self._take = take
        self._on_close = on_close
        self._listener = _listen(path)
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.clients: set[Client] = set()
        loop.watch(self._listener.fileno(), READ, self._accept)

    def close(self) -> None:
        """Also removes the socket."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        for client in list(self.clients):
            client.close()
        if self._spare >= 0:
            os.close(self._spare)

    def _accept(self, mask: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._turn_away()
            return
        sock.setblocking(False)
        if not _is_welcome(sock) or len(self.clients) >= MAX_CLIENTS:
            sock.close()
            return
        try:
            self.clients.add(Client(self._loop, sock, self._take, self._has_closed))
        except OSError:
            sock.close()

    def _turn_away(self) -> None:
        """No descriptor is left for the client, and as long as it waits, the loop would not sleep: give up the spare
        one for it, and hang up.
        """
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        with contextlib.suppress(OSError):
            self._listener.accept()[0].close()
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _has_closed(self, client: Client) -> None:
        self.clients.discard(client)
        self._on_close(client)


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if os.path.lexists(path):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise CannotRun(f"cannot listen at {path!r}: something that is not a socket is there; remove it", 73)
            os.unlink(path)
        old = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(old)
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        hint = "; a socket's path has at most 107 bytes, choose another by --socket" if "too long" in why else ""
        raise CannotRun(f"cannot listen at {path!r}: {why}{hint}", 73) from None
    return listener


def _is_welcome(sock: socket.socket) -> bool:
    """Root and our own user."""
    return _uid_of(sock) in (0, os.geteuid())


def _uid_of(sock: socket.socket) -> int:
    """Of the process at the other end. SO_PEERCRED, unix(7)."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return int(uid)
