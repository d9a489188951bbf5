"""Servers set up as few are: with certificates, with a binary log, on a disk that is full."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import make_url
from sqlmodel import Session

from sagaworks import Service
from sagaworks.ledger.answers import Outcome
from sagaworks.ledger.faults import DatabaseUnavailableError
from sagaworks.testing.servers import MariaDB, PostgreSQL
from tests.stores.certificates import Certificates, certificates, give
from tests.stores.test_unusable import (
    accepted,
    impatient,
    refusal_of,
    shop_on,
    small_disk,
)
from tests.stores.world import World


class LoggingMariaDB(MariaDB):
    """With a binary log that isn't flushed at a commit, and with a certificate."""

    certificates: ClassVar[Certificates]

    def _command(self) -> list[str]:
        own = self.certificates
        log = ["--log-bin=changes", "--server-id=1", "--sync-binlog=0"]
        return [
            *super()._command(),
            *log,
            f"--ssl-cert={own.certificate}",
            f"--ssl-key={own.key}",
        ]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    # The server's account must be able to reach it, which it isn't below a test's own folder.
    with tempfile.TemporaryDirectory(prefix="sagaworks-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture(scope="module")
def logging_mariadb(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    folder = place / "mariadb"
    folder.mkdir()
    LoggingMariaDB.certificates = certificates(folder, "mysql")
    with LoggingMariaDB.started(tmp_path_factory.mktemp("logging") / "mariadb") as server:
        yield server


@pytest.fixture
def certified_postgresql(postgresql: PostgreSQL, place: Path) -> Iterator[Certificates]:
    folder = place / "postgresql"
    folder.mkdir()
    made = certificates(folder, "postgres")
    for name, value in (("cert_file", made.certificate), ("key_file", made.key), ("", "on")):
        postgresql.execute(f"ALTER SYSTEM SET ssl{'_' if name else ''}{name} = '{value}'")
    postgresql.execute("SELECT pg_reload_conf()")
    yield made
    for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
        postgresql.execute(f"ALTER SYSTEM RESET {name}")
    postgresql.execute("SELECT pg_reload_conf()")


def test_postgresqls_certificate_must_be_of_the_authority_that_is_named(
    postgresql: PostgreSQL, certified_postgresql: Certificates
) -> None:
    with shop_on(postgresql) as url:
        verified = f"{url}?sslmode=verify-full&sslrootcert="

        said = refusal_of(f"{verified}{certified_postgresql.foreign}")

        assert "certificate verify failed" in said
        accepted(f"{verified}{certified_postgresql.trusted}")


def test_mariadbs_certificate_must_be_of_the_authority_that_is_named(
    logging_mariadb: MariaDB,
) -> None:
    logging_mariadb.execute("SET GLOBAL sync_binlog = 1")
    with shop_on(logging_mariadb) as url:
        files = LoggingMariaDB.certificates

        said = refusal_of(f"{url}?ssl_ca={files.foreign}")

        assert "certificate verify failed" in said
        accepted(f"{url}?ssl_ca={files.trusted}")


def test_mariadb_without_a_certificate_is_not_spoken_to_in_clear(
    mariadb: MariaDB, place: Path
) -> None:
    folder = place / "nobody"
    folder.mkdir()
    with shop_on(mariadb) as url:
        said = refusal_of(f"{url}?ssl_ca={certificates(folder, 'mysql').trusted}")

        assert "SSL" in said
        accepted(url)


def test_mariadbs_binary_log_must_be_flushed_at_a_commit(logging_mariadb: MariaDB) -> None:
    with shop_on(logging_mariadb) as url:
        logging_mariadb.execute("SET GLOBAL sync_binlog = 0")

        said = refusal_of(url)

        assert "sync_binlog is 0, a commit may be lost; set it to 1" in said
        logging_mariadb.execute("SET GLOBAL sync_binlog = 1")
        accepted(url)


def test_a_full_disk_of_mariadbs_hands_the_job_back_and_recovers(
    mariadb: MariaDB, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    disk = place / "disk"
    disk.mkdir()
    with small_disk(disk), shop_on(mariadb) as url:
        own = disk / "data"
        own.mkdir()
        give(own, "mysql")
        name = make_url(url).database
        mariadb.execute(f"DROP TABLE {name}.parcel")
        columns = "id int AUTO_INCREMENT PRIMARY KEY, line varchar(255)"
        mariadb.execute(f"CREATE TABLE {name}.parcel ({columns}) DATA DIRECTORY = '{own}'")
        world = World(url)
        world.stock()
        step = Service("shop").step(pack_row_by_row)

        with pytest.raises(DatabaseUnavailableError, match="is full"):
            world.deliver(step)
        assert world.parcels == 0
        assert world.rows == []

        subprocess.run(["mount", "-o", "remount,size=256m", str(disk)], check=True)
        assert world.deliver(step).outcome is Outcome.EXECUTED
        world.close()
        mariadb.execute(f"DROP TABLE {name}.parcel")


def pack_row_by_row(session: Session) -> None:
    """Fill 16 MB and more, from no table that would be copied for it."""
    rows = "INSERT INTO parcel (line) SELECT repeat('x', 200) FROM seq_1_to_100000"
    session.connection().exec_driver_sql(rows)
