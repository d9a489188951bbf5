"""A saga's way painted on its diagram, from the engine's own records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagaworks.picture import draw
from sagaworks.picture.of_trail import of_instance

if TYPE_CHECKING:
    from pathlib import Path

    from sagaworks.history import History
    from sagaworks.testing.saga import RunningSaga


def draw_to(file: Path, saga: RunningSaga, history: History, diagram: str) -> Path:
    """Draw the picture into `file`, beside it the diagram; return the picture's path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".bpmn").write_text(diagram, encoding="utf-8")
    instance = history.instance(saga.key)
    if instance is None:  # its first record is on its way
        picture = draw(file.with_suffix(".bpmn"))
    else:
        picture = of_instance(history, instance, diagram.encode())
    file.write_text(picture, encoding="utf-8")
    return file
