"""The Discoverer finds out people's e-mail addresses, from whichever service is the first to know.

    python3 discoverer.py PORT URL      serves 127.0.0.1:PORT; the services are below URL

Who connects says names, one a line, and gets a line of JSON for each: {"name": "ada", "address": "ada@hermes.example"},
or with the address null, when no service could tell. Everybody here is a process:

    the door            lets visitors in at the port
    ├── visit           one for each visitor: calls the Discoverer for every name
    └── Discoverer      a GenServer, which keeps who waits for what
        ├── tasks       a TaskSupervisor, to which the lookups are linked
        └── lookup      two for each name, one for each service; they have one try, and crash if that fails

The Discoverer monitors its lookups and is not linked to them: their crashes are news to it, not its own end. It never
waits for anything: a call is answered when a lookup has an address, and meanwhile it takes the next one.

The clocks nest. Each gives those inside it time to end, so that who waits hears what has happened, and not nothing:

    a lookup has 2 seconds; a call of the Discoverer 5; ask.py waits 10
"""

import json
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from lookups import SERVICES
from procsup.worker import (
    Answer,
    Down,
    From,
    GenServer,
    NoReply,
    Ok,
    Pid,
    Readable,
    Task,
    TaskSupervisor,
    demonitor,
    receive,
    when_readable,
)

LOOKUP_SECONDS = 2.0
CALL_SECONDS = 5.0
IDLE_SECONDS = 60.0
"""A visitor who says nothing for so long is sent away."""


@dataclass
class Search:
    """Somebody waits for an address, and these lookups may still find one."""

    caller: From
    lookups: set[int]


@dataclass(frozen=True)
class State:
    tasks: Pid
    services: str
    searches: dict[int, Search]
    """By lookup: each has one entry for every lookup that runs."""


class Discoverer(GenServer[State]):
    def init(self, arg: str) -> Ok[State]:
        return Ok(State(TaskSupervisor.start_link(), arg, {}))

    def handle_call(self, request: str, from_: From, state: State) -> NoReply[State]:
        """The race begins. The reply comes later."""
        race = [TaskSupervisor.async_nolink(state.tasks, lookup, ask, state.services, request) for ask in SERVICES]
        search = Search(from_, {task.ref for task in race})
        state.searches.update(dict.fromkeys(search.lookups, search))
        return NoReply(state)

    def handle_info(self, message: object, state: State) -> NoReply[State]:
        match message:
            case Answer(ref, address):  # the first one, or its search would be gone
                search = state.searches[ref]
                for each in search.lookups:
                    demonitor(each, flush=True)  # what the others say from now on is ignored
                    del state.searches[each]
                GenServer.reply(search.caller, address)
            case Down(ref):  # it has crashed, or run out of time
                search = state.searches.pop(ref)
                search.lookups.remove(ref)
                if not search.lookups:
                    GenServer.reply(search.caller, None)
        return NoReply(state)


def lookup(ask: Callable[[str, str], str], services: str, name: str) -> str:
    """The whole life of a lookup. The kernel's alarm clock ends it wherever it hangs, by SIGALRM."""
    signal.setitimer(signal.ITIMER_REAL, LOOKUP_SECONDS)
    address = ask(services, name)
    if "@" not in address:
        raise ValueError(f"cannot be an address: {address!r}")
    return address


def visit(visitor: socket.socket, discoverer: Pid) -> None:
    visitor.settimeout(IDLE_SECONDS)
    with visitor.makefile("rw") as lines:
        for line in lines:
            name = line.strip()
            address = GenServer.call(discoverer, name, CALL_SECONDS)
            print(json.dumps({"name": name, "address": address}), file=lines, flush=True)


def main() -> None:
    port, services = int(sys.argv[1]), sys.argv[2]
    discoverer = GenServer.start_link(Discoverer, services)
    with socket.create_server(("127.0.0.1", port), backlog=1024) as door:
        print(f"discoverer: listens on 127.0.0.1:{port}", flush=True)
        while True:
            when_readable(door)
            receive(Readable)
            visitor, _ = door.accept()
            with visitor:
                Task.start(visit, visitor, discoverer)


if __name__ == "__main__":
    main()
