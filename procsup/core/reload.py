"""Reload: a changed tree becomes the running one, with the least disturbance.

A worker runs on, under the same pid, unless what it runs has changed; whatever else its spec and those of supervisors
say holds from the next moment. What is gone from the tree stops, what is new starts. Children that were never in a
file, and those that an operator has deleted, stay as they are, for the new tree is compared with the one loaded last.

Two rounds. First every supervisor stops what it has to give up, so that a worker that moved never runs twice. Then each
goes its own *steps*, one after another, and between two steps other decisions have their turn: under one_for_one each
changed or new child is a step of its own, while the others run; else there is one step, and those that the strategy
would restart along with a changed child are stopped and started with it. A supervisor that ends meanwhile lays out its
children by the new spec when it begins again.

No reload counts as a restart. A start that fails leaves its child down, and the others go on.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from procsup.core import ties
from procsup.core.agenda import Agenda, Purpose
from procsup.core.book import Book
from procsup.core.child import Child, State, subtree
from procsup.core.policy import affected
from procsup.core.spec import ChildSpec, Strategy, SupervisorSpec, WorkerSpec, type_of

if TYPE_CHECKING:
    from procsup.core.supervisor import Supervisor


class Fate(StrEnum):
    """What a reload does with a child."""

    STOP = "stop"
    RESTART = "restart"
    ALONG = "along"
    """Restarted because its supervisor's strategy ties it to one that is."""
    START = "start"
    ADJUST = "adjust"
    """It runs on, or stays down, under the new spec."""
    HELD = "held"
    """What it runs has changed, but an operator holds it down: it will be started by the new spec."""


@dataclass(frozen=True, slots=True)
class Change:
    """`before` is None of what is new, `after` of what goes. `tied_to` names those that ALONG is due to: siblings, or
    the supervisor.
    """

    path: str
    fate: Fate
    before: ChildSpec | None
    after: ChildSpec | None
    tied_to: tuple[str, ...] = ()


@dataclass(slots=True)
class Changes:
    """Of the children of one supervisor; see Fate. `changed` and `adjusted` with what they are to be."""

    leaving: list[Child] = field(default_factory=list)
    changed: dict[Child, ChildSpec] = field(default_factory=dict)
    adjusted: dict[Child, ChildSpec] = field(default_factory=dict)
    new: list[ChildSpec] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """Both in start order: these are stopped, the last first, and then these are started."""

    stop: tuple[Child, ...]
    start: tuple[Child, ...]


@dataclass(slots=True, eq=False)
class Renewal:
    """The part of one supervisor in a reload. `steps` is None until its children are laid out."""

    reload: "Reload"
    supervisor: "Supervisor"
    changed: dict[Child, ChildSpec] = field(default_factory=dict)
    """What they are to be from their next start."""
    steps: deque[Step] | None = None

    def settle(self) -> None:
        """This round is over for it, done or not."""
        self.reload.settle(self)


class Reload:
    """One reload, until every supervisor is done with it: then the call with this `ref` is answered. `cause` is the
    record of it.
    """

    __slots__ = ("_book", "_missing", "_ref", "_renewals", "cause", "is_first_round")

    def __init__(self, book: Book, ref: int, cause: int) -> None:
        self._book = book
        self._ref = ref
        self._renewals: list[Renewal] = []
        self._missing: set[Renewal] = set()
        self.cause = cause
        self.is_first_round = True

    def begin(self, supervisors: "Iterable[Supervisor]") -> None:
        self._renewals = [Renewal(self, supervisor) for supervisor in supervisors]
        self._go_round()

    def settle(self, renewal: Renewal) -> None:
        if renewal in self._missing:
            self._missing.remove(renewal)
            if not self._missing:
                self._end_round()

    def _go_round(self) -> None:
        able = [renewal for renewal in self._renewals if renewal.supervisor.takes_calls]
        self._missing = set(able)
        for renewal in able:
            renewal.supervisor.wait_turn(None, renewal)
        if not able:
            self._end_round()

    def _end_round(self) -> None:
        if self.is_first_round:
            self.is_first_round = False
            self._go_round()
        else:
            self._book.reply(self._ref)


