"""JSON-RPC 2.0, one object per line: requests, answers, failures and notifications as bytes.

Deviations from JSON-RPC 2.0: no batches; parameters by name only; a request line is at most MAX_REQUEST bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from procsup.wire.decode import JSON

MAX_REQUEST = 1024 * 1024

RequestId = str | int | float | None


class Code(IntEnum):
    """The standard's codes, and ours from -32000 down."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    FAILED = -32000
    NO_SUCH_NAME = -32001
    REFUSED = -32002


class Failure(Exception):
    """A call that failed. `kind` is stable: a client decides by it; `message` is for people.

    kinds: parse_error, invalid_request, method_not_found, invalid_params; no_such_name; refused (the tree does not
    allow it now: OTP's errors running, restarting, already_started, already_present, not_found, noproc ...);
    overtaken (another command wants otherwise); failed (tried, without success).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


_CODES = {
    "parse_error": Code.PARSE_ERROR,
    "invalid_request": Code.INVALID_REQUEST,
    "method_not_found": Code.METHOD_NOT_FOUND,
    "invalid_params": Code.INVALID_PARAMS,
    "no_such_name": Code.NO_SUCH_NAME,
    "refused": Code.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Request:
    """`id` is None for a notification, which gets no answer."""

    method: str
    params: Mapping[str, object]
    id: RequestId


def parse_request(line: bytes) -> Request:
    """Raises:
    Failure: parse_error or invalid_request.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Failure("parse_error", f"cannot read the request: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Failure("invalid_request", "cannot read the request: expected one JSON object per line")
    method, params, request_id = value.get("method"), value.get("params", {}), value.get("id")
    if value.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise Failure("invalid_request", 'cannot read the request: expected "jsonrpc": "2.0" and a "method"')
    if not isinstance(params, dict):
        raise Failure("invalid_request", "cannot read the request: params must be an object")
    if isinstance(request_id, bool | list | dict):
        raise Failure("invalid_request", "cannot read the request: id must be a string, a number or null")
    return Request(method, params, request_id)


def encode_request(method: str, params: Mapping[str, JSON], request_id: RequestId) -> bytes:
    return _line({"jsonrpc": "2.0", "id": request_id, "method": method, "params": dict(params)})


def encode_answer(request_id: RequestId, result: JSON) -> bytes:
    return _line({"jsonrpc": "2.0", "id": request_id, "result": result})


def encode_failure(request_id: RequestId, failure: Failure) -> bytes:
    code = _CODES.get(failure.kind, Code.FAILED)
    error: JSON = {"code": int(code), "message": failure.message, "data": {"kind": failure.kind}}
    return _line({"jsonrpc": "2.0", "id": request_id, "error": error})


def encode_notification(method: str, params: JSON) -> bytes:
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def _line(value: JSON) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
