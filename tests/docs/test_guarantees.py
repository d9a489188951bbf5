"""What the page of guarantees names as proof is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))
PROMISES = re.findall(r"^\| \d+ \| .*$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there(named: str) -> None:
    path, _, test = named.partition("::")

    assert (ROOT / path).exists()
    assert not test or re.search(rf"def {test}\(", (ROOT / path).read_text())


@pytest.mark.parametrize("promise", PROMISES, ids=lambda line: line.split("**")[1])
def test_every_promise_names_its_proof(promise: str) -> None:
    assert "`tests/" in promise.rpartition(" | ")[2]


def test_all_promises_were_looked_at() -> None:
    assert [int(line.split("|")[1]) for line in PROMISES] == [*range(1, len(PROMISES) + 1)]
    assert len(PROMISES) > 15
