"""Settings and project: read once, refused at once, and nothing secret shown."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sagaworks.errors import ConfigurationError
from sagaworks.settings import Project, Settings

TABLE = '[tool.sagaworks]\nservices = ["shop_{0}.orders:orders", "shop_{0}.stock:stock"]\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of two services; the package's name is the folder's, so that imports don't mix."""
    name = f"shop_{tmp_path.name}"
    monkeypatch.setattr(sys, "path", sys.path[:])
    package = tmp_path / name
    package.mkdir()
    for service in ("orders", "stock"):
        text = f"from sagaworks.service import Service\n{service} = Service('{service}')\n"
        (package / f"{service}.py").write_text(text)
    (tmp_path / "pyproject.toml").write_text(TABLE.format(tmp_path.name))
    monkeypatch.chdir(tmp_path)
    return Project.load()


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"SAGAWORKS_DATA": str(tmp_path)}


def test_an_empty_environment_gives_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.load({})

    assert settings.data == tmp_path / ".sagaworks"
    assert settings.manage_host == "127.0.0.1"
    assert (settings.threads, settings.lock) == (16, timedelta(seconds=15))
    assert settings.engine_address() == "127.0.0.1:26500"


def test_every_setting_is_read() -> None:
    settings = Settings.load(
        {
            "SAGAWORKS_LOCK_SECONDS": "2.5",
            "SAGAWORKS_GRACE_SECONDS": "0",
            "SAGAWORKS_THREADS": "3",
            "SAGAWORKS_LOG_FORMAT": "JSON",
            "SAGAWORKS_LOG_LEVEL": "debug",
            "SAGAWORKS_TENANT": "shop-1",
            "SAGAWORKS_MANAGE_PORT": "9000",
            "STOCK_MANAGE_PORT": "9001",
            "ZEEBE_ADDRESS": "engine.internal:443",
            "ZEEBE_SECURE": "true",
        }
    )

    assert settings.lock == timedelta(seconds=2.5)
    assert settings.grace == timedelta(0)
    assert settings.threads == 3
    assert (settings.log_format, settings.log_level) == ("json", "DEBUG")
    assert settings.tenant == "shop-1"
    assert settings.management_port("stock") == 9001
    assert settings.management_port("orders") == 9000
    assert settings.engine_address() == "engine.internal:443"
    assert settings.zeebe_secure


def test_all_that_is_wrong_is_listed_at_once() -> None:
    wrong = {
        "SAGAWORKS_TOKN": "x",
        "SAGAWORKS_THREADS": "0",
        "SAGAWORKS_LOCK_SECONDS": "nan",
        "SAGAWORKS_LOG_LEVEL": "LOUD",
        "ZEEBE_ADDRESS": "http://engine:26500",
        "STOCK_MANAGE_PORT": "70000",
    }

    with pytest.raises(ConfigurationError) as refused:
        Settings.load(wrong)

    assert all(name in str(refused.value) for name in wrong)
    assert "did you mean SAGAWORKS_TOKEN?" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("ZEEBE_ADDRESS", "engine"),
        ("ZEEBE_ADDRESS", "engine:0"),
        ("ZEEBE_ADDRESS", "engine:99999"),
        ("ZEEBE_SECURE", "yes"),
        ("ZEEBE_CA_CERTIFICATE", "/no/such/file.pem"),
        ("ZEEBE_CLIENT_ID", "alone"),
        ("SAGAWORKS_TENANT", "a" * 32),
        ("SAGAWORKS_TOKEN", "two words"),
        ("SAGAWORKS_HISTORY", "127.0.0.1:9700"),
        ("SAGAWORKS_HISTORY", "postgresql://me:hunter2@host/history"),
        ("SAGAWORKS_HISTORY", "http://host:99999"),
        ("SAGAWORKS_THREADS", "٣"),
        ("SAGAWORKS_GRACE_SECONDS", "-1"),
        ("SAGAWORKS_ENGINE_VERSION", "latest"),
        ("STOCK_MANAGEMENT_URL", "ftp://stock"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.load({name: value})


def test_a_wrong_token_is_not_repeated_in_the_message() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.load({"SAGAWORKS_TOKEN": "secret with blanks"})

    assert "secret" not in str(refused.value)


def test_an_empty_variable_is_not_set() -> None:
    settings = Settings.load({"SAGAWORKS_TOKEN": "", "SAGAWORKS_THREADS": "", "X_DATABASE_URL": ""})

    assert settings.token is None
    assert settings.threads == 16
    assert not settings.database_urls


def test_nothing_secret_is_in_the_repr() -> None:
    settings = Settings.load(
        {
            "SAGAWORKS_TOKEN": "hunter2",
            "STOCK_DATABASE_URL": "postgresql://shop:hunter3@db/stock",
            "ZEEBE_CLIENT_ID": "me",
            "ZEEBE_CLIENT_SECRET": "hunter4",
            "ZEEBE_AUTHORIZATION_SERVER_URL": "https://login.example/token",
        }
    )

    assert "hunter" not in repr(settings)
    assert settings.zeebe_secure, "OAuth switches TLS on"


def test_a_ca_certificate_with_tls_switched_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")

    with pytest.raises(ConfigurationError, match="ZEEBE_SECURE"):
        Settings.load({"ZEEBE_CA_CERTIFICATE": str(tmp_path / "ca.pem"), "ZEEBE_SECURE": "false"})


def test_each_service_has_an_sqlite_file_of_its_own_by_an_absolute_path(
    data: dict[str, str], tmp_path: Path
) -> None:
    url = Settings.load(data).database_url("stock")

    assert url == f"sqlite:///{tmp_path}/stock.db"


def test_a_relative_data_folder_lies_in_the_project_wherever_a_process_starts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project.root / "deep" / "down"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)

    settings = Settings.load({"SAGAWORKS_DATA": "state"})

    assert settings.data == project.root / "state"
    assert settings == Settings.load({"SAGAWORKS_DATA": "state"}, project)


