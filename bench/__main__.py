"""``python -m bench``: see docs/experiments, or ``python -m bench --help``."""

import signal
import sys

# Importing takes a second, and nothing is started yet: a Ctrl-C just ends the process.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from bench.command import main  # noqa: E402  after the line above, for its sake

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
