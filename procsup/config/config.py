"""What a configuration file says, once it has been understood."""

from dataclasses import dataclass

from procsup.config.complaint import Complaint
from procsup.core.spec import SupervisorSpec


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """The table [daemon]; absolute paths, None where the file does not say. `preload` are the modules that the warm
    server imports.
    """

    socket: str | None = None
    state_dir: str | None = None
    log_dir: str | None = None
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """`file` is absolute; `tree` is the root supervisor; `warnings` in order of file and line."""

    file: str
    tree: SupervisorSpec
    daemon: DaemonSettings = DaemonSettings()
    warnings: tuple[Complaint, ...] = ()
