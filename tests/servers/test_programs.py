"""Finding a server's programs, and getting them where there are none.

The packages are real ones, tiny; apt-get is a script that hands them out, so that no network is
needed. What the real apt-get does was tried by hand on a bare Debian.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sagaworks.testing.servers import ServersUnavailableError, apt
from sagaworks.testing.servers.programs import Wanted, programs

TINY = Wanted(
    name="TinyDB",
    program="tinyd",
    folders=("usr/lib/tiny/*/bin",),
    package="tiny",
    core=r"tiny-\d+",
)

APT_GET = """#!/bin/sh
here={here}
echo "$*" >> $here/asked
case "$*" in
*" update "*) touch $here/lists ;;
*--simulate*)
    test -e $here/lists || {{ echo "E: Unable to locate package tiny" >&2; exit 100; }}
    echo "Inst tiny-15 (15.1 Debian:12 [amd64])"
    echo "Inst libtiny5 [5.0] (5.1 Debian:12 [amd64])"
    echo "Inst libc6 [2.36] (2.37 Debian:12 [amd64])"
    echo "Inst tiny-manual (15.1 Debian:12 [all])" ;;
*--print-uris*) echo "'http://mirror/tiny.deb' tiny.deb 1000000 SHA256:0" ;;
*download*) cp $here/*.deb . ;;
*install*)
    cat $here/policy-rc.d $here/createcluster.conf > $here/guards
    printf '#!/bin/sh\\n' > $here/bin/tinyd; chmod +x $here/bin/tinyd ;;
esac
"""


class Machine:
    """A bare machine: what apt-get was asked for, and where its programs go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.cache = folder / "cache"
        self.notes: list[str] = []

    def programs(self) -> Path:
        return programs(TINY, self.cache, self.notes.append).main

    def asked(self) -> list[str]:
        """apt-get's commands, the options left out."""
        file = self.folder / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        known = ("install", "update", "download")
        return [next(word for word in line.split() if word in known) for line in lines]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    if not shutil.which("dpkg-deb"):
        pytest.skip("there is no dpkg-deb on this machine")
    machine = Machine(tmp_path)
    machine.bin.mkdir()
    script = machine.bin / "apt-get"
    script.write_text(APT_GET.format(here=tmp_path))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{machine.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(apt, "_CLUSTERS", tmp_path / "createcluster.conf")
    pack(tmp_path, "tiny-15", "usr/lib/tiny/15/bin/tinyd", "usr/lib/tiny/9/bin/tinyd")
    pack(tmp_path, "libtiny5", "usr/lib/x86_64-linux-gnu/libtiny.so.5")
    return machine


def pack(folder: Path, name: str, *files: str) -> None:
    """Make a package with these files, each of which may be run."""
    root = folder / f"{name}.files"
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch(mode=0o755)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: us\nDescription: tiny\n"
    )
    command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(folder / f"{name}.deb")]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def as_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_a_program_in_the_path_is_taken(machine: Machine) -> None:
    program = machine.bin / "tinyd"
    program.touch(mode=0o755)

    assert machine.programs() == program
    assert machine.asked() == []


@pytest.mark.usefixtures("as_anybody")
def test_who_may_not_install_gets_the_packages_unpacked_into_the_cache(machine: Machine) -> None:
    """The lists are missing at first, as on a fresh image. The newest version is taken."""
    found = programs(TINY, machine.cache, machine.notes.append)

    unpacked = machine.cache / "servers" / "tiny"
    assert found.main == unpacked / "usr/lib/tiny/15/bin/tinyd"
    assert found.libraries == (unpacked / "usr/lib/x86_64-linux-gnu",)
    assert found.environment()["LD_LIBRARY_PATH"] == str(found.libraries[0])
    asked = (machine.folder / "asked").read_text()
    assert asked.endswith("download tiny-15=15.1 libtiny5=5.1\n"), "no C library, no manual"
    assert machine.notes == [
        "TinyDB: fetching the lists of packages",
        f"TinyDB: fetching 2 packages, 1 MB, once, into {machine.cache / 'servers'}",
    ]


@pytest.mark.usefixtures("as_anybody")
def test_what_is_in_the_cache_is_not_fetched_again(machine: Machine) -> None:
    first = machine.programs()
    before = machine.asked()

    assert machine.programs() == first
    assert machine.asked() == before
    assert sorted(path.name for path in (machine.cache / "servers").iterdir()) == [
        "apt",
        "fetch.lock",
        "tiny",
    ]


@pytest.mark.usefixtures("as_root")
def test_root_has_the_system_install_it_and_nothing_is_started(machine: Machine) -> None:
    found = machine.programs()

    assert found == machine.bin / "tinyd"
    install = (machine.folder / "asked").read_text().splitlines()[-1]
    assert install.endswith("tiny-15=15.1"), "what needs no server stays out"
    assert "--no-remove" in install
    guards = (machine.folder / "guards").read_text()
    assert "exit 101" in guards
    assert "create_main_cluster = false" in guards
    assert not (machine.folder / "policy-rc.d").exists()
    assert not (machine.folder / "createcluster.conf").exists()


@pytest.mark.usefixtures("as_root")
def test_a_policy_that_the_machine_has_is_left_alone(machine: Machine) -> None:
    policy = machine.folder / "policy-rc.d"
    policy.write_text("mine\n")

    machine.programs()

    assert policy.read_text() == "mine\n"


def without_apt(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine.folder / "nothing"))


def without_network(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    script = machine.bin / "apt-get"
    script.write_text("#!/bin/sh\necho 'E: Unable to locate package tiny' >&2; exit 100\n")


def without_lists(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        'case "$*" in *update*) echo "E: Failed to fetch Packages" ;; *) echo "E: Unknown" ;; esac'
    )
    (machine.bin / "apt-get").write_text(f"#!/bin/sh\n{said} >&2; exit 100\n")


def without_room(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.cache.touch()


@pytest.mark.usefixtures("as_anybody")
@pytest.mark.parametrize(
    "break_it, why",
    [
        (without_apt, "no apt-get to fetch it with: install TinyDB as your system does"),
        (without_network, r"\(apt-get: Unable to locate package tiny\): connect to the network"),
        (without_lists, r"\(apt-get: Failed to fetch Packages\): connect to the network"),
        (without_room, r"Not a directory.*or install it: apt-get install tiny"),
    ],
)
def test_where_it_cannot_be_had_one_line_says_why_and_what_to_do(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Machine, pytest.MonkeyPatch], None],
    why: str,
) -> None:
    break_it(machine, monkeypatch)

    with pytest.raises(
        ServersUnavailableError, match=rf"^no TinyDB on this machine.*{why}"
    ) as told:
        machine.programs()

    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("as_anybody")
def test_an_interrupted_fetch_leaves_nothing_behind(machine: Machine) -> None:
    leftover = machine.cache / "servers" / ".fetch-killed"
    leftover.mkdir(parents=True)

    machine.programs()

    assert not leftover.exists()
