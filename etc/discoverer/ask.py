"""Ask the Discoverer.

    python3 ask.py NAME...          for the addresses of these, all at the same time
    python3 ask.py --many N         for those of N invented people, 16 at a time, and count

The Discoverer is at 127.0.0.1, port DISCOVERER_PORT of the environment, or 4812.
"""

import json
import os
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 10.0
"""Seconds."""
AT_A_TIME = 16


def ask(name: str) -> str:
    """The address, or "null"; "nothing", if the Discoverer has hung up."""
    port = int(os.environ.get("DISCOVERER_PORT", "4812"))
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection, connection.makefile("rw") as lines:
        print(name, file=lines, flush=True)
        line = lines.readline()
    if not line:
        return "nothing"
    return json.loads(line)["address"] or "null"


def main() -> None:
    match sys.argv[1:]:
        case ["--many", number]:
            names = [f"citizen-{n}" for n in range(1, int(number) + 1)]
        case [_, *_] as names:
            pass
        case _:
            sys.exit(__doc__)
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            answers = list(pool.map(ask, names))
    except OSError as error:
        sys.exit(f"ask: cannot ask the Discoverer: {error}")
    seconds = time.monotonic() - began
    if sys.argv[1] == "--many":
        hosts = Counter(answer.rpartition("@")[2] for answer in answers)
        counts = ", ".join(f"{count} {host}" for host, count in hosts.items())
        print(f"{len(names)} requests in {seconds:.1f} s: {counts}")
    else:
        for name, answer in zip(names, answers, strict=True):
            print(f"{name}: {answer}")


if __name__ == "__main__":
    main()
