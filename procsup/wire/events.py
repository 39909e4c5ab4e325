"""Journal events: what happened, as one JSON object each, in the journal (runtime/journal.py) and for those who listen.

    seq     1, 2, 3, ...; a new daemon goes on where the journal ends
    time    UTC, RFC 3339 with microseconds
    mono    seconds of the monotonic clock
    event   one of the names below
    path    whom it happened to
    cause   the seq of the event that led to this one, or null

event           when, and what else it carries
daemon_started  the daemon is about to start the tree: pid, file, version
starting        a start attempt begins: type ("worker" | "supervisor"), starts (this would be start number)
started         the program was executed: pid, and, unless that alone makes it ready, waits_for ("tcp localhost:5432")
ready           the child is up: type, and of a worker that is not ready by being executed, after (seconds since that)
start_failed    the attempt failed: type, reason, and of a worker command (a list); if it was executed also pid, uptime
                (seconds), tail (last lines of output), ended ("exit 1": what the kernel said) and how ("", or as of
                stopped when it was not ready in time), then also waited_for ("tcp localhost:5432 (connection refused)")
exited          it ended, and its supervisor did not ask for that: type, reason, and of a worker pid, uptime (seconds),
                tail (last lines of output, [] when the exit was normal); if the reason is linked also ended and how,
                as of stopped
link_fired      an exit signal reached it over a link: peer (a name), reason (of the first death), trapped (true: it is
                told, and lives on; false: it is stopped)
stopping        it is asked to stop: type, and of a worker pid (null: not executed yet), signal. When a worker was not
                ready in time start_failed follows, after link_fired that or exited, else stopped. Of the root, when
                the daemon is to end, by: "uid N" (a client of that user), "SIGTERM", "guardian_died", "bug"
stopped         it is down, as asked: type, reason ("shutdown" | "killed"), how ("shutdown" | "killed" |
                "brutal_kill"), and of a worker pid, ended ("exit 0", "signal SIGTERM": what the kernel said)
restarting      a supervisor decided to restart: child, used, intensity, period (seconds), group (names that restart
                with it)
gave_up         a supervisor reached its restart intensity: used, intensity, period, child (the last straw)
escalated       a supervisor learned that the child supervisor gave up: child, verdict ("restart" | "leave" | "remove")
auto_shutdown   a supervisor ends with its significant child: child
held, released  an operator stopped it: by ("uid N"); an operator let it run again
child_added     a child was added: type
reloaded        the file was read once more, and is becoming the tree: by ("uid N" or "SIGHUP"), and how many children
                stop, restart, along, start, adjust, held (as CHANGE in calls.py)
child_removed   its spec is gone: why ("temporary" | "deleted" | "start_failed" |
                "restarted": it was added, and its supervisor begins anew | "reloaded": it is not in the file any more)
lost_output     output of a worker begins to be lost, as it cannot be written: bytes (in all since the daemon began),
                reason; told at most once in a second
journal_failed  the journal cannot be written: reason. Events are kept in memory, while there is room
journal_resumed it can be written again, and what was kept is written: lost (how many events are not in it)
bad_message     over its channel a worker says what is no message, or it does not read what it is told: count (so far),
                reason (of the last one); told at the first, the 10th, the 100th of a life
daemon_stopped  the tree is down: status (exit status), reason

What follows from an event names it as its cause, directly or through others; an event without a cause came from
outside: a worker ended by itself, somebody gave a command, the daemon began. Readers pass over events and keys that
they do not know. A journal holds the runs of several daemons one after another: each begins with daemon_started, and
causes speak of the same run. A run that ends without daemon_stopped was cut short: its daemon was killed.
"""

from dataclasses import dataclass

from procsup.wire.decode import JSON

JOURNAL_FILE = "journal.jsonl"
BACKUPS = 5
"""The journal in the state directory, and how many older files stand beside it, as journal.jsonl.1 to .5."""


@dataclass(frozen=True, slots=True)
class Event:
    seq: int
    time: str
    mono: float
    event: str
    path: str
    cause: int | None
    details: dict[str, JSON]

    def as_json(self) -> dict[str, JSON]:
        return {
            "seq": self.seq, "time": self.time, "mono": self.mono, "event": self.event, "path": self.path,
            "cause": self.cause, **self.details,
        }  # fmt: skip
