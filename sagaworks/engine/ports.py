"""The ports an engine listens on: the usual ones, or free ones when those are taken."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from sagaworks.errors import EngineError

_STEP = 10
_TRIES = 50


@dataclass(frozen=True)
class Ports:
    """One engine's ports, all on loopback."""

    gateway: int = 26500
    monitoring: int = 9600
    rest: int = 8080

    @property
    def command(self) -> int:
        """Where the engine's own gateway reaches its broker."""
        return self.gateway + 1

    @property
    def cluster(self) -> int:
        """Where brokers of a cluster would talk to each other; TCP and UDP."""
        return self.gateway + 2

    @property
    def history(self) -> int:
        """Where history listens, if there is one beside the engine."""
        return self.monitoring + 100

    def all(self) -> tuple[int, ...]:
        """Every port."""
        return (self.gateway, self.command, self.cluster, self.monitoring, self.rest)

    def moved(self, steps: int) -> Ports:
        """Return the same ports `steps` further up."""
        shift = steps * _STEP
        return Ports(self.gateway + shift, self.monitoring + shift, self.rest + shift)

    def taken(self) -> list[int]:
        """Those that something listens on already."""
        return [port for port in self.all() if not is_free(port)]


@contextlib.contextmanager
def reserved_ports(
    usual: Ports | None = None, *, history: bool = False
) -> Iterator[tuple[Ports, int]]:
    """Find free ports; yields them with a descriptor that keeps others of us off them.

    An engine takes seconds to bind its ports. Whoever holds a copy of the descriptor (the
    supervisor inherits one) keeps the next engine from choosing the same ones meanwhile.

    Args:
        usual: where to begin looking.
        history: its port is needed too.

    Raises:
        EngineError: no free ports.
    """
    first = usual or Ports()
    for steps in range(_TRIES):
        ports = first.moved(steps)
        with _reservation(ports) as reservation:
            if reservation and not ports.taken() and (not history or is_free(ports.history)):
                yield ports, reservation.fileno()
                return
    last = first.moved(_TRIES - 1).gateway
    raise EngineError(f"no free ports on 127.0.0.1 from {first.gateway} to {last}: free some")


@contextlib.contextmanager
def _reservation(ports: Ports) -> Iterator[socket.socket | None]:
    """Take a name that only one can have; the kernel frees it with the last copy closed.

    It's in the abstract namespace, which each network namespace has one of, just like ports.
    """
    with socket.socket(socket.AF_UNIX) as reservation:
        try:
            reservation.bind(f"\0sagaworks-engine-{ports.gateway}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            yield None
        else:
            yield reservation


def is_free(port: int) -> bool:
    """Tell whether the port can be bound on loopback, for TCP and UDP."""
    return all(_can_bind(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))


def _can_bind(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:  # as servers do: a port in TIME_WAIT is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
