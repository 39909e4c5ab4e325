"""From the command line of `run` to its processes: the guardian, and below it the daemon.

Both are forked before anything heavy is imported; the guardian never imports it.
"""

from typing import TYPE_CHECKING

from procsup.cli.forerunner import Errand
from procsup.runtime.guardian import Link, guard

if TYPE_CHECKING:
    from procsup.runtime.detach import Caller


def launch(errand: Errand) -> int:
    """The exit status: of the daemon, or, detached, 0 as soon as its tree is up."""
    if not errand.detach:
        return guard(lambda link: _serve(errand, link, None))

    from procsup.runtime.detach import in_background

    return in_background(lambda caller: guard(lambda link: _serve(errand, link, caller)))


def _serve(errand: Errand, link: Link, caller: "Caller | None") -> int:
    from procsup.cli.serve import serve

    return serve(errand, link, caller)
