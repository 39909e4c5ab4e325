"""Frames: what goes between a process and the node, over a stream. Both ends are one interpreter's forks.

A frame is a head, a marshalled tuple that begins with a word, and a body, bytes that only the receiver looks into. The
words and their fields stand in node.py.
"""

import marshal
from struct import Struct
from typing import Any

Head = tuple[Any, ...]

_LENGTHS = Struct("<IQ")


def encode(head: Head, body: bytes = b"") -> bytes:
    return encode_begin(head, len(body)) + body


def encode_begin(head: Head, body_length: int) -> bytes:
    """A frame without its body."""
    marshalled = marshal.dumps(head)
    return _LENGTHS.pack(len(marshalled), body_length) + marshalled


class Decoder:
    """Puts together what arrives in pieces."""

    def __init__(self) -> None:
        self._unread = bytearray()

    def feed(self, piece: bytes) -> list[tuple[Head, bytes]]:
        """The frames that are whole now. O(their bytes)."""
        unread = self._unread
        unread += piece
        frames: list[tuple[Head, bytes]] = []
        begin = 0
        while len(unread) - begin >= _LENGTHS.size:
            head_length, body_length = _LENGTHS.unpack_from(unread, begin)
            head_begin = begin + _LENGTHS.size
            body_begin = head_begin + head_length
            end = body_begin + body_length
            if len(unread) < end:
                break
            frames.append((marshal.loads(unread[head_begin:body_begin]), bytes(unread[body_begin:end])))
            begin = end
        del unread[:begin]
        return frames
