"""One run: an order goes its way, what its schedule says breaks, and what is left is judged."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from grpc import StatusCode

from sagaworks.ledger.points import Point
from tests.faults.exploration.broken import broken_commit, cut_connection
from tests.faults.exploration.engine import JobState, SimulatedEngine, SimulatedJob
from tests.faults.exploration.hooks import unhooked
from tests.faults.exploration.life import DiedError, Hands, Life, Watch
from tests.faults.exploration.paths import PATHS
from tests.faults.exploration.paths import Path as Way
from tests.faults.exploration.schedule import (
    MARKS,
    OF_A_CRASH,
    OF_A_ZOMBIE,
    SWEEP,
    TAKES_AWAY,
    THE_COMMIT,
    Fault,
    Kind,
    Place,
    Schedule,
)
from tests.faults.exploration.world import World
from tests.faults.oracles import Evidence, judge
from tests.faults.place_order import STEPS, OrderBooks, told_of

QUANTITY: Final = 2
MOST_DELIVERIES: Final = 80
PATIENCE: Final = 20.0
"""Seconds after which a delivery counts as hanging."""

_SOON: Final = 0.02
"""Seconds in which another worker gets from its BEGIN to where it waits."""

_TRIES: Final = 4
"""How often the ledger tries by itself."""

UNHOOKED: Final = "hooked"
"""Stands among the oracles for a place at which no test could let a worker die."""

HELD_OPEN: Final = {Point.CLAIMED, Point.EFFECT, Point.COMMIT, Point.MARK}
"""Points inside a transaction: a server ends it when its worker sleeps too long."""


@dataclass(frozen=True)
class Verdict:
    """What a run showed.

    Attributes:
        broken: by oracle, what it complains of.
        visited: every place that was reached, in order; where the first fault happened.
        missed: faults that didn't happen: such a run proves nothing.
    """

    schedule: Schedule
    broken: dict[str, list[str]]
    visited: tuple[Place, ...]
    first: int
    missed: tuple[Fault, ...]

    @property
    def is_good(self) -> bool:
        """Whether everything holds, and the faults have happened."""
        return not self.broken and not self.missed

    def story(self) -> str:
        """Tell it in lines for a person."""
        lines = [f"{name}: {one}" for name, found in self.broken.items() for one in found]
        return "\n".join([*lines, *(f"never happened: {fault}" for fault in self.missed)])


@dataclass
class Sleeper:
    """A frozen worker."""

    life: Life
    kind: Kind
    wakes: threading.Event = field(default_factory=threading.Event)


class Run(Watch):
    """Plays one schedule."""

    def __init__(self, world: World, schedule: Schedule, lend: Callable[[], Hands]) -> None:
        """Start the order."""
        self.world = world
        self.schedule = schedule
        self.way = self.way_of(schedule)
        self.goods = world.seed(self.way)
        self.key = self.key_for(self.goods)
        self.engine = SimulatedEngine(world.diagram)
        order = {"sku": self.goods, "quantity": QUANTITY, "amount": "39.80", "card": self.goods}
        variables = {"saga_key": self.key, "address": "Main Street 1", **order, **self.way.order}
        self.instance = self.engine.start(variables)
        self.visited: list[Place] = []
        self.first = -1
        self.hung = ""
        self.escaped: list[BaseException] = []
        self._lend = lend
        self._hands: list[Hands] = []
        self._left = list(schedule.faults)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._moment = threading.RLock()
        self._events: queue.Queue[tuple[str, Life]] = queue.Queue()
        self._lives: dict[str, Life] = {}
        self._asleep: list[Sleeper] = []
        self._busy: list[Life] = []
        self._deaths: dict[Life, Kind] = {}
        # Each effect is withdrawn twice over: a withdrawal is recorded first, then carried out.
        self._unswept = [*world.services]
        self._late: list[Callable[[], StatusCode]] = []
        self._away = 0

    def play(self) -> Verdict:
        """Let everything happen; return what it showed."""
        deliveries = 0
        while not self.hung:
            self.meanwhile()
            if deliveries > MOST_DELIVERIES:
                self.hung = f"it was delivered {deliveries} times"
            elif job := self.engine.waiting(self.instance):
                deliveries += 1
                self._deliver(job)
            elif not self._pass_time():
                break
        return self._judged()

    def way_of(self, schedule: Schedule) -> Way:
        """Return the way that the order takes; a scene may have its own."""
        return PATHS[schedule.path]

    def key_for(self, goods: str) -> str:
        """Return the order's business key; a scene may have its own."""
        return goods

    def meanwhile(self) -> None:
        """Let people do what a scene has them do, between two deliveries."""

    def reached(self, life: Life, point: Point) -> None:
        """See `Watch`."""
        task = MARKS if point in (Point.MARK, Point.MARKED) else _task_of(life)
        fault = self._visit(task, point.replace(" ", "-"))
        if point is Point.BEGIN:
            # By then this one waits, for a lock that the sleeper may have.
            self._wake(Kind.ZOMBIE_DURING, but=life, after=_SOON)
            if self._away:
                self._away -= 1
                raise cut_connection()
        if fault is None:
            return
        if fault.kind in OF_A_CRASH:
            self._deaths[life] = fault.kind
            life.end()
        elif fault.kind is Kind.TAKEN:
            self.engine.fire(self.instance, "payment_overdue")
        elif fault.kind is Kind.CANCELED:
            self.engine.cancel(self.instance)
        elif fault.kind in OF_A_ZOMBIE:
            late = fault.kind is not Kind.ZOMBIE_DURING
            self._sleep(Sleeper(life, fault.kind), ends=late and point in HELD_OPEN)
        elif fault.kind is Kind.AWAY:
            self._away = _TRIES - 1
            raise cut_connection()
        elif fault.kind is Kind.CUT:
            raise cut_connection()

    def command(self, life: Life, method: str, send: Callable[[], StatusCode]) -> StatusCode:
        """See `Watch`."""
        fault = self._visit(_task_of(life), method)
        with self._moment:
            late, self._late = self._late, []
        for arrives in late:
            arrives()
        kind = fault.kind if fault else None
        if kind is Kind.LATE:
            self._late.append(send)
            life.end()
        if kind is Kind.LOST:
            return StatusCode.UNAVAILABLE
        code = send()
        if kind is Kind.RESENT:
            return send()
        return StatusCode.UNAVAILABLE if kind is Kind.ANSWER_LOST else code

    def commit(self, life: Life, commit: Callable[[], None]) -> None:
        """See `Watch`."""
        fault = self._visit(_task_of(life), THE_COMMIT)
        if fault is None or fault.kind is Kind.UNKNOWN_DONE:
            commit()
        if fault is not None:
            raise broken_commit(self.world.kind)

    def _visit(self, task: str, at: str) -> Fault | None:
        with self._moment:
            self._counts[task, at] += 1
            place = Place(task, at, self._counts[task, at])
            self.visited.append(place)
            for fault in self._left:
                if fault.place == place:
                    self._left.remove(fault)
                    self.first = len(self.visited) if self.first < 0 else self.first
                    return fault
            return None

    def _sleep(self, sleeper: Sleeper, *, ends: bool) -> None:
        """Freeze this thread of the worker."""
        with self._moment:
            self._asleep.append(sleeper)
        # Its server ends the transaction of one that sleeps on; SQLite has none to do that.
        self._events.put(("ends" if ends else "asleep", sleeper.life))
        sleeper.wakes.wait(PATIENCE)
        if sleeper.life.is_over:
            raise DiedError

    def _wake(self, *kinds: Kind, but: Life | None = None, after: float = 0.0) -> bool:
        with self._moment:
            woken = [one for one in self._asleep if one.kind in kinds and one.life is not but]
            self._asleep = [one for one in self._asleep if one not in woken]
            self._busy += [one.life for one in woken]
        for sleeper in woken:
            threading.Timer(after, sleeper.wakes.set).start() if after else sleeper.wakes.set()
        return bool(woken)

    def _deliver(self, job: SimulatedJob) -> None:
        if self.way.recalled and job.task.id == "confirm_order" and not job.given:
            self.engine.throw(job.key, "ORDER_RECALLED")
            return
        life = self._life_of(job)
        self._busy.append(life)
        life.deliver(job, lambda life: self._events.put(("over", life)))
        self._until_quiet()
        if life not in [one.life for one in self._asleep] and self._wake(Kind.ZOMBIE_AFTER):
            self._until_quiet()

    def _until_quiet(self) -> None:
        """Wait until nobody does anything; what is held then, its lock ends."""
        while self._busy and not self.hung:
            try:
                happened, life = self._events.get(timeout=PATIENCE)
            except queue.Empty:
                self.hung = f"a delivery took {PATIENCE:.0f} s"
                return
            if life not in self._busy:
                self.hung = f"{life.service.name} woke by itself: this machine is too slow"
                return
            self._busy.remove(life)
            if happened == "over":
                self._over(life)
            elif happened == "ends":
                self.world.end_idle_transactions(life.service.name)
        for job in self.instance.jobs:
            self.engine.end_lock(job)

    def _over(self, life: Life) -> None:
        if life.running and not life.running.cancelled() and (error := life.running.exception()):
            self.escaped.append(error)
        if not life.is_over:
            return
        self._lives = {name: other for name, other in self._lives.items() if other is not life}
        aftermath = self._deaths.pop(life, Kind.CRASH)
        if aftermath is Kind.CRASH_CANCELED:
            self.engine.cancel(self.instance)
        elif aftermath is Kind.OVERDUE:
            self.engine.fire(self.instance, "payment_overdue")
        elif life.job and life.job.is_there and aftermath in (Kind.MOVED, Kind.RESTORED):
            self.engine.replace(life.job, by_older=aftermath is Kind.RESTORED)

    def _pass_time(self) -> bool:
        """Let pauses end, then let sleepers wake; say whether anything may go on."""
        if self._holder_asked():
            self._holder_decides()
            return True
        if self.engine.end_pauses(self.instance):
            return True
        return self._wake_all() or self._sweep() or self._wake_all()

    def _wake_all(self) -> bool:
        woken = self._wake(*OF_A_ZOMBIE)
        self._until_quiet()
        return woken

    def _sweep(self) -> bool:
        """Let each service settle what it has open; again where its worker died meanwhile."""
        while self._unswept and not self.hung:
            service = self._unswept.pop()
            life = self._lives.get(service) or self._begin(service)
            self._busy.append(life)
            life.sweep(self.key, lambda life: self._events.put(("over", life)))
            self._until_quiet()
            if life.is_over or self.engine.waiting(self.instance):
                self._unswept.append(service)
                return True
        return False

    def _holder_asked(self) -> bool:
        jobs = [job for job in self.instance.jobs if job.state is JobState.PAUSING]
        return self.way.needs_approval and any(
            job.task.id == "charge_card" and job.retries < int(job.task.retries) for job in jobs
        )

    def _holder_decides(self) -> None:
        if self.way.overdue:
            self.engine.fire(self.instance, "payment_overdue")
        else:
            self.world.approve(self.goods)
            self.engine.end_pauses(self.instance)

    def _life_of(self, job: SimulatedJob) -> Life:
        """Return the worker of a job's service: the living one, unless its threads are asleep."""
        service = job.task.job_type.partition(".")[0]
        life = self._lives.get(service)
        return self._begin(service) if life is None or life.hands in self._blocked() else life

    def _begin(self, service: str) -> Life:
        life = Life(self.world.services[service], self._awake_hands(), self.engine, self)
        self._lives[service] = life
        return life

    def _awake_hands(self) -> Hands:
        for hands in self._hands:
            if hands not in self._blocked():
                return hands
        self._hands.append(self._lend())
        return self._hands[-1]

    def _blocked(self) -> list[Hands]:
        return [one.life.hands for one in self._asleep]

    def _judged(self) -> Verdict:
        broken = judge(self.evidence())
        visited = tuple(self.visited)
        if not any(fault.kind in OF_A_ZOMBIE for fault in self.schedule.faults):
            # Two workers at once mix their places.
            broken |= {UNHOOKED: found} if (found := [*unhooked(visited)]) else {}
        return Verdict(self.schedule, broken, visited, self.first, tuple(self._left))

    def evidence(self) -> Evidence:
        """Read what is left, from the services and from the engine."""
        world, instance = self.world, self.instance
        quantity = int(self.way.order.get("quantity", QUANTITY))
        books = OrderBooks(
            world.stores,
            world.carrier,
            self.key,
            sku=self.goods,
            quantity=quantity,
            card=self.goods,
        )
        jobs, is_done = instance.jobs, instance.ended == "order_shipped"
        accepted = {JobState.COMPLETED, JobState.THROWN}
        done = [job for job in jobs if job.state is JobState.COMPLETED]
        return Evidence(
            saga_key=self.key,
            ended=instance.ended,
            is_done=is_done,
            steps=STEPS,
            told=told_of(world.stores, self.key),
            effects=books.effects(),
            accounts=books.accounts(is_done=is_done),
            undos=Counter(_undone_step(job) for job in done if job.undoes),
            accepted=frozenset(job.key for job in jobs if job.state in accepted),
            incidents=[job.says for job in jobs if job.state is JobState.INCIDENT],
            retries_used=self._retries_used(),
            settled=True,
            hung=self.hung or self._went_astray(),
        )

    def _went_astray(self) -> str:
        """Say whether the order ended where its way doesn't lead, and nothing turned it off."""
        turned = any(fault.kind in TAKES_AWAY for fault in self.schedule.faults)
        ends = self.instance.ended
        return "" if turned or ends == self.way.ends else f"it ended at {ends}, not {self.way.ends}"

    def _retries_used(self) -> dict[str, int]:
        used: dict[str, int] = {}
        for job in self.instance.jobs:
            asked = self.way.pauses if job.task.id == "charge_card" else 0
            spent = max(0, int(job.task.retries) - job.retries - asked)
            used[job.task.job_type] = used.get(job.task.job_type, 0) + spent
        return used


def play(world: World, schedule: Schedule) -> Verdict:
    """Play one schedule."""
    with played(world, schedule) as (_, verdict):
        return verdict


@contextmanager
def played(
    world: World, schedule: Schedule, kind: type[Run] = Run
) -> Iterator[tuple[Run, Verdict]]:
    """Play one schedule, and give what was played too."""
    with world.hands() as lend:
        run = kind(world, schedule, lend)
        yield run, run.play()


def _task_of(life: Life) -> str:
    return life.job.task.id if life.job else f"{SWEEP}-{life.service.name}"


def _undone_step(job: SimulatedJob) -> str:
    assert job.undoes is not None
    service = job.undoes.task.job_type.partition(".")[0]
    return f"{service}.{job.undoes.task.id}"
