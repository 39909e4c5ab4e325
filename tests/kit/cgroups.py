"""Cgroups of the tests' own, for procsup to run in. cgroups(7), version 2."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.daemon import PROCSUP
from tests.kit.wait import wait_until


class Cgroup:
    """A folder of cgroupfs, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def program(self, *command: str) -> tuple[str, ...]:
        """procsup, or another program, in it."""
        enter = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
        return ("sh", "-c", enter, "sh", str(self.folder), *(command or PROCSUP))

    def below(self) -> list[str]:
        """The cgroups in it, and in those."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_dir())

    @property
    def is_populated(self) -> bool:
        return "populated 1" in (self.folder / "cgroup.events").read_text()

    def remove(self) -> None:
        """With all that is in it."""
        (self.folder / "cgroup.kill").write_text("1")
        wait_until(lambda: not self.is_populated, "nobody is in it")
        for name in reversed(self.below()):
            (self.folder / name).rmdir()
        self.folder.rmdir()


@contextlib.contextmanager
def new_cgroup(is_delegated: bool = True) -> Iterator[Cgroup]:
    """Below our own; marked as systemd does it, if it `is_delegated`. Skips the test where there can be none."""
    mount = mount_point()
    if mount is None:
        pytest.skip("cgroups of version 2 are not mounted")
    folder = mount / f"procsup-test-{uuid.uuid4().hex}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    cgroup = Cgroup(folder)
    try:
        if is_delegated:
            delegate(cgroup)
        yield cgroup
    finally:
        cgroup.remove()


def delegate(cgroup: Cgroup) -> None:
    try:
        os.setxattr(cgroup.folder, "trusted.delegate", b"1")
    except OSError as error:
        pytest.skip(f"the cgroup cannot be marked: {error}")


def mount_point() -> Path | None:
    """Of the whole hierarchy."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words, _, rest = line.partition(" - ")
        root, place = words.split()[3:5]
        if rest.startswith("cgroup2 ") and root == "/":
            return Path(place)
    return None


def of_process(pid: int) -> str:
    """The path of its cgroup in the hierarchy."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
