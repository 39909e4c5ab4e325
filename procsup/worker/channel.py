"""The channel: a worker's two pipes to the daemon. The messages on them are described in procsup/wire/messages.py.

`attach` takes them over: the environment names their descriptors, and it is cleaned, so that no program that this one
executes mistakes other descriptors for them. A process that is spawned later does not have the channel.
"""

import os
import select
import sys
from contextlib import suppress
from functools import partial
from typing import Any

from procsup.wire.messages import TO_WORKER, Json, encode, parse
from procsup.worker.mailbox import Letter, Mailbox, mine
from procsup.worker.signals import Held
from procsup.worker.values import Exit, Exited, Message, NoChannel, Refused

_PIECE = 65536


def attach() -> None:
    """Take over the channel to the daemon; again does nothing.

    Raises:
        NoChannel: the environment names none.
    """
    box = mine()
    if box.channel is None:
        channel = Channel(_descriptor("PROCSUP_MAILBOX_FD"), _descriptor("PROCSUP_OUTBOX_FD"), box)
        for name in ("PROCSUP_MAILBOX_FD", "PROCSUP_OUTBOX_FD"):
            del os.environ[name]
        box.channel = channel
        box.connect(channel)


def ready() -> None:
    """Tell the daemon that this worker is ready (with ready = "channel").

    Raises:
        NoChannel: this process has not attached.
    """
    channel = mine().channel
    if channel is None:
        raise NoChannel("cannot be ready: this process has no channel to a daemon; has it called attach()?")
    channel.ready()


def _descriptor(name: str) -> int:
    text = os.environ.get(name)
    if text is None:
        raise NoChannel(
            f"cannot attach: {name} is not set; does procsup run this program as a worker, with channel = true?"
        )
    try:
        number = int(text)
        os.set_inheritable(number, False)
    except (ValueError, OSError) as error:
        raise NoChannel(f"cannot attach: {name} is {text!r}, which is no open descriptor: {error}") from None
    return number


class Channel:
    """Owns the two descriptors; `fd` is that of the mailbox. Neither blocks."""

    def __init__(self, fd: int, outbox: int, mailbox: Mailbox) -> None:
        self.fd = fd
        self._outbox = outbox
        self._mailbox = mailbox
        self._supervisor = os.environ.get("PROCSUP_NAME", "").rpartition("/")[0].rpartition("/")[2]
        self._unread = b""
        self._unwritten = bytearray()
        self._is_open = True
        self._room = select.poll()
        self._room.register(outbox, select.POLLOUT)
        os.set_blocking(fd, False)
        os.set_blocking(outbox, False)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self.fd)
            os.close(self._outbox)

    # What the daemon says

    def read(self) -> None:
        piece = os.read(self.fd, _PIECE)
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            try:
                message = parse(line, TO_WORKER)
            except ValueError as error:  # of a newer daemon, perhaps
                with suppress(AttributeError, OSError, ValueError):  # there may be no standard error
                    sys.stderr.write(f"procsup: {error}\n")
            else:
                self._take(message)
        if not piece:
            self._mailbox.cut_off(self)
            self.close()

    def _take(self, message: Json) -> None:
        mailbox = self._mailbox
        match message["type"]:
            case "message":
                mailbox.put(Letter(partial(Message, message["from"], message["body"])))
            case "exit":
                mailbox.put(Letter(partial(Exited, message["from"], message["reason"])))
            case "shutdown":
                mailbox.put(Letter(partial(Exited, self._supervisor, "shutdown")))
            case "down":
                mailbox.put_down(message["ref"], message["name"], partial(str, message["reason"]))
            case "reply":
                mailbox.put_result(message["id"], message)

    # What the process says

    def ready(self) -> None:
        self._write({"type": "ready"})

    def send(self, to: str, body: object) -> None:
        self._write({"type": "send", "to": to, "body": body})

    def link(self, name: str) -> bool:
        """Whether it runs."""
        return bool(self.ask("link", name=name))

    def unlink(self, name: str) -> None:
        self.ask("unlink", name=name)

    def whereis(self, name: str) -> int | None:
        pid: int | None = self.ask("whereis", name=name)
        return pid

    def monitor(self, ref: int, name: str) -> None:
        self._write({"type": "monitor", "ref": ref, "name": name})

    def demonitor(self, ref: int) -> None:
        """What has come of it already is thrown away by the mailbox, when it is read."""
        self._write({"type": "demonitor", "ref": ref, "flush": True})

    def traps(self, flag: bool) -> None:
        self._write({"type": "trap_exits", "on": flag})

    def ask(self, what: str, **parameters: object) -> Any:
        """The result.

        Raises:
            Refused: the answer is an error.
        """
        reply = self._mailbox.ask(lambda request: self._write({"type": what, "id": request, **parameters}))
        if "error" in reply:
            error, whom = reply["error"], next(iter(parameters.values()))
            raise Refused(error["kind"], f"cannot {what} {whom!r}: the daemon says {error['message']}")
        return reply.get("result")

    def _write(self, message: Json) -> None:
        """Waits as long as the pipe is full; what a signal's handler interrupts is completed by the next write.

        Raises:
            Exit: "noconnection": the daemon is gone.
        """
        line = encode(message)
        self._write_some(line)
        while self._unwritten:
            self._room.poll()
            self._write_some(b"")

    def _write_some(self, line: bytes) -> None:
        with Held():
            if not self._is_open:
                raise Exit("noconnection")
            self._unwritten += line
            try:
                del self._unwritten[: os.write(self._outbox, self._unwritten)]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                raise Exit("noconnection") from None
