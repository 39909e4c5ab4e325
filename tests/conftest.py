"""What all tests share: how hypothesis runs, signals, and a guard against processes that a test leaves behind."""

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import settings

# Random each time, and a failure prints the blob that replays it. No deadline: it would measure the machine.
settings.register_profile("here", deadline=None, print_blob=True, derandomize=False)
settings.register_profile("ci", settings.get_profile("here"), max_examples=300, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "here"))

# In the background of a shell script INT and QUIT are ignored, below nohup HUP, and every program that a test starts
# would inherit it. A handler that does nothing ignores them as well, but ends with exec. Python itself ignores two.
for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """Fails a test whose children still run one second after its end, and kills them.

    Those of fixtures with a wider scope were there before the test and are left alone.
    """
    before = set(living_descendants())
    yield
    psutil.wait_procs(set(living_descendants()) - before, timeout=1)
    left = set(living_descendants()) - before
    if left:
        story = ", ".join(f"{process.pid} {command_of(process)}" for process in left)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)
        pytest.fail(f"processes left behind: {story}")


def living_descendants() -> list[psutil.Process]:
    """One system call when there are none; psutil compares them by pid and start time."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return [p for p in psutil.Process().children(recursive=True) if is_alive(p)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "?"
