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
_CHUNK = 65536


class Client:
    """One connection. Owns its socket. `is_open` turns False once, for ever. `pending` counts its calls that wait."""

    def __init__(self, loop: Loop, sock: socket.socket, take: "Take", on_close: Callable[["Client"], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._take = take
        self._on_close = on_close
        self._in = bytearray()
        self._out = bytearray()
        self._mask = READ
        self._is_last = False
        self.is_open = True
        self.is_subscribed = False
        self.pending = 0
        loop.watch(sock.fileno(), READ, self._ready)

    def send(self, line: bytes) -> None:
        """Send, or keep until the client reads. Never blocks."""
        if not self.is_open:
            return
        self._out += line
        self._write()
        if self.is_open and self.is_subscribed and len(self._out) > MAX_BACKLOG:
            self.close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._loop.forget(self._sock.fileno())
            self._sock.close()
            self._on_close(self)

    def finish(self) -> None:
        """Close once everything is answered and sent."""
        self._is_last = True
        self._write()

    @property
    def has_unsent(self) -> bool:
        return self.is_open and bool(self._out)

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            self._write()
        if self.is_open and self._is_last and mask & (HANG_UP | ERROR):
            self.close()
        elif self.is_open and mask & ~WRITE:
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.finish()
            return
        searched = len(self._in)
        self._in += data
        if b"\n" in data:
            *lines, rest = bytes(self._in).split(b"\n")
            self._in = bytearray(rest)
            for line in lines:
                if self.is_open and not self._is_last and not self._is_too_long(line) and line.strip():
                    self._take(self, line)
        elif searched + len(data) > MAX_REQUEST:
            self._is_too_long(bytes(self._in))
            self._in.clear()

    def _is_too_long(self, line: bytes) -> bool:
        if len(line) <= MAX_REQUEST:
            return False
        self.pending = 0
        self.send(encode_failure(None, Failure("invalid_request", f"a line may have at most {MAX_REQUEST} bytes")))
        self.finish()
        return True

    def _write(self) -> None:
        try:
            while self._out:
                del self._out[: self._sock.send(memoryview(self._out)[:_CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._is_last and not self._out and not self.pending and not self.is_subscribed:
            self.close()
            return
        want = (WRITE if self._out else 0) | (READ if self._may_speak else 0)
        if want != self._mask:
            self._mask = want
            self._loop.change(self._sock.fileno(), want)

    @property
    def _may_speak(self) -> bool:
        return len(self._out) <= MAX_BACKLOG and not self._is_last


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
        os.close(self._spare)
        with contextlib.suppress(OSError):
            self._listener.accept()[0].close()
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
    """Root and our own user. SO_PEERCRED, unix(7)."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (0, os.geteuid())
