"""A test in a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.kit.wait import DEADLINE

CHECKOUT = Path(__file__).resolve().parents[2]


def alone(test: Callable[[], None]) -> Callable[[], None]:
    """For a test that moves descriptors 3 and 4. Here they may be those by which pytest-xdist talks to us: a thread
    of its reads from one of them, and would read what is meant for a worker.
    """

    def test_alone() -> None:
        call = f"import {test.__module__} as tests; tests.{test.__name__}.__wrapped__()"
        done = subprocess.run(
            [sys.executable, "-c", call], cwd=CHECKOUT, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 0, done.stderr

    test_alone.__wrapped__ = test  # type: ignore[attr-defined]
    return test_alone
