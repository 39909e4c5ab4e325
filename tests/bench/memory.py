"""Resident memory of the daemon: with one worker (an empty tree is refused), and what each further one adds."""

from collections.abc import Iterator

from tests.bench import census
from tests.bench.figure import Figure, Target, median
from tests.bench.lab import Lab

TARGET = Target(20, "value")
TARGET_EACH = Target(6, "value")


def measure(lab: Lab) -> Iterator[Figure]:
    count, rounds = lab.options.workers, lab.options.rounds
    lab.say(f"memory: {rounds} times with 1 and with {count}")
    few = [resident(lab, 1) for _ in range(rounds)]
    many = [resident(lab, count) for _ in range(rounds)]
    base, full = median([one[0] for one in few]), median([one[0] for one in many])
    yield Figure("resident, with one worker", "MB", base / 2**20, target=TARGET, remark="the daemon")
    yield Figure("resident, each further worker", "KB", (full - base) / (count - 1) / 1024, target=TARGET_EACH)
    yield Figure(f"resident, with {count:,}", "MB", full / 2**20, remark="the daemon")
    others = max(len(one) for one in many) - 1
    if others:
        total = median([sum(one) for one in many])
        yield Figure("the same, all processes of procsup", "MB", total / 2**20, remark=f"{others} beside the daemon")


def resident(lab: Lab, count: int) -> list[int]:
    """Bytes of each process of procsup, the daemon first, once it is idle."""
    with lab.procsup(lab.quiet_program, count) as procsup:
        procsup.wait_until_up()
        processes = procsup.own_processes()
        census.wait_until_quiet(processes, 0.3, 10)
        return [census.resident(pid) for pid in processes]
