"""What the real engine says to the rules' diagrams: it takes nearly all that are wrong."""

import pytest

from sagaworks.check import RULES
from sagaworks.errors import EngineError
from sagaworks.testing import Zeebe
from tests.check.sketches import FOLDER
from tests.check.test_rules import GENERATED

pytestmark = pytest.mark.engine

REFUSED = {
    "camunda-7",
    "dangling-reference",
    "double-id",
    "dtd",
    "handler-in-flow",
    "no-job-type",
    "not-a-diagram",
    "other-modeler",
    "undo-without-handler",
    "unsupported-element",
}
"""Rules whose wrong diagram the engine refuses, too; a person should hear of it earlier."""

DRAWN = sorted({*RULES} - GENERATED)


def test_every_right_diagram_can_be_deployed(zeebe: Zeebe) -> None:
    for rule in DRAWN:
        zeebe.deploy(FOLDER / rule / "right.bpmn")


def test_the_engine_takes_what_is_wrong_but_for_these(zeebe: Zeebe) -> None:
    refused = set()
    for rule in DRAWN:
        try:
            zeebe.deploy(FOLDER / rule / "wrong.bpmn")
        except EngineError:
            refused.add(rule)

    assert refused == REFUSED
