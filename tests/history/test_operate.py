"""The adapter on a real Operate, where one is named; elsewhere this is said not to have run.

OPERATE=operate+http://demo:demo@127.0.0.1:18080 OPERATE_GATEWAY=127.0.0.1:27500 pytest …
"""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from sagaworks.history import History, connect
from sagaworks.settings import Settings
from tests.history.shop import DIAGRAM, Shop

OPERATE, GATEWAY = os.environ.get("OPERATE"), os.environ.get("OPERATE_GATEWAY")
LAGS_AT_MOST = 60.0
Found = TypeVar("Found")

pytestmark = pytest.mark.skipif(
    not (OPERATE and GATEWAY), reason="not run on a real Operate: OPERATE and OPERATE_GATEWAY"
)


def eventually(asked: Callable[[], Found]) -> Found:
    until = time.monotonic() + LAGS_AT_MOST
    while not (found := asked()):
        assert time.monotonic() < until, "Operate never told it"
        time.sleep(0.5)
    return found


@pytest.fixture
def history() -> History:
    return connect(OPERATE or "")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(Settings(data=tmp_path, zeebe_address=GATEWAY))
    shop.open()
    return shop


def test_a_saga_is_told_as_operate_knows_it(shop: Shop, history: History) -> None:
    name = f"order-{uuid.uuid4()}"
    key = shop.order(name)
    shop.sell()

    (found,) = eventually(lambda: history.instances(name))
    ended = eventually(lambda: (one := history.instance(key)) and one.ended and one)
    elements = eventually(lambda: _all_ended(history, key))

    assert (found.key, found.business_key, found.process) == (key, name, "sell")
    assert (ended.last, ended.parent) == ("ELEMENT_COMPLETED", None)
    assert ended.began < (ended.ended or 0) < time.time_ns() // 1_000_000
    assert [one.id for one in elements if one.kind != "SEQUENCE_FLOW"] == [
        "ordered",
        "sell_it",
        "sold",
    ]
    assert {one.id for one in elements if one.kind == "SEQUENCE_FLOW"} == {
        "ordered_to_sell_it",
        "sell_it_to_sold",
    }
    assert history.diagram(key) == DIAGRAM.read_bytes()


def test_an_incident_stands_at_its_element(shop: Shop, history: History) -> None:
    key = shop.order(f"order-{uuid.uuid4()}")
    job = shop.halt()

    (found,) = eventually(lambda: history.incidents(key))

    assert (found.kind, found.job, found.resolved) == ("JOB_NO_RETRIES", job, False)
    assert found.message == "the till is broken"
    assert eventually(lambda: [one.element for one in history.incidents(key)] == ["sell_it"])


def test_what_nobody_knows_is_none(history: History) -> None:
    assert history.instance(1) is None
    assert [*history.instances("nobody"), *history.elements(1), *history.incidents(1)] == []
    assert history.diagram(1) is None


def _all_ended(history: History, key: int) -> list:
    found = [*history.elements(key)]
    nodes = [one for one in found if one.kind != "SEQUENCE_FLOW"]
    return found if len(nodes) == 3 and all(one.ended for one in nodes) else []
