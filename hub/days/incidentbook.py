"""The incident book: all that the store knows of the meals that a pack is asked of; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.incidents.asking import HOURS_MAX, Scope, hours_before, meals_between, meals_with_lot
from hub.incidents.origins import counter_origins
from hub.incidents.pack import (
    KEYED,
    Asked,
    Diner,
    Known,
    Menu,
    Origin,
    Presence,
    hours_served,
    meals_that_were,
    spans_of,
)
from hub.meals.portions import is_had
from hub.meals.servings import Counters
from hub.meals.sittings import DAY_MS, day_of, midnight_of
from protocol.cards import parse_card

if TYPE_CHECKING:
    from hub.attendance.marks import Mark
    from hub.parts import Store

LOT_DAYS: Final = 60
"""How far back menus are looked through for a lot; food that is older was eaten."""
THERE: Final[frozenset[Mark]] = frozenset({"present", "late", "left-early"})
AWAY: Final[frozenset[Mark]] = frozenset({"absent", "excused", "unexcused"})


class IncidentBook:
    """See the room. Looks take the ledger's lock for a day each."""

    def __init__(self, store: Store) -> None:
        """Everything that is asked lives in `store`."""
        self._store = store

    def asked(self, scope: Scope, now_ms: int) -> list[Asked]:
        """The meals that a scope names, oldest first. Raises IncidentRefused for a lot that no menu names."""
        match scope.kind:
            case "meal":
                assert scope.meal is not None
                return [(scope.day, scope.meal)]
            case "lot":
                return meals_with_lot(self._menus(scope.day - timedelta(days=LOT_DAYS), scope.day), scope.lot)
            case "hours":
                assert 0 < scope.hours <= HOURS_MAX
                with self._store.database.lock:
                    plans = self._store.mealbook.plans()
                return self._that_were(meals_between(plans, *hours_before(scope, now_ms)))

    def _that_were(self, asked: Sequence[Asked]) -> list[Asked]:
        """Those that there were; the days whose plan lacks one are looked through for servings."""
        had = self._had(asked)
        lacking = sorted({day for day, meal in asked if (day, meal) not in had})
        return meals_that_were(Known(tuple(asked), self._counters(lacking)), had)

    def _had(self, asked: Iterable[Asked]) -> set[Asked]:
        """The meals that the plan had that day."""
        said = {day: self._store.mealbook.said(day) for day in sorted({day for day, _ in asked})}
        return {(day, meal) for day, meal in asked if is_had(said[day], meal)}

    def known(self, asked: Sequence[Asked], now_ms: int) -> Known:
        """All that a pack of these meals is made of, as it is known now; nobody is ticked ill."""
        days = sorted({day for day, _ in asked})
        counters = self._counters(days)
        known = Known(tuple(asked), counters, cards=self._keyed({tap.card for tap in counters.taps}))
        if not days:
            return known
        portions: dict[str, str] = {}
        expected: dict[Asked, frozenset[str]] = {}
        had = self._had(asked)
        for day, meal in asked:
            registered = self._store.mealbook.registered(day, meal)
            portions |= {one.pupil: one.portion for one in registered}
            if registered or (day, meal) not in had:
                expected[day, meal] = frozenset(one.pupil for one in registered if not one.cut)
        known = replace(
            known,
            roll=self._roll(days, portions),
            menus=self._menus(days[0], days[-1]),
            present={day: self.present(day) for day in days},
            expected=expected,
            adults=self._adults(),
        )
        spans = [span for one in asked for span in spans_of(known, one)]
        first_ms = min((from_ms for from_ms, _ in spans), default=midnight_of(days[0]))
        last_ms = max((until_ms for _, until_ms in spans), default=midnight_of(days[-1]) + DAY_MS)
        return replace(known, origins=self.origins(first_ms, last_ms, now_ms, hours_served(known)))

    def origins(
        self,
        first_ms: int,
        last_ms: int,
        now_ms: int,
        hours: Sequence[tuple[int, int]] | None = None,
        said_from_ms: int | None = None,
    ) -> tuple[Origin, ...]:
        """Every counter that gives evidence for a span, and whether all its records of it are here.

        `hours`: when it must have been there, on, and seeing, to be complete; None: nobody asks that. `said_from_ms`:
        from when on gateways' words of how far their records go are asked, where that isn't the whole span.
        """
        with self._store.database.lock:
            facts = self._store.coverage.facts(first_ms, last_ms, said_from_ms)
            waivers = self._store.coverage.waivers(first_ms)
            kinds = self._kinds(midnight_of(day_of(first_ms)), last_ms)
        return tuple(counter_origins(facts, kinds, waivers, first_ms, last_ms, now_ms, hours))

    def _kinds(self, first_ms: int, until_ms: int) -> dict[str, set[str]]:
        """Device -> the kinds of its stations that cards were held to."""
        found: dict[str, set[str]] = {}
        for device, kind in self._store.database.connection.execute(
            "SELECT DISTINCT device, kind FROM taps JOIN journals ON number = taps.journal"
            " WHERE best_ms BETWEEN ? AND ? AND device IS NOT NULL",
            (first_ms, until_ms),
        ):
            found.setdefault(device, set()).add(kind)
        return found

    def _counters(self, days: Iterable[date]) -> Counters:
        """What counters said around some days, each record once."""
        found = [self._store.mealbook.counters(day) for day in days]
        if not found:
            return Counters(self._store.mealbook.plans(), ())
        return Counters(
            found[-1].plans,
            tuple({tap.id: tap for one in found for tap in one.taps}.values()),
            tuple({word.record: word for one in found for word in one.words}.values()),
            tuple({(said.id, said.school_class): said for one in found for said in one.lists}.values()),
            found[-1].bindings,
            found[-1].staff,
        )

    def _keyed(self, cards: Iterable[str]) -> dict[str, str]:
        """The ids of cards whose taps are kept by their numbers: those that no gateway knew."""
        key = self._store.secrets.card_keys()[-1]
        return {card: key.keyed(parse_card(card)) for card in cards if not card.startswith(KEYED)}

    def _roll(self, days: Sequence[date], portions: Mapping[str, str]) -> dict[str, Diner]:
        """Everybody who belonged to a class on one of the days, with the class of the last of them."""
        store = self._store
        teachers: dict[str, str] = {}
        for user in store.users.all():
            person = user.person
            if person.role == "teacher" and person.school_class is not None and not user.revoked:
                names = [teachers[person.school_class]] if person.school_class in teachers else []
                teachers[person.school_class] = ", ".join([*names, person.shown or person.name])
        with store.database.lock:
            codes = {one.key: one.code or "" for one in store.people.all()}
            pupils = sorted(store.people.of(days[0], days[-1]), key=lambda one: one.first)
        return {
            one.key: Diner(
                one.key,
                one.name,
                one.school_class,
                codes.get(one.key, ""),
                teachers.get(one.school_class, ""),
                portions.get(one.key, ""),
            )
            for one in pupils
        }

    def present(self, day: date) -> dict[str, Presence]:
        """Who was at school that day by marks: there in any half-day; away in each that they had; else not known."""
        marks: dict[str, set[Mark]] = {}
        for marked in self._store.classbook.marks(day):
            marks.setdefault(marked.pupil.key, set()).add(marked.judged.mark)
        found: dict[str, Presence] = {}
        for key, mine in marks.items():
            found[key] = "present" if mine & THERE else "absent" if mine <= AWAY else "unknown"
        return found

    def _menus(self, first: date, last: date) -> dict[Asked, Menu]:
        with self._store.database.lock:
            dishes = list(self._store.mealplans.menu(first, last))
        found: dict[Asked, Menu] = {}
        for dish in dishes:
            menu = found.get((dish.day, dish.meal), Menu())
            found[dish.day, dish.meal] = Menu(
                f"{menu.text}, {dish.dish}" if menu.text else dish.dish,
                _with(menu.lots, dish.lot),
                _with(menu.samples, dish.sample),
            )
        return found

    def _adults(self) -> dict[str, str]:
        with self._store.database.lock:
            return {one.id: one.shown or one.id for one in self._store.counters.staff()}


def _with(texts: tuple[str, ...], text: str) -> tuple[str, ...]:
    return texts if not text or text in texts else (*texts, text)
