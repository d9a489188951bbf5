"""What a report shows, packed: many sagas go few ways, and differ in their times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sagaworks.history import each_known
from sagaworks.picture.way import read_way
from sagaworks.report.drawn import Drawn, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagaworks.history import Known
    from sagaworks.history.account import Account
    from sagaworks.picture.way import Run, Way

Packed = dict[str, Any]
"""JSON-ready."""

STILL: Final = -1
"""Stands for the duration of what hasn't ended."""

PASSES, STAYS, WORKS = 0, 1, 2
"""What a run does with a saga's time; of the second and third their times are kept."""


class Gathering:
    """Collects sagas for one page, and holds little of each.

    As data: ``diagrams``; ``texts``, spoken of by their number; ``shapes``, the ways there were;
    ``sagas``. A shape is ``[diagram, fate, incidents, runs, flows, undos]``, a run ``[id, state,
    code, pace]``, a flow ``[id, times]``, an undo ``[throw, activity, times]``. A saga is ``[key,
    shape, began, took, times, note]``; its times are begin and duration, in milliseconds, of each
    run of its shape that takes any. An incident is ``[id, kind, resolved]``.

    Runs stand in the order of their ids, not of their times: what runs in parallel would else make
    a shape of its own each time.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._drawn: dict[tuple[str, str], int] = {}
        self._diagrams: list[Drawn] = []
        self._texts: dict[str, int] = {}
        self._shapes: dict[str, int] = {}
        self._packed_shapes: list[list[Any]] = []
        self._sagas: list[list[Any]] = []

    def __len__(self) -> int:
        """How many sagas there are."""
        return len(self._sagas)

    def show(self, process: str, content: bytes, version: int = 0) -> None:
        """Show this diagram, though no saga may have run on it."""
        self._draw(process, version, text_of(content))

    def see_all(self, account: Account, note: str = "") -> None:
        """Take in all sagas of records that were added up; `note` says where they are from."""
        for known in each_known(account):
            self.see(known, account.diagrams.get(known.instance.definition, b""), note)

    def see(self, known: Known, content: bytes, note: str = "") -> None:
        """Take in one saga, with the diagram that it ran on; empty if that isn't known."""
        instance = known.instance
        number = self._draw(instance.process, instance.version, text_of(content))
        way = read_way(known, self._diagrams[number].diagram)
        runs = sorted(way.runs, key=self._diagrams[number].place)
        key = instance.business_key or str(instance.key)
        took = STILL if instance.ended is None else instance.ended - instance.began
        shape = self._number_of(self._shape(way, runs, number))
        saga = [key, shape, instance.began, took, [*_times(runs, instance.began)], self._text(note)]
        self._sagas.append(saga)

    def as_data(self) -> Packed:
        """Return everything as plain values: for the page, or for another process."""
        return {
            "diagrams": [one.packed() for one in self._diagrams],
            "texts": [*self._texts],
            "shapes": self._packed_shapes,
            "sagas": self._sagas,
        }

    def merge(self, data: Packed) -> None:
        """Take in what another process has gathered."""
        texts = [self._text(text) for text in data["texts"]]
        drawn = [self._draw(o["process"], o["version"], o["xml"]) for o in data["diagrams"]]
        ids = [
            [self._diagrams[number].number(id_) for id_ in one["ids"]]
            for number, one in zip(drawn, data["diagrams"], strict=True)
        ]
        shapes = [
            self._number_of(_renumbered(shape, texts, drawn[shape[0]], ids[shape[0]]))
            for shape in data["shapes"]
        ]
        for key, shape, began, took, times, note in data["sagas"]:
            self._sagas.append([key, shapes[shape], began, took, times, texts[note]])

    def _draw(self, process: str, version: int, text: str) -> int:
        """Return the diagram's number."""
        name = process, text
        if name not in self._drawn:
            self._drawn[name] = len(self._diagrams)
            self._diagrams.append(Drawn.of(process, version, text))
        return self._drawn[name]

    def _shape(self, way: Way, runs: Iterable[Run], number: int) -> list[Any]:
        drawn = self._diagrams[number]
        packed = [
            [
                drawn.number(run.element),
                self._text(run.state),
                self._text(run.code or run.incident),
                _pace(run),
            ]
            for run in runs
        ]
        flows = sorted([drawn.number(id_), times] for id_, times in way.flows.items())
        undos = sorted(
            [drawn.number(throw), drawn.number(activity), times]
            for (throw, activity), times in way.undone.items()
            if throw
        )
        incidents = [
            [drawn.number(id_), self._text(kind), int(resolved)]
            for id_, kind, resolved in way.incidents
        ]
        return [number, self._text(way.fate), incidents, packed, flows, undos]

    def _number_of(self, shape: list[Any]) -> int:
        name = repr(shape)
        if name not in self._shapes:
            self._shapes[name] = len(self._packed_shapes)
            self._packed_shapes.append(shape)
        return self._shapes[name]

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def _renumbered(shape: list[Any], texts: list[int], number: int, ids: list[int]) -> list[Any]:
    """Return another process's shape in our numbers."""
    _, fate, incidents, runs, flows, undos = shape
    return [
        number,
        texts[fate],
        [[ids[id_], texts[kind], resolved] for id_, kind, resolved in incidents],
        [[ids[id_], texts[state], texts[code], pace] for id_, state, code, pace in runs],
        sorted([ids[id_], times] for id_, times in flows),
        sorted([ids[throw], ids[activity], times] for throw, activity, times in undos),
    ]


def _pace(run: Run) -> int:
    if run.is_task:
        return WORKS
    return STAYS if run.takes_time else PASSES


def _times(runs: Iterable[Run], began: int) -> Iterator[int]:
    """Yield begin and duration of each run that takes time, in their order."""
    for run in runs:
        if run.takes_time:
            yield run.began - began
            yield STILL if run.ended is None else run.ended - run.began
