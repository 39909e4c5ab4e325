"""The parts of which the probes consist: resolver, connections, HTTP, alarms."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procsup.runtime.alarms import Alarms
from procsup.runtime.loop import Loop
from procsup.runtime.probes import http
from procsup.runtime.probes.connection import is_connected_with_itself
from procsup.runtime.probes.resolver import Answer, Resolver
from tests.kit.wait import DEADLINE


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def resolver(loop: Loop) -> Iterator[Resolver]:
    resolver = Resolver(loop)
    yield resolver
    resolver.close()


def turn_until(loop: Loop, fact: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not fact() and time.monotonic() < end:
        loop.turn(0.1)
    assert fact()


# The resolver


@pytest.mark.parametrize(
    ("host", "numbers"),
    [("127.0.0.1", ["127.0.0.1"]), ("::1", ["::1"]), ("localhost", ["127.0.0.1", "::1"]), ("fe80::1%1", ["fe80::1"])],
)
def test_what_needs_no_question_is_answered_at_once(resolver: Resolver, host: str, numbers: list[str]) -> None:
    answers: list[Answer] = []
    resolver.ask(host, answers.append)
    assert [[place[0] for _, place in answer] for answer in answers if not isinstance(answer, str)] == [numbers]


def test_an_interface_is_a_scope(resolver: Resolver) -> None:
    answers: list[Answer] = []
    for zone in ("7", "lo", "nowhere"):
        resolver.ask(f"fe80::1%{zone}", answers.append)
    scopes = [place[2] for answer in answers if not isinstance(answer, str) for _, place in answer]
    assert scopes == [7, socket.if_nametoindex("lo"), 0]


def test_the_machines_own_name_or_none_is_answered_from_the_loop(loop: Loop, resolver: Resolver) -> None:
    """Whatever there is behind it: an answer comes, once for each who asked, and from one question."""
    answers: list[Answer] = []
    for _ in range(20):
        resolver.ask("nowhere.invalid", answers.append)
    assert answers == []
    turn_until(loop, lambda: len(answers) == 20)
    assert set(answers) == {answers[0]}
    assert str(answers[0]).startswith("cannot resolve 'nowhere.invalid': ")


def test_many_names_are_all_answered(loop: Loop, resolver: Resolver) -> None:
    answered: list[str] = []
    for number in range(30):
        resolver.ask(f"nowhere{number}.invalid", lambda answer, host=number: answered.append(str(host)))  # type: ignore[misc]  # mypy cannot infer a default
    turn_until(loop, lambda: len(answered) == 30)
    assert len(set(answered)) == 30


def test_a_question_that_was_withdrawn_is_not_answered(loop: Loop, resolver: Resolver) -> None:
    answers: list[Answer] = []
    resolver.ask("nowhere.invalid", answers.append).is_withdrawn = True
    others: list[Answer] = []
    resolver.ask("nowhere.invalid", others.append)
    turn_until(loop, lambda: others)
    assert answers == []


# Connections


def test_a_connection_with_itself_is_known_as_such() -> None:
    with socket.socket() as ours, socket.socket() as server, socket.socket() as other:
        ours.bind(("127.0.0.1", 0))
        ours.connect(ours.getsockname())
        assert is_connected_with_itself(ours)
        server.bind(("127.0.0.1", 0))
        server.listen()
        other.connect(server.getsockname())
        assert not is_connected_with_itself(other)


# HTTP


@pytest.mark.parametrize(
    ("host", "port", "where"),
    [("a.b", 80, "a.b"), ("a.b", 8080, "a.b:8080"), ("::1", 80, "[::1]"), ("fe80::1%eth0", 1, "[fe80::1]:1")],
)
def test_a_request_names_the_host(host: str, port: int, where: str) -> None:
    lines = http.request(host, port, "/up?full=1").decode().split("\r\n")
    assert lines[0] == "GET /up?full=1 HTTP/1.1"
    assert f"Host: {where}" in lines
    assert lines[-2:] == ["", ""]


ANSWERS = [
    (b"HTTP/1.1 200 OK\r\n\r\nbody", 200),
    (b"HTTP/1.0 404\r\n", 404),
    (b"HTTP/1.1 204 \n", 204),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\n", 500),
    (b"HTTP/1.1 103 Hints\r\nLink: a\r\nLink: b\r\n\r\nHTTP/1.1 100 C\n\nHTTP/1.1 302 Found\r\n", 302),
]


@pytest.mark.parametrize(("answer", "status"), ANSWERS)
def test_the_status_is_found_as_soon_as_it_has_come(answer: bytes, status: int) -> None:
    found = [http.status_of(answer[:length]) for length in range(len(answer) + 1)]
    first = next(number for number, one in enumerate(found) if one is not None)
    assert set(found[first:]) == {status}
    assert found[:first] == [None] * first


@given(st.binary(max_size=50))
def test_what_is_no_answer_is_refused_and_nothing_else_happens(answer: bytes) -> None:
    beginning = b"HTTP/1."[: len(answer)]
    if answer[: len(beginning)] != beginning:
        with pytest.raises(ValueError, match="does not speak HTTP/1"):
            http.status_of(answer)
    else:
        http.status_of(answer)


@pytest.mark.parametrize("piece", [b"x", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 100 C\r\nx:y\r\n"])
def test_an_answer_without_end_and_status_is_refused(piece: bytes) -> None:
    answer = (b"HTTP/1.1 " + piece * http.MOST)[: http.MOST]
    with pytest.raises(ValueError, match="does not speak"):
        http.status_of(answer)


# Alarms


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=20), st.floats(0, 10))
def test_those_whose_time_has_come_ring_in_order_and_once(wanted: list[tuple[float, bool]], now: float) -> None:
    alarms, rung = Alarms(), list[float]()
    for when, is_cancelled in wanted:
        alarm = alarms.set(when, lambda when=when: rung.append(when))  # type: ignore[misc]  # mypy cannot infer a default
        if is_cancelled:
            alarm.cancel()
    alarms.poll(now)
    alarms.poll(now)
    kept = sorted(when for when, is_cancelled in wanted if not is_cancelled)
    assert rung == [when for when in kept if when <= now]
    assert alarms.next_deadline() == next((when for when in kept if when > now), None)
