"""From an SVG to a PNG."""

import math
import re
from pathlib import Path
from typing import Final

from sagaworks.picture.browser import BrowserError, find, opened

LARGEST: Final = 16_000
"""Pixels of a side that Chromium still draws."""

_SIZE: Final = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')


def as_png(svg: str, *, scale: float = 2.0, program: Path | None = None) -> bytes:
    """Return the picture as PNG, drawn by Chromium.

    Args:
        svg: as `draw` returns it.
        scale: pixels of the PNG for one of the drawing.
        program: the browser; whichever is in PATH.

    Raises:
        BrowserError: there is no Chromium, or the picture is too large; says what to do.
    """
    found = _SIZE.search(svg)
    if found is None:
        raise BrowserError("not a picture that has its size in it")
    width, height = (math.ceil(float(one)) for one in found.groups())
    if max(width, height) * scale > LARGEST:
        size = f"{width}x{height} pixels, {scale:g} times"
        raise BrowserError(
            f"too large for a PNG ({size}): take a smaller --scale, or write an .svg"
        )
    style = "html,body{margin:0;background:#fff}svg{display:block}"
    with opened(program or find()) as page:
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        page.resize(width, height, scale)
        page.write(f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style>{svg}')
        return page.picture()
