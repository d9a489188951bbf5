"""``python -m sagaworks.cli``: the same as ``sagaworks``."""

from sagaworks.cli import main

main()
