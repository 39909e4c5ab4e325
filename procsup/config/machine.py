"""Warnings about this machine: what it will refuse a worker, as far as that can be told before it is started.

The daemon may be run elsewhere, or later, so nothing here is an error. Users and groups are looked up once for each
name, and only when a file names one. A number needs no entry in the tables of accounts.
"""

import os
from collections.abc import Iterable
from typing import Literal

from procsup.config.outline import Node
from procsup.config.place import shown
from procsup.core.spec import WorkerSpec

_Kind = Literal["user", "group"]


def warn_of_machine(nodes: Iterable[Node], *, privileged: bool) -> None:
    """Notes a warning for every `user`, `group` and `nice` that will keep a worker from being started."""
    named: dict[tuple[_Kind, str], list[Node]] = {}
    for node in nodes:
        if not isinstance(node.spec, WorkerSpec):
            continue
        program = node.spec.program
        if program.user is not None:
            named.setdefault(("user", program.user), []).append(node)
        if program.group is not None:
            named.setdefault(("group", program.group), []).append(node)
        if program.nice is not None and not privileged:
            _warn_of_nice(node, program.nice)
    for (kind, account), workers in named.items():
        number = _number(kind, account)
        for worker in workers:
            if number is None:
                _warn_of_nobody(worker, kind, account)
            elif not privileged and number != _own_number(kind):
                _warn_of_other(worker, kind, account)


def _warn_of_nice(node: Node, nice: int) -> None:
    if nice >= 0 or nice >= _lowest_nice():
        return
    node.place.at("nice").complain(
        "only root may make a worker more urgent: it will fail to start",
        found=str(nice),
        expected="0 to 19, or procsup run as root",
        warning=True,
    )


def _warn_of_nobody(node: Node, kind: _Kind, account: str) -> None:
    place = node.place.at(kind)
    place.complain(
        f"there is no such {kind} on this machine: the worker will fail to start",
        found=shown(account),
        hint=place.reading.did_you_mean(account, _names(kind)),
        warning=True,
    )


def _warn_of_other(node: Node, kind: _Kind, account: str) -> None:
    node.place.at(kind).complain(
        f"only root may give a worker another {kind}: it will fail to start",
        found=f"{shown(account)}, where {kind} {_own_number(kind)} runs procsup",
        expected="procsup run as root",
        warning=True,
    )


def _lowest_nice() -> int:
    """What may be had without being root; setrlimit(2), RLIMIT_NICE."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    return -20 if soft == resource.RLIM_INFINITY else 20 - soft


def _number(kind: _Kind, account: str) -> int | None:
    """None when there is no such account."""
    if account.isascii() and account.isdecimal():
        return int(account)
    try:
        if kind == "user":
            import pwd

            return pwd.getpwnam(account).pw_uid
        import grp

        return grp.getgrnam(account).gr_gid
    except KeyError:
        return None


def _own_number(kind: _Kind) -> int:
    return os.geteuid() if kind == "user" else os.getegid()


def _names(kind: _Kind) -> tuple[str, ...]:
    """Of all accounts."""
    if kind == "user":
        import pwd

        return tuple(user.pw_name for user in pwd.getpwall())
    import grp

    return tuple(group.gr_name for group in grp.getgrall())