def begin(book: Book, root: Child, ref: int, tree: SupervisorSpec, by: str) -> None:
    """Whatever needs no stop and no start holds at once. `tree` has the name of the root. O(tree)."""
    assert root.supervisor is not None
    counts = Counter(change.fate.value for change in plan(root, tree))
    details = {fate.value: counts[fate.value] for fate in Fate}
    reload = Reload(book, ref, book.note("reloaded", root, None, by=by, **details))
    able: list[Supervisor] = []
    down: list[Supervisor] = []
    for supervisor, spec in _pairs(root.supervisor, tree):
        changes = compare(supervisor, spec)
        for child, new in changes.adjusted.items():
            adjust(book, child, new)
        adjust(book, supervisor.child, spec)
        if not _has_work(changes, supervisor.spec, spec):
            supervisor.adopt_spec(spec)
        elif supervisor.takes_calls:
            able.append(supervisor)
        elif supervisor.child.state is State.DOWN:
            down.append(supervisor)
    for supervisor in reversed(down):  # those above give those below the new spec, with which these would compare
        supervisor.lay_out_children("reloaded")
    reload.begin(able)


def plan(root: Child, tree: SupervisorSpec) -> Iterator[Change]:
    """What `begin` would do as things are now: from the root down, of siblings those that go last. O(tree)."""
    assert root.supervisor is not None
    if _is_adjusted(root.spec, tree):
        yield Change(root.path, Fate.ADJUST, root.spec, tree)
    along: set[Supervisor] = set()
    for supervisor, spec in _pairs(root.supervisor, tree):
        for change, child in _plan_below(supervisor, spec, supervisor in along):
            if child is not None and child.supervisor is not None and change.fate is Fate.ALONG:
                along.add(child.supervisor)
            yield change


def compare(supervisor: "Supervisor", after: SupervisorSpec) -> Changes:
    """What is to be done with the children that it has now. O(children)."""
    before = {spec.name: spec for spec in supervisor.spec.children}
    names = {spec.name for spec in after.children}
    changes = Changes([one for one in supervisor.children.values() if one.name in before and one.name not in names])
    for spec in after.children:
        child = supervisor.children.get(spec.name)
        if child is None:
            known = before.get(spec.name)
            if known is None or _without_children(known) != _without_children(spec):
                changes.new.append(spec)
        elif child.type != type_of(spec):
            changes.leaving.append(child)
            changes.new.append(spec)
        elif _needs_restart(child.spec, spec):
            changes.changed[child] = spec
        elif _is_adjusted(child.spec, spec):
            changes.adjusted[child] = spec
    return changes


def serve(renewal: Renewal) -> None:
    """Nothing else is going on under this supervisor: its next step, be there one or not."""
    supervisor = renewal.supervisor
    leaving = compare(supervisor, supervisor.wanted).leaving if renewal.steps is None else []
    if leaving or renewal.reload.is_first_round:
        _give_up(renewal, leaving)
        return
    if renewal.steps is None:
        renewal.steps = _lay_out(renewal)
    step = renewal.steps.popleft() if renewal.steps else Step((), ())
    stop = [child for child in step.stop if supervisor.children.get(child.name) is child]
    start = [
        child
        for child in reversed(step.start)
        if supervisor.children.get(child.name) is child and (child in stop or not child.is_active)
    ]
    supervisor.open(Agenda(Purpose.RELOAD, renewal.reload.cause, start=start, renewal=renewal), doomed=stop)


def go_on(renewal: Renewal) -> None:
    """Its agenda is done. In the second round there may be children to give up again: another reload overtook this one,
    or an operator has brought one back.
    """
    if renewal.reload.is_first_round or renewal.steps == deque() or not renewal.supervisor.takes_calls:
        renewal.settle()
    else:
        renewal.supervisor.wait_turn(None, renewal)


def renew(renewal: Renewal, child: Child) -> None:
    """It is down, and if it is to be started, then as what the new tree says."""
    spec = renewal.changed.pop(child, None)
    if spec is not None:
        renewal.supervisor.book.respecify(child, spec)


