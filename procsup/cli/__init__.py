"""Floor 4: the command line. Words in, words out: click, drawings and exit statuses, and no decision of supervision.

Every command but `run` and `check` is a client of the daemon's socket. Their path stays light: it loads neither core
nor config nor the daemon, so that `procsup status` answers before a person notices.
"""
