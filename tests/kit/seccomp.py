"""A kernel, or a container, that refuses a system call: seccomp(2)."""

import ctypes
import os
import struct
from collections.abc import Callable

import pytest

CLONE3 = 435
UNSHARE = {"x86_64": 272, "aarch64": 97, "riscv64": 97}.get(os.uname().machine)

needs_unshare = pytest.mark.skipif(UNSHARE is None, reason="unshare has an unknown number on this machine")

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_FILTER_MODE = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refusing(call: int, errno: int) -> Callable[[], None]:
    """For Popen's preexec_fn: this call fails with this errno, also in all children."""
    instructions = (
        (_LOAD, 0, 0, 0),  # the number of the call
        (_JUMP_IF_EQUAL, 0, 1, call),
        (_RETURN, 0, 0, _ERRNO | errno),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    libc = ctypes.CDLL(None, use_errno=True)

    def refuse() -> None:
        program = _Program(len(instructions), code)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
            _PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0
        ):
            raise OSError(ctypes.get_errno(), "cannot install a filter of system calls")

    return refuse
