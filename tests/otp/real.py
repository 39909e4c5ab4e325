"""Plays a scenario of the OTP conformance vectors to the real daemon, with real processes, and reports the trace.

    run(scenario, folder) -> trace       `folder` is empty, and its path short: the daemon's socket is in it
    why_not(scenario) -> str             why a scenario cannot be played so, or ""

It translates, as adapter.py does for the core, and decides nothing.

Names. A path's ids are unique only among siblings, procsup's names in the whole tree: "root/s/a" is named "root.s.a".

Workers. Each is a shell that waits at its FIFO for the words how to end; so the exits of the scenario are the worker's
own, and no pid is needed. When the FIFOs are gone, as they are when the harness is, every worker ends. "Ended because
it was asked to, not by its supervisor" is death by SIGTERM, which `normal_exits` declares. One that ignores the stop
request has a stop signal that the kernel ignores for it, from its first instruction on.

Failing starts. That the n-th attempt fails and the next does not has to be arranged between the two, which are one
breath of the daemon: see Gates.

Times. Nothing sleeps here, so no restart ever leaves its window: periods are hours, lest a slow machine make a
difference.

Events. They come by subscription, but for those of the first start, which are over before anybody can subscribe: the
daemon tells them on its standard error. The tree is quiescent when every death that was caused has been told, and
`status` shows no child on its way; its answer also proves that no event is outstanding.

Not expressible: `during` and `sleep`; `crash` and `done`, deaths whose moment we do not control; simultaneous exits in
another order than that of start, in which the runtime sorts them; trees that the configuration refuses; and what
the call start_child has no words for (supervisors, `significant`, `shutdown`).
"""

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from procsup.wire.jsonrpc import encode_request

Json = Any

DEADLINE = 20.0
"""Seconds for anything to happen, on the slowest machine."""

SHELL = "/bin/sh"
OBEY = """shift $(($# - 1))
read how <"$1.fifo" || exit 3
case $how in
[0-9]*) exit "$how" ;;
*) kill -"$how" $$ ;;
esac
"""

ENDS = {"normal": "0", "shutdown": "TERM", "error": "1", "kill": "KILL"}
REASONS = {"normal": "normal", "shutdown": "normal", "error": "exit 1", "kill": "signal SIGKILL"}
"""How the daemon has to call what the scenario calls so."""


class NoLeases(Exception):
    """The file system of the folder grants none (see Gates): failing starts cannot be played here."""


def why_not(scenario: Json) -> str:
    """Why the scenario cannot be played with real processes, in a few words, or "" when it can."""
    steps = (_why_not_step(scenario, step) for step in scenario["steps"])
    return next(filter(None, steps), "") or _why_not_tree([node for _, node in declared(scenario)])


def _why_not_step(scenario: Json, step: Json) -> str:
    match step:
        case {"during": _}:
            return "during"
        case {"op": "sleep"}:
            return "sleep"
        case {"op": "start_child", "spec": spec} if not _is_plain_worker(spec):
            return "start_child of more than a plain worker"
        case {"op": "exit_many", "exits": exits} if not _is_in_start_order(scenario, exits):
            return "exits in another order than that of start"
        case _:
            return ""


def _why_not_tree(nodes: list[Json]) -> str:
    workers = [node for node in nodes if node["type"] == "worker"]
    if any({"crash", "done"} & set(worker.get("start", ())) for worker in workers):
        return "crash or done"
    if not workers or any(node["type"] == "supervisor" and _is_refused(node) for node in nodes):
        return "a tree that the configuration refuses"
    return ""


def _is_plain_worker(node: Json) -> bool:
    if node["type"] != "worker" or node["significant"] or node.get("ignore_shutdown"):
        return False
    return node["shutdown"] in (5000, "infinity")


def _is_in_start_order(scenario: Json, exits: list[Json]) -> bool:
    paths = [path for path, _ in declared(scenario)]
    ending = [one["child"] for one in exits]
    if any(paths.count(path) > 1 for path in ending):
        return False  # declared again, so perhaps at another place
    return ending == sorted(ending, key=paths.index)


