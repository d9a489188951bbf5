"""Migrations: all or nothing, in the service's own database, and one clear line when not."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from sagaworks import migrate
from sagaworks.errors import ConfigurationError
from sagaworks.migrate import upgrade
from sagaworks.settings import Project, Settings

Write = Callable[..., Path]

REVISION = '''"""{id}."""

from alembic import op

revision = {id!r}
down_revision = {after!r}


def upgrade() -> None:
    op.execute("CREATE TABLE t{id} (id INTEGER)")
{more}
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "migrations" / "stock").mkdir(parents=True)
    return Project(tmp_path, ("shop.stock:stock",), migrations="migrations/{service}")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({"SAGAWORKS_DATA": str(tmp_path / "data")})


@pytest.fixture
def write(project: Project) -> Write:
    """Write a revision of the service stock."""

    def one(id_: str, after: str | None = None, more: str = "") -> Path:
        file = project.migrations_folder("stock") / f"{id_}_change.py"
        file.write_text(REVISION.format(id=id_, after=after, more=more))
        return file

    return one


def tables(settings: Settings) -> set[str]:
    with closing(sqlite3.connect(settings.data / "stock.db")) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def refusal(settings: Settings, project: Project) -> str:
    with pytest.raises(ConfigurationError) as refused:
        upgrade("stock", settings, project)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("stock: ")
    return str(refused.value)


def test_a_new_database_gets_every_revision_in_order_and_a_version_table_of_the_service(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0002", after="0001")
    write("0001")

    assert upgrade("stock", settings, project) == ["0001", "0002"]
    assert {"t0001", "t0002", "stock_version"} <= tables(settings)


def test_an_upgraded_database_is_left_alone_and_a_newer_one_gets_the_rest(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001")
    upgrade("stock", settings, project)

    assert upgrade("stock", settings, project) == []

    write("0002", after="0001")
    assert upgrade("stock", settings, project) == ["0002"]


def test_the_ledgers_tables_come_by_the_services_first_revision(
    project: Project, settings: Settings, write: Write
) -> None:
    write(
        "0001",
        more="    from sagaworks.ledger.migration import create_ledger\n    create_ledger(op)\n",
    )

    upgrade("stock", settings, project)

    assert {"sagaworks_saga", "sagaworks_ledger"} <= tables(settings)


def test_a_revision_may_import_the_projects_own_modules(
    project: Project, settings: Settings, write: Write
) -> None:
    (project.root / "words_of_stock.py").write_text("WORD = 'lamp'\n")
    write("0001", more="    import words_of_stock\n    assert words_of_stock.WORD\n")

    assert upgrade("stock", settings, project) == ["0001"]


def test_a_revision_that_fails_half_way_leaves_nothing_of_it(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001")
    write("0002", after="0001", more="    raise ValueError('half way')\n")

    why = refusal(settings, project)

    assert "0002_change.py:11: ValueError: half way" in why
    assert "t0001" not in tables(settings), "all outstanding revisions are one transaction"


@pytest.mark.parametrize(
    "more, wanted",
    [
        ("    op.execute('CREATE NONSENSE')\n", '0001_change.py:11: near "NONSENSE": syntax error'),
        ("    op.drop_table('nobody')\n", "no such table: nobody"),
        ("    op.no_such_operation()\n", "0001_change.py:11: AttributeError"),
    ],
)
def test_a_broken_revision_is_named_with_its_line(
    project: Project, settings: Settings, write: Write, more: str, wanted: str
) -> None:
    write("0001", more=more)

    assert wanted in refusal(settings, project)


def test_a_revision_that_is_no_python_is_named_with_its_line(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001").write_text("revision = '0001'\ndef")

    assert "0001_change.py:2: SyntaxError" in refusal(settings, project)


def test_a_missing_folder_is_said(project: Project, settings: Settings) -> None:
    project.migrations_folder("stock").rmdir()

    assert "no folder with migrations" in refusal(settings, project)


def test_a_folder_without_revisions_is_said(project: Project, settings: Settings) -> None:
    assert "no migrations in" in refusal(settings, project)


def test_two_newest_revisions_are_refused(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001")
    write("0002", after="0001")
    write("0003", after="0001")

    assert "several newest revisions: 0002, 0003" in refusal(settings, project)


@pytest.mark.filterwarnings("ignore")
def test_a_revision_that_follows_nobody_is_refused(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001")
    write("0002", after="0000")

    assert "Revision 0000 referenced from 0000 -> 0002 (head), 0002. is not present" in refusal(
        settings, project
    )


@pytest.mark.filterwarnings("ignore")
def test_two_revisions_of_one_name_are_refused(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001").rename(project.migrations_folder("stock") / "copy.py")
    write("0001")

    assert "Revision 0001 is present more than once" in refusal(settings, project)


def test_a_database_newer_than_the_code_is_refused(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001")
    newer = write("0002", after="0001")
    upgrade("stock", settings, project)
    newer.unlink()

    assert "no revision 0002, which the database has" in refusal(settings, project)


def test_a_locked_database_is_said_and_later_upgraded(
    project: Project, settings: Settings, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_LOCK_WAIT", timedelta(milliseconds=50))
    write("0001")
    settings.data.mkdir()
    with closing(sqlite3.connect(settings.data / "stock.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "locked" in refusal(settings, project)

    assert upgrade("stock", settings, project) == ["0001"]


def test_a_file_that_is_no_database_is_said(
    project: Project, settings: Settings, write: Write
) -> None:
    write("0001")
    settings.data.mkdir()
    (settings.data / "stock.db").write_text("not a database, but long enough to be looked at" * 30)

    assert "file is not a database" in refusal(settings, project)


@pytest.mark.parametrize(
    "url, wanted",
    [
        ("nonsense://x", "STOCK_DATABASE_URL"),
        ("sqlite:////proc/nobody/stock.db", "STOCK_DATABASE_URL"),
        ("oracle://db/stock", "STOCK_DATABASE_URL"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named_by_its_variable(
    project: Project, write: Write, url: str, wanted: str
) -> None:
    write("0001")
    settings = Settings.load({"STOCK_DATABASE_URL": url})

    with pytest.raises(ConfigurationError, match=wanted):
        upgrade("stock", settings, project)


def test_a_folder_with_odd_characters_works(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "my shop 100% : über"
    folder = root / "stock"
    folder.mkdir(parents=True)
    (folder / "0001.py").write_text(REVISION.format(id="0001", after=None, more=""))

    assert upgrade("stock", settings, Project(root, (), migrations="{service}")) == ["0001"]
