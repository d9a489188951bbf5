"""A server of our own: real, durable, nobody's but ours, and gone when we are."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

from sagaworks.engine.locks import is_held
from sagaworks.testing.servers import PostgreSQL, Server, ServerError
from sagaworks.testing.servers.keeper import send_all

WITHIN = 30


def awaited(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def rows(server: Server, database: str) -> list[int]:
    with server.connected(database) as connection:
        return list(connection.exec_driver_sql("SELECT number FROM kept ORDER BY number").scalars())


def keep(server: Server, database: str, number: int) -> None:
    server.execute(f"INSERT INTO kept VALUES ({number})", database)  # noqa: S608  a number


@pytest.fixture
def shop(server: Server) -> str:
    """A database with a table and a row."""
    server.create_database("shop")
    server.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY)", "shop")
    keep(server, "shop", 1)
    return "shop"


def test_what_was_committed_outlives_a_crash(server: Server, shop: str) -> None:
    port = server.port
    server.kill()
    with pytest.raises(OperationalError):
        rows(server, shop)

    server.start()

    assert rows(server, shop) == [1]
    assert server.port == port


def test_a_restart_keeps_port_and_data(server: Server, shop: str) -> None:
    before = server.processes()

    server.restart()

    assert rows(server, shop) == [1]
    assert set(before).isdisjoint(server.processes())


def test_a_server_on_a_folder_of_its_own_is_found_again(kind: type[Server], tmp_path: Path) -> None:
    """Also below a folder that the server's account may not enter, as pytest's is for root."""
    with kind.started(tmp_path / "server") as server:
        server.create_database("shop")
        server.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY)", "shop")

    with kind.started(tmp_path / "server") as server:
        assert rows(server, "shop") == []


def test_an_interrupted_first_start_is_done_again(kind: type[Server], tmp_path: Path) -> None:
    def interrupt(_server: Server, draft: Path) -> None:
        (draft / "half").touch()
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "_initialize", interrupt)
        with pytest.raises(KeyboardInterrupt):
            kind.started(tmp_path / "server").__enter__()

    with kind.started(tmp_path / "server") as server:
        assert server.processes()


def test_two_servers_do_not_share_a_folder(
    kind: type[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagaworks.testing.servers.kept.WAIT_SECONDS", 0.2)
    with (
        kind.started(tmp_path / "server"),
        pytest.raises(ServerError, match="another server runs on"),
        kind.started(tmp_path / "server"),
    ):
        pass


def test_a_copy_of_a_database_has_its_rows_and_a_life_of_its_own(server: Server, shop: str) -> None:
    server.create_database("copy", template=shop)
    keep(server, "copy", 2)

    assert (rows(server, shop), rows(server, "copy")) == ([1], [1, 2])


def test_a_database_goes_although_somebody_is_connected(server: Server, shop: str) -> None:
    with server.connected(shop) as busy:
        busy.exec_driver_sql("SELECT 1")

        server.drop_database(shop)
        server.drop_database(shop)

        with pytest.raises(DBAPIError):
            busy.exec_driver_sql("SELECT * FROM kept")


def test_nobody_gets_in_without_the_password(lent: Server) -> None:
    for password in ("", "wrong"):
        url = lent.url(lent.no_database, "admin", password)
        with pytest.raises(OperationalError):
            create_engine(url, poolclass=NullPool).connect()


def test_nobody_but_the_administrator_has_a_login(server: Server) -> None:
    asked = (
        "SELECT rolname FROM pg_roles WHERE rolcanlogin"
        if isinstance(server, PostgreSQL)
        else "SELECT user FROM mysql.user WHERE is_role = 'N' AND NOT (user = 'mariadb.sys')"
    )
    with server.connected() as connection:
        found = list(connection.exec_driver_sql(asked).scalars())

    assert found == ["admin"]


def test_the_password_is_in_no_command_line_and_no_log(lent: Server) -> None:
    password = (lent.folder / "password").read_text()
    files = [lent.log, lent.folder / "launch.json"]
    lines = [
        (process / "cmdline").read_bytes().decode(errors="replace")
        for process in Path("/proc").glob("[0-9]*")
        if (process / "cmdline").exists()
    ]

    assert len(password) > 20
    assert [said for said in lines if password in said] == []
    assert [file for file in files if password in file.read_text()] == []
    assert (lent.folder / "password").stat().st_mode & 0o777 == 0o600


def test_a_server_is_never_root(lent: Server) -> None:
    owners = {Path(f"/proc/{process}").stat().st_uid for process in lent.processes()}

    assert owners
    assert 0 not in owners


def test_it_listens_on_loopback_only(lent: Server) -> None:
    listening = "0A"
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    ours = {line[1] for line in lines if line[3] == listening and _port(line[1]) == lent.port}

    assert {address.partition(":")[0] for address in ours} == {"0100007F"}


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def test_commits_are_as_durable_as_in_production(lent: Server) -> None:
    """Also with `fast`: what is measured and tested is what is run."""
    asked = (
        "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        if isinstance(lent, PostgreSQL)
        else "SELECT @@innodb_doublewrite, @@innodb_flush_log_at_trx_commit"
    )
    with lent.connected() as connection:
        found = tuple(connection.exec_driver_sql(asked).one())

    assert found == (("on", "on") if isinstance(lent, PostgreSQL) else (1, 1))


def test_a_frozen_server_answers_once_it_is_thawed(server: Server, shop: str) -> None:
    answers: list[list[int]] = []
    server.freeze()
    asking = threading.Thread(target=lambda: answers.append(rows(server, shop)))
    asking.start()
    asking.join(0.3)

    assert answers == []

    server.thaw()
    asking.join(WITHIN)

    assert answers == [[1]]


def test_a_frozen_server_can_be_stopped(server: Server) -> None:
    before = server.processes()
    server.freeze()

    server.stop()

    assert [process for process in before if Path(f"/proc/{process}").exists()] == []


def test_a_server_started_by_a_thread_outlives_the_thread(server: Server) -> None:
    """The kernel ties a process to the thread that started it: not so here."""
    server.stop()
    starting = threading.Thread(target=server.start)
    starting.start()
    starting.join()

    keepers = {_parent(process) for process in server.processes()[:1]}

    assert keepers
    assert server.processes()
    server.execute("SELECT 1")


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


STARTER = """
import sys, time
from sagaworks.testing import servers
with getattr(servers, sys.argv[1]).started() as server:
    print(server.folder, *server.processes(), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def starter(kind: type[Server]) -> subprocess.Popen[str]:
    """Another process that has started a server."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STARTER), kind.__name__],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_server_ends_with_whoever_started_it(starter: subprocess.Popen[str]) -> None:
    """Even if that one is killed; and temporary data goes with it."""
    assert starter.stdout is not None
    folder, *processes = starter.stdout.readline().split()

    starter.kill()
    starter.communicate()

    assert awaited(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))
    assert awaited(lambda: not Path(folder).exists())


def test_a_server_ends_with_its_keeper(starter: subprocess.Popen[str]) -> None:
    assert starter.stdout is not None
    folder, *processes = starter.stdout.readline().split()
    keeper = _parent(int(processes[0]))

    os.kill(keeper, 9)

    assert awaited(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))
    starter.terminate()
    starter.communicate()
    subprocess.run(["rm", "-r", folder], check=True)


def test_a_folder_is_taken_until_the_last_process_of_its_server_is_gone(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    """Its keeper is killed, and it can't hear the kernel's signal yet."""
    with PostgreSQL.started(tmp_path / "server") as server:
        main, *_ = server.processes()
        keeper = _parent(main)
        server.freeze()
        os.kill(keeper, 9)
        assert awaited(lambda: _parent(main) != keeper)

        taken = is_held(server.folder / "running.lock")
        send_all(main, signal.SIGCONT)

        assert taken
        assert awaited(lambda: not is_held(server.folder / "running.lock"))