def adjust(book: Book, child: Child, spec: ChildSpec) -> None:
    """From now on it is held to this spec, in whatever state it is; what it runs is the same. A supervisor may be busy:
    its children, and what it does about their deaths, are another matter (_lay_out).
    """
    if child.parent is not None and child.is_active:
        child.parent.active_significant += spec.significant - child.spec.significant
    before = child.spec
    book.respecify(child, spec)
    if isinstance(before, WorkerSpec) and isinstance(spec, WorkerSpec):
        ties.adjust_bonds(book, child, before.bonds, spec.bonds)
    supervisor = child.supervisor
    if supervisor is not None and isinstance(spec, SupervisorSpec):
        old = supervisor.spec
        kept = replace(spec, children=old.children, strategy=old.strategy, auto_shutdown=old.auto_shutdown)
        supervisor.adopt_spec(kept)
        supervisor.wanted = spec


def in_order(supervisor: "Supervisor", spec: SupervisorSpec) -> dict[str, Child]:
    """Its children in the order of this spec; those that it does not name come last, in theirs."""
    named = {one.name: supervisor.children[one.name] for one in spec.children if one.name in supervisor.children}
    return named | supervisor.children


def _pairs(root: "Supervisor", tree: SupervisorSpec) -> "Iterator[tuple[Supervisor, SupervisorSpec]]":
    """The supervisors that are in both trees, those above first, each with its new spec."""
    todo: deque[tuple[Supervisor, SupervisorSpec]] = deque([(root, tree)])
    while todo:
        supervisor, spec = todo.popleft()
        yield supervisor, spec
        for below in spec.children:
            child = supervisor.children.get(below.name)
            if isinstance(below, SupervisorSpec) and child is not None and child.supervisor is not None:
                todo.append((child.supervisor, below))


def _plan_below(
    supervisor: "Supervisor", spec: SupervisorSpec, is_along: bool
) -> "Iterator[tuple[Change, Child | None]]":
    """Of its children, and of all below those that come or go. `is_along`: it is restarted itself."""
    changes = compare(supervisor, spec)
    after = {one.name: one for one in spec.children}
    is_up = supervisor.takes_calls
    tied_to = tuple(child.name for child in changes.changed if _takes_others_along(child))
    if is_along:
        tied_to, group = (supervisor.child.name,), list(supervisor.children.values())
    else:
        group = _group(supervisor, spec, changes.changed) if is_up else []
    along = {child for child in group if child not in changes.changed and child not in changes.leaving}
    for child in in_order(supervisor, spec).values():
        wanted = after.get(child.name, child.spec)
        if child in changes.changed:
            fate = Fate.HELD if child.held else Fate.RESTART if is_up else Fate.ADJUST
            yield Change(child.path, fate, child.spec, wanted), child
        elif child in along:
            yield Change(child.path, Fate.ALONG, child.spec, wanted, tied_to), child
        elif child in changes.adjusted:
            yield Change(child.path, Fate.ADJUST, child.spec, wanted), child
    for one in changes.new:
        for path, new in _with_all_below(supervisor.child.path, one):
            yield Change(path, Fate.START if is_up else Fate.ADJUST, None, new), None
    for leaving in changes.leaving:
        for child in subtree(leaving):
            yield Change(child.path, Fate.STOP, child.spec, None), None


def _has_work(changes: Changes, before: SupervisorSpec, after: SupervisorSpec) -> bool:
    """Anything that has to wait for its turn."""
    if changes.leaving or changes.changed or changes.new or _is_reordered(before, after):
        return True
    return (before.strategy, before.auto_shutdown) != (after.strategy, after.auto_shutdown)


def _with_all_below(above: str, spec: ChildSpec) -> Iterator[tuple[str, ChildSpec]]:
    todo = [(f"{above}/{spec.name}", spec)]
    while todo:
        path, one = todo.pop()
        yield path, one
        if isinstance(one, SupervisorSpec):
            todo += [(f"{path}/{below.name}", below) for below in reversed(one.children)]


