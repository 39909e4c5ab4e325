"""The spawner: a lean process beside the daemon that starts what costs more than a vfork.

A user, limits, a niceness or a cgroup of one's own take a real fork and some work in the child, which would cost the
daemon the more the larger it is. The spawner stays small, has one thread, and forks *siblings* (CLONE_PARENT): what it
starts is the daemon's own child, so that the daemon waits for it, and nothing is lost when the spawner dies.

It reads orders from a socket, its standard input, and ends with it. The child tells its pid, and what went wrong, over
a pipe of its own, whose end says that the program was executed (dispatch.py). Imports as little as it can.
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

from procsup.runtime.passing import receive_descriptors
from procsup.runtime.syscalls import fork_sibling

PIECES = 6
"""Descriptors of an order at most: report, order, stdin, stdout, stderr and cgroup."""

_NOT_EXECUTED = 127

LimitValue = int | Literal["unchanged"] | None


class Order(NamedTuple):
    """What is to be executed, and how. Plain values, so that marshal can carry them.

    `env` and `executables` as for execve(2) in turn; `own_names` are the variables that the spec names itself, which a
    `user` does not change. `limits` holds (number of the resource, soft, hard), each as in core/spec.py.
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


class _Failure(Exception):
    """At this stage, with this errno."""

    def __init__(self, stage: str, number: int) -> None:
        super().__init__(stage, number)
        self.stage = stage
        self.number = number


def main() -> None:
    """Take orders until the daemon hangs up."""
    orders = socket.socket(fileno=0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while True:
        word, fds = receive_descriptors(orders, PIECES)
        if not word:
            return
        _obey(fds)
        for fd in fds:
            os.close(fd)


def _obey(fds: list[int]) -> None:
    report, order, *rest = fds
    cgroup = rest[3] if len(rest) > 3 else -1
    try:
        pid, is_inside = _fork(cgroup)
    except OSError as error:
        os.write(report, _told("fork", error.errno or 0))
        return
    if pid == 0:
        _execute(report, order, rest[:3], -1 if is_inside else cgroup)
    os.write(report, b"pid %d\n" % pid)  # the child says so too: one of us may be killed before


def _fork(cgroup: int) -> tuple[int, bool]:
    """The pid, and whether it is in its cgroup, where it has one. Not everybody lets it be born there."""
    with contextlib.suppress(OSError):
        if cgroup >= 0:
            return fork_sibling(cgroup), True
    return fork_sibling(), cgroup < 0


def _execute(report: int, order_fd: int, stdio: list[int], cgroup: int) -> NoReturn:
    """In the child. It enters the cgroup, unless that is -1."""
    try:
        os.write(report, b"pid %d\n" % os.getpid())
        if cgroup >= 0:
            _attempt("cgroup", _enter, cgroup)
        order = _read(order_fd)
        _set_up(order, stdio)
        _exec(order)
    except _Failure as failure:
        os.write(report, _told(failure.stage, failure.number))
    except BaseException as bug:  # noqa: BLE001  # whatever it is, this must not become a second spawner
        os.write(report, _told("spawner", getattr(bug, "errno", None) or errno.EINVAL))
    finally:
        os._exit(_NOT_EXECUTED)


def _enter(cgroup: int) -> None:
    procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=cgroup)
    os.write(procs, b"0")


def _told(stage: str, number: int) -> bytes:
    return f"failed {stage} {number}\n".encode()


def _read(fd: int) -> Order:
    size = os.fstat(fd).st_size
    return Order(*marshal.loads(os.pread(fd, size, 0)))


def _set_up(order: Order, stdio: list[int]) -> None:
    """What needs privileges comes before they are given up; the folder after, as its new user sees it."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by the interpreter
        signal.signal(number, signal.SIG_DFL)
    for target, fd in enumerate(stdio):
        os.dup2(fd, target)
    for resource_number, soft, hard in order.limits:
        _attempt("limits", resource.setrlimit, resource_number, _bounds(resource_number, soft, hard))
    if order.nice is not None:
        _attempt("nice", os.setpriority, os.PRIO_PROCESS, 0, order.nice)
        _set_autogroup_nice(order.nice)
    _become(order.user, order.group)
    if order.umask is not None:
        os.umask(order.umask)
    _attempt("cwd", os.chdir, order.cwd)


def _attempt(stage: str, call: "Callable[..., object]", *arguments: object) -> None:
    try:
        call(*arguments)
    except OSError as error:
        raise _Failure(stage, error.errno or 0) from None
    except (ValueError, OverflowError):  # as resource.setrlimit says EINVAL and EPERM
        raise _Failure(stage, errno.EPERM) from None


def _bounds(number: int, soft: LimitValue, hard: LimitValue) -> tuple[int, int]:
    old_soft, old_hard = resource.getrlimit(number)
    new_hard = _bound(hard, old_hard)
    new_soft = _bound(soft, old_soft)
    if soft == "unchanged" and new_hard != resource.RLIM_INFINITY:
        new_soft = new_hard if new_soft == resource.RLIM_INFINITY else min(new_soft, new_hard)
    return new_soft, new_hard


def _bound(value: LimitValue, old: int) -> int:
    if value == "unchanged":
        return old
    return resource.RLIM_INFINITY if value is None else value


def _set_autogroup_nice(nice: int) -> None:
    """Where the scheduler groups by session (sched(7)), the niceness counts only within the worker's own session: to be
    nice to others, the group must be.
    """
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as autogroup:
        autogroup.write(str(nice))


def _become(user: str | None, group: str | None) -> None:
    if user is None and group is None:
        return
    gid = None if group is None else _gid_of(group)
    if user is None:
        assert gid is not None
        _attempt("group", os.setgroups, [gid])
        _attempt("group", os.setresgid, gid, gid, gid)
        return
    name, uid, own_gid = _user_of(user, gid)
    gid = own_gid if gid is None else gid
    groups = [gid] if name is None else os.getgrouplist(name, gid)
    if os.getuid() != uid or os.getgid() != gid or os.geteuid() == 0:
        _attempt("group", os.setgroups, groups)
        _attempt("group", os.setresgid, gid, gid, gid)
        _attempt("user", os.setresuid, uid, uid, uid)


def _gid_of(group: str) -> int:
    if group.isdigit():
        return int(group)
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise _Failure("group", errno.ENOENT) from None


def _user_of(user: str, gid: int | None) -> tuple[str | None, int, int]:
    """Its name, uid and own gid. A bare number needs no entry in the user database if a group is given."""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if gid is None or not user.isdigit():
            raise _Failure("user", errno.ENOENT) from None
        return None, int(user), gid
    return entry.pw_name, entry.pw_uid, entry.pw_gid


def _exec(order: Order) -> NoReturn:
    """As execvp(3): the last error that says more than that nothing is there."""
    env = _environment(order)
    number = errno.ENOENT
    for executable in order.executables:
        try:
            os.execve(executable, order.command, env)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or number == errno.ENOENT:
                number = error.errno or 0
    raise _Failure("exec", number)


def _environment(order: Order) -> dict[bytes, bytes]:
    env = dict(word.split(b"=", 1) for word in order.env)
    if order.user is not None:
        import pwd

        with contextlib.suppress(KeyError):
            entry = pwd.getpwuid(os.getuid())
            of_user = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name, "SHELL": entry.pw_shell}
            env |= {
                os.fsencode(name): os.fsencode(value)
                for name, value in of_user.items()
                if os.fsencode(name) not in order.own_names and value
            }
    return env
