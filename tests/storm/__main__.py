"""A storm over place_order: thousands of sagas, and everything that they need breaks.

python -m tests.storm                       10,000 sagas
python -m tests.storm --sagas 500 --seed 7 --rate 8
"""

import argparse
import random
import sys

from sagaworks.testing.servers import MariaDB, PostgreSQL
from tests.faults.real.works import Works
from tests.storm.storm import EACH, Storm

OK, FINDINGS = 0, 3


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.storm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sagas", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=20.0, help="sagas a second, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311  no secret
    given = parser.parse_args()
    _say(f"{given.sagas} sagas, {given.rate:g} a second at most; seed {given.seed}")
    with (
        PostgreSQL.started(fast=True, on_note=_say) as postgresql,
        MariaDB.started(fast=True, on_note=_say) as mariadb,
        Works(postgresql, also=mariadb) as works,
        works.work(each=EACH) as nursery,
    ):
        aftermath = Storm(works, nursery, given.seed, given.rate, _say).run(given.sagas)
    _say(str(aftermath))
    for wrong in aftermath.wrong[:100]:
        _say(f"WRONG {wrong}")
    return FINDINGS if aftermath.wrong else OK


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
