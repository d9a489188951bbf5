"""What a migrated database has is what the models say, and nothing of another service."""

from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import Inspector
from sqlmodel import SQLModel

from models import cars, flights, hotels, inventory, orders, payments, shipping
from sagaworks.migrate import upgrade
from sagaworks.project import Project
from sagaworks.settings import Settings

SERVICES = {
    "orders": orders,
    "inventory": inventory,
    "payments": payments,
    "shipping": shipping,
    "flights": flights,
    "hotels": hotels,
    "cars": cars,
}


def tables_of(models: ModuleType) -> set[str]:
    return {
        found.__tablename__
        for found in vars(models).values()
        if isinstance(found, type) and issubclass(found, SQLModel) and hasattr(found, "__table__")
    }


def columns_of(inspector: Inspector, table: str) -> dict[str, tuple[str, bool]]:
    columns = inspector.get_columns(table)
    return {c["name"]: (str(c["type"]), c["nullable"]) for c in columns}


@pytest.mark.parametrize("service", SERVICES)
def test_the_migrated_tables_are_those_of_the_models(service: str, tmp_path: Path) -> None:
    settings = Settings.load({"SAGAWORKS_DATA": str(tmp_path)})
    wanted = create_engine("sqlite://")
    SQLModel.metadata.create_all(wanted)

    upgrade(service, settings, Project.load())

    migrated = create_engine(settings.database_url(service))
    found, expected = inspect(migrated), inspect(wanted)
    own = {name for name in found.get_table_names() if not name.startswith("sagaworks_")}
    assert own == tables_of(SERVICES[service]) | {f"{service}_version"}
    for table in tables_of(SERVICES[service]):
        assert columns_of(found, table) == columns_of(expected, table)
        assert found.get_pk_constraint(table) == expected.get_pk_constraint(table)
        assert found.get_indexes(table) == expected.get_indexes(table)
    migrated.dispose()
    wanted.dispose()
