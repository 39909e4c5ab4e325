"""The answer in words, for a person who was woken up: how things stand, the failure in one sentence, and then what
happened, step by step, with the time since the first step.

Pure: an answer and the time in, lines out. Nothing in the lines is unescaped: names and output may mean harm.
"""

import pwd
from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import wrap

from procsup.cli.answers import name_of
from procsup.cli.paint import Meaning, Paint
from procsup.cli.printable import printable, shortened
from procsup.cli.reasons import peer_in_words, reason_in_words, why_removed, why_the_tree_is_down
from procsup.cli.units import about, exactly
from procsup.cli.why.answer import Answer, End
from procsup.cli.why.facts import (
    CameBack,
    CouldNotStart,
    DaemonEnded,
    Died,
    Fact,
    GaveUp,
    LeftDown,
    LinkFired,
    Other,
    Reloaded,
    Removed,
    Restarted,
    ShutItselfDown,
    Step,
    Stopped,
    WentDown,
)
from procsup.cli.why.standing import Standing

_MARGIN = 11
_LONGEST_LINE = 400
_MOST_NAMES = 12
_MOST_CONSEQUENCES = 8
"""In the sentence; the last ones."""

_WIDTH = 100
"""Columns of the sentence. What follows has a line for each step, and of output as it was."""

_TAIL_LINES = 5
_TAIL_LINES_AGAIN = 2
_FIRST, _LAST = 4, 4
"""Of many failures that are alike, so many are told in full at the beginning and at the end."""


def answer_in_words(answer: Answer, now: float, paint: Paint) -> list[str]:
    """`now` in seconds since 1970."""
    lines = [paint("bad" if _is_bad(answer) else None, _standing(answer, now))]
    lines += [paint("aside", notice) for notice in _notices(answer)]
    if not answer.steps:
        return lines
    summary = in_short(answer.steps, answer.first)
    lines += ["", _heading(answer, now), *wrap(f"In short: {summary}.", _WIDTH, subsequent_indent=" " * 10), ""]
    return lines + steps_in_words(answer.steps, paint)


def in_short(steps: Sequence[Step], first: int) -> str:
    """The failure in one sentence, without its point. `first` is the seq of the step with which it began."""
    main = [step for step in steps if step.seq >= first]
    beginning, *rest = main or steps
    consequences = dict.fromkeys(words for step in rest if (words := _consequence(step.fact)))
    followed = _joined(list(consequences)[-_MOST_CONSEQUENCES:])
    return printable(_beginning(steps, beginning) + (f"; so {followed}" if followed else ""))


def steps_in_words(steps: Sequence[Step], paint: Paint) -> list[str]:
    lines: list[str] = []
    before = ""
    tails: dict[str, tuple[str, ...]] = {}
    for step in _abridged(steps):
        if isinstance(step, int):
            lines.append(" " * _MARGIN + paint("aside", f"… and so on, {step} more times …"))
            continue
        told = _told(step.fact, tails)
        if told is None:
            continue
        words, meaning, tail = told
        offset = _offset(step.offset)
        shown = "" if offset == before else offset
        before = offset
        lines.append(paint("aside", shown.rjust(_MARGIN - 2)) + "  " + paint(meaning, printable(words)))
        lines += [" " * _MARGIN + paint("aside", f"  | {_tail_line(line)}") for line in tail]
    return lines


# How things stand


def _standing(answer: Answer, now: float) -> str:
    standing = answer.standing
    if answer.end is not None:
        end = _end(answer.end, now)
        if answer.path is None or standing is None:
            return printable(f"The daemon {end}.")
        if standing.state == "removed":
            return printable(f"{_subject_stands(answer.path, standing, now)}. The daemon {end}.")
        if standing.why == "held":
            return printable(f"{_subject_stands(answer.path, standing, now)}; and the daemon {end}.")
        return printable(f"{name_of(answer.path)} is not running: the daemon {end}.")
    if answer.path is None or standing is None:
        words = "The daemon runs."
        return words if answer.steps else printable(f"{words} {_never_failed('Nothing has', answer)}")
    words = f"{_subject_stands(answer.path, standing, now)}."
    return printable(words if answer.steps else f"{words} {_never_failed('It has not', answer)}")


def _never_failed(who: str, answer: Answer) -> str:
    since = f" since {_local_time(answer.oldest)}, as far back as the journal goes" if answer.oldest else ""
    return f"{who} failed{since}."


