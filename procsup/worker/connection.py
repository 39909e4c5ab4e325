"""The process's end of the stream to the node. The words are explained in node.py."""

import os
from _socket import SCM_RIGHTS, SOL_SOCKET, socket
from collections.abc import Callable
from functools import partial
from struct import Struct

from procsup.worker import frames
from procsup.worker.mailbox import Letter, Mailbox
from procsup.worker.parcel import Reason, unwrap, unwrap_reason, wrap, wrap_reason
from procsup.worker.signals import Held
from procsup.worker.values import Exit, Exited, Pid

_PIECE = 65536
_NUMBER, _TWO = Struct("<i"), Struct("ii")


class Connection:
    """Owns the stream and, of a process that was spawned, the tie; the lifeline is passed on from parent to child
    (spawn.py). `reap` is called with the number of a child that is a zombie.
    """

    def __init__(
        self, stream: socket, lifeline: int, tie: int | None, mailbox: Mailbox, reap: Callable[[int], None]
    ) -> None:
        self.fd = stream.fileno()
        self.lifeline = lifeline
        self._tie = tie
        self.children: set[int] = set()
        """Numbers of those that are not reaped"""
        self.process: int | None = None
        """In the script, the number of the node, which is its child"""
        self._stream = stream
        self._mailbox = mailbox
        self._reap = reap
        self._decoder = frames.Decoder()

    @property
    def is_open(self) -> bool:
        return self._stream.fileno() >= 0

    def close(self) -> None:
        """Not the lifeline."""
        self._stream.close()
        if self._tie is not None:
            os.close(self._tie)
            self._tie = None

    # What the node says

    def read(self) -> None:
        try:
            piece = self._stream.recv(_PIECE)
        except ConnectionResetError:  # it ended before it had read all
            piece = b""
        for head, body in self._decoder.feed(piece):
            self._take(head, body)
        if not piece:
            self._mailbox.cut_off(self)
            self.close()
            for number in list(self.children):  # nobody will say it any more; they end with the node
                self._take(("reap", number), b"")

    def _take(self, head: frames.Head, body: bytes) -> None:
        mailbox = self._mailbox
        match head:
            case ("message",):
                mailbox.put(Letter(partial(unwrap, body)))
            case ("answer", ref):
                mailbox.put_answer(ref, partial(unwrap, body))
            case ("reap", number):
                self.children.discard(number)
                self._reap(number)
            case ("DOWN", ref, who, reason):
                mailbox.put_down(ref, Pid(*who), partial(unwrap_reason, reason))
            case ("EXIT", sender, reason):
                mailbox.put(Letter(partial(_exited, sender, reason)))
            case ("task", number, name):
                mailbox.put_task(number, name)
            case ("done", request, result):
                mailbox.put_result(request, result)
            case ("exit", reason):
                mailbox.interrupt(unwrap_reason(reason))

    # What the process says

    def send(self, to: Pid, message: object) -> None:
        self._write(("message", tuple(to)), wrap(message))

    def answer(self, to: Pid, ref: int, value: object) -> None:
        self._write(("answer", tuple(to), ref), wrap(value))

    def send_later(self, timer: int, to: Pid, seconds: float, message: object) -> None:
        self._write(("later", timer, tuple(to), seconds), wrap(message))

    def cancel(self, timer: int) -> float | None:
        left: float | None = self._mailbox.ask(lambda request: self._write(("cancel", request, timer)))
        return left

    def link(self, to: Pid) -> bool:
        """Whether it lives."""
        is_there: bool = self._mailbox.ask(lambda request: self._write(("link", request, tuple(to))))
        return is_there

    def unlink(self, to: Pid) -> None:
        self._mailbox.ask(lambda request: self._write(("unlink", request, tuple(to))))

    def is_alive(self, whom: Pid) -> bool:
        is_alive: bool = self._mailbox.ask(lambda request: self._write(("alive", request, tuple(whom))))
        return is_alive

    def monitor(self, ref: int, to: Pid) -> None:
        self._write(("monitor", ref, tuple(to)))

    def demonitor(self, ref: int) -> None:
        self._write(("demonitor", ref))

    def traps(self, flag: bool) -> None:
        self._write(("traps", flag))

    def signal(self, to: Pid, reason: object) -> None:
        self._write(("signal", tuple(to), wrap_reason(reason)))

    def task(self, number: int, name: str) -> None:
        self._write(("task", number, name))

    def exit(self, reason: object) -> None:
        self._write(("exit", wrap_reason(reason)))

    def announcement(self, born: int, peers: tuple[Pid, ...], ref: int | None) -> bytes:
        """What `announce` sends, as far as it is known before the fork. After that, every page that is written to is
        first copied, and there should be little left to do.
        """
        return frames.encode_begin(("spawned", born, tuple(map(tuple, peers)), ref), _NUMBER.size)

    def announce(self, announcement: bytes, number: int, stream: socket, pidfd: int) -> None:
        """Tell the node of a child. Called with signals held.

        Raises:
            OSError: it cannot be told.
        """
        descriptors = [(SOL_SOCKET, SCM_RIGHTS, _TWO.pack(stream.fileno(), pidfd))]
        self._stream.sendmsg((announcement, _NUMBER.pack(number)), descriptors)
        self.children.add(number)

    def _write(self, head: frames.Head, body: bytes = b"") -> None:
        """The node always reads, so this waits only as long as the bytes take.

        Raises:
            Exit: "noconnection": the node is gone.
        """
        with Held():
            try:
                self._stream.sendall(frames.encode(head, body))
            except OSError:  # closed on this side or on the other
                raise Exit("noconnection") from None


def _exited(sender: tuple[int, int], reason: Reason) -> Exited:
    return Exited(Pid(*sender), unwrap_reason(reason))
