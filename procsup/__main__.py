"""`procsup` and `python -m procsup`.

Imports nothing until it is needed: what is loaded here is loaded by every command, and by everything that `run` forks.
"""

import sys


def main() -> int:
    """Does what the words of the command line say and returns the exit status."""
    try:
        from procsup.cli.program import obey

        return obey(sys.argv[1:])
    except KeyboardInterrupt:  # before `obey` could say so itself
        return 130


if __name__ == "__main__":
    sys.exit(main())
