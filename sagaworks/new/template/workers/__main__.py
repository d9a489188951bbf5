"""``python -m workers SERVICE``: run one service's worker until it is told to stop.

Without a name every service's worker runs, each in a process of its own: for this machine only.
"""

import os
import signal
import subprocess
import sys

from sagaworks import SagaworksError
from sagaworks.project import Project
from sagaworks.runtime.process import run_worker


def main(names: list[str]) -> int:
    """Run the named service's worker, or every service's; return the exit code."""
    try:
        project = Project.load()
        if len(names) == 1:
            return run_worker(project.service(names[0]), project=project)
        return run_each([*(names or project.service_names())])
    except SagaworksError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def run_each(names: list[str]) -> int:
    """Run these services' workers until Ctrl-C, or until one of them ends by itself."""
    workers = [subprocess.Popen([sys.executable, "-m", "workers", name]) for name in names]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        code = 1
    except KeyboardInterrupt:
        code = 0
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C doesn't wait for them
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
