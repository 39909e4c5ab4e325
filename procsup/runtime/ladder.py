"""Which rung of the ladder of guarantees (remains.py) this machine lets us stand on."""

import contextlib

from procsup.runtime.cgroup import Cgroups, delegated_cgroup
from procsup.runtime.guardian import Link
from procsup.runtime.remains import NothingBeyond, Orphans, Remains


def strongest_remains(link: Link, mark: bytes) -> Remains:
    """The highest rung that holds on this machine."""
    cgroup = delegated_cgroup(link.guardian == 1)
    with contextlib.suppress(OSError):
        if cgroup is not None:
            return Cgroups(cgroup)
    with contextlib.suppress(OSError):
        if link.is_subreaper:
            return Orphans(link.guardian, mark)
    return NothingBeyond()
