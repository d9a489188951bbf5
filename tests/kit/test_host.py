"""The Java classes in the package are those of the sources beside them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sagaworks.engine.java import find_java
from sagaworks.settings import Settings
from sagaworks.testing import embedded
from sagaworks.testing.embedded import jars
from sagaworks.testing.embedded.archive import ClassArchive
from sagaworks.testing.embedded.child import Child

pytestmark = pytest.mark.engine

HOST = Path(embedded.__file__).with_name("host")
MADE_BY = 25
"""The compiler's version that the classes in the package were made by."""


def java_home() -> Path | None:
    """A JDK: the one named, the one on the path, or one in the usual folder."""
    named = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("javac")
    known = [Path(on_path).resolve().parents[1]] if on_path else []
    usual = sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)
    homes = [home for home in (*usual, *named, *known) if (home / "bin" / "javac").exists()]
    return max(homes, key=version_of, default=None)


def version_of(home: Path) -> int:
    said = subprocess.run(
        [home / "bin" / "javac", "-version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"javac (\d+)", said.stdout)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The classes compiled anew, and the JDK that did it."""
    home = java_home()
    if home is None or version_of(home) < 21:
        pytest.skip("no JDK 21 or newer here: the classes can't be compiled anew")
    place = tmp_path_factory.mktemp("classes")
    jars_path = jars.class_path(Settings.load({}).engine_cache, lambda _: None)
    sources = sorted(map(str, HOST.glob("*.java")))
    javac = [str(home / "bin" / "javac"), "--release", "21", "-cp", jars_path, "-d", str(place)]
    subprocess.run([*javac, *sources], check=True, capture_output=True)
    return place, home


def outlines(folder: Path, home: Path) -> dict[str, str]:
    """Each class as javap tells it, whichever compiler made it."""
    javap = [str(home / "bin" / "javap"), "-p"]
    return {
        file.name: subprocess.run([*javap, file], capture_output=True, text=True, check=True).stdout
        for file in folder.glob("*.class")
    }


def test_the_classes_are_those_of_the_sources(compiled: tuple[Path, Path]) -> None:
    place, home = compiled
    if version_of(home) == MADE_BY:
        shipped = {file.name: file.read_bytes() for file in HOST.glob("*.class")}
        assert {file.name: file.read_bytes() for file in place.glob("*.class")} == shipped
    else:
        assert outlines(place, home) == outlines(HOST, home)


def test_no_class_is_left_of_a_source_that_has_gone() -> None:
    sources = {file.stem for file in HOST.glob("*.java")}

    assert {file.stem.partition("$")[0] for file in HOST.glob("*.class")} == sources


def test_each_jar_is_locked_with_its_checksum() -> None:
    locked = jars.locked_jars()

    assert [jar for jar in locked if not re.fullmatch("[0-9a-f]{64}", jar.sha256)] == []
    assert jars.VERSION in {jar.version for jar in locked if jar.group == "io.camunda"}


def test_a_start_cache_is_written_at_the_first_end_and_used_from_then_on(tmp_path: Path) -> None:
    cache = Settings.load({}).engine_cache
    java, path = find_java(cache), jars.class_path(cache, lambda _: None)
    archive = ClassArchive.of(tmp_path, java, path)
    first = Child(java, path, archive)
    first.ask("stop")

    first.close()

    assert archive.file.exists()
    assert archive.options() == [f"-XX:SharedArchiveFile={archive.file}"]
    second = Child(java, path, archive)
    assert second.ask("stop") == ""
    second.close()
    assert [*archive.file.parent.iterdir()] == [archive.file]


def test_a_start_cache_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    cache = Settings.load({}).engine_cache
    java, path = find_java(cache), jars.class_path(cache, lambda _: None)
    archive = ClassArchive.of(tmp_path, java, path)
    archive.file.parent.mkdir()
    archive.file.write_bytes(b"damaged")

    child = Child(java, path, archive)

    assert child.ask("stop") == ""
    child.close()
