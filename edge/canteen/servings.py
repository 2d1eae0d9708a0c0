"""The book of servings: who was served what at a day's meals, here and, as they tell, at other counters. Pure.

A serving counts unless it was taken back or was the same tray again. A person's "same tray" says that it was the tray
of another record: where none of the pupil's counts any more, the earliest that only such a word sets aside is the
serving. Whatever is told twice changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edge.canteen.census import NO_MEAL, Census, MealKey
from protocol.meals import NTH_MAX
from protocol.served import Told

MEALS_KEPT: Final = 12
"""Meals in the book, the newest; four a day for three days."""
SERVINGS_MAX: Final = 20_000
"""Servings kept of one meal; a school has some 2,000. More are recorded all the same, not counted here."""
HERE_MAX: Final = 4_096
"""Pupils remembered by their last tray at each station, for its repeat window."""


@dataclass(slots=True)
class Serving:
    """One serving: the record `tap`, where (`device` empty: this gateway), whom for, and whether it counts.

    `at_ms`: of CLOCK_BOOTTIME. `undone`: taken back. `same`: the same tray as one before it. `shift`: of the moment.
    `who`: the book's own name for the person. `said`: the helping that its record names, of what was known then.
    `shown`: the card that was referred, where a stranger was served by hand of it. `again`: its counter itself saw the
    same tray in it. `wall_ms`: Unix ms by its counter's clock. `stands`: it counts though a person said `same`, since
    nothing else of theirs does. `elsewhere`: how many counted before it that weren't known yet when it came in.
    """

    tap: str
    key: MealKey
    student: str | None
    card: str
    device: str = ""
    station: str = ""
    shift: int = 1
    at_ms: int = 0
    undone: bool = False
    same: bool = False
    who: str = ""
    said: int = 1
    shown: str = ""
    again: bool = False
    wall_ms: int = 0
    stands: bool = False
    elsewhere: int = 0

    @property
    def held(self) -> str:
        """The card that the person holds, as far as one was seen."""
        return self.shown or self.card

    @property
    def counts(self) -> bool:
        """Whether somebody got a tray by it."""
        return not self.undone and (not self.same or self.stands)

    @property
    def lent(self) -> bool:
        """Whether only a person's word says that it was another one's tray."""
        return self.same and not (self.again or self.undone)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a touch is: the `nth` helping at its meal, or the same tray as the serving `repeats`, the `nth`."""

    nth: int
    repeats: str | None = None


@dataclass(slots=True)
class Count:
    """The numbers of a sitting. `served`: pupils known by name with a first tray, of whom `due` were expected."""

    served: int = 0
    seconds: int = 0
    strangers: int = 0
    due: int = 0

    def add(self, other: Count, sign: int) -> None:
        """Take a person's share in, or out."""
        self.served += sign * other.served
        self.seconds += sign * other.seconds
        self.strangers += sign * other.strangers
        self.due += sign * other.due


@dataclass(slots=True)
class _Person:
    """All of one pupil, or of one card that nobody knows, at one meal; `counted` of the servings count."""

    student: str | None
    servings: list[Serving] = field(default_factory=list)
    counted: int = 0
    standing: Serving | None = None

    def settle(self) -> None:
        """Have the earliest that is lent stand where nothing else counts; not while others may count unheard."""
        lent = [] if self.counted else [one for one in self.servings if one.lent]
        if lent and not any(self.unheard(one) for one in lent):
            self.standing = min(lent, key=lambda one: (one.wall_ms, one.tap))
            self.standing.stands, self.counted = True, 1

    def unsettle(self) -> None:
        """Before anything changes: as if nothing stood."""
        if self.standing is not None:
            self.standing.stands, self.standing, self.counted = False, None, 0

    def unheard(self, serving: Serving) -> int:
        """How many of those that its record knew of before it count, as far as we know: who isn't heard does."""
        if not serving.elsewhere:
            return 0
        # After a restart other counters' servings come behind those that are recalled; so does what comes back late.
        behind = self.servings[self.servings.index(serving) + 1 :]
        known = [one.counts for one in behind if one.device or one.at_ms < serving.at_ms]
        return max(min(serving.elsewhere, sum(known)), serving.elsewhere - known.count(False))


class _MealBook:
    """One meal's people and numbers; `stale`: the numbers are of an older sheet, and made anew when they are asked."""

    def __init__(self) -> None:
        self.people: dict[str, _Person] = {}
        self.counts: dict[int, Count] = {}
        self.classes: dict[int, dict[str, Count]] = {}
        self.stale = False
        self.servings = 0


