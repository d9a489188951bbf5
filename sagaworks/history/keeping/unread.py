"""Records that can't be read: kept aside, so that nothing is concluded from what they may tell.

docs/decisions/0073
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, and_, insert, or_, select, update

from sagaworks.history.keeping import tables
from sagaworks.history.records import is_long
from sagaworks.history.values import ENDED
from sagaworks.saga import SagaKey, partition_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sagaworks.history.lives import Lives
    from sagaworks.history.records import Record

NOBODY: Final = 0
"""Stands for the instance of a record that doesn't say whose it is."""

LONGEST_RAW: Final = 2_000
"""Characters of a record that are kept for a person to look at."""

_VARIABLES: Final = frozenset({"variables", "value"})
_ADDRESS: Final = re.compile(rb'"_id"\s*:\s*"(\d{1,9})-(\d{1,18})"')
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_VALUES_DEPTH: Final = 2

_ANY: Final = select(tables.unread.c.partition).limit(1)


class Unread(NamedTuple):
    """One of them.

    Attributes:
        instance: the process instance that it's about; `NOBODY` if it doesn't say.
        why: what is wrong with it, without values.
        raw: what can be kept of it: no variable is.
    """

    partition: int
    position: int
    instance: int
    why: str
    raw: str


def unread(record: Record, why: str) -> Unread:
    """Keep aside a record that says where in the log it stands.

    A deployment's record is about no instance: a diagram that is missing is missed by itself.
    """
    value = record["value"]
    about = value.get("processInstanceKey") if isinstance(value, dict) else None
    if record["valueType"] == "PROCESS":
        about = record["key"]
    whose = about if is_long(about) and about > 0 else NOBODY
    return Unread(record["partitionId"], record["position"], whose, why, _raw(record))


def unread_line(action: bytes, record: object, why: str) -> Unread:
    """Keep aside what isn't even an envelope; the bulk's own line says where it stands.

    Raises:
        ValueError: nothing says where: it's no bulk of Zeebe's exporter.
    """
    if not (address := _ADDRESS.search(action)):
        raise ValueError("a bulk is lines of JSON in pairs, an action and a record")
    partition, position = map(int, address.groups())
    raw = _raw(record) if isinstance(record, dict) else action.decode("ascii", "replace")
    return Unread(partition, position, NOBODY, why, raw[:LONGEST_RAW])


def shallow(line: bytes) -> bytes:
    """Return a record's line less what is nested deeper than its value: none of that is kept."""
    kept, depth, at = [], 0, 0
    for token in _TOKEN.finditer(line):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == _VALUES_DEPTH + 1:
                kept += [line[at : token.start()], b"null"]
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth == _VALUES_DEPTH:
                at = token.end()
    return b"".join([*kept, line[at:]])


def put_aside(connection: Connection, one: Unread, life: int) -> bool:
    """Keep it; return whether nothing was kept aside of its instance before.

    One row tells from where to where there are some of an instance, however many: a flood of them
    fills no disk. The partition's lock is held.
    """
    table = tables.unread
    about = {"partition": one.partition, "life": life, "instance": one.instance}
    here = and_(*(table.c[name] == value for name, value in about.items()))
    found = connection.execute(select(table.c.first, table.c.last).where(here)).first()
    if found is None:
        told = {"why": one.why, "raw": one.raw, "at": int(time.time() * 1000)}
        row = {**about, "first": one.position, "last": one.position, **told}
        connection.execute(insert(table).values(**row))
        return True
    first, last = min(found[0], one.position), max(found[1], one.position)
    connection.execute(update(table).where(here).values(first=first, last=last))
    return False


def reasons(
    connection: Connection, lives: Mapping[int, Lives], keys: Sequence[SagaKey]
) -> dict[SagaKey, str]:
    """Return why nothing may be concluded of process instances, for those of which that holds.

    What doesn't say whose it is may be of any instance of its partition but those that had ended
    before, and those that have begun since.
    """
    c = tables.unread.c
    if connection.execute(_ANY).first() is None:
        return {}
    of = {key: partition_of(key) for key in keys}
    wanted = or_(c.instance.in_(keys), and_(c.instance == NOBODY, c.partition.in_({*of.values()})))
    rows = connection.execute(select(tables.unread).where(wanted)).mappings()
    hold = [dict(row) for row in rows if lives[row["partition"]].has(row["life"], row["first"])]
    found = {SagaKey(row["instance"]): _in_words(row) for row in hold if row["instance"] != NOBODY}
    for row in hold:
        if row["instance"] == NOBODY:
            may = [key for key in keys if of[key] == row["partition"] and key not in found]
            seen = _seen(connection, lives, may)
            found |= {key: _in_words(row) for key in may if not _is_outside(seen[key], row)}
    return found


class _Seen(NamedTuple):
    began: int = -1
    ended: int = -1
    is_named: bool = False


def _seen(
    connection: Connection, lives: Mapping[int, Lives], keys: Sequence[SagaKey]
) -> dict[SagaKey, _Seen]:
    """Return where in the log instances began and ended, and whether their business key came."""
    c, found = tables.record.c, dict.fromkeys(keys, _Seen())
    wanted = select(c.partition, c.life, c.position, c.type, c.intent, c.instance).where(
        c.instance.in_(keys), tables.is_of_itself
    )
    for partition, life, position, type_, intent, instance in connection.execute(wanted):
        if not lives[partition].has(life, position):
            continue
        seen = found[instance]
        if type_ == "VARIABLE":
            seen = seen._replace(is_named=True)
        elif intent == "ELEMENT_ACTIVATING":
            seen = seen._replace(began=position)
        elif intent in ENDED:
            seen = seen._replace(ended=position)
        found[instance] = seen
    return found


def _is_outside(seen: _Seen, row: Mapping[str, Any]) -> bool:
    had_ended = 0 <= seen.ended < row["first"]
    return had_ended or (seen.is_named and seen.began > row["last"])


def _in_words(row: Mapping[str, Any]) -> str:
    first, last = row["first"], row["last"]
    where = f"position {first}" if first == last else f"positions {first} to {last}"
    return (
        f"history can't read what the engine wrote at {where} of partition {row['partition']}:"
        f" {row['why']}"
    )


def _raw(record: Mapping[str, Any]) -> str:
    value = record.get("value")
    if isinstance(value, dict):
        value = {name: one for name, one in value.items() if name not in _VARIABLES}
    return json.dumps({**record, "value": value})[:LONGEST_RAW]


def forget(connection: Connection, instances: Iterable[int]) -> None:
    """Forget what was kept aside of instances that are forgotten themselves."""
    table = tables.unread
    connection.execute(table.delete().where(table.c.instance.in_([*instances])))
