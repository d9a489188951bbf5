import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.command import main
from demo.errors import DemoError
from demo.home import Home, demo_environment


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "demo")


def test_only_one_demo_at_a_time_uses_a_folder(home: Home) -> None:
    other = Home(home.folder).taken()

    with home.taken(), pytest.raises(DemoError, match=f"another demo runs.*{os.getpid()}"):
        other.__enter__()


def test_the_folder_is_free_again_after_a_demo(home: Home) -> None:
    for _ in range(2):
        with home.taken():
            pass


def test_a_second_demo_is_told_in_one_line(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with home.taken():
        code = main(["--data", str(home.folder)])

    assert code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_each_run_begins_afresh(home: Home) -> None:
    home.clear()
    (home.folder / "orders.db").touch()

    home.clear()

    assert not (home.folder / "orders.db").exists()


def test_a_folder_that_is_no_demos_is_left_alone(home: Home) -> None:
    home.folder.mkdir()
    (home.folder / "thesis.txt").touch()

    with pytest.raises(DemoError, match="isn't a demo's folder"):
        home.clear()

    assert (home.folder / "thesis.txt").exists()


def test_an_empty_folder_may_be_used(home: Home) -> None:
    home.folder.mkdir()

    home.clear()

    assert home.mark.exists()


def test_down_says_so_where_no_demo_runs(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--data", str(home.folder)]) == 0
    assert "no demo runs" in capsys.readouterr().out.replace("\n", " ")


def test_down_stops_the_demo_that_runs_and_waits_for_it(home: Home) -> None:
    program = (
        "import sys, time; from pathlib import Path; from demo.home import Home\n"
        "with Home(Path(sys.argv[1])).taken(): time.sleep(60)"
    )
    demo = subprocess.Popen([sys.executable, "-c", program, str(home.folder)])
    try:
        until = time.monotonic() + 30
        while not (home.lock.exists() and home.lock.read_text()):
            assert time.monotonic() < until
            time.sleep(0.01)

        assert home.down()

        with home.taken():
            assert demo.wait(10) != 0
    finally:
        demo.kill()
        demo.wait()


CALLER = {
    "PATH": "/bin",
    "ZEEBE_ADDRESS": "production:26500",
    "ZEEBE_CLIENT_ID": "me",
    "ORDERS_DATABASE_URL": "postgresql://production/orders",
    "ORDERS_MANAGEMENT_URL": "http://production:8080",
    "ORDERS_MANAGE_PORT": "8080",
    "CARRIER_URL": "https://real.example",
    "SAGAWORKS_TOKEN": "secret",
    "SAGAWORKS_DATA": "/production",
    "SAGAWORKS_CACHE": "/cache",
}


def test_nothing_of_the_callers_own_is_touched(home: Home) -> None:
    assert demo_environment(CALLER, home, engine=None) == {
        "PATH": "/bin",
        "SAGAWORKS_CACHE": "/cache",
        "SAGAWORKS_DATA": str(home.folder),
    }


def test_a_cluster_is_used_only_where_the_caller_names_it(home: Home) -> None:
    environ = demo_environment(CALLER, home, engine="cluster:26500")

    assert environ["ZEEBE_ADDRESS"] == "cluster:26500"
    assert environ["ZEEBE_CLIENT_ID"] == "me"
    assert "ORDERS_DATABASE_URL" not in environ


@pytest.mark.parametrize("orders", ["0", "-1", "x", "100001"])
def test_a_senseless_number_of_orders_is_a_usage_error(orders: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--orders", orders])

    assert ended.value.code == 2
