"""The reference configuration names every key, and says the defaults."""

from dataclasses import replace
from pathlib import Path

from procsup.config.keys import DAEMON, SUPERVISOR, WORKER
from procsup.config.load import load
from procsup.core.spec import SupervisorSpec, WorkerSpec

FILE = Path(__file__).resolve().parents[2] / "etc" / "reference.toml"


def test_every_key_is_in_it() -> None:
    words = {line.lstrip("# ").partition("=")[0].strip() for line in FILE.read_text().splitlines() if "=" in line}
    assert {*DAEMON, *SUPERVISOR, *WORKER} <= words


def test_what_it_says_are_the_defaults() -> None:
    config = load(str(FILE), {}, privileged=False)
    assert config.warnings == ()
    everything, lab = config.tree.children
    assert isinstance(everything, WorkerSpec)
    assert everything == WorkerSpec("everything", replace(everything.program, env=()))
    assert everything.program == replace(type(everything.program)(("sleep", "infinity")), cwd=str(FILE.parent))
    assert config.tree == SupervisorSpec("kingdom", (everything, lab))
