"""Each test is a script of its own: whatever it has spawned is gone when it ends."""

from collections.abc import Iterator

import pytest

from procsup.worker.mailbox import become, mine
from procsup.worker.spawn import leave


@pytest.fixture(autouse=True)
def the_script_ends_with_the_test() -> Iterator[None]:
    yield
    leave(mine())
    become(None)
