"""The calls of the kernel that Python 3.11 does not offer, by way of the C library. Imports ctypes and nothing else."""

import ctypes
import os

_PR_SET_CHILD_SUBREAPER = 36
_CLONE_FILES = 0x400

_libc = ctypes.CDLL(None, use_errno=True)


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


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
