"""Where a command's picture goes: into a file of the kind its name says, or to the terminal."""

from __future__ import annotations

from pathlib import Path

import typer

KINDS = (".svg", ".png")


def write_picture(svg: str, output: Path | None, *, scale: float = 2.0) -> None:
    """Write the picture into the file, or print the SVG.

    Raises:
        typer.BadParameter: the file's name ends in neither .svg nor .png.
        BrowserError: it's a PNG, and there is no Chromium.
    """
    if output is None:
        typer.echo(svg, nl=False)
        return
    kind = output.suffix.lower()
    if kind not in KINDS:
        raise typer.BadParameter(f"{output}: must end in .svg or .png", param_hint="--output")
    if kind == ".png":
        from sagaworks.picture.raster import as_png

        output.write_bytes(as_png(svg, scale=scale))
    else:
        output.write_text(svg, encoding="utf-8")
    typer.echo(f"wrote {output}")
