"""For a conftest.py: `from tests.kit.fixtures import supervise`."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.daemon import Daemon

Supervise = Callable[..., Daemon]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """`supervise(tree)` → a daemon whose tree is up; with `up=False` it was only started. Further arguments are those
    of Daemon. Its folder is pytest's, or, `for_strangers`, one that other users may enter too.

    Several daemons may run in one test. All are gone at its end.
    """
    with contextlib.ExitStack() as stack:
        count = 0

        def start(tree: str, up: bool = True, for_strangers: bool = False, **arguments: Any) -> Daemon:
            nonlocal count
            count += 1
            folder = Path(stack.enter_context(open_folder())) if for_strangers else tmp_path
            daemon = stack.enter_context(Daemon(folder / f"daemon{count}", tree, **arguments))
            return daemon.wait_until_up() if up else daemon

        yield start


@contextlib.contextmanager
def open_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ps-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        yield folder
