"""The supervisor machine: OTP's supervisor.erl, with its stack laid open as agendas.

A supervisor learns of facts by the on_* methods and records them at once; what follows is decided later, by `pump`, one
decision after another in the order of arrival, as OTP takes messages from the mailbox:

    exits of children       restart, leave or remove (policy.py), within the restart intensity
    failed restarts         are tried again; OTP's {try_again_restart, Id} message
    calls                   OTP's four, and an operator's start, wait until nothing else is going on (child_calls.py)

While an agenda is open the rest waits, but for one_for_one, where restarts of siblings are independent and go on side
by side (DESIGN § 3.9). What ends a supervisor (its parent's stop, giving up, auto_shutdown, a failed start) replaces
every agenda by the last one: stop all children, in reverse start order.

The order of arrival shows in OTP's traces: a retry comes after the exits and calls that were waiting, and the exit of a
child that is doomed meanwhile is swallowed. All methods are O(1), but for those that touch a group: O(group).
"""

from collections import deque
from collections.abc import Iterable
from functools import partial

from procsup.core import child_calls, life, reload
from procsup.core.actions import End
from procsup.core.agenda import Agenda, Purpose
from procsup.core.book import Book
from procsup.core.calls import ChildCall, Refusal
from procsup.core.child import ENDING, Child, State, Wanted, subtree
from procsup.core.decisions import ChildExit, Decision, Rest, Retry, WaitingCall
from procsup.core.intensity import Window
from procsup.core.policy import Verdict, affected, exit_status, verdict
from procsup.core.reason import (
    AUTO_SHUTDOWN,
    GAVE_UP,
    KILLED,
    SHUTDOWN,
    AutoShutdownFired,
    BadStartSpec,
    FailedToStartChild,
    GaveUp,
    Reason,
    Shutdown,
    StartFailure,
)
from procsup.core.reload import Renewal
from procsup.core.spec import AutoShutdown, ChildSpec, Strategy, SupervisorSpec, WorkerSpec, check_children
from procsup.core.timers import Phase

Ending = Shutdown | GaveUp | AutoShutdownFired | StartFailure
"""Why a supervisor stops all its children: told to, or one of its own reasons."""


