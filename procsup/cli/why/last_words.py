"""The last words of `run`: when the root gave up, why, in one sentence below the narration that has told it all."""

import shlex
from textwrap import wrap

from procsup.cli.exits import CannotDo
from procsup.cli.journal import Journal
from procsup.cli.why.answer import answer
from procsup.cli.why.words import in_short

_WIDTH = 100


def last_words(state_dir: str) -> str:
    """Of the daemon that has just ended: lines with their ends, or "" when its root did not give up, or the journal
    does not tell.
    """
    try:
        with Journal(state_dir) as journal:
            found = answer(journal, None, {}, is_alive=False)
    except CannotDo:
        return ""
    if not found.steps or found.end is None or found.end.reason != "gave_up":
        return ""
    sentence = wrap(f"procsup: why: {in_short(found.steps, found.first)}", _WIDTH, subsequent_indent=" " * 9)
    hint = f"{' ' * 9}(step by step: procsup why --state-dir {shlex.quote(state_dir)})"
    return "".join(f"{line}\n" for line in (*sentence, hint))
