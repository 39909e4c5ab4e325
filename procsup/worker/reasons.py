"""What an exception means as the exit reason of the process that did not catch it."""

import os
import traceback
from types import TracebackType

from procsup.worker.values import Crash, Exit


def reason_of(error: BaseException) -> object:
    match error:
        case Exit():
            return error.reason
        case SystemExit():
            return _reason_of_code(error.code)
        case _:
            part = _users_part(error.__traceback__)
            return Crash(error, "".join(traceback.format_exception(type(error), error, part)))


def _reason_of_code(code: object) -> str:
    """As sys.exit does: what is no number is a complaint, and counts as 1."""
    number = 0 if code is None else code & 0xFF if isinstance(code, int) else 1
    return f"exit {number}" if number else "normal"


def _users_part(found: TracebackType | None) -> TracebackType | None:
    """What is below the library's own frames, if anything is."""
    here = os.path.dirname(__file__)
    part = found
    while part is not None and os.path.dirname(part.tb_frame.f_code.co_filename) == here:
        part = part.tb_next
    return part or found
