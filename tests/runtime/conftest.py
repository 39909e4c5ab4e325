"""Fixtures for tests with real processes."""

import os
from collections.abc import Iterator
from io import FileIO

import pytest

from tests.kit.fixtures import supervise

__all__ = ["supervise", "terminal"]


@pytest.fixture
def terminal() -> Iterator[tuple[FileIO, FileIO]]:
    """Both ends: what a person writes to the first, who is in the foreground of the second gets."""
    person, program = os.openpty()
    with open(person, "r+b", buffering=0) as there, open(program, "r+b", buffering=0) as here:
        yield there, here