def _is_refused(supervisor: Json) -> bool:
    ids = [child["id"] for child in supervisor["children"]]
    never = supervisor["auto_shutdown"] == "never"
    return len(set(ids)) < len(ids) or any(
        child["significant"] and (never or child["restart"] == "permanent") for child in supervisor["children"]
    )


def declared(scenario: Json) -> Iterator[tuple[str, Json]]:
    """Every path with its node, in start order: those of the tree, then those that start_child declares."""
    tops = [(scenario["tree"]["id"], scenario["tree"])]
    for step in scenario["steps"]:
        if step["op"] == "start_child":
            tops.append((f"{step['supervisor']}/{step['spec']['id']}", step["spec"]))
    for path, top in tops:
        yield from _below(path, top)


def _below(path: str, node: Json) -> Iterator[tuple[str, Json]]:
    yield path, node
    for child in node.get("children", ()):
        yield from _below(f"{path}/{child['id']}", child)


def run(scenario: Json, folder: Path) -> Json:
    """The trace of the scenario, in the format of the vectors' README.

    Raises:
        NoLeases: the scenario has failing starts, and `folder` is in the wrong place.
        AssertionError: something did not happen in time, or the daemon refused the tree; with what it told.
    """
    with contextlib.ExitStack() as stack:
        gates = stack.enter_context(contextlib.closing(Gates(folder)))
        workers = stack.enter_context(contextlib.closing(Workers(scenario, folder, gates)))
        tree = folder / "tree.toml"
        tree.write_text("\n".join(toml(scenario["tree"], scenario["tree"]["id"], workers)), encoding="utf-8")
        daemon = stack.enter_context(contextlib.closing(Daemon(tree, folder, gates)))
        world = World(scenario, daemon, workers)
        steps = [world.start()]
        steps += [world.step(step) for step in scenario["steps"]]
        return {"name": scenario["name"], "steps": steps}


