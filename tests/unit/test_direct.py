"""A statement given straight to the driver fails as any other statement does."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, insert
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from sagaworks.ledger.direct import Direct

shelf = Table(
    "shelf", MetaData(), Column("sku", String, primary_key=True), Column("available", Integer)
)
PUT = Direct(insert(shelf).values(available=3).returning(shelf.c.sku), ["sku"])


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", hide_parameters=True)
    with engine.connect() as connection:
        shelf.create(connection)
        connection.commit()
        yield connection
    engine.dispose()


def test_its_rows_come_back_and_constants_are_its_own(connection: Connection) -> None:
    assert list(PUT.send(connection, {"sku": "lamp"}).rows) == [("lamp",)]
    assert connection.execute(shelf.select()).all() == [("lamp", 3)]


def test_it_is_part_of_the_transaction(connection: Connection) -> None:
    PUT.send(connection, {"sku": "lamp"})
    connection.rollback()

    assert connection.execute(shelf.select()).all() == []


def test_its_error_is_sqlalchemys_and_tells_no_value(connection: Connection) -> None:
    PUT.send(connection, {"sku": "a-secret-lamp"})

    with pytest.raises(IntegrityError) as caught:
        PUT.send(connection, {"sku": "a-secret-lamp"})

    assert "a-secret-lamp" not in str(caught.value)
    assert "INSERT INTO shelf" in str(caught.value)


def test_a_transaction_that_has_ended_takes_no_more(connection: Connection) -> None:
    with connection.begin() as transaction:
        transaction.rollback()

        with pytest.raises(InvalidRequestError, match="closed transaction"):
            PUT.send(connection, {"sku": "lamp"})
