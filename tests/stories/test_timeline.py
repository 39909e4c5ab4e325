"""The timeline of a real daemon, while it runs and after it was killed."""

import os
import signal
import subprocess
from pathlib import Path

from tests.kit.daemon import PROCSUP
from tests.kit.fixtures import Supervise, supervise
from tests.kit.trees import supervisor, tree, worker
from tests.kit.wait import wait_until

__all__ = ["supervise"]


def drawn(folder: Path, *words: str) -> str:
    path = folder / "timeline.svg"
    subprocess.run([*PROCSUP, "timeline", "-o", str(path), *words], check=True, stderr=subprocess.PIPE)
    return path.read_text()


def test_it_can_be_drawn_while_the_daemon_runs_and_after_it_was_killed(supervise: Supervise, tmp_path: Path) -> None:
    daemon = supervise(tree(supervisor("root", ["a", "b"]), worker("a"), worker("b")))
    daemon.kill("a")
    wait_until(lambda: daemon.row("a")["starts"] == 2, "it is back")
    text = drawn(tmp_path, "--socket", daemon.socket)
    assert text.count("it crashed, at the age of") == 1
    assert text.count("it lives, at the age of") == 3
    assert "the daemon" not in text
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    text = drawn(tmp_path, "--state-dir", str(daemon.state_dir))
    assert text.count("its daemon ended, at the age of") == 3
    assert "the daemon died without a word" in text
