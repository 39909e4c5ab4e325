"""What the caller left in this process, and what of it the workers inherit.

They inherit the environment, exactly, and nothing else: no descriptor, no ignored signal, no signal mask.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from typing import Final

_RESTORED_BY_SPAWN = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Ignored by the interpreter itself, and set back in every child."""


_HIGHEST: Final = 1 << 30
"""No descriptor is."""


def initial_environment() -> dict[str, str]:
    """The environment as the caller gave it. os.environ is not that: in a C locale the interpreter sets LC_CTYPE."""
    try:
        with open("/proc/self/environ", "rb") as environ:
            pairs = [pair.partition(b"=") for pair in environ.read().split(b"\0")]
    except OSError:
        return dict(os.environ)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs if key}


def leave_behind() -> None:
    """Take back what would reach the workers otherwise."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the one by which the list was read is closed by now
                os.set_inheritable(int(name), False)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP} - _RESTORED_BY_SPAWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor but the first three and these."""
    kept = sorted({0, 1, 2, *keep})
    for below, above in zip(kept, [*kept[1:], _HIGHEST], strict=True):
        os.closerange(below + 1, above)
