"""The tables of supervision: what becomes of a child that ended, who shares its fate, and what the daemon ends with.

Total functions over frozen values. As supervisor.erl do_restart/3 and restart/3.
"""

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from procsup.core.reason import AutoShutdownFired, GaveUp, Reason, Shutdown, is_abnormal
from procsup.core.spec import Restart, Strategy

if TYPE_CHECKING:
    from procsup.core.child import Child


class Verdict(Enum):
    RESTART = "restart"
    LEAVE = "leave"
    """It stays down; its spec stays."""
    REMOVE = "remove"
    """It stays down; its spec goes."""


def verdict(restart: Restart, reason: Reason) -> Verdict:
    """What becomes of a child that ended by itself."""
    match restart:
        case Restart.PERMANENT:
            return Verdict.RESTART
        case Restart.TRANSIENT:
            return Verdict.RESTART if is_abnormal(reason) else Verdict.LEAVE
        case Restart.TEMPORARY:
            return Verdict.REMOVE
        case _:
            assert_never(restart)


def exit_status(ending: Reason) -> int:
    """The daemon's exit status when the root ended for this reason (DESIGN § 6)."""
    if isinstance(ending, Shutdown | AutoShutdownFired):
        return 0
    return 70 if isinstance(ending, GaveUp) else 69


def affected(strategy: Strategy, children: dict[str, "Child"], offender: "Child") -> list["Child"]:
    """The children that are stopped and started when `offender` is restarted, in start order. O(group)."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [offender]
        case Strategy.ONE_FOR_ALL:
            return list(children.values())
        case Strategy.REST_FOR_ONE:
            return _from(offender, reversed(children.values()))
        case _:
            assert_never(strategy)


def _from(offender: "Child", backwards: Iterable["Child"]) -> list["Child"]:
    group: list[Child] = []
    for child in backwards:
        group.append(child)
        if child is offender:
            break
    group.reverse()
    return group
