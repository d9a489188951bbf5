"""`python -m tests.model [NAME] [--faults N]`: explore, and say what was found."""

import argparse
import sys

from tests.model.explore import explore
from tests.model.scenario import Bug
from tests.model.scenarios import SCENARIOS
from tests.model.told import told


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("names", nargs="*", help="which scenarios; all of them by default")
    parser.add_argument("--faults", type=int, help="how many faults a run may meet")
    parser.add_argument("--bug", type=Bug.__getitem__, help="plant a bug")
    parser.add_argument("--at-most", type=int, default=10_000_000, help="worlds, each scenario")
    options = parser.parse_args()
    for scenario in SCENARIOS:
        if options.names and scenario.name not in options.names:
            continue
        budget = options.faults or scenario.budget
        explored = explore(scenario._replace(budget=budget, bug=options.bug), options.at_most)
        sys.stdout.write(told(explored) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
