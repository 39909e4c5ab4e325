"""The keys that a file may hold: one row for each, with the reader of its value.

What a key is called in the file, the spec's field is called too; a key that the file does not hold has the default of
the field. The keys of a worker that say what it runs are fields of its `Program`; `env_file` is none, but becomes
part of `env`, and `args` a part of `target`. Those that say what it has to do with others are fields of its `Bonds`.
"""

from procsup.config import streams, targets, values
from procsup.config.env_file import env_files
from procsup.config.limits import limits
from procsup.config.ready import ready
from procsup.config.table import Keys
from procsup.core.spec import AutoShutdown, Restart, Strategy

AS_CHILD: Keys = {
    "restart": values.one_of(Restart),
    "significant": values.yes_or_no,
    "shutdown": values.shutdown,
}

SUPERVISOR: Keys = {
    "strategy": values.one_of(Strategy),
    "intensity": values.whole_number,
    "period": values.period,
    "auto_shutdown": values.one_of(AutoShutdown),
    "children": values.names,
    **AS_CHILD,
}

PROGRAM: Keys = {
    "command": values.command,
    "target": targets.function,
    "args": targets.arguments,
    "cwd": values.path,
    "env": values.environment,
    "env_file": env_files,
    "inherit_env": values.yes_or_no,
    "user": values.account,
    "group": values.account,
    "umask": values.umask,
    "nice": values.nice,
    "limits": limits,
    "stdin": streams.stdin,
    "stdout": streams.output,
    "stderr": streams.output,
    "log": streams.log,
}

BONDS: Keys = {
    "links": values.names,
    "monitors": values.names,
    "trap_exits": values.yes_or_no,
    "channel": values.yes_or_no,
}

WORKER: Keys = {
    **PROGRAM,
    **AS_CHILD,
    **BONDS,
    "ready": ready,
    "start_timeout": values.start_timeout,
    "stop_signal": values.stop_signal,
    "normal_exits": values.normal_exits,
}

DAEMON: Keys = {
    "socket": values.socket_path,
    "state_dir": values.path,
    "log_dir": values.path,
    "include": values.globs,
    "root": values.text,
    "preload": targets.modules,
}
