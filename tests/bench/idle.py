"""Idle with a thousand workers: how many system calls procsup makes in ten seconds. It is to make none.

Two ways at once, over all processes of procsup. strace counts the calls (what it causes itself, by attaching, falls
before the span that counts); where there is no strace, perf does. And the kernel says how often they left a CPU: who
never woke up called nothing. That needs no tool and no permission.
"""

import collections
import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench import census
from tests.bench.figure import Figure, Target
from tests.bench.lab import Lab

TARGET = Target(0, "value")

_SETTLE = 1.0
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")

Count = Callable[[], collections.Counter[str]]
"""Ends the counting: how often each system call was made."""


def measure(lab: Lab) -> Iterator[Figure]:
    count, span = lab.options.workers, lab.options.idle_seconds
    lab.say(f"idle: {span:g} seconds with {count}")
    with lab.procsup(lab.quiet_program, count) as procsup:
        procsup.wait_until_up()
        processes = procsup.own_processes()
        census.wait_until_quiet(processes, _SETTLE, 10)
        with contextlib.ExitStack() as stack:
            how, counted = _begin_counting(processes, span, stack)
            before = census.switches(processes)
            time.sleep(span)
            wakings = census.switches(processes) - before
            calls = counted() if counted else None
    whom = "1 process" if len(processes) == 1 else f"{len(processes)} processes"
    if calls is not None:
        which = ", ".join(f"{number} {name}" for name, number in calls.most_common())
        remark = f"{how}, {whom}" + (f": {which}" if which else "")
        yield Figure(f"system calls in {span:g} s idle, {count:,}", "", calls.total(), target=TARGET, remark=remark)
    remark = f"context switches, {whom}" + ("" if calls is not None else "; neither strace nor perf can count calls")
    yield Figure(f"wake-ups in {span:g} s idle, {count:,}", "", wakings, target=TARGET, remark=remark)


def _begin_counting(pids: Sequence[int], span: float, stack: contextlib.ExitStack) -> tuple[str, Count | None]:
    for how, begin in (("strace", _strace), ("perf", _perf)):
        if shutil.which(how) and (counted := begin(pids, span, stack)):
            return how, counted
    return "", None


def _strace(pids: Sequence[int], span: float, stack: contextlib.ExitStack) -> Count | None:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="procsup-bench-")))
    trace = folder / "trace"
    strace = stack.enter_context(
        _running("strace", "-f", "-o", str(trace), *(word for pid in pids for word in ("-p", str(pid))))
    )
    time.sleep(_SETTLE)
    if strace.poll() is not None:
        return None
    begin = trace.stat().st_size

    def counted() -> collections.Counter[str]:
        with open(trace, errors="replace") as lines:
            lines.seek(begin)
            return collections.Counter(call[1] for line in lines if (call := _CALL.match(line)))

    return counted


def _perf(pids: Sequence[int], span: float, stack: contextlib.ExitStack) -> Count | None:
    whom = ",".join(map(str, pids))
    words = ("perf", "stat", "-x;", "-e", "raw_syscalls:sys_enter", "-p", whom, "--", "sleep", str(span))
    perf = stack.enter_context(_running(*words))
    time.sleep(_SETTLE / 10)
    if perf.poll() is not None:
        return None

    def counted() -> collections.Counter[str]:
        number = perf.communicate()[1].partition(";")[0]
        return collections.Counter({"calls": int(number)} if number.isdigit() and int(number) else {})

    return counted


@contextlib.contextmanager
def _running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Ended as a person at the terminal would, so that it lets go of whom it traces."""
    tool = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    with tool:
        try:
            yield tool
        finally:
            if tool.poll() is None:
                tool.send_signal(signal.SIGINT)
