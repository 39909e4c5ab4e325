"""The post: what workers say over their channels, and what becomes of it. The messages are described in
procsup/wire/messages.py.

`send` and `whereis` change nothing, so they are done here and at once. Names are looked up in the tree: whoever runs
under the name now gets the message.
"""

from collections.abc import Callable

from procsup.core.child import Child
from procsup.runtime.channels import Channels, OnComplaint
from procsup.runtime.loop import Loop
from procsup.wire.messages import Json, encode

Reach = Callable[[str], Child | None]
"""The worker of this name, if it has a process that can be spoken to."""


class Post:
    """Owns the channels. `on_ready` is called with a life whose worker says that it is ready."""

    def __init__(self, loop: Loop, reach: Reach, on_ready: Callable[[int], None], on_complaint: OnComplaint) -> None:
        self.channels = Channels(loop, self._take, on_complaint)
        self._reach = reach
        self._on_ready = on_ready

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
                self._on_ready(life)
            case kind:
                self._refuse(life, message, "unsupported", f"this daemon knows no {kind!r}")

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


_LONGEST = 1000
"""Characters of an explanation, which may quote what the worker said."""
