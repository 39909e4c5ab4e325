"""The spies, as workers of procsup: a function for each, which the tree file names.

The left spy asks the right one for its half of the formula, again and again, and sends both halves to the handler. The
right spy tells its half; but when it is asked for the first time, in its first life, it meets its fate: "gas" ends it,
"bug" lets it run in a circle, and anything else is luck. Neither knows of links: it is the tree file that ties their
fates.
"""

import os
import sys
import time

from procsup.worker import Message, attach, receive, send

WHILE = 0.5
"""Seconds between two questions."""


def left() -> None:
    attach()
    while True:
        send("spy_right", "what do you know?")
        try:
            half = receive(Message, timeout=WHILE).body
        except TimeoutError:
            continue  # nobody is there (yet), or nobody who answers
        send("handler", f"two parts of moonlight and {half}")
        time.sleep(WHILE)


def right(fate: str) -> None:
    attach()
    while True:
        question = receive(Message)
        if os.environ["PROCSUP_STARTS"] == "1":
            meet(fate)
        send(question.sender, "one part of salt")


def meet(fate: str) -> None:
    match fate:
        case "gas":
            sys.exit("toxic gas")
        case "bug":
            while True:
                pass
