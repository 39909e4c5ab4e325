"""Events as plain words, for the person in front of `run` and of `events`.

    03:12:44.120  api_cache     exited with code 1 after 0.3s; its last line:
                                | ConnectionRefusedError: [Errno 111] Connection refused
    03:12:44.121  cache         restarts api_cache (2 of 3 in 5s)
    03:12:44.163  api_cache     | fetching http://127.0.0.1:481/spells

One line says when (local time), who and what. What every start and stop consists of is one line, not three: of
`starting`, `started` and `ready` a worker's `started` is told and a supervisor's `ready`, and that of a worker that had
to do something for it; `stopping` and `stopped` are told together, except that the root's wish to stop is told at once.
`--json` has it all. What workers write is quoted in the same columns (`run --verbose`).

Nothing that an event holds can raise here or reach the terminal unescaped: an event may come from a daemon of another
version, and its words from a worker that means harm. The exit reasons are put into words in reasons.py.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from procsup.cli.happening import Happening
from procsup.cli.paint import Meaning, Paint, Tints, plain
from procsup.cli.printable import padded, printable, printable_line, shortened
from procsup.cli.reasons import error_in_words, peer_in_words, reason_in_words, why_removed, why_the_tree_is_down
from procsup.cli.units import about, exactly

_NARROWEST, _WIDEST = 12, 24
_TIME = "%H:%M:%S.%f"
_LONGEST_TAIL = 1
"""Lines: the whole tail is in the event and in the worker's log."""

_LONGEST_LINE = 400


class Told(NamedTuple):
    """What is said of one event. `who` is the subject of the sentence; `tail` comes below it."""

    who: str
    what: str
    meaning: Meaning | None = None
    tail: tuple[str, ...] = ()


def is_told(event: Happening) -> bool:
    """Whether a Narrator has words for it, or leaves it to another event to tell."""
    match event.kind:
        case "starting":
            return False
        case "ready":
            return event.text("type") == "supervisor" or event.number("after") is not None
        case "stopping":
            return "/" not in event.path
        case _:
            return True


