"""What procsup costs, measured beside a floor in C. `python -m tests.bench --help`."""
