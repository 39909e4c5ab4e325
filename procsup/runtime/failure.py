"""Why the daemon cannot run."""


class CannotRun(Exception):
    """`message` reads `cannot <verb> <what>: <why>`, and what to do; `status` is the daemon's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
