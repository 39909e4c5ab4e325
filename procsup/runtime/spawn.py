"""Spawning: the only place where a worker comes to be.

The fork_exec primitive under the standard library's subprocess does it: vfork, setsid, dup2, chdir, execve, in C. It is
private to CPython, hence the one place; its parameters are the same in 3.11, 3.12 and 3.13.

vfork suspends us until the program was executed, or not: then the child's report, if there is one, lies in the pipe
already, and one look that does not block tells. (To wait for the end of the pipe would cost a switch of processes:
execve lets us go on before it closes the child's descriptors.) Where vfork does not suspend, as under some emulators,
every spawn has a pipe of its own, whose end is waited for.

Every descriptor of the daemon is close-on-exec, so nothing has to be closed in the child. Signals: the daemon blocks
none; those that the interpreter ignores (PIPE, XFSZ) are restored in the child, handled ones are reset by execve.
"""

import contextlib
import errno
import os
import resource
import sys
from _posixsubprocess import fork_exec
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from procsup.core.spec import Program
from procsup.runtime import seats
from procsup.runtime.spawner import Order
from procsup.runtime.wait import wait_for

if TYPE_CHECKING:
    from procsup.runtime.lean import LeanThread

_OURS = frozenset({
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
    "PROCSUP_NAME", "PROCSUP_STARTS", "PROCSUP_DAEMON", "PROCSUP_MAILBOX_FD", "PROCSUP_OUTBOX_FD",
})  # fmt: skip
"""What a service manager told us is not for the workers, nor what an outer procsup told us."""

_CHANNEL = [b"PROCSUP_MAILBOX_FD=%d" % seats.MAILBOX, b"PROCSUP_OUTBOX_FD=%d" % seats.OUTBOX]

_RLIMIT = "RLIMIT_"
_RESOURCES = {"locks": 10} | {
    name.removeprefix(_RLIMIT).lower(): number for name, number in vars(resource).items() if name.startswith(_RLIMIT)
}
"""The kernel's numbers of the limits; Python does not know that of locks, which is the same everywhere."""


_CROWDED = 512
"""Number of a descriptor from which on to spawn from the lean thread: it costs a switch of threads there and back."""


_ABOVE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder from which procsup is imported."""

_ROOM = 4096
"""Bytes more in the environment of the warm server: for what its children are to show there."""


class Stdio(NamedTuple):
    """The descriptors that become a worker's standard input, output and error, where -1 stands for /dev/null.

    `seated` are others, each after the number that it is to have, a number above seats.LAST at the end; `words` are
    what the worker's environment says of them ("NAME=value").
    """

    stdin: int
    stdout: int
    stderr: int
    seated: tuple[tuple[int, int], ...] = ()
    words: tuple[bytes, ...] = ()

    @property
    def fds(self) -> tuple[int, ...]:
        return (self.stdin, self.stdout, self.stderr, *(fd for _, fd in self.seated))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of those that are seated."""
        return tuple(number for number, _ in self.seated)

    def with_channel(self, mailbox: int, outbox: int) -> "Stdio":
        return self.with_seated((seats.MAILBOX, mailbox), (seats.OUTBOX, outbox)).with_words(*_CHANNEL)

    def with_seated(self, *seated: tuple[int, int]) -> "Stdio":
        return self._replace(seated=(*self.seated, *seated))

    def with_words(self, *words: bytes) -> "Stdio":
        return self._replace(words=(*self.words, *words))


class SpawnFailure(Exception):
    """No process came to be. `stage`: "pipe", "channel", "ready", "fork", "cwd" or "exec"; `errno` is its number."""

    def __init__(self, stage: str, number: int) -> None:
        super().__init__(stage, number)
        self.stage = stage
        self.errno = number


