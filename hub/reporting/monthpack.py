"""The month pack: a month's meals gathered from the store as a pack that anybody counts again; see hub.recount.

What is counted in it comes from the hub's tables, and before the pack is handed out it is counted again from its own
records: so the hub's own reading of them is proven each time, and where both differ, the pack says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from hub.days.classbook import today_at
from hub.days.counterwaits import counter_waits
from hub.days.mealmonths import month_days
from hub.days.office import EntryRefused
from hub.meals.mealdays import PupilMeal, evidence_digest, meals_of, month_of
from hub.meals.portions import Said
from hub.meals.servings import CounterTap, Serving, served
from hub.recount.archive import zipped
from hub.recount.counting import Count, Month
from hub.recount.facts import Boots, Facts, Held, Member, Notice
from hub.recount.packing import Volume, packed
from hub.recount.records import Sealed
from hub.recount.verdict import Verdict, judged
from hub.store.packrows import PackRows
from protocol.meals import MEALS, Meal
from protocol.taps import parse_tap_id
from protocol.topics import hub_source

if TYPE_CHECKING:
    from hub.attendance.evidence import Leave
    from hub.attendance.schoolday import Binding
    from hub.parts import Store
    from hub.store.books import Book

ROWS_AT_ONCE: Final = 2_000
"""Records read before others have the ledger for a moment."""
KEYED: Final = "hk"
"""What the text of a card begins with that nobody reads a number from."""


@dataclass(frozen=True, slots=True)
class CountedMonth:
    """Everything of a span: its days, servings by time, of each meal its meal days; the records that were looked at."""

    days: Sequence[Said]
    servings: tuple[Serving, ...]
    meals: Mapping[Meal, tuple[PupilMeal, ...]]
    taps: Mapping[str, CounterTap]
    words: AbstractSet[str]

    @property
    def first(self) -> date:
        """The first day."""
        return self.days[0].day

    @property
    def last(self) -> date:
        """The last day."""
        return self.days[-1].day


@dataclass(frozen=True, slots=True)
class MadePack:
    """A pack as a zip file, and what its own recount says of it."""

    octets: bytes
    verdict: Verdict


class MonthPack:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store
        self._rows = PackRows(store.database.connection)

    def make(self, by: str, month: str) -> MadePack:
        """The pack of a month, to today. The ledger is free for others in between. Raises EntryRefused."""
        store = self._store
        counted = self._count(*self._span(month))
        volumes = self._volumes({*counted.taps, *counted.words, *self._said(counted, month)})
        aliases = _aliases(counted.taps.values(), _cards(volumes, counted.taps))
        with store.database.lock:
            facts = self._facts(month, counted, aliases, volumes)
        # Only what was counted is needed from here on.
        counted = replace(counted, taps={}, words=frozenset())
        hub = hub_source(store.config.school, store.config.hub_id)
        identity = store.secrets.identity()
        made = packed(identity, hub, by, facts, volumes, partial(_counted, counted, aliases))
        return MadePack(zipped(made.contents), judged(made.contents, facts, made.records, made.recount, identity.key))

    def _span(self, month: str) -> tuple[date, date]:
        first, last = month_days(month)
        today = today_at(self._store.clock.now_ms())
        if first > today:
            raise EntryRefused("month: {month} has no meals that were", month=month)
        return first, min(last, today)

    def _count(self, first: date, last: date) -> CountedMonth:
        """Every serving and meal day of a span, as everything that is held says it now; and all that was looked at."""
        store, book = self._store, self._store.mealbook
        with store.database.lock:
            days = list(book.said_of(first, last))
        servings: list[Serving] = []
        meals: dict[Meal, list[PupilMeal]] = {}
        taps: dict[str, CounterTap] = {}
        words: set[str] = set()
        for said in days:
            with store.database.lock:
                known = book.counters(said.day)
            mine = [one for one in served(known).servings if one.day == said.day]
            servings += mine
            for meal in MEALS:
                if said.plan.of(meal) is not None or any(one.meal == meal for one in mine):
                    meals.setdefault(meal, []).extend(meals_of(said, meal, mine))
            taps |= {tap.id: tap for tap in known.taps}
            words |= {word.record for word in known.words} | {one.id for one in known.lists}
        some = {meal: tuple(found) for meal, found in meals.items() if found}
        return CountedMonth(days, tuple(servings), some, taps, words)

    # --- which records ------------------------------------------------------------------------------------------------

    def _said(self, counted: CountedMonth, month: str) -> Iterator[str]:
        """The hub's own records on who eats and what was frozen and stated."""
        cuts: set[str] = set()
        for said in counted.days:
            cuts |= {one.id for one in said.cuts}
            for some in (said.enrolments, said.portions, said.closures):
                yield from (one.id for one in some)
        yield from cuts
        with self._store.database.lock:
            found = [*self._rows.withdrawals(cuts), *self._rows.months(month)]
            found += self._rows.frozen(counted.first, counted.last)
        yield from found

    def _volumes(self, names: Iterable[str]) -> dict[str, Volume]:
        """The records by journal: of a counter's all from the first to the last needed, to the batches' ends."""
        volumes = {}
        for journal, needed in _journals(names).items():
            book = self._store.ledger.books.find(journal)
            assert book is not None, "a record that is held has its journal"
            first, last = needed[0], needed[-1]
            if book.device is None:
                rows = [row for sequence in needed for row in self._raws(book, sequence, sequence)]
                volumes[journal] = Volume(book.source, first, last, rows, own=True)
            else:
                first, last, sealed = self._batches(book, first, last)
                volumes[journal] = Volume(book.source, first, last, list(self._raws(book, first, last)), sealed)
        return volumes

    def _raws(self, book: Book, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        for begin in range(first, last + 1, ROWS_AT_ONCE):
            with self._store.database.lock:
                rows = list(self._rows.raws(book.number, begin, min(last, begin + ROWS_AT_ONCE - 1)))
            yield from rows

    def _batches(self, book: Book, first: int, last: int) -> tuple[int, int, list[Sealed]]:
        """A span widened to the ends of the batches it lies in, and these batches' signatures."""
        with self._store.database.lock:
            around = list(self._rows.headers(book.number, first, last))
        first = min([first, *(one[0] for one in around if one[0] <= first <= one[1])])
        last = max([last, *(one[1] for one in around if one[0] <= last <= one[1])])
        return first, last, [Sealed(*one) for one in around if first <= one[1] <= last]

    # --- facts --------------------------------------------------------------------------------------------------------

    def _facts(
        self,
        month: str,
        counted: CountedMonth,
        aliases: _Aliases,
        volumes: Mapping[str, Volume],
    ) -> Facts:
        store, days = self._store, counted.days
        first, last = counted.first, counted.last
        devices, keys = self._devices(volumes)
        notices = {one.leave.id: _notice(one.leave, one.gone_ms, one.gone) for day in days for one in day.excuses}
        return Facts(
            store.config.school,
            month,
            first,
            last,
            {day.isoformat(): plan for day, plan in store.mealbook.plans().items() if day <= last},
            {day.day.isoformat(): dict(day.taught) for day in days if day.taught},
            sorted(
                (Member(one.key, one.school_class, one.first, one.last) for one in store.people.of(first, last)),
                key=lambda one: (one.pupil, one.first, one.school_class),
            ),
            [notices[name] for name in sorted(notices)],
            aliases.held(store.holders.bindings()),
            aliases.held(store.mealbook.staff_bindings()),
            aliases.cards,
            self._received(counted.taps),
            devices,
            keys,
            {source: self._boots(source, volumes) for source in devices},
            list(counter_waits(store, first, last).waits),
        )

    def _devices(self, volumes: Mapping[str, Volume]) -> tuple[dict[str, str], dict[str, list[str]]]:
        """The counters by source: their names, and the keys that they signed with."""
        devices: dict[str, str] = {}
        keys: dict[str, set[str]] = defaultdict(set)
        for journal, volume in volumes.items():
            book = self._store.ledger.books.find(journal)
            if book is not None and book.device is not None:
                devices[volume.source] = book.device
                known = self._store.devices.find(book.device)
                keys[volume.source] |= set() if known is None else {one.key for one in known.keys}
                keys[volume.source] |= {one.key for one in volume.sealed}
        return devices, {source: sorted(some) for source, some in keys.items()}

    def _received(self, taps: Mapping[str, CounterTap]) -> dict[str, int]:
        """When records came here that no clock bounds."""
        found: dict[str, int] = {}
        for name, tap in taps.items():
            place = None if tap.when.anchored else parse_tap_id(name)
            book = None if place is None else self._store.ledger.books.find(place.journal)
            if place is not None and book is not None:
                received_ms = self._store.ledger.received_ms(book, place.sequence)
                found |= {} if received_ms is None else {name: received_ms}
        return found

    def _boots(self, source: str, volumes: Mapping[str, Volume]) -> Boots:
        """What is certain of the boots of a counter: of those that its journals here ran in; of all where one isn't."""
        timeline = self._store.anchors.of(source)
        ran, before = timeline.ran(), timeline.order()
        mine = {ran.get(journal, "") for journal, volume in volumes.items() if volume.source == source}
        if all(timeline.anchored(boot) for boot in mine):
            ran = {journal: boot for journal, boot in ran.items() if boot in mine}
            return Boots({boot: timeline.boots[boot] for boot in mine}, ran, {})
        return Boots(dict(timeline.boots), ran, before)


class _Carded(msgspec.Struct):
    card: str = ""


class _Record(msgspec.Struct):
    id: str
    data: _Carded


def _cards(volumes: Mapping[str, Volume], taps: Mapping[str, CounterTap]) -> dict[str, str]:
    """Record -> the card's text as it stands in the record itself."""
    decoder = msgspec.json.Decoder(_Record)
    found = (
        decoder.decode(raw)
        for journal, volume in volumes.items()
        for sequence, raw in volume.rows
        if f"{journal}.{sequence}" in taps
    )
    return {one.id: one.data.card for one in found}


@dataclass(frozen=True, slots=True)
class _Aliases:
    """Text that a card is kept under -> what it is called in a pack. `cards`: record -> that, where not its own."""

    names: Mapping[str, str]
    cards: dict[str, str]

    def of(self, text: str) -> str:
        """The name of a serving's card."""
        return self.names.get(text, "") if text else ""

    def held(self, bindings: Mapping[str, Sequence[Binding]]) -> dict[str, list[Held]]:
        """Whose the cards of the pack were."""
        return {
            name: sorted(
                (Held(one.pupil, one.from_ms, one.to_ms) for one in bindings[text]),
                key=lambda one: (one.from_ms, one.to_ms, one.who),
            )
            for text, name in sorted(self.names.items(), key=lambda one: one[1])
            if text in bindings
        }


def _aliases(taps: Iterable[CounterTap], own: Mapping[str, str]) -> _Aliases:
    """Keyed texts keep their name; a number that the hub opened is called by its place among the pack's."""
    in_order = sorted(taps, key=lambda tap: (tap.when.best_ms, tap.id))
    names: dict[str, str] = {}
    opened = 0
    for tap in in_order:
        if tap.card not in names:
            opened += not tap.card.startswith(KEYED)
            names[tap.card] = tap.card if tap.card.startswith(KEYED) else f"card-{opened}"
    return _Aliases(names, {tap.id: names[tap.card] for tap in in_order if names[tap.card] != own[tap.id]})


def _notice(leave: Leave, gone_ms: int | None, gone: str | None) -> Notice:
    return Notice(leave.id, leave.at_ms, leave.pupil, *leave.first, *leave.last, gone_ms, gone)


def _journals(names: Iterable[str]) -> dict[str, list[int]]:
    """Journal -> the sequences that are needed of it."""
    found: dict[str, set[int]] = defaultdict(set)
    for text in names:
        name = parse_tap_id(text)
        if name is not None:
            found[name.journal].add(name.sequence)
    return {journal: sorted(some) for journal, some in sorted(found.items())}


def _counted(counted: CountedMonth, aliases: _Aliases, recount: Count) -> Count:
    """What the hub's tables say, as a recount says it; the notes are the recount's, since they speak of records."""
    servings = tuple(msgspec.structs.replace(one, card=aliases.of(one.card)) for one in counted.servings)
    meals = sorted(
        (one for some in counted.meals.values() for one in some),
        key=lambda one: (one.day, MEALS.index(one.meal), one.school_class, one.pupil),
    )
    months = {meal: Month(month_of(some), evidence_digest(some)) for meal, some in counted.meals.items()}
    return Count(servings, tuple(meals), months, recount.notes)
