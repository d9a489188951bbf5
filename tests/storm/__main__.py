"""A storm over place_order: thousands of sagas, and everything that they need breaks.

python -m tests.storm                       10,000 sagas
python -m tests.storm --sagas 500 --seed 7 --rate 8
"""

import argparse
import random
import sys

from sagaworks.testing.servers import MariaDB, PostgreSQL
from tests.faults.real.works import Works
from tests.storm.storm import EACH, Aftermath, Storm

OK, FINDINGS = 0, 3

SHOWN = 100
"""Violations shown."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.storm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sagas", type=int, default=10_000)
    parser.add_argument(
        "--rate",
        type=float,
        default=20.0,
        help="sagas a second, at most; never more than half of what is measured in calm",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311  no secret
    given = parser.parse_args()
    repeat = f"make storm SAGAS={given.sagas} RATE={given.rate:g} SEED={given.seed}"
    _say(repeat)
    with (
        PostgreSQL.started(fast=True, on_note=_say) as postgresql,
        MariaDB.started(fast=True, on_note=_say) as mariadb,
        Works(postgresql, also=mariadb) as works,
        works.work(each=EACH) as nursery,
    ):
        aftermath = Storm(works, nursery, given.seed, given.rate, _say).run(given.sagas)
    _tell(aftermath)
    _say(f"again: {repeat}")
    return FINDINGS if aftermath.wrong else OK


def _tell(aftermath: Aftermath) -> None:
    for wrong in aftermath.wrong[:SHOWN]:
        _say(f"WRONG {wrong}")
    if len(aftermath.wrong) > SHOWN:
        _say(f"… and {len(aftermath.wrong) - SHOWN} more")
    _say(str(aftermath))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
