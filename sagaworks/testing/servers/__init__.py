"""PostgreSQL and MariaDB of our own: real servers for tests and demos, started in seconds."""

from sagaworks.testing.servers.errors import ServerError, ServersUnavailableError
from sagaworks.testing.servers.mariadb import MariaDB
from sagaworks.testing.servers.postgresql import PostgreSQL
from sagaworks.testing.servers.server import Server

__all__ = ["MariaDB", "PostgreSQL", "Server", "ServerError", "ServersUnavailableError"]
