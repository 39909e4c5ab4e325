"""The handler of the left spy, as a worker of procsup that monitors it.

She hears of the formula again and again: that is how she knows that her spy is well. Of a spy that dies she is told by
procsup (`monitors` in the tree file), and there is nothing to do, since procsup sends out another one. A spy that is
stuck does not die: when she has heard nothing for too long, she has it killed, and what follows is the same.
"""

import os
import signal

from procsup.worker import Down, Message, attach, receive, whereis

HER_SPY = "spy_left"
PATIENCE = 5.0
"""Seconds without news that she puts up with."""


def watch_over_spy() -> None:
    attach()
    known = None
    while True:
        try:
            news = receive(timeout=PATIENCE)
        except TimeoutError:
            give_up(HER_SPY)
            continue
        match news:
            case Message(_, formula) if formula != known:
                print(f"has the formula: {formula}", flush=True)
                known = formula
            case Down(_, spy, reason):
                print(f"is told that {spy} is lost: {reason}", flush=True)
                known = None


def give_up(spy: str) -> None:
    pid = whereis(spy)
    if pid is None:
        print(f"has heard nothing of {spy}, which does not run", flush=True)
        return
    try:
        victim = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # it has just died, and she will be told
    if whereis(spy) == pid:  # still: so the number has not become another's, and the descriptor is the spy's
        print(f"has heard nothing of {spy} for {PATIENCE:g} seconds, and gives it up", flush=True)
        signal.pidfd_send_signal(victim, signal.SIGKILL)
    os.close(victim)
