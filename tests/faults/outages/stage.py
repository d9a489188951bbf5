"""Where the outages happen: an engine and a PostgreSQL on small disks, with all services."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sagaworks.settings import Settings
from sagaworks.testing.servers import PostgreSQL
from sagaworks.testing.servers.programs import Note, Wanted, programs
from tests.faults.outages.disks import Disk, small_disk
from tests.faults.real.works import Works

_SMALL: Final[dict[str, object]] = {
    "zeebe.broker.data.logSegmentSize": "16MB",
    "zeebe.broker.data.disk.freeSpace.processing": "64MB",
    "zeebe.broker.data.disk.freeSpace.replication": "32MB",
    "zeebe.clock.controlled": "true",
    "management.endpoints.web.exposure.include": "*",
    "management.endpoint.clock.enabled": "true",
}
"""An engine that fits on a small disk, and whose clock can be moved."""

FAKETIME: Final = Wanted(
    name="libfaketime",
    program="libfaketime.so.1",
    folders=("usr/lib/*/faketime",),
    package="libfaketime",
    core="libfaketime",
)

# Of these, 1,000 must be free for the engine to start.
_ENGINES_MEGABYTES: Final = 1300
_DATABASES_MEGABYTES: Final = 500


@dataclass(frozen=True)
class Stage:
    """All there is."""

    works: Works
    engines_disk: Disk
    databases_disk: Disk


@contextmanager
def stage(note: Note | None = None) -> Iterator[Stage]:
    """Set it up; take it down in the end."""
    with (
        small_disk(_ENGINES_MEGABYTES) as engines,
        small_disk(_DATABASES_MEGABYTES) as databases,
        PostgreSQL.started(databases.folder / "server", on_note=note) as server,
        Works(server, engine_settings=_SMALL, engine_folder=engines.folder) as works,
    ):
        yield Stage(works, engines, databases)


def fake_clock(note: Note) -> Path:
    """Return libfaketime: the machine's, or fetched as a server's programs are.

    Raises:
        ServersUnavailableError: it can't be had; says what to do.
    """
    return programs(FAKETIME, Settings.load().engine_cache, note).main
