"""The life of one worker: from its spawn until nothing of its process group is left.

Owns the facts about a life, and the two sequences. The start: Spawn, Started, and, unless that is enough, BecameReady,
all within the start_timeout. The stop: stop signal (then CONT, for the stopped cannot hear it), shutdown time, KILL. A
worker whose main process ends by itself keeps its reason, and what is left of its group gets the same sequence; so does
one that is not ready in time, or that an exit signal reaches (links.py), whose reason is known before its end. What
becomes of the child is its supervisor's business: every fact ends with telling it, but a start that has failed is told
when nothing is left of it, so that the next attempt never overlaps.

A spawn may take its time. A worker that is to stop meanwhile has its spawn cancelled, and after the shutdown time, or
the start_timeout if that is sooner, KILL ends it, whatever it hangs in; if it was executed nevertheless, the stop
signal goes to it then.
"""

from functools import partial
from typing import TYPE_CHECKING

from procsup.core import messages
from procsup.core.actions import Cancel, Detail, Signal, Spawn, Tell
from procsup.core.book import Book
from procsup.core.child import ENDING, Child, State
from procsup.core.readiness import is_ready_at_exec
from procsup.core.reason import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Linked,
    NotReady,
    Reason,
    StartFailed,
    StartFailure,
    WorkerExit,
    judge_exit,
)
from procsup.core.spec import WorkerSpec
from procsup.core.ties import link_declared, note_death
from procsup.core.timers import Phase

if TYPE_CHECKING:
    from procsup.core.supervisor import Supervisor


def start(book: Book, child: Child, cause: int | None) -> None:
    """A start attempt begins: DOWN → STARTING."""
    spec = _spec(child)
    book.begin_life(child)
    child.change(State.STARTING, book.now)
    child.how, child.ended, child.ready, child.obstacle = "", None, spec.ready, ""
    book.record("starting", child, cause, type="worker", starts=child.starts + 1)
    book.actions.append(Spawn(child.life, child.path, spec, child.starts + 1))
    book.set_timer(child, Phase.START, spec.start_timeout)


def stop(book: Book, child: Child, cause: int | None) -> None:
    """The stop sequence begins: STARTING, RUNNING or DOOMED → STOPPING. It may be dead by now: all facts come first."""
    child.change(State.STOPPING, book.now)
    _record_stop(book, child, cause)
    book.todo.append(partial(_stop_late, book, child, child.life))


def kill(book: Book, child: Child, how: str = "killed") -> None:
    """The time is over, or there is none to lose."""
    if not child.gone and child.how not in ("killed", "brutal_kill"):
        child.how = how
        book.actions.append(Signal(child.life, "SIGKILL"))


def expired(book: Book, child: Child) -> None:
    """A timer of its present life."""
    if child.state is State.STARTING:
        _bring_down(book, child, State.FAILING, TIMEOUT, child.cause)
    else:
        kill(book, child)


def strike(book: Book, child: Child, reason: Linked, cause: int | None) -> None:
    """An exit signal: RUNNING → STRUCK, or, of one that was not ready yet, STARTING → FAILING."""
    if child.state is State.STARTING:
        _bring_down(book, child, State.FAILING, NotReady(reason), cause)
    else:
        _bring_down(book, child, State.STRUCK, reason, cause)


def started(book: Book, life: int, pid: int) -> None:
    child = book.lives[life]
    child.pid = pid
    child.started = book.now
    facts = {"waits_for": child.awaited} if child.awaited else {}
    book.record("started", child, child.cause, pid=pid, **facts)
    if child.state is State.STARTING:
        child.starts += 1
        if is_ready_at_exec(child.ready):
            _is_ready(book, child)
    elif child.state in ENDING:  # decided while the spawn was under way
        book.todo.append(partial(_stop_late, book, child, life))


def became_ready(book: Book, life: int) -> None:
    """Too late, when its end has come or was decided; and more than once is once."""
    child = book.lives.get(life)
    if child is not None and child.state is State.STARTING and child.pid is not None:
        _is_ready(book, child, after=round(book.now - child.started, 6))


def not_ready_yet(book: Book, life: int, why: str) -> None:
    child = book.lives.get(life)
    if child is not None and child.state is State.STARTING and child.pid is not None:
        child.obstacle = why


def spawn_failed(book: Book, life: int, stage: str, errno: str) -> None:
    child = book.lives[life]
    if child.state not in (State.FAILING, State.CLEARING):  # else it was given up, and the reason stands
        child.last_exit = StartFailed(stage, errno)
    assert isinstance(child.last_exit, StartFailure)
    book.end_life(child)
    _record_failure(book, child, child.last_exit)
    _parent(child).on_start_failed(child, child.last_exit)