@pytest.mark.parametrize(
    "given, meant",
    [
        ("sqlite:///stock.db", "sqlite:///{root}/stock.db"),
        ("sqlite:///stock.db?timeout=3", "sqlite:///{root}/stock.db?timeout=3"),
        ("sqlite:////var/stock.db", "sqlite:////var/stock.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://db/stock", "postgresql://db/stock"),
    ],
)
def test_a_relative_sqlite_url_lies_in_the_project(
    project: Project, given: str, meant: str
) -> None:
    settings = Settings.load({"STOCK_DATABASE_URL": given}, project)

    assert settings.database_url("stock") == meant.format(root=project.root)


def test_what_is_no_database_url_is_refused_by_the_name_of_its_variable(
    data: dict[str, str],
) -> None:
    settings = Settings.load({**data, "STOCK_DATABASE_URL": "stock.db"})

    with pytest.raises(ConfigurationError, match="STOCK_DATABASE_URL"):
        settings.database_url("stock")


@pytest.mark.parametrize(
    "one, other",
    [
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("postgresql://a:x@DB/shop", "postgresql+psycopg://b:y@db/shop"),
        ("postgresql://a:x@db/shop", "postgres://b@db:5432/shop?sslmode=require"),
        ("mariadb://a@localhost/shop", "mysql+pymysql://b@127.0.0.1:3306/shop"),
        ("postgresql://shop@[::1]/", "postgresql://b@localhost/shop"),
    ],
)
def test_two_services_in_one_database_are_refused(project: Project, one: str, other: str) -> None:
    with pytest.raises(ConfigurationError, match="orders and stock would share one database"):
        Settings.load({"ORDERS_DATABASE_URL": one, "STOCK_DATABASE_URL": other}, project)


@pytest.mark.parametrize(
    "one, other",
    [
        ("postgresql://a@db/shop", "postgresql://a@db/stock"),
        ("postgresql://a@db/shop", "postgresql://a@db:5433/shop"),
        ("postgresql://a@db/shop", "postgresql://a@other/shop"),
        ("postgresql://a@db/shop", "mariadb://a@db/shop"),
        ("mariadb://a@db/shop", "mariadb://a@db/Shop"),
    ],
)
def test_two_databases_of_one_server_are_two(project: Project, one: str, other: str) -> None:
    Settings.load({"ORDERS_DATABASE_URL": one, "STOCK_DATABASE_URL": other}, project)


def test_an_owners_url_is_read_and_kept_out_of_the_repr(project: Project) -> None:
    settings = Settings.load({"STOCK_OWNER_URL": "postgresql://owner:hunter3@db/stock"}, project)

    assert settings.owner_urls == {"stock": "postgresql://owner:hunter3@db/stock"}
    assert "hunter3" not in repr(settings)


def test_a_misspelt_service_in_an_owners_url_is_noticed(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="did you mean ORDERS_OWNER_URL"):
        Settings.load({"ORDRES_OWNER_URL": "postgresql://owner@db/orders"}, project)


def test_a_service_pointed_at_the_default_file_of_another_is_refused(project: Project) -> None:
    url = f"sqlite:///{project.root}/.sagaworks/orders.db"

    with pytest.raises(ConfigurationError, match="share"):
        Settings.load({"STOCK_DATABASE_URL": url}, project)


def test_a_misspelt_service_in_a_database_url_is_noticed(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="did you mean ORDERS_DATABASE_URL"):
        Settings.load({"ORDRES_DATABASE_URL": "sqlite:////tmp/x.db"}, project)


def test_a_strangers_database_url_is_none_of_our_business(project: Project) -> None:
    Settings.load({"GRAFANA_DATABASE_URL": "x", "DATABASE_URL": "y"}, project)


