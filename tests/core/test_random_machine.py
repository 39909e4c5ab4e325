"""The laws of the core under a state machine of hypothesis: it chooses among those who live and what is pending now.

The random runs prepare whole batches beforehand; here every step sees what the step before it led to.
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from procsup.core.calls import Restart, Start, Stop
from procsup.core.events import Requested, ShutdownRequested, TimePassed
from procsup.core.reason import WorkerExit
from procsup.core.requests import Request
from procsup.core.spec import SupervisorSpec
from tests.core.runs import ENDS, FATES, REQUESTS, RandomWorld, Run, supervisor_specs
from tests.core.world import BOOTED, Fate


class Daemon(RuleBasedStateMachine):
    world: RandomWorld

    @initialize(tree=supervisor_specs(), fates=st.lists(FATES, min_size=1, max_size=12))
    def boot(self, tree: SupervisorSpec, fates: list[Fate]) -> None:
        self.world = RandomWorld(Run(tree, tuple(fates), ()))
        self.world.handle([BOOTED])

    @precondition(lambda self: self.world.pending)
    @rule(data=st.data())
    def something_arrives(self, data: st.DataObject) -> None:
        self.world.handle([self.world.take(data.draw(st.integers(0, len(self.world.pending) - 1)))])

    @precondition(lambda self: self.world.pending)
    @rule()
    def everything_arrives(self) -> None:
        self.world.deliver()

    @precondition(lambda self: self.world.up())
    @rule(data=st.data(), end=ENDS)
    def workers_end(self, data: st.DataObject, end: WorkerExit) -> None:
        living = [process for process in self.world.processes.values() if process.main]
        for number in sorted(data.draw(st.sets(st.sampled_from(range(len(living))), min_size=1, max_size=3))):
            self.world.die(living[number], end)

    @precondition(lambda self: any(process.rest for process in self.world.processes.values()))
    @rule()
    def rest_of_a_group_ends(self) -> None:
        self.world.rest_dies(next(process for process in self.world.processes.values() if process.rest))

    @precondition(lambda self: any(process.is_waiting for process in self.world.processes.values()))
    @rule()
    def a_wait_is_over(self) -> None:
        self.world.wait_is_over(next(process for process in self.world.processes.values() if process.is_waiting))

    @precondition(lambda self: any(process.can_ask for process in self.world.processes.values()))
    @rule(data=st.data(), request=REQUESTS)
    def a_worker_asks(self, data: st.DataObject, request: Request) -> None:
        process = data.draw(st.sampled_from([p for p in self.world.processes.values() if p.can_ask]))
        self.world.handle([Requested(process.life, 1, request)])

    @precondition(lambda self: self.world.node.next_deadline() is not None)
    @rule()
    def deadline_comes(self) -> None:
        self.world.now = max(self.world.now, self.world.node.next_deadline() or 0.0)
        self.world.handle([TimePassed()])

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.handle([TimePassed()])

    @rule(data=st.data(), command=st.sampled_from([Start, Stop, Restart]))
    def operator_commands(self, data: st.DataObject, command: type[Start | Stop | Restart]) -> None:
        self.world.ask(command(data.draw(st.sampled_from(self.world.known))))

    @rule()
    def shutdown_is_requested(self) -> None:
        self.world.handle([ShutdownRequested()])

    @invariant()
    def children_of_one_who_is_down_are_down(self) -> None:
        for child in self.world.node.children():
            if child.state.value == "down" and child.supervisor is not None:
                assert {below.state.value for below in child.supervisor.children.values()} <= {"down"}

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()
            assert self.world.end is not None


TestDaemon = Daemon.TestCase
