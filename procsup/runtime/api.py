"""What clients ask of the daemon, answered: calls (wire/calls.py) become events for the node, or queries of it.

A call that must wait is kept with its client until the core has replied for every child it names; a client that hangs
up meanwhile is forgotten, its command is not. Names are resolved first: when one of them is unknown, nothing is done.
Workers ask some of it, too, over their channels (post.py).
"""

import functools
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from procsup import __version__
from procsup.config.config import Config
from procsup.config.signals import signal_name
from procsup.core import calls as core
from procsup.core import view
from procsup.core.actions import Reply
from procsup.core.calls import Refusal
from procsup.core.child import Child, State
from procsup.core.events import Called, Event, ShutdownRequested
from procsup.core.node import Node
from procsup.core.reason import GaveUp, StartFailure
from procsup.core.reload import Change, Fate
from procsup.core.spec import Program, Restart, SupervisorSpec, WorkerSpec
from procsup.runtime.control import Client
from procsup.runtime.failure import complain
from procsup.runtime.journal import Journal
from procsup.runtime.names import Names, name_of
from procsup.runtime.places import Places
from procsup.runtime.queries import Queries
from procsup.runtime.reloading import Reading, keep_logs
from procsup.runtime.tasks import Tasks
from procsup.wire import calls as wire
from procsup.wire.decode import JSON, DecodeError, decode
from procsup.wire.events import Event as JournalEvent
from procsup.wire.jsonrpc import (
    Failure,
    Request,
    RequestId,
    encode_answer,
    encode_failure,
    encode_notification,
    parse_request,
)
from procsup.wire.messages import Json

if TYPE_CHECKING:
    from procsup.runtime.output import Outputs
    from procsup.runtime.reap import Reaper

_LONGEST_NAME = 200
"""Bytes: a name is also that of a log file."""


Outcome = dict[str, JSON]
"""A RESULT of wire/calls.py"""

Tell = Callable[[JSON], None]
"""Called with the result that a worker has asked for."""

Refuse = Callable[[str, str], None]
"""Called with the name of an error, which is OTP's where it has one, and the reason for people."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A call that the core has yet to reply to, and who is to know then. `refs` are those still missing."""

    verb: str
    paths: list[str]
    answer: Callable[[list[Outcome]], None] | None
    refs: set[int] = field(default_factory=set)
    failures: dict[str, Refusal | StartFailure] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Reloading:
    """A reload that the core has yet to reply to. `client` is None when nobody waits for it."""

    client: Client | None
    request: RequestId
    answer: dict[str, JSON]
    paths: list[str]
    """Those that are to be up afterwards."""


