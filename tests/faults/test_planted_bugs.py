"""Bugs planted in the real code are caught, each by the oracle that is named for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from sqlalchemy import text

from sagaworks.ledger.store import Store
from sagaworks.testing.servers import MariaDB, PostgreSQL
from tests.faults.exploration import bugs, scenes
from tests.faults.exploration.databases import server_urls, sqlite_urls
from tests.faults.exploration.run import Run, Verdict, played
from tests.faults.exploration.schedule import Schedule
from tests.faults.exploration.world import World

OF_SERVERS: Final = ("postgresql", "mariadb")
OF_MARIADB: Final = ("mariadb",)


@dataclass(frozen=True)
class Bug:
    """One planted bug.

    Attributes:
        plant: puts it there until the test is over.
        schedule: the run that shows it.
        oracle: who speaks up.
        on: the databases that it can be seen on.
        scene: what people do meanwhile.
        after: a run before it, which breaks nothing by itself.
    """

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    schedule: str
    oracle: str
    on: Sequence[str] = ("sqlite",)
    scene: type[Run] = Run
    after: str = ""

    def __str__(self) -> str:
        """Name it."""
        return self.name.replace(" ", "-")


BUGS: Final = (
    Bug(
        "row after the effect",
        bugs.row_after_effect,
        "shipped:charge_card@before-COMMIT.1=crash",
        "once",
    ),
    Bug(
        "commit after the report",
        bugs.commit_after_report,
        "shipped:charge_card@after-the-report.1=crash",
        "terminal",
    ),
    Bug(
        "ledger keyed on the job's key",
        bugs.keyed_on_the_job,
        "shipped:charge_card@after-COMMIT.1=crash-and-moved",
        "once",
    ),
    Bug(
        "no fence",
        bugs.no_fence,
        "declined:hold_stock@job-received.1=zombie-wakes-last",
        "no_hang",
        scene=scenes.CompletedByHand,
    ),
    Bug(
        "refusal not recorded",
        bugs.refusal_not_recorded,
        "out_of_stock:hold_stock@ThrowError.1=command-late",
        "no_orphan",
        scene=scenes.GoodsArrive,
    ),
    Bug(
        "a zombie's step opens a round",
        bugs.a_zombie_opens_a_round,
        "declined:hold_stock@before-BEGIN.1=zombie-wakes-last",
        "no_orphan",
    ),
    Bug(
        "a redelivered compensation moves on",
        bugs.a_compensation_moves_on,
        "declined:release_stock@before-BEGIN.1=zombie-wakes-last",
        "terminal",
        scene=scenes.TakenUpAgain,
    ),
    Bug(
        "NOT_FOUND taken as proof",
        bugs.not_found_is_proof,
        "shipped:charge_card@CompleteJob.1=command-resent",
        "paired",
    ),
    Bug(
        "keys compared for order",
        bugs.keys_tell_who_is_newer,
        "shipped:charge_card@after-COMMIT.1=crash-and-restored",
        "progress",
    ),
    Bug(
        "rows matched by the business key alone",
        bugs.one_key_is_one_saga,
        "shipped:",
        "paired",
        scene=scenes.StartedTwice,
    ),
    Bug(
        "a swallowed deadlock drops the claim",
        bugs.a_lost_claim_commits,
        "shipped:",
        "once",
        on=OF_MARIADB,
        scene=scenes.DeadlockIgnored,
    ),
    Bug(
        "saga row not locked",
        bugs.the_saga_row_is_only_read,
        "shipped:ship_stock@after-the-effect.1=zombie-wakes-during,ship_stock@CompleteJob.1=command-lost",
        "retries_honest",
        on=OF_SERVERS,
    ),
    Bug(
        "a compensation is given the wrong fact",
        bugs.the_wrong_fact,
        "declined:",
        "conserved",
        after="declined:",
    ),
    Bug(
        "an outage burns retries",
        bugs.an_outage_burns_retries,
        "shipped:charge_card@before-BEGIN.1=database-away",
        "retries_honest",
    ),
    Bug(
        "failed after a doubtful completion",
        bugs.a_doubtful_completion_fails,
        "shipped:charge_card@CompleteJob.1=command-lost",
        "retries_honest",
    ),
    Bug(
        "undone before it is marked",
        bugs.undone_before_it_is_marked,
        "no_carrier:refund_card@after-COMMIT.1=crash",
        "conserved",
    ),
    Bug(
        "each call has a key of its own",
        bugs.each_call_has_a_key_of_its_own,
        "shipped:book_shipment@after-the-call.1=crash",
        "once",
    ),
    Bug(
        "history believed across lives",
        bugs.history_of_any_life_is_believed,
        "shipped:",
        "paired",
        scene=scenes.EngineWiped,
    ),
    Bug(
        "an unknown remote call is cancelled",
        bugs.an_unknown_call_is_cancelled,
        "shipped:book_shipment@after-the-call.1=crash-and-canceled",
        "conserved",
    ),
    Bug(
        "counted before the engine has accepted it",
        bugs.counted_before_it_is_accepted,
        "shipped:charge_card@after-COMMIT.1=timer-fires",
        "no_orphan",
    ),
    Bug(
        "what the engine took away is counted",
        bugs.what_was_taken_away_is_counted,
        "shipped:charge_card@before-COMMIT.1=timer-fires",
        "no_orphan",
    ),
    Bug(
        "a replay decides again",
        bugs.a_replay_decides_again,
        "shipped:charge_card@after-COMMIT.1=crash",
        "once",
    ),
)


CASE: Final = Bug(
    "a case-insensitive key",
    bugs.none_in_the_code,
    "shipped:",
    "once",
    on=OF_MARIADB,
    scene=scenes.OfTheSameName,
    after="shipped:",
)


@pytest.fixture(scope="module")
def sqlite() -> Iterator[World]:
    with sqlite_urls() as urls, World.opened(urls) as world:
        yield world


@pytest.fixture(scope="module")
def on_postgresql(postgresql: PostgreSQL) -> Iterator[World]:
    with World.opened(server_urls(postgresql, "bugs")) as world:
        yield world


@pytest.fixture(scope="module")
def on_mariadb(mariadb: MariaDB) -> Iterator[World]:
    with World.opened(server_urls(mariadb, "bugs")) as world:
        yield world


def met(world: World, bug: Bug) -> Verdict:
    """Play what shows the bug."""
    if bug.after:
        with played(world, Schedule.parse(bug.after), bug.scene):
            pass
    with played(world, Schedule.parse(bug.schedule), bug.scene) as (_, verdict):
        return verdict


def found(world: World, bug: Bug, patch: pytest.MonkeyPatch) -> None:
    """Play it without the bug, then with it."""
    as_it_is = met(world, bug)
    bug.plant(patch)
    planted = met(world, bug)

    assert as_it_is.is_good, as_it_is.story()
    assert not planted.missed
    assert bug.oracle in planted.broken, planted.story()


def of(kind: str) -> list[Bug]:
    return [bug for bug in BUGS if kind in bug.on]


@pytest.mark.parametrize("bug", of("sqlite"), ids=str)
def test_a_planted_bug_is_caught_by_its_oracle(
    sqlite: World, bug: Bug, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(sqlite, bug, monkeypatch)


@pytest.mark.parametrize("bug", of("postgresql"), ids=str)
def test_a_bug_of_two_workers_at_once_is_caught_on_postgresql(
    on_postgresql: World, bug: Bug, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(on_postgresql, bug, monkeypatch)


@pytest.mark.parametrize("bug", of("mariadb"), ids=str)
def test_a_bug_of_two_workers_at_once_is_caught_on_mariadb(
    on_mariadb: World, bug: Bug, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(on_mariadb, bug, monkeypatch)


def test_keys_that_differ_in_case_only_are_two_orders_until_the_tables_are_converted(
    on_mariadb: World, mariadb: MariaDB
) -> None:
    """To the default collation; a worker refuses to start on it, by `Store.check_version`."""
    assert met(on_mariadb, CASE).is_good

    with World.opened(server_urls(mariadb, "converted")) as world:
        for store in world.stores.values():
            convert(store)

        assert CASE.oracle in met(world, CASE).broken


def convert(store: Store) -> None:
    with store.writing() as connection:
        for table in ("sagaworks_saga", "sagaworks_ledger"):
            converted = f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4"
            connection.execute(text(f"{converted} COLLATE utf8mb4_general_ci"))


def test_at_least_fifteen_bugs_are_planted() -> None:
    assert len({bug.name for bug in (*BUGS, CASE)}) >= 15
