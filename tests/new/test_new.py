"""`sagaworks new`: what it makes, and what it refuses."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sagaworks.contract import check_contract
from sagaworks.diagram import read_diagram
from sagaworks.errors import ConfigurationError
from sagaworks.new import HIDDEN, TEMPLATE, make_project
from sagaworks.project import Project


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_project("my-shop", tmp_path)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sagaworks.cli", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )


def test_it_makes_every_file_of_the_template(shop: Path) -> None:
    template = {path.relative_to(TEMPLATE) for path in TEMPLATE.rglob("*") if path.is_file()}
    wanted = {Path(HIDDEN.get(str(path), path)) for path in template if path.suffix != ".pyc"}

    assert {path.relative_to(shop) for path in shop.rglob("*") if path.is_file()} == wanted


def test_the_project_has_the_name_that_was_asked_for(shop: Path) -> None:
    assert shop.name == "my-shop"
    assert tomllib.loads((shop / "pyproject.toml").read_text())["project"]["name"] == "my-shop"
    assert (shop / "README.md").read_text().startswith("# my-shop\n")


def test_no_placeholder_is_left(shop: Path) -> None:
    """A `$` in a Makefile is make's."""
    files = [path for path in shop.rglob("*") if path.is_file() and path.name != "Makefile"]

    assert [path for path in files if "$" in path.read_text()] == []


def test_it_is_a_project_whose_code_and_diagram_agree(shop: Path) -> None:
    script = (
        "from sagaworks.project import Project; from sagaworks.diagram import read_diagram;"
        "from sagaworks.contract import check_contract; p = Project.load();"
        "print(check_contract(p.load_services(), [*map(read_diagram, p.diagram_files())]))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=shop, check=False, capture_output=True, text=True
    )

    assert ran.stdout == "[]\n", ran.stderr


def test_its_types_are_right(shop: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "."],
        cwd=shop,
        check=False,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stdout


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()

    assert (make_project("shop", tmp_path) / "pyproject.toml").is_file()


@pytest.mark.parametrize("inside", ["pyproject.toml", ".git"])
def test_a_folder_with_anything_in_it_is_left_as_it_is(tmp_path: Path, inside: str) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / inside).write_text("mine")

    ran = command(tmp_path, "new", "shop")

    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "is there already, and isn't empty; take another name" in ran.stderr
    assert [path.name for path in (tmp_path / "shop").iterdir()] == [inside]


def test_a_file_in_the_way_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("mine")

    with pytest.raises(ConfigurationError, match="is there already, and is no folder"):
        make_project("shop", tmp_path)

    assert (tmp_path / "shop").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Shop",
        "1shop",
        "shop-",
        "my--shop",
        "../shop",
        "/shop",
        "a b",
        "$shop",
        "shöp",
        "x" * 51,
    ],
)
def test_what_can_be_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be a project's name"):
        make_project(name, tmp_path)

    assert [*tmp_path.iterdir()] == []


def test_a_project_of_the_librarys_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="couldn't install the library"):
        make_project("sagaworks", tmp_path)


def test_a_refused_name_is_one_line(tmp_path: Path) -> None:
    ran = command(tmp_path, "new", "Shop")

    assert ran.returncode == 1
    assert ran.stderr.startswith("sagaworks: 'Shop' can't be a project's name: ")
    assert ran.stderr.count("\n") == 1


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    ran = command(tmp_path, "new", "shop")

    assert ran.returncode == 0
    assert "next: cd shop && make test" in ran.stdout


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A file stands where the folder above should be: root may write anywhere else."""
    above = tmp_path / "above"
    above.write_text("")

    with pytest.raises(NotADirectoryError):
        make_project("shop", above)


def test_the_templates_own_diagram_follows_our_rules() -> None:
    (diagram,) = (TEMPLATE / "bpmn").glob("*.bpmn")

    assert read_diagram(diagram).process_id == diagram.stem
    assert [task.id for task in read_diagram(diagram).first_steps()] == ["hold_stock"]
    assert check_contract([], [read_diagram(diagram)]) == []


def test_the_template_names_its_services_as_the_project_reads_them(shop: Path) -> None:
    assert Project.load(shop).service_names() == ("inventory", "payments")