def _end(end: End, now: float) -> str:
    when = _ago(end.time, now)
    if end.status is None:
        return f"died without a word, {when} or later: it was killed, or the machine stopped"
    if end.reason == "shutdown" and end.by in ("guardian_died", "bug"):
        return f"ended {when} with exit status {end.status}: it stopped the tree {_by(end.by)}"
    asked = f" ({_by(end.by)})" if end.by and end.reason == "shutdown" else ""
    return f"ended {when} with exit status {end.status}, because {why_the_tree_is_down(end.reason)}{asked}"


def _subject_stands(path: str, standing: Standing, now: float) -> str:
    name, whom = name_of(path), name_of(standing.whom)
    since = _since(standing.since, now)
    match standing.why:
        case "held":
            who = f"an operator{f' ({_by(standing.by)})' if standing.by else ''}"
            return f"{name} is held down: {who} stopped it {_ago(standing.since, now)}"
        case "waiting":
            return f"{name} is {standing.state}: it waits for {whom}, which is {standing.detail}"
        case "not_ready":
            return f"{name} {'has been' if since else 'is'} {standing.state}{since}: it waits for {standing.detail}"
        case "supervisor_down":
            return f"{name} is {standing.state}: {whom}, above it in the tree, is down"
        case "ended_normally":
            return f"{name} is down{since}: it ended normally, and its restart type leaves it so"
        case "gave_up":
            return f"{name} is down{since}: it gave up, and its restart type leaves it so"
        case "auto_shutdown":
            return f"{name} is down{since}: it shut itself down, and its restart type leaves it so"
        case "linked":
            return f"{name} is down{since}: it {reason_in_words(standing.detail)}, and its restart type leaves it so"
        case "start_failed":
            return f"{name} is down{since}: it could not start: {reason_in_words(standing.detail)}"
        case "terminated":
            return f"{name} is down{since}: it was stopped, and nobody has started it again"
    if standing.state == "removed":
        return f"{name} was taken out of the tree {_ago(standing.since, now)}: {why_removed(standing.why)}"
    if standing.state == "unknown":
        return f"{name} is known, and no more than that"
    pid = f" (pid {standing.pid})" if standing.pid is not None else ""
    return f"{name} {'has been' if since else 'is'} {standing.state}{since}{pid}"


def _by(by: str) -> str:
    """Who asked: a client's user by name, else as it is."""
    kind, _, number = by.partition(" ")
    match kind:
        case "uid" if number.isdigit():
            try:
                return f"by {pwd.getpwuid(int(number)).pw_name}"
            except (KeyError, OverflowError):
                return f"by {by}"
        case "guardian_died":
            return "as its guardian had died"
        case "bug":
            return "for a bug of its own, of which its standard error tells"
        case _:
            return f"by {by}"


def _is_bad(answer: Answer) -> bool:
    if answer.end is not None:
        return answer.end.status != 0
    return answer.standing is not None and answer.standing.state not in ("running", "removed")


def _heading(answer: Answer, now: float) -> str:
    began = answer.steps[0].time
    of_whom = "The last failure" if answer.path is None else f"{_what_it_was(answer)} {name_of(answer.path)}"
    if answer.is_of_earlier_run:
        of_whom += ", of an earlier run of the daemon,"
    cut = "; how it began is not in the journal any more" if answer.is_cut else ""
    return printable(f"{of_whom} began {_ago(began, now)}, at {_local_time(began)}{cut}.")


def _what_it_was(answer: Answer) -> str:
    stopped = {one.path for step in answer.steps if isinstance(step.fact, Stopped) for one in step.fact.workers}
    failed = {step.fact.path for step in answer.steps if isinstance(step.fact, Died | CouldNotStart)}
    return "What stopped" if answer.path in stopped - failed else "The last failure of"


def _notices(answer: Answer) -> Iterator[str]:
    if answer.damaged:
        yield f"(Lines of the journal that are damaged and left out: {answer.damaged}.)"
    if answer.missing:
        yield f"(Events that are missing from the journal: {answer.missing}.)"


# The failure in one sentence


def _beginning(steps: Sequence[Step], first: Step) -> str:
    """Of the worker with which it began, and of those that had used up restarts before."""
    match first.fact:
        case Died() | CouldNotStart() as fact:
            return _failures(steps, fact)
        case fact:
            told = _told(fact, {})
            return told[0] if told is not None else "something failed"


