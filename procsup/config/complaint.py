"""Complaints about a configuration: where, what was found, what was expected, and what to do.

Owns the shape of a complaint and its two forms, a paragraph for people and an object for machines. A complaint is an
error, which keeps the tree from being started, or a warning, which does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """`file` is as the user named it; `line` counts from 1, None when the complaint is about the whole file. `path` is
    the key's path ("worker.api.restart"), "" for the whole file. `problem` says what is wrong in words; `found`,
    `expected` and `hint` ("did you mean 'permanent'?") are "" where there is nothing to say.
    """

    file: str
    line: int | None
    path: str
    problem: str
    found: str = ""
    expected: str = ""
    hint: str = ""
    warning: bool = False


class ConfigError(Exception):
    """The configuration cannot be used. `complaints` holds every error and, after them, every warning."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(f"{len(complaints)} complaint(s)")
        self.complaints = tuple(complaints)
