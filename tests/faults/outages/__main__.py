"""Break one thing after the other under load, and say what was seen.

python -m tests.faults.outages                       all of it, as the tests do
python -m tests.faults.outages link-silent --seconds 180
"""

import argparse
import sys
from collections.abc import Callable
from typing import Final

from tests.faults.outages import scenarios
from tests.faults.outages.load import Seen
from tests.faults.outages.stage import Stage, fake_clock, stage
from tests.faults.outages.zombies import zombies

OK, FINDINGS = 0, 3

SCENARIOS: Final[dict[str, Callable[[Stage, float], Seen]]] = {
    "link-cut": lambda on, s: scenarios.link_cut(on.works, s),
    "link-silent": lambda on, s: scenarios.link_silent(on.works, s),
    "engine-killed": lambda on, _: scenarios.engine_killed(on.works, 3),
    "database-restarted": lambda on, _: scenarios.database_restarted(on.works, 4),
    "backpressure": lambda on, s: scenarios.backpressure(on.works, s),
    "terminated": lambda on, _: scenarios.terminated(on.works, 3),
    "zombies": lambda on, _: zombies(on.works, 50),
    "engine-disk-full": lambda on, s: scenarios.engine_disk_full(on.works, on.engines_disk, s),
    "database-disk-full": lambda on, s: scenarios.database_disk_full(
        on.works, on.databases_disk, s
    ),
    "clocks-differ": lambda on, _: scenarios.clocks_differ(on.works, fake_clock(print)),
    "clock-moved": lambda on, _: scenarios.clock_moved(on.works),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.outages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--seconds", type=float, default=15, help="how long a fault lasts")
    given = parser.parse_args()
    if unknown := {*given.names} - SCENARIOS.keys():
        parser.error(f"no such outage: {', '.join(sorted(unknown))}")
    wrong = 0
    with stage(_say) as on:
        for name in given.names or SCENARIOS:
            seen = SCENARIOS[name](on, given.seconds)
            _say(str(seen))
            for each in seen.wrong:
                _say(f"WRONG {name}: {each}")
            wrong += len(seen.wrong)
    return FINDINGS if wrong else OK


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
