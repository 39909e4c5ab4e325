"""procsup: Erlang/OTP supervision for ordinary operating-system processes."""

__version__ = "0.1.0"
