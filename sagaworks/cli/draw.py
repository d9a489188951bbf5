"""`sagaworks draw`: a diagram as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def draw(
    diagram: Annotated[Path, typer.Argument(help="A .bpmn file.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="An .svg or a .png; without it the SVG is printed."),
    ] = None,
    scale: Annotated[
        float, typer.Option(min=0.1, max=8, help="Pixels of a PNG for one of the drawing.")
    ] = 2.0,
) -> None:
    """Draw a diagram as the Modeler lays it out; a PNG is made by Chromium, if it's there."""
    from sagaworks.cli.pictures import write_picture
    from sagaworks.errors import ContractError
    from sagaworks.picture import draw as drawn

    svg = drawn(diagram)
    if "data-element-id" not in svg:
        remedy = "it says what follows what, but not where; draw it in the Modeler, and save it"
        raise ContractError(f"{diagram}: has no layout: {remedy}")
    write_picture(svg, output, scale=scale)
