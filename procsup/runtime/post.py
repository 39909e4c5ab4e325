"""The post: what workers say over their channels, and what becomes of it. The messages are described in
procsup/wire/messages.py.

`send` and `whereis` change nothing, so they are done here and at once. Names are looked up in the tree: whoever runs
under the name now gets the message. What concerns links, monitors and readiness becomes an event for the core, and what
the core tells becomes a line.
"""

import functools
from collections.abc import Callable
from typing import assert_never

from procsup.core.calls import Refusal
from procsup.core.child import Child
from procsup.core.events import BecameReady, Requested
from procsup.core.messages import Answer, Down, Exit, Message, Shutdown
from procsup.core.requests import Demonitor, Link, Monitor, Request, TrapExits, Unlink
from procsup.runtime.channels import Channels, OnComplaint
from procsup.runtime.loop import Loop
from procsup.wire.messages import MAX_LINE, Json, encode

Reach = Callable[[str], Child | None]
"""The worker of this name, if it has a process that can be spoken to."""


class Post:
    """Owns the channels. `report` takes the events that are for the core."""

    def __init__(
        self,
        loop: Loop,
        reach: Reach,
        report: Callable[[BecameReady | Requested], None],
        on_complaint: OnComplaint,
    ) -> None:
        self.channels = Channels(loop, self._take, self._pass_on, on_complaint)
        self._reach = reach
        self._report = report

    def tell(self, life: int, message: Message) -> None:
        """What the core has to say to a worker; if it has a channel, it is told."""
        self.channels.tell(life, encode(_in_json(message)))

    def retract(self, life: int, ref: int) -> None:
        """The Down with this ref, if it is not in the pipe already, is not to be told."""
        self.channels.retract(life, b'{"type":"down","ref":%d,' % ref)

    def _take(self, life: int, worker: str, message: Json) -> None:
        if type(message.get("id", 0)) is not int:
            self.channels.complain(life, "cannot read the message: its 'id' is not a whole number")
            return
        match message["type"]:
            case "send":
                self._send(life, worker, message)
            case "whereis":
                child = self._reach(message["name"])
                self._reply(life, message, child.pid if child is not None else None)
            case "ready":
                self._report(BecameReady(life))
            case _:
                self._report(Requested(life, message.get("id"), _request(message)))

    def _pass_on(self, life: int, worker: str, to: str, body: str) -> None:
        """As `_send`, of a message whose sender is not to be told what becomes of it."""
        child = self._reach(to)
        if child is None:
            return
        line = f"{_beginning(worker)}{body}}}\n".encode()
        if len(line) > MAX_LINE:
            self.channels.complain(life, f"cannot pass on the message to {to!r}: it is too long with its sender's name")
        else:
            self.channels.send(child.life, line)

    def _send(self, life: int, worker: str, message: Json) -> None:
        to = message["to"]
        child = self._reach(to)
        if child is None:
            self._refuse(life, message, "noproc", f"{to!r} does not run")
        elif not self.channels.is_open(child.life):
            self._refuse(life, message, "no_channel", f"{to!r} has no mailbox")
        else:
            try:
                line = encode({"type": "message", "from": worker.rpartition("/")[2], "body": message["body"]})
            except (ValueError, RecursionError) as error:  # NaN, half a surrogate pair, a long name
                self.channels.complain(life, f"cannot pass on the message to {to!r}: {error}")
                self._refuse(life, message, "bad_message", str(error))
                return
            if self.channels.send(child.life, line):
                self._reply(life, message, None)
            else:
                self._refuse(life, message, "full", f"the mailbox of {to!r} is full")

    def _reply(self, life: int, request: Json, result: object) -> None:
        """Only to a request that has an id."""
        if "id" in request:
            self.channels.tell(life, encode({"type": "reply", "id": request["id"], "result": result}))

    def _refuse(self, life: int, request: Json, kind: str, why: str) -> None:
        if "id" in request:
            error = {"kind": kind, "message": why[:_LONGEST]}
            self.channels.tell(life, encode({"type": "reply", "id": request["id"], "error": error}))


@functools.lru_cache(1024)
def _beginning(worker: str) -> str:
    """Of a message from the worker of this path, up to its body."""
    return encode({"type": "message", "from": worker.rpartition("/")[2], "body": 0}).decode().removesuffix("0}\n")


def _request(message: Json) -> Request:
    match message["type"]:
        case "link":
            return Link(message["name"])
        case "unlink":
            return Unlink(message["name"])
        case "monitor":
            return Monitor(message["name"], message["ref"])
        case "demonitor":
            return Demonitor(message["ref"], flush=True)
        case "trap_exits":
            return TrapExits(message["on"])
        case kind:
            raise AssertionError(f"FROM_WORKER has {kind!r}, which nobody takes")


def _in_json(message: Message) -> Json:
    match message:
        case Exit(sender=sender, reason=reason):
            return {"type": "exit", "from": sender, "reason": str(reason)}
        case Down(ref=ref, name=name, pid=pid, reason=reason):
            return {"type": "down", "ref": ref, "name": name, "pid": pid, "reason": str(reason)}
        case Answer(id=request, error=error):
            if error is None or error is Refusal.NOPROC:
                return {"type": "reply", "id": request, "result": error is None}
            return {"type": "reply", "id": request, "error": {"kind": error.value, "message": error.value}}
        case Shutdown():
            return {"type": "shutdown"}
        case _:
            assert_never(message)


_LONGEST = 1000
"""Characters of an explanation, which may quote what the worker said."""
