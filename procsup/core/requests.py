"""What a worker may ask of the core about itself and others, over its channel. Names are those of workers.

Links and monitors that are made so belong to this life of the worker, and end with it (DESIGN § 4).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    name: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """For this life also from one to which it is linked by its spec."""

    name: str


@dataclass(frozen=True, slots=True)
class Monitor:
    """`ref`, which the worker chooses, will be in the Down; of one life, no two monitors have the same."""

    name: str
    ref: int


@dataclass(frozen=True, slots=True)
class Demonitor:
    """No Down with this `ref` will be sent. `flush`: nor, if it was sent already, is it to be delivered any more."""

    ref: int
    flush: bool = False


@dataclass(frozen=True, slots=True)
class TrapExits:
    """From now on to be told of exit signals (True), or to be ended by them."""

    on: bool


Request = Link | Unlink | Monitor | Demonitor | TrapExits
"""`whereis` and `send` are none: they change nothing, and the runtime looks the name up (Node.reachable)."""