class Narrator:
    """Remembers what is under way, so as to tell how long it took. O(1) per event; it holds one entry for each child
    that is being stopped.

    `names` lets the column of names be as wide as it is going to be from the first line.
    """

    def __init__(self, paint: Paint = plain, names: tuple[str, ...] = ()) -> None:
        self._paint = paint
        self._tints = Tints(paint)
        self._width = _NARROWEST
        for name in names:
            self._widen(name)
        self._asked: dict[str, tuple[str, float | None]] = {}

    def tell(self, event: Mapping[str, object]) -> list[str]:
        """The lines for one event, without their ends; none when another event's lines say it all."""
        happening = Happening(event)
        if happening.kind == "stopping":
            self._asked[happening.path] = happening.text("signal"), happening.number("mono")
        if not is_told(happening):
            return []
        told = self._told(happening)
        who = printable(told.who)
        self._widen(who)
        time = _local_time(happening.text("time"))
        what = self._paint(told.meaning, printable(told.what))
        margin = " " * (len(time) + 2 + self._width + 2)
        return [
            f"{self._paint('aside', time)}  {padded(who, self._width)}  {what}",
            *(margin + self._paint("aside", "| " + _tail_line(line)) for line in told.tail[-_LONGEST_TAIL:]),
        ]

    def quote(self, path: str, seconds: float, lines: bytes) -> str:
        """What the worker of this path wrote so many seconds after 1970: a line for each, with their ends."""
        who = path.rpartition("/")[2]
        self._widen(who)
        time = datetime.fromtimestamp(seconds).strftime(_TIME)[:12]
        before = f"{self._paint('aside', time)}  {self._tints.paint(who, padded(printable(who), self._width))}  | "
        text = lines.removesuffix(b"\n").decode("utf-8", "surrogateescape")
        if not text.replace("\n", "").isprintable():
            text = "\n".join(map(printable_line, lines.removesuffix(b"\n").split(b"\n")))
        return before + text.replace("\n", f"\n{before}") + "\n"

    def _told(self, event: Happening) -> Told:
        who = event.name()
        match event.kind:
            case "daemon_started":
                return Told("procsup", _daemon_started(event))
            case "started":
                return Told(who, _started(event))
            case "ready":
                return _ready(event)
            case "start_failed":
                self._asked.pop(event.text("path"), None)
                return _start_failed(event)
            case "exited":
                return self._stopped(event) if event.text("reason").startswith("linked ") else _exited(event)
            case "link_fired":
                return _link_fired(event)
            case "stopping":
                return Told(who, f"is asked to stop{_WHY_STOPPED.get(event.text('by'), '')}")
            case "stopped":
                return self._stopped(event)
            case "restarting":
                return Told(who, f"restarts {_whom(event)} ({_budget(event)})", "attention")
            case "gave_up":
                return Told(who, _gave_up(event), "bad")
            case "escalated":
                return Told(who, f"is told that {event.name('child')} gave up{_verdict(event)}", "attention")
            case "auto_shutdown":
                return Told(who, f"shuts itself down, as its significant child {event.name('child')} ended")
            case "reloaded":
                return Told("procsup", _reloaded(event), "attention")
            case "held":
                return Told(who, "is held down: an operator stopped it")
            case "released":
                return Told(who, "is no longer held: an operator lets it run")
            case "child_added":
                return Told(who, f"was added to the tree, a {event.text('type') or 'child'}")
            case "child_removed":
                return Told(who, f"was taken out of the tree: {why_removed(event.text('why'))}")
            case "lost_output":
                return Told(who, f"lost {event.text('bytes')} bytes of output so far: {event.text('reason')}", "bad")
            case "journal_failed":
                return Told("procsup", f"cannot write the journal: {error_in_words(event.text('reason'))}", "bad")
            case "journal_resumed":
                return Told("procsup", f"writes the journal again; events lost: {event.text('lost')}")
            case "bad_message":
                count = event.text("count")
                return Told(who, f"misuses its channel ({count} times so far): {event.text('reason')}", "bad")
            case "daemon_stopped":
                return _daemon_stopped(event)
            case _:
                return Told(who, shortened(event.all(), _LONGEST_LINE))

    def _stopped(self, event: Happening) -> Told:
        signal, asked = self._asked.pop(event.path, ("", None))
        if event.text("type") != "worker":
            return Told(event.name(), "stopped")
        now = event.number("mono")
        took = "" if asked is None or now is None else about(now - asked)
        match event.text("how"):
            case "killed":
                rest = " ".join(filter(None, (took, f"after {signal}" if signal else "")))
                return Told(event.name(), f"killed: it was still there {rest}".rstrip(), "attention")
            case "brutal_kill":
                return Told(event.name(), _with_facts("killed at once, as its spec says", took))
            case _:
                return Told(event.name(), _with_facts("stopped", signal, took, _odd_end(event.text("ended"), signal)))

    def _widen(self, name: str) -> None:
        if len(name) <= _WIDEST:
            self._width = max(self._width, len(name))


def _daemon_started(event: Happening) -> str:
    return f"starts the tree of {event.text('file')} (procsup {event.text('version')}, pid {event.text('pid')})"


def _started(event: Happening) -> str:
    waits_for = event.text("waits_for")
    rest = f", waits for {shortened(waits_for, _LONGEST_LINE)}" if waits_for else ""
    return f"started, pid {event.text('pid')}{rest}"


_WHY_STOPPED = {"guardian_died": ", as the guardian has died", "bug": ", for a bug of procsup"}

_CHANGES = {
    "stop": "to stop",
    "restart": "to restart",
    "along": "to restart along",
    "start": "to start",
    "adjust": "with other settings",
    "held": "changed and held",
}


