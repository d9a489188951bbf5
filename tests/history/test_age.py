"""How long something is kept, as a person writes it."""

from datetime import timedelta

import pytest

from sagaworks.history.keeping.age import read_age


@pytest.mark.parametrize(
    "text, means",
    [("36h", timedelta(hours=36)), ("30d", timedelta(days=30)), ("8w", timedelta(weeks=8))],
)
def test_an_age_is_hours_days_or_weeks(text: str, means: timedelta) -> None:
    assert read_age(text) == means


@pytest.mark.parametrize("text", ["", "30", "0d", "-1d", "1.5d", "30 d", "forever"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="age such as"):
        read_age(text)
