"""The rules, a module a subject; importing this registers them all."""

from sagaworks.check.rules import (  # noqa: F401  each registers its rules
    code,
    data,
    errors,
    files,
    forks,
    handlers,
    leaving,
    picture,
    pivot,
    repetition,
    templates,
    timing,
    undo,
)
