"""For tests of what people see: a real Chromium, found on the machine or fetched."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from sagaworks.picture.browser import Page, opened
from sagaworks.settings import Settings
from sagaworks.testing.servers.errors import ServersUnavailableError
from sagaworks.testing.servers.programs import Programs, Wanted, programs

CHROMIUM = Wanted(
    name="Chromium",
    program="chromium",
    folders=("usr/lib/chromium", "usr/bin"),
    package="chromium",
    core=r"chromium(-common)?",
)


@dataclass(frozen=True)
class Seen:
    """A picture, as its pixels."""

    image: Image.Image

    @classmethod
    def of(cls, png: bytes) -> "Seen":
        return cls(Image.open(io.BytesIO(png)).convert("RGB"))

    def at(self, x: float, y: float) -> str:
        """The colour of a pixel, as `#rrggbb`."""
        red, green, blue = self.image.getpixel((round(x), round(y)))
        return f"#{red:02x}{green:02x}{blue:02x}"

    def darkest(self, x: float, y: float, width: float, height: float) -> int:
        """How dark the darkest pixel of a part is: 0 is black."""
        part = self.image.crop((round(x), round(y), round(x + width), round(y + height)))
        return part.convert("L").getextrema()[0]


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Programs:
    """Where it can't be had, its tests are named at the end, and the exit code is 4."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    note: Callable[[str], None] = terminal.write_line if terminal else lambda _: None
    try:
        return programs(CHROMIUM, Settings.load().engine_cache, note)
    except ServersUnavailableError as error:
        pytest.skip(f"not run: {error}")


@pytest.fixture(scope="session")
def browser_program(chromium: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with the libraries that it was unpacked with."""
    if not chromium.libraries:
        return chromium.main
    script = tmp_path_factory.mktemp("chromium") / "chromium"
    libraries = ":".join(map(str, chromium.libraries))
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{chromium.main}" "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def page(browser_program: Path) -> Iterator[Page]:
    """One tab of a browser, for the tests of a file."""
    with opened(browser_program) as page:
        yield page
