"""The contract on a kept history, in both of its databases, and what is only theirs."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, inspect, select, text

from sagaworks.errors import ConfigurationError
from sagaworks.history import HistoryUnavailable
from sagaworks.history.keeping import tables
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.history.keeping.unread import NOBODY, Unread
from sagaworks.saga import SagaKey
from sagaworks.testing.servers import Server
from tests.history.contract import DueContract, Take
from tests.history.recorded import (
    ORDER,
    OTHER,
    XML,
    deployed,
    in_partition,
    incident,
    job,
    later,
    process,
    undoing,
    variable,
)

_MOMENT = timedelta(milliseconds=50)

DEEP_KEY = {
    "name": "saga_key",
    "value": "[" * 100_000,
    "scopeKey": ORDER,
    "processInstanceKey": ORDER,
}

POISON = {
    "a field is missing": {**job(2, "FAILED"), "value": {"processInstanceKey": ORDER}},
    "a number is text": job(2, "FAILED", elementInstanceKey="2"),
    "text is a number": job(2, "FAILED", elementId=2),
    "too large": job(2, "FAILED", elementInstanceKey=2**63),
    "half a character": job(2, "FAILED", errorMessage="\ud800"),
    "a list": incident(2, "CREATED", errorMessage=["a"]),
    "a process without a version": process(2, "ELEMENT_ACTIVATED", version="one"),
    "a variable without a scope": {
        **variable(2, "saga_key", "o-1"),
        "value": {"name": "saga_key", "processInstanceKey": ORDER},
    },
}
"""Records of the saga ORDER that no version so far has written."""


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def history(database_url: str) -> Iterator[KeptHistory]:
    kept = KeptHistory(database_url)
    kept.prepare()
    yield kept
    kept.close()


class StoreContract(DueContract):
    @pytest.fixture
    def take(self, history: KeptHistory) -> Take:
        return lambda records: history.take([*records])

    def test_what_was_taken_is_there_for_who_opens_it_next(
        self, history: KeptHistory, database_url: str
    ) -> None:
        history.take([deployed(1), process(2, "ELEMENT_ACTIVATED"), job(3, "CREATED")])
        history.close()

        again = KeptHistory(database_url)
        again.prepare()

        assert again.job(7)
        assert again.take([job(3, "CREATED")]).repeats == 1
        again.close()

    def test_a_history_that_is_older_gets_the_indexes_it_lacks(
        self, history: KeptHistory, database_url: str
    ) -> None:
        later = {str(index.name) for index in tables.later_indexes}
        with opened(database_url) as connection:
            for name in later:
                connection.exec_driver_sql(f"DROP INDEX {name}")

        history.prepare()

        with opened(database_url) as connection:
            names = {one["name"] for one in inspect(connection).get_indexes("history_record")}
        assert later <= names

    def test_an_instance_is_looked_up_without_its_elements(
        self, history: KeptHistory, database_url: str
    ) -> None:
        c = tables.record.c
        asked = select(c.position, c.value).where(c.instance.in_([1, 2]), tables.is_of_itself)
        with opened(database_url) as connection:
            is_sqlite = connection.dialect.name == "sqlite"
            if not is_sqlite:
                # In a table so small it would read all of it.
                connection.exec_driver_sql("SET enable_seqscan = off")
            how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
            text = asked.compile(connection, compile_kwargs={"literal_binds": True})
            plan = " ".join(str(row) for row in connection.exec_driver_sql(f"{how} {text}"))
        assert "history_of_itself" in plan

    def test_no_variable_but_the_business_key_is_kept(
        self, history: KeptHistory, database_url: str
    ) -> None:
        history.take(
            [
                variable(1, "card", "4111-1111"),
                variable(2, "saga_key", "o-1"),
                undoing(3, "CREATED"),
                job(4, "CREATED", variables={"card": "4111-1111"}),
            ]
        )

        with opened(database_url) as connection:
            values = " ".join(
                connection.execute(text("SELECT value FROM history_record")).scalars()
            )
        assert "o-1" in values
        assert "4111" not in values

    def test_an_old_saga_that_has_ended_is_forgotten_and_its_diagram_stays(
        self, history: KeptHistory
    ) -> None:
        history.take([deployed(1), variable(2, "saga_key", "o-1"), *_whole(3, ORDER)])
        history.take([*_whole(10_000, OTHER)])

        count = history.prune(before=5_000)

        assert count == 4
        assert (history.instance(ORDER), history.instances("o-1")) == (None, [])
        assert history.instance(OTHER)
        assert history.diagram(OTHER) == XML

    def test_a_saga_that_runs_is_never_forgotten(self, history: KeptHistory) -> None:
        history.take([process(1, "ELEMENT_ACTIVATED"), job(2, "CREATED"), incident(3, "CREATED")])

        assert history.prune(before=10**15) == 0
        assert history.job(7)

    def test_what_an_earlier_life_left_running_is_forgotten_by_its_age(
        self, history: KeptHistory
    ) -> None:
        history.take([process(1, "ELEMENT_ACTIVATED"), job(2, "CREATED"), job(3, "CREATED", 8)])
        history.take([later(job(3, "COMPLETED"))])

        assert history.prune(before=5_000) == 1
        assert [one.key for one in history.jobs(ORDER)] == [7]

    def test_a_key_reused_in_a_new_life_loses_nothing_when_the_old_saga_is_forgotten(
        self, history: KeptHistory
    ) -> None:
        history.take([process(5, "ELEMENT_ACTIVATED"), process(6, "ELEMENT_COMPLETED")])
        history.take([later(process(4, "ELEMENT_ACTIVATED"))])

        history.prune(before=5_000)

        assert history.instance(ORDER)

    def test_told_to_stop_it_forgets_no_more_than_the_batch_in_hand(
        self, history: KeptHistory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sagaworks.history.keeping.store._PRUNED_AT_ONCE", 1)
        monkeypatch.setattr("sagaworks.history.keeping.partitions._FORGOTTEN_AT_ONCE", 1)
        history.take([*_whole(10, ORDER), *_whole(20, OTHER)])
        history.take([later(process(5, "ELEMENT_ACTIVATED", 7))])
        asked = iter([False, True])

        assert history.prune(before=5_000, is_to_stop=lambda: True) == 0
        assert history.prune(before=5_000, is_to_stop=lambda: next(asked)) == 1
        assert history.prune(before=5_000) == 5
        assert history.instance(SagaKey(7))

    def test_what_the_exporter_has_skipped_is_counted(self, history: KeptHistory) -> None:
        partition = 1 << 51
        history.take([{**job(1, "CREATED"), "sequence": partition + 1}])
        history.take([{**job(2, "FAILED"), "sequence": partition + 2}])
        history.take([{**job(5, "COMPLETED"), "sequence": partition + 5}])
        history.take([{**incident(6, "CREATED"), "sequence": partition + 9}])

        (progress,) = history.progress()

        assert (progress.missing, progress.last, progress.newest) == (2, 6, 1006)

    def test_partitions_that_come_at_once_are_all_taken(self, history: KeptHistory) -> None:
        def send(number: int) -> None:
            for position in range(10):
                history.take(
                    [in_partition(number, job(position, "CREATED", number * 100 + position))]
                )

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(send, number) for number in range(1, 5)]:
                done.result()

        assert len(history.jobs(ORDER)) == 40

    @pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
    def test_a_record_that_can_not_be_read_is_kept_aside_and_keeps_no_other_from_coming(
        self, history: KeptHistory, poison: dict
    ) -> None:
        taken = history.take([job(1, "CREATED", 8), poison, job(3, "CREATED", 9)])

        assert (taken.new, taken.kept, taken.unread) == (3, 2, 1)
        assert [one.key for one in history.jobs(ORDER)] == [8, 9]
        assert history.take([poison]).repeats == 1
        told = history.unread([SagaKey(ORDER), SagaKey(OTHER)])
        assert [*told] == [ORDER]
        assert "at position 2 of partition 1" in told[SagaKey(ORDER)]
        assert history.told([SagaKey(ORDER), SagaKey(OTHER)]) == ({}, told)

    @pytest.mark.parametrize(
        "odd",
        [
            variable(2, "saga_key", "order\0"),
            variable(2, "saga_key", "order\ud800"),
            variable(2, "saga_key", "x") | {"value": DEEP_KEY},
            job(2, "CREATED", retries=-1),
        ],
        ids=["nul", "half a character", "deep", "retries"],
    )
    def test_what_is_odd_and_can_be_read_is_kept(self, history: KeptHistory, odd: dict) -> None:
        taken = history.take([process(1, "ELEMENT_ACTIVATED"), odd, job(3, "CREATED", 9)])

        assert (taken.new, taken.unread) == (3, 0)
        assert history.jobs(ORDER)
        assert history.instance(SagaKey(ORDER)).business_key is None

    def test_a_record_that_does_not_say_whose_it_is_may_be_of_who_ran_then(
        self, history: KeptHistory
    ) -> None:
        over, runs, fresh, nameless = (ORDER + number for number in range(4))
        history.take(
            [
                *_begun(1, over),
                process(3, "ELEMENT_COMPLETED", over),
                *_begun(4, runs),
                Unread(1, 6, NOBODY, "it's no JSON", ""),
                process(7, "ELEMENT_COMPLETED", runs),
                *_begun(8, fresh),
                process(10, "ELEMENT_ACTIVATING", nameless),
            ]
        )

        unknown, elsewhere = ORDER + 9, (2 << 51) + 5
        told = history.unread([over, runs, fresh, nameless, unknown, elsewhere])

        assert {*told} == {runs, nameless, unknown}

    def test_what_a_former_life_could_not_tell_is_none_of_this_ones(
        self, history: KeptHistory
    ) -> None:
        history.take([*_begun(1, ORDER), job(5, "CREATED"), Unread(1, 6, NOBODY, "text", "")])
        history.take([later(job(5, "CREATED"))])

        assert history.unread([SagaKey(ORDER)]) == {}

    def test_what_was_before_the_copy_stays_unread_in_the_next_life(
        self, history: KeptHistory
    ) -> None:
        history.take([*_begun(1, ORDER), Unread(1, 3, NOBODY, "text", ""), job(5, "CREATED")])
        history.take([later(job(5, "CREATED"))])

        assert history.unread([SagaKey(ORDER)])

    def test_a_flood_of_what_can_not_be_read_is_one_row(
        self, history: KeptHistory, database_url: str
    ) -> None:
        history.take([*_begun(1, ORDER)])
        for position in range(10, 20):
            history.take([Unread(1, position, NOBODY, "text", "")])

        assert "positions 10 to 19" in history.unread([SagaKey(ORDER)])[SagaKey(ORDER)]
        with opened(database_url) as connection:
            assert connection.execute(text("SELECT count(*) FROM history_unread")).scalar() == 1

    def test_what_could_not_be_read_goes_with_its_instance_and_held_no_variable(
        self, history: KeptHistory, database_url: str
    ) -> None:
        broken = job(2, "CREATED", elementId=7, variables={"card": "4111-1111"})
        history.take([process(1, "ELEMENT_ACTIVATED"), broken, process(3, "ELEMENT_COMPLETED")])
        with opened(database_url) as connection:
            raw = connection.execute(text("SELECT raw FROM history_unread")).scalar()

        history.prune(before=5_000)

        assert "elementInstanceKey" in raw
        assert "4111" not in raw
        assert history.unread([SagaKey(ORDER)]) == {}

    def test_partitions_that_can_not_be_read_at_once_are_all_told(
        self, history: KeptHistory
    ) -> None:
        keys = [SagaKey((number << 51) + 5) for number in range(1, 5)]

        def send(number: int) -> None:
            for position in range(10):
                history.take([Unread(number, position, NOBODY, "text", "")])

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(send, number) for number in range(1, 5)]:
                done.result()

        assert {*history.unread(keys)} == {*keys}

    def test_a_batch_that_fails_leaves_nothing_and_comes_again(self, history: KeptHistory) -> None:
        good = job(1, "CREATED")
        broken = {**job(2, "CREATED"), "intent": None}

        with pytest.raises(HistoryUnavailable, match="history"):
            history.take([good, broken])

        assert history.job(7) is None
        assert history.take([good]).new == 1

    def test_a_database_of_a_later_version_is_refused(
        self, history: KeptHistory, database_url: str
    ) -> None:
        with opened(database_url) as connection:
            connection.execute(tables.version.update().values(version=99))

        with pytest.raises(ConfigurationError, match="version 99, this sagaworks knows 1"):
            history.prepare()


def _begun(position: int, instance: int) -> list[dict]:
    whose = {"processInstanceKey": instance, "scopeKey": instance}
    return [
        variable(position, "saga_key", f"order-{instance}", **whose),
        process(position + 1, "ELEMENT_ACTIVATING", instance),
    ]


def _whole(position: int, instance: int) -> list[dict]:
    return [
        process(position, "ELEMENT_ACTIVATED", instance),
        job(position + 1, "COMPLETED", instance + 1, processInstanceKey=instance),
        process(position + 2, "ELEMENT_COMPLETED", instance),
    ]


class TestOnSQLite(StoreContract):
    @pytest.fixture
    def database_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'history.db'}"

    def test_a_locked_database_takes_nothing_and_says_so(
        self, history: KeptHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sagaworks.history.keeping.store._WAIT", _MOMENT)
        impatient = KeptHistory(f"sqlite:///{tmp_path / 'history.db'}")
        other = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(HistoryUnavailable, match="database is locked"):
            impatient.take([job(1, "CREATED")])

        other.close()
        assert impatient.take([job(1, "CREATED")]).new == 1
        impatient.close()

    def test_a_full_disk_takes_nothing_and_says_so(self, history: KeptHistory) -> None:
        with history._store.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @event.listens_for(history._store.engine, "checkout")
        def full(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        big = deployed(1, XML * 10_000)
        with pytest.raises(HistoryUnavailable, match="full"):
            history.take([big])

        event.remove(history._store.engine, "checkout", full)
        history._store.engine.dispose()
        assert history.take([big]).new == 1

    def test_another_kind_of_database_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="SQLite or PostgreSQL"):
            KeptHistory("mariadb+pymysql://me@host/history")


@pytest.fixture(scope="session")
def empty(postgresql) -> str:
    postgresql.create_database("history")
    return postgresql.admin_url("history")


class TestOnPostgreSQL(StoreContract):
    @pytest.fixture
    def database_url(self, empty: str) -> str:
        with opened(empty) as connection:
            tables.metadata.drop_all(connection)
        return empty

    def test_a_server_that_was_killed_takes_what_comes_after_it_is_back(
        self, history: KeptHistory, postgresql: Server
    ) -> None:
        history.take([job(1, "CREATED")])
        postgresql.kill()

        with pytest.raises(HistoryUnavailable):
            history.take([job(2, "COMPLETED")])
        with pytest.raises(HistoryUnavailable):
            history.job(7)

        postgresql.start()
        assert history.take([job(1, "CREATED"), job(2, "COMPLETED")]).new == 1
        assert history.life() == 1
