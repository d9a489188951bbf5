"""Sweeping: a service's open rows again and again, until history shows that their sagas ended."""

import asyncio
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from sagaworks.errors import Halt
from sagaworks.history import History, HistoryUnavailable, Instance
from sagaworks.history.port import instances_of
from sagaworks.ledger.faults import CommitUnknownError, DatabaseReplacedError, reason_of
from sagaworks.ledger.points import Point, reached
from sagaworks.ledger.rows import WITHDRAWN
from sagaworks.ledger.store import Store
from sagaworks.reconcile import effects
from sagaworks.reconcile.effects import Effect, OpenSaga
from sagaworks.reconcile.evidence import ENDED, TERMINATED, Diagrams, Evidence, Told
from sagaworks.reconcile.judge import Act, Kind, Verdict, judge
from sagaworks.reconcile.settling import Settling

_NO_HISTORY: Final = "no history is configured, so it isn't known whether the engine counts it"

_PARTING: Final = 5.0
"""Seconds that the row in hand may take once the worker is to stop."""

# Jitter needs no secret.
_random = random.Random()  # noqa: S311


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How the reconciler sweeps.

    Attributes:
        pause: seconds between two portions, jittered; a quarter of it while there is more.
        patience: seconds for which a row is left alone: its mark, and its record, are on their way.
        listed_after: seconds after which a row that can't be decided is put on the list.
        portion: how many sagas are looked at in one go.
    """

    pause: float = 2.0
    patience: float = 3.0
    listed_after: float = 60.0
    portion: int = 200


class Reconciler:
    """Settles one service's open rows.

    Several workers of a service may each have one: the saga row's lock decides.

    Args:
        store: the service's database.
        settling: what acts.
        history: the engine's; without it nothing is settled, only listed.
        tenant: whose sagas.

    Attributes:
        hangs: it was to stop, and a row's undo, or history, hasn't come back in time.
    """

    def __init__(
        self,
        store: Store,
        settling: Settling,
        history: History | None,
        tenant: str,
        rhythm: Rhythm | None = None,
    ) -> None:
        """Sweep nothing yet."""
        self._store = store
        self._settling = settling
        self._history = history
        self._diagrams = Diagrams(history) if history else None
        self._tenant = tenant
        self._rhythm = rhythm or Rhythm()
        self.hangs = False
        self._stopped = threading.Event()
        self._row = 0
        self._saga = ""
        self._said = ""
        self._halted: dict[str, str] = {}

    async def keep_sweeping(self) -> None:
        """Sweep until cancelled, on a thread of its own."""
        if self._history is None:
            logger.info(
                "no history of the engine (SAGAWORKS_HISTORY): what is in doubt is listed, not"
                " settled"
            )
        pool = ThreadPoolExecutor(1, thread_name_prefix="reconciler")
        loop = asyncio.get_running_loop()
        sweeping: asyncio.Future[int] | None = None
        try:
            while True:
                await asyncio.sleep(self._pause(more=self._saga != ""))
                sweeping = loop.run_in_executor(pool, copy_context().run, self.sweep)
                await asyncio.shield(sweeping)
        finally:
            self._stopped.set()
            if sweeping and not sweeping.done():
                # It ends after the row in hand; an `async def` undo needs this loop for it.
                await asyncio.wait({sweeping}, timeout=_PARTING)
                self.hangs = not sweeping.done()
            pool.shutdown(wait=False, cancel_futures=True)

    def sweep(self) -> int:
        """Look at one portion of sagas; return how many. It never raises for the world's sake."""
        looked_at = 0
        try:
            life = self._life()
            sagas = self._portion(life)
            looked_at = len(sagas)
            self._settle_sagas(sagas, life)
        except HistoryUnavailable as error:
            self._say(f"history can't be asked now: {error}")
        except (SQLAlchemyError, CommitUnknownError, DatabaseReplacedError) as error:
            self._say(f"the reconciler can't work now: {reason_of(error)}")
        except Exception as error:  # noqa: BLE001  what a history answers must not end the worker
            self._say(f"the reconciler can't work now: {type(error).__name__}", error)
        else:
            self._said = ""
        return looked_at

    def settle(self, *keys: str) -> None:
        """Look at sagas' open rows, newest first, and do what history shows.

        Raises:
            HistoryUnavailable, SQLAlchemyError: the next sweep tries again.
        """
        life = self._life()
        with self._store.reading() as connection:
            found = effects.open_sagas(connection, self._tenant, keys)
        self._settle_sagas(found, life)

    def _life(self) -> int:
        """Ask before what is asked in it: an end may be of a life that is over when it's noted."""
        return self._history.life() if self._history else 1

    def _settle_sagas(self, found: Sequence[OpenSaga], life: int) -> None:
        patience = self._rhythm.patience
        sagas = [one for one in found if all(row.age >= patience for row in one.effects)]
        told = self._told(sagas)
        ended = [one.key for one in sagas if self._settle_safely(one, told)]
        if ended:
            with self._store.writing() as connection:
                effects.mark_ended(connection, self._tenant, ended, life)
                reached(Point.COMMIT)

    def _told(self, sagas: Sequence[OpenSaga]) -> Told:
        """Ask for all their process instances at once, and what may be missing of them."""
        if self._history is None or not sagas:
            return Told()
        reached(Point.ASK)
        return Told.of(self._history, effects.instances_in(sagas))

    def _settle_safely(self, saga: OpenSaga, told: Told) -> bool:
        """Settle a saga's rows; return whether it has ended, and nothing is left."""
        if self._stopped.is_set():
            return False
        if saga.damaged:
            # What its other rows are about may hang on this one: all of them wait.
            self._say_halted(saga.key, saga.damaged)
            return False
        try:
            is_over = self._settle_all(saga, told)
        except (HistoryUnavailable, SQLAlchemyError, CommitUnknownError):
            raise
        except Halt as halt:
            self._say_halted(saga.key, halt.why)
            return False
        except Exception as error:  # noqa: BLE001  one saga must not keep the others from being settled
            logger.opt(exception=error).error("saga {}: {}", saga.key, type(error).__name__)
            return False
        self._halted.pop(saga.key, None)
        return is_over

    def _say_halted(self, key: str, why: str) -> None:
        """Log why a person must look at a saga: once, and again where there's another reason."""
        if self._halted.get(key) != why:
            logger.bind(saga=key).error("{}", why)
        self._halted[key] = why

    def _settle_all(self, saga: OpenSaga, told: Told) -> bool:
        evidence = self._evidence(saga.key, told)
        left = [one for one in saga.effects if not self._settle(one, evidence)]
        instance = evidence.instance(saga.process_instance) if evidence else None
        return not left and instance is not None and instance.last in {ENDED, TERMINATED}

    def _evidence(self, key: str, told: Told) -> Evidence | None:
        if self._history is None or self._diagrams is None:
            return None
        types = self._settling.job_types
        return Evidence(self._history, self._diagrams, key, told, types)

    def _settle(self, effect: Effect, evidence: Evidence | None) -> bool:
        with logger.contextualize(saga=effect.saga_key, step=effect.entry.step):
            verdict = self._verdict(effect, evidence)
            if verdict.act is Act.LIST and effect.age < self._rhythm.listed_after:
                is_certain = verdict.kind in {Kind.STANDS, Kind.STRANDED}
                verdict = verdict if is_certain else Verdict(Act.NOTHING)
            return self._settling.settle(effect, verdict)

    def _verdict(self, effect: Effect, evidence: Evidence | None) -> Verdict:
        if evidence is None:
            is_recorded = effect.entry.undone_by == WITHDRAWN
            return Verdict(Act.UNDO) if is_recorded else _without_history(effect)
        return judge(effect, evidence)

    def _portion(self, life: int) -> list[OpenSaga]:
        """Return the sagas to look at next: rows in doubt first, then sagas in turn."""
        rhythm, tenant = self._rhythm, self._tenant
        alive = self._alive_again(life)
        with self._store.reading() as connection:
            rows = effects.uncounted(connection, tenant, self._row, rhythm.patience, rhythm.portion)
            again = effects.recorded(connection, tenant, rhythm.portion)
            sagas = []
            if self._history:
                sagas = effects.not_ended(
                    connection, tenant, self._saga, rhythm.patience, rhythm.portion
                )
            first = [*dict.fromkeys([*(key for _, key in rows), *again, *alive])]
            asked = effects.open_sagas(connection, tenant, first) if first else []
        # A full portion has a next one; else it begins anew.
        self._row = rows[-1][0] if len(rows) == rhythm.portion else 0
        self._saga = sagas[-1].key if len(sagas) == rhythm.portion else ""
        return [*{one.key: one for one in [*asked, *sagas]}.values()]

    def _alive_again(self, life: int) -> Sequence[str]:
        """Return sagas that ended in an earlier life of the engine, and haven't in this one.

        Those that it doesn't know are over, and stay so.
        """
        if self._history is None or self._diagrams is None:
            return ()
        self._diagrams.begin(life)
        if life == 1:
            return ()
        portion = self._rhythm.portion
        with self._store.reading() as connection:
            found = dict(effects.ended_before(connection, self._tenant, life, portion))
        if not found:
            return ()
        known = instances_of(self._history, [*found.values()])
        alive = [key for key, instance in found.items() if _is_alive(known.get(instance), key)]
        with self._store.writing() as connection:
            effects.mark_ended(connection, self._tenant, [*found], life)
            effects.mark_ended(connection, self._tenant, alive, None)
            reached(Point.COMMIT)
        return alive

    def _pause(self, *, more: bool) -> float:
        whole = self._rhythm.pause / 4 if more else self._rhythm.pause
        return whole * _random.uniform(0.5, 1.5)

    def _say(self, why: str, error: Exception | None = None) -> None:
        if why != self._said:
            logger.opt(exception=error).warning("{}", why)
        self._said = why


def _is_alive(instance: Instance | None, key: str) -> bool:
    return instance is not None and instance.business_key == key and instance.last != ENDED


def _without_history(effect: Effect) -> Verdict:
    return Verdict(Act.SETTLE) if effect.counted else Verdict(Act.LIST, _NO_HISTORY)
