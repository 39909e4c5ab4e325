"""Links: exit signals between workers, over the whole tree (DESIGN § 4).

When a life ends, a signal with its reason runs through all lives that are linked with it, and with those, at once. Who
traps exits is told, and lives on; who does not gets its stop sequence, after which its reason is `linked PEER REASON`,
and is dead to links from now on: its later end fires nothing. So one death costs each member of a circle one restart.
As in OTP the reason crosses link after link unchanged; PEER is the one from which it came. `normal` ends nobody, and
does not cross; only those who trap exits and were linked with the dead are told. To be stopped is `shutdown` or, if it
took our KILL, `killed`, and fires when nothing is left of the group.

A link ties two lives. Those that a life asks for are made at once; those of a spec when the later of the two becomes
ready, if the other runs then. What a worker is, by the state of its life (child.py):

                                linked with it       a signal that comes to it       its end fires
    no process: DOWN, held,     noproc               -                               -
      RESTARTING, not executed
    STARTING, executed          yes, if asked for    its start fails: not_ready      not_ready REASON
                                                     linked PEER REASON
    RUNNING                     yes, also by specs   ends it, or is told             its reason
    RUNNING below a supervisor  yes, if asked for    nothing: it is doomed           its reason, shutdown or killed
      that ends or will, DOOMED
    STOPPING                    yes, if asked for    nothing                         shutdown or killed
    STRUCK, FAILING             noproc               nothing                         nothing; of one that was not ready
                                                                                     in time: timeout
    EXITED, CLEARING            noproc               -                               nothing any more

`noproc` is an error to who asked, or, if it traps exits, a signal that it is told. To be linked with oneself means
nothing. A tie of a worker that is being stopped lasts until its end, and takes along the other one if that runs.

Three steps for each batch of events: facts, exit signals, decisions. So who died in the same sweep is not struck, and a
sibling that is struck is on its way down before its supervisor decides. A signal costs O(links of who it reaches).
"""

from collections import deque
from typing import assert_never

from procsup.core import life, monitors
from procsup.core.actions import Tell
from procsup.core.book import Book
from procsup.core.calls import Refusal
from procsup.core.child import Child, State
from procsup.core.messages import Answer, Exit, RequestId
from procsup.core.reason import NOPROC, NORMAL, Linked, Reason
from procsup.core.requests import Demonitor, Link, Monitor, Request, TrapExits, Unlink
from procsup.core.ties import Death, is_alive, is_doomed, link, ties_of, traps_exits, unlink, unlink_all


def spread(book: Book) -> None:
    """Tell of all who died in this batch."""
    deaths, book.deaths = book.deaths, []
    for death in deaths:
        _send_exits(book, death)
        monitors.tell_watchers(book, death)
        death.child.ties = None


def requested(book: Book, number: int, request_id: RequestId | None, request: Request) -> None:
    """A worker asks; the answer comes at once, unless it has ended meanwhile."""
    child = book.lives.get(number)
    if child is None or not is_alive(child):
        return
    error = _obey(book, child, request)
    if request_id is not None:
        book.actions.append(Tell(number, Answer(request_id, error)))


def _send_exits(book: Book, death: Death) -> None:
    senders = deque([(death.child, death.cause)])
    while senders:
        sender, cause = senders.popleft()
        for child in unlink_all(sender):
            struck = _receive(book, child, sender, death.reason, cause)
            if struck is not None:
                senders.append((child, struck))


def _receive(book: Book, child: Child, sender: Child, reason: Reason, cause: int | None) -> int | None:
    """The record of the signal, if the child was struck by it."""
    if not _is_open(child):
        return None
    if traps_exits(child):
        if reason is not NORMAL:
            book.note("link_fired", child, cause, peer=sender.name, reason=str(reason), trapped=True)
        book.actions.append(Tell(child.life, Exit(sender.name, reason)))
        return None
    if reason is NORMAL:
        return None
    fired = book.record("link_fired", child, cause, peer=sender.name, reason=str(reason), trapped=False)
    life.strike(book, child, Linked(sender.name, reason), fired)
    return fired


def _obey(book: Book, child: Child, request: Request) -> Refusal | None:
    match request:
        case Link(name=name):
            return _link(book, child, book.names.get(name), name)
        case Unlink(name=name):
            other = book.names.get(name)
            if other is not None:
                unlink(child, other)
        case Monitor():
            return monitors.monitor(book, child, request)
        case Demonitor():
            monitors.demonitor(book, child, request)
        case TrapExits(on=on):
            ties_of(child).traps_exits = on
        case _:
            assert_never(request)
    return None


def _link(book: Book, child: Child, other: Child | None, name: str) -> Refusal | None:
    if other is child:
        return None
    if other is not None and _can_be_linked(child) and _can_be_linked(other):
        link(child, other)
        return None
    if not traps_exits(child):
        return Refusal.NOPROC
    book.actions.append(Tell(child.life, Exit(name, NOPROC)))
    return None


def _is_open(child: Child) -> bool:
    """To exit signals."""
    return child.state in (State.STARTING, State.RUNNING) and not is_doomed(child)


def _can_be_linked(child: Child) -> bool:
    return is_alive(child) and child.state in (State.STARTING, State.RUNNING, State.DOOMED, State.STOPPING)
