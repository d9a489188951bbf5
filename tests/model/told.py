"""What an exploration found, in words."""

from tests.model.explore import Explored


def told(explored: Explored) -> str:
    """One line, and the trace of what is broken."""
    line = (
        f"{explored.scenario.name}, {explored.scenario.budget} faults: {explored.worlds:,} worlds,"
        f" {explored.moves:,} moves, {explored.ends:,} ends, {explored.schedules:.2e} schedules,"
        f" {explored.seconds:.0f} s"
    )
    if not explored.broken:
        return line
    steps = (f"  {number}. {words}" for number, words in enumerate(explored.trace, 1))
    return "\n".join((line, f"BROKEN: {explored.broken}", *steps))
