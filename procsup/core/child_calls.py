"""OTP's four child calls, served one at a time when their turn has come. As supervisor.erl handle_call/3.

A dead child whose exit is yet to be decided still counts as running, as its pid does in OTP.
"""

from typing import TYPE_CHECKING, assert_never

from procsup.core import reload
from procsup.core.agenda import Agenda, Purpose
from procsup.core.calls import DeleteChild, Refusal, RestartChild, StartChild, TerminateChild
from procsup.core.child import Child, State, Wanted
from procsup.core.reload import Renewal
from procsup.core.spec import is_bad_combination

if TYPE_CHECKING:
    from procsup.core.decisions import WaitingCall
    from procsup.core.supervisor import Supervisor


def serve(supervisor: "Supervisor", waiting: "WaitingCall") -> None:
    """Nothing else is going on under this supervisor. Answers at once, or with the end of the agenda that it opens."""
    match waiting.call:
        case StartChild() as call:
            _start_child(supervisor, call, waiting.ref)
        case TerminateChild(name=name):
            _terminate_child(supervisor, supervisor.children.get(name), waiting.ref)
        case RestartChild(name=name):
            _restart_child(supervisor, supervisor.children.get(name), waiting.ref)
        case DeleteChild(name=name):
            _delete_child(supervisor, supervisor.children.get(name), waiting.ref)
        case Renewal() as renewal:
            reload.serve(renewal)
        case Child() as child:
            if child.state in (State.DOWN, State.CLEARING) and supervisor.children.get(child.name) is child:
                start_now(supervisor, child)
        case _:
            assert_never(waiting.call)


def start_now(supervisor: "Supervisor", child: Child) -> None:
    """Start a child that is down, for an operator."""
    supervisor.open(Agenda(Purpose.COMMAND, None, start=[child]))


def _start_child(supervisor: "Supervisor", call: StartChild, ref: int | None) -> None:
    present = supervisor.children.get(call.spec.name)
    if is_bad_combination(call.spec, supervisor.spec.auto_shutdown):
        supervisor.book.reply(ref, Refusal.BAD_COMBINATION)
    elif present is None:
        child = supervisor.add(call.spec)
        cause = supervisor.book.record("child_added", child, None, type=child.type)
        supervisor.open(Agenda(Purpose.CALL, cause, start=[child], ref=ref, is_new=True))
    elif present.state in (State.DOWN, State.CLEARING, State.RESTARTING):
        supervisor.book.reply(ref, Refusal.ALREADY_PRESENT)
    else:
        supervisor.book.reply(ref, Refusal.ALREADY_STARTED)


def _terminate_child(supervisor: "Supervisor", child: Child | None, ref: int | None) -> None:
    if child is None:
        supervisor.book.reply(ref, Refusal.NOT_FOUND)
    else:
        supervisor.book.answer_waiters(child, Wanted.UP, Refusal.OVERTAKEN)
        supervisor.open(Agenda(Purpose.CALL, None, ref=ref), doomed=[child])


def _restart_child(supervisor: "Supervisor", child: Child | None, ref: int | None) -> None:
    refusal = _why_not_down(child)
    if child is None or refusal is not None:
        supervisor.book.reply(ref, refusal)
    else:
        supervisor.book.release(child)
        supervisor.open(Agenda(Purpose.CALL, child.release, start=[child], ref=ref))


def _delete_child(supervisor: "Supervisor", child: Child | None, ref: int | None) -> None:
    refusal = _why_not_down(child)
    if child is None or refusal is not None:
        supervisor.book.reply(ref, refusal)
    else:
        supervisor.remove(child, "deleted")
        supervisor.book.reply(ref)


def _why_not_down(child: Child | None) -> Refusal | None:
    match child:
        case None:
            return Refusal.NOT_FOUND
        case Child(state=State.DOWN):
            return None
        case Child(state=State.RESTARTING):
            return Refusal.RESTARTING
        case _:
            return Refusal.RUNNING