class Supervisor:
    """`child` is its own record, in its parent's children; its state says whether this supervisor runs.

    `children` is in start order. While the supervisor is down it keeps the records, all of them DOWN.
    """

    __slots__ = (
        "_arrivals",
        "_end_cause",
        "_will_pump",
        "active_significant",
        "agendas",
        "book",
        "calls",
        "child",
        "children",
        "decisions",
        "ending",
        "hurried",
        "open_call",
        "renewal",
        "spec",
        "wanted",
        "window",
    )

    def __init__(self, book: Book, spec: SupervisorSpec, child: Child) -> None:
        self.book = book
        self.spec = spec
        self.wanted = spec
        """What `spec` will be from its next start, or from its turn in a reload."""
        self.renewal: Renewal | None = None
        """Of the agenda that is open for a reload."""
        self.child = child
        self.children: dict[str, Child] = {}
        self.window = Window(spec.intensity, spec.period)
        self.decisions: deque[Decision] = deque()
        self.calls: deque[WaitingCall] = deque()
        self.agendas = 0
        self.open_call: Agenda | None = None
        self.active_significant = 0
        self.ending: Ending | None = None
        self._end_cause: int | None = None
        self.hurried = False
        self._arrivals = 0
        self._will_pump = False

    # Its own life

    def boot(self) -> None:
        """Start from the original children: what was added is lost, what was removed is back. As init/1."""
        if self.ending is not None:
            return
        complaint = check_children(self.wanted.children, self.wanted.auto_shutdown)
        if complaint is not None:
            self.end(BadStartSpec(complaint), self.child.cause)
            return
        self.lay_out_children("restarted")
        agenda = Agenda(Purpose.BOOT, self.child.cause, start=list(reversed(self.children.values())))
        self.open(agenda)

    def end(self, ending: Ending, cause: int | None) -> None:
        """Stop all children, in reverse start order, and then end for this reason. The first reason stands."""
        if self.ending is not None:
            return
        self.ending = ending
        self._end_cause = cause
        self._refuse_all_calls()
        self.decisions.clear()
        agenda = Agenda(Purpose.END, cause)
        self.agendas = 0
        self.open(agenda, doomed=self.children.values())

    def hurry(self) -> None:
        """Shutdown times are over, here and everywhere below. O(subtree)."""
        subtree = [self]
        while subtree:
            supervisor = subtree.pop()
            supervisor.hurried = True
            for child in supervisor.children.values():
                if child.supervisor is not None:
                    subtree.append(child.supervisor)
                elif child.state in ENDING:
                    life.kill(self.book, child)

    @property
    def is_serving(self) -> bool:
        """Running, and not about to end."""
        return self.child.state is State.RUNNING and self.ending is None

    @property
    def takes_calls(self) -> bool:
        """Serving, or soon."""
        return self.child.state in (State.STARTING, State.RUNNING) and self.ending is None

    # Facts

    def on_ready(self, child: Child) -> None:
        self.book.answer_waiters(child, Wanted.UP)
        agenda = child.agenda
        if agenda is not None and agenda.start and agenda.start[-1] is child:
            agenda.start.pop()
            child.agenda = None
            if agenda.purpose is Purpose.RESTART:
                child.restarts += 1
            if agenda.start or agenda.purpose is Purpose.BOOT:
                self._go_on(agenda)
            else:
                self._close(agenda)

    def on_start_failed(self, child: Child, reason: StartFailure) -> None:
        """Nothing of the attempt is left. STARTING or FAILING, or on its way down already."""
        agenda = child.agenda
        if child.state not in (State.STARTING, State.FAILING) or agenda is None:
            child.change(State.DOWN, self.book.now)
            self.on_down(child)
            return
        if agenda.purpose is Purpose.RESTART:
            child.change(State.RESTARTING, self.book.now)
            self.decisions.append(Retry(self._arrival(), child.name, child.cause))
            self._close(agenda)
            return
        child.change(State.DOWN, self.book.now)
        if agenda.purpose is Purpose.BOOT:
            self.end(FailedToStartChild(child.name, reason), child.cause)
            return
        self.book.reply(agenda.ref, reason)
        agenda.ref = None
        self.book.answer_waiters(child, Wanted.UP, reason)
        if agenda.is_new or child.is_temporary:
            self.remove(child, "start_failed")
        if agenda.purpose is Purpose.RELOAD:
            agenda.start.pop()
            child.agenda = None
            self._go_on(agenda)
        else:
            self._close(agenda)

    def on_exit(self, child: Child, reason: Reason) -> None:
        """A child ended by itself: RUNNING or STRUCK, or DOOMED or about to be stopped and overtaken by its own end."""
        if child.state not in (State.RUNNING, State.STRUCK):
            self.bury(child)
            return
        is_wanted = child.state is State.STRUCK and child.waiters is not None
        child.change(State.EXITED, self.book.now)
        self.decisions.append(ChildExit(self._arrival(), child, child.life, reason, child.cause))
        self._decide_soon()
        if is_wanted:  # an operator has asked for its start meanwhile
            self.wait_turn(None, child)

    def on_down(self, child: Child) -> None:
        """Nothing of the child is left: it is DOWN."""
        self.book.answer_waiters(child, Wanted.DOWN)
        agenda = child.agenda
        if agenda is not None and agenda.purpose is Purpose.GIVE_UP and self.is_serving:
            self.remove(child, "reloaded")
        elif child.is_temporary and not child.held and not _comes_back(child, agenda) and self.is_serving:
            self.remove(child, "temporary")
        if agenda is not None:
            self._go_on(agenda)

    # Decisions

    def _decide_soon(self) -> None:
        if not self._will_pump:
            self._will_pump = True
            self.book.todo.append(self.pump)

    def pump(self) -> None:
        """Take the next decision, if what is going on allows it; the one after it once its first steps are made."""
        self._will_pump = False
        if not self.is_serving:
            return
        decision = self.decisions[0] if self.decisions else None
        call = self.calls[0] if self.calls else None
        if call is not None and (decision is None or call.order < decision.order) and not self.agendas:
            self.calls.popleft()
            child_calls.serve(self, call)
        elif decision is not None and self._may_decide(decision, call):
            self.decisions.popleft()
            self._decide(decision)
        else:
            return
        self._decide_soon()

    def _may_decide(self, decision: Decision, call: WaitingCall | None) -> bool:
        """Under one_for_one exits go past other restarts and past the calls that wait for those; a retry only past
        other restarts.
        """
        if self.spec.strategy is not Strategy.ONE_FOR_ONE:
            return not self.agendas
        if self.open_call is not None:
            return False
        return isinstance(decision, ChildExit) or call is None or decision.order < call.order

    def _decide(self, decision: Decision) -> None:
        match decision:
            case ChildExit(child=child, life=number, reason=reason, cause=cause):
                if child.state is State.EXITED and child.life == number:
                    self._decide_exit(child, reason, cause)
            case Retry(name=name, cause=cause):
                again = self.children.get(name)
                if again is not None and again.state is State.RESTARTING:
                    self._restart(again, cause)
            case Rest(children=rest, cause=cause):
                down = [child for child in rest if child.state is State.DOWN and self.children.get(child.name) is child]
                one_by_one = self.spec.strategy is Strategy.ONE_FOR_ONE
                for some in [[child] for child in down] if one_by_one else [down]:
                    self.open(Agenda(Purpose.RESTART, cause, start=_startable(some)))

    def _decide_exit(self, child: Child, reason: Reason, cause: int | None) -> None:
        """As do_restart/3."""
        decided = verdict(child.spec.restart, reason)
        if reason is GAVE_UP:
            cause = self.book.record("escalated", self.child, cause, child=child.name, verdict=decided.value)
        if decided is Verdict.RESTART:
            self._restart(child, cause)
            return
        self.bury(child)
        if self._fires_auto_shutdown(child):
            cause = self.book.record("auto_shutdown", self.child, cause, child=child.name)
            self.end(AUTO_SHUTDOWN, cause)

    def _fires_auto_shutdown(self, child: Child) -> bool:
        """As do_auto_shutdown/2."""
        if not child.spec.significant:
            return False
        match self.spec.auto_shutdown:
            case AutoShutdown.NEVER:
                return False
            case AutoShutdown.ANY_SIGNIFICANT:
                return True
            case AutoShutdown.ALL_SIGNIFICANT:
                return self.active_significant == 0

    def _restart(self, child: Child, cause: int | None) -> None:
        """As restart/2: enter the restart, then try it, or give up."""
        used = self.window.enter(self.book.now)
        budget: dict[str, int | float] = {"used": used, "intensity": self.spec.intensity, "period": self.spec.period}
        if used > self.spec.intensity:
            cause = self.book.record("gave_up", self.child, cause, child=child.name, **budget)
            self.bury(child)
            self.end(GAVE_UP, cause)
            return
        group = affected(self.spec.strategy, self.children, child)
        others = tuple(other.name for other in group if other is not child)
        cause = self.book.record("restarting", self.child, cause, child=child.name, group=others, **budget)
        self.open(Agenda(Purpose.RESTART, cause, start=_startable(group)), doomed=group)

    def abandon_retry(self, child: Child, cause: int | None) -> None:
        """An operator stops a child that is RESTARTING."""
        self.free_group(child, cause)
        self.bury(child)

    def free_group(self, child: Child, cause: int | None) -> None:
        """Those that are to be started with a child that is RESTARTING must not wait for it any more."""
        group = affected(self.spec.strategy, self.children, child)
        rest = tuple(other for other in group if other.state is State.DOWN and not other.held)
        self.decisions.append(Rest(self._arrival(), rest, cause))
        self._decide_soon()

    # Agendas

    def open(self, agenda: Agenda, doomed: Iterable[Child] = ()) -> None:
        """Begin: from now on the doomed, and what is to be started, belong to the agenda."""
        self.agendas += 1
        if agenda.purpose is Purpose.CALL:
            self.open_call = agenda
        if agenda.renewal is not None:
            self.renewal = agenda.renewal
        group = tuple(doomed)
        agenda.members = (*group, *agenda.start)
        for child in agenda.members:
            child.agenda = agenda
        for child in group:
            self._doom(child)
            if child.state is not State.DOWN:
                agenda.stop.append(child)
        self._go_on(agenda)

    def _doom(self, child: Child) -> None:
        """What is doomed does not restart: whatever is still undecided about it is decided now."""
        match child.state:
            case State.RUNNING | State.STARTING:
                child.change(State.DOOMED, self.book.now)
            case State.EXITED | State.FAILING | State.STRUCK | State.RESTARTING:
                self.bury(child)
            case _:
                pass

    def bury(self, child: Child) -> None:
        """It ended, and what follows from that is settled: DOWN, once nothing of it is left. As del_child/2."""
        if not child.gone:
            child.change(State.CLEARING, self.book.now)
            return
        child.change(State.DOWN, self.book.now)
        self.on_down(child)

    def _go_on(self, agenda: Agenda) -> None:
        self.book.todo.append(partial(self._advance, agenda))

    def _advance(self, agenda: Agenda) -> None:
        """Do what the agenda says next, until something has to be waited for."""
        if agenda.closed or (self.ending is not None and agenda.purpose is not Purpose.END):
            return
        while agenda.stop:
            child = agenda.stop[-1]
            if child.state is State.DOOMED:
                self.begin_stop(child, agenda.cause)
            if child.state is not State.DOWN:
                return
            agenda.stop.pop()
        while agenda.start:
            child = agenda.start[-1]
            if self.children.get(child.name) is not child:  # a reload has made it temporary, so it went with its end
                agenda.start.pop()
                continue
            if child.state is not State.DOWN:
                return
            if agenda.renewal is not None:
                reload.renew(agenda.renewal, child)
            if not child.held:
                self.begin_start(child, child.release if agenda.purpose is Purpose.COMMAND else agenda.cause)
                return
            agenda.start.pop()
            child.agenda = None
        self._close(agenda)

    def _close(self, agenda: Agenda) -> None:
        agenda.closed = True
        for child in agenda.members:
            if child.agenda is agenda:
                child.agenda = None
        self.agendas -= 1
        match agenda.purpose:
            case Purpose.BOOT:
                self._is_up()
            case Purpose.END:
                self._is_down()
            case Purpose.CALL:
                self.open_call = None
                self.book.reply(agenda.ref)
            case Purpose.GIVE_UP | Purpose.RELOAD:
                assert agenda.renewal is not None
                self.renewal = None
                reload.go_on(agenda.renewal)
            case Purpose.RESTART | Purpose.COMMAND:
                pass
        self._decide_soon()

    def begin_start(self, child: Child, cause: int | None) -> None:
        if child.supervisor is None:
            life.start(self.book, child, cause)
        else:
            child.supervisor.begin(cause)

    def begin_stop(self, child: Child, cause: int | None) -> None:
        if child.supervisor is None:
            life.stop(self.book, child, cause)
        else:
            child.supervisor.cease(cause)

    # As the child of another supervisor, or as the root

    def adopt_spec(self, spec: SupervisorSpec) -> None:
        """The place is the same, the supervisor may be another one. Nothing is going on under it."""
        self.spec = self.wanted = spec
        self.window.intensity, self.window.period = spec.intensity, spec.period

    def begin(self, cause: int | None) -> None:
        """DOWN → STARTING."""
        child, book = self.child, self.book
        book.begin_life(child)
        child.change(State.STARTING, book.now)
        child.how = "shutdown"
        self.ending, self.hurried = None, False
        self.window.clear()
        book.record("starting", child, cause, type="supervisor", starts=child.starts + 1)
        book.todo.append(self.boot)

    def cease(self, cause: int | None, **details: str) -> None:
        """Told to stop: → STOPPING. What it may be doing already to end by itself goes on. `details` are recorded."""
        child, book = self.child, self.book
        child.change(State.STOPPING, book.now)
        cause = book.record("stopping", child, cause, type="supervisor", **details)
        parent = child.parent
        if parent is not None and (parent.hurried or self.spec.shutdown in ("brutal_kill", 0)):
            self.hurried = True
            book.todo.append(self.hurry)  # when all facts are known: the dead are not killed
        elif parent is not None:
            book.set_timer(child, Phase.END, self.spec.shutdown)
        self.end(SHUTDOWN, cause)

    def _is_up(self) -> None:
        child, book = self.child, self.book
        if child.state is State.STARTING:
            child.change(State.RUNNING, book.now)
            child.starts += 1
            child.started = book.now
            book.record("ready", child, child.cause, type="supervisor")
            if child.parent is not None:
                child.parent.on_ready(child)
        # A doomed one is up, too late: its parent stops it when its turn comes.

    def _is_down(self) -> None:
        """The last child is down: tell why this supervisor ended."""
        child, book, ending = self.child, self.book, self.ending
        assert ending is not None
        book.end_life(child)
        if self.wanted is not self.spec:
            self.lay_out_children("reloaded")
        child.last_exit = KILLED if isinstance(ending, Shutdown) and child.how == "killed" else ending
        if child.state is State.STOPPING:
            child.change(State.DOWN, book.now)
            how, reason = child.how, str(child.last_exit)
            book.record("stopped", child, child.cause, type="supervisor", reason=reason, how=how)
            tell = partial(Supervisor.on_down, child=child)
        elif isinstance(ending, Shutdown | GaveUp | AutoShutdownFired):
            book.record("exited", child, self._end_cause, type="supervisor", reason=str(ending))
            tell = partial(Supervisor.on_exit, child=child, reason=ending)
        else:
            book.record("start_failed", child, self._end_cause, type="supervisor", reason=str(ending))
            tell = partial(Supervisor.on_start_failed, child=child, reason=ending)
        if child.parent is not None:
            tell(child.parent)
        else:
            self._end_tree(ending)

    def _end_tree(self, ending: Ending) -> None:
        """The root is down, and so is the tree."""
        if self.child.state is State.RUNNING:
            self.child.change(State.EXITED, self.book.now)
        if self.child.state is not State.DOWN:
            self.child.change(State.DOWN, self.book.now)
        status = exit_status(ending)
        self.book.record("daemon_stopped", self.child, self.child.cause, status=status, reason=str(ending))
        self.book.actions.append(End(status, ending))

    # Its children

    def lay_out_children(self, why: str) -> None:
        """While it is down: a record, DOWN, for each child that is wanted, with the past of its predecessor, if it has
        one. What else there was is removed for this reason.
        """
        self.adopt_spec(self.wanted)
        before = self.children
        self.children = {}
        for spec in self.spec.children:
            old = before.pop(spec.name, None)
            if old is not None and isinstance(old.spec, SupervisorSpec) == isinstance(spec, SupervisorSpec):
                self.book.respecify(old, spec)
                if old.supervisor is not None and isinstance(spec, SupervisorSpec):
                    old.supervisor.adopt_spec(spec)
                old.position = len(self.children)
                self.children[spec.name] = old
            else:
                if old is not None:
                    self._lose(old, why)
                self.add(spec)
        for child in before.values():
            self._lose(child, why)
        self.active_significant = 0

    def _lose(self, child: Child, why: str) -> None:
        self.book.record("child_removed", child, self.child.cause, why=why)
        self._forget(child)

    def add(self, spec: ChildSpec) -> Child:
        """A new child, last in start order."""
        last = next(reversed(self.children.values()), None)
        position = 0 if last is None else last.position + 1
        child = Child(spec, f"{self.child.path}/{spec.name}", self, position=position, since=self.book.now)
        if not isinstance(spec, WorkerSpec):
            child.supervisor = Supervisor(self.book, spec, child)
        self.children[spec.name] = child
        self.book.add(child)
        return child

    def put_in_order(self) -> None:
        """After a reload. O(children)."""
        self.children = reload.in_order(self, self.spec)
        for position, child in enumerate(self.children.values()):
            child.position = position

    def remove(self, child: Child, why: str) -> None:
        del self.children[child.name]
        self.book.record("child_removed", child, child.cause, why=why)
        self.book.answer_waiters(child, Wanted.UP, Refusal.NOT_FOUND)
        self._forget(child)

    def _forget(self, top: Child) -> None:
        """Drop it, and all below it, from the indexes. O(subtree)."""
        for child in subtree(top):
            self.book.forget(child)

    def _refuse_all_calls(self) -> None:
        for waiting in self.calls:
            self.book.reply(waiting.ref, Refusal.NOPROC)
            if isinstance(waiting.call, Renewal):
                waiting.call.settle()
        self.calls.clear()
        if self.renewal is not None:
            self.renewal.settle()
            self.renewal = None
        if self.open_call is not None:
            self.book.reply(self.open_call.ref, Refusal.NOPROC)
            self.open_call = None
        for child in self.children.values():
            self.book.answer_waiters(child, Wanted.UP, Refusal.NOPROC)

    def wait_turn(self, ref: int | None, call: ChildCall | Child | Renewal) -> None:
        """Serve the call when everything before it is done."""
        self.calls.append(WaitingCall(self._arrival(), ref, call))
        self._decide_soon()

    def _arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals


def _startable(group: Iterable[Child]) -> list[Child]:
    """The next to be started is last. Temporary children do not come back."""
    return [child for child in reversed(list(group)) if not child.is_temporary]


def _comes_back(child: Child, agenda: Agenda | None) -> bool:
    """It is down only in order to be started."""
    if agenda is None:
        return False
    return child in agenda.start[-1:] or (agenda.renewal is not None and child in agenda.renewal.changed)
