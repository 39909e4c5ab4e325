"""The warm server of a daemon (it is not there before a target is started), and what it is to import."""

from pathlib import Path

from tests.kit import processes
from tests.kit.daemon import Daemon
from tests.kit.wait import wait_until


def warm_server_of(daemon: Daemon) -> int | None:
    """Its pid."""
    found = (pid for pid in processes.children_of(daemon.pid) if "procsup.runtime.warm" in processes.command_of(pid))
    return next(found, None)


def next_warm_server_of(daemon: Daemon, old: int | None) -> int:
    """The pid of another than this one, waited for."""

    def found() -> int | None:
        pid = warm_server_of(daemon)
        return None if pid == old else pid

    pid = wait_until(found, "there is a new warm server")
    assert pid is not None
    return pid


def log_of(daemon: Daemon, name: str, lines: int = 1) -> str:
    """What a worker wrote, as soon as there are so many lines."""

    def found() -> bytes:
        text = daemon.log(name)
        return text if text.count(b"\n") >= lines else b""

    return wait_until(found, f"{name} has written {lines} lines").decode()


def put_module(folder: Path, name: str, source: str) -> None:
    """Importable from the tree file that a daemon in this folder is given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source)
