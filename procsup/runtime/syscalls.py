"""The calls of the kernel that Python 3.11 does not offer, by way of the C library. Imports ctypes and nothing else."""

import ctypes
import errno
import os
import signal

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_TID_ADDRESS = 40
_CLONE_FILES = 0x400
_CLONE_PARENT = 0x8000
_CLONE_CHILD_CLEARTID = 0x20_0000
_CLONE_CHILD_SETTID = 0x100_0000
_CLONE_INTO_CGROUP = 0x2_0000_0000
_CLONE3 = 435
"""The same number on every machine that Linux added since 2011, and on x86, arm64, powerpc, s390, riscv."""

_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220, "ppc64le": 120}
"""By os.uname().machine; where flags are the first argument."""

_libc = ctypes.CDLL(None, use_errno=True)
_holding_the_gil = ctypes.PyDLL(None, use_errno=True)


def become_subreaper() -> None:
    """From now on orphans below this process become its children, not those of process 1. prctl(2).

    Raises:
        OSError: the kernel does not know it.
    """
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def unshare_descriptors() -> None:
    """This thread gets a copy of the table of descriptors for itself. unshare(2).

    Raises:
        OSError: no memory, or it is not allowed here.
    """
    _check(_libc.unshare(_CLONE_FILES))


def become_dumpable() -> None:
    """Who changes its user without executing anything loses its own /proc/self, and core dumps. prctl(2)."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


class _CloneArguments(ctypes.Structure):
    """struct clone_args of clone(2)."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
            "set_tid_size", "cgroup",
        )
    )  # fmt: skip


def fork_sibling(cgroup: int = -1) -> int:
    """As fork, but the child is our parent's; born into this cgroup, a descriptor of its folder. clone(2).

    Only for a process of one thread: Python is told of it as of any fork, the C library is not. The number of the
    thread, which the library remembers, is set all the same.

    Raises:
        OSError: also where the kernel, or a filter of a container, does not know the call (ENOSYS).
    """
    arguments = _CloneArguments(flags=_CLONE_PARENT)
    address = ctypes.c_void_p()
    if _libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) == 0 and address.value:
        arguments.flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
        arguments.child_tid = address.value
    if cgroup >= 0:
        arguments.flags |= _CLONE_INTO_CGROUP
        arguments.cgroup = cgroup
    ctypes.pythonapi.PyOS_BeforeFork()
    # With the GIL held: the child must not wait for one that nobody will release.
    pid: int = _holding_the_gil.syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    number = _CLONE.get(os.uname().machine)
    if pid < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM) and cgroup < 0 and number is not None:
        pid = _holding_the_gil.syscall(number, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    number = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