class Api:
    """`submit` queues an event for the node. `on_reload` is called with True when one begins, with False at its end."""

    def __init__(
        self,
        node: Node,
        reaper: "Reaper",
        journal: Journal,
        outputs: "Outputs",
        tasks: Tasks,
        places: Places,
        config: Config,
        containment: str,
        submit: Callable[[Event], None],
        on_reload: Callable[[bool], None],
    ) -> None:
        self._node = node
        self._reaper = reaper
        self._outputs = outputs
        self._config = config
        self._submit = submit
        self._on_reload = on_reload
        self._names = Names(node)
        self._queries = Queries(node, self._names, journal, outputs, tasks, places, config.file, containment)
        self._refs = 0
        self._waiting: dict[int, tuple[Waiting, str]] = {}
        self._reloads: dict[int, Reloading] = {}
        self._new_names: dict[str, tuple[int, str]] = {}
        """Names of children that are being added → (ref, path) of the last such call"""
        self._shutdowns: list[tuple[Client, RequestId]] = []
        self._subscribers: set[Client] = set()

    def take(self, client: Client, line: bytes) -> None:
        """One line of a client."""
        request_id: RequestId = None
        is_notification = False
        try:
            request = parse_request(line)
            request_id = request.id
            is_notification = request_id is None
            answer = self._answer(client, request)
        except Failure as failure:
            if not is_notification:
                client.send(encode_failure(request_id, failure))
            return
        if answer is not None and not is_notification:
            client.send(encode_answer(request_id, answer))

    def forget(self, client: Client) -> None:
        """The client hung up."""
        self._subscribers.discard(client)
        self._shutdowns = [(other, request) for other, request in self._shutdowns if other is not client]

    def reload(self, by: str) -> None:
        """The file is read once more, for nobody who would wait for an answer: what is wrong goes to the log."""
        reading = Reading(self._node, self._config)
        for text in (*reading.errors, *reading.warnings):
            complain(text)
        if reading.tree is None:
            complain(f"cannot reload {self._config.file}: nothing has changed")
        else:
            self._begin_reload(reading.tree, by, reading.changes, Reloading(None, None, {}, []))

    def on_reply(self, reply: Reply) -> None:
        if reply.ref in self._reloads:
            self._end_reload(self._reloads.pop(reply.ref), reply.error)
            return
        waiting, path = self._waiting.pop(reply.ref)
        if self._new_names.get(name_of(path)) == (reply.ref, path):
            del self._new_names[name_of(path)]
        waiting.refs.discard(reply.ref)
        if reply.error is not None:
            waiting.failures[path] = reply.error
        if not waiting.refs:
            self._finish(waiting)

    def take_from_worker(self, message: Json, tell: Tell, refuse: Refuse) -> None:
        """What a worker asks of a supervisor (wire/messages.py), with what is to be done with the answer."""
        supervisor = self._node.named(message["supervisor"])
        if supervisor is None or supervisor.supervisor is None:
            refuse(Refusal.NOPROC.value, f"there is no supervisor {message['supervisor']!r}")
        elif message["type"] == "which_children":
            self._list_for_worker(supervisor, tell, refuse)
        else:
            self._begin_for_worker(supervisor, message, tell, refuse)

    def _list_for_worker(self, supervisor: Child, tell: Tell, refuse: Refuse) -> None:
        listed = self._queries.children(supervisor.path)
        if isinstance(listed, Refusal):
            refuse(listed.value, f"{supervisor.name!r} does not run")
        else:
            tell(listed)

    def _begin_for_worker(self, supervisor: Child, message: Json, tell: Tell, refuse: Refuse) -> None:
        call: core.Call
        try:
            if message["type"] == "start_child":
                path, call = self._start_child(decode(wire.StartChild, _parameters(message)))
            else:
                path = f"{supervisor.path}/{message['name']}"
                call = core.TerminateChild(supervisor.path, message["name"])
        except Failure as failure:
            refuse(failure.kind, failure.message)
        except DecodeError as error:
            refuse("invalid_params", f"cannot start a child: {error}")
        else:
            verb = message["type"].removesuffix("_child")
            self._begin(verb, [(path, call)], functools.partial(_tell_worker, call, tell, refuse))

    @property
    def has_subscribers(self) -> bool:
        return bool(self._subscribers)

    def publish(self, events: Iterable[JournalEvent]) -> None:
        lines = b"".join(encode_notification("event", event.as_json()) for event in events)
        for client in [client for client in self._subscribers if client.is_subscribed]:
            client.send(lines)

    def on_end(self, status: int) -> None:
        """The tree is down: the last answers."""
        for client, request in self._shutdowns:
            client.pending -= 1
            client.send(encode_answer(request, {"status": status}))
        self._shutdowns.clear()

    # Calls

    def _answer(self, client: Client, request: Request) -> JSON:
        """The answer, or None when it will come later."""
        shape = wire.CALLS.get(request.method)
        if shape is None:
            methods = ", ".join(wire.CALLS)
            raise Failure("method_not_found", f"cannot call {request.method!r}: there are {methods}")
        try:
            call = decode(shape, request.params)
        except DecodeError as error:
            raise Failure("invalid_params", f"cannot call {request.method}: {error}") from None
        match call:
            case wire.Version():
                return {"version": __version__, "pid": os.getpid()}
            case wire.Status(names=names):
                return self._queries.status(names)
            case wire.WhichChildren(supervisor=name):
                return self._queries.which_children(name)
            case wire.CountChildren(supervisor=name):
                return self._queries.count_children(name)
            case wire.Events():
                client.is_subscribed = True
                self._subscribers.add(client)
                return {}
            case wire.Signal(signal=which, names=names):
                return self._signal(which, names)
            case wire.Shutdown(wait=wait):
                return self._shutdown(client, request.id, wait)
            case wire.Reload():
                return self._reload(client, request.id, call)
            case _:
                return self._command(client, request.id, call)

    def _command(
        self,
        client: Client,
        request: RequestId,
        call: wire.Start
        | wire.Stop
        | wire.Restart
        | wire.StartChild
        | wire.DeleteChild
        | wire.TerminateChild
        | wire.RestartChild,
    ) -> JSON:
        """One of the calls that change the tree: one core call for each child that it names."""
        asked: list[tuple[str, core.Call]]
        wait = True
        match call:
            case wire.Start(names=names, wait=wait):
                verb, asked = "start", [(path, core.Start(path)) for path in self._names.topmost(names)]
            case wire.Stop(names=names, wait=wait):
                by = f"uid {client.uid}"
                verb, asked = "stop", [(path, core.Stop(path, by)) for path in self._names.topmost(names)]
            case wire.Restart(names=names, wait=wait):
                verb, asked = "restart", [(path, core.Restart(path)) for path in self._names.topmost(names)]
            case wire.StartChild(wait=wait):
                verb, asked = "start", [self._start_child(call)]
            case wire.DeleteChild(names=names):
                verb, asked = "delete", [(path, core.DeleteChild(*_split(path))) for path in self._names.topmost(names)]
            case wire.TerminateChild(name=name):
                path = self._names.one(name).path
                verb, asked = "terminate", [(path, core.TerminateChild(*_split(path)))]
            case wire.RestartChild(name=name):
                path = self._names.one(name).path
                verb, asked = "restart", [(path, core.RestartChild(*_split(path)))]
            case _:
                assert_never(call)
        is_single = isinstance(call, wire.StartChild | wire.TerminateChild | wire.RestartChild)
        if wait and request is not None:
            client.pending += 1
            self._begin(verb, asked, functools.partial(_answer_client, client, request, is_single))
            return None
        self._begin(verb, asked, None)
        return _as_answer([{"path": path, "ok": True, "state": "", "pid": None} for path, _ in asked], is_single)

    def _begin(
        self, verb: str, asked: list[tuple[str, core.Call]], answer: Callable[[list[Outcome]], None] | None
    ) -> None:
        waiting = Waiting(verb, [path for path, _ in asked], answer)
        for path, one in asked:
            self._refs += 1
            waiting.refs.add(self._refs)
            self._waiting[self._refs] = waiting, path
            if isinstance(one, core.StartChild):
                self._new_names[one.spec.name] = self._refs, path
            self._submit(Called(self._refs, one))

    def _finish(self, waiting: Waiting) -> None:
        if waiting.answer is not None:
            waiting.answer([self._outcome(waiting.verb, path, waiting.failures.get(path)) for path in waiting.paths])

    def _outcome(self, verb: str, path: str, error: Refusal | StartFailure | None) -> Outcome:
        if error is None:
            return self._success(path)
        if error is Refusal.NOPROC and "/" not in path:
            error = Refusal.ROOT
        if isinstance(error, Refusal):
            why = f"cannot {verb} {name_of(path)}: {_REFUSALS[error]}"
            return _failed(path, _KINDS.get(error, "refused"), why, error.value)
        return _failed(path, "failed", f"cannot {verb} {name_of(path)}: {error}", str(error))

    def _success(self, path: str) -> Outcome:
        child = self._node.child(path)
        if child is None:
            return {"path": path, "ok": True, "state": "removed", "pid": None}
        return {"path": path, "ok": True, "state": view.shown(child), "pid": child.pid}

    def _start_child(self, call: wire.StartChild) -> tuple[str, core.Call]:
        supervisor = self._names.one(call.supervisor)
        if supervisor.supervisor is None:
            raise Failure("refused", f"cannot start a child of {call.supervisor}: it is a worker, not a supervisor")
        if not call.command or not call.command[0]:
            raise Failure("invalid_params", "cannot start a child: its command is empty")
        if not all(map(_is_for_the_kernel, (*call.command, call.cwd or ""))):
            why = "its command or cwd holds a NUL character, or one that cannot be encoded"
            raise Failure("invalid_params", f"cannot start a child: {why}")
        name = call.name if call.name is not None else call.command[0].rsplit("/", 1)[-1]
        if not name.isprintable() or name in ("", ".", "..") or "/" in name or len(os.fsencode(name)) > _LONGEST_NAME:
            raise Failure(
                "invalid_params",
                f"cannot start a child named {name!r}: a name is printable, not empty, '.' or '..', holds no '/' and"
                f" has at most {_LONGEST_NAME} bytes; choose one by --name",
            )
        path = f"{supervisor.path}/{name}"
        taken = self._node.named(name)
        _, holder = self._new_names.get(name, (0, taken.path if taken is not None else path))
        if holder != path:
            why = f"{holder} has that name; choose one by --name"
            raise Failure("refused", f"cannot start a child named {name!r}: {why}")
        cwd = os.path.join(os.path.dirname(self._config.file), call.cwd or "")
        spec = WorkerSpec(name, Program(call.command, os.path.normpath(cwd)), Restart(call.restart))
        return path, core.StartChild(supervisor.path, spec)

    def _signal(self, which: str, names: tuple[str, ...]) -> JSON:
        try:
            number = signal_number(signal_name(which.upper()))
        except (KeyError, ValueError):
            raise Failure("invalid_params", f"cannot signal: there is no signal {which!r} on this machine") from None
        results: list[JSON] = []
        for child in self._names.all(names):
            if child.supervisor is not None:
                why = f"cannot signal {child.name}: it is a supervisor, which is no process"
                results.append(_failed(child.path, "refused", why, "supervisor"))
            elif child.pid is None or not self._reaper.signal_leader(child.life, number):
                why = f"cannot signal {child.name}: it is not running"
                results.append(_failed(child.path, "refused", why, "not_running"))
            else:
                results.append(self._success(child.path))
        return {"results": results}

    def _reload(self, client: Client, request: RequestId, call: wire.Reload) -> JSON:
        reading = Reading(self._node, self._config)
        answer = reading.as_json(self._node)
        answer["results"] = []
        if reading.tree is None or call.plan:
            return answer
        by = f"uid {client.uid}"
        if not call.wait or request is None:
            self._begin_reload(reading.tree, by, reading.changes, Reloading(None, None, answer, []))
            return answer
        client.pending += 1
        started = [change.path for change in reading.changes if change.fate in (Fate.START, Fate.RESTART, Fate.ALONG)]
        self._begin_reload(reading.tree, by, reading.changes, Reloading(client, request, answer, started))
        return None

    def _begin_reload(self, tree: SupervisorSpec, by: str, changes: list[Change], reloading: Reloading) -> None:
        self._refs += 1
        self._reloads[self._refs] = reloading
        self._on_reload(True)
        keep_logs(self._node, self._outputs, changes)
        self._submit(Called(self._refs, core.Reload(tree, by)))

    def _end_reload(self, reloading: Reloading, error: Refusal | StartFailure | None) -> None:
        if not self._reloads:
            self._on_reload(False)
        if reloading.client is None:
            return
        reloading.client.pending -= 1
        if error is not None:
            why = "cannot reload: the tree is being stopped, or has not begun"
            reloading.client.send(encode_failure(reloading.request, Failure("refused", why)))
            return
        reloading.answer["results"] = [self._after_reload(path) for path in reloading.paths]
        reloading.client.send(encode_answer(reloading.request, reloading.answer))

    def _after_reload(self, path: str) -> JSON:
        """Not ok is who has failed; another command, or another reload, may want it otherwise meanwhile."""
        child = self._node.child(path)
        reason = child.last_exit if child is not None and child.state in (State.DOWN, State.RESTARTING) else None
        if isinstance(reason, StartFailure | GaveUp):
            return _failed(path, "failed", f"cannot start {name_of(path)}: {reason}", str(reason))
        return self._success(path)

    def _shutdown(self, client: Client, request: RequestId, wait: bool) -> JSON:
        self._submit(ShutdownRequested(by=f"uid {client.uid}"))
        if not wait or request is None:
            return {"status": None}
        client.pending += 1
        self._shutdowns.append((client, request))
        return None


