"""Tasks: a function in a process of its own, whose value is waited for. As Elixir's Task.

    task = Task.async_(fetch, url)
    ...
    page = Task.await_(task, timeout=10)

`async_` links the task to the caller: if one crashes, so does the other. Who wants to see a crash instead of sharing it
traps exits, or starts the task under a TaskSupervisor with `async_nolink`.

Elixir's `yield` is a keyword here, as `async` and `await` are: hence the underscores. The value is pickled on its way.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Generic, Literal, NamedTuple, ParamSpec, TypeVar, cast

from procsup.worker.mailbox import Mailbox, end_of, mine
from procsup.worker.process import Process, answer, expect_answer, start_process, unlink
from procsup.worker.values import Down, Exit, Ok, Pid

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class Task(NamedTuple, Generic[T]):
    """`ref` is that of the Answer and of the Down which the owner gets. Only the owner may wait for it."""

    pid: Pid
    ref: int
    owner: Pid

    @staticmethod
    def start(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """A task whose value nobody wants, not linked to this process."""
        return Process.spawn(function, *args, **kwargs)

    @staticmethod
    def start_link(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Pid:
        """A task whose value nobody wants, linked to this process."""
        return Process.spawn_link(function, *args, **kwargs)

    @staticmethod
    def async_(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Task[T]":
        """A task linked to this process, to be awaited.

        Raises:
            OSError: no process or no descriptor to be had.
        """
        return start_task(partial(function, *args, **kwargs), (mine().pid,))

    def await_(self, timeout: float | None = 5.0) -> T:
        """Its value.

        Raises:
            Exit: ("timeout", ...): not in time; the task goes on, and dies with this process if that does not catch it.
                (reason, ...): the task ended without a value.
            ValueError: it is another process's task, or was awaited already.
        """
        match self._finish(timeout):
            case Ok() as ok:
                return cast(T, ok.value)
            case Down(_, _, reason):
                raise Exit((reason, f"Task.await_({self.pid}, {timeout})"))
            case None:
                mine().forget(self.ref)
                raise Exit(("timeout", f"Task.await_({self.pid}, {timeout})"))

    def yield_(self, timeout: float | None = 5.0) -> "Ok[T] | Down | None":
        """Its value, or how it ended without one; None: not in time, and one may ask again.

        Raises:
            ValueError: it is another process's task, or was awaited already.
        """
        return self._finish(timeout)

    @staticmethod
    def yield_many(
        tasks: Sequence["Task[T]"], timeout: float | None = 5.0
    ) -> list[tuple["Task[T]", "Ok[T] | Down | None"]]:
        """What `yield_` gives, of each, when all have ended or the time is over."""
        box, end = mine(), end_of(timeout)
        for task in tasks:
            task._check(box)
        return [(task, task._take(box, end)) for task in tasks]

    @staticmethod
    def await_many(tasks: Sequence["Task[T]"], timeout: float | None = 5.0) -> list[T]:
        """Their values, in the order of the tasks, when all have ended.

        Raises:
            Exit: ("timeout", ...): not all in time; they go on, as in `await_`.
                (reason, ...): one has ended without a value; the others are not waited for.
            ValueError: one is another process's, was awaited already, or is there twice.
        """
        box, end = mine(), end_of(timeout)
        for task in tasks:
            task._check(box)
        left = {task.ref: task for task in tasks}
        if len(left) < len(tasks):
            raise ValueError("cannot wait for the same task twice")
        values: dict[int, T] = {}
        try:
            while left:
                ended = box.wait_for_any(left, end)
                if not ended:
                    raise Exit(("timeout", f"Task.await_many({len(tasks)} tasks, {timeout})"))
                for ref in ended:
                    values[ref] = left.pop(ref).await_(None)
        finally:
            for ref in left:
                box.forget(ref)
        return [values[task.ref] for task in tasks]

    @staticmethod
    def async_stream(
        items: Iterable[S],
        function: Callable[[S], T],
        max_concurrency: int | None = None,
        ordered: bool = True,
        timeout: float | None = 5.0,
        on_timeout: "Literal['exit', 'kill_task']" = "exit",
    ) -> Generator["Ok[T] | Down", None, None]:
        """What becomes of `function(item)` in a task for each item, in the order of the items, or else of their ends.
        `max_concurrency`, as many as there are CPUs unless told, are running at the same time; each has `timeout`
        seconds. A crash of a task is one of the caller, unless that traps exits.

        Raises:
            Exit: ("timeout", ...): one was not in time; with on_timeout="kill_task" its outcome is a Down "timeout".
            OSError: no process or no descriptor to be had.
        """
        from procsup.worker.task_stream import stream

        limit = max_concurrency or os.cpu_count() or 1
        return stream(items, function, limit, ordered, timeout, on_timeout)

    def shutdown(self, timeout: "float | Literal['brutal_kill'] | None" = 5.0) -> "Ok[T] | Down | None":
        """Unlink it and end it: politely, and after `timeout` by force. Its value if it was faster, None if it did as
        it was told, else how it ended.

        Raises:
            ValueError: it is another process's task, or was awaited already.
        """
        box = mine()
        self._check(box)
        unlink(self.pid)
        end_process(box, self.pid, self.ref, timeout)
        expected = "killed" if timeout == "brutal_kill" else "shutdown"
        match self._take(box, None):
            case Down(reason=reason) if reason == expected:
                return None
            case outcome:
                return outcome

    def _finish(self, timeout: float | None) -> "Ok[T] | Down | None":
        box = mine()
        self._check(box)
        return self._take(box, end_of(timeout))

    def _check(self, box: Mailbox) -> None:
        if self.owner != box.pid:
            raise ValueError(f"cannot wait for the task of {self.pid}: only {self.owner}, which started it, may")
        if not box.is_expected(self.ref):
            raise ValueError(f"cannot wait for the task of {self.pid}: it has been awaited already")

    def _take(self, box: Mailbox, end: float | None) -> "Ok[T] | Down | None":
        try:
            letter = box.wait_for(self.ref, end)
        except Exception:  # the value cannot be unpickled here
            box.forget(self.ref)
            raise
        if letter is None:
            return None
        box.forget(self.ref)
        return letter if isinstance(letter, Down) else Ok(cast(T, letter.value))


def start_task(function: Callable[[], T], peers: tuple[Pid, ...]) -> Task[T]:
    """A task of this process that is linked to these."""
    box = mine()
    ref = expect_answer()
    return Task(start_process(partial(_run, box.pid, ref, function), peers, ref), ref, box.pid)


def end_process(box: Mailbox, pid: Pid, ref: int, timeout: float | Literal["brutal_kill"] | None) -> None:
    """Ask a process whom `ref` monitors to end, kill it after `timeout`; return when it is down."""
    if timeout != "brutal_kill":
        Process.exit(pid, "shutdown")
        if box.wait_down(ref, end_of(timeout)):
            return
    Process.exit(pid, "kill")
    box.wait_down(ref, None)


def _run(owner: Pid, ref: int, function: Callable[[], object]) -> None:
    value = function()
    answer(owner, ref, value)
