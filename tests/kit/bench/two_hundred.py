"""Two hundred saga tests, run on demand: ``python tests/kit/bench/measure.py``."""

import os
from pathlib import Path

import pytest

from sagaworks.testing import Zeebe
from tests.kit.bench.shop import DIAGRAM, till


@pytest.mark.parametrize("number", range(200))
def test_a_sale(zeebe: Zeebe, number: int) -> None:
    zeebe.work(till)
    zeebe.deploy(DIAGRAM)

    saga = zeebe.run("sell", article="lamp", cents=1990)

    saga.assert_trail(["take_article", "take_money", "hand_over"])
    note_memory(zeebe)


def note_memory(zeebe: Zeebe) -> None:
    """Leave behind how much memory the engine's process has."""
    if folder := os.environ.get("SAGA_BENCH"):
        pid = getattr(zeebe.engine, "pid", None)
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
        Path(folder, str(os.getpid())).write_text(kilobytes)