@functools.cache
def signal_number(name: str) -> int:
    """The number of a signal by its one name, "SIGTERM" or "SIG40"."""
    member = signal.Signals.__members__.get(name)
    return int(member) if member is not None else int(name.removeprefix("SIG"))


_REFUSALS = {
    Refusal.RUNNING: "it is running; stop it first",
    Refusal.RESTARTING: "it is about to be restarted; stop it first",
    Refusal.NOT_FOUND: "its supervisor has no such child (any more)",
    Refusal.NOPROC: "its supervisor is not running; start that first",
    Refusal.ALREADY_STARTED: "already_started: its supervisor has a child of that name, which runs",
    Refusal.ALREADY_PRESENT: "already_present: its supervisor has a child of that name; start or delete that",
    Refusal.BAD_COMBINATION: "bad_combination: significant needs a supervisor with auto_shutdown, and not permanent",
    Refusal.OVERTAKEN: "overtaken by another command that wants otherwise",
    Refusal.ROOT: "it is the root of the tree; `procsup shutdown` ends it, and the daemon with it",
    Refusal.UNKNOWN: "it is not in the tree any more",
}


_KINDS = {
    Refusal.OVERTAKEN: "overtaken",
    Refusal.UNKNOWN: "no_such_name",
    Refusal.NOT_FOUND: "no_such_name",
}


