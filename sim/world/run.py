"""A run: one plan lived through, drained, and checked."""

from __future__ import annotations

import gc
import hashlib
import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from sim.world.absence import Absences
from sim.world.checks import Batches, Receipted, Times, check_all, drained, gather, rows_of
from sim.world.faults import BY_NAME
from sim.world.gateway import GatewayBox
from sim.world.loop import MINUTE, SECOND
from sim.world.lunchchecks import check_lunch
from sim.world.naming import LOOK_NS, Named
from sim.world.plan import Fault, Plan
from sim.world.school import School
from sim.world.schooldays import check_days
from sim.world.truth import Problem

DRAIN_MIN: Final = 180
"""Minutes that everything may take to arrive once nothing fails any more; the longest wait by design is one."""


@dataclass(slots=True)
class Outcome:
    """What came of a run. `digest` is over every byte that the city holds and every signal: a replay has the same."""

    plan: Plan
    problems: list[Problem] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    times: Times = field(default_factory=Times)
    signals: int = 0
    city: int = 0
    steps: int = 0
    digest: str = ""
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.problems


def run(plan: Plan, base: Path | None = None) -> Outcome:
    """Live through a plan, in a folder of its own in memory."""
    logging.getLogger("k12edge").setLevel(logging.CRITICAL)
    began_s = time.perf_counter()
    # A run makes few cycles and many objects that stay; looking for cycles as often as by default takes a tenth of it.
    gc.set_threshold(50_000, 20, 20)
    shared = Path("/dev/shm")
    root = base or (shared if shared.is_dir() else None)
    folder = Path(tempfile.mkdtemp(prefix="k12edge-sim-", dir=root))
    try:
        outcome = _Run(plan, folder).whole()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # Else the cycles of hundreds of seeds would stay until somebody looks for them.
    gc.collect()
    outcome.seconds = time.perf_counter() - began_s
    return outcome


class _Run:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._school = School(plan, folder)
        self._restarts = self._school.draw("restarts")
        self._batches = Batches()
        self._ends: list[tuple[Fault, object]] = []
        self._named = Named(self._school)
        self._absences = Absences(self._school)
        self._failing = 0
        self._failed_ns = 0

    def whole(self) -> Outcome:
        school = self._school
        with school.underneath.entered():
            self._live()
            outcome = Outcome(self._plan)
            if not self._broken() and self._drain():
                outcome.times = check_all(school)
                check_days(school)
                check_lunch(school)
                again = school.underneath.storage("again")
                self._batches.check(school, again.folder, school.draw("again"))
            outcome.problems = school.truth.problems
            outcome.fired, outcome.seen = school.truth.fired, school.truth.seen
            outcome.signals, outcome.steps = len(school.truth.signals), school.loop.steps
            outcome.digest, outcome.city = self._digest()
            self._end()
        return outcome

    def _live(self) -> None:
        school = self._school
        receipted = Receipted(school)

        def heard(topic: str, payload: bytes) -> None:
            receipted.heard(topic, payload)
            self._batches.take(topic, payload)

        school.broker.heard = heard
        for box in school.gateways:
            box.on_crash = self._gateway_crashed
        school.hub.on_crash = self._hub_crashed
        school.begin()
        for fault in self._plan.faults:
            at_ns = school.began_ns + int(fault.at_s * SECOND)
            school.loop.at(at_ns, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        school.loop.after(LOOK_NS, self._look)
        for day in range(self._plan.days):
            school.plan_day(day)
            if school.loop.run(school.day_end_ns(day), self._broken):
                return

    def _look(self) -> None:
        calm = not self._failing and self._school.loop.now_ns - self._failed_ns > LOOK_NS
        self._named.look(calm=calm)
        self._absences.look()
        self._school.loop.after(LOOK_NS, self._look)

    def _broken(self) -> bool:
        """One broken promise is enough: what follows from it tells nothing more."""
        return bool(self._school.truth.problems)

    def _gateway_crashed(self, box: GatewayBox) -> None:
        self._school.restart_later(box.start, self._restarts)

    def _hub_crashed(self) -> None:
        self._school.restart_later(self._school.hub.start, self._restarts)

    def _strike(self, fault: Fault) -> None:
        if self._school.healing:
            return
        end = BY_NAME[fault.kind].begin(self._school, Random(fault.seed))
        self._school.truth.count(f"struck: {fault.kind}")
        self._failed_ns = self._school.loop.now_ns
        if end is not None:
            self._failing += 1
            self._school.loop.after(int(fault.for_s * SECOND), lambda: self._mend(end))
            self._ends.append((fault, end))

    def _mend(self, end: Callable[[], None]) -> None:
        end()
        self._failing -= 1
        self._failed_ns = self._school.loop.now_ns

    def _drain(self) -> bool:
        """Everything is mended; now all must arrive by itself."""
        school = self._school
        school.healing = True
        for _, end in self._ends:
            end()  # type: ignore[operator]
        school.hub.stalled_until_ns = 0
        for box in school.gateways:
            box.stalled_until_ns = 0
            box.storage.crash_in = box.storage.fault = None
        school.hub.storage.crash_in = school.hub.storage.fault = school.city.storage.crash_in = None
        school.start_all()
        until_ns = school.loop.now_ns + DRAIN_MIN * MINUTE
        for look in range(DRAIN_MIN * 2):
            if school.loop.run(min(until_ns, school.loop.now_ns + MINUTE // 2), self._broken):
                return False
            school.start_all()
            self._send_dead_letters_again()
            if look > 3 and drained(school):
                return True
        school.truth.broken("everything arrives", self._why())
        return False

    def _send_dead_letters_again(self) -> None:
        """A person looks at the dead letters, and sends them again."""
        store = self._school.hub.store
        if store is None:
            return
        with store.database.transaction() as connection:
            for (position,) in connection.execute(
                "SELECT position FROM forward_exceptions WHERE state = 'dead'"
            ).fetchall():
                store.forward.resend(position)
                self._school.truth.count("dead letter sent again")

    def _why(self) -> str:
        school = self._school
        store = school.hub.store
        if store is None:
            return "the hub is down"
        words = []
        for box in school.gateways:
            if not box.up:
                words.append(f"{box.name} is down")
                continue
            for journal, first, last in rows_of(box.storage.folder):
                book = store.ledger.books.find(journal)
                if last >= first and (book is None or not book.durable().covers(first, last)):
                    words.append(f"{box.name} {journal} {first}-{last}: the hub has {book.durable() if book else None}")
        for book in store.ledger.books.all():
            city = book.city()
            if book.holes() or not all(city.covers(first, last) for first, last in book.held):
                words.append(f"{book.journal} of {book.device}: held {book.held}, city {city}, holes {book.holes()}")
        return "; ".join(words)[:600]

    def _digest(self) -> tuple[str, int]:
        books = gather(self._school)
        whole = hashlib.sha256()
        for name, raw in sorted(books.city.items()):
            whole.update(name.encode() + raw)
        for tap, held in self._school.truth.signals.items():
            whole.update(f"{tap} {held.shown} {held.at_ns}".encode())
        return whole.hexdigest(), len(books.city)

    def _end(self) -> None:
        school = self._school
        for box in school.gateways:
            box.kill()
        school.hub.kill()
        school.city.kill()
