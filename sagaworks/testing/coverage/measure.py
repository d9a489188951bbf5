"""What there is to cover in a diagram, and how much of it was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sagaworks.diagram import Diagram, Undo, compensation_paths, read_diagram
from sagaworks.errors import ContractError
from sagaworks.testing.coverage.sightings import Sighting, Sightings


@dataclass(frozen=True, slots=True)
class Share:
    """How often each of some things was seen, those never seen too."""

    seen: Mapping[str, int]

    @property
    def covered(self) -> int:
        """How many were seen at least once."""
        return sum(times > 0 for times in self.seen.values())

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.seen)

    @property
    def missing(self) -> list[str]:
        """Those never seen, in the diagram's order."""
        return [name for name, times in self.seen.items() if not times]

    def __str__(self) -> str:
        """Say it as ``26/28``."""
        return f"{self.covered}/{self.total}"


@dataclass(frozen=True)
class DiagramCoverage:
    """What was seen of one diagram."""

    diagram: Diagram
    sighting: Sighting

    @cached_property
    def elements(self) -> Share:
        """The elements, by id."""
        return Share({id_: self.sighting.elements[id_] for id_ in self.diagram.elements})

    @cached_property
    def flows(self) -> Share:
        """The sequence flows, by id."""
        return Share({flow.id: self.sighting.flows[flow.id] for flow in self.diagram.flows})

    @cached_property
    def undos(self) -> Mapping[Undo, int]:
        """The compensation paths, with how often each was taken."""
        return {undo: self.sighting.undone[undo] for undo in compensation_paths(self.diagram)}

    @cached_property
    def compensations(self) -> Share:
        """The compensation paths, each named ``throw event -> activity``."""
        return Share({f"{throw} -> {activity}": n for (throw, activity), n in self.undos.items()})

    @property
    def shares(self) -> Mapping[str, Share]:
        """All three, by the words for them."""
        return {
            "elements": self.elements,
            "flows": self.flows,
            "compensations": self.compensations,
        }


@dataclass(frozen=True)
class Report:
    """The coverage of all diagrams that count.

    Attributes:
        notes: what was deployed and isn't counted, a line each.
    """

    diagrams: Sequence[DiagramCoverage]
    notes: Sequence[str] = ()

    @property
    def percent(self) -> float:
        """Of all elements, flows and compensation paths together; 0 where there are none."""
        shares = [share for one in self.diagrams for share in one.shares.values()]
        total = sum(share.total for share in shares)
        return 100 * sum(share.covered for share in shares) / total if total else 0.0

    @property
    def shown_percent(self) -> str:
        """The percentage, rounded down: only what is whole is 100."""
        return f"{int(self.percent)} %"


def measure(sightings: Sightings, project_files: Iterable[Path] = ()) -> Report:
    """Compare what was seen with what there is.

    Args:
        sightings: of all tests.
        project_files: the project's diagrams. If there are any, they and only they count, those
            that no test deployed too; else all that was deployed counts.

    Raises:
        ContractError: one of the project's diagrams can't be read.
    """
    own = {path: read_diagram(path) for path in project_files}
    if not own:
        return _of_all(sightings)
    texts = {(diagram.process_id, path.read_bytes()): path for path, diagram in own.items()}
    found = {texts.get((one.process_id, one.content)): one for one in sightings}
    diagrams = [
        DiagramCoverage(diagram, found.get(path) or Sighting(path.name, diagram.process_id, b""))
        for path, diagram in own.items()
    ]
    ids = {diagram.process_id: path for path, diagram in own.items()}
    return Report(diagrams, [*_strangers(sightings, texts, ids)])


def _of_all(sightings: Sightings) -> Report:
    diagrams, notes = [], []
    for one in sightings:
        try:
            diagram = read_diagram(Path(one.file), one.content)
        except ContractError as error:
            notes.append(f"not counted: {error}")
        else:
            diagrams.append(DiagramCoverage(diagram, one))
    return Report(diagrams, notes)


def _strangers(
    sightings: Sightings,
    texts: Mapping[tuple[str, bytes], Path],
    ids: Mapping[str, Path],
) -> Iterator[str]:
    for one in sightings:
        if (one.process_id, one.content) in texts:
            continue
        path = ids.get(one.process_id)
        why = f"not the text of the project's {path.name}" if path else "no diagram of the project"
        yield f"not counted: {one.process_id}, deployed from {one.file}: {why}"
