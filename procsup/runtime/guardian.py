"""The guardian: the daemon's parent, and the adoptive parent of every orphan below it.

It is what the shell, systemd or a container sees. It passes signals on to the daemon, reaps orphans, and ends with the
daemon's status; and when the daemon is gone, however it died, it kills every process that is left below it, and only
then ends itself (leftovers.py). For that it is a child subreaper (prctl(2)): whoever of the tree loses its parent
becomes its child, also one that has forked twice and left its session. As process 1 of a container it reaps strangers
in the same way. Children that it had before the daemon (`exec procsup run FILE 2> >(tee log)`) are not the tree's.
ABRT is how a service manager ends a daemon that hangs: even a stopped one gets it.

It holds the daemon's locks too, so that no new daemon starts before it is done. The daemon in turn sees the guardian's
end as the end of their link, and ends (daemon.py).

The daemon leads a session of its own: what a terminal sends to its foreground comes to the guardian alone, and from
there to the daemon once. Laws: the guardian imports next to nothing, waits in one place, and makes no system call
while nothing happens.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Sequence

from procsup.runtime import leftovers, procfs, wait
from procsup.runtime.failure import complain
from procsup.runtime.inheritance import close_all_but
from procsup.runtime.passing import receive_descriptors, send_descriptors

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGABRT)
_TAKEN = frozenset({*_PASSED_ON, signal.SIGCHLD, signal.SIGUSR2, signal.SIGALRM})
"""Those that are not passed on would end a process that does not take them."""

_KEPT_FOR_LATER = _TAKEN - {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGCHLD}
"""For the daemon to take when it can: one that comes while it starts is not to end it."""

_CANNOT_START = 69

_HOLD, _SPEAK_THROUGH = b"hold", b"speak"


class Link:
    """The daemon's end of the link. `guardian` is a pid; `is_subreaper` says whether orphans come to it. The descriptor
    becomes readable when the guardian has died.
    """

    def __init__(self, end: socket.socket, guardian: int, is_subreaper: bool) -> None:
        self._end = end
        self.guardian = guardian
        self.is_subreaper = is_subreaper

    def fileno(self) -> int:
        return self._end.fileno()

    def is_guarded(self) -> bool:
        """Whether the guardian is there and has not begun to end."""
        return os.getppid() == self.guardian and not procfs.is_ending(self.guardian)

    def share(self, fds: Sequence[int]) -> None:
        """The guardian holds these open too, to its end."""
        self._send(_HOLD, fds)

    def speak_through(self, fd: int) -> None:
        """The guardian's standard error is this from now on, and nothing is left to it of what the caller had open."""
        self._send(_SPEAK_THROUGH, [fd])

    def close(self) -> None:
        self._end.close()

    def _send(self, word: bytes, fds: Sequence[int]) -> None:
        with contextlib.suppress(OSError):  # it has died, and that will be seen
            send_descriptors(self._end, word, fds)


def guard(work: Callable[[Link], int]) -> int:
    """Run `work` in a child, the daemon; in the guardian its exit status, once nothing of it is left. In the daemon it
    returns what `work` does; signals that it need not have while it starts are blocked there.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    is_subreaper = _become_subreaper()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    guardian = os.getpid()
    strangers = procfs.children_of(guardian)
    try:
        daemon = os.fork()
    except OSError as error:
        complain(f"cannot start the daemon: {error.strerror}")
        return _CANNOT_START
    if daemon == 0:
        os.setsid()
        ours.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before | _KEPT_FOR_LATER)
        return work(Link(theirs, guardian, is_subreaper))
    theirs.close()
    return _Guardian(daemon, strangers, ours, is_subreaper).guard()


def speak_through(log: int) -> None:
    """This process reads and writes nothing any more but its standard error, which is `log`."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd, target in ((nowhere, 0), (nowhere, 1), (log, 2)):
        os.dup2(fd, target)
    os.close(nowhere)


class _Guardian:
    def __init__(self, daemon: int, strangers: Iterable[int], link: socket.socket, is_subreaper: bool) -> None:
        self._daemon = daemon
        self._strangers = set(strangers)
        self._mark = None if is_subreaper else leftovers.mark_of(daemon)
        self._link = link
        self._held: list[int] = []
        self._status: int | None = None
        """The daemon's wait status, once it has ended"""
        self._poll = select.poll()
        self._wakeup, self._wakeup_end = _wakeup_on(_TAKEN)
        self._poll.register(self._wakeup, select.POLLIN)
        self._poll.register(link, select.POLLIN)

    def guard(self) -> int:
        while self._status is None:
            for fd, _ in self._poll.poll():
                if fd == self._wakeup:
                    self._take_signals()
                else:
                    self._take_message()
        left = leftovers.kill_all_children(self._strangers)
        left += leftovers.kill_marked(self._mark) if self._mark else 0
        if left or os.WIFSIGNALED(self._status):
            ended = f"was killed by signal {os.WTERMSIG(self._status)}" if os.WIFSIGNALED(self._status) else "has ended"
            complain(f"the daemon (pid {self._daemon}) {ended}; processes left and killed: {left}")
        return wait.exit_status(self._status)

    def _take_signals(self) -> None:
        for number in dict.fromkeys(os.read(self._wakeup, 4096)):
            if number == signal.SIGCHLD:
                self._reap()
            elif number in _PASSED_ON and self._status is None:
                with contextlib.suppress(ProcessLookupError):  # a zombie, to be reaped by the next byte
                    os.kill(self._daemon, number)
                    if number == signal.SIGABRT:
                        os.kill(self._daemon, signal.SIGCONT)

    def _reap(self) -> None:
        while (ended := wait.reap_any()) is not None:
            pid, status = ended
            self._strangers.discard(pid)
            if pid == self._daemon:
                self._status = status

    def _take_message(self) -> None:
        try:
            word, fds = receive_descriptors(self._link, 16)
        except OSError:
            word, fds = b"", []
        self._held += fds
        if word == _SPEAK_THROUGH:
            speak_through(fds[0])
            close_all_but((self._wakeup, self._wakeup_end, self._link.fileno(), *self._held))
        if not word:  # it ends, or ended: SIGCHLD tells
            self._poll.unregister(self._link)


def _become_subreaper() -> bool:
    try:
        from procsup.runtime.syscalls import become_subreaper

        become_subreaper()
    except (ImportError, OSError, AttributeError):  # no ctypes, no such call
        return False
    return True


def _wakeup_on(numbers: frozenset[int]) -> tuple[int, int]:
    """A pipe on which each of these signals arrives as a byte; those that were blocked until now too."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, _leave_to_the_wakeup_fd)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    return read_end, write_end


def _leave_to_the_wakeup_fd(number: int, frame: object) -> None:
    """A handler must be there for the interpreter to write the byte."""
