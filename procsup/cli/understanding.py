"""What procsup understands of a tree file, for `check` and for `run`, which begins with the same.

Imports no click: this is loaded into the daemon.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from procsup.config.complaint import Complaint, ConfigError
    from procsup.config.config import Config


def understand(file: str) -> "Config | ConfigError":
    """What `file` says, or why it cannot be used."""
    from procsup.config.complaint import ConfigError
    from procsup.config.load import load

    try:
        return load(file, os.environ, privileged=os.geteuid() == 0)
    except ConfigError as error:
        return error


def is_usable(outcome: "Config | ConfigError", strict: bool) -> "TypeGuard[Config]":
    return not isinstance(outcome, Exception) and not (strict and outcome.warnings)


def complaints_of(outcome: "Config | ConfigError") -> Sequence["Complaint"]:
    """Errors first, then warnings."""
    return outcome.complaints if isinstance(outcome, Exception) else outcome.warnings


def counted(complaints: Sequence["Complaint"]) -> str:
    """ "2 errors, 1 warning" """
    warnings = sum(complaint.warning for complaint in complaints)
    counts = ((len(complaints) - warnings, "error"), (warnings, "warning"))
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n)


def in_full(complaints: Sequence["Complaint"]) -> str:
    """A paragraph for each."""
    from procsup.config.render import complaint_text

    return "".join(f"{complaint_text(complaint)}\n" for complaint in complaints)
