"""Two spies and their handler, as processes of one script: no daemon, only the worker library.

    PYTHONPATH=. python3 etc/spies/mission.py [gas | enemies | bug]...

Each spy knows half of a formula, and half a formula is worth nothing. So the two are linked: if one is lost, the other
one does not go on alone. Their handler is linked to nobody. She monitors the left spy, and when she is told that it is
lost, she sends out two new ones. What the right spies come across, one after another, is said on the command line:

    gas         toxic gas: its own end, for a reason that it can give
    enemies     a signal from outside: SIGKILL, which nobody can do anything about
    bug         an extraterrestrial one: a ray from space flips a bit, and the spy does not die but runs in a circle

Of the third one nobody dies, so no link fires, and there is nothing to be told of: only a clock helps. When the handler
has heard nothing for two seconds, she gives up her spy, and the link takes the other one along, stuck as it is. What a
ray has done is gone after a restart.
"""

import os
import sys

from procsup.worker import Down, Exit, Pid, Process, link, receive, self_, send

PATIENCE = 2.0
"""Seconds without news that the handler puts up with."""
PAIRS = 3
"""Of spies that the handler can send out."""


def left_spy(handler: Pid) -> None:
    partner = meet_partner()
    send(partner, "what do you know?")
    half = receive()
    send(handler, f"two parts of moonlight and {half}")
    receive()  # and stays in the field


def right_spy(fate: str) -> None:
    partner = meet_partner()
    receive()
    match fate:
        case "gas":
            raise Exit("toxic gas")
        case "enemies":
            os.system("kill -KILL $PPID")  # $PPID is this spy
        case "bug":
            while True:
                pass
    send(partner, "one part of salt")
    receive()


def meet_partner() -> Pid:
    """Who it is says a message of the handler's. If one of the partner's has come before, that stays in the mailbox."""
    partner = receive(Pid)
    link(partner)  # from here on they live and die together
    return partner


def send_out(fate: str) -> tuple[Pid, Pid]:
    left, _ = Process.spawn_monitor(left_spy, self_())  # from its first breath: it may not live long
    right = Process.spawn(right_spy, fate)
    send(left, right)
    send(right, left)
    say(f"sends out {left}, which is hers, and {right}")
    return left, right


def news_of(left: Pid) -> object:
    """The formula, or a Down: how her spy was lost."""
    try:
        return receive(timeout=PATIENCE)
    except TimeoutError:
        say(f"has heard nothing for {PATIENCE:g} seconds, and gives up {left}")
        Process.exit(left, "kill")
        return receive()


def say(what: str) -> None:
    print(f"the handler {what}", flush=True)


def main() -> None:
    if set(sys.argv[1:]) - {"gas", "enemies", "bug"}:
        sys.exit(__doc__)
    for fate in [*sys.argv[1:], *["luck"] * PAIRS][:PAIRS]:
        left, right = send_out(fate)
        match news_of(left):
            case str() as formula:
                say(f"has the formula: {formula}")
                return
            case Down(reason=reason):
                partner = "alive" if Process.alive(right) else "gone, too"
                say(f"is told that {left} is lost: {reason!r}; {right} is {partner}")
    sys.exit("the handler has no spies left")


if __name__ == "__main__":
    main()
