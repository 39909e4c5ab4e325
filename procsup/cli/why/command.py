"""`why`: the last failure, from its first cause to the last consequence, and what keeps somebody down."""

import json
import sys
import time

import click

from procsup.cli.exits import CannotDo, ExitStatus
from procsup.cli.journal import Journal
from procsup.cli.options import complete_names, socket_option, state_dir_option
from procsup.cli.paint import paint_for
from procsup.cli.source import find_source
from procsup.cli.terminal import say
from procsup.cli.why.answer import NobodyOfThatName, answer
from procsup.cli.why.words import answer_in_words
from procsup.config.nearest import Nearest


@click.command()
@click.argument("name", required=False, shell_complete=complete_names)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; see above.")
@state_dir_option
@socket_option
def why(name: str | None, as_json: bool, state_dir: str | None) -> int:
    """Say why: the last failure of NAME, and why it does not run.

    NAME is a worker or a supervisor, its name or path, also one that is not in the tree any more; without it, the last
    failure of all is told. What happened stands in the daemon's journal, so it does not matter whether the daemon still
    runs.

    \b
    --json prints one object. These keys stay; new ones may be added.
      path         of NAME; null without one
      standing     state, since, pid, why it does not run (held, waiting, not_ready,
                   supervisor_down, ended_normally, gave_up, auto_shutdown,
                   start_failed, linked, terminated, temporary, deleted,
                   restarted or ""), whom it waits for, by whom it is held, detail
      daemon       null while it runs, else time, status (null when it died),
                   reason, by (who asked it to stop, or "")
      chain        the steps: seq, time, offset (seconds since the first), fact, and
                   what belongs to that: died, could_not_start, restarted, gave_up,
                   stopped, went_down, left_down, link_fired, shut_itself_down, removed,
                   came_back, reloaded, daemon_ended, other
      first        the seq with which the failure began; steps before it are of
                   earlier restarts that the supervisors counted
      is_of_earlier_run, is_cut, damaged_lines, missing_events
    """
    source = find_source(state_dir)
    with Journal(source.folder, source.is_alive) as journal:
        try:
            found = answer(journal, name, source.rows, source.is_alive)
        except NobodyOfThatName as nobody:
            hint = Nearest(sorted(nobody.known)).hint(name or "")
            message = f"neither the tree nor the journal knows {name!r}{f'; {hint}' if hint else ''}"
            raise CannotDo(message, ExitStatus.NO_SUCH_NAME) from None
    if as_json:
        say(json.dumps({"name": name, **found.as_json()}) + "\n")
    else:
        say("".join(f"{line}\n" for line in answer_in_words(found, time.time(), paint_for(sys.stdout))))
    return ExitStatus.DONE
