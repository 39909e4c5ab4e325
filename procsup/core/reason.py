"""Exit reasons: why a child is down, as values, as text, and whether that is abnormal.

The vocabulary of DESIGN § 3.2. Every reason has one text form, which the journal, the socket and the terminal share:

    normal                      a declared normal exit
    shutdown                    it was asked to stop by us
    exit N                      the program's exit code
    signal SIGSEGV [core]       killed by a signal that we did not send; "core" when it dumped one
    start_failed STAGE ERRNO    the program could not be executed
    linked NAME REASON          a signal with this reason came over its link with NAME; judged as REASON
    not_ready REASON            it was executed and ended before it was ready, as REASON says: an exit, even one that is
                                declared normal, a signal, or linked NAME REASON
    timeout                     it was not ready in time, or not even executed, and was stopped for that
    killed                      our KILL after the shutdown time, or brutal_kill
    gave_up                     a supervisor that reached its restart intensity; counts as shutdown
    auto_shutdown               a supervisor that ended with its significant children; counts as shutdown
    failed_to_start_child NAME[/NAME...] REASON     a supervisor whose child could not start; below it, if that is a
                                supervisor, the one that failed it, and so on
    start_spec COMPLAINT        a supervisor whose children contradict each other

Links and monitors also know `noproc`: there is no such process.

Deviation from OTP: `gave_up` and `auto_shutdown` are told apart from `shutdown`; policy.py judges the three alike.
"""

from dataclasses import dataclass

from procsup.core.spec import SpecError


@dataclass(frozen=True, slots=True)
class Normal:
    def __str__(self) -> str:
        return "normal"


@dataclass(frozen=True, slots=True)
class Shutdown:
    def __str__(self) -> str:
        return "shutdown"


@dataclass(frozen=True, slots=True)
class ExitCode:
    code: int

    def __str__(self) -> str:
        return f"exit {self.code}"


@dataclass(frozen=True, slots=True)
class KilledBySignal:
    """`signal` is the kernel's name for it, "SIGKILL"; a real-time signal without one is "SIG40"."""

    signal: str
    core: bool = False

    def __str__(self) -> str:
        return f"signal {self.signal} core" if self.core else f"signal {self.signal}"


@dataclass(frozen=True, slots=True)
class StartFailed:
    """`stage` is what the spawn was doing ("exec", "cwd", "fork", "pipe"), `errno` the name of its error ("ENOENT")."""

    stage: str
    errno: str

    def __str__(self) -> str:
        return f"start_failed {self.stage} {self.errno}"


@dataclass(frozen=True, slots=True)
class NotReady:
    reason: "WorkerExit | Linked"

    def __str__(self) -> str:
        return f"not_ready {self.reason}"


@dataclass(frozen=True, slots=True)
class Timeout:
    def __str__(self) -> str:
        return "timeout"


@dataclass(frozen=True, slots=True)
class Killed:
    def __str__(self) -> str:
        return "killed"


@dataclass(frozen=True, slots=True)
class Linked:
    """`reason` is that of the first death; it crosses link after link unchanged, and is never Normal or Linked."""

    name: str
    reason: "Reason"

    def __str__(self) -> str:
        return f"linked {self.name} {self.reason}"


@dataclass(frozen=True, slots=True)
class Noproc:
    def __str__(self) -> str:
        return "noproc"


@dataclass(frozen=True, slots=True)
class GaveUp:
    def __str__(self) -> str:
        return "gave_up"


@dataclass(frozen=True, slots=True)
class AutoShutdownFired:
    def __str__(self) -> str:
        return "auto_shutdown"


@dataclass(frozen=True, slots=True)
class FailedToStartChild:
    name: str
    reason: "StartFailure"

    def __str__(self) -> str:
        names = [self.name]
        reason = self.reason
        while isinstance(reason, FailedToStartChild):
            names.append(reason.name)
            reason = reason.reason
        return f"failed_to_start_child {'/'.join(names)} {reason}"


@dataclass(frozen=True, slots=True)
class BadStartSpec:
    complaint: SpecError

    def __str__(self) -> str:
        return f"start_spec {self.complaint}"


WorkerExit = ExitCode | KilledBySignal
"""How the kernel says that a process ended."""

StartFailure = StartFailed | NotReady | Timeout | FailedToStartChild | BadStartSpec
"""Why a start attempt failed: of a worker one of the first three, of a supervisor one of the others."""

Reason = Normal | Shutdown | WorkerExit | StartFailure | Killed | Linked | GaveUp | AutoShutdownFired

NORMAL = Normal()
SHUTDOWN = Shutdown()
TIMEOUT = Timeout()
KILLED = Killed()
NOPROC = Noproc()
GAVE_UP = GaveUp()
AUTO_SHUTDOWN = AutoShutdownFired()


def judge_exit(ended: WorkerExit, normal_exits: frozenset[int | str]) -> Reason:
    """The exit reason of a worker that ended by itself: `normal` when its spec declares this end so."""
    declared = ended.code if isinstance(ended, ExitCode) else ended.signal
    return NORMAL if declared in normal_exits else ended


def is_abnormal(reason: Reason) -> bool:
    """Whether a transient child that ends so is restarted. As supervisor.erl do_restart/3."""
    if isinstance(reason, Linked):
        reason = reason.reason
    return not isinstance(reason, Normal | Shutdown | GaveUp | AutoShutdownFired)
