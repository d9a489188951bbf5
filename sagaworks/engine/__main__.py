"""``python -m sagaworks.engine up``: the commands of `sagaworks engine`, on their own."""

import sys

from sagaworks.cli.engine import app
from sagaworks.errors import SagaworksError

if __name__ == "__main__":
    try:
        app(prog_name="python -m sagaworks.engine")
    except SagaworksError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
