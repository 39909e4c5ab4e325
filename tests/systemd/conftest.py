"""One systemd for all tests of this folder."""

import os
from collections.abc import Iterator

import pytest

from tests.systemd.machine import Machine


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """PROCSUP_TEST_SYSTEMD may name a folder that is laid over the root, with another systemd in it."""
    with Machine(os.environ.get("PROCSUP_TEST_SYSTEMD", "")) as machine:
        machine.install_procsup()
        yield machine
