"""Where a worker's standard streams lead, and how its log is kept: `stdin`, `stdout`, `stderr`, `log`."""

from typing import NoReturn

from procsup.config.place import Place, Rejected, shown
from procsup.config.table import Keys, read_table
from procsup.config.values import Reader, absolute, size, text, whole_number, yes_or_no
from procsup.core.spec import LogSettings

_MOST_BACKUPS = 1000


def log(place: Place, value: object) -> LogSettings:
    if not isinstance(value, dict):
        expected = "a table, { max_bytes = '10MB', backups = 5, timestamps = false }"
        place.reject("not a table", found=shown(value), expected=expected)
    row = read_table(place, value, _LOG)
    if row.wrong:
        raise Rejected
    return LogSettings(**row.values)  # type: ignore[arg-type]  # each row of _LOG reads what the field of its name holds


def _stream(*words: str) -> Reader[str]:
    """A reader of one of `words` or of an absolute path."""

    def read(place: Place, value: object) -> str:
        written = text(place, value)
        if written in words:
            return written
        if not written.startswith("/"):
            _reject_stream(place, written, words)
        if written == "/dev/null":
            return "null"  # no file that could be renamed
        return place.reading.shared(absolute("/", written))

    return read


stdin = _stream("null", "inherit")
output = _stream("log", "inherit", "null", "journal")


def _reject_stream(place: Place, written: str, words: tuple[str, ...]) -> NoReturn:
    is_path = "/" in written or "." in written or written == "~"
    hint = "" if is_path else place.reading.did_you_mean(written, words)
    if written and not hint:
        is_at_home = written == "~" or written.startswith("~/")
        file = "${HOME}" + written[1:] if is_at_home else absolute(place.document.folder, written)
        hint = f"for a file, write '{file}'"
    expected = f"{', '.join(map(repr, words))} or an absolute path"
    problem = "a relative path" if is_path else f"no such {place.key}"
    place.reject(problem, found=shown(written), expected=expected, hint=hint)


def _max_bytes(place: Place, value: object) -> int:
    max_bytes = size(place, value)
    if max_bytes == 0:
        place.reject("a file of no size", found=shown(value), expected="a size above 0")
    return max_bytes


def _backups(place: Place, value: object) -> int:
    backups = whole_number(place, value)
    if backups > _MOST_BACKUPS:
        place.reject("too many old files", found=shown(value), expected=f"at most {_MOST_BACKUPS}")
    return backups


_LOG: Keys = {"max_bytes": _max_bytes, "backups": _backups, "timestamps": yes_or_no}
