"""No link or picture of README leads nowhere; the pages build without a warning."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, links, pages

ELSEWHERE = re.compile(r"[a-z]+:")


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", [page for page in pages() if len(page.parts) == 1], ids=str)
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if ELSEWHERE.match(link):
            continue
        file, _, anchor = link.partition("#")
        target = ROOT / (file or page)

        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", pages(), ids=str)
def test_a_picture_says_what_it_shows(page: Path) -> None:
    assert "![](" not in (ROOT / page).read_text()


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]

    ran = subprocess.run(
        [*build, str(tmp_path)], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "index.html").is_file()
