"""Kill workers for real: at each point of each step and compensation of place_order, one each.

python -m tests.faults.killing                    all schedules
python -m tests.faults.killing --most 160         so many of them, by the seed's choice
python -m tests.faults.killing ships/hold_stock/after-COMMIT      one, or those it begins
python -m tests.faults.killing --list
"""

import argparse
import random
import shutil
import sys
from pathlib import Path

from sagaworks.testing.servers import PostgreSQL
from tests.faults.killing.run import EACH, Run
from tests.faults.killing.schedules import SCHEDULES
from tests.faults.real.works import Works

OK, FINDINGS = 0, 3


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.killing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="schedules, or what their names begin with")
    parser.add_argument("--most", type=int, default=len(SCHEDULES), help="how many at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311  no secret
    parser.add_argument("--list", action="store_true", help="name the schedules, run none")
    parser.add_argument("--logs", type=Path, help="a folder that the workers' logs are copied to")
    given = parser.parse_args()
    chosen = [s for s in SCHEDULES if s.name.startswith(tuple(given.names or [""]))]
    if not chosen:
        parser.error(f"no schedule begins with {given.names}; --list names them")
    if given.list:
        _say("\n".join(schedule.name for schedule in chosen))
        return OK
    chosen = random.Random(given.seed).sample(chosen, min(given.most, len(chosen)))  # noqa: S311
    _say(f"{len(chosen)} schedules; seed {given.seed}")
    with (
        PostgreSQL.started(fast=True, on_note=_say) as server,
        Works(server) as works,
        works.work(each=EACH) as nursery,
    ):
        outcome = Run(works, nursery, given.seed, _say).run(chosen)
        if given.logs:
            shutil.copytree(works.folder / "logs", given.logs, dirs_exist_ok=True)
    _say(str(outcome))
    for wrong in outcome.wrong:
        _say(f"WRONG {wrong}")
    return FINDINGS if outcome.wrong else OK


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
