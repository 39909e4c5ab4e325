"""The library for programs whose processes are to know of each other's deaths: Elixir's Process, Task, GenServer, Agent
and Task.Supervisor, over real OS processes, with or without the daemon. Elixir's documentation holds, but for what
follows; words that are keywords in Python end with an underscore (Task.async_, Task.await_), `self` is self_.

    from procsup.worker import Task, receive, send, self_

    task = Task.async_(fetch, url)              # a fork of this process, linked to it
    page = Task.await_(task, timeout=10)        # its value; if it has crashed: Exit, with its traceback

**Who there is.** The *script* is the process that uses the library first. What it spawns, and what these spawn, are its
processes: forks, that run a function each. Beside them there is the *node*, a small process of the library's own, which
runs no user's code. Every process has one stream to the node and no other, over which messages, links, monitors and
exit signals go; so all of these hold between any two processes of a script, in the order in which they were sent. The
node sees each death by a pidfd, at once, whatever anybody else is doing; it kills what a link condemns, be it stuck in
C or stopped, and tells the others when that is really gone. An address (Pid) is the kernel's number and the time of
birth.

**Who knows the reason.** A process tells the node its exit reason before it ends. Of one that could not (a signal,
os._exit) the node reads it from the zombie, and only then tells the parent to reap it: nobody but the parent waits, and
it waits for this very number. If the parent is dead too, someone else may have reaped first: "noconnection".

**Who outlives whom.** No process outlives the one that spawned it, since only that can wait for it. At its end its
children get an exit signal, and five seconds if they trap it; it waits for them. So nobody outlives the script, however
that ends; and if the node dies, the kernel kills all of its processes (F_SETSIG on a pipe), and the script gets
Exit("noconnection").

**What travels.** A function that is spawned finds all that its parent has, as of then: that is fork, and nothing is
pickled. Messages, values of tasks, requests and replies are pickled, lambdas and closures included, but for the globals
of a function, which are those where it runs (parcel.py). To workers of the tree goes JSON.

**Where OS processes differ from Elixir's**

- A spawned process ends with its parent (Elixir: only if linked to it), also the task of a TaskSupervisor.
- An exit signal that is not trapped is SIGKILL: nothing is cleaned up, buffers are not flushed. It strikes the process,
  not the programs which that has started by other means. The script itself is not killed: Exit is raised in its main
  thread, as KeyboardInterrupt is for ^C; and who catches it lives on.
- A Down says that the process is gone for the kernel, too; Elixir's only that it takes part in nothing any more.
- Exit reasons that are atoms in Elixir are strings; a reason may also be the kernel's, "signal SIGSEGV" (values.py).
- Time is in seconds. `receive` raises TimeoutError. Names are those of the tree; processes and servers of a script
  have none.
- A process has one mailbox, and one thread that uses the library, outside of handlers of signals. To wait for a socket
  without being deaf to messages there is when_readable.

**With a daemon.** A worker with a channel calls attach(). Then send, link, monitor and whereis take names of the tree,
`ready` tells the daemon that it is up, the messages of others arrive in the same mailbox (channel.py), and supervisors
of the tree can be asked for their children (supervisor.py).

The modules: process.py, task.py (with task_stream.py), gen_server.py, agent.py, task_supervisor.py and supervisor.py
are what programs see; values.py what they match. Beneath: mailbox.py (what has come), connection.py and channel.py
(from where), spawn.py (fork and wait), node.py (what follows from what) and node_process.py (which does it), frames.py
and parcel.py (how it travels).
"""

from procsup.worker.process import (
    Process,
    cancel_timer,
    demonitor,
    link,
    monitor,
    receive,
    self_,
    send,
    send_after,
    trap_exits,
    unlink,
    when_readable,
    whereis,
)
from procsup.worker.values import (
    Answer,
    Continue,
    Crash,
    Down,
    Exit,
    Exited,
    Message,
    NoChannel,
    Ok,
    Pid,
    Readable,
    Refused,
    StartFailed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from procsup.worker.agent import Agent
    from procsup.worker.channel import attach, ready
    from procsup.worker.gen_server import From, GenServer, NoReply, Reply, Stop
    from procsup.worker.supervisor import Child, Supervisor
    from procsup.worker.task import Task
    from procsup.worker.task_supervisor import TaskSupervisor

__all__ = [
    "Agent", "Answer", "Child", "Continue", "Crash", "Down", "Exit", "Exited", "From", "GenServer", "Message",
    "NoChannel", "NoReply", "Ok", "Pid", "Process", "Readable", "Refused", "Reply", "StartFailed", "Stop", "Supervisor",
    "Task", "TaskSupervisor", "attach", "cancel_timer", "demonitor", "link", "monitor", "ready", "receive", "self_",
    "send", "send_after", "trap_exits", "unlink", "when_readable", "whereis",
]  # fmt: skip

_LATER = {
    "Agent": "agent",
    "From": "gen_server",
    "GenServer": "gen_server",
    "NoReply": "gen_server",
    "Reply": "gen_server",
    "Stop": "gen_server",
    "Child": "supervisor",
    "Supervisor": "supervisor",
    "Task": "task",
    "TaskSupervisor": "task_supervisor",
    "attach": "channel",
    "ready": "channel",
}
"""What is imported when it is asked for: a worker starts as fast as what it uses."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
