"""The node: who lives, who is tied to whom, and what follows from a death. Pure: it is told, and returns actions.

Every process of a script has a stream to the node and speaks to nobody else; so the node knows every link before the
death that crosses it, and signals between two processes arrive in the order in which they were sent. Addresses are
values.Pid as plain tuples, reasons are parcel.Reason: words as they are, anything else pickled.

From a process (`id` is answered with "done"; what concerns an unknown address concerns a dead process):

    spawned BORN PEERS REF      body: the number of a child of the sender's; it is linked to PEERS from its first
                                breath, monitored if REF is not None. With it come two descriptors (node_process.py)
    message TO                  body: the message
    answer TO REF               body: the value; thrown away there unless TO still waits for REF
    link ID TO                  done: whether TO lives
    unlink ID TO                done: True
    monitor REF TO
    demonitor REF
    traps FLAG
    signal TO REASON            Process.exit
    alive ID TO                 done: whether it lives and has not begun to end
    exit REASON                 it ends, as soon as its children are down
    task NUMBER NAME            a task that it has started: the script is to tell the daemon
    later TIMER TO SECONDS      body: a message for then
    cancel ID TIMER             done: seconds left, or None

To a process:

    message                     body: the message
    answer REF                  body: the value
    EXIT FROM REASON            it traps exits, and a link or an exit signal has fired
    DOWN REF WHO REASON
    task NUMBER NAME            only to the script itself
    exit REASON                 only to the script itself, which is interrupted, where others are killed
    done ID RESULT
    reap NUMBER                 this child of yours is a zombie

A process is *ending* from the moment its reason is known, because it said so or because a signal struck it: that reason
stands, and it gets no more signals. It is *gone* when the kernel says so, and only then its links and monitors
fire: whoever learns of a death may take the place of the dead.

No process outlives the one that spawned it, since only a parent can wait. When a process ends, its children get its
reason over their links, then the exit signal "shutdown"; those who trap exits and stay are killed after GRACE seconds.
"""

from collections.abc import Callable
from typing import NamedTuple

from procsup.worker.frames import Head
from procsup.worker.parcel import Reason

Address = tuple[int, int]

GRACE = 5.0
"""Seconds from a polite exit signal to a kill: the default of OTP's child specs."""


def spawned_address(body: bytes, born: int) -> Address:
    return int.from_bytes(body, "little"), born


class Deliver(NamedTuple):
    to: Address
    head: Head
    body: bytes = b""


class Interrupt(NamedTuple):
    """Make the script look at what was delivered to it, whatever it is doing."""

    whom: Address


class Kill(NamedTuple):
    whom: Address


class KillLater(NamedTuple):
    """Call `kill_at_last` after GRACE seconds."""

    whom: Address


Action = Deliver | Interrupt | Kill | KillLater


class Life:
    """One process. The dicts are ordered sets."""

    __slots__ = ("address", "children", "dismissed", "links", "parent", "reason", "traps", "watchers", "watching")

    def __init__(self, address: Address, parent: Address | None) -> None:
        self.address = address
        self.parent = parent
        self.children: dict[Address, None] = {}
        self.links: dict[Address, None] = {}
        self.watchers: dict[tuple[Address, int], None] = {}
        """Who monitors it, and by which ref"""
        self.watching: dict[int, Address] = {}
        """ref → whom it monitors"""
        self.traps = False
        self.dismissed = False
        """Its parent has ended, and it was told so"""
        self.reason: Reason | None = None
        """Not None: it is ending"""


