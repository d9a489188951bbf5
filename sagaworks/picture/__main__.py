"""Draw a diagram: ``python -m sagaworks.picture FILE.bpmn [TRAIL.json] > FILE.svg``.

The trail is what ``sagaworks trail KEY --format json`` prints.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sagaworks.diagram import read_diagram
from sagaworks.errors import SagaworksError
from sagaworks.picture import draw, paint_trail


def picture(diagram_path: Path, trail_path: Path | None) -> str:
    """Return the SVG of a diagram, with the way of the trail's saga on it.

    Raises:
        SagaworksError: one of the files isn't what it should be.
    """
    if trail_path is None:
        return draw(diagram_path)
    try:
        entries = json.loads(trail_path.read_bytes())["entries"]
    except (OSError, ValueError, LookupError, TypeError):
        message = "not what `sagaworks trail KEY --format json` prints"
        raise SagaworksError(f"{trail_path}: {message}") from None
    return draw(diagram_path, paint_trail(read_diagram(diagram_path), entries))


def main(arguments: Sequence[str]) -> int:
    """Print the picture; return the exit code."""
    paths = [Path(argument) for argument in arguments]
    if len(paths) not in (1, 2):
        sys.stderr.write("usage: python -m sagaworks.picture FILE.bpmn [TRAIL.json] > FILE.svg\n")
        return 2
    try:
        sys.stdout.write(picture(paths[0], paths[1] if len(paths) > 1 else None))
    except SagaworksError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
