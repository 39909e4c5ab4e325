"""Agent: a process that keeps a state, and to which one sends functions of it. As Elixir's Agent.

    counter = Agent.start_link(lambda: 0)
    Agent.update(counter, lambda n: n + 1)
    Agent.get(counter, lambda n: n)

The functions run in the agent, one after another. What they have closed over is pickled on its way; their globals are
the agent's, as they were when it was started (parcel.py). One that raises crashes the agent, and with it the caller:
Exit. `timeout` as in GenServer.call.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from procsup.worker.gen_server import From, GenServer, NoReply, Reply
from procsup.worker.values import Ok, Pid

T = TypeVar("T")


class Agent:
    """Elixir's module of this name; there are no instances."""

    @staticmethod
    def start(function: Callable[[], object]) -> Pid:
        """An agent whose first state is what the function returns there. As GenServer.start."""
        return GenServer.start(_Agent, function)

    @staticmethod
    def start_link(function: Callable[[], object]) -> Pid:
        """The same, linked to this process."""
        return GenServer.start_link(_Agent, function)

    @staticmethod
    def get(agent: Pid, function: Callable[[Any], T], timeout: float | None = 5.0) -> T:
        """What the function makes of the state."""
        value: T = GenServer.call(agent, ("get", function), timeout)
        return value

    @staticmethod
    def update(agent: Pid, function: Callable[[Any], object], timeout: float | None = 5.0) -> None:
        """The function gives the new state."""
        GenServer.call(agent, ("update", function), timeout)

    @staticmethod
    def get_and_update(agent: Pid, function: Callable[[Any], tuple[T, object]], timeout: float | None = 5.0) -> T:
        """The function gives what is returned here, and the new state."""
        value: T = GenServer.call(agent, ("get_and_update", function), timeout)
        return value

    @staticmethod
    def cast(agent: Pid, function: Callable[[Any], object]) -> None:
        """As `update`, without waiting, and whether or not there is an agent."""
        GenServer.cast(agent, function)

    @staticmethod
    def stop(agent: Pid, reason: object = "normal", timeout: float | None = None) -> None:
        """As GenServer.stop."""
        GenServer.stop(agent, reason, timeout)


class _Agent(GenServer[Any]):
    def init(self, arg: Callable[[], object]) -> Ok[Any]:
        return Ok(arg())

    def handle_call(self, request: tuple[str, Callable[[Any], Any]], from_: From, state: Any) -> Reply[Any]:
        kind, function = request
        outcome = function(state)
        match kind:
            case "get":
                return Reply(outcome, state)
            case "update":
                return Reply(None, outcome)
            case _:
                reply, state = outcome
                return Reply(reply, state)

    def handle_cast(self, request: Callable[[Any], Any], state: Any) -> NoReply[Any]:
        return NoReply(request(state))
