"""Child specs: what a supervision tree is to be, as frozen values.

Owns the words of a child spec, their defaults (here and only here) and the two checks that OTP makes of the
children of one supervisor (supervisor.erl, check_startspec/2 and check_childspec/2). What a worker *runs* is a
`Program`, which the core carries and never looks into.

Deviation from OTP: intensity defaults to 3 in 5 s, as in Elixir; OTP's own default is 1 in 5 s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from procsup.core.readiness import AT_EXEC, OnChannel, Ready


class Strategy(StrEnum):
    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class Restart(StrEnum):
    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class AutoShutdown(StrEnum):
    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


Shutdown = float | Literal["brutal_kill", "infinity"]
"""Seconds between the stop signal and KILL (0 and more), or KILL at once, or never."""

StartTimeout = float | Literal["infinity"]
"""Seconds (above 0) from the spawn until the worker must be ready."""

NORMAL_EXITS: frozenset[int | str] = frozenset({0})


LimitValue = int | Literal["unchanged"] | None
"""In the unit that setrlimit(2) has for the resource; None is unlimited, "unchanged" is what the daemon has."""

Limit = tuple[LimitValue, LimitValue]
"""Soft and hard, not both "unchanged". An unchanged soft limit gives way to a lower hard one."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How captured output is kept: a file is renamed when it would grow over `max_bytes`, and so many old ones stay.
    `timestamps`: each line begins with the time, UTC.
    """

    max_bytes: int = 10_000_000
    backups: int = 5
    timestamps: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A Python function, "package.module:name", that is called in a fork of the warm server instead of a program being
    executed. `arguments` is JSON text: a list of them, or an object of keywords.
    """

    function: str
    arguments: str = "[]"


@dataclass(frozen=True, slots=True)
class Program:
    """What a worker runs and where. Opaque to the core.

    `command` is the argument vector, not empty; a program name without a slash is searched in the worker's PATH. Of a
    `target` it is what is shown: its function.
    `cwd` is absolute. `env` is laid over the daemon's environment, or, without `inherit_env`, over nothing.
    `umask` is a number between 0 and 0o777; None leaves the daemon's. `user` and `group` are names or numbers; None
    leaves the daemon's. `nice` is absolute, -20 to 19. `limits` are named as in DESIGN ("nofile").
    `stdin` is "null", "inherit" or an absolute path; `stdout` and `stderr` are "log", "inherit", "null", "journal" or
    an absolute path: "log" and paths are captured, and kept as `log` says. Two that go to the same place are joined.
    """

    command: tuple[str, ...]
    cwd: str = "/"
    env: tuple[tuple[str, str], ...] = ()
    inherit_env: bool = True
    umask: int | None = None
    user: str | None = None
    group: str | None = None
    nice: int | None = None
    limits: tuple[tuple[str, Limit], ...] = ()
    stdin: str = "null"
    stdout: str = "log"
    stderr: str = "log"
    log: LogSettings = LogSettings()
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Bonds:
    """What a worker has to do with others: the names of those it is linked with and of those it monitors, whether it is
    told of exit signals instead of being ended by them, and whether it asks for a channel.
    """

    links: tuple[str, ...] = ()
    monitors: tuple[str, ...] = ()
    trap_exits: bool = False
    channel: bool = False


UNBOUND = Bonds()


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker: a leaf of the tree, one operating-system process and its group.

    `normal_exits` holds exit codes (0 to 255) and signal names ("SIGTERM") that count as `normal`.
    """

    name: str
    program: Program
    restart: Restart = Restart.PERMANENT
    significant: bool = False
    shutdown: Shutdown = 5.0
    stop_signal: str = "SIGTERM"
    normal_exits: frozenset[int | str] = NORMAL_EXITS
    ready: Ready = AT_EXEC
    start_timeout: StartTimeout = 60.0
    bonds: Bonds = UNBOUND

    @property
    def has_channel(self) -> bool:
        """Whether it can be spoken to: who is to be told something needs no `channel` of its own."""
        bonds = self.bonds
        is_asked_for = bonds.channel or self.program.target is not None
        return is_asked_for or bonds.trap_exits or bool(bonds.monitors) or isinstance(self.ready, OnChannel)


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """A supervisor and, in start order, its children. `period` is in seconds, above 0.

    `restart`, `significant` and `shutdown` matter only for the child of another supervisor.
    """

    name: str
    children: tuple["ChildSpec", ...] = field(default=())
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    restart: Restart = Restart.PERMANENT
    significant: bool = False
    shutdown: Shutdown = "infinity"


ChildSpec = WorkerSpec | SupervisorSpec


def type_of(spec: ChildSpec) -> str:
    """OTP's word."""
    return "supervisor" if isinstance(spec, SupervisorSpec) else "worker"


@dataclass(frozen=True, slots=True)
class DuplicateChildName:
    """Two children of one supervisor have this name."""

    name: str

    def __str__(self) -> str:
        return f"duplicate_child_name {self.name}"


@dataclass(frozen=True, slots=True)
class BadCombination:
    """A significant child that is permanent, or whose supervisor never shuts itself down."""

    name: str

    def __str__(self) -> str:
        return f"bad_combination {self.name}"


SpecError = DuplicateChildName | BadCombination


def check_children(children: Iterable[ChildSpec], auto_shutdown: AutoShutdown) -> SpecError | None:
    """The first complaint that OTP has of the children of one supervisor, in their order. O(children)."""
    names: set[str] = set()
    for child in children:
        if is_bad_combination(child, auto_shutdown):
            return BadCombination(child.name)
        if child.name in names:
            return DuplicateChildName(child.name)
        names.add(child.name)
    return None


def is_bad_combination(child: ChildSpec, auto_shutdown: AutoShutdown) -> bool:
    return child.significant and (child.restart is Restart.PERMANENT or auto_shutdown is AutoShutdown.NEVER)
