"""Descriptors that travel over a socket."""

import os
import socket
from collections.abc import Iterator

import pytest

from procsup.runtime.passing import receive_descriptors, send_descriptors

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("is_inheritable", [True, False])
def test_what_arrives_is_close_on_exec_whatever_it_was(pair: Pair, is_inheritable: bool) -> None:
    sent = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(sent, is_inheritable)
    send_descriptors(pair[0], b"word", [sent, sent])
    word, fds = receive_descriptors(pair[1], 6)

    assert word == b"word"
    assert [os.get_inheritable(fd) for fd in fds] == [False, False]
    assert all(os.path.sameopenfile(fd, sent) for fd in fds)
    for fd in (sent, *fds):
        os.close(fd)


def test_words_come_one_at_a_time_each_with_its_own(pair: Pair) -> None:
    send_descriptors(pair[0], b"one", [0])
    send_descriptors(pair[0], b"two", [])
    first, second = receive_descriptors(pair[1], 6), receive_descriptors(pair[1], 6)

    assert (first[0], len(first[1]), second) == (b"one", 1, (b"two", []))
    os.close(first[1][0])


def test_more_than_one_has_room_for_are_closed_by_the_kernel(pair: Pair) -> None:
    before = os.listdir("/proc/self/fd")
    send_descriptors(pair[0], b"word", [0] * 10)
    word, fds = receive_descriptors(pair[1], 6)

    assert word == b"word"
    assert len(fds) <= 10
    for fd in fds:
        os.close(fd)
    assert os.listdir("/proc/self/fd") == before


def test_end_of_the_other_end_is_an_empty_word(pair: Pair) -> None:
    pair[0].close()
    assert receive_descriptors(pair[1], 6) == (b"", [])
