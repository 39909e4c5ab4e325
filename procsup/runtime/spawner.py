"""The spawner: a lean process beside the daemon that starts what costs more than a vfork.

A user, limits, a niceness or a cgroup of one's own take a real fork and some work in the child, which would cost the
daemon the more the larger it is. The spawner stays small, has one thread, and forks *siblings* (CLONE_PARENT): what it
starts is the daemon's own child, so that the daemon waits for it, and nothing is lost when the spawner dies.

It reads orders from a socket, its standard input, and ends with it. The child tells its pid, and what went wrong, over
a pipe of its own, whose end says that the program was executed (dispatch.py). Imports as little as it can. The warm
server (warm.py) is another such process, whose children go on by themselves instead of executing anything.
"""

import contextlib
import errno
import marshal
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import Literal, NamedTuple, NoReturn

from procsup.runtime import seats
from procsup.runtime.passing import receive_descriptors
from procsup.runtime.syscalls import fork_sibling

PIECES = 9
"""Descriptors of an order at most: report, order, cgroup, and the worker's own: its standard three, its channel and
where it says that it is ready.
"""

_NOT_EXECUTED = 127

LimitValue = int | Literal["unchanged"] | None


class Order(NamedTuple):
    """What is to be executed, and how. Plain values, so that marshal can carry them.

    `env` and `executables` as for execve(2) in turn; `own_names` are the variables that the spec names itself, which a
    `user` does not change. `limits` holds (number of the resource, soft, hard), each as in core/spec.py. `target` is a
    function and its arguments, for the warm server. `numbers` are those that the worker's own descriptors are to have,
    from the fourth on.
    """

    command: tuple[bytes, ...]
    executables: tuple[bytes, ...]
    env: tuple[bytes, ...]
    own_names: tuple[bytes, ...]
    cwd: bytes
    umask: int | None
    user: str | None
    group: str | None
    nice: int | None
    limits: tuple[tuple[int, LimitValue, LimitValue], ...]
    target: tuple[str, str] | None = None
    numbers: tuple[int, ...] = ()


Work = Callable[[Order, dict[bytes, bytes], int], NoReturn]
"""What a child does once it is what it is to be: called with its order, its environment and the pipe to report on. It
raises Failure when that cannot be begun.
"""


class Failure(Exception):
    """At this stage, with this errno."""

    def __init__(self, stage: str, number: int) -> None:
        super().__init__(stage, number)
        self.stage = stage
        self.number = number


def main() -> None:
    take_orders(_exec)


