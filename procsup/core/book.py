"""The book: the one mutable store of the core, shared by the machines of one node.

Owns the numbers (seq, life), the indexes (path, name and life → child, and who names whom in its spec), the timers, the
actions collected for the runtime, and what is still to be done. Facts are recorded as they come; who ended is put on
`deaths`, for exit signals, and whatever else follows on `todo`, first in, first out, so that no depth of the tree is a
depth of the stack.
"""

from collections import deque
from collections.abc import Callable

from procsup.core.actions import Action, Detail, Record, Reply
from procsup.core.calls import Refusal
from procsup.core.child import ENDING, Child, State, Wanted
from procsup.core.health import Tally
from procsup.core.reason import StartFailure
from procsup.core.spec import ChildSpec
from procsup.core.ties import Death, Declarations
from procsup.core.timers import Phase, Timers


class Book:
    """`now` is the time of the events being handled, in seconds."""

    __slots__ = (
        "_lives", "_seq", "actions", "children", "deaths", "declared", "hurried", "lives", "names", "namesakes", "now",
        "tally", "timers", "todo",
    )  # fmt: skip

    def __init__(self) -> None:
        self.now = 0.0
        self.hurried = False
        self.actions: list[Action] = []
        self.todo: deque[Callable[[], None]] = deque()
        self.children: dict[str, Child] = {}
        self.names: dict[str, Child] = {}
        self.namesakes: dict[str, list[Child]] = {}
        self.lives: dict[int, Child] = {}
        self.declared = Declarations()
        self.deaths: list[Death] = []
        self.tally = Tally()
        self.timers = Timers(self._is_void)
        self._seq = 0
        self._lives = 0

    def record(self, event: str, child: Child, cause: int | None, /, **details: Detail) -> int:
        """The seq of a new record about `child`, which becomes the cause of what follows for it."""
        child.cause = seq = self.note(event, child, cause, **details)
        return seq

    def go_on_from(self, seq: int) -> None:
        """The next record has the number after this one."""
        self._seq = seq

    def note(self, event: str, child: Child, cause: int | None, /, **details: Detail) -> int:
        """The same, for what only accompanies the life of the child: the cause of what follows stays what it was."""
        self._seq += 1
        self.actions.append(Record(self._seq, event, child.path, cause, details))
        return self._seq

    def release(self, child: Child) -> None:
        """An operator's hold, if there is one, is over."""
        if child.held:
            child.held = False
            child.release = self.note("released", child, None)

    def add(self, child: Child) -> None:
        """Into the indexes. Of two children of one name in different places the older keeps the name."""
        self.children[child.path] = child
        self.tally.add(child)
        if self.names.setdefault(child.name, child) is not child:
            self.namesakes.setdefault(child.name, []).append(child)
        self.declared.add(child)

    def respecify(self, child: Child, spec: ChildSpec) -> None:
        """The name is the same."""
        self.declared.remove(child)
        child.spec = spec
        self.declared.add(child)

    def forget(self, child: Child) -> None:
        self.declared.remove(child)
        self.tally.forget(child)
        if self.children.get(child.path) is child:
            del self.children[child.path]
        namesakes = self.namesakes.get(child.name, [])
        if child in namesakes:
            namesakes.remove(child)
        elif self.names.get(child.name) is child:
            del self.names[child.name]
            if namesakes:
                self.names[child.name] = namesakes.pop(0)
        if not namesakes:
            self.namesakes.pop(child.name, None)

    def begin_life(self, child: Child) -> None:
        self._lives += 1
        child.life = self._lives
        child.gone = False
        child.release = None
        self.lives[child.life] = child

    def end_life(self, child: Child) -> None:
        child.gone = True
        child.pid = None
        del self.lives[child.life]

    def set_timer(self, child: Child, phase: Phase, seconds: float | str) -> None:
        """Of its present life; for "infinity", none."""
        if not isinstance(seconds, str):
            self.timers.set(self.now + seconds, child.life, phase)

    def reply(self, ref: int | None, error: Refusal | StartFailure | None = None) -> None:
        if ref is not None:
            self.actions.append(Reply(ref, error))

    def add_waiter(self, child: Child, ref: int, wanted: Wanted) -> None:
        if child.waiters is None:
            child.waiters = []
        child.waiters.append((ref, wanted))

    def answer_waiters(self, child: Child, wanted: Wanted, error: Refusal | StartFailure | None = None) -> None:
        """Answer those who wait for `wanted`; the others go on waiting."""
        if child.waiters is None:
            return
        left: list[tuple[int, Wanted]] = []
        for ref, wants in child.waiters:
            if wants is wanted:
                self.reply(ref, error)
            else:
                left.append((ref, wants))
        child.waiters = left or None

    def drain(self) -> None:
        while self.todo:
            self.todo.popleft()()

    def _is_void(self, life: int, phase: Phase) -> bool:
        """A timer matters only to a life that is starting, or that is being brought to its end and has not got our KILL
        yet.
        """
        child = self.lives.get(life)
        if child is None or child.how in ("killed", "brutal_kill"):
            return True
        if phase is Phase.START:
            return child.state is not State.STARTING and (child.pid is not None or child.state is not State.STOPPING)
        return child.state not in ENDING
