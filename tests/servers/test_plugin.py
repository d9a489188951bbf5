"""What a run says of tests whose server can't be had."""

import textwrap

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
from sagaworks.testing.servers import ServersUnavailableError, plugin, server

def pytest_configure(config):
    config.pluginmanager.register(plugin)

def none(wanted, cache, note):
    raise ServersUnavailableError(f"no {wanted.name} on this machine: install it")

server.programs = none
"""

TESTS = """
def test_needs_nothing():
    pass

def test_keeps_an_order(postgresql):
    raise AssertionError("it can't have run")

def test_holds_stock(mariadb):
    raise AssertionError("it can't have run")

def test_charges_a_card(postgresql):
    raise AssertionError("it can't have run")
"""


@pytest.fixture
def bare(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite on a machine without servers."""
    pytester.makeconftest(textwrap.dedent(CONFTEST))
    pytester.makepyfile(test_shop=textwrap.dedent(TESTS))
    return pytester


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=" ".join)
def test_what_could_not_be_run_is_named_at_the_end(
    bare: pytest.Pytester, options: tuple[str, ...]
) -> None:
    result = bare.runpytest_subprocess(*options)

    assert result.ret == 4
    result.assert_outcomes(passed=1, skipped=3)
    said = [line for line in result.outlines if line.startswith("not run: ")]
    assert sorted(said) == [
        "not run: 1 test, no MariaDB on this machine: install it",
        "not run: 2 tests, no PostgreSQL on this machine: install it",
        "not run: test_shop.py::test_charges_a_card",
        "not run: test_shop.py::test_holds_stock",
        "not run: test_shop.py::test_keeps_an_order",
    ]
    assert result.outlines[-1].startswith("not run: ")


def test_a_failure_weighs_more(bare: pytest.Pytester) -> None:
    bare.makepyfile(test_bad="def test_bad():\n    assert False\n")

    result = bare.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not run: 2 tests, *"])


def test_who_asks_for_no_server_hears_of_none(bare: pytest.Pytester) -> None:
    result = bare.runpytest_subprocess("-k", "nothing")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("not run*")


def test_tests_are_marked_with_the_servers_that_they_need(bare: pytest.Pytester) -> None:
    result = bare.runpytest_subprocess("-m", "not postgresql and not mariadb", "--strict-markers")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, deselected=3)


@pytest.mark.usefixtures("postgresql", "mariadb")
def test_both_servers_are_there_where_they_can_be_had(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from sagaworks.testing.servers import plugin\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(plugin)\n"
    )
    pytester.makepyfile(
        "def test_both(postgresql, mariadb):\n"
        "    for server in (postgresql, mariadb):\n"
        "        server.execute('SELECT 1')\n"
    )

    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.OK
