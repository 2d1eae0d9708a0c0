"""The meals' desk: what people set and no record says - meal plan, diets, menus, who may take a shift at a counter.

Each in one transaction with its row in the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hub.access.passwords import hash_password, is_password
from hub.access.rights import Person
from hub.days.mealchecks import MealChecks
from hub.days.office import BY_CHARACTERS_MAX, EntryRefused
from hub.meals.portions import Said, registered
from hub.meals.sittings import MONEY_DAYS_MAX, PlannedMeal, SchoolMeals, clock_ms
from hub.store.counterrows import CounterStaff, Diet
from protocol.cards import parse_card, suspicion
from protocol.countersheet import TEXT_CHARACTERS_MAX
from protocol.errors import CardNumberError
from protocol.meals import MEALS, Meal
from protocol.taps import SLUG

if TYPE_CHECKING:
    from hub.store.mealplanrows import Dish

ALERTS_MAX: Final = 12
PIN_DIGITS: Final = (6, 12)
STAFF_MAX: Final = 200
DISHES_MAX: Final = 2_000


class MealDesk(MealChecks):
    """See the room. `by` is who sets it: a user's name, or a token's."""

    def plan(self, by: str, first: date, document: SchoolMeals) -> None:
        """Let a meal plan hold from a day on, today at the earliest. Raises EntryRefused, MealPlanRefused."""
        self._check(by)
        if first < self._today():
            raise EntryRefused("{first} is past: sheets of days that were would change", first=first)
        with self._store.database.transaction():
            self._check_locks(first, document)
            self._store.mealplans.put(first, document, self._store.clock.now_ms(), by)
            self._audit(by, "meal plan", first.isoformat())
        self._entered()

    def _check_locks(self, first: date, document: SchoolMeals) -> None:
        """Hours and halls of a day may change at any time; what a lock of it rested on that has passed may not.

        Nor may a lock be put where it has passed already. A lock may fall days before its meal: each day that the
        document speaks of is looked at.
        """
        now_ms, last = self._store.clock.now_ms(), self._today() + timedelta(days=MONEY_DAYS_MAX)
        later = min((one for one in self._store.mealplans.plans() if one > first), default=None)
        last = last if later is None else min(last, later - timedelta(days=1))
        # The last such day is named: from the next one on the document can hold.
        for said in reversed(list(self._store.mealbook.said_of(first, last)) if first <= last else []):
            changed = [meal for meal in MEALS if _locked_by(said.plan.of(meal)) != _locked_by(document.of(meal))]
            for meal in changed:
                # A meal that was called off can be given after all: its locks are held too.
                either = [replace(said, closures=()), replace(said, plan=document, closures=())]
                passed = any(now_ms >= lock for one in either for lock in _locks_of(one, meal))
                if passed and any(registered(one, meal) for one in either):
                    raise EntryRefused(
                        "{meal}: a lock of {day} has passed, or would have; another lock or half-day, or no such meal,"
                        " can hold from the next day on; where there is none on that day, say that there is no meal",
                        meal=meal,
                        day=said.day,
                    )

    def diet(self, by: str, student: str, alerts: Sequence[str], *, confirmed: bool) -> None:
        """What a pupil must not eat from now on; counters know within a minute. Raises EntryRefused."""
        self._check(by)
        told = tuple(one.strip() for one in alerts if one.strip())
        if len(told) > ALERTS_MAX or any(len(one) > TEXT_CHARACTERS_MAX or not one.isprintable() for one in told):
            raise EntryRefused(
                "alerts: at most {count}, each one line of at most {most} characters",
                count=ALERTS_MAX,
                most=TEXT_CHARACTERS_MAX,
            )
        with self._store.database.transaction():
            self._pupil(student)
            self._store.counters.say_diet(Diet(student, told, confirmed, self._store.clock.now_ms(), by))
            self._audit(by, "diet", student)
        self._entered()

    def cook(self, by: str, dishes: Sequence[Dish]) -> int:
        """What is cooked on some days. Raises EntryRefused."""
        self._check(by)
        if len(dishes) > DISHES_MAX:
            raise EntryRefused("{count} dishes, at most {most} at once", count=len(dishes), most=DISHES_MAX)
        with self._store.database.transaction():
            count = self._store.mealplans.cook(dishes)
            self._audit(by, "menus", str(count))
        self._entered()
        return count

    def _is_anothers(self, pin: str, id: str) -> bool:
        """Whether somebody else may take a shift by it: what they did would stand under the wrong name."""
        with self._store.database.lock:
            others = [one for one in self._store.counters.staff() if one.id != id and one.gone_ms is None]
        return any(one.pin is not None and is_password(one.pin, pin) for one in others)

    def admit_staff(self, by: str, id: str, shown: str, pin: str | None = None, card: str | None = None) -> None:
        """Let somebody take a shift at counters by a PIN, a card, or both; a PIN or card that isn't given stays.

        The card of somebody who was dismissed may be given on; they come back by what is given then.
        Raises EntryRefused, passwords.Busy.
        """
        self._check(by)
        if not SLUG.fullmatch(id) or not shown.strip() or len(shown) > BY_CHARACTERS_MAX or not shown.isprintable():
            raise EntryRefused("id: small letters, digits, inner hyphens; shown: a name of at most 64 characters")
        if pin is not None and not (pin.isascii() and pin.isdecimal() and PIN_DIGITS[0] <= len(pin) <= PIN_DIGITS[1]):
            raise EntryRefused("pin: {least} to {most} digits", least=PIN_DIGITS[0], most=PIN_DIGITS[1])
        if pin is not None and (len(set(pin)) < 3 or pin in "01234567890123456789" or pin in "98765432109876543210"):
            raise EntryRefused("pin: too easy to guess; take one that is no row and not of one or two digits")
        if pin is not None and self._is_anothers(pin, id):
            raise EntryRefused("the PIN is another's who may take a shift")
        hashed = None if pin is None else hash_password(pin)
        canonical = None if card is None else self._card(card)
        with self._store.database.transaction():
            known = {one.id: one for one in self._store.counters.staff()}
            before = known.get(id)
            if before is None and len(known) >= STAFF_MAX:
                raise EntryRefused("{count} may take a shift already, no more", count=len(known))
            if canonical is not None:
                self._free(canonical, [one for one in known.values() if one.id != id])
            made = CounterStaff(id, shown.strip(), hashed, canonical, self._store.clock.now_ms())
            if before is not None:
                # Who was dismissed comes back by what is given now: an old card or PIN may be somebody else's.
                stays = before if before.gone_ms is None else replace(before, pin=None, card=None)
                made = replace(made, pin=hashed or stays.pin, card=canonical or stays.card, since_ms=before.since_ms)
            if made.pin is None and made.card is None:
                raise EntryRefused("a PIN or a card must be given")
            self._store.counters.admit(made)
            self._audit(by, "counter staff", id)
        self._entered()

    def _free(self, card: str, others: Sequence[CounterStaff]) -> None:
        """See that a card is nobody's, and take it from who was dismissed. Raises EntryRefused."""
        has = next((one for one in others if one.card == card), None)
        if has is not None and has.gone_ms is None:
            raise EntryRefused("the card is another's who may take a shift")
        last = next((one for one in reversed(self._store.holders.holdings()) if one.card == card), None)
        if last is not None and last.open:
            raise EntryRefused("the card is a pupil's")
        if last is not None and last.ended == "lost":
            raise EntryRefused("the card was reported lost; say `found` first")
        if has is not None:
            self._store.counters.admit(replace(has, card=None))

    def dismiss_staff(self, by: str, id: str) -> None:
        """Let somebody take no shift any more. Raises EntryRefused."""
        self._check(by)
        with self._store.database.transaction():
            found = next((one for one in self._store.counters.staff() if one.id == id and one.gone_ms is None), None)
            if found is None:
                raise EntryRefused("{id!r} may take no shift", id=id[:64])
            self._store.counters.admit(replace(found, gone_ms=self._store.clock.now_ms()))
            self._audit(by, "counter staff gone", id)
        self._entered()

    def _card(self, number: str) -> str:
        try:
            card = parse_card(number)
        except CardNumberError as problem:
            raise EntryRefused("{problem}", problem=problem) from problem
        if suspicion(card) is not None or card.partial:
            raise EntryRefused("this number can't name a card: it is a part, drawn anew at each reading, or misread")
        return card.canonical

    def _audit(self, by: str, what: str, about: str) -> None:
        clock = self._store.clock
        self._store.audit.note(Person(by, "it"), what, about, "write", "allowed", clock.now_ms(), clock.mono_ms())


def _locked_by(planned: PlannedMeal | None) -> tuple[object, ...]:
    """What of a meal's plan its locks rest on."""
    if planned is None:
        return ()
    locks = planned.provisional, planned.final, planned.money, planned.money_days_before
    return planned.half, planned.weekdays, *locks


def _locks_of(said: Said, meal: Meal) -> tuple[int, ...]:
    """When a meal's first lock for the kitchen and the one for money fall, Unix ms."""
    planned = said.plan.of(meal)
    if planned is None:
        return ()
    return clock_ms(said.day, planned.provisional), clock_ms(said.day, planned.money, planned.money_days_before)
