"""Each oracle keeps still about what is right, and speaks up once the databases are doctored."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.faults.exploration.engine import JobState
from tests.faults.exploration.run import Run, played
from tests.faults.exploration.schedule import Schedule
from tests.faults.exploration.world import SERVICES, World, migrated
from tests.faults.oracles import ORACLES, judge

Doctor = Callable[[Run], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("services")
    urls = migrated({name: f"sqlite:///{folder / name}.db" for name in SERVICES})
    with World.opened(urls) as world:
        yield world


def doctor(service: str, *statements: str) -> Doctor:
    """Return who rewrites a service's database behind its back."""

    def rewrite(run: Run) -> None:
        with run.world.stores[service].writing() as connection:
            connection.execute(text("DROP TRIGGER IF EXISTS sagaworks_answers_stand"))
            for statement in statements:
                connection.execute(text(statement), {"order": run.key})

    return rewrite


def burn_a_retry(run: Run) -> None:
    run.instance.jobs[0].retries -= 1


def raise_an_incident(run: Run) -> None:
    run.instance.jobs[-1].state = JobState.INCIDENT


def never_end(run: Run) -> None:
    run.instance.ended = ""


def forget_an_answer(run: Run) -> None:
    run.instance.jobs[1].state = JobState.CANCELED


FORGET = "DELETE FROM sagaworks_ledger WHERE saga_key = :order AND step = '{}'"
REOPEN = "UPDATE sagaworks_ledger SET state = 'open', undone_at = NULL WHERE saga_key = :order"
UNANSWER = (
    "UPDATE sagaworks_ledger SET state = 'intent', answered_at = NULL WHERE saga_key = :order"
)
CHARGE = """INSERT INTO charge (id, order_key, card, amount, refunded)
    SELECT lower(hex(randomblob(16))), order_key, card, amount, {} FROM charge
    WHERE order_key = :order"""

found_on_the_shelf = doctor("inventory", "UPDATE stock SET available = 99 WHERE sku = :order")
taken_from_the_card = doctor("payments", "UPDATE card SET balance = 1 WHERE number = :order")
still_fetched = doctor("shipping", "UPDATE shipment SET cancelled = 0 WHERE sku = :order")
charged_twice = doctor("payments", CHARGE.format(0))
charged_and_refunded_twice = doctor("payments", CHARGE.format(1))
order_lost = doctor("orders", "DELETE FROM orders WHERE key = :order")
refunded = doctor("payments", "UPDATE charge SET refunded = 1 WHERE order_key = :order")
not_refunded = doctor("payments", "UPDATE charge SET refunded = 0 WHERE order_key = :order")
not_rejected = doctor("orders", "UPDATE orders SET status = 'accepted' WHERE key = :order")
never_shipped = doctor("inventory", FORGET.format("ship_stock"))
never_held = doctor("inventory", FORGET.format("hold_stock"))
held_for_ever = doctor("inventory", REOPEN)
called_for_ever = doctor("shipping", UNANSWER)

DOCTORED: list[tuple[str, str, Doctor]] = [
    ("terminal", "shipped", never_shipped),
    ("terminal", "declined", held_for_ever),
    ("terminal", "shipped", never_end),
    ("conserved", "shipped", found_on_the_shelf),
    ("conserved", "recalled", taken_from_the_card),
    ("conserved", "recalled", still_fetched),
    ("once", "shipped", charged_twice),
    ("once", "recalled", charged_and_refunded_twice),
    ("once", "shipped", order_lost),
    ("paired", "shipped", refunded),
    ("paired", "recalled", not_refunded),
    ("paired", "recalled", not_rejected),
    ("no_orphan", "declined", held_for_ever),
    ("no_orphan", "no_carrier", called_for_ever),
    ("no_orphan", "shipped", forget_an_answer),
    ("no_hang", "declined", never_held),
    ("retries_honest", "shipped", burn_a_retry),
    ("retries_honest", "shipped", raise_an_incident),
    ("progress", "shipped", never_end),
]


@pytest.mark.parametrize("number", range(len(DOCTORED)))
def test_an_oracle_finds_what_was_doctored(world: World, number: int) -> None:
    oracle, path, rewrite = DOCTORED[number]
    with played(world, Schedule(path)) as (run, verdict):
        assert verdict.is_good, verdict.story()
        rewrite(run)

        assert oracle in judge(run.evidence())


def test_each_oracle_has_been_doctored_for() -> None:
    assert {oracle for oracle, *_ in DOCTORED} == {*ORACLES}


def test_a_fault_that_never_happened_makes_no_good_run(world: World) -> None:
    with played(world, Schedule.parse("shipped:refund_card@before-COMMIT.1=crash")) as (_, verdict):
        assert not verdict.broken
        assert not verdict.is_good
        assert verdict.story() == "never happened: refund_card@before-COMMIT.1=crash"


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place such as"):
        Schedule.parse("shipped:charge_card@somewhere.1=crash")