def take_orders(work: Work, *, until_quiet: bool = False) -> None:
    """Until the daemon hangs up, or, `until_quiet`, until there was at least one and no other waits."""
    orders = socket.socket(fileno=0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    seats.occupy()
    while True:
        word, fds = receive_descriptors(orders, PIECES)
        if not word:
            return
        count, own = map(int, word.split())
        if len(fds) == count:
            _obey(fds, own, work)
        elif fds:  # we may have no more
            _tell(fds[0], _failed("spawner", errno.EMFILE))
        for fd in fds:
            os.close(fd)
        if until_quiet and not _is_waiting(orders):
            return


def _is_waiting(orders: socket.socket) -> bool:
    try:
        return bool(orders.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def _obey(fds: list[int], own: int, work: Work) -> None:
    """`own` of the descriptors are the worker's."""
    report, order, *rest = fds
    cgroup = rest[own] if len(rest) > own else -1
    try:
        pid, is_inside = _fork(cgroup)
    except OSError as error:
        _tell(report, _failed("fork", error.errno or 0))
        return
    if pid == 0:
        _become(report, order, rest[:own], -1 if is_inside else cgroup, work)
    _tell(report, b"pid %d\n" % pid)  # the child says so too: one of us may be killed before


def _tell(report: int, line: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(report, line)


def _failed(stage: str, number: int) -> bytes:
    return f"failed {stage} {number}\n".encode()


def _fork(cgroup: int) -> tuple[int, bool]:
    """The pid, and whether it is in its cgroup, where it has one. Not everybody lets it be born there."""
    with contextlib.suppress(OSError):
        if cgroup >= 0:
            return fork_sibling(cgroup), True
    return fork_sibling(), cgroup < 0


def _become(report: int, order_fd: int, own: list[int], cgroup: int, work: Work) -> NoReturn:
    """In the child. It enters the cgroup, unless that is -1. If nobody hears its pid, nothing is executed."""
    try:
        os.write(report, b"pid %d\n" % os.getpid())
        for number, fd in enumerate(own[:3]):  # first of all: 0 is the socket whose end tells of the spawner's death
            os.dup2(fd, number)
        if cgroup >= 0:
            _attempt("cgroup", _enter, cgroup)
            os.close(cgroup)
        order = _read(order_fd)
        report = _seat(order.numbers, own[3:], report)
        for fd in {order_fd, *own}.difference(order.numbers):
            os.close(fd)
        os.setsid()
        account = _account_of(order.user, order.group)
        env = _environment(order, account)
        _set_up(order, account)
        work(order, env, report)
    except Failure as failure:
        os.write(report, _failed(failure.stage, failure.number))
    except BaseException as bug:  # noqa: BLE001  # whatever it is, this must not become a second spawner
        os.write(report, _failed("spawner", getattr(bug, "errno", None) or errno.EINVAL))
    finally:
        os._exit(_NOT_EXECUTED)


def _seat(numbers: tuple[int, ...], fds: list[int], report: int) -> int:
    """Give the descriptors their numbers. The report may have one of these; the descriptor that it has after that."""
    for number in numbers:
        report = seats.away_from(number, report)
    _attempt("ready", seats.give, zip(numbers, fds, strict=True))
    return report


def _enter(cgroup: int) -> None:
    procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=cgroup)
    os.write(procs, b"0")


def _read(fd: int) -> Order:
    size = os.fstat(fd).st_size
    return Order(*marshal.loads(os.pread(fd, size, 0)))


def _set_up(order: Order, account: "_Account") -> None:
    """What needs privileges comes before they are given up, and the folder after, as its new user sees it. The limits
    come after all that needs memory and descriptors of ours.
    """
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by the interpreter
        signal.signal(number, signal.SIG_DFL)
    if order.nice is not None:
        _attempt("nice", os.setpriority, os.PRIO_PROCESS, 0, order.nice)
        _set_autogroup_nice(order.nice)
    for resource_number, soft, hard in order.limits:
        _attempt("limits", _limit, resource_number, soft, hard)
    _change_account(account)
    if order.umask is not None:
        os.umask(order.umask)
    _attempt("cwd", os.chdir, order.cwd)


def _attempt(stage: str, call: "Callable[..., object]", *arguments: object) -> None:
    try:
        call(*arguments)
    except OSError as error:
        raise Failure(stage, error.errno or 0) from None
    except (ValueError, OverflowError):  # as resource.prlimit says EINVAL
        raise Failure(stage, errno.EINVAL) from None


def _set_autogroup_nice(nice: int) -> None:
    """Where the scheduler groups by session (sched(7)), the niceness counts only within the worker's own session: to be
    nice to others, the group must be.
    """
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as autogroup:
        autogroup.write(str(nice))


def _limit(number: int, soft: LimitValue, hard: LimitValue) -> None:
    resource.prlimit(0, number, _bounds(soft, hard, *resource.getrlimit(number)))


def _bounds(soft: LimitValue, hard: LimitValue, old_soft: int, old_hard: int) -> tuple[int, int]:
    new_hard = _bound(hard, old_hard)
    new_soft = _bound(soft, old_soft)
    if soft == "unchanged" and new_hard != resource.RLIM_INFINITY:
        new_soft = new_hard if new_soft == resource.RLIM_INFINITY else min(new_soft, new_hard)
    return new_soft, new_hard


def _bound(value: LimitValue, old: int) -> int:
    if value == "unchanged":
        return old
    return resource.RLIM_INFINITY if value is None else value


# Users and groups


class _Account(NamedTuple):
    """Whom to become. None: as we are. `env` is what a user's environment says of him."""

    uid: int | None
    gid: int | None
    groups: list[int]
    env: dict[bytes, bytes]


def _account_of(user: str | None, group: str | None) -> _Account:
    """A number needs no entry in the database, but that of a user without a `group` does: to have one."""
    gid = None if group is None else _gid_of(group)
    if user is None:
        return _Account(None, gid, [] if gid is None else [gid], {})
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if _is_number(user) else pwd.getpwnam(user)
    except KeyError:
        if gid is None or not _is_number(user):
            raise Failure("user", errno.ENOENT) from None
        return _Account(int(user), gid, [gid], {})
    gid = entry.pw_gid if gid is None else gid
    words = (entry.pw_dir, entry.pw_name, entry.pw_name, entry.pw_shell)
    env = {name: os.fsencode(word) for name, word in zip(_OF_USER, words, strict=True) if word}
    return _Account(entry.pw_uid, gid, os.getgrouplist(entry.pw_name, gid), env)


_OF_USER = (b"HOME", b"USER", b"LOGNAME", b"SHELL")


def _gid_of(group: str) -> int:
    if _is_number(group):
        return int(group)
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise Failure("group", errno.ENOENT) from None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _change_account(account: _Account) -> None:
    is_our_user = account.uid is None or account.uid == os.getuid()
    is_our_group = account.gid is None or account.gid == os.getgid()
    if account.gid is None or (is_our_user and is_our_group and os.geteuid() != 0):
        return
    stage = "group" if is_our_user else "user"
    _attempt(stage, os.setgroups, account.groups)
    _attempt(stage, os.setresgid, account.gid, account.gid, account.gid)
    if account.uid is not None:
        _attempt("user", os.setresuid, account.uid, account.uid, account.uid)


def _environment(order: Order, account: _Account) -> dict[bytes, bytes]:
    env = dict(word.split(b"=", 1) for word in order.env)
    if order.user is None:
        return env
    for name in _OF_USER:
        if name not in order.own_names:
            env.pop(name, None)  # the daemon's own
    return account.env | env


def _exec(order: Order, env: dict[bytes, bytes], report: int) -> NoReturn:
    """As execvp(3): the first error that says more than that nothing is there."""
    failures = []
    for executable in order.executables:
        try:
            os.execve(executable, order.command, env)
        except OSError as error:
            failures.append(error.errno or 0)
    telling = [number for number in failures if number not in (errno.ENOENT, errno.ENOTDIR)]
    raise Failure("exec", (telling or failures[-1:])[0])
