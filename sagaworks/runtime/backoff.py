"""How long to wait before trying again."""

import random
from dataclasses import dataclass, field

# Jitter needs no secret; the module's own generator would be shared with the user's steps.
_random = random.Random()  # noqa: S311


@dataclass(slots=True)
class Backoff:
    """Growing pauses in seconds: half to the whole of a step that doubles up to `most`."""

    first: float
    most: float
    _step: float = field(default=0.0, init=False)

    def next(self) -> float:
        """Return the next pause."""
        self._step = min(self.most, self._step * 2 or self.first)
        return self._step * _random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._step = 0.0


def grown(attempt: int, *, first: float = 1.0, most: float = 60.0) -> float:
    """Return the pause after the attempt of that number, doubling from `first`, jittered."""
    step: float = min(most, first * 2.0 ** min(attempt - 1, 16))
    return step * _random.uniform(0.5, 1.0)
