"""The warm server: a process beside the daemon that has imported what targets need, and forks them.

A target is a Python function as a worker. To start one costs a fork instead of an interpreter and its imports, and what
was imported is shared memory. It is a spawner (spawner.py): its children are the daemon's own, become what their spec
says in the same way, and instead of executing a program call their function. One server is for all targets.

Whatever `preload` names is imported once. When that fails, the starts that wait for it fail with stage "preload", and
the server ends, so that the next start finds a new one. A target that cannot be imported fails with stage "import".
Both write their traceback to the standard error of the worker.

A target behaves as if `python -c` had called it: return is 0, SystemExit and exceptions as usual, exit handlers run,
threads are waited for, output is flushed. Only the interpreter is not taken apart at the end, which would copy what is
shared. Of the server it keeps what the imports left: modules, exit handlers, the seed of hash(). Handlers of signals
and their mask are as in a new interpreter.
"""

import atexit
import contextlib
import ctypes
import errno
import functools
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import NoReturn

from procsup.runtime.failure import complain
from procsup.runtime.spawner import Failure, Order, take_orders
from procsup.runtime.syscalls import become_dumpable

_INTERRUPTED = 130
"""What a shell makes of an end by SIGINT."""

_FLUSH_FAILED = 120
"""As Python says that its standard output cannot be written at the end."""


def main() -> None:
    """Called with a folder, from which is imported too, and the modules to preload. Returns in the server only."""
    folder, *modules = sys.argv[1:]
    sys.argv[:] = [""]
    sys.path.insert(0, folder)
    place = _Place()
    why = _preload(modules)
    if why:
        take_orders(functools.partial(_refuse, why), until_quiet=True)
        return
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        complain(
            f"preload has started threads ({threads - 1}): workers do not have them, and what they have locked stays "
            "locked there; start threads in the target instead"
        )
    gc.collect()
    gc.freeze()
    take_orders(functools.partial(_live, place))


def _preload(modules: Iterable[str]) -> str:
    """The traceback, or ""."""
    gc.disable()
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001  # also SystemExit: the server is to tell, not to end
            complain(f"cannot preload {module!r}: {type(error).__name__}: {error}")
            return "".join(traceback.format_exception(_without_our_frames(error)))
    return ""


def _refuse(why: str, order: Order, env: dict[bytes, bytes], report: int) -> NoReturn:
    sys.stderr.write(why)
    sys.stderr.flush()
    raise Failure("preload", errno.EINVAL)


# In the child


def _live(place: "_Place", order: Order, env: dict[bytes, bytes], report: int) -> NoReturn:
    assert order.target is not None
    function, arguments = order.target
    become_dumpable()
    place.show(function, env)
    _adopt_environment(env)
    _reset_signals()
    sys.path[0] = os.fsdecode(order.cwd)
    sys.argv[:] = [function]
    gc.enable()
    try:
        call = _bind(_find(function), json.loads(arguments))
    except BaseException as error:  # noqa: BLE001  # whatever an import may raise
        _show(error)
        is_absent = isinstance(error, ModuleNotFoundError | AttributeError)
        raise Failure("import", errno.ENOENT if is_absent else errno.EINVAL) from None
    os.write(report, b"runs\n")
    os.close(report)
    _end(_status_of(call))


def _find(function: str) -> Callable[..., object]:
    module, _, name = function.partition(":")
    found = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    if not callable(found):
        raise TypeError(f"{function} is {found!r:.100}, which cannot be called")
    return found


def _bind(function: Callable[..., object], arguments: list[object] | dict[str, object]) -> Callable[[], object]:
    if isinstance(arguments, dict):
        return functools.partial(function, **arguments)
    return functools.partial(function, *arguments)


def _status_of(call: Callable[[], object]) -> int:
    """The exit status, as of `python -c`."""
    try:
        call()
    except SystemExit as end:
        return _status_of_code(end.code)
    except KeyboardInterrupt as error:
        _show(error)
        return _INTERRUPTED
    except BaseException as error:  # noqa: BLE001  # it is shown as by the interpreter
        _show(error)
        return 1
    return 0


def _status_of_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _end(status: int) -> NoReturn:
    """As the interpreter ends, but for taking itself apart."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        status = _FLUSH_FAILED
    _flush_stderr()
    if status == _INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)


def _show(error: BaseException) -> None:
    kind, shown = type(error), _without_our_frames(error)
    sys.excepthook(kind, shown, shown.__traceback__)
    _flush_stderr()


def _flush_stderr() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()


def _without_our_frames(error: BaseException) -> BaseException:
    """Nor those of importlib that lie between ours and the user's."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename in _OURS:
        frame = frame.tb_next
    return error.with_traceback(frame)


_OURS = (__file__, importlib.__file__, "<frozen importlib._bootstrap>")


def _adopt_environment(env: dict[bytes, bytes]) -> None:
    os.environ.clear()
    os.environb.update(env)
    if env.get(b"PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]  # the server's own, a TextIOWrapper


def _reset_signals() -> None:
    """As in a new interpreter, whatever an import has set."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class _Place:
    """Where the kernel looks for the arguments and the environment of this process (proc_pid_cmdline(5)). A child shows
    there who it is: to people, and to whoever asks whose an orphan is.
    """

    def __init__(self) -> None:
        """Moves the environment elsewhere, for the C library still uses it."""
        for name, value in os.environb.items():
            os.putenv(name, value)
        with open("/proc/self/stat", "rb") as stat:
            fields = stat.read().rpartition(b") ")[2].split()
        self._arguments = int(fields[45]), int(fields[46])
        self._environment = int(fields[47]), int(fields[48])

    def show(self, title: str, env: dict[bytes, bytes]) -> None:
        name = os.fsdecode(env[b"PROCSUP_NAME"]).rpartition("/")[2]
        _overwrite(*self._arguments, [os.fsencode(f"{title} ({name})")])
        first = sorted(env, key=lambda name: not name.startswith(b"PROCSUP_"))
        _overwrite(*self._environment, [name + b"=" + env[name] for name in first])
        with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as comm:
            comm.write(os.fsencode(name)[:15])


def _overwrite(begin: int, end: int, words: Sequence[bytes]) -> None:
    """As many of the words as there is room for. An empty place is none of ours."""
    text = b""
    for word in words:
        if len(text) + len(word) + 1 <= end - begin:
            text += word + b"\0"
    ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)
