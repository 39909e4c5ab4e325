"""procsup as somebody else, and on a machine with other users. What only root can arrange."""

import itertools
import os
from pathlib import Path

import pytest

from tests.kit.daemon import PROCSUP

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

_STRANGERS = itertools.count()
"""Another one each time: a zombie of the test before would count."""

_POWER = "+dac_override,+dac_read_search"
"""It may read what root may, since the interpreter may be root's."""


def as_stranger(processes: int) -> tuple[str, ...]:
    """procsup as a user with nothing else running, who may have so many processes."""
    uid = 50_000 + os.getpid() % 1_000 * 10 + next(_STRANGERS) % 10
    return (*_become(uid), "prlimit", f"--nproc={processes}", *PROCSUP)


USERS = """\
ann:x:61001:61001::/home/ann:/bin/ann-sh
also_ann:x:61001:61002::/home/also:/bin/also-sh
plain:x:61003:61003:::
eve:x:61004:61004::/home/eve:/bin/sh
"""

GROUPS = """\
ann:x:61001:
also:x:61002:
plain:x:61003:
eve:x:61004:
cooks:x:61010:eve,ann
guards:x:61011:ann,plain
"""

EVE = 61004


def among_users(folder: Path, *command: str) -> tuple[str, ...]:
    """procsup, or another program, on a machine that has these users and groups besides its own. Their files are
    `folder`/passwd and `folder`/group.
    """
    for name, more in (("passwd", USERS), ("group", GROUPS)):
        (folder / name).write_text(Path("/etc", name).read_text() + more)
    mount = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mount, "sh", str(folder), *(command or PROCSUP))


def as_eve(folder: Path) -> tuple[str, ...]:
    """procsup as one of those users, who is not root."""
    return among_users(folder, *_become(EVE, "--init-groups"), *PROCSUP)


def _become(uid: int, groups: str = "--clear-groups") -> tuple[str, ...]:
    who = ("--reuid", str(uid), "--regid", str(uid), groups)
    return ("setpriv", *who, "--inh-caps", _POWER, "--ambient-caps", _POWER)