def _give_up(renewal: Renewal, leaving: list[Child]) -> None:
    supervisor, cause = renewal.supervisor, renewal.reload.cause
    for child in [child for child in leaving if child.state is State.DOWN]:
        child.cause = cause
        supervisor.remove(child, "reloaded")
    there = [child for child in leaving if child.state is not State.DOWN]
    _free_groups(supervisor, there, cause)
    supervisor.open(Agenda(Purpose.GIVE_UP, cause, renewal=renewal), doomed=there)


def _lay_out(renewal: Renewal) -> deque[Step]:
    """The records in the new order, those of new children among them; and what there is to do."""
    supervisor = renewal.supervisor
    spec = supervisor.wanted
    changes = compare(supervisor, spec)
    if spec.strategy is not supervisor.spec.strategy:
        _free_groups(supervisor, supervisor.children.values(), renewal.reload.cause)
    supervisor.adopt_spec(spec)
    renewal.changed = changes.changed
    for child in list(changes.changed):
        if child.held and child.state is State.DOWN:
            renew(renewal, child)
    group = _group(supervisor, spec, renewal.changed)
    added = {_added(renewal, one) for one in changes.new}
    supervisor.put_in_order()
    stop = {*group, *renewal.changed}
    start = {*renewal.changed, *added, *(child for child in group if not child.is_temporary)}
    if spec.strategy is Strategy.ONE_FOR_ONE:
        alone = [child for child in supervisor.children.values() if child in start]
        return deque(Step((child,) if child in stop else (), (child,)) for child in alone)
    stop_in_order = tuple(child for child in supervisor.children.values() if child in stop)
    return deque([Step(stop_in_order, tuple(child for child in supervisor.children.values() if child in start))])


def _free_groups(supervisor: "Supervisor", children: Iterable[Child], cause: int) -> None:
    """A restart that is about to be tried again will not be, or not with all of its group."""
    for child in children:
        if child.state is State.RESTARTING:
            supervisor.free_group(child, cause)


def _added(renewal: Renewal, spec: ChildSpec) -> Child:
    child = renewal.supervisor.add(spec)
    renewal.supervisor.book.record("child_added", child, renewal.reload.cause, type=child.type)
    return child


def _group(supervisor: "Supervisor", spec: SupervisorSpec, changed: Iterable[Child]) -> list[Child]:
    """Who is restarted because of these, themselves included, when only one by one does not do."""
    first = next((child for child in changed if _takes_others_along(child)), None)
    if first is None or spec.strategy is Strategy.ONE_FOR_ONE:
        return []
    return affected(spec.strategy, in_order(supervisor, spec), first)


def _takes_others_along(child: Child) -> bool:
    """Whose end is a restart, and not only a start."""
    return child.is_active and not child.held


def _needs_restart(before: ChildSpec, after: ChildSpec) -> bool:
    """What it runs has changed. How its log is kept can change while it runs."""
    if not isinstance(before, WorkerSpec) or not isinstance(after, WorkerSpec):
        return False
    if before.has_channel != after.has_channel:
        return True
    return before.program != after.program and before.program != replace(after.program, log=before.program.log)


def _is_adjusted(before: ChildSpec, after: ChildSpec) -> bool:
    """Anything else of itself has changed, for a supervisor also the order of its children."""
    if _without_children(before) != _without_children(after):
        return True
    if not isinstance(before, SupervisorSpec) or not isinstance(after, SupervisorSpec):
        return False
    return _is_reordered(before, after)


def _is_reordered(before: SupervisorSpec, after: SupervisorSpec) -> bool:
    names = [one.name for one in before.children], [one.name for one in after.children]
    known = set(names[0]) & set(names[1])
    return [name for name in names[0] if name in known] != [name for name in names[1] if name in known]


def _without_children(spec: ChildSpec) -> ChildSpec:
    """A tree may be a thousand supervisors deep, and == recurses."""
    return replace(spec, children=()) if isinstance(spec, SupervisorSpec) else spec