def _reloaded(event: Happening) -> str:
    counts = [f"{event.text(key)} {words}" for key, words in _CHANGES.items() if event.number(key)]
    asked = "on SIGHUP" if event.text("by") == "SIGHUP" else "on command"
    return f"reloads the file {asked}: {', '.join(counts) or 'nothing has changed'}"


def _ready(event: Happening) -> Told:
    """Of a worker that is ready by being executed its start was told, and that is all."""
    after = event.number("after")
    return Told(event.name(), "is up" if after is None else f"is ready after {about(after)}", "good")


def _start_failed(event: Happening) -> Told:
    """What was executed has a pid, and perhaps last words; of the others the command is worth a look."""
    words = f"cannot start: {reason_in_words(event.text('reason'))}"
    command, tail = event.texts("command"), event.texts("tail")
    waited_for = event.text("waited_for")
    if waited_for:
        words += f", waiting for {shortened(waited_for, _LONGEST_LINE)}"
    if tail:
        words += "; its last line:"
    elif command and event.number("pid") is None:
        words += f"; its command: {shortened(' '.join(command), _LONGEST_LINE)}"
    return Told(event.name(), words, "bad", tail)


def _exited(event: Happening) -> Told:
    reason = event.text("reason")
    words = reason_in_words(reason)
    if event.text("type") == "supervisor":
        return Told(event.name(), f"is down: {words}")
    uptime = event.number("uptime")
    if uptime is not None:
        words += f" after {about(uptime)}"
    tail = event.texts("tail")
    if tail:
        words += "; its last line:"
    return Told(event.name(), words, None if reason == "normal" else "bad", tail)


def _link_fired(event: Happening) -> Told:
    peer = peer_in_words(event.text("peer"), event.text("reason"))
    if event.text("trapped") == "true":
        return Told(event.name(), f"is told of {peer}")
    return Told(event.name(), f"is stopped by its link with {peer}", "bad")


def _whom(event: Happening) -> str:
    child = event.name("child")
    others = [name for path in event.texts("group") if (name := path.rpartition("/")[2]) != child]
    return f"{child} and with it {shortened(', '.join(others), _LONGEST_LINE)}" if others else child


def _budget(event: Happening) -> str:
    return f"{event.text('used')} of {event.text('intensity')} in {_period(event)}"


def _gave_up(event: Happening) -> str:
    if event.number("intensity") == 0:
        return f"gives up: {event.name('child')} needs a restart, and none is allowed"
    needed = f"{event.text('used')} restarts needed within {_period(event)}, allowed are {event.text('intensity')}"
    return f"gives up: {needed}; the last straw was {event.name('child')}"


def _period(event: Happening) -> str:
    seconds = event.number("period")
    return "?" if seconds is None else exactly(seconds)


def _verdict(event: Happening) -> str:
    match event.text("verdict"):
        case "leave":
            return ", and leaves it down (transient)"
        case "remove":
            return ", and removes it (temporary)"
        case _:  # "restart": what follows is another event
            return ""


def _daemon_stopped(event: Happening) -> Told:
    status = event.text("status")
    words = f"the tree is down: {why_the_tree_is_down(event.text('reason'))}; exit status {status}"
    return Told("procsup", words, None if status == "0" else "bad")


def _odd_end(ended: str, signal: str) -> str:
    """How it ended, unless that is what one expects of a program that got `signal`."""
    return "" if ended in ("", "exit 0", f"signal {signal}") else ended


def _with_facts(words: str, *facts: str) -> str:
    known = ", ".join(filter(None, facts))
    return f"{words} ({known})" if known else words


def _tail_line(line: str) -> str:
    return printable(shortened(line.rstrip("\r\n"), _LONGEST_LINE))


def _local_time(time: str) -> str:
    try:
        return datetime.fromisoformat(time).astimezone().strftime(_TIME)[:12]
    except (ValueError, OverflowError, OSError):
        return "--:--:--.---"
