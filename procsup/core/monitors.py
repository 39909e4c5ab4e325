"""Monitors: the watcher is told of a death, once for each monitor, and lives on.

A monitor that a life made watches one life, and ends with either. `noproc` is told at once when nobody is there: when
the name is unknown or a supervisor's, and when the worker has no process, or none any more, whatever its state. A
worker that is starting, or on its way down, is watched as long as its main process lives.

A monitor of the spec belongs to the names and watches every life that was executed, ready or not; no `noproc` is told
for it. A watcher is told as long as its own main process lives, even when it is being stopped.

OTP's demonitor with `flush` removes a DOWN from the mailbox. Mailboxes are the runtime's: a demonitor that comes after
its Down gives the action Retract, and then the answer, after which no Down with that ref is delivered. What the worker
itself has read by then, its library drops when the answer comes.
"""

from procsup.core.actions import Retract, Tell
from procsup.core.book import Book
from procsup.core.calls import Refusal
from procsup.core.child import Child
from procsup.core.messages import Down
from procsup.core.reason import NOPROC
from procsup.core.requests import Demonitor, Monitor
from procsup.core.ties import Death, is_alive, ties_of

MOST = 10_000
"""Monitors that one life may have made at a time, so that no worker can fill the daemon's memory."""


def monitor(book: Book, watcher: Child, request: Monitor) -> Refusal | None:
    ties = ties_of(watcher)
    if request.ref in ties.monitors:
        return Refusal.ALREADY_PRESENT
    if len(ties.monitors) >= MOST:
        return Refusal.TOO_MANY
    child = book.names.get(request.name)
    if child is None or not is_alive(child):
        book.actions.append(Tell(watcher.life, Down(request.ref, request.name, None, NOPROC)))
        return None
    ties.monitors[request.ref] = child
    ties_of(child).watchers[watcher, request.ref] = None
    return None


def demonitor(book: Book, watcher: Child, request: Demonitor) -> None:
    child = ties_of(watcher).monitors.pop(request.ref, None)
    if child is not None:
        assert child.ties is not None
        del child.ties.watchers[watcher, request.ref]
    elif request.flush:
        book.actions.append(Retract(watcher.life, request.ref))


def tell_watchers(book: Book, death: Death) -> None:
    """And forget whom the dead watched. O(its monitors and those of it)."""
    child, ties = death.child, death.child.ties
    for watcher in death.watchers:
        _tell(book, watcher, Down(None, child.name, death.pid, death.reason))
    if ties is None:
        return
    for watcher, ref in ties.watchers:
        assert watcher.ties is not None
        del watcher.ties.monitors[ref]
        _tell(book, watcher, Down(ref, child.name, death.pid, death.reason))
    for ref, watched in ties.monitors.items():
        assert watched.ties is not None
        watched.ties.watchers.pop((child, ref), None)


def _tell(book: Book, watcher: Child, message: Down) -> None:
    if is_alive(watcher):
        book.actions.append(Tell(watcher.life, message))
