"""Each public name, command, setting and metric is documented, and the reference isn't stale."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

import sagaworks
from sagaworks import settings
from sagaworks.check import RULES
from sagaworks.cli import app
from sagaworks.ledger.answers import Outcome
from tests.docs.pages import ROOT, script

# typer has kinds of its own for its commands and their parameters, and doesn't show them.
Command = Parameter = Any

REFERENCE = script("reference")
FOLDER = ROOT / "docs" / "reference"
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


def commands(command: Command, name: str = "sagaworks") -> Iterator[tuple[str, Command]]:
    yield name, command
    for below, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {below}")


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("page", REFERENCE.PAGES)
def test_the_reference_says_what_the_code_says(page: str) -> None:
    assert (FOLDER / page).read_text() == REFERENCE.PAGES[page](), "run `make cut`"


@pytest.mark.parametrize("picture", REFERENCE.rule_pictures())
def test_a_rules_picture_is_of_its_diagram(picture: str) -> None:
    drawn = REFERENCE.rule_pictures()[picture]

    assert (REFERENCE.PICTURES / picture).read_text() == drawn, "run `make cut`"


def test_no_picture_is_left_of_a_rule_that_is_gone() -> None:
    assert {path.name for path in REFERENCE.PICTURES.iterdir()} == {*REFERENCE.rule_pictures()}


@pytest.mark.parametrize("rule", RULES)
def test_a_rules_id_leads_to_its_explanation(rule: str) -> None:
    assert f"{{: #{rule} }}\n" in (FOLDER / "rules.md").read_text()


@pytest.mark.parametrize("name", sagaworks.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    assert getattr(sagaworks, name).__doc__
    assert f"## `{name}`\n" in (FOLDER / "python.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented(name: str) -> None:
    assert COMMANDS[name].help
    assert f"## `{name}`\n" in (FOLDER / "cli.md").read_text()


@pytest.mark.parametrize(
    "name, parameter",
    [
        (name, parameter)
        for name, command in COMMANDS.items()
        for parameter in command.params
        if parameter.name != "help"
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_an_option_says_what_it_does(name: str, parameter: Parameter) -> None:
    assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("name", settings._VARIABLES)
def test_a_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (FOLDER / "settings.md").read_text()


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_explained(outcome: Outcome) -> None:
    assert f"`{outcome}`" in (ROOT / "docs" / "concepts" / "outcomes.md").read_text()


@pytest.mark.parametrize("word", ["saga", "step", "fact", "refusal", "pivot", "ledger", "claim"])
def test_the_words_are_in_the_glossary(word: str) -> None:
    assert f"| **{word}** |" in GLOSSARY
