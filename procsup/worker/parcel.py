"""Values on their way from one process to another: pickled, functions included.

What pickle refuses is a function that cannot be imported: a lambda, a closure. All processes of a script are forks of
one interpreter, so such a function can go by value: its code, its defaults and what it has closed over. So, if `step`
is a local variable, Agent.update(agent, lambda n: n + step) does what it does in Elixir. If it is a global one, it
stays behind, and the function finds that of the module of the same name where it arrives.

Open files, locks and sockets cannot be sent. What a process needs of them it inherits, when it is spawned.
"""

import io
import marshal
import pickle
import sys
from importlib import import_module
from types import CellType, FunctionType
from typing import Any

from procsup.worker.values import Crash

_PLAIN = (type(None), bool, int, float, str, bytes)
"""Of which no functions are part: the pickler of its own kind, which a fresh fork would have to copy pages for, is not
needed.
"""

Reason = str | bytes
"""An exit reason on its way: the words as they are, anything else pickled."""


def wrap(value: object) -> bytes:
    """Raises:
    pickle.PicklingError, TypeError, AttributeError: it cannot be pickled; or what its own methods raise.
    """
    if type(value) in _PLAIN:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def unwrap(parcel: bytes) -> object:
    """Raises:
    Exception: what unpickling may raise, for instance when a class is not known here.
    """
    value: object = pickle.loads(parcel)
    return value


def wrap_reason(reason: object) -> Reason:
    """Never fails: what cannot be sent is sent as its description."""
    if type(reason) is str:
        return reason
    try:
        parcel = wrap(reason)
        unwrap(parcel)  # exceptions with arguments of their own can often be pickled, and not unpickled
        return parcel
    except Exception as error:  # noqa: BLE001  # pickling runs code of the user's classes, which may raise anything
        if isinstance(reason, Crash):
            crash = f"{type(reason.exception).__name__}: {_text_of(reason.exception)}"
            return wrap(Crash(RuntimeError(crash), reason.traceback))
        return f"{_text_of(reason)} (which cannot be sent: {_text_of(error)})"


def unwrap_reason(reason: Reason) -> object:
    """Never fails."""
    if isinstance(reason, str):
        return reason
    try:
        return unwrap(reason)
    except Exception as error:  # noqa: BLE001  # as in wrap_reason
        return f"a reason that cannot be read here: {_text_of(error)}"


def _text_of(value: object) -> str:
    try:
        return str(value) if isinstance(value, BaseException) else repr(value)
    except Exception:  # noqa: BLE001  # as in wrap_reason
        return f"a {type(value).__name__}"


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if type(value) is not FunctionType or _is_importable(value):
            return NotImplemented
        code = value.__code__
        skeleton = (marshal.dumps(code), value.__module__, value.__name__, len(code.co_freevars))
        cells = [_contents(cell) for cell in value.__closure__ or ()]
        flesh = (value.__qualname__, value.__defaults__, value.__kwdefaults__, value.__dict__, cells)
        return _make_function, skeleton, flesh, None, None, _fill_function


def _is_importable(function: FunctionType) -> bool:
    found: object = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _contents(cell: CellType) -> tuple[object, ...]:
    """() when the variable has no value yet."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _make_function(code: bytes, module: str, name: str, cells: int) -> FunctionType:
    """First without flesh: a function may have closed over itself."""
    return FunctionType(
        marshal.loads(code), import_module(module).__dict__, name, None, tuple(CellType() for _ in range(cells))
    )


_Flesh = tuple[str, Any, Any, dict[str, Any], list[tuple[object, ...]]]
"""Qualified name, defaults, keyword defaults, attributes, contents of the cells"""


def _fill_function(function: FunctionType, flesh: _Flesh) -> None:
    function.__qualname__, function.__defaults__, function.__kwdefaults__, attributes, cells = flesh
    function.__dict__.update(attributes)
    for cell, contents in zip(function.__closure__ or (), cells, strict=True):
        if contents:
            (cell.cell_contents,) = contents
