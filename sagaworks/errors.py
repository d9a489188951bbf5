"""What goes wrong: what a step answers the engine, and what the library refuses."""

import re
from datetime import timedelta
from typing import ClassVar

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(class_name: str) -> list[str]:
    """Return the lower-case words of a class name: ``OutOfStock`` -> ``out of stock``."""
    return [word.lower() for word in _WORD_START.split(class_name)]


class SagaworksError(Exception):
    """Something the library refuses; its text is one line for people."""


class ContractError(SagaworksError):
    """Code and diagram disagree, or a step is declared in a way that can't work."""


class ConfigurationError(SagaworksError):
    """A setting, a database or a project file isn't as the library needs it."""


class EngineError(SagaworksError):
    """The engine can't be reached, or refused a command; its reason is in the text."""


class StepOutcome(Exception):
    """What a step may raise instead of returning its fact."""

    def __init__(self, why: str = "") -> None:
        """Say `why`; the class' own docstring speaks where nothing is said."""
        super().__init__(why)

    @property
    def why(self) -> str:
        """What was said; text, also where a subclass has an `__init__` of its own."""
        return super().__str__() or _first_line(type(self).__doc__)

    def __str__(self) -> str:
        """Say why."""
        return self.why


class Refusal(StepOutcome):
    """A business "no": thrown to the engine as a BPMN error, never retried.

    The error code is the class name in capitals (`OutOfStock` -> ``OUT_OF_STOCK``);
    ``class OutOfStock(Refusal, code="NO_STOCK")`` names another.
    """

    code: ClassVar[str] = "REFUSAL"

    def __init_subclass__(cls, *, code: str | None = None, **options: object) -> None:
        super().__init_subclass__(**options)
        cls.code = code or "_".join(words_of(cls.__name__)).upper()


class Retry(StepOutcome):
    """Not now: the engine offers the job again, one retry fewer.

    Args:
        why: shown in the log and, once the retries are used up, in the incident.
        after: how long to wait; None grows with each attempt.
    """

    def __init__(self, why: str = "", after: timedelta | None = None) -> None:
        """Say `why`, and `after` what time to try again."""
        super().__init__(why)
        self.after = after


class Halt(StepOutcome):
    """A person must look: the engine raises an incident at once."""


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]
