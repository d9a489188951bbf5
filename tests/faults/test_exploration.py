"""Whatever breaks, wherever a worker is just then, an order ends fully done or fully undone."""

from collections.abc import Iterator
from contextvars import copy_context
from typing import Any, Final

import pytest

from sagaworks.ledger import protocol, statements
from sagaworks.ledger.group import Job
from sagaworks.ledger.points import Point
from sagaworks.runtime import reports
from sagaworks.runtime.deliveries import delivery_of, variables_to_fetch
from sagaworks.testing.servers import MariaDB, PostgreSQL, Server
from tests.faults.exploration import life as lives
from tests.faults.exploration import plan
from tests.faults.exploration.command import main, sample
from tests.faults.exploration.databases import Urls, server_urls, sqlite_urls
from tests.faults.exploration.explore import Explorers, Found
from tests.faults.exploration.hooks import unhooked
from tests.faults.exploration.paths import PATHS
from tests.faults.exploration.run import UNHOOKED, Run, play, played
from tests.faults.exploration.schedule import Kind, Schedule
from tests.faults.exploration.world import World

PROCESSES: Final = 2

PAIRS: Final = 1_500
"""`make faults` plays every one."""

SEED: Final = 6

ALL_KINDS: Final = {*Kind}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with sqlite_urls() as urls, World.opened(urls) as world:
        yield world


def told(found: Found) -> str:
    return "\n".join(f"{kind} {name}\n{story}" for kind, name, story in found.bad[:5])


@pytest.mark.timeout(900)
def test_every_fault_at_every_point_and_two_crashes_leave_an_order_whole_on_sqlite() -> None:
    with (
        sqlite_urls() as one,
        sqlite_urls() as two,
        Explorers.started([{"sqlite": one}, {"sqlite": two}]) as explorers,
    ):
        found = explorers.play("sqlite", explorers.singles("sqlite"))
        found.take(explorers.play("sqlite", sample(found.pairs, PAIRS, SEED)))

    assert not found.bad, told(found)
    assert found.played.total() >= 4_000
    assert {*found.faults} >= ALL_KINDS


def explored_on(server: Server) -> Found:
    kind = "mariadb" if isinstance(server, MariaDB) else "postgresql"
    urls: list[Urls] = [server_urls(server, f"faults_{number}") for number in range(PROCESSES)]
    with Explorers.started([{kind: one} for one in urls]) as explorers:
        return explorers.play(kind, explorers.singles(kind))


@pytest.mark.timeout(900)
def test_every_fault_at_every_point_leaves_an_order_whole_on_postgresql(
    postgresql: PostgreSQL,
) -> None:
    found = explored_on(postgresql)

    assert not found.bad, told(found)
    assert found.played.total() >= 3_000
    assert {*found.faults} >= ALL_KINDS


@pytest.mark.timeout(900)
def test_every_fault_at_every_point_leaves_an_order_whole_on_mariadb(mariadb: MariaDB) -> None:
    found = explored_on(mariadb)

    assert not found.bad, told(found)
    assert found.played.total() >= 3_000
    assert {*found.faults} >= ALL_KINDS


@pytest.mark.parametrize("path", PATHS)
def test_a_way_without_a_fault_ends_where_it_should(world: World, path: str) -> None:
    with played(world, Schedule(path)) as (run, verdict):
        assert verdict.is_good, verdict.story()
        assert run.instance.ended == PATHS[path].ends


def test_each_step_and_compensation_is_on_a_way(world: World) -> None:
    visited = {place.task for path in PATHS for place in play(world, Schedule(path)).visited}

    assert visited >= {task.id for task in world.diagram.tasks.values()}


def test_each_point_is_met_by_a_step(world: World) -> None:
    """The engine is asked only where something has happened already."""
    ways = [
        *map(Schedule, PATHS),
        Schedule.parse("shipped:hold_stock@after-COMMIT.1=crash-and-moved"),
    ]
    visited = {place.at for way in ways for place in play(world, way).visited}

    assert {point.replace(" ", "-") for point in Point} <= visited


def test_a_second_crash_may_come_anywhere_after_the_first(world: World) -> None:
    first = play(world, Schedule.parse("shipped:ship_stock@after-COMMIT.1=crash"))
    seconds = [schedule.faults[1].place for schedule in plan.pairs(first)]

    assert [str(place) for place in seconds][:2] == [
        "ship_stock@job-received.2",
        "ship_stock@before-BEGIN.2",
    ]
    assert seconds[-1].task.startswith("sweep-")


def test_a_group_commits_nothing_without_a_point(world: World) -> None:
    with played(world, Schedule("shipped")) as (run, _), world.hands() as lend:
        run.visited.clear()
        life = lives.Life(world.services["inventory"], lend(), run.engine, run)
        task = life.service.steps["hold_stock"]
        life.job = run.instance.jobs[1]
        jobs = [Job(delivery_for(run, task, f"{run.key}-{n}")) for n in (1, 2)]

        context = copy_context()
        context.run(lives._life.set, life)
        context.run(life._handler._crew._ledger.run_group, task, jobs)

    assert len([place for place in run.visited if place.at == "the-commit"]) == 1
    assert not [*unhooked(run.visited)]


def delivery_for(run: Run, task: Any, key: str) -> Any:
    run.instance.variables["saga_key"] = key
    message = run.engine.give(run.instance.jobs[1], variables_to_fetch(task))
    return delivery_of(task, message, attempt=1, tenant=lives.TENANT)


def test_a_commit_without_a_point_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def mark_counted(ledger: Any, rows: list[int]) -> None:
        with ledger.store.writing() as connection:
            statements.mark_counted(connection, rows)

    monkeypatch.setattr(protocol.Ledger, "mark_counted", mark_counted)

    [first, *_] = play(world, Schedule("shipped")).broken[UNHOOKED]
    assert first.startswith("accept_order@the-commit.2 comes after accept_order@after-the-report.1")


def test_a_call_to_the_engine_without_a_point_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    completes = reports.Reports._complete

    async def ask_first(self: Any, held: Any, answer: Any) -> None:
        await self._commands.presence(held.key, lives.timedelta(seconds=1))
        await completes(self, held, answer)

    monkeypatch.setattr(reports.Reports, "_complete", ask_first)

    [first, *_] = play(world, Schedule("shipped")).broken[UNHOOKED]
    assert first.startswith("accept_order@UpdateJobTimeout.1 comes after accept_order@after-COMMIT")


def test_a_schedule_is_repeated_by_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    named = "shipped:charge_card@after-COMMIT.1=crash"
    code = main(["--on", "sqlite", "--processes", "1", "--seed", "7", named])

    said = capfd.readouterr().out
    assert code == 0, said
    assert "faults: seed 7; 1 schedules on sqlite" in said
    assert "faults: 1 schedules (1 on sqlite), 0 wrong" in said


def test_a_schedule_that_proves_nothing_is_printed_as_the_command_that_repeats_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    named = "shipped:refund_card@after-COMMIT.1=crash"
    code = main(["--on", "sqlite", "--processes", "1", named])

    said = capfd.readouterr().out
    assert code == 1
    assert "never happened: refund_card@after-COMMIT.1=crash" in said
    assert f"again: python -m tests.faults.exploration --on sqlite {named}" in said


def test_a_name_that_is_none_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    code = main(["--on", "sqlite", "shipped:charge_card@somewhere.1=crash"])

    assert code == 2
    said = capfd.readouterr().err
    assert (
        said == "faults: 'charge_card@somewhere.1' is no place such as charge_card@after-COMMIT.1\n"
    )