class World:
    """The daemon, its workers, and what has been seen of them."""

    def __init__(self, scenario: Json, daemon: "Daemon", workers: "Workers") -> None:
        self._daemon = daemon
        self._workers = workers
        self._root: str = scenario["tree"]["id"]
        self._declared = dict.fromkeys(path for path, _ in _below(self._root, scenario["tree"]))
        self._added = {path for path, _ in declared(scenario)} - self._declared.keys()
        self._starts: Counter[str] = Counter()
        self._rows: dict[str, Json] = {}
        """What `status` showed when the tree was quiescent last."""
        self._expected: dict[str, str] = {}
        """The workers whose death was caused and is yet to be told, with the scenario's reason."""
        self._events: list[str] = []
        self._notes: list[str] = []

    # Steps

    def start(self) -> Json:
        self._daemon.wait(lambda: self._is_up() or self._daemon.has_ended, "the first start")
        for line in self._daemon.words:
            self._log_told(line)
        if self._daemon.has_ended:
            assert self._daemon.status == START_FAILED, self._daemon.story("cannot play the scenario")
            return self._report("start", {"error": start_error(self._daemon.words[-1], self._root)})
        self._daemon.connect()
        self._daemon.call("events")
        self._settle()
        return self._report("start", "ok")

    def step(self, step: Json) -> Json:
        self._events, self._notes, op = [], [], step["op"]
        match op:
            case "exit":
                [result] = self._exit([step])
            case "exit_many":
                result = self._exit(step["exits"])
            case "stop":
                result = self._stop()
            case _:
                result = self._call(step)
        self._settle()
        return self._report(op, result)

    def _exit(self, exits: list[Json]) -> list[Json]:
        """Let the workers end. Several are dead before the daemon, which is stopped meanwhile, learns of any."""
        for one in exits:
            if self._is_running(one["child"]) and self._workers.has(one["child"]):
                self._expected.setdefault(one["child"], one["reason"])
        ending = dict(self._expected)
        with self._daemon.stopped() if len(exits) > 1 and ending else contextlib.nullcontext():
            for path, reason in ending.items():
                self._workers.end(path, self._how(path, reason))
            if len(exits) > 1:
                wait_for_death(self._rows[path]["pid"] for path in ending)
        self._daemon.wait(self._are_all_deaths_told, f"the deaths of {', '.join(ending)}")
        return ["ok" if ending.pop(one["child"], None) else {"error": "not_running"} for one in exits]

    def _how(self, path: str, reason: str) -> str:
        """A child that was added has the default `normal_exits`: it is asked to end with 0."""
        return "0" if reason == "shutdown" and path in self._added else ENDS[reason]

    def _are_all_deaths_told(self) -> bool:
        self._take_events()
        return not self._expected or self._daemon.has_ended

    def _stop(self) -> Json:
        if self._daemon.has_ended:
            return {"error": "noproc"}
        self._daemon.call("shutdown")
        return "ok"

    def _call(self, step: Json) -> Json:
        match step:
            case {"op": "start_child", "supervisor": above, "spec": spec}:
                path = f"{above}/{spec['id']}"
                self._declared[path] = None
                command = self._workers.command(path, spec)
                params = {"supervisor": name(above), "name": name(path), "command": command, "restart": spec["restart"]}
            case {"op": "delete_child", "child": path}:
                above, params = path.rpartition("/")[0], {"names": [name(path)]}
            case {"child": path}:
                above, params = path.rpartition("/")[0], {"name": name(path)}
        if self._daemon.has_ended:
            return {"error": "noproc"}
        answer = self._daemon.call(step["op"], **params)
        [result] = answer.get("results", [answer])
        return "ok" if result.get("ok") else {"error": self._error(result, path, above)}

    def _error(self, failure: Json, path: str, above: str) -> Json:
        """The failure of a call as the term of OTP's."""
        if failure["kind"] == "no_such_name":
            return "not_found" if self._is_running(above) else "noproc"
        if failure["kind"] == "failed":
            return start_error(failure["message"], path)
        for words, error in REFUSALS.items():
            if words in failure["message"]:
                return error
        return failure["message"]

    # What is seen

    def _is_up(self) -> bool:
        return any(told_event(line) == f"start:{self._root}" for line in self._daemon.words)

    def _is_running(self, path: str) -> bool:
        return not self._daemon.has_ended and self._rows.get(path, {}).get("state") == "running"

    def _settle(self) -> None:
        """Until the tree is quiescent, or down."""
        while not self._daemon.has_ended:
            status = self._daemon.call("status")
            if "tree" in status:
                self._rows = {path_of(row["path"]): row for row in status["tree"]}
                if all(row["state"] in ("running", "down") for row in self._rows.values()):
                    break
                self._daemon.wait(lambda: bool(self._daemon.events) or self._daemon.has_ended, "the tree to settle")
            self._take_events()
        self._take_events()

    def _take_events(self) -> None:
        while self._daemon.events:
            event = self._daemon.events.popleft()
            self._log(path_of(event["path"]), event)

    def _log_told(self, line: str) -> None:
        event = told_event(line)
        if event is not None:
            self._events.append(event)
            if event.startswith("start:"):
                self._starts[event.partition(":")[2]] += 1

    def _log(self, path: str, event: Json) -> None:
        match event:
            case {"event": "started"} | {"event": "ready", "type": "supervisor"}:
                self._starts[path] += 1
                self._events.append(f"start:{path}")
            case {"event": "start_failed"}:
                self._events.append(f"start_failed:{path}")
            case {"event": "exited", "type": "supervisor"}:
                self._events.append(f"exited:{path}:shutdown")
            case {"event": "exited", "reason": reason}:
                scripted = self._expected.pop(path, "")
                self._events.append(f"exited:{path}:{scripted if REASONS.get(scripted) == reason else reason}")
            case {"event": "stopped", "how": how}:
                self._events.append(f"stop:{path}:{how}")
            case {"event": "gave_up"}:
                self._notes.append(f"max_intensity:{path}")
            case {"event": "auto_shutdown"}:
                self._notes.append(f"auto_shutdown:{path}")

    def _report(self, op: str, result: Json) -> Json:
        status = self._daemon.status if self._daemon.has_ended else None
        reason = None if status is None else EXIT_REASONS.get(status, f"exit status {status}")
        return {
            "op": op,
            "result": result,
            "events": self._events,
            "root": {"alive": status is None, "exit_reason": reason},
            "snapshot": {path: {"state": self._state(path), "starts": self._starts[path]} for path in self._declared},
            "notes": self._notes,
        }

    def _state(self, path: str) -> str:
        if self._is_running(path):
            return "running"
        above = path.rpartition("/")[0]
        return "stopped" if path in self._rows and self._is_running(above) else "gone"


