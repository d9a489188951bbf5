"""From what the ledgers tell of a saga to the marks on its diagram."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sagaworks.diagram import EVERYTHING, Diagram, Element, Task
from sagaworks.picture.paint import Mark, Marks, State

Entry = Mapping[str, object]

STATES: Mapping[object, State] = {"executed": "done", "refused": "refused", "undone": "undone"}


def paint_trail(diagram: Diagram, entries: Sequence[Entry]) -> dict[str, Mark]:
    """Return the marks of a saga's way: its tasks, numbered by when they ran, and what is between.

    A step that was undone is painted so, and its handler with it. The engine isn't asked: which
    flows and events were passed is concluded from the tasks on both sides.

    Args:
        diagram: the saga's.
        entries: as the services' ledgers tell them, of any service and in any order; read are
            ``element``, ``step``, ``event``, ``at``, ``in_doubt`` and ``code``.
    """
    tasks = _tasks(diagram, sorted(entries, key=lambda entry: str(entry["at"])))
    events = _compensation_events(diagram, tasks)
    return {**_forward(diagram, tasks), **_back(diagram, tasks), **events, **tasks}


def _tasks(diagram: Diagram, entries: Iterable[Entry]) -> dict[str, Mark]:
    states: dict[str, State] = {}
    labels: dict[str, list[str]] = defaultdict(list)
    number = 0
    for entry in entries:
        ran, step = _who_ran(diagram, entry)
        if ran is None or step is None:
            continue
        states[ran.id] = states[step.id] = _state(entry)
        if entry["event"] in STATES:
            number += 1
            labels[ran.id].append(_label(number, entry))
    return {id_: Mark(state, _joined(labels[id_])) for id_, state in states.items()}


def _who_ran(diagram: Diagram, entry: Entry) -> tuple[Task | None, Task | None]:
    """Return the task that ran, and the step that it was about: for an undo two, else the same."""
    tasks = diagram.tasks
    step = tasks.get(str(entry["element"])) or tasks.get(str(entry["step"]))
    if step is None or entry["event"] == "fenced":
        return None, None
    handler = tasks.get(step.handler or "") if entry["event"] == "undone" else None
    return handler or step, step


def _state(entry: Entry) -> State:
    return "in_doubt" if entry.get("in_doubt") else STATES.get(entry["event"], "waiting")


def _label(number: int, entry: Entry) -> str:
    code = entry.get("code")
    return f"{number} {code}" if code else str(number)


def _joined(labels: Sequence[str]) -> str | None:
    if len(labels) > 1:
        return f"{len(labels)} times"
    return labels[0] if labels else None


def _forward(diagram: Diagram, tasks: Marks) -> dict[str, Mark]:
    """Return the flows and events that a token passed on its way from task to task."""
    passed: set[str] = set()
    for start in _starts(diagram, [diagram.process_id]):
        beyond = _between(diagram, tasks, start.id, ended=False)
        passed |= {start.id, *beyond} if beyond else set()
    for id_, mark in tasks.items():
        passed |= _between(diagram, tasks, id_, ended=mark.state == "done")
    return dict.fromkeys(passed, Mark("done"))


def _between(diagram: Diagram, tasks: Marks, here: str, *, ended: bool) -> set[str]:
    """Return what lies between `here` and the next painted tasks.

    Args:
        diagram: whose flows are followed.
        tasks: the painted ones.
        here: where to begin; not in the answer.
        ended: whether an end event was surely reached, if nothing but one flow leads to it.
    """
    passed: set[str] = set()
    flows = [flow for flow in diagram.flows if flow.source == here]
    for flow in flows:
        beyond: set[str] = set()
        there = diagram.elements.get(flow.target)
        only = ended and len(flows) == 1
        if there and there.id not in diagram.tasks:
            beyond = _between(diagram, tasks, there.id, ended=only)
        if flow.target in tasks:
            passed.add(flow.id)
        elif there and (beyond or (only and there.kind == "endEvent")):
            passed |= {flow.id, there.id, *beyond}
    return passed


def _compensation_events(diagram: Diagram, tasks: Marks) -> dict[str, Mark]:
    return {
        one.id: Mark("undone")
        for one in diagram.elements.values()
        if one.event == "compensate" and _is_undone(tasks, one.attached_to)
    }


def _back(diagram: Diagram, tasks: Marks) -> dict[str, Mark]:
    """Return the flows and events of the undo event sub-process that a token passed."""
    states = {mark.state for mark in tasks.values()}
    starts = [one for one in _starts(diagram, diagram.event_sub_processes) if one.event == "error"]
    if not states & {"refused", "undone"} or len(starts) != 1 or _caught_at_task(diagram, tasks):
        return {}
    way = list(_along(diagram, starts[0].id))
    undone = [number for number, id_ in enumerate(way) if _has_thrown(diagram, tasks, id_)]
    settled = not any(task.handler and task.id in _standing(tasks) for task in _steps(diagram))
    passed = way if settled else way[: max(undone, default=0) + 1]
    return dict.fromkeys(passed, Mark("undone"))


def _caught_at_task(diagram: Diagram, tasks: Marks) -> bool:
    refused = {id_ for id_, mark in tasks.items() if mark.state == "refused"}
    return any(
        one.attached_to in refused and one.event == "error" for one in diagram.elements.values()
    )


def _has_thrown(diagram: Diagram, tasks: Marks, id_: str) -> bool:
    asked = diagram.throws.get(id_)
    return _is_undone(tasks, asked) or (
        asked == EVERYTHING and any(mark.state == "undone" for mark in tasks.values())
    )


def _is_undone(tasks: Marks, id_: str | None) -> bool:
    mark = tasks.get(id_ or "")
    return mark is not None and mark.state == "undone"


def _standing(tasks: Marks) -> set[str]:
    """Return the tasks whose effect stands, or may stand."""
    return {id_ for id_, mark in tasks.items() if mark.state in ("done", "waiting", "in_doubt")}


def _steps(diagram: Diagram) -> Iterator[Task]:
    yield from (task for task in diagram.tasks.values() if not task.is_compensation)


def _starts(diagram: Diagram, scopes: Iterable[str]) -> list[Element]:
    within = set(scopes)
    events = diagram.elements.values()
    return [one for one in events if one.kind == "startEvent" and one.scope in within]


def _along(diagram: Diagram, here: str) -> Iterator[str]:
    """Yield `here` and all that follows it, flows too, in the order of the flows."""
    seen, ahead = {here}, [here]
    yield here
    while ahead:
        source = ahead.pop(0)
        for flow in diagram.flows:
            if flow.source == source and flow.target not in seen:
                seen.add(flow.target)
                ahead.append(flow.target)
                yield from (flow.id, flow.target)
