"""What goes wrong with a database server of our own, in one line for people."""

from sagaworks.errors import ConfigurationError


class ServerError(ConfigurationError):
    """A server doesn't start, answer or end; the text names its log."""


class ServersUnavailableError(ServerError):
    """The machine has no programs of that server, and they can't be had; says what to do."""
