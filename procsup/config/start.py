"""How a worker starts: where what its keys say about that cannot be true together."""

from procsup.config.durations import duration_text
from procsup.config.place import Place, shown
from procsup.config.table import Row
from procsup.core.readiness import Elapsed, Line, Newline
from procsup.core.spec import StartTimeout, WorkerSpec

_CHANNEL = {3: "mailbox", 4: "outbox"}


def check_start(place: Place, spec: WorkerSpec, row: Row) -> None:
    """Complains about the worker at `place`, of which the file holds `row`."""
    if "channel" in row.values and not spec.bonds.channel and spec.has_channel:
        place.at("channel").complain(
            "this worker has a channel anyway: who names monitors or trap_exits needs one, and ready = 'channel' too",
            found="false",
            hint="take channel away",
        )
    match spec.ready:
        case Newline(fd=fd) if fd in _CHANNEL and spec.has_channel:
            expected = "another descriptor, 5 or more"
            problem = f"this descriptor is the {_CHANNEL[fd]} of the worker's channel"
            place.at("ready").at("fd").complain(problem, found=shown(fd), expected=expected)
        case Line() if not (_is_captured(spec.program.stdout) or _is_captured(spec.program.stderr)):
            expected = "stdout or stderr = 'log' or a path, so that somebody reads the lines"
            place.at("ready").at("line").complain("no output of this worker is captured", expected=expected)
        case Elapsed(seconds=seconds) if "start_timeout" not in row.wrong:
            _check_time(place.at("ready").at("after"), seconds, spec.start_timeout)
        case _:
            pass


def _check_time(place: Place, seconds: float, timeout: StartTimeout) -> None:
    if not isinstance(timeout, str) and seconds >= timeout:
        expected = f"less than the start_timeout, {duration_text(timeout)}"
        place.complain("the worker cannot be ready in time", found=duration_text(seconds), expected=expected)


def _is_captured(stream: str) -> bool:
    return stream == "log" or stream.startswith("/")
