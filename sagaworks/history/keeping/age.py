"""How long something is kept, as a person writes it."""

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_AGE: Final = re.compile(r"([0-9]{1,6})([hdw])")


def read_age(text: str) -> timedelta:
    """Return the time that ``36h``, ``30d`` or ``8w`` means.

    Raises:
        ValueError: it isn't written so.
    """
    found = _AGE.fullmatch(text)
    if not found or int(found[1]) == 0:
        raise ValueError(f"{text!r} is not an age such as 36h, 30d or 8w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
