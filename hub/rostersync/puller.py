"""The puller: one thread that pulls the city's roster when it is due, or a person asks, and mirrors what it says."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.rostersync.asking import Kind
from hub.rostersync.due import due, pause_ms
from hub.rostersync.plan import Asked, Plan
from hub.rostersync.pull import DeltaRefused, Harvest, NotPulled, Pull, PullFailed, RosterMisrouted
from hub.rostersync.settling import NOTHING, Settled, settle, since_ms
from hub.worker import Worker
from protocol.errors import K12EdgeError, NeedsHands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.clock import HubClock
    from hub.ports import CityRoster, Mirror
    from hub.store.ledger import Ledger
    from hub.store.syncrows import SyncRows

log = logging.getLogger("k12edge.roster")

IDLE_MS: Final = 60_000
PULL_MAX_MS: Final = 15 * 60_000
"""A pull ends within the time by which deltas overlap."""
ASKED_S: Final = 25.0
"""A person's command waits for a pull so long, less than for a hub that doesn't answer (control.TIMEOUT_S)."""
NOTES_SHOWN_MAX: Final = 200
VIETNAM: Final = timezone(timedelta(hours=7))


@dataclass(slots=True)
class _Order:
    """A pull that a person asked for, and what came of it."""

    asked: Asked
    done: threading.Event = field(default_factory=threading.Event)
    report: dict[str, Any] | None = None
    problem: K12EdgeError | None = None


class Puller(Worker):
    """See the room. `told` is called when stations have something new to learn."""

    def __init__(
        self,
        school: str,
        ledger: Ledger,
        rows: SyncRows,
        mirror: Mirror,
        city: CityRoster,
        clock: HubClock,
        rng: Random,
        told: Callable[[], None],
    ) -> None:
        """Nothing is asked yet."""
        super().__init__()
        self._school, self._ledger, self._rows, self._mirror = school, ledger, rows, mirror
        self._city, self._clock, self._rng, self._told = city, clock, rng, told
        self._orders: list[_Order] = []
        self._failures = 0
        self._not_before_ms = 0
        self.trouble: str | None = None

    def end(self) -> None:
        """Give the connections back, and tell whoever waits."""
        self._city.close()
        for order in self._orders:
            order.problem = NotPulled("the hub ends")
            order.done.set()

    def pull_now(self, asked: Asked, within_s: float = ASKED_S) -> dict[str, Any]:
        """Pull everything now, whatever is due; what came of it. From another thread.

        Raises NotPulled where it takes too long (it goes on), PullFailed, NeedsHands.
        """
        order = _Order(asked)
        self._orders.append(order)
        self.wake()
        if not order.done.wait(within_s):
            raise NotPulled("the pull goes on", hint="Look at the hub's status in a minute.")
        if order.problem is not None:
            raise order.problem
        assert order.report is not None
        return order.report

    def turn(self) -> int:
        """Pull once where it is due; the ms to wait before the next turn."""
        self.progress += 1
        order = self._orders.pop(0) if self._orders else None
        try:
            if order is not None:
                order.report = self.pull_all(order.asked)
                return 0
            return self._pull_due()
        except K12EdgeError as problem:
            if order is None or not isinstance(problem, NeedsHands):
                self._failed(problem)
            if order is not None:
                order.problem = problem
        except Exception as problem:
            # A fault of ours mustn't end the pulls for good; the roster in force stands in its rows.
            log.exception("pulling the roster failed")
            self._ledger.database.met(problem)
            self._failed(PullFailed(f"internal fault: {type(problem).__name__}"))
            if order is not None:
                order.problem = NotPulled("an internal fault", hint="See the hub's log.")
        finally:
            if order is not None:
                order.done.set()
        return 0

    def _pull_due(self) -> int:
        wait_ms = self._not_before_ms - self._clock.mono_ms()
        if wait_ms > 0:
            return min(IDLE_MS, wait_ms)
        if self._clock.error_ms() is None:
            # Days, years and nights are told by the clock.
            self._note("clock-unset")
            return IDLE_MS
        with self._ledger.database.lock:
            state = self._rows.state()
        kind, wait_ms = due(state, self._clock.now_ms(), self._school)
        if kind is None:
            return min(IDLE_MS, max(20, wait_ms))
        self._pull(kind, NOTHING)
        return 0

    # --- one pull -----------------------------------------------------------------------------------------------------

    def pull_all(self, asked: Asked = NOTHING) -> dict[str, Any]:
        """Pull everything, on this thread. Raises PullFailed, WalkFailed, NeedsHands."""
        return self._pull("full", asked)

    def _pull(self, kind: Kind, asked: Asked) -> dict[str, Any]:
        began_ms = self._clock.mono_ms()
        with self._ledger.database.lock:
            state = self._rows.state()
        pull = Pull(kind, since_ms(state) if kind == "delta" else None, self._rng)
        harvest = self._gather(pull, began_ms)
        settled, report = self._take(harvest, asked)
        self._failures = 0
        self._note(_trouble(settled))
        if report["release"] is not None:
            self._told()
        log.info("%s pull of the roster: %s", kind, settled.plan.counts())
        return report | {"asks": harvest.asks, "took_ms": self._clock.mono_ms() - began_ms}

    def _gather(self, pull: Pull, began_ms: int) -> Harvest:
        while (ask := pull.ask()) is not None:
            if self._stopping.is_set():
                raise NotPulled("the hub ends")
            wait_ms = pull.take(self._city.ask(ask))
            self.progress += 1
            if self._clock.mono_ms() + wait_ms - began_ms > PULL_MAX_MS:
                raise PullFailed(f"{ask.collection}: the pull takes more than {PULL_MAX_MS // 60_000} minutes")
            if wait_ms:
                self._stopping.wait(wait_ms / 1000)
        return pull.harvest()

    def _take(self, harvest: Harvest, asked: Asked) -> tuple[Settled, dict[str, Any]]:
        """Work out what changes, and write it: the working out is done while others may use the ledger."""
        with self._ledger.database.lock:
            state, held = self._rows.state(), self._rows.held()
            known, holders = self._mirror.known(), self._mirror.holders()
        now_ms = self._clock.now_ms()
        day = _day(now_ms)
        settled = settle(state, held, harvest, known, self._school, day, now_ms, asked, holders)
        release = None
        with self._ledger.database.transaction():
            again = self._mirror.known()
            if again != known:
                # Somebody imported a list meanwhile.
                settled = settle(state, held, harvest, again, self._school, day, now_ms, asked, holders)
            if settled.plan.guard is not None:
                guard = settled.plan.guard
                detail = f"{guard.reason}: {guard.gone} of {guard.enrolled} pupils would go"
                self._ledger.alarm("roster-guarded", "city", detail, now_ms)
            if settled.held is not None:
                release = self._mirror.apply(settled.plan.changes, now_ms)
                self._rows.keep(held, settled.held)
            self._rows.remember(settled.state)
            report = told(harvest.kind, settled.plan, release) | {"at_ms": now_ms}
            if harvest.kind == "full":
                self._rows.tell(report)
        return settled, report

    def _failed(self, problem: K12EdgeError) -> None:
        if isinstance(problem, NotPulled):
            return
        try:
            with self._ledger.database.transaction():
                if isinstance(problem, DeltaRefused):
                    self._rows.remember(replace(self._rows.state(), delta_refused=True))
                    return
                if isinstance(problem, RosterMisrouted):
                    self._ledger.alarm("roster-misrouted", "city", str(problem), self._clock.now_ms())
        except K12EdgeError as other:
            log.error("the ledger can't be used: %s", other)
            problem = other
        again_ms = problem.again_ms if isinstance(problem, PullFailed) else None
        self._not_before_ms = self._clock.mono_ms() + pause_ms(self._failures, again_ms, self._rng)
        self._failures += 1
        self._note(f"{problem.code}: {problem}"[:200])

    def _note(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            if trouble is None:
                log.info("the roster is pulled")
            else:
                log.warning("the roster: %s", trouble)
        self.trouble = trouble


def _day(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, VIETNAM).date()


def _trouble(settled: Settled) -> str | None:
    # What a full pull was held back for stands until one goes through, whatever deltas bring meanwhile.
    guard, rollover = settled.plan.guard or settled.state.guard, settled.plan.rollover
    if guard is not None:
        return f"roster-guarded: {guard.gone} of {guard.enrolled} pupils would go"
    if rollover is not None and rollover.begins:
        return f"roster-year-waits: {rollover.year.id}, {len(rollover.leaving)} pupils are not in it"
    return None


def told(kind: Kind, plan: Plan, release: str | None) -> dict[str, Any]:
    """What a pull came to, for programs; no name is in it."""
    rollover = plan.rollover
    year = None
    if rollover is not None:
        year = {
            "id": rollover.year.id,
            "first": rollover.year.first.isoformat(),
            "waits": rollover.begins,
            "moved": rollover.moved,
            "new": rollover.new,
            "leaving": len(rollover.leaving),
        }
    return {
        "kind": kind,
        "release": release,
        **plan.counts(),
        "guard": msgspec.to_builtins(plan.guard),
        "year": year,
        "discrepancies": msgspec.to_builtins(plan.notes[:NOTES_SHOWN_MAX]),
        "discrepancies_count": len(plan.notes),
    }


def pulled(puller: Puller, words: Mapping[str, str | None]) -> str:
    """Carry out `k12edge hub roster pull`. Raises NeedsHands, PullFailed."""
    gone = words.get("allow_gone") or "0"
    if not gone.isascii() or not gone.isdecimal() or len(gone) > 6:
        raise NotPulled(f"--allow-gone {gone!r} is no number of pupils", hint="Give a whole number.")
    report = puller.pull_now(Asked(int(gone), words.get("begin_year")))
    if words.get("json") == "True":
        return msgspec.json.encode(report).decode("utf-8")
    lines = [f"{report[name]:>6}  {text}" for name, text in COUNTED.items()]
    guard, year = report["guard"], report["year"]
    if guard is not None:
        lines.append(f"GIỮ LẠI / HELD BACK: {guard['gone']} / {guard['enrolled']} (--allow-gone {guard['gone']})")
    if year is not None:
        words_of_year = "chờ / waits (--begin-year)" if year["waits"] else "sắp tới / to come"
        lines.append(
            f"năm học / school year {year['id']}, {words_of_year}: {year['moved']} lên lớp / moved,"
            f" {year['new']} mới / new, {year['leaving']} ra trường / leave"
        )
    lines.append(f"{report['discrepancies_count']:>6}  không khớp / discrepancies (--json)")
    return "\n".join(lines)


COUNTED: Final = {
    "new": "mới / new",
    "updated": "sửa / updated",
    "moved": "chuyển lớp / moved",
    "left": "thôi học / left",
    "returned": "trở lại / returned",
    "missing": "vắng trong danh sách lần đầu / missing for the first time",
    "grace": "đang được giữ lại / kept by grace",
    "same": "như cũ / the same",
}