REFUSALS = {
    "it is running": "running",
    "it is about to be restarted": "restarting",
    "already_started": "already_started",
    "already_present": "already_present",
    "its supervisor is not running": "noproc",
    "it is a worker, not a supervisor": "noproc",
}
"""The words of a refusal → OTP's error. On the wire there is only prose to tell them apart."""

START_FAILED = 69
EXIT_REASONS = {0: "shutdown", START_FAILED: "start_failed", 70: "shutdown"}

TOLD = (
    ("started, pid ", "start:{}"),
    ("is up", "start:{}"),
    ("cannot start: ", "start_failed:{}"),
    ("killed at once", "stop:{}:brutal_kill"),
    ("killed: ", "stop:{}:killed"),
    ("stopped", "stop:{}:shutdown"),
)
TOLD_LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3}  (\S+) +(.*)")


def told_event(line: str) -> str | None:
    """The event of the trace that a line of the daemon's standard error tells."""
    told = TOLD_LINE.fullmatch(line)
    if told is None or told[1] == "procsup":
        return None
    return next((event.format(told[1].replace(".", "/")) for words, event in TOLD if told[2].startswith(words)), None)


def start_error(words: str, path: str) -> Json:
    """What OTP says when `path` could not start, from procsup's words, which name the innermost child that failed."""
    failed = re.findall(r"(?:failed_to_start_child|its child) (\S+)", words)
    error: Json = "init_failed"
    below = failed[-1].split(".")[path.count("/") + 1 :] if failed else []
    for child in reversed(below):
        error = ["failed_to_start_child", child, error]
    return error


def name(path: str) -> str:
    return path.replace("/", ".")


def path_of(path: str) -> str:
    """The scenario's path, from procsup's."""
    return path.rpartition("/")[2].replace(".", "/")


# The tree


def toml(node: Json, path: str, workers: "Workers") -> Iterator[str]:
    if node["type"] == "supervisor":
        children = [f"{path}/{child['id']}" for child in node["children"]]
        yield f'[supervisor."{name(path)}"]'
        yield f'strategy = "{node["strategy"]}"'
        yield f"intensity = {node['intensity']}"
        yield f'period = "{node["period"]}h"'
        yield f'auto_shutdown = "{node["auto_shutdown"]}"'
        yield f"children = {json.dumps([name(child) for child in children])}"
    else:
        children = []
        yield f'[worker."{name(path)}"]'
        yield f"command = {json.dumps(workers.command(path, node))}"
        yield 'normal_exits = [0, "SIGTERM"]'
        yield f"shutdown = {json.dumps(shutdown(node['shutdown']))}"
        if node.get("ignore_shutdown"):
            yield 'stop_signal = "SIGURG"'
    if "restart" in node:
        yield f'restart = "{node["restart"]}"'
    if node.get("significant"):
        yield "significant = true"
    yield ""
    for child, below in zip(node.get("children", ()), children, strict=True):
        yield from toml(child, below, workers)


def shutdown(milliseconds: int | str) -> str:
    return f"{milliseconds}ms" if isinstance(milliseconds, int) else milliseconds


# The workers