class Spawner:
    """Owns /dev/null and the environment that workers inherit. `mark` is in the environment of all of them."""

    def __init__(self, environ: Mapping[str, str], mark: bytes, wakeup: int = -1) -> None:
        """`wakeup` is where the interpreter writes signals to (loop.py)."""
        self._mark = mark
        self._wakeup = wakeup
        seats.occupy()
        self._lean: LeanThread | None = None
        self._has_tried_lean = False
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._inherited = {key: value for key, value in environ.items() if key not in _OURS}
        self._inherited_list = _as_list(self._inherited)
        self._report_read, self._report_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._has_real_vfork = False
        self._worker_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._daemon_limit = self._worker_limit
        self._has_real_vfork = self._vfork_suspends()

    def raise_limit(self) -> None:
        """Let the daemon have as many descriptors as it may; workers keep the limit that it was started with."""
        self._daemon_limit = (self._worker_limit[1], self._worker_limit[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, self._daemon_limit)

    def is_plain(self, program: Program, stdio: Stdio) -> bool:
        """Whether `spawn` can do all that it asks for; if not, the spawner process can."""
        needs_fork = program.user is not None or program.group is not None or program.nice is not None or program.limits
        return not needs_fork and program.target is None and all(number <= seats.LAST for number in stdio.numbers)

    def spawn(self, program: Program, path: str, starts: int, stdio: Stdio) -> int:
        """Execute `program` as leader of a session of its own; its pid.

        Raises:
            SpawnFailure: nothing runs.
        """
        env, executables = self._prepare(program, path, starts, stdio.words)
        if self._has_real_vfork:

            def fork(fds: Sequence[int]) -> int:
                seated = zip(stdio.numbers, fds[3:], strict=True)
                return self._fork(program, executables, env, fds, seated, self._report_read, self._report_write)

            pid = self._call(fork, self.descriptors(stdio))
            report = self._look()
        else:
            pid, report = self._spawn_and_wait(program, executables, env, stdio)
        if report:
            wait_for(pid)
            raise _failure(report)
        return pid

    def order(self, program: Program, path: str, starts: int, stdio: Stdio) -> Order:
        """The same, for the spawner process."""
        env, executables = self._prepare(program, path, starts, stdio.words)
        return Order(
            command=tuple(map(os.fsencode, program.command)),
            executables=executables,
            env=tuple(env),
            own_names=tuple(os.fsencode(name) for name, _ in program.env),
            cwd=os.fsencode(program.cwd),
            umask=program.umask,
            user=program.user,
            group=program.group,
            nice=program.nice,
            limits=tuple((_RESOURCES[name], soft, hard) for name, (soft, hard) in program.limits),
            numbers=stdio.numbers,
            target=None if program.target is None else (program.target.function, program.target.arguments),
        )

    def descriptors(self, stdio: Stdio) -> list[int]:
        """Real ones: the standard three, and those that are seated."""
        return [self._null if fd < 0 else fd for fd in stdio.fds]

    def start_spawner(self, stdin: int) -> int:
        """The spawner process; its pid.

        Raises:
            OSError
        """
        code = f"import sys; sys.path.insert(0, {_ABOVE!r}); from procsup.runtime.spawner import main; main()"
        return self._start(Program((sys.executable, "-S", "-E", "-P", "-c", code)), stdin)

    def start_warm_server(self, stdin: int, folder: str, modules: Sequence[str]) -> int:
        """The same, of the one that imports these modules, also from this folder, and forks targets."""
        code = f"import sys; sys.path.append({_ABOVE!r}); from procsup.runtime.warm import main; main()"
        room = (("PROCSUP_ROOM", "." * _ROOM),)
        return self._start(Program((sys.executable, "-P", "-c", code, folder, *modules), folder, room), stdin)

    def _start(self, program: Program, stdin: int) -> int:
        try:
            return self.spawn(program, "", 0, Stdio(stdin, -1, 2))
        except SpawnFailure as failure:
            raise OSError(failure.errno, os.strerror(failure.errno)) from None

    def _prepare(
        self, program: Program, path: str, starts: int, words: Sequence[bytes]
    ) -> tuple[list[bytes], tuple[bytes, ...]]:
        """The environment, and what execve is to be tried with."""
        env, search = self._environment(program)
        env = [*env, self._mark, b"PROCSUP_NAME=" + os.fsencode(path), b"PROCSUP_STARTS=%d" % starts, *words]
        return env, _candidates(program.command[0], search)

    def _call(self, fork: Callable[[Sequence[int]], int], fds: Sequence[int]) -> int:
        """Where it is cheapest."""
        lean = self._lean_thread() if max(fds) >= _CROWDED else None
        if lean is None:
            return fork(fds)
        try:
            return lean.call(fork, fds)
        except OSError as error:
            lean.close()
            self._lean = None  # never again
            raise SpawnFailure("fork", error.errno or 0) from None

    def _lean_thread(self) -> "LeanThread | None":
        """None where there is none to be had."""
        if not self._has_tried_lean:
            self._has_tried_lean = True
            from procsup.runtime.lean import LeanThread

            with contextlib.suppress(OSError, RuntimeError):
                self._lean = LeanThread((self._null, self._report_read, self._report_write, self._wakeup))
        return self._lean

    def _look(self) -> bytes:
        try:
            return os.read(self._report_read, 1024)
        except BlockingIOError:
            return b""

    def _spawn_and_wait(
        self, program: Program, executables: tuple[bytes, ...], env: list[bytes], stdio: Stdio
    ) -> tuple[int, bytes]:
        try:
            report_read, report_write = os.pipe2(os.O_CLOEXEC)
        except OSError as error:
            raise SpawnFailure("pipe", error.errno or 0) from None
        try:
            fds = self.descriptors(stdio)
            pid = self._fork(program, executables, env, fds, stdio.seated, report_read, report_write)
            os.close(report_write)
            report_write = -1
            with open(report_read, "rb", closefd=False) as pipe:
                return pid, pipe.read()
        finally:
            os.close(report_read)
            if report_write >= 0:
                os.close(report_write)

    def _vfork_suspends(self) -> bool:
        """Whether a child that tries a thousand programs in vain has reported before we go on."""
        nowhere = (os.fsencode(os.devnull) + b"/",) * 1000
        probe = Program(("procsup-probe",))
        try:
            pid = self._fork(probe, nowhere, [], [self._null] * 3, (), self._report_read, self._report_write)
        except SpawnFailure:
            return False  # who knows; the other way is always right
        report = self._look()
        wait_for(pid)
        return bool(report)

    def _fork(
        self,
        program: Program,
        executables: tuple[bytes, ...],
        env: list[bytes],
        fds: Sequence[int],
        seated: Iterable[tuple[int, int]],
        report_read: int,
        report_write: int,
    ) -> int:
        stdin, stdout, stderr = fds[:3]
        raised = self._worker_limit != self._daemon_limit
        stage = "channel"
        try:
            with seats.seated(seated) if len(fds) > 3 else contextlib.nullcontext():
                stage = "fork"
                if raised:  # the child copies the limit at fork; descriptors above it that are open stay so
                    resource.setrlimit(resource.RLIMIT_NOFILE, self._worker_limit)
                return fork_exec(
                    program.command, executables, False, (), program.cwd, env,
                    stdin, -1, -1, stdout, -1, stderr, report_read, report_write,
                    True, True, -1, None, None, None, -1 if program.umask is None else program.umask,
                    None,  # type: ignore[arg-type]  # no preexec_fn: typeshed does not know that None is the way to say so
                    True,
                )  # fmt: skip
        except OSError as error:
            raise SpawnFailure(stage, error.errno or 0) from None
        finally:
            if raised:
                resource.setrlimit(resource.RLIMIT_NOFILE, self._daemon_limit)

    def _environment(self, program: Program) -> tuple[list[bytes], str]:
        """The environment, and the PATH in it."""
        if program.inherit_env and not program.env:
            return self._inherited_list, self._inherited.get("PATH", os.defpath)
        env = {**(self._inherited if program.inherit_env else {}), **dict(program.env)}
        return _as_list(env), env.get("PATH", os.defpath)


def errno_name(number: int) -> str:
    """ "ENOENT", or the number where it has no name."""
    return errno.errorcode.get(number, str(number))


def _as_list(env: Mapping[str, str]) -> list[bytes]:
    return [os.fsencode(key) + b"=" + os.fsencode(value) for key, value in env.items()]


def _candidates(name: str, search: str) -> tuple[bytes, ...]:
    """As execvp(3): a name without a slash is tried in each folder of PATH."""
    if "/" in name:
        return (os.fsencode(name),)
    return tuple(os.fsencode(os.path.join(folder or ".", name)) for folder in search.split(":"))


def _failure(report: bytes) -> SpawnFailure:
    """The child's report is "OSError:HEX ERRNO:WHAT", and WHAT begins with "noexec" before execve was tried, where
    only chdir can fail.
    """
    _, number, what = report.split(b":", 2)
    return SpawnFailure("cwd" if what.startswith(b"noexec") else "exec", int(number, 16))
