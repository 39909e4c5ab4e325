"""`procsup` and `python -m procsup`.

Imports nothing until it is needed: what is loaded here is loaded by every command, and by everything that `run` forks.
"""

import sys


def main() -> int:
    """Does what the words of the command line say and returns the exit status."""
    try:
        if "run" in sys.argv[1:]:
            return _run()

        from procsup.cli.program import obey

        return obey(sys.argv[1:])
    except KeyboardInterrupt:  # before `obey` could say so itself
        return 130


def _run() -> int:
    from procsup.cli.forerunner import send_ahead
    from procsup.cli.terminal import prepare

    prepare()
    errand = send_ahead(sys.argv[1:])
    if isinstance(errand, int):
        return errand

    from procsup.cli.launch import launch

    return launch(errand)


if __name__ == "__main__":
    sys.exit(main())
