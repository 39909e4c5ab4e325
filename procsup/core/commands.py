"""The operator's commands: start, stop and restart of a child, whatever its supervisor is doing.

`stop` is a hold: it pre-empts what is going on, the child stays down through every restart of its group and of the
supervisors above, and only `start` (or `restart`) lets it run again. A command is answered when the child has
reached the wanted state, or cannot any more; one that wants otherwise overtakes it. No command counts as a restart.
"""

from typing import assert_never

from procsup.core import child_calls
from procsup.core.agenda import Agenda, Purpose
from procsup.core.book import Book
from procsup.core.calls import Command, Refusal, Restart, Start, Stop
from procsup.core.child import Child, State, Wanted
from procsup.core.spec import Strategy
from procsup.core.supervisor import Supervisor


def obey(book: Book, ref: int, command: Command) -> None:
    child = book.children.get(command.path)
    if child is None:
        book.reply(ref, Refusal.UNKNOWN)
        return
    if child.parent is None:
        book.reply(ref, Refusal.ROOT)
        return
    match command:
        case Stop(by=by):
            _stop(book, child.parent, child, ref, by)
        case Start():
            _start(book, child.parent, child, ref)
        case Restart():
            _restart(book, child.parent, child, ref)
        case _:
            assert_never(command)


def _stop(book: Book, supervisor: Supervisor, child: Child, ref: int, by: str) -> None:
    book.answer_waiters(child, Wanted.UP, Refusal.OVERTAKEN)
    if not child.held:
        _hold(book, supervisor, child, by)
    book.add_waiter(child, ref, Wanted.DOWN)
    if child.state is State.DOWN:
        book.answer_waiters(child, Wanted.DOWN)


def _hold(book: Book, supervisor: Supervisor, child: Child, by: str) -> None:
    child.held = True
    cause = book.note("held", child, None, by=by)
    if child.agenda is not None and child in child.agenda.start:
        book.reply(child.agenda.ref, Refusal.OVERTAKEN)
        child.agenda.ref = None
    match child.state:
        case State.RUNNING:
            supervisor.open(Agenda(Purpose.COMMAND, cause), doomed=[child])
        case State.STARTING:
            supervisor.begin_stop(child, cause)
        case State.EXITED | State.FAILING | State.STRUCK:
            supervisor.bury(child)
        case State.RESTARTING:
            supervisor.abandon_retry(child, cause)
        case State.DOWN | State.DOOMED | State.STOPPING | State.CLEARING:
            pass
        case _:
            assert_never(child.state)


def _start(book: Book, supervisor: Supervisor, child: Child, ref: int) -> None:
    if not supervisor.takes_calls:
        book.reply(ref, Refusal.NOPROC)
        return
    _release(book, child, ref)
    match child.state:
        case State.RUNNING:
            book.answer_waiters(child, Wanted.UP)
        case State.STARTING | State.FAILING | State.STRUCK | State.RESTARTING:
            pass
        case _:
            _start_when_down(supervisor, child)


def _restart(book: Book, supervisor: Supervisor, child: Child, ref: int) -> None:
    if not supervisor.takes_calls:
        book.reply(ref, Refusal.NOPROC)
        return
    _release(book, child, ref)
    match child.state:
        case State.RUNNING:
            supervisor.open(Agenda(Purpose.COMMAND, None, start=[child]), doomed=[child])
        case State.STARTING | State.FAILING | State.STRUCK | State.RESTARTING:
            pass
        case _:
            _start_when_down(supervisor, child)


def _release(book: Book, child: Child, ref: int) -> None:
    book.answer_waiters(child, Wanted.DOWN, Refusal.OVERTAKEN)
    book.add_waiter(child, ref, Wanted.UP)
    book.release(child)


def _start_when_down(supervisor: Supervisor, child: Child) -> None:
    """At once if nothing stands in the way; after its stop if that is all; else when its supervisor has time."""
    agenda = child.agenda
    is_settled = child.state in (State.DOWN, State.CLEARING)
    if agenda is not None and agenda.purpose is Purpose.COMMAND:
        agenda.start = [child]
    elif agenda is None and is_settled and supervisor.is_serving and supervisor.spec.strategy is Strategy.ONE_FOR_ONE:
        child_calls.start_now(supervisor, child)
    else:
        supervisor.wait_turn(None, child)
