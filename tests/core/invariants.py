"""What must hold whatever happens: checked at every event that the node is told of, and every action that it gives.

    1. One life at a time: no Spawn at a path before the life there is gone (Emptied, Exited(gone), SpawnFailed).
    2. Signals go only to lives that were Started (KILL: spawned) and are not gone; facts of the same batch count. Only
       a Spawn that was not answered is cancelled. Nothing goes after KILL.
    3. Every Called is answered exactly once, at the latest with the End.
    4. seq is 1, 2, 3, ...; a cause is an earlier seq.
    5. End comes once, when no process is alive; after it come only replies.
    6. A held child is not started while it is held.
    7. `stop` is ok only when nothing of the child, or below it, is left; nothing is started there afterwards.
       `start` is ok only when the child is up, `restart` only when it came up after the command. Likewise OTP's four.
    8. Of two contrary commands the earlier unfinished one is answered `overtaken`, at once, and nobody else is, but for
       a start or restart whose child OTP's terminate_child stops when its turn comes.
    9. Only an exit, a failed restart or an escalation enters the restart window, and each of them once.
   10. Every record is caused by one that can lead to it, as CAUSES says.
   11. A worker is ready once it was executed, if that is enough, and else never before BecameReady of that life.
   12. An exit signal strikes a life at most once, and not after its stop began or its main process ended.
   13. Nothing is told to a life before Started, nor when its main process had ended before this batch, nor to one
       without a channel. A Down with a ref comes at most once for each monitor, and an Answer at once for each request
       with an id.
   14. The tally of workers is what a count finds.

`check_quiescent` checks the tree when nothing is left to happen: no child is on its way, nothing is left to decide,
ties are those of lives that run and stand on both sides, and workers that run are linked if a spec says so.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from procsup.core.actions import Action, Cancel, End, Record, Reply, Retract, Signal, Spawn, Tell
from procsup.core.calls import (
    Call,
    DeleteChild,
    Refusal,
    Reload,
    Restart,
    RestartChild,
    Start,
    StartChild,
    Stop,
    TerminateChild,
)
from procsup.core.child import Child, State
from procsup.core.events import BecameReady, Called, Emptied, Event, Exited, Requested, SpawnFailed, Started
from procsup.core.messages import Answer, Down, RequestId
from procsup.core.node import Node
from procsup.core.readiness import is_ready_at_exec
from procsup.core.requests import Monitor, Request, Unlink
from procsup.core.spec import WorkerSpec
from procsup.core.supervisor import Supervisor
from tests.core.trees import paths

SETTLED = frozenset({State.DOWN, State.RUNNING})
NOT_OBEYED = frozenset({Refusal.NOPROC, Refusal.UNKNOWN, Refusal.ROOT})

CAUSES: dict[str, set[str | None]] = {
    "starting": {None, "daemon_started", "starting", "restarting", "child_added", "released", "held", "reloaded"},
    "started": {"starting", "stopping"},
    "ready": {"starting", "started"},
    "start_failed": {"starting", "started", "stopping", "start_failed"},
    "exited": {None, "gave_up", "auto_shutdown", "stopping"},
    "stopping": {
        None,
        "starting",
        "started",
        "stopping",
        "restarting",
        "gave_up",
        "auto_shutdown",
        "start_failed",
        "held",
        "reloaded",
        "link_fired",
    },
    "stopped": {"stopping", "started"},
    "restarting": {"exited", "start_failed", "escalated"},
    "gave_up": {"exited", "start_failed", "escalated"},
    "escalated": {"exited"},
    "auto_shutdown": {"exited", "escalated"},
    "link_fired": {"exited", "stopped", "start_failed", "link_fired"},
    "held": {None},
    "released": {None},
    "lost_output": {None},
    "bad_message": {None},
    "child_added": {None, "reloaded"},
    "reloaded": {None},
    "daemon_started": {None},
    "daemon_stopped": {"exited", "stopped", "start_failed"},
}
"""What may lead to what; None: somebody outside the daemon. A `start_failed` leads to a `starting` by a `restarting`,
a `held` to those of the siblings that waited for the child. What is not listed may be caused by anything.
"""


class Violation(AssertionError):
    """The core broke a law."""


@dataclass(slots=True)
class Life:
    path: str
    spec: WorkerSpec
    started: bool = False
    said_ready: bool = False
    killed: bool = False
    stopping: bool = False
    struck: bool = False
    ended: bool = False
    """Its main process."""
    gone: bool = False


@dataclass(slots=True)
class Question:
    """A call that waits for its answer. `asked` is the seq of the last record before it."""

    call: Call
    asked: int


class Invariants:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._lives: dict[int, Life] = {}
        self._living: dict[str, int] = {}
        self._spawned: dict[str, int] = {}
        """The last life of each path."""
        self._records: list[Record] = []
        self._questions: dict[int, Question] = {}
        self._overtaken: dict[int, set[int]] = {}
        self._terminating: list[str] = []
        self._not_obeyed: set[int] = set()
        self._held: set[str] = set()
        self._up: dict[str, int] = {}
        self._starting: dict[str, Record] = {}
        self._counted: set[int] = set()
        self._just_ended: set[int] = set()
        self._monitors: Counter[tuple[int, int]] = Counter()
        self._requests: set[tuple[int, RequestId]] = set()
        self._unlinked: set[tuple[int, str]] = set()
        """By which life, from which name."""
        self._places: dict[str, set[str]] = {}
        """The paths at which a child of this name was seen."""
        self._see(node.root)
        self.end: End | None = None

    def check(self, events: Iterable[Event], actions: Iterable[Action]) -> None:
        """One batch: its events, and the actions that answered it."""
        self._overtaken, self._not_obeyed, self._just_ended = {}, set(), set()
        for event in events:
            self._learn(event)
        for action in actions:
            self._check(action)
        for ref, question in self._questions.items():
            if self._overtaken.get(ref, set()) - self._not_obeyed:
                raise Violation(f"{question} was overtaken and is not answered")
        if self._requests:
            raise Violation(f"not answered: {self._requests}")
        if self.end is not None and self._questions:
            raise Violation(f"not answered at the end: {self._questions}")
        self._check_tally()

    def _check_tally(self) -> None:
        workers = [child for child in self._node.children() if child.supervisor is None]
        tally = self._node.tally
        counted = {state: [child for child in workers if child.state is state] for state in State}
        if (tally.workers, tally.up) != (len(workers), len(counted.pop(State.RUNNING))):
            raise Violation(f"{tally.up} of {tally.workers} are said to be up, of {workers}")
        for state, those in counted.items():
            if set(tally.others(state)) != set(those):
                raise Violation(f"{list(tally.others(state))} are said to be {state.value}, of {workers}")

    def check_quiescent(self) -> None:
        """Nothing is left to happen."""
        for child in self._node.children() if self.end is None else ():
            if child.state not in SETTLED:
                raise Violation(f"{child!r} is on its way, and nobody will move it")
            if child.held != (child.path in self._held):
                raise Violation(f"{child!r}: the records say {'held' if child.path in self._held else 'released'}")
            if child.state is State.RUNNING and child.supervisor is not None:
                self._check_idle(child.supervisor)
            self._check_ties(child)
            self._check_declared_links(child)
        if self._questions:
            raise Violation(f"nobody will answer {self._questions}")

    def _check_idle(self, supervisor: Supervisor) -> None:
        if supervisor.agendas or supervisor.open_call or supervisor.calls or supervisor.decisions:
            left = f"{supervisor.agendas} agendas, {supervisor.decisions}, {supervisor.calls}"
            raise Violation(f"{supervisor.child!r} is not done: {left}")
        if supervisor.wanted is not supervisor.spec or supervisor.renewal is not None:
            raise Violation(f"{supervisor.child!r} is not reloaded")
        active = sum(child.spec.significant and child.state is State.RUNNING for child in supervisor.children.values())
        if active != supervisor.active_significant:
            raise Violation(f"{supervisor.child!r} counts {supervisor.active_significant} of {active} significant")

    def _check_ties(self, child: Child) -> None:
        ties = child.ties
        if ties is None:
            return
        if child.state is not State.RUNNING:
            raise Violation(f"{child!r} has ties, and does not run")
        for other in ties.linked:
            if other.ties is None or child not in other.ties.linked:
                raise Violation(f"{child!r} is linked with {other!r}, which does not know")
        for ref, other in ties.monitors.items():
            if other.ties is None or (child, ref) not in other.ties.watchers:
                raise Violation(f"{child!r} watches {other!r}, which does not know")
        for other, ref in ties.watchers:
            if other.ties is None or other.ties.monitors.get(ref) is not child:
                raise Violation(f"{child!r} is watched by {other!r}, which does not know")

    def _check_declared_links(self, child: Child) -> None:
        """Unless one of the two wanted otherwise, or did not know which of two namesakes is meant."""
        if not isinstance(child.spec, WorkerSpec) or child.state is not State.RUNNING:
            return
        for name in child.spec.bonds.links:
            other = self._node.named(name)
            if other is None or other is child or other.supervisor is not None or other.state is not State.RUNNING:
                continue
            is_unlinked = (child.life, name) in self._unlinked or (other.life, child.name) in self._unlinked
            is_known = len(self._places.get(name, ())) == len(self._places.get(child.name, ())) == 1
            if is_known and not is_unlinked and (child.ties is None or other not in child.ties.linked):
                raise Violation(f"{child!r} and {other!r} run, and are not linked")

    # Events

    def _learn(self, event: Event) -> None:
        if isinstance(event, Exited):
            self._lives[event.life].ended = True
            self._just_ended.add(event.life)
        match event:
            case Started(life=life):
                self._lives[life].started = True
            case BecameReady(life=life):
                self._lives[life].said_ready = True
            case SpawnFailed(life=life) | Emptied(life=life) | Exited(life=life, gone=True):
                self._lives[life].gone = True
                del self._living[self._lives[life].path]
            case Called(ref=ref, call=call):
                self._ask(ref, call)
            case Requested(life=number, id=request_id, request=request):
                self._request(number, request_id, request)
            case _:
                pass

    def _request(self, number: int, request_id: RequestId | None, request: Request) -> None:
        if self._lives[number].started and not self._lives[number].ended:
            if isinstance(request, Monitor):
                self._monitors[number, request.ref] += 1
            if isinstance(request, Unlink):
                self._unlinked.add((number, request.name))
            if request_id is not None:
                self._requests.add((number, request_id))

    def _ask(self, ref: int, call: Call) -> None:
        if isinstance(call, TerminateChild):
            self._terminating.append(f"{call.supervisor}/{call.name}")
        for earlier, question in self._questions.items():
            if _are_contrary(question.call, call):
                self._overtaken.setdefault(earlier, set()).add(ref)
        self._questions[ref] = Question(call, len(self._records))

    # Actions

    def _check(self, action: Action) -> None:
        if self.end is not None and not isinstance(action, Reply):
            raise Violation(f"after the end: {action}")
        match action:
            case Spawn():
                self._spawn(action)
            case Cancel():
                self._cancel(action)
            case Signal():
                self._signal(action)
            case Record():
                self._record(action)
            case Tell():
                self._tell(action)
            case Retract():
                pass
            case Reply():
                self._reply(action)
            case End():
                self._end(action)
            case _:
                assert_never(action)

    def _spawn(self, spawn: Spawn) -> None:
        if spawn.path in self._living:
            raise Violation(f"{spawn}: life {self._living[spawn.path]} of it is not gone")
        if spawn.path in self._held:
            raise Violation(f"{spawn}: it is held")
        if spawn.life in self._lives:
            raise Violation(f"{spawn}: that life was lived already")
        child = self._node.child(spawn.path)
        if child is None or child.parent is None or child.parent.children.get(child.name) is not child:
            raise Violation(f"{spawn}: there is no such child")
        self._lives[spawn.life] = Life(spawn.path, spawn.spec)
        self._living[spawn.path] = self._spawned[spawn.path] = spawn.life

    def _cancel(self, cancel: Cancel) -> None:
        life = self._lives[cancel.life]
        if life.started or life.gone:
            raise Violation(f"{cancel} of {life.path}: it was answered already")

    def _signal(self, signal: Signal) -> None:
        life = self._lives[signal.life]
        if life.gone:
            raise Violation(f"{signal} to {life.path}: nothing of it is left")
        if not life.started and signal.signal != "SIGKILL":
            raise Violation(f"{signal} to {life.path}: it was not started yet")
        if life.killed:
            raise Violation(f"{signal} to {life.path}: it was killed already")
        life.killed = signal.signal == "SIGKILL"

    def _tell(self, tell: Tell) -> None:
        life = self._lives[tell.life]
        if not life.started or (life.ended and tell.life not in self._just_ended) or not life.spec.has_channel:
            raise Violation(f"{tell} to {life}")
        match tell.message:
            case Down(ref=int(ref)):
                self._monitors[tell.life, ref] -= 1
                if self._monitors[tell.life, ref] < 0:
                    raise Violation(f"{tell}: nobody asked, or it was told before")
            case Answer(id=request_id):
                self._requests.remove((tell.life, request_id))
            case _:
                pass

    def _strike(self, record: Record) -> None:
        life = self._lives[self._spawned[record.path]]
        if life.struck or life.stopping or life.ended or not life.started:
            raise Violation(f"{record}: it cannot receive it, {life}")
        life.struck = not record.details["trapped"]

    def _record(self, record: Record) -> None:
        if record.seq != len(self._records) + 1:
            raise Violation(f"{record}: the last seq was {len(self._records)}")
        if record.cause is not None and not 0 < record.cause < record.seq:
            raise Violation(f"{record}: the cause is no earlier record")
        cause = None if record.cause is None else self._records[record.cause - 1]
        led = None if cause is None else cause.event
        is_linked = str(record.details.get("reason")).startswith("linked ")
        if record.event == "exited" and (led == "stopping") is not is_linked:
            raise Violation(f"{record}: {cause} cannot lead to it")
        if record.event in CAUSES and led not in CAUSES[record.event]:
            raise Violation(f"{record}: {cause} cannot lead to it")
        self._records.append(record)
        match record.event:
            case "held":
                self._held.add(record.path)
            case "released":
                self._held.discard(record.path)
            case "child_added" | "child_removed":
                added = self._node.child(record.path)
                if added is not None:
                    self._see(added)
                self._held = {path for path in self._held if not _is_in(path, record.path)}
            case "reloaded":
                self._see(self._node.root)
            case "starting":
                self._starting[record.path] = record
            case "ready":
                self._check_ready(record)
                self._up[record.path] = record.seq
            case "link_fired":
                self._strike(record)
            case "exited" | "stopping" | "stopped" | "start_failed":
                self._up.pop(record.path, None)
                if record.event == "stopping" and record.details["type"] == "worker":
                    self._lives[self._spawned[record.path]].stopping = True
            case "restarting" | "gave_up":
                self._count(record)
            case _:
                pass

    def _see(self, top: Child) -> None:
        for path in paths(top.spec, top.path.removesuffix(top.name)):
            self._places.setdefault(path.rpartition("/")[2], set()).add(path)

    def _check_ready(self, record: Record) -> None:
        if record.details["type"] == "worker":
            life = self._lives[self._spawned[record.path]]
            if not life.started or not (life.said_ready or is_ready_at_exec(life.spec.ready)):
                raise Violation(f"{record}: it is not")

    def _count(self, record: Record) -> None:
        """The causes of what entered the window."""
        assert record.cause is not None
        cause = self._records[record.cause - 1]
        if cause.event == "start_failed" and not self._was_restart(cause):
            raise Violation(f"{record}: {cause} was no restart")
        if cause.seq in self._counted:
            raise Violation(f"{record}: {cause} was counted before")
        self._counted.add(cause.seq)

    def _was_restart(self, failed: Record) -> bool:
        """Not the start that an operator, a call or the boot of the supervisor asked for. A hold or a reload may free
        those who wait for a restart of another.
        """
        starting = self._starting[failed.path]
        event = None if starting.cause is None else self._records[starting.cause - 1].event
        return event in ("restarting", "held", "reloaded")

    def _is_terminating(self, call: Call) -> bool:
        return isinstance(call, Start | Restart) and call.path in self._terminating

    def _reply(self, reply: Reply) -> None:
        question = self._questions.pop(reply.ref, None)
        if question is None:
            raise Violation(f"{reply}: nobody asked, or it was answered before")
        if reply.error is Refusal.OVERTAKEN and not (
            reply.ref in self._overtaken or self._is_held(question.call) or self._is_terminating(question.call)
        ):
            raise Violation(f"{reply} to {question}: nobody overtook it")
        if isinstance(reply.error, Refusal) and reply.error in NOT_OBEYED:
            self._not_obeyed.add(reply.ref)
        if reply.error is None:
            self._check_done(question)

    def _is_held(self, call: Call) -> bool:
        """What one of OTP's calls was to start is stopped by an operator."""
        match call:
            case StartChild(supervisor=above, spec=spec):
                return f"{above}/{spec.name}" in self._held
            case RestartChild(supervisor=above, name=name):
                return f"{above}/{name}" in self._held
            case _:
                return False

    def _check_done(self, question: Question) -> None:
        match question.call:
            case Stop(path=path):
                done = self._is_all_gone(path) and path in self._held
            case Start(path=path):
                done = path in self._up and path not in self._held
            case Restart(path=path):
                done = self._up.get(path, 0) > question.asked and path not in self._held
            case TerminateChild(supervisor=above, name=name):
                done = self._is_all_gone(f"{above}/{name}")
            case RestartChild(supervisor=above, name=name):
                done = self._up.get(f"{above}/{name}", 0) > question.asked
            case StartChild(supervisor=above, spec=spec):
                done = self._up.get(f"{above}/{spec.name}", 0) > question.asked
            case DeleteChild(supervisor=above, name=name):
                done = self._records[-1].event == "child_removed" and self._records[-1].path == f"{above}/{name}"
            case Reload():
                done = True  # what it leads to is looked at when nothing is left to happen
            case _:
                assert_never(question.call)
        if not done:
            raise Violation(f"{question.call} was answered ok, and it is not done")

    def _is_all_gone(self, path: str) -> bool:
        return not any(_is_in(life, path) for life in self._living)

    def _end(self, end: End) -> None:
        if self._living:
            raise Violation(f"{end}, and there is {self._living}")
        self.end = end


def _are_contrary(one: Call, other: Call) -> bool:
    if isinstance(one, Stop):
        return isinstance(other, Start | Restart) and one.path == other.path
    return isinstance(one, Start | Restart) and isinstance(other, Stop) and one.path == other.path


def _is_in(path: str, top: str) -> bool:
    return path == top or path.startswith(top + "/")
