"""What the README shows of the library is true."""

import re
from pathlib import Path

from tests.worker.kit import run_script

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_prints_what_its_comments_say(tmp_path: Path) -> None:
    text = README.read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "procsup.worker" in block]
    promised = re.findall(r"print\(.*\) +# (.*)", example)

    result = run_script(tmp_path, example)
    assert (result.status, result.out.split("\n")) == (0, [*", ".join(promised).split(", "), ""])
