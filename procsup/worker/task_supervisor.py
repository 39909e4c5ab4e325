"""TaskSupervisor: a process that many tasks are linked to instead of to whoever started them. As Task.Supervisor.

    tasks = TaskSupervisor.start_link()
    task = TaskSupervisor.async_nolink(tasks, fetch, url)
    match task.yield_(timeout=10): ...

A task that crashes under `async_nolink` leaves the caller alone; when the supervisor ends, all its tasks are ended.
What is started is a fork of the caller, with all that the caller has; so, other than in Elixir, it ends with the
caller, too. A task for a supervisor that is not there ends with "noproc". Tasks are never restarted (Elixir's
"temporary").

In a worker that has attached to its channel the daemon is told of each task, and `procsup status` shows those that run,
below the worker, by the name of their function. What a process of the worker's starts that has no channel, its main
process tells, as soon as it waits for something.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

from procsup.worker.gen_server import From, GenServer, NoReply, Reply
from procsup.worker.mailbox import end_of, mine
from procsup.worker.process import Process, demonitor, monitor, start_process, trap_exits
from procsup.worker.task import Task, end_process, start_task
from procsup.worker.values import Down, Ok, Pid

P = ParamSpec("P")
T = TypeVar("T")

GRACE = 5.0
"""Seconds that tasks are given to end when they are asked to."""


class TaskSupervisor:
    """Elixir's Task.Supervisor; there are no instances."""

    @staticmethod
    def start_link() -> Pid:
        """A supervisor, linked to this process.

        Raises:
            OSError: no process or no descriptor to be had.
        """
        return GenServer.start_link(_Supervisor)

    @staticmethod
    def async_(supervisor: Pid, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Task[T]:
        """A task linked to the supervisor and to this process, to be awaited."""
        task = start_task(partial(function, *args, **kwargs), (supervisor, mine().pid))
        _introduce(supervisor, task.pid, function)
        return task

    @staticmethod
    def async_nolink(supervisor: Pid, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Task[T]:
        """A task linked to the supervisor only, to be awaited."""
        task = start_task(partial(function, *args, **kwargs), (supervisor,))
        _introduce(supervisor, task.pid, function)
        return task

    @staticmethod
    def start_child(supervisor: Pid, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """A task whose value nobody wants, linked to the supervisor."""
        pid = start_process(partial(function, *args, **kwargs), (supervisor,))
        _introduce(supervisor, pid, function)
        return pid

    @staticmethod
    def children(supervisor: Pid) -> list[Pid]:
        """Those that have not ended, in the order of their start. As GenServer.call."""
        found: list[Pid] = GenServer.call(supervisor, "children")
        return found

    @staticmethod
    def terminate_child(supervisor: Pid, pid: Pid) -> None:
        """End a task of the supervisor, by force if it has not obeyed after GRACE seconds, and wait until it is down.

        Raises:
            ValueError: it is none of its tasks, or has ended already.
        """
        if pid not in TaskSupervisor.children(supervisor):
            raise ValueError(f"cannot terminate {pid}: it is no task of this supervisor, or has ended already")
        ref = monitor(pid)
        end_process(mine(), pid, ref, GRACE)
        demonitor(ref, flush=True)

    @staticmethod
    def stop(supervisor: Pid, reason: object = "normal", timeout: float | None = None) -> None:
        """End all its tasks, and then itself. As GenServer.stop."""
        GenServer.stop(supervisor, reason, timeout)


def _introduce(supervisor: Pid, task: Pid, function: Callable[..., object]) -> None:
    """To the supervisor and, in a worker, to the daemon."""
    GenServer.cast(supervisor, task)
    mine().tell_of_task(task.number, getattr(function, "__qualname__", type(function).__qualname__))


_Refs = dict[Pid, int]


class _Supervisor(GenServer[_Refs]):
    """Its state is its tasks, and by which ref each is monitored: it may be told of one that has ended already."""

    def init(self, arg: object) -> Ok[_Refs]:
        trap_exits(True)
        return Ok({})

    def handle_call(self, request: str, from_: From, state: _Refs) -> Reply[_Refs]:
        return Reply(list(state), state)

    def handle_cast(self, request: Pid, state: _Refs) -> NoReply[_Refs]:
        state[request] = monitor(request)
        return NoReply(state)

    def handle_info(self, message: Any, state: _Refs) -> NoReply[_Refs]:
        if isinstance(message, Down) and isinstance(message.pid, Pid):
            del state[message.pid]
        return NoReply(state)

    def terminate(self, reason: object, state: _Refs) -> None:
        """All at once, as a DynamicSupervisor does."""
        for pid in state:
            Process.exit(pid, "shutdown")
        end = end_of(GRACE)
        for pid, ref in state.items():
            if not mine().wait_down(ref, end):
                Process.exit(pid, "kill")
                mine().wait_down(ref, None)