def test_the_running_workers_url_comes_from_its_run_file(
    data: dict[str, str], tmp_path: Path
) -> None:
    settings = Settings.load(data)
    assert settings.management_url("stock") is None

    settings.run_file("stock").parent.mkdir()
    settings.run_file("stock").write_text(json.dumps({"management_url": "http://127.0.0.1:1"}))

    assert settings.management_url("stock") == "http://127.0.0.1:1"
    given = Settings.load({**data, "STOCK_MANAGEMENT_URL": "http://stock:9000/"})
    assert given.management_url("stock") == "http://stock:9000"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"management_url": 7}'])
def test_a_torn_run_file_means_no_worker(data: dict[str, str], content: str) -> None:
    settings = Settings.load(data)
    settings.run_file("stock").parent.mkdir()
    settings.run_file("stock").write_text(content)

    assert settings.management_url("stock") is None


def test_the_local_engine_is_found_by_its_file(data: dict[str, str]) -> None:
    settings = Settings.load(data)
    settings.engine_file().parent.mkdir()
    settings.engine_file().write_text('{"address": "127.0.0.1:31000"}')

    assert settings.engine_address() == "127.0.0.1:31000"


def test_a_damaged_engine_file_is_said_and_not_taken_for_no_engine(data: dict[str, str]) -> None:
    settings = Settings.load(data)
    settings.engine_file().parent.mkdir()
    settings.engine_file().write_text("{")

    with pytest.raises(ConfigurationError, match="sagaworks engine up"):
        settings.engine_address()


def test_the_cache_honours_xdg(tmp_path: Path) -> None:
    assert Settings.load({"XDG_CACHE_HOME": str(tmp_path)}).engine_cache == tmp_path / "sagaworks"
    home = Path.home() / ".cache" / "sagaworks"
    assert Settings.load({"XDG_CACHE_HOME": "relative"}).engine_cache == home
    assert Settings.load({"SAGAWORKS_CACHE": "/c"}).engine_cache == Path("/c")


def test_the_project_is_found_upward_and_its_services_are_imported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project.root / "bpmn"
    below.mkdir()
    monkeypatch.chdir(below)

    found = Project.load()

    assert found == project
    assert [service.name for service in found.load_services()] == ["orders", "stock"]
    assert found.service("stock").name == "stock"
    assert found.migrations_folder("stock") == found.root / "models/migrations/stock"


def test_a_worker_imports_its_own_service_only(project: Project) -> None:
    project.service("stock")

    assert f"shop_{project.root.name}.orders" not in sys.modules


def test_an_unknown_service_is_answered_with_the_known_ones(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="known are orders, stock"):
        project.service("warehouse")
    with pytest.raises(ConfigurationError, match="did you mean stock"):
        project.service("stocks")


def test_outside_a_project_the_way_in_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\[tool.sagaworks\]"):
        Project.load(tmp_path)


@pytest.mark.parametrize(
    "table, wanted",
    [
        ("[tool.sagaworks]\n", "services: missing"),
        ('[tool.sagaworks]\nservices = ["orders"]\n', "services: must be"),
        ('[tool.sagaworks]\nservices = ["a:a"]\nservice = 1\n', "service: no such key"),
        ('[tool.sagaworks]\nservices = ["a:a"]\nmigrations = "x"\n', "migrations: must be"),
        ('[tool.sagaworks]\nservices = ["a:a"]\ndiagrams = ["/x"]\n', "diagrams: must be"),
        ("[tool]\nsagaworks = 3\n", "is not a table"),
        ("[tool.sagaworks\n", "pyproject.toml"),
    ],
)
def test_a_wrong_table_is_one_clear_line(tmp_path: Path, table: str, wanted: str) -> None:
    (tmp_path / "pyproject.toml").write_text(table)

    with pytest.raises(ConfigurationError, match=wanted) as refused:
        Project.load(tmp_path)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "code, wanted",
    [
        ("x = 1", "'stock' has no such name|has no such name"),
        ("stock = 1", "is not a sagaworks.Service"),
        ("import no_such_module", "stock.py:1: ModuleNotFoundError: No module named"),
        ("\n\nstock = nobody", "stock.py:3: NameError"),
        ("def", "SyntaxError.*stock.py, line 1"),
    ],
)
def test_what_is_wrong_with_a_services_module_is_told_with_its_place(
    project: Project, code: str, wanted: str
) -> None:
    (project.root / f"shop_{project.root.name}" / "stock.py").write_text(code)

    with pytest.raises(ConfigurationError, match=wanted):
        project.service("stock")


def test_a_glob_without_diagrams_is_said(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="nothing matches 'bpmn/"):
        project.diagram_files()

    (project.root / "bpmn").mkdir()
    (project.root / "bpmn" / "b.bpmn").touch()
    (project.root / "bpmn" / "a.bpmn").touch()
    assert [file.name for file in project.diagram_files()] == ["a.bpmn", "b.bpmn"]