def _failures(steps: Sequence[Step], fact: Died | CouldNotStart) -> str:
    all_of_them = [(step, step.fact) for step in steps if isinstance(step.fact, Died | CouldNotStart)]
    mine = [(step, one) for step, one in all_of_them if one.path == fact.path]
    alike = [step for step, one in mine if one.reason == fact.reason]
    others = [name_of(one.path) for _, one in all_of_them if one.path != fact.path and _is_of_worker(one)]
    why = reason_in_words(fact.reason)
    if isinstance(fact, CouldNotStart) and fact.waited_for:
        why += f", waiting for {shortened(fact.waited_for, _LONGEST_LINE)}"
    words = f"{name_of(fact.path)} {f'could not start ({why})' if isinstance(fact, CouldNotStart) else why}"
    if len(alike) > 1:
        words += f", {len(alike)} times{_within(alike)}"
    if len(mine) > len(alike):
        words += f", and failed otherwise {_times(len(mine) - len(alike))}"
    if others:
        words += f", besides failures of {_names(list(dict.fromkeys(others)))}"
    return words


def _is_of_worker(fact: Fact) -> bool:
    return isinstance(fact, Died) or (isinstance(fact, CouldNotStart) and fact.type != "supervisor")


def _consequence(fact: Fact) -> str:
    match fact:
        case GaveUp():
            return f"{name_of(fact.supervisor)} gave up ({_allowed(fact)})"
        case LeftDown():
            return f"{name_of(fact.supervisor)} {_left_down(fact)}"
        case ShutItselfDown():
            return f"{name_of(fact.supervisor)} shut itself down"
        case Restarted():
            return f"{name_of(fact.supervisor)} restarted {_with_others(fact)}"
        case LinkFired(trapped=False):
            return f"{name_of(fact.path)} was stopped by its link with {fact.peer}"
        case CouldNotStart() if fact.type == "supervisor":
            return f"{name_of(fact.path)} could not start"
        case DaemonEnded():
            return f"the daemon ended with exit status {fact.status}"
        case _:
            return ""


def _allowed(fact: GaveUp) -> str:
    match fact.intensity:
        case 0:
            return "no restart is allowed"
        case 1:
            return f"1 restart in {exactly(fact.period)} is allowed"
        case number:
            return f"{number} restarts in {exactly(fact.period)} are allowed"


def _within(steps: Sequence[Step]) -> str:
    first, last = steps[0].offset, steps[-1].offset
    return "" if first is None or last is None else f" within {about(last - first)}"


# Step by step


def _abridged(steps: Sequence[Step]) -> Iterator[Step | int]:
    """Of a long row of failures and restarts the middle is a number."""
    row: list[Step] = []
    for step in steps:
        if isinstance(step.fact, Restarted | CameBack) or _is_of_worker(step.fact):
            row.append(step)
            continue
        yield from _shortened_row(row)
        row = []
        yield step
    yield from _shortened_row(row)


def _shortened_row(row: Sequence[Step]) -> Iterator[Step | int]:
    left_out = row[_FIRST:-_LAST]
    failures = sum(_is_of_worker(step.fact) for step in left_out)
    if failures < 2:
        yield from row
        return
    yield from row[:_FIRST]
    yield failures
    yield from row[-_LAST:]


