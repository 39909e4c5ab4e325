"""Names of signals: every way a file may write one, and the one name that the rest of the program knows.

That name is the kernel's: "SIGTERM"; of a real-time signal that has none of its own, "SIG" and its number, as in the
exit reason (core/reason.py). What exists is this platform's.
"""

import signal

_KNOWN = signal.valid_signals()


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _spellings() -> dict[str, str]:
    spellings = {f"SIG{int(number)}": _name_of(number) for number in _KNOWN}
    spellings |= {name: member.name for name, member in signal.Signals.__members__.items()}
    first, last = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
    for number in range(first + 1, last):
        spellings[f"SIGRTMIN+{number - first}"] = spellings[f"SIGRTMAX-{last - number}"] = _name_of(number)
    return spellings | {name.removeprefix("SIG"): canonical for name, canonical in spellings.items()}


_CANONICAL = _spellings()

SIGNAL_NAMES = tuple(signal.Signals.__members__)
"""What to suggest for a name that is none."""


def signal_name(written: str) -> str:
    """The one name of the signal that is written "SIGTERM", "TERM", "15" or "RTMIN+3".

    Raises:
        KeyError: there is no such signal on this platform.
    """
    return _CANONICAL[written]


def signal_name_of(number: int) -> str:
    """The one name of signal `number`.

    Raises:
        KeyError: there is no such signal on this platform.
    """
    if number not in _KNOWN:
        raise KeyError(number)
    return _name_of(number)