class Workers:
    """What the workers run, and the FIFOs at which they wait."""

    def __init__(self, scenario: Json, folder: Path, gates: "Gates") -> None:
        self._folder = folder
        self._gates = gates
        self._failing = {path for path, node in declared(scenario) if "fail" in node.get("start", ())}
        self._programs = 0
        self._fifos: dict[str, int] = {}
        (folder / "obey").write_text(OBEY)
        for path, node in declared(scenario):
            if node["type"] == "worker" and path not in self._fifos:
                os.mkfifo(self._fifo(path), 0o600)
                self._fifos[path] = os.open(self._fifo(path), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def command(self, path: str, node: Json) -> list[str]:
        """Each declaration of a path that ever fails has a program of its own, behind a gate."""
        place = str(self._folder / name(path))
        if path not in self._failing:
            return [SHELL, str(self._folder / "obey"), place]
        self._programs += 1
        program = self._folder / f"program{self._programs}"
        self._gates.guard(program, path, node.get("start", ["ok"]))
        return [str(program), place]

    def has(self, path: str) -> bool:
        """Whether it is the path of a worker."""
        return path in self._fifos

    def end(self, path: str, how: str) -> None:
        """It is running, and ends as soon as it reads this."""
        os.write(self._fifos[path], f"{how}\n".encode())

    def close(self) -> None:
        """A worker that is left reads the end of its FIFO, or finds none: it ends."""
        for path in self._fifos:
            self._fifo(path).unlink()
        for fd in self._fifos.values():
            os.close(fd)

    def _fifo(self, path: str) -> Path:
        return self._folder / f"{name(path)}.fifo"


class Gates:
    """Stand before programs, and know of every attempt to execute one before it succeeds or fails.

    A program is a script, and its inode is under a write lease (fcntl(2), F_SETLEASE) of ours. So execve(2) has the
    kernel open it, which breaks the lease: it blocks, and we get SIGIO. Whether the script's interpreter exists is then
    arranged for this attempt; the path gets a new inode, under a new lease, for the next; and this one is let pass.

    Owns SIGIO and the wake-up descriptor of this process while it is open: for the main thread only.
    """

    def __init__(self, folder: Path) -> None:
        self._obey = folder / "obey"
        self._scripts: dict[Path, tuple[str, list[str]]] = {}
        self._leases: dict[Path, int] = {}
        self._attempts: Counter[str] = Counter()
        self.knocks, self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._old_handler = signal.signal(signal.SIGIO, lambda number, frame: None)

    def guard(self, program: Path, path: str, script: list[str]) -> None:
        """The n-th attempt at `path`, by this program or another, has the n-th outcome of `script`, or the last one.

        Raises:
            NoLeases
        """
        self._scripts[program] = path, script
        self._leases[program] = self._put(program)

    def answer(self) -> None:
        """Somebody has knocked."""
        os.read(self.knocks, 4096)
        for program, lease in self._leases.items():
            if fcntl.fcntl(lease, fcntl.F_GETLEASE) != fcntl.F_WRLCK:
                self._arrange_attempt(program)
                self._leases[program] = self._put(program)
                os.close(lease)

    def close(self) -> None:
        for fd in self._leases.values():
            os.close(fd)
        signal.set_wakeup_fd(self._old_wakeup)
        signal.signal(signal.SIGIO, self._old_handler)  # its default is to kill; no lease is left to cause one
        os.close(self.knocks)
        os.close(self._wakeup)

    def _arrange_attempt(self, program: Path) -> None:
        path, script = self._scripts[program]
        self._attempts[path] += 1
        interpreter = self._interpreter(program)
        interpreter.unlink(missing_ok=True)
        if script[min(self._attempts[path], len(script)) - 1] == "ok":
            interpreter.symlink_to(SHELL)

    def _put(self, program: Path) -> int:
        """A new inode at this path, and the lease of it."""
        new = program.with_suffix(".new")
        new.write_text(f"#!{self._interpreter(program)} {self._obey}\n")
        new.chmod(0o700)
        lease = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            os.close(lease)
            raise NoLeases(f"cannot have a lease of {str(new)!r}: {error.strerror}") from None
        new.rename(program)
        return lease

    def _interpreter(self, program: Path) -> Path:
        return program.with_suffix(".shell")


# The daemon


class Daemon:
    """The process, its standard error and our connection to it. `words` and `events` are what it has told so far."""

    def __init__(self, tree: Path, folder: Path, gates: Gates) -> None:
        self.words: list[str] = []
        self.events: deque[Json] = deque()
        self._socket_path = str(folder / "socket")
        self._socket: socket.socket | None = None
        self._answers: dict[int, Json] = {}
        self._calls = 0
        self._lines = {"words": b"", "wire": b""}
        places = ["--socket", self._socket_path, "--state-dir", str(folder / "state"), "--log-dir", str(folder / "log")]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "procsup", "run", str(tree), *places],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stderr is not None
        self._stderr = self._process.stderr
        self._gates = gates
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._watch(gates.knocks, gates.answer)
        self._watch(self._stderr.fileno(), self._read_words)

    @property
    def has_ended(self) -> bool:
        """Nothing more comes from it."""
        return not self._handlers.keys() - {self._gates.knocks}

    @property
    def status(self) -> int:
        """Its exit status, once it has ended."""
        return self._process.wait(DEADLINE)

    def connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE)
        self._socket.connect(self._socket_path)
        self._watch(self._socket.fileno(), self._read_wire)

    def call(self, method: str, **params: Json) -> Json:
        """The result, or the failure as a result has it; {} when the daemon has ended instead of answering."""
        assert self._socket is not None
        self._calls += 1
        number = self._calls
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(encode_request(method, params, number))
        self.wait(lambda: number in self._answers or self.has_ended, f"the answer to {method} {params}")
        return self._answers.pop(number, {})

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Serve whatever comes, until it is so."""
        end = time.monotonic() + DEADLINE
        while not is_so():
            left = end - time.monotonic()
            assert left > 0, self.story(f"in vain waited for {what}")
            for fd, _ in self._poll.poll(left * 1000):
                if fd in self._handlers:
                    self._handlers[fd]()

    def story(self, complaint: str) -> str:
        return "\n".join([complaint, *self.words])

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The daemon does nothing meanwhile, and takes what happens as one sweep."""
        pid = self.call("version")["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            end = time.monotonic() + DEADLINE
            while state_of(pid) != "T":
                assert time.monotonic() < end, self.story("cannot stop the daemon")
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """In order if it can be had, else at once."""
        if not self.has_ended:
            self._process.terminate()
            with contextlib.suppress(AssertionError):
                self.wait(lambda: self.has_ended, "the daemon to end")
        self._process.kill()
        self._process.wait(DEADLINE)
        self._stderr.close()
        if self._socket is not None:
            self._socket.close()

    def _watch(self, fd: int, handler: Callable[[], None]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def _forget(self, fd: int) -> None:
        del self._handlers[fd]
        self._poll.unregister(fd)

    def _read_words(self) -> None:
        data = os.read(self._stderr.fileno(), 65536)
        self.words += [line.decode("utf-8", "replace") for line in self._whole_lines("words", data)]
        if not data:
            self._forget(self._stderr.fileno())

    def _read_wire(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:  # it went while a call of ours was still unread
            data = b""
        for line in self._whole_lines("wire", data):
            message = json.loads(line)
            if "id" not in message:
                self.events.append(message["params"])
            elif "result" in message:
                self._answers[message["id"]] = message["result"]
            else:
                error = message["error"]
                self._answers[message["id"]] = {"ok": False, "message": error["message"], **error["data"]}
        if not data:
            self._forget(self._socket.fileno())

    def _whole_lines(self, source: str, data: bytes) -> list[bytes]:
        *lines, self._lines[source] = (self._lines[source] + data).split(b"\n")
        return lines


def state_of(pid: int) -> str:
    """proc_pid_stat(5)"""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(") ")[2][0]


def wait_for_death(pids: Iterable[int]) -> None:
    """Until these processes, which somebody else will reap, are dead."""
    for pid in pids:
        pidfd = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            assert poll.poll(DEADLINE * 1000), f"in vain waited for the death of {pid}"
        finally:
            os.close(pidfd)