class Book:
    """See the room. Every step takes constant time but a meal's first `count` after `rebuild`. One thread at a time."""

    def __init__(self) -> None:
        """Nobody was served yet, and nobody is expected."""
        self._census = Census()
        self._meals: OrderedDict[MealKey, _MealBook] = OrderedDict()
        self._taps: dict[str, Serving] = {}
        self._whose: dict[str, str] = {}
        self._here: OrderedDict[tuple[str, str], Serving] = OrderedDict()
        self.unkept = 0
        """Servings that found no room."""

    # --- judging --------------------------------------------------------------------------------------------------

    def who(self, student: str | None, card: str) -> str:
        """The name under which servings of one person meet: the pupil's key, else the card's."""
        return student or self._whose.get(card, card)

    def judge(self, key: MealKey, student: str | None, card: str, station: str, at_ms: int, window_ms: int) -> Verdict:
        """What a touch at `station` at `at_ms` of CLOCK_BOOTTIME is; a tray taken back is as if it never was."""
        if student is not None and any(card in meal.people for meal in self._meals.values()):
            # Somebody got a tray by it before it was anybody's.
            self._learn(card, student)
        who = self.who(student, card)
        last = self._here.get((station, who))
        if last is not None and last.counts and -window_ms < at_ms - last.at_ms < window_ms:
            return Verdict(self.nth(last), last.tap)
        meal = self._meals.get(key) if key != NO_MEAL else None
        person = None if meal is None else meal.people.get(who)
        return Verdict(1 if person is None else min(NTH_MAX, person.counted + 1))

    def nth(self, serving: Serving) -> int:
        """Which helping a serving is among those that count; what doesn't count has the number of the one before it."""
        if serving.key == NO_MEAL:
            return 1
        person = self._person(serving)
        before = 0
        for one in () if person is None else person.servings:
            before += one.counts
            if one is serving:
                break
        if person is not None and serving.counts:
            before += person.unheard(serving)
        return max(1, min(NTH_MAX, before))

    def before(self, serving: Serving) -> str:
        """The record of the person's serving before this one; its own where there is none."""
        person, before = self._person(serving), serving.tap
        for one in () if person is None else person.servings:
            if one is serving:
                break
            before = one.tap
        return before

    # --- what happened --------------------------------------------------------------------------------------------

    def note(self, serving: Serving) -> bool:
        """Take a serving in; False where its record is known already, or the meal has no room for more."""
        known = self._taps.get(serving.tap)
        if known is not None and known.device and not serving.device:
            # Another counter spoke of a record of ours before there was one: nobody speaks for another's servings.
            self._drop(known)
        elif known is not None:
            return False
        meal = self._meal(serving.key)
        if meal.servings >= SERVINGS_MAX and serving.key == NO_MEAL:
            # Nothing is counted there: the oldest are of no use to anybody.
            self._forget(self._meals.pop(NO_MEAL))
            meal = self._meal(NO_MEAL)
        if meal.servings >= SERVINGS_MAX:
            self.unkept += 1
            return False
        if serving.student is not None and self._whose.get(serving.held) != serving.student:
            self._learn(serving.held, serving.student)
        meal.servings += 1
        self._taps[serving.tap] = serving
        serving.who = who = self.who(serving.student, serving.held)
        person = meal.people.get(who)
        if person is None:
            person = meal.people[who] = _Person(serving.student)
        if not serving.device:
            serving.elsewhere = max(0, serving.said - 1 - person.counted)
        self._leave(meal, serving.key, person)
        person.servings.append(serving)
        person.student = person.student or serving.student
        person.counted += serving.counts
        self._enter(meal, serving.key, person)
        if not serving.device and serving.counts:
            self._remember(serving)
        return True

    def heard(self, device: str, told: Told, shift: int) -> Serving | None:
        """Take another counter's word in; what changed by it, None where nothing did."""
        known, same = self._taps.get(told.tap), told.same_ms is not None
        undone = told.taken_back and not same
        if known is None:
            made = Serving(told.tap, (told.day, told.meal), told.student, told.card, device, "", shift, 0, undone, same)
            made.wall_ms = told.same_ms or 0
            return made if self.note(made) else None
        if known.device != device or (known.undone, known.same) == (undone, same):
            # Nobody speaks for another's servings.
            return None
        known.wall_ms = told.same_ms or known.wall_ms
        self.set_state(known, undone=undone, same=same)
        return known

    def of(self, tap: str) -> Serving | None:
        """The serving of a record."""
        return self._taps.get(tap)

    def set_state(self, serving: Serving, *, undone: bool | None = None, same: bool | None = None) -> None:
        """Have a serving count or not."""
        meal, person = self._meals.get(serving.key), self._person(serving)
        if meal is None or person is None:
            return
        self._leave(meal, serving.key, person)
        person.counted -= serving.counts
        serving.undone = serving.undone if undone is None else undone
        serving.same = serving.same if same is None else same
        person.counted += serving.counts
        self._enter(meal, serving.key, person)
        if serving.device:
            return
        if serving.counts:
            self._remember(serving)
        elif self._here.get((serving.station, serving.who)) is serving:
            # The tray before this one is the last again.
            del self._here[serving.station, serving.who]
            for one in person.servings:
                if one.counts and one.station == serving.station:
                    self._remember(one)

    # --- the numbers ----------------------------------------------------------------------------------------------

    def count(self, key: MealKey, shift: int) -> Count:
        """The numbers of a sitting, over all counters that were heard."""
        meal = self._counted(key)
        return Count() if meal is None else meal.counts.get(shift, Count())

    def classes(self, key: MealKey, shift: int) -> Mapping[str, Count]:
        """The same for each class of which somebody was served; the empty name has whom the sheet doesn't know."""
        meal = self._counted(key)
        return {} if meal is None else meal.classes.get(shift, {})

    def _counted(self, key: MealKey) -> _MealBook | None:
        meal = self._meals.get(key)
        if meal is not None and meal.stale:
            meal.stale = False
            for person in meal.people.values():
                self._share(meal, key, person, 1)
        return meal

    def rebuild(self, census: Census) -> None:
        """Count anew by another sheet: who is expected, and which class eats when.

        Meal by meal as they are asked for, and those of other days never: a tap may be waiting.
        """
        self._census = census
        for meal in self._meals.values():
            meal.counts, meal.classes, meal.stale = {}, {}, True

    def ours(self, day: str) -> list[Serving]:
        """This gateway's servings of a day, as they came."""
        return [one for one in self._taps.values() if not one.device and one.key[0] == day]

    # --- within ---------------------------------------------------------------------------------------------------

    def _meal(self, key: MealKey) -> _MealBook:
        found = self._meals.get(key)
        if found is None:
            found = self._meals[key] = _MealBook()
            while len(self._meals) > MEALS_KEPT:
                oldest = min(self._meals, key=lambda one: (one is key, one))
                self._forget(self._meals.pop(oldest))
        return found

    def _forget(self, meal: _MealBook) -> None:
        for person in meal.people.values():
            for serving in person.servings:
                self._taps.pop(serving.tap, None)
                self._whose.pop(serving.held, None)

    def _drop(self, serving: Serving) -> None:
        """As if it had never been told."""
        self.set_state(serving, undone=True)
        person = self._person(serving)
        if person is not None:
            person.servings = [one for one in person.servings if one is not serving]
        self._taps.pop(serving.tap, None)

    def _person(self, serving: Serving) -> _Person | None:
        meal = self._meals.get(serving.key)
        return None if meal is None else meal.people.get(serving.who)

    def _learn(self, card: str, student: str) -> None:
        """A card that nobody knew is a pupil's: what was served for it is theirs, and counted as theirs."""
        for key, meal in self._meals.items():
            nameless = meal.people.pop(card, None)
            if nameless is None:
                continue
            self._leave(meal, key, nameless)
            person = meal.people.get(student)
            if person is None:
                person = meal.people[student] = _Person(student)
            else:
                self._leave(meal, key, person)
            for serving in nameless.servings:
                serving.who = student
            person.servings[:0] = nameless.servings
            person.counted += nameless.counted
            person.student = student
            self._enter(meal, key, person)
        self._whose[card] = student

    def _leave(self, meal: _MealBook, key: MealKey, person: _Person) -> None:
        """Take a person out of the numbers, before anything of theirs changes."""
        self._share(meal, key, person, -1)
        person.unsettle()

    def _enter(self, meal: _MealBook, key: MealKey, person: _Person) -> None:
        """Count a person anew."""
        person.settle()
        self._share(meal, key, person, 1)
        if person.standing is not None and not person.standing.device:
            self._remember(person.standing)

    def _share(self, meal: _MealBook, key: MealKey, person: _Person, sign: int) -> None:
        """Take what a person makes of the numbers in, or out."""
        if not person.counted or meal.stale:
            return
        shift = self._census.shift_of(key, person.student)
        if shift is None:
            # The earliest: by the order in which words came, each counter would say another.
            shift = min(one.shift for one in person.servings if one.counts)
        known = person.student is not None
        share = Count(
            served=int(known),
            seconds=person.counted - 1,
            strangers=int(not known),
            due=int(self._census.expects(key, person.student)),
        )
        eater = self._census.eater(person.student)
        school_class = "" if eater is None else eater.school_class
        meal.counts.setdefault(shift, Count()).add(share, sign)
        meal.classes.setdefault(shift, {}).setdefault(school_class, Count()).add(share, sign)

    def _remember(self, serving: Serving) -> None:
        place = (serving.station, serving.who)
        last = self._here.get(place)
        if last is not None and last.counts and last.at_ms > serving.at_ms:
            return
        self._here.pop(place, None)
        self._here[place] = serving
        while len(self._here) > HERE_MAX:
            self._here.popitem(last=False)
