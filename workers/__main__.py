"""``python -m workers inventory``: run one service's worker until it is told to stop."""

import sys

from sagaworks.errors import SagaworksError
from sagaworks.project import Project
from sagaworks.runtime.process import run_worker

USAGE = "usage: python -m workers SERVICE, for example: python -m workers inventory"


def main(arguments: list[str]) -> int:
    """Run the named service's worker; return its exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)  # noqa: T201
        return 2
    try:
        project = Project.load()
        return run_worker(project.service(arguments[0]), project=project)
    except SagaworksError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
