"""``python -m bench.subjects SUBJECT ROLE NAME``: one service of one subject, until it is ended.

Args:
    SUBJECT: its name in the list.
    ROLE: inventory, payments or shipping.
    NAME: what this run calls the service; the first part of its job types.

The engine, the database and the folder of the diagram come by the environment, under the names that
Sagaworks gives them.
"""

import os
import sys
from pathlib import Path

from bench.subjects.listed import BY_NAME, Subject


def main(subject: Subject, role: str, name: str) -> int:
    """Run the service; return its exit code."""
    if subject.kind == "sagaworks":
        return _sagaworks(role, name)
    address = os.environ["ZEEBE_ADDRESS"]
    if subject.kind == "no-op":
        from bench.subjects import no_op  # noqa: PLC0415  a subject carries only its own imports

        no_op.run(role, name, address)
        return 0
    database = os.environ[f"{name.upper()}_DATABASE_URL"]
    if subject.kind == "bare":
        from bench.subjects import bare_step  # noqa: PLC0415

        bare_step.run(role, name, address, database)
        return 0
    if subject.kind == "bare-group":
        from bench.subjects import bare_group  # noqa: PLC0415

        bare_group.run(role, name, address, database)
        return 0
    from bench.subjects import plain_pyzeebe as plain  # noqa: PLC0415

    tunings = {
        "pyzeebe-defaults": plain.Tuning({}),
        "pyzeebe-polling": plain.Tuning(plain.TUNED, threads=plain.THREADS),
        "pyzeebe-tuned": plain.Tuning(plain.TUNED, stream=True, threads=plain.THREADS),
    }
    plain.run(role, name, address, database, tunings[subject.name])
    return 0


def _sagaworks(role: str, name: str) -> int:
    from bench.subjects.sagaworks import service_of  # noqa: PLC0415
    from sagaworks.project import Project  # noqa: PLC0415
    from sagaworks.runtime import worker  # noqa: PLC0415
    from sagaworks.runtime.process import run_worker  # noqa: PLC0415

    if os.environ.get("BENCH_LEDGER") == "none":
        from bench.subjects.without_ledger import WithoutLedger  # noqa: PLC0415

        setattr(worker, "Ledger", WithoutLedger)  # noqa: B010  no type checker would allow it
    # The folder's diagram is checked against the service's code, as everywhere.
    project = Project(Path(os.environ["SAGAWORKS_DATA"]), services=(), diagrams=("*.bpmn",))
    return run_worker(service_of(role, name), project=project)


if __name__ == "__main__":
    sys.exit(main(BY_NAME[sys.argv[1]], *sys.argv[2:]))
