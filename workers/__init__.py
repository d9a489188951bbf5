"""Who does it: one module a service, run by ``python -m workers inventory``."""
