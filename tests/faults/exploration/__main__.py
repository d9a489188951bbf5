"""`make faults`, or `python -m tests.faults.exploration`."""

import sys

from tests.faults.exploration.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
