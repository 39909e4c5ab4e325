"""The life of one worker: from its spawn until nothing of its process group is left.

Owns the facts about a life and the stop sequence: stop signal (then CONT, for the stopped cannot hear it), shutdown
time, KILL. A worker whose main process ends by itself keeps its reason, and what is left of its group gets the same
sequence. What becomes of the child is its supervisor's business: every fact ends with telling it.

A spawn may take its time. A worker that is to stop meanwhile has its spawn cancelled, and after the shutdown time KILL
ends it, whatever it hangs in; if it was executed nevertheless, the stop signal goes to it then.
"""

from functools import partial
from typing import TYPE_CHECKING

from procsup.core.actions import Cancel, Signal, Spawn
from procsup.core.book import Book
from procsup.core.child import Child, State
from procsup.core.reason import KILLED, NORMAL, SHUTDOWN, StartFailed, WorkerExit, judge_exit
from procsup.core.spec import WorkerSpec

if TYPE_CHECKING:
    from procsup.core.supervisor import Supervisor


def start(book: Book, child: Child, cause: int | None) -> None:
    """A start attempt begins: DOWN → STARTING."""
    book.begin_life(child)
    child.change(State.STARTING, book.now)
    child.how, child.ended = "", None
    book.record("starting", child, cause, type="worker", starts=child.starts + 1)
    book.actions.append(Spawn(child.life, child.path, _spec(child), child.starts + 1))


def stop(book: Book, child: Child, cause: int | None) -> None:
    """The stop sequence begins: STARTING, RUNNING or DOOMED → STOPPING."""
    child.change(State.STOPPING, book.now)
    book.record("stopping", child, cause, type="worker", pid=child.pid, signal=_first_signal(book, child))
    if child.pid is not None:
        _send_stop(book, child)
    else:  # its spawn is under way, or over: look at all facts first
        book.todo.append(partial(_stop_late, book, child, child.life))


def kill(book: Book, child: Child) -> None:
    """The shutdown time is over, or there is none to lose."""
    if not child.gone and child.how not in ("killed", "brutal_kill"):
        child.how = "killed"
        book.actions.append(Signal(child.life, "SIGKILL"))


def started(book: Book, life: int, pid: int) -> None:
    child = book.lives[life]
    child.pid = pid
    child.started = book.now
    cause = book.record("started", child, child.cause, pid=pid)
    match child.state:
        case State.STARTING:
            child.change(State.RUNNING, book.now)
            child.starts += 1
            book.record("ready", child, cause, type="worker")
            _parent(child).on_ready(child)
        case State.STOPPING:  # decided while the spawn was under way; it may be dead by now: look at all facts first
            book.todo.append(partial(_stop_late, book, child, life))
        case _:
            pass


def _stop_late(book: Book, child: Child, life: int) -> None:
    if child.life == life and not child.gone and not child.how:
        _send_stop(book, child)


def spawn_failed(book: Book, life: int, stage: str, errno: str) -> None:
    child = book.lives[life]
    book.end_life(child)
    reason = StartFailed(stage, errno)
    child.last_exit = reason
    command = _spec(child).program.command
    book.record("start_failed", child, child.cause, type="worker", reason=str(reason), command=command)
    _parent(child).on_start_failed(child, reason)


def exited(book: Book, life: int, ended: WorkerExit, gone: bool, tail: tuple[str, ...]) -> None:
    child = book.lives[life]
    if child.state is State.STOPPING and child.how:
        child.ended = ended
        if gone:
            _stopped(book, child)
        return
    reason = judge_exit(ended, _spec(child).normal_exits)
    child.last_exit = reason
    lines = () if reason is NORMAL else tail
    uptime = round(book.now - child.started, 6)
    book.record("exited", child, None, type="worker", reason=str(reason), pid=child.pid, uptime=uptime, tail=lines)
    if gone:
        book.end_life(child)
    else:  # the rest of its group gets the stop sequence, unless the next fact is that it is gone too
        book.todo.append(partial(_stop_late, book, child, life))
    _parent(child).on_exit(child, reason)


def emptied(book: Book, life: int) -> None:
    child = book.lives[life]
    match child.state:
        case State.STOPPING:
            _stopped(book, child)
        case State.CLEARING:
            book.end_life(child)
            child.change(State.DOWN, book.now)
            _parent(child).on_down(child)
        case _:
            book.end_life(child)


def _stopped(book: Book, child: Child) -> None:
    pid = child.pid
    book.end_life(child)
    child.last_exit = SHUTDOWN if child.how == "shutdown" else KILLED
    child.change(State.DOWN, book.now)
    ended, reason = str(child.ended), str(child.last_exit)
    book.record("stopped", child, child.cause, type="worker", reason=reason, how=child.how, pid=pid, ended=ended)
    _parent(child).on_down(child)


def _first_signal(book: Book, child: Child) -> str:
    return "SIGKILL" if _spec(child).shutdown == "brutal_kill" else _spec(child).stop_signal


def _send_stop(book: Book, child: Child) -> None:
    spec = _spec(child)
    if spec.shutdown == "brutal_kill":
        child.how = "brutal_kill"
        book.actions.append(Signal(child.life, "SIGKILL"))
        return
    if child.pid is None:
        book.actions.append(Cancel(child.life))
    else:
        child.how = "shutdown"
        book.actions.append(Signal(child.life, spec.stop_signal))
        book.actions.append(Signal(child.life, "SIGCONT"))
    if book.hurried or _parent(child).hurried or spec.shutdown == 0:
        kill(book, child)
    elif spec.shutdown != "infinity":
        book.timers.set(book.now + spec.shutdown, child.life)


def _spec(child: Child) -> WorkerSpec:
    assert isinstance(child.spec, WorkerSpec)
    return child.spec


def _parent(child: Child) -> "Supervisor":
    assert child.parent is not None
    return child.parent