class Node:
    """Every method adds to `actions`, which the caller takes away and performs in order."""

    def __init__(self, script: Address) -> None:
        self.script = script
        self.lives: dict[Address, Life] = {script: Life(script, None)}
        self.actions: list[Action] = []

    def handle(self, sender: Address, head: Head, body: bytes) -> None:
        """A frame, but for those of timers. O(1), but for `exit`, which is O(children)."""
        _HANDLERS[head[0]](self, self.lives[sender], body, *head[1:])

    def gone(self, address: Address, kernel_says: Callable[[], Reason]) -> None:
        """The process is a zombie, and all that it sent has been handled. `kernel_says` gives the reason if there is
        none yet. O(its children, links and monitors).
        """
        life = self.lives.pop(address)
        reason = kernel_says() if life.reason is None else life.reason
        parent = self.lives.get(life.parent) if life.parent else None
        if parent is not None:
            del parent.children[address]
            self._deliver(parent.address, ("reap", address[0]))
        for ref, watched in life.watching.items():
            if watched in self.lives:
                del self.lives[watched].watchers[address, ref]
        self._end_children(life, reason)
        for peer in list(life.links):
            self._fire_link(life, self.lives[peer], reason)
        for watcher, ref in life.watchers:
            if watcher != address:
                del self.lives[watcher].watching[ref]
                self._deliver(watcher, ("DOWN", ref, address, reason))

    def kill_at_last(self, address: Address) -> None:
        """The time is over; its reason stands if it is ending already."""
        life = self.lives.get(address)
        if life is not None:
            self._strike(life, "killed")

    @property
    def is_over(self) -> bool:
        """Nobody lives but the script, at most, and it has said that it ends."""
        match list(self.lives.values()):
            case []:
                return True
            case [life]:
                return life.address == self.script and life.reason is not None
            case _:
                return False

    # What processes say

    def _spawned(self, parent: Life, body: bytes, born: int, peers: tuple[Address, ...], ref: int | None) -> None:
        child = spawned_address(body, born)
        life = self.lives[child] = Life(child, parent.address)
        parent.children[child] = None
        for peer in peers:
            if peer in self.lives:
                self._tie(life, self.lives[peer])
            else:
                self._strike(life, "noproc")
        if ref is not None:
            self._watch(parent, ref, life)

    def _message(self, sender: Life, body: bytes, to: Address) -> None:
        self._deliver(to, ("message",), body)

    def _answer(self, sender: Life, body: bytes, to: Address, ref: int) -> None:
        self._deliver(to, ("answer", ref), body)

    def _task(self, sender: Life, body: bytes, number: int, name: str) -> None:
        self._deliver(self.script, ("task", number, name))

    def _link(self, life: Life, body: bytes, request: int, to: Address) -> None:
        peer = self.lives.get(to)
        if peer is not None and peer is not life:
            self._tie(life, peer)
        self._deliver(life.address, ("done", request, peer is not None))

    def _unlink(self, life: Life, body: bytes, request: int, to: Address) -> None:
        peer = self.lives.get(to)
        if peer is not None:
            self._untie(life, peer)
        self._deliver(life.address, ("done", request, True))

    def _monitor(self, life: Life, body: bytes, ref: int, to: Address) -> None:
        peer = self.lives.get(to)
        if peer is not None:
            self._watch(life, ref, peer)
        else:
            self._deliver(life.address, ("DOWN", ref, to, "noproc"))

    def _demonitor(self, life: Life, body: bytes, ref: int) -> None:
        watched = life.watching.pop(ref, None)  # None: it is gone, and DOWN on its way
        if watched is not None:
            del self.lives[watched].watchers[life.address, ref]

    def _traps(self, life: Life, body: bytes, flag: bool) -> None:
        life.traps = flag

    def _signal(self, sender: Life, body: bytes, to: Address, reason: Reason) -> None:
        life = self.lives.get(to)
        if life is None:
            return
        if reason == "kill":
            self._strike(life, "killed")
        else:
            self._send_exit(life, sender.address, reason)

    def _alive(self, life: Life, body: bytes, request: int, to: Address) -> None:
        peer = self.lives.get(to)
        self._deliver(life.address, ("done", request, peer is not None and peer.reason is None))

    def _exit(self, life: Life, body: bytes, reason: Reason) -> None:
        if life.reason is None:
            life.reason = reason
            self._end_children(life, reason)

    # What follows

    def _end_children(self, life: Life, reason: Reason) -> None:
        for child in [self.lives[address] for address in life.children]:
            if child.dismissed:
                continue
            child.dismissed = True
            is_linked = child.address in life.links
            if is_linked:
                self._fire_link(life, child, reason)
            if not (is_linked and child.traps):
                self._send_exit(child, life.address, "shutdown")
            self.actions.append(KillLater(child.address))

    def _fire_link(self, dead: Life, peer: Life, reason: Reason) -> None:
        self._untie(dead, peer)
        self._send_exit(peer, dead.address, reason)

    def _send_exit(self, life: Life, sender: Address, reason: Reason) -> None:
        """An exit signal that can be trapped."""
        if life.reason is not None:
            return
        if life.traps:
            self._deliver(life.address, ("EXIT", sender, reason))
        elif reason != "normal":
            if life.address == self.script:
                self._deliver(life.address, ("exit", reason))
                self.actions.append(Interrupt(life.address))
            else:
                self._strike(life, reason)

    def _strike(self, life: Life, reason: Reason) -> None:
        if life.reason is None:
            life.reason = reason
        self.actions.append(Kill(life.address))

    def _tie(self, one: Life, other: Life) -> None:
        one.links[other.address] = other.links[one.address] = None

    def _untie(self, one: Life, other: Life) -> None:
        one.links.pop(other.address, None)
        other.links.pop(one.address, None)

    def _watch(self, watcher: Life, ref: int, watched: Life) -> None:
        watcher.watching[ref] = watched.address
        watched.watchers[watcher.address, ref] = None

    def _deliver(self, to: Address, head: Head, body: bytes = b"") -> None:
        if to in self.lives:
            self.actions.append(Deliver(to, head, body))


_HANDLERS: dict[str, Callable[..., None]] = {
    "spawned": Node._spawned,
    "message": Node._message,
    "answer": Node._answer,
    "link": Node._link,
    "unlink": Node._unlink,
    "monitor": Node._monitor,
    "demonitor": Node._demonitor,
    "traps": Node._traps,
    "signal": Node._signal,
    "alive": Node._alive,
    "exit": Node._exit,
    "task": Node._task,
}