def _failed(path: str, kind: str, message: str, reason: str) -> Outcome:
    return {"path": path, "ok": False, "kind": kind, "message": message, "reason": reason}


def _as_answer(results: list[Outcome], is_single: bool) -> JSON:
    return results[0] if is_single else {"results": [*results]}


def _answer_client(client: Client, request: RequestId, is_single: bool, results: list[Outcome]) -> None:
    client.pending -= 1
    client.send(encode_answer(request, _as_answer(results, is_single)))


def _parameters(message: Json) -> Json:
    """Of a start_child: those of the call of this name. What else a message holds means nothing."""
    return {key: message[key] for key in ("supervisor", "command", "name", "restart", "cwd") if key in message}


def _tell_worker(call: core.Call, tell: Tell, refuse: Refuse, results: list[Outcome]) -> None:
    [result] = results
    if not result["ok"]:
        refuse(str(result["kind"] if result["kind"] == "failed" else result["reason"]), str(result["message"]))
    elif isinstance(call, core.StartChild):
        tell({"name": call.spec.name, "pid": result["pid"]})
    else:
        tell(True)


def _is_for_the_kernel(word: str) -> bool:
    try:
        return b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:
        return False


def _split(path: str) -> tuple[str, str]:
    above, _, name = path.rpartition("/")
    return above, name
