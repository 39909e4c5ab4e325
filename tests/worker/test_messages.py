"""The lines between daemon and worker."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.wire.messages import FROM_WORKER, MAX_LINE, TO_WORKER, encode, parse, parse_plain_send

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_OF_TYPE: dict[type, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=["Cs"])), int: st.integers(), bool: st.booleans(),
    type(None): st.none(), dict: st.dictionaries(st.text(), st.none()), list: st.lists(st.none()),
    float: st.floats(allow_nan=False, allow_infinity=False),
}  # fmt: skip


@st.composite
def _messages(draw: st.DrawFn, schema: dict[str, dict[str, tuple[type, ...]]]) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(schema)))
    fields = {key: draw(st.one_of(*(_OF_TYPE[one] for one in types))) for key, types in schema[kind].items()}
    return {"type": kind, **fields}


@pytest.mark.parametrize("schema", [TO_WORKER, FROM_WORKER])
@given(data=st.data())
def test_a_message_comes_out_as_it_went_in_on_one_line(data: st.DataObject, schema: Any) -> None:
    message = data.draw(_messages(schema))
    line = encode(message)

    assert line.count(b"\n") == 1
    assert parse(line, schema) == message


@pytest.mark.parametrize("schema", [TO_WORKER, FROM_WORKER])
@given(data=st.data())
def test_a_message_with_a_key_missing_or_of_another_type_is_refused(data: st.DataObject, schema: Any) -> None:
    message = data.draw(_messages(schema).filter(lambda message: set(message) - {"type", "body"}))
    key = data.draw(st.sampled_from(sorted(set(message) - {"type", "body"})))
    wrong = data.draw(_JSON.filter(lambda value: type(value) not in schema[message["type"]][key]))
    absent = {name: value for name, value in message.items() if name != key}

    for broken in ({**message, key: wrong}, absent):
        with pytest.raises(ValueError, match=f"'{key}' of '{message['type']}' is"):
            parse(json.dumps(broken).encode(), schema)


@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_other_line_is_refused_with_words(line: bytes) -> None:
    with pytest.raises(ValueError, match="cannot read the message: "):
        parse(line, TO_WORKER)


def test_keys_that_are_not_listed_mean_nothing() -> None:
    assert parse(b'{"type": "ready", "id": 1}', FROM_WORKER)["type"] == "ready"


def test_a_line_has_64_kib_at_most() -> None:
    overhead = len(encode({"type": "send", "to": "a", "body": ""}))

    assert len(encode({"type": "send", "to": "a", "body": "x" * (MAX_LINE - overhead)})) == MAX_LINE
    with pytest.raises(ValueError, match=f"has {MAX_LINE + 1} bytes, at most {MAX_LINE} are possible"):
        encode({"type": "send", "to": "a", "body": "x" * (MAX_LINE - overhead + 1)})


@pytest.mark.parametrize("body", [float("nan"), float("inf"), {1, 2}, b"x", "\ud800"])
def test_what_is_not_json_is_not_written(body: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode({"type": "send", "to": "a", "body": body})


@given(
    to=st.sampled_from(["eve", "a b", "ä"]),
    body=_JSON.filter(lambda body: "\\u" not in json.dumps(body, ensure_ascii=False)),
)
def test_a_plain_send_is_passed_on_as_it_is_written(to: str, body: Any) -> None:
    line = encode({"type": "send", "to": to, "body": body}).removesuffix(b"\n")
    assert parse_plain_send(line) == (to, line.decode().partition(',"body":')[2].removesuffix("}"))


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"send","to":"eve","body":1,"id":1}',
        b'{"type":"send","to":"eve","body":1,"body":2}',
        b'{"type":"send","to":"eve","body":1,"from":"root"}',
        b'{"type":"send","to":"eve","body":1}}',
        b'{"type":"send","to":"eve","body":1} ',
        b'{"type":"send","to":"eve","body": 1}',
        b'{"type":"send","to":"eve","body":1',
        b'{"type":"send","to":"eve","body":}',
        b'{"type":"send","to":"eve","body":NaN}',
        b'{"type":"send","to":"eve","body":[-Infinity]}',
        b'{"type":"send","to":"eve","body":"\\ud800"}',
        b'{"type":"send","to":"eve","body":"\xff"}',
        b'{"type":"send","to":"eve","body":"\t"}',
        b'{"type":"send","to":"eve","body":' + b"[" * 60000 + b"}",
        b'{"type":"send","to":"e\\"ve","body":1}',
        b'{"type":"send","to":"e\tve","body":1}',
        b'{"type":"send","to":1,"body":1}',
        b'{"type":"send","to":"eve"}',
        b'{"type":"ready"}',
        b"",
    ],
)
def test_any_other_line_is_left_to_be_judged_in_full(line: bytes) -> None:
    assert parse_plain_send(line) is None
