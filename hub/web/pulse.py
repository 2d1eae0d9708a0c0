"""The pulse of the pages: after each commit, whoever listens hears what is new; bounded in all and for each.

Every stream lives on the server's loop. One task reads what is new for all of them; a listener that doesn't keep up
loses its queue and hears that everything may be new.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal

from starlette.concurrency import run_in_threadpool

from hub.days.classbook import today_at
from hub.dayview.board import Members, Passing, gate_devices, passings
from hub.web.visits import Visit
from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.road.fleet import Fleet

log = logging.getLogger("k12edge.web")

LISTENERS_MAX: Final = 200
EACH_MAX: Final = 20
"""Of one user or token: as many as places where somebody may be logged in; nobody takes them all."""
WAITING_MAX: Final = 32
BEAT_S: Final = 5.0
"""Browsers take a stream for dead that says nothing for three beats (hub.js)."""
RETRY_MS: Final = 1_000
BUSY_RETRY_MS: Final = 10_000
Kind = Literal["class", "school", "gate", "meals"]


@dataclass(slots=True, eq=False)
class Listener:
    """An open stream: of one class, of the whole school's numbers, of the gates with names, or of the counters."""

    who: str
    kind: Kind
    school_class: str | None
    waiting: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(WAITING_MAX))

    def tell(self, event: dict[str, Any]) -> None:
        """Put an event; one who doesn't keep up hears that everything may be new."""
        if self.waiting.full():
            while not self.waiting.empty():
                self.waiting.get_nowait()
            event = {"what": "all"}
        self.waiting.put_nowait(event)


@dataclass(frozen=True, slots=True)
class Told:
    """What is new: classes (None: perhaps all), taps at gates, whether anything was recorded at counters."""

    classes: frozenset[str] | None
    taps: tuple[Passing, ...] = ()
    counters: bool = False


class Pulse:
    """See the room. `stop` may come from any thread; all else is the loop's."""

    def __init__(self, store: Store, fleet: Callable[[], Fleet]) -> None:
        """Nobody listens yet, and nothing is asked of the store."""
        self._store, self._fleet = store, fleet
        self._listeners: set[Listener] = set()
        self._held: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh: asyncio.Event | None = None
        self._ready: asyncio.Event | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False
        self._position = 0
        self.members = Members(store)

    @property
    def open(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def full(self) -> bool:
        """Whether no more may listen."""
        return self._stopping or len(self._listeners) >= LISTENERS_MAX

    def has_share(self, visit: Visit) -> bool:
        """Whether the visitor has as many streams already as one user or token gets."""
        return self._held[_who(visit)] >= EACH_MAX

    def poke(self) -> None:
        """Something was committed; from any thread."""
        loop, fresh = self._loop, self._fresh
        if loop is not None and fresh is not None and not loop.is_closed():
            loop.call_soon_threadsafe(fresh.set)

    def stop(self) -> None:
        """End every stream soon; from any thread."""
        self._stopping = True
        self.poke()

    async def stream(self, visit: Visit, kind: Kind) -> AsyncIterator[str]:
        """The events of one page as they come, in the form of server-sent events, with a beat between them."""
        if self.full or self.has_share(visit):
            # Others came in between the look and the first word.
            yield f"retry: {BUSY_RETRY_MS}\n\n"
            return
        self._begin()
        mine = Listener(_who(visit), kind, visit.school_class)
        self._listeners.add(mine)
        self._held[mine.who] += 1
        try:
            assert self._ready is not None
            await self._ready.wait()
            yield f"retry: {RETRY_MS}\n\n" + _shown({"what": "hello", "position": self._position})
            beat_at_s = _now_s() + BEAT_S
            while not self._stopping:
                try:
                    event = await asyncio.wait_for(mine.waiting.get(), max(0.0, beat_at_s - _now_s()))
                except TimeoutError:
                    beat_at_s = _now_s() + BEAT_S
                    if not await run_in_threadpool(visit.still):
                        return
                    event = {"what": "beat"}
                    if kind == "gate":
                        event["devices"] = await run_in_threadpool(self.devices)
                if event["what"] == "end":
                    return
                yield _shown(event)
        finally:
            self._listeners.discard(mine)
            self._held[mine.who] -= 1
            if not self._held[mine.who]:
                del self._held[mine.who]

    def devices(self) -> list[dict[str, Any]]:
        """The gate devices as the board's script takes them."""
        store = self._store
        with store.database.lock:
            found = gate_devices(store, self._fleet(), store.clock.mono_ms())
        return [
            {"device": one.device, "life": one.life, "heard_ms": one.heard_ms, "owed": one.owed, "bad": one.readers}
            for one in found
        ]

    # --- reading ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._reader is not None and not self._reader.done():
            return
        self._loop, self._fresh, self._ready = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._store.daybook.on_change = self.poke
        self._reader = self._loop.create_task(self._read_on())

    async def _read_on(self) -> None:
        assert self._fresh is not None and self._ready is not None
        try:
            self._position = await run_in_threadpool(self._read_to)
        finally:
            self._ready.set()
        while self._listeners and not self._stopping:
            try:
                await asyncio.wait_for(self._fresh.wait(), BEAT_S)
            except TimeoutError:
                continue
            self._fresh.clear()
            try:
                self._tell(await run_in_threadpool(self._news))
            except (K12EdgeError, sqlite3.Error) as problem:
                # The ledger's own parts tell of it; pages go on with what they show, and ask again at the next commit.
                log.warning("what is new could not be read: %s", type(problem).__name__)
        for one in self._listeners:
            one.tell({"what": "end"})

    def _read_to(self) -> int:
        with self._store.database.lock:
            return self._store.board.read_to()

    def _news(self) -> Told:
        store = self._store
        with store.database.lock:
            news = store.board.behind(self._position)
            self._position = news.position
            people = self.members.of(self._today())
            taps = passings(store, self._today(), news.taps, people)
        counters = any(tap.kind == "canteen" for tap in news.taps)
        if news.more:
            return Told(None, tuple(taps), counters)
        classes = {one.school_class for one in taps} | set(news.classes)
        classes |= {people[key].school_class for key in news.pupils if key in people}
        # Whom a canteen served is on site; a tap whose pupil isn't known is nobody's class.
        return Told(frozenset(classes - {""}), tuple(taps), counters)

    def _today(self) -> date:
        return today_at(self._store.clock.now_ms())

    def _tell(self, told: Told) -> None:
        rows = [_row(one) for one in reversed(told.taps)]
        for one in self._listeners:
            if one.kind == "gate" and rows:
                one.tell({"what": "taps", "rows": rows})
            if told.classes is None:
                one.tell({"what": "all"})
            elif one.kind == "meals":
                # Portions and who is present follow from classes, servings from what counters record.
                if told.classes or told.counters:
                    one.tell({"what": "new"})
            elif told.classes and one.kind != "gate" and (one.school_class or "") in {"", *told.classes}:
                one.tell({"what": "new"})


def _who(visit: Visit) -> str:
    return "-" if visit.person is None else visit.person.signature


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _row(one: Passing) -> dict[str, Any]:
    return {
        "tap": one.tap,
        "at_ms": one.at_ms,
        "name": one.name,
        "class": one.school_class,
        "way": one.way,
        "point": one.point or one.device,
        "accepted": one.accepted,
        "sure": one.sure,
    }


def _shown(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n"
