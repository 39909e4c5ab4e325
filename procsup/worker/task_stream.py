"""Task.async_stream: a task for each of many items, and not too many at the same time.

A generator: nothing is started before somebody asks for the first outcome, or while nobody asks for the next one. What
cannot be given yet, because an earlier one still runs, is kept. When nobody asks any more, because the generator was
closed or thrown away, those that run are killed.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Literal, TypeVar

from procsup.worker.mailbox import end_of, mine
from procsup.worker.task import Task, start_task
from procsup.worker.values import Down, Exit, Ok

S = TypeVar("S")
T = TypeVar("T")


def stream(
    items: Iterable[S],
    function: Callable[[S], T],
    max_concurrency: int,
    ordered: bool,
    timeout: float | None,
    on_timeout: Literal["exit", "kill_task"],
) -> Generator[Ok[T] | Down, None, None]:
    box = mine()
    source = iter(items)
    running: dict[int, tuple[Task[T], float | None]] = {}
    """By ref, the task and when its time is over: that of the oldest first"""
    outcomes: dict[int, Ok[T] | Down | None] = {}
    """By ref, as they were started; None as long as there is none"""
    try:
        while True:
            for item in islice(source, max_concurrency - len(running)):
                task = start_task(partial(function, item), (box.pid,))
                running[task.ref] = task, end_of(timeout)
                outcomes[task.ref] = None
            if not running:
                return
            oldest, end = next(iter(running.values()))
            ended = box.wait_for_any(running, end)
            for ref in ended:
                outcomes[ref] = running.pop(ref)[0].yield_(None)
            if not ended:
                if on_timeout == "exit":
                    raise Exit(("timeout", f"Task.async_stream({function!r:.80}, {timeout})"))
                del running[oldest.ref]
                outcomes[oldest.ref] = oldest.shutdown("brutal_kill") or Down(oldest.ref, oldest.pid, "timeout")
            yield from _take_next(outcomes, ordered)
    finally:
        if mine() is box:  # in a fork of this process it is not: the tasks are none of its
            for task, _ in running.values():
                task.shutdown("brutal_kill")


def _take_next(outcomes: dict[int, Ok[T] | Down | None], ordered: bool) -> Iterator[Ok[T] | Down]:
    """Those that can be given now."""
    for ref, outcome in list(outcomes.items()):
        if outcome is not None:
            del outcomes[ref]
            yield outcome
        elif ordered:
            return
