"""The post: what workers say over their channels, and what becomes of it. The messages are described in
procsup/wire/messages.py.

`send` and `whereis` change nothing, so they are done here and at once. Names are looked up in the tree: whoever runs
under the name now gets the message. What concerns links, monitors and readiness becomes an event for the core, and what
the core tells becomes a line. Calls of supervisors are those that clients make over the socket (api.py).

Who may start programs as the daemon's user is whom the socket would let in, too: a worker whose process is that user's,
or root's (DESIGN § 6).
"""

import functools
from collections import Counter
from collections.abc import Callable
from typing import assert_never

from procsup.core.calls import Refusal
from procsup.core.child import Child
from procsup.core.events import BecameReady, Requested
from procsup.core.messages import Answer, Down, Exit, Message, Shutdown
from procsup.core.requests import Demonitor, Link, Monitor, Request, TrapExits, Unlink
from procsup.runtime.channels import Channels, OnComplaint
from procsup.runtime.loop import Loop
from procsup.runtime.names import name_of
from procsup.runtime.procfs import is_trusted
from procsup.runtime.tasks import Tasks
from procsup.wire.decode import JSON
from procsup.wire.messages import MAX_LINE, Json, encode

Reach = Callable[[str], Child | None]
"""The worker of this name, if it has a process that can be spoken to."""

Ask = Callable[[Json, Callable[[JSON], None], Callable[[str, str], None]], None]
"""Called with what a worker asks of a supervisor, and what is to be called with the result or with an error's name and
reason."""


class Post:
    """Owns the channels, and what is known of tasks. `report` takes the events that are for the core."""

    def __init__(
        self,
        loop: Loop,
        reach: Reach,
        report: Callable[[BecameReady | Requested], None],
        ask: Ask,
        on_complaint: OnComplaint,
    ) -> None:
        self.channels = Channels(loop, self._take, self._pass_on, on_complaint)
        self._reach = reach
        self.tasks = Tasks()
        self._calls: Counter[int] = Counter()
        """How many a life has made of supervisors that are not answered yet"""
        self._report = report
        self._ask = ask

    def tell(self, life: int, message: Message) -> None:
        """What the core has to say to a worker; if it has a channel, it is told."""
        self._say(life, _in_json(message))

    def retract(self, life: int, ref: int) -> None:
        """The Down with this ref, if it is not in the pipe already, is not to be told."""
        self.channels.retract(life, b'{"type":"down","ref":%d,' % ref)

    def end(self, life: int) -> None:
        """The worker has ended. Not every life has a channel."""
        self.channels.end(life)
        self.tasks.end(life)
        self._calls.pop(life, None)

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
            case "task":
                self._note_task(life, message["pid"], message["name"])
            case "which_children" | "start_child" | "terminate_child":
                self._call(life, worker, message)
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
                line = encode({"type": "message", "from": name_of(worker), "body": message["body"]})
            except (ValueError, RecursionError) as error:  # NaN, half a surrogate pair, a long name
                self.channels.complain(life, f"cannot pass on the message to {to!r}: {error}")
                self._refuse(life, message, "bad_message", str(error))
                return
            if self.channels.send(child.life, line):
                self._reply(life, message, None)
            else:
                self._refuse(life, message, "full", f"the mailbox of {to!r} is full")

    def _note_task(self, life: int, pid: int, name: str) -> None:
        if 0 < pid <= _MOST_PID:
            self.tasks.add(life, pid, name)
        else:
            self.channels.complain(life, f"cannot note the task {name[:_LONGEST]!r}: {pid!r:.60} is no pid")

    def _call(self, life: int, worker: str, message: Json) -> None:
        child = self._reach(name_of(worker))
        if child is None or child.life != life:  # these were its last words, or another one has its name
            self._refuse(life, message, "not_permitted", "it does not run under its name (any more)")
            return
        if message["type"] != "which_children" and not _is_trusted(child):
            self._refuse(life, message, "not_permitted", f"{child.name} does not run as the user of the daemon")
            return
        if self._calls[life] >= _MOST_CALLS:
            self._refuse(life, message, "too_many", f"{_MOST_CALLS} calls of {child.name} wait for their answers")
            return
        self._calls[life] += 1
        self._ask(
            message,
            lambda result: self._answered(life, self._reply, message, result),
            lambda kind, why: self._answered(life, self._refuse, message, kind, why),
        )

    def _answered(self, life: int, answer: Callable[..., None], *words: object) -> None:
        """A call of a supervisor, after whatever time; the worker may have ended meanwhile."""
        if self._calls[life] > 0:
            self._calls[life] -= 1
            answer(life, *words)

    def _reply(self, life: int, request: Json, result: object) -> None:
        """Only to a request that has an id."""
        if "id" in request and not self._say(life, {"type": "reply", "id": request["id"], "result": result}):
            self._refuse(life, request, "too_long", f"the answer does not fit into a line of {MAX_LINE} bytes")

    def _refuse(self, life: int, request: Json, kind: str, why: str) -> None:
        if "id" in request:
            error = {"kind": kind, "message": why[:_LONGEST].encode(errors="replace").decode()}
            self._say(life, {"type": "reply", "id": request["id"], "error": error})

    def _say(self, life: int, message: Json) -> bool:
        """False when it is not a line: a worker may ask about names that are too long, or half a surrogate pair."""
        try:
            line = encode(message)
        except ValueError as error:
            if self.channels.is_open(life):
                self.channels.complain(life, f"cannot tell it what it asked for: {error}")
            return False
        self.channels.tell(life, line)
        return True


def _is_trusted(child: Child) -> bool:
    try:
        return is_trusted(child.pid)
    except OSError:  # who knows
        return False


@functools.lru_cache(1024)
def _beginning(worker: str) -> str:
    """Of a message from the worker of this path, up to its body."""
    return encode({"type": "message", "from": name_of(worker), "body": 0}).decode().removesuffix("0}\n")


def _request(message: Json) -> Request:
    match message["type"]:
        case "link":
            return Link(message["name"])
        case "unlink":
            return Unlink(message["name"])
        case "monitor":
            return Monitor(message["name"], message["ref"])
        case "demonitor":
            return Demonitor(message["ref"], message.get("flush", False))
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


_MOST_CALLS = 100
"""Of one worker that wait at a time: a supervisor keeps them until their turn has come."""

_MOST_PID = 2**22
"""/proc/sys/kernel/pid_max at most; proc_sys_kernel(5)"""

_LONGEST = 1000
"""Characters of an explanation, which may quote what the worker said."""
