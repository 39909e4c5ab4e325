"""The messages between the daemon and a worker that has a channel (DESIGN § 4): the one schema, for both ends.

One JSON object per line, in UTF-8, at most MAX_LINE bytes with the newline. `type` says what it is and so which other
keys it has; keys that are not listed mean nothing. NAME is the name of a worker of the tree, REASON an exit reason as
text (core/reason.py); ID and REF are whole numbers that the worker chooses.

To the worker, on its mailbox:

    message   from NAME, body JSON      another worker has sent it
    exit      from NAME, reason REASON  an exit signal: somebody linked has ended, and the worker traps exits
    down      ref REF, name NAME, pid, reason REASON    a worker that this one monitors has ended: told once, or,
                                        with ref null, each time, when `monitors` of the tree file names it.
                                        pid was that of its main process; null, and "noproc", when it did not run
    shutdown                            the stop signal is about to follow
    reply     id ID, and result or error    to the request of that id; error is {"kind": TEXT, "message": TEXT}

From the worker, on its outbox:

    ready                               with ready = "channel": it is
    send        to NAME, body JSON      never mind whether it arrives. With an id ID one is told: result null, or error
                                        "noproc", "no_channel" when it has no mailbox (any more), or "full" when that
                                        holds all that it may
    link        id ID, name NAME        result: whether it is linked now; false when the other one does not run. Who
                                        traps exits is told of that by an `exit` "noproc" instead
    unlink      id ID, name NAME        result true: from here on no `exit` of it comes
    monitor     ref REF, name NAME
    demonitor   ref REF [flush BOOL]    no `down` of it is sent any more; with flush nor is one that was sent and is not
                                        in the pipe yet. With an id ID, no `down` of it comes after the reply
    trap_exits  on BOOL
    whereis     id ID, name NAME        result: the pid of its main process, or null

    which_children   id ID, supervisor NAME    result: [{"id": NAME, "pid", "type": "worker" or "supervisor"}, ...] in
                                        start order; pid is null for a supervisor, "undefined" or "restarting" without
                                        a process. Error "noproc": no such supervisor runs
    start_child      id ID, supervisor NAME, command [TEXT, ...] [name TEXT] [restart TEXT] [cwd TEXT]
                                        as wire/calls.py; result, when it is ready: {"name": NAME, "pid"}. Errors
                                        "already_started", "already_present", "noproc", "failed": the message says why
    terminate_child  id ID, supervisor NAME, name NAME    result true: it is down. Errors "not_found", "noproc"

These three are OTP's calls, and wait their turn as OTP's do: who asks its own supervisor before it is ready waits for
itself. Only who runs as the daemon's user, or as root, may start and terminate ("not_permitted").

An unknown name counts as one that does not run. EOF on the mailbox means that the daemon is gone.
"""

import json
from collections.abc import Mapping
from typing import Any

MAX_LINE = 64 * 1024

Json = dict[str, Any]

_JSON: tuple[type, ...] = (dict, list, str, int, float, bool, type(None))

TO_WORKER: dict[str, dict[str, tuple[type, ...]]] = {
    "message": {"from": (str,), "body": _JSON},
    "exit": {"from": (str,), "reason": (str,)},
    "down": {"ref": (int, type(None)), "name": (str,), "pid": (int, type(None)), "reason": (str,)},
    "shutdown": {},
    "reply": {"id": (int,)},
}
"""type → the keys that it must have, and of which types."""

FROM_WORKER: dict[str, dict[str, tuple[type, ...]]] = {
    "ready": {},
    "send": {"to": (str,), "body": _JSON},
    "link": {"id": (int,), "name": (str,)},
    "unlink": {"id": (int,), "name": (str,)},
    "monitor": {"ref": (int,), "name": (str,)},
    "demonitor": {"ref": (int,)},
    "trap_exits": {"on": (bool,)},
    "whereis": {"id": (int,), "name": (str,)},
    "which_children": {"id": (int,), "supervisor": (str,)},
    "start_child": {"id": (int,), "supervisor": (str,), "command": (list,)},
    "terminate_child": {"id": (int,), "supervisor": (str,), "name": (str,)},
}

MAY_HAVE: dict[str, dict[str, tuple[type, ...]]] = {
    "demonitor": {"flush": (bool,)},
    "start_child": {"name": (str,), "restart": (str,), "cwd": (str,)},
}
"""type → the keys that may be missing"""


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode(message: Mapping[str, object]) -> bytes:
    """A line.

    Raises:
        TypeError, ValueError: it is not JSON.
        ValueError: the line would be too long.
    """
    line = _ENCODER.encode(message).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise ValueError(f"cannot write the message: as JSON it has {len(line)} bytes, at most {MAX_LINE} are possible")
    return line


def parse(line: bytes, schema: Mapping[str, Mapping[str, tuple[type, ...]]]) -> Json:
    """The message of a line, by TO_WORKER or FROM_WORKER.

    Raises:
        ValueError: it is none; the text says why.
    """
    try:
        message = _decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the message: not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError('cannot read the message: expected a JSON object with a "type"')
    keys = schema.get(message["type"])
    if keys is None:
        raise ValueError(f"cannot read the message: unknown type {message['type']!r}; there are: {', '.join(schema)}")
    for key, types in keys.items():
        if key not in message or type(message[key]) not in types:
            raise _wrong(message, key, types)
    for key, types in MAY_HAVE.get(message["type"], _NOTHING).items():
        if key in message and type(message[key]) not in types:
            raise _wrong(message, key, types)
    return message


_NOTHING: dict[str, tuple[type, ...]] = {}


def _wrong(message: Json, key: str, types: tuple[type, ...]) -> ValueError:
    found = f"{message[key]!r:.60}" if key in message else "nothing"
    expected = " or ".join(_WORDS[one] for one in types)
    return ValueError(f"cannot read the message: {key!r} of {message['type']!r} is {found}, expected {expected}")


def parse_plain_send(line: bytes) -> tuple[str, str] | None:
    """Of a `send` that is written as `encode` does, and holds nothing else: to whom, and its body as JSON text, which
    can be passed on as it is. None for any other line: `parse` is to judge it. Without the newline.
    """
    if not line.startswith(_SEND):
        return None
    try:
        text = line.decode()
        end_of_name = text.index('"', len(_SEND))
        begin = end_of_name + len(_BODY)
        _, end = _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None
    name, body = text[len(_SEND) : end_of_name], text[begin:end]
    is_plain = name.isprintable() and "\\" not in name and "\\u" not in body  # which may be half a surrogate pair
    return (name, body) if is_plain and text[end_of_name:begin] == _BODY and text[end:] == "}" else None


_SEND, _BODY = b'{"type":"send","to":"', '","body":'


def _decode(text: str) -> Any:
    """As json.loads, which first looks for much that is seldom there."""
    if text.startswith("{"):
        value, end = _DECODER_OF_ALL.raw_decode(text)
        if text[end:] in ("\n", ""):
            return value
    return json.loads(text)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_DECODER, _DECODER_OF_ALL = json.JSONDecoder(parse_constant=_refuse), json.JSONDecoder()


_WORDS = {
    dict: "an object", list: "a list", str: "a string", int: "a whole number", float: "a number",
    bool: "true or false", type(None): "null",
}  # fmt: skip
