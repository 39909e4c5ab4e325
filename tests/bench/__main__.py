"""`python -m tests.bench [NAME...]`: what procsup costs, beside a floor in C, in one run.

    .venv/bin/python -m tests.bench                    everything; three minutes or so
    .venv/bin/python -m tests.bench restart start      some of it
    .venv/bin/python -m tests.bench --json             for machines

On standard output comes a table: measure, what stands beside procsup and its figure, procsup's figure, their ratio, the
target and whether it was met; what is done meanwhile is told on standard error. What stands beside it is mostly the
floor (floor.c), which does waitpid, vfork and execve and nothing else, and runs the same workers (worker.c), in turns
with procsup; else it is procsup under other circumstances, or another program. Each module says what exactly it
measures.

Times are those of the scheduler when others use the machine too; the header says how busy it was. With --realtime
everything that is measured, on both sides, goes before what others run: that needs root, and gives figures that can be
repeated on a busy machine.

Status: 0 measured, whatever the verdicts; 1 something could not be measured; 2 usage. Others that are not to be had
(rivals.py) are named, and that is all.
"""

import argparse
import json
import os
import platform
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench import chatty, idle, killed, library, logs, memory, messages, restart, scale, start, status
from tests.bench.figure import CannotMeasure, Figure
from tests.bench.lab import Lab, Options
from tests.bench.rivals import MOST_KEPT

BENCHMARKS: dict[str, Callable[[Lab], Iterator[Figure]]] = {
    "restart": restart.measure,
    "start": start.measure,
    "killed": killed.measure,
    "idle": idle.measure,
    "memory": memory.measure,
    "status": status.measure,
    "scale": scale.measure,
    "logs": logs.measure,
    "chatty": chatty.measure,
    "messages": messages.measure,
    "library": library.measure,
}


def main(words: Sequence[str]) -> int:
    asked = _arguments().parse_args(words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))  # through every `with`, which cleans up
    options = Options(
        asked.workers, asked.many, asked.writers, asked.megabytes * 1_000_000, asked.restarts, asked.rounds,
        asked.seconds, tuple(shlex.split(asked.command)),
    )  # fmt: skip
    figures: list[Figure] = []
    failures: list[str] = []
    try:
        if asked.realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError as error:
        sys.stderr.write(f"cannot measure in real time: {error.strerror}\n")
        return 1
    try:
        with Lab(options) as lab:
            machine, left_out = _machine(lab, asked.realtime), lab.left_out
            for name in asked.names or BENCHMARKS:
                try:
                    figures.extend(BENCHMARKS[name](lab))
                except CannotMeasure as error:
                    failures.append(f"{name}: {error}")
                    lab.say(failures[-1])
    except KeyboardInterrupt:
        return 130
    show = as_json if asked.json else as_table
    sys.stdout.write(show(machine, figures, failures, left_out))
    return 1 if failures else 0


def _arguments() -> argparse.ArgumentParser:
    usual = Options()
    parser = argparse.ArgumentParser("python -m tests.bench", description="What procsup costs, beside a floor in C.")
    parser.add_argument("names", nargs="*", metavar="NAME", type=_benchmark, help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--realtime", action="store_true", help="go before whatever else this machine runs (root)")
    parser.add_argument("--workers", type=_at_least(2), default=usual.workers, help="instead of %(default)s")
    parser.add_argument("--many", type=_at_least(11), default=usual.many, help="of scale, instead of %(default)s")
    parser.add_argument("--writers", type=_at_least(2), default=usual.writers, help="of logs, instead of %(default)s")
    parser.add_argument(
        "--megabytes", type=_at_least(1, MOST_KEPT // 1_000_000), default=usual.log_bytes // 1_000_000,
        help="of one writer, instead of %(default)s",
    )  # fmt: skip
    parser.add_argument("--restarts", type=_at_least(1), default=usual.restarts, help="instead of %(default)s")
    parser.add_argument("--rounds", type=_at_least(1), default=usual.rounds, help="instead of %(default)s")
    parser.add_argument("--seconds", type=float, default=usual.idle_seconds, help="idle, instead of %(default)s")
    parser.add_argument("--command", default=shlex.join(usual.command), help="what runs procsup: %(default)s")
    return parser


def _benchmark(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(BENCHMARKS)}")
    return name


def _at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least or (most is not None and int(text) > most):
            raise ValueError
        return int(text)

    # argparse says it when it complains
    number.__name__ = f"number from {least} " + ("up" if most is None else f"to {most}")
    return number


def _machine(lab: Lab, realtime: bool) -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "compiler": shlex.join(lab.compiler) or None,
        "realtime": realtime,
    }


def as_json(
    machine: dict[str, Any], figures: Sequence[Figure], failures: Sequence[str], left_out: Sequence[str]
) -> str:
    rows = [
        {
            "measure": one.measure,
            "unit": one.unit,
            "beside": one.beside,
            "other": one.other,
            "procsup": one.procsup,
            "ratio": one.ratio,
            "target": one.target and asdict(one.target),
            "verdict": one.verdict,
            "remark": one.remark,
        }
        for one in figures
    ]
    found = {"machine": machine, "figures": rows, "failures": failures, "left_out": left_out}
    return json.dumps(found, indent=2) + "\n"


def as_table(
    machine: dict[str, Any], figures: Sequence[Figure], failures: Sequence[str], left_out: Sequence[str]
) -> str:
    lines = [
        f"{machine['system']}, {machine['cpus']} CPUs, load {machine['load']:.2f}, Python {machine['python']}, "
        f"C compiler: {machine['compiler'] or 'none, so no floor'}{', in real time' if machine['realtime'] else ''}"
    ]
    if machine["load"] > machine["cpus"] / 4 and not machine["realtime"]:
        lines.append("The machine is busy: these are the scheduler's figures as much as procsup's; see --realtime.")
    rows = [("measure", "beside", "", "procsup", "ratio", "target", "verdict", "")]
    rows += [
        (
            one.measure,
            one.beside if one.other is not None else "",
            _amount(one.other, one.unit),
            _amount(one.procsup, one.unit),
            f"{one.ratio:.2f}" if one.ratio is not None else "-",
            _target(one),
            one.verdict.upper() if one.verdict == "missed" else one.verdict,
            one.remark,
        )
        for one in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    lines.append("")
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[2:6], widths[2:6], strict=True)]
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        lines.append("  ".join([*words, *numbers, row[6].ljust(widths[6]), row[7]]).rstrip())
    not_measured = [*failures, *left_out]
    lines += ["", *(f"not measured: {what}" for what in not_measured)] if not_measured else []
    return "\n".join(lines) + "\n"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if not unit else f"{value:.1f} {unit}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return "-"
    unit = "x" if figure.target.of == "ratio" else figure.unit
    sign = "<=" if figure.target.sense == "at most" else ">="
    return f"{sign} {figure.target.limit:g} {unit}".rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