def _told(fact: Fact, tails: dict[str, tuple[str, ...]]) -> tuple[str, Meaning | None, Sequence[str]] | None:
    """The words, and the output below them. `tails` remembers what each worker said last."""
    match fact:
        case Died():
            words = f"{name_of(fact.path)} {reason_in_words(fact.reason)}"
            if fact.uptime is not None:
                words += f", {about(fact.uptime)} after its start"
            return _with_tail(words, fact.path, fact.tail, tails)
        case CouldNotStart(type="supervisor"):
            return f"{name_of(fact.path)} could not start: {reason_in_words(fact.reason)}", "bad", ()
        case CouldNotStart():
            words = f"{name_of(fact.path)} could not start: {reason_in_words(fact.reason)}"
            if fact.waited_for:
                words += f", waiting for {shortened(fact.waited_for, _LONGEST_LINE)}"
            if fact.command:
                words += f"; its command: {shortened(' '.join(fact.command), _LONGEST_LINE)}"
            if fact.reason.startswith("start_failed "):  # it has never run
                return words, "bad", ()
            return _with_tail(words, fact.path, fact.tail, tails)
        case Restarted():
            words = f"{name_of(fact.supervisor)} restarted {_with_others(fact)}: {_left(fact)}"
            return words, "attention", ()
        case GaveUp():
            return f"{name_of(fact.supervisor)} gave up: {_why_it_gave_up(fact)}", "bad", ()
        case Stopped():
            return _stopped(fact), None, ()
        case WentDown(reason="gave_up" | "auto_shutdown"):
            return None  # said before
        case WentDown():
            return f"{name_of(fact.supervisor)} is down: {reason_in_words(fact.reason)}", None, ()
        case LeftDown():
            return f"{name_of(fact.supervisor)} {_left_down(fact)}", "attention", ()
        case ShutItselfDown():
            child = name_of(fact.child)
            return f"{name_of(fact.supervisor)} shut itself down with its significant child {child}", "attention", ()
        case LinkFired(trapped=True):
            return f"{name_of(fact.path)} was told of {peer_in_words(fact.peer, fact.reason)}", None, ()
        case LinkFired():
            words = f"{name_of(fact.path)} was stopped by its link with {peer_in_words(fact.peer, fact.reason)}"
            return words, "bad", ()
        case Removed():
            return f"{name_of(fact.path)} was taken out of the tree: {why_removed(fact.why)}", None, ()
        case CameBack():
            return f"{_names([name_of(path) for path in fact.paths])} came up again", "good", ()
        case Reloaded():
            return f"the file was read once more ({_by(fact.by)})", None, ()
        case DaemonEnded():
            why = why_the_tree_is_down(fact.reason)
            return f"the daemon ended with exit status {fact.status}: {why}", "bad" if fact.status else None, ()
        case Other():
            return f"{name_of(fact.path)}: {shortened(fact.text, _LONGEST_LINE)}", None, ()


def _with_tail(
    words: str, path: str, tail: tuple[str, ...], tails: dict[str, tuple[str, ...]]
) -> tuple[str, Meaning, Sequence[str]]:
    before = tails.get(path)
    tails[path] = tail
    if not tail:
        return f"{words}, without a word", "bad", ()
    if before and before[-1] == tail[-1]:
        return f"{words}, with the same last line", "bad", ()
    shown = tail[-(_TAIL_LINES_AGAIN if before else _TAIL_LINES) :]
    return f"{words}; its last {'line' if len(shown) == 1 else 'lines'}:", "bad", shown


def _with_others(fact: Restarted) -> str:
    return f"{fact.child} and with it {_names(fact.others)}" if fact.others else fact.child


def _left(fact: Restarted) -> str:
    left = max(fact.intensity - fact.used, 0)
    return f"restart {fact.used} of {fact.intensity} within {exactly(fact.period)}, {left or 'none'} left"


def _why_it_gave_up(fact: GaveUp) -> str:
    if fact.intensity == 0:
        return f"{fact.child} needed a restart, and none is allowed"
    return f"{fact.child} needed restart {fact.used} within {exactly(fact.period)}, and {fact.intensity} are allowed"


def _stopped(fact: Stopped) -> str:
    words = [_stop(name_of(one.path), one.how, one.took) for one in fact.workers[:_MOST_NAMES]]
    more = len(fact.workers) - len(words)
    order = ", in this order" if len(fact.workers) > 1 else ""
    return f"stopped for it{order}: {', '.join(words)}{f' and {more} more' if more else ''}"


def _stop(name: str, how: str, took: float | None) -> str:
    if not how:
        return f"{name} (not down yet)"
    if how == "killed":
        return f"{name} (killed{f' after {about(took)}' if took is not None else ''})"
    return f"{name} ({about(took)})" if took is not None and took >= 1 else name


def _left_down(fact: LeftDown) -> str:
    match fact.verdict:
        case "leave":
            return f"left {fact.child} down, for it is transient"
        case "remove":
            return f"removed {fact.child}, for it is temporary"
        case other:
            return f"decided about {fact.child}: {other}"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return _joined(names) if more <= 0 else f"{', '.join(names[:_MOST_NAMES])} and {more} more"


def _joined(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c" """
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _tail_line(line: str) -> str:
    return printable(shortened(line.rstrip("\r\n"), _LONGEST_LINE))


# Times


def _offset(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"+{seconds:.3f}s" if seconds < 60 else f"+{about(seconds)}"


def _since(time: str, now: float) -> str:
    when = _seconds(time)
    return "" if when is None else f" for {about(now - when)}"


def _ago(time: str, now: float) -> str:
    when = _seconds(time)
    return "at an unknown time" if when is None else f"{about(now - when)} ago"


def _local_time(time: str) -> str:
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
