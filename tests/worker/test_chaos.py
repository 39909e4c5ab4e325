"""Many processes, killed at random: every death is told once to everybody who asked, and nobody is left."""

import os
import random
import signal
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procsup.worker import Down, Exit, Pid, Process, link, monitor, node_process, receive, send, trap_exits
from procsup.worker.mailbox import mine
from procsup.worker.spawn import leave
from tests.worker.kit import next_message, spin


def live(seed: int) -> None:
    """Have a child, be linked to others, and crash or stay, as chance has it."""
    chance = random.Random(seed)
    trap_exits(chance.random() < 0.2)
    if chance.random() < 0.3:
        Process.spawn(live, seed + 1000)
    others = receive(lambda message: isinstance(message, list))
    assert isinstance(others, list)
    for other in chance.sample(others, 2):
        chance.choice([link, monitor])(other)
    match chance.randrange(4):
        case 0:
            raise Exit("crash")
        case 1:
            spin()
        case _:
            receive(lambda message: False)


@given(st.integers(0, 999))
@settings(max_examples=10)
def test_every_death_is_told_once(seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_process, "GRACE", 0.05)  # some will not obey
        wreak_havoc(random.Random(seed), seed)


def wreak_havoc(chance: random.Random, seed: int) -> None:
    trap_exits(True)
    pids: list[Pid] = []
    pidfds: list[int] = []
    for number in range(20):
        pids.append(Process.spawn(live, seed + number))
        pidfds.append(os.pidfd_open(pids[-1].number))
    refs = [monitor(pid) for pid in pids for _ in range(2)]

    for pid in pids:
        send(pid, pids)
        match chance.randrange(4):
            case 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(chance.choice(pidfds), signal.SIGKILL)
            case 1:
                Process.exit(chance.choice(pids), chance.choice(["kill", "boom", "normal"]))
    for pid in pids:
        Process.exit(pid, "kill")
    told = [next_message(Down) for _ in refs]
    leave(mine())

    assert sorted(down.ref for down in told) == sorted(refs)
    assert {down.reason for down in told} <= {"killed", "boom", "crash", "noproc", "signal SIGKILL", "shutdown"}
    assert all(signal_reaches_nobody(pidfd) for pidfd in pidfds)


def signal_reaches_nobody(pidfd: int) -> bool:
    """It is gone, and reaped. Closes the descriptor."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    finally:
        os.close(pidfd)
    return False