def exited(book: Book, life: int, ended: WorkerExit, gone: bool, tail: tuple[str, ...]) -> None:
    child = book.lives[life]
    child.ended = ended
    match child.state:
        case State.STOPPING if child.how:
            if gone:
                _stopped(book, child)
            return
        case State.STARTING:
            child.change(State.FAILING, book.now)
            child.last_exit = NotReady(ended)
        case State.FAILING | State.STRUCK | State.CLEARING:  # we have ended it, and the reason stands
            pass
        case _:
            child.last_exit = judge_exit(ended, _spec(child).normal_exits)
    assert child.last_exit is not None
    _record_end(book, child, child.last_exit, tail)
    note_death(book, child, child.pid, child.last_exit)
    if gone:
        book.end_life(child)
    else:  # the rest of its group gets the stop sequence, unless the next fact is that it is gone too
        book.todo.append(partial(_stop_late, book, child, life))
    if child.state not in (State.FAILING, State.CLEARING):
        _parent(child).on_exit(child, child.last_exit)
    elif gone:
        _settle(book, child)


def emptied(book: Book, life: int) -> None:
    child = book.lives[life]
    if child.state is State.STOPPING:
        _stopped(book, child)
    else:
        book.end_life(child)
        _settle(book, child)


def _is_ready(book: Book, child: Child, **facts: Detail) -> None:
    child.change(State.RUNNING, book.now)
    book.record("ready", child, child.cause, type="worker", **facts)
    link_declared(book, child)
    _parent(child).on_ready(child)


def _bring_down(book: Book, child: Child, state: State, reason: Reason, cause: int | None) -> None:
    """The stop sequence begins, and the reason is known."""
    child.last_exit = reason
    child.change(state, book.now)
    _record_stop(book, child, cause)
    if child.pid is None:
        kill(book, child)
    else:
        _begin_stop(book, child)


def _begin_stop(book: Book, child: Child) -> None:
    spec = _spec(child)
    if spec.shutdown == "brutal_kill":
        kill(book, child, "brutal_kill")
        return
    if child.pid is None:
        book.actions.append(Cancel(child.life))
    else:
        child.how = "shutdown"
        if child.ended is None and spec.has_channel:
            book.actions.append(Tell(child.life, messages.Shutdown()))
        book.actions.append(Signal(child.life, spec.stop_signal))
        book.actions.append(Signal(child.life, "SIGCONT"))
    if book.hurried or _parent(child).hurried or spec.shutdown == 0:
        kill(book, child)
    else:
        book.set_timer(child, Phase.START if child.pid is None else Phase.END, spec.shutdown)


def _stop_late(book: Book, child: Child, life: int) -> None:
    if child.life == life and not child.gone and not child.how:
        _begin_stop(book, child)


def _stopped(book: Book, child: Child) -> None:
    pid = child.pid
    book.end_life(child)
    child.last_exit = SHUTDOWN if child.how == "shutdown" else KILLED
    child.change(State.DOWN, book.now)
    ended, reason = str(child.ended), str(child.last_exit)
    book.record("stopped", child, child.cause, type="worker", reason=reason, how=child.how, pid=pid, ended=ended)
    note_death(book, child, pid, child.last_exit)
    _parent(child).on_down(child)


def _settle(book: Book, child: Child) -> None:
    """Nothing is left of it. Who is EXITED waits for the decision of its supervisor."""
    match child.state:
        case State.FAILING:
            assert isinstance(child.last_exit, StartFailure)
            _parent(child).on_start_failed(child, child.last_exit)
        case State.CLEARING:
            child.change(State.DOWN, book.now)
            _parent(child).on_down(child)
        case _:
            pass


def _record_stop(book: Book, child: Child, cause: int | None) -> None:
    signal = "SIGKILL" if _spec(child).shutdown == "brutal_kill" else _spec(child).stop_signal
    book.record("stopping", child, cause, type="worker", pid=child.pid, signal=signal)


def _record_end(book: Book, child: Child, reason: Reason, tail: tuple[str, ...]) -> None:
    """Its main process has ended, and its supervisor did not ask for that."""
    uptime = round(book.now - child.started, 6)
    facts: dict[str, Detail] = {"pid": child.pid, "uptime": uptime, "tail": () if reason is NORMAL else tail}
    if isinstance(reason, StartFailure):
        if reason is TIMEOUT and child.awaited:
            facts["waited_for"] = child.awaited
        _record_failure(book, child, reason, how=child.how, ended=str(child.ended), **facts)
    elif isinstance(reason, Linked):
        facts |= {"tail": (), "how": child.how, "ended": str(child.ended)}
        book.record("exited", child, child.cause, type="worker", reason=str(reason), **facts)
    else:
        book.record("exited", child, None, type="worker", reason=str(reason), **facts)


def _record_failure(book: Book, child: Child, reason: StartFailure, **facts: Detail) -> None:
    command = _spec(child).program.command
    book.record("start_failed", child, child.cause, type="worker", reason=str(reason), command=command, **facts)


def _spec(child: Child) -> WorkerSpec:
    assert isinstance(child.spec, WorkerSpec)
    return child.spec


def _parent(child: Child) -> "Supervisor":
    assert child.parent is not None
    return child.parent
