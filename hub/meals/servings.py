"""Servings: from the records of counters, who was served at which meal, each serving counted exactly once.

| a record at a counter | what it comes to |
| --- | --- |
| taken back (`undone`, and nobody said `done` since) | `undone`: nobody was served |
| what its counter took for the same tray again (`repeated`), and nobody said `second` | `repeat` |
| a second helping of which staff said `repeat` | `repeat`; the earliest such one is a serving where none other counts |
| a card that was referred, and staff served by hand `of` it | `answered`: that serving counts, for whose the card is |
| a card that was referred, and nobody answered | `referred`: as far as is written nobody was served |
| all else | a serving: the first of its pupil at its meal by time, or a second helping |
| a class list by a person | a serving of each pupil on it of whom no counter has one |

A serving is confirmed unless: the clock was unsure and it may be of another meal (`clock`); the card came to somebody
or went from them within the bounds of its time (`holder`); it is a second helping that its counter took for the first,
not hearing the other (`apart`). A person's word `second` settles the last; `done`, by somebody who isn't at that
counter, the others: they look at the meal and the pupil that are shown, and say that it was so. Seconds are never
billed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

import msgspec

from hub.attendance.evidence import record_order
from hub.attendance.schoolday import NEVER_MS, Binding
from hub.meals.sittings import MealPlans, Moment, Place, placed
from hub.meals.traywords import Standing, newest_words, standing
from hub.meals.wordorder import in_word_order
from protocol.meals import ByHand, Meal, MealTap

Flag = Literal["clock", "holder", "apart", "outside", "said-otherwise"]
UNCONFIRMED: Final[frozenset[Flag]] = frozenset({"clock", "holder", "apart"})
Why = Literal["undone", "done", "second", "repeat"]
How = Literal["card", "name", "stranger", "list"]
Besides = Literal["repeat", "undone", "answered", "referred"]


class CounterTap(msgspec.Struct, frozen=True):
    """A record of a canteen station. `card`: the text it is kept under; `believed`: whose the counter took it for.

    `decision` and `reason` as the counter's; `said`: what it believed of the meal; `hand`: a person entered it.
    """

    id: str
    device: str
    point: str
    card: str
    believed: str | None
    decision: Literal["accepted", "repeated", "refused"]
    reason: str | None
    when: Moment
    said: MealTap | None = None
    hand: ByHand | None = None


class ServingWord(msgspec.Struct, frozen=True):
    """What a person said of a record at a counter, or at the hub; the newest counts. `record` names the word itself."""

    tap: str
    record: str
    at_ms: int
    why: Why
    by: str


class ClassList(msgspec.Struct, frozen=True):
    """`by` says who of a class ate in the classroom, at `seen_ms`; the newest of a class and meal counts."""

    id: str
    school_class: str
    day: date
    meal: Meal
    served: tuple[str, ...]
    by: str
    at_ms: int
    seen_ms: int


class Serving(msgspec.Struct, frozen=True):
    """One serving. `tap` names its record, of a class list the list's.

    `pupil`: whose it is, None for a stranger, whose `card` may be known later; `adult`: a member of staff, by their
    card. `nth`: 1 is the first of this eater at this meal. `by`: who entered it, or whose list. `card_tap`: the
    referred card's record that it answers. `flags`: see the room; `when` as effective.
    """

    tap: str
    day: date
    meal: Meal
    shift: int
    when: Moment
    device: str
    point: str
    pupil: str | None
    how: How
    nth: int = 1
    by: str = ""
    adult: str | None = None
    card: str = ""
    card_tap: str | None = None
    flags: tuple[Flag, ...] = ()

    @property
    def confirmed(self) -> bool:
        """Whether nothing is left to be seen to by people."""
        return UNCONFIRMED.isdisjoint(self.flags)

    @property
    def second(self) -> bool:
        """Whether the eater had been served at this meal before."""
        return self.nth > 1


class Aside(msgspec.Struct, frozen=True):
    """A record at a counter that is no serving, and why. `pupil`: whose card it is known to be."""

    tap: str
    what: Besides
    day: date
    meal: Meal
    shift: int
    when: Moment
    device: str
    point: str
    pupil: str | None
    card: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """All that is known of some days at the counters. `bindings` and `staff`: whose each card's text was, and when.

    Words and lists may be of other days too.
    """

    plans: MealPlans
    taps: tuple[CounterTap, ...]
    words: tuple[ServingWord, ...] = ()
    lists: tuple[ClassList, ...] = ()
    bindings: Mapping[str, Sequence[Binding]] = field(default_factory=dict)
    staff: Mapping[str, Sequence[Binding]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """What came of the records: servings by time, and what is none; each record of a counter stands in one of both."""

    servings: tuple[Serving, ...]
    aside: tuple[Aside, ...]


@dataclass(frozen=True, slots=True)
class _Eater:
    """Whom a record is of: pupil, member of staff, or neither. `key` tells eaters apart; `sure`: see `holder`."""

    pupil: str | None
    adult: str | None
    card: str
    key: str
    sure: bool


def served(known: Counters) -> Served:
    """Everything that was served, whatever the order of what is known."""
    return _Counting(known).result()


class _Counting:
    """One count, in three steps: what each record is of; which are servings; which of them came first."""

    def __init__(self, known: Counters) -> None:
        self._known = known
        self._words = newest_words(known.words)
        self._taps = sorted(known.taps, key=lambda tap: (tap.when.best_ms, record_order(tap.id)))
        self._by_id = {tap.id: tap for tap in self._taps}
        self._places = {tap.id: placed(known.plans, tap.when, tap.point, tap.said) for tap in self._taps}
        self._eaters = {tap.id: self._eater(tap) for tap in self._taps}
        self._aside: list[Aside] = []

    def result(self) -> Served:
        live = self._live()
        servings = self._numbered(live)
        at_counters = {(one.pupil, one.day, one.meal) for one in servings}
        servings += self._listed(at_counters)
        servings.sort(key=lambda one: (one.when.best_ms, record_order(one.tap), one.pupil or ""))
        assert len(live) + len(self._aside) == len(self._taps), "a record at a counter is counted once"
        return Served(tuple(servings), tuple(self._aside))

    # --- whose --------------------------------------------------------------------------------------------------------

    def _eater(self, tap: CounterTap) -> _Eater:
        """Whose a record is. Of a stranger whose card was referred just before, that card says it."""
        shown = None if tap.hand is None or tap.hand.of is None else self._by_id.get(tap.hand.of)
        if tap.hand is not None and tap.hand.how == "stranger":
            if shown is None:
                return _Eater(None, None, "", f"tap {tap.id}", sure=True)
            tap = shown
        pupil, sure = _whose(self._known.bindings, tap, tap.believed)
        if pupil is not None:
            return _Eater(pupil, None, tap.card, f"pupil {pupil}", sure)
        adult, _ = _whose(self._known.staff, tap, None)
        if adult is not None:
            return _Eater(None, adult, tap.card, f"adult {adult}", sure=True)
        return _Eater(None, None, tap.card, f"card {tap.card}", sure)

    # --- which are servings -------------------------------------------------------------------------------------------

    def _answers(self) -> dict[str, str]:
        """Referred card's record -> the serving by hand that answers it: the first that wasn't taken back."""
        found: dict[str, str] = {}
        for tap in self._taps:
            if tap.hand is not None and tap.hand.of is not None and tap.id not in self._words.undone:
                found.setdefault(tap.hand.of, tap.id)
        return found

    def _live(self) -> list[CounterTap]:
        """The records that are servings, by time; the others are set aside."""
        answers = self._answers()
        whats = {tap.id: self._what(tap, answers) for tap in self._taps}
        stands = standing((self._whose_meal(tap), tap.id, self._stands(tap, whats[tap.id])) for tap in self._taps)
        live = []
        for tap in self._taps:
            what = whats[tap.id]
            if what is None or tap.id in stands:
                live.append(tap)
            else:
                self._set_aside(tap, what)
        return live

    def _whose_meal(self, tap: CounterTap) -> tuple[str, date, Meal]:
        place = self._places[tap.id]
        return self._eaters[tap.id].key, place.day, place.meal

    def _stands(self, tap: CounterTap, what: Besides | None) -> Standing:
        if what is None:
            return "counts"
        by_person = what == "repeat" and tap.decision == "accepted" and self._words.tray.get(tap.id) == "repeat"
        return "lent" if by_person else "none"

    def _what(self, tap: CounterTap, answers: Mapping[str, str]) -> Besides | None:
        """What a record is by itself, None where it counts."""
        undone, said = tap.id in self._words.undone, self._words.tray.get(tap.id)
        if tap.decision == "refused":
            return "undone" if undone else "answered" if tap.id in answers else "referred"
        if undone:
            return "undone"
        if said == "repeat" or (said is None and self._repeats(tap, answers)):
            return "repeat"
        return None

    def _set_aside(self, tap: CounterTap, what: Besides) -> None:
        place, eater = self._places[tap.id], self._eaters[tap.id]
        self._aside.append(
            Aside(
                *(tap.id, what, place.day, place.meal, place.shift, tap.when),
                *(tap.device, tap.point, eater.pupil, tap.card, tap.reason),
            )
        )

    def _repeats(self, tap: CounterTap, answers: Mapping[str, str]) -> bool:
        """Whether a record is of the same tray as one before, by itself.

        Of two touches only their counter knows: it has the time between them, and which tray was taken back by then.
        What it signalled as a serving is one.
        """
        if tap.decision == "repeated":
            return True
        return tap.hand is not None and tap.hand.of is not None and answers.get(tap.hand.of) != tap.id

    # --- which came first ---------------------------------------------------------------------------------------------

    def _numbered(self, live: Iterable[CounterTap]) -> list[Serving]:
        counts: dict[tuple[str, date, Meal], int] = defaultdict(int)
        found = []
        for tap in live:
            place, eater = self._places[tap.id], self._eaters[tap.id]
            whose = self._whose_meal(tap)
            counts[whose] += 1
            found.append(self._serving(tap, place, eater, counts[whose]))
        return found

    def _serving(self, tap: CounterTap, place: Place, eater: _Eater, nth: int) -> Serving:
        flags: list[Flag] = []
        vouched = tap.id in self._words.vouched
        if not place.sure and not vouched:
            flags.append("clock")
        if not eater.sure and not (vouched and eater.pupil is not None):
            flags.append("holder")
        if nth > 1 and tap.id not in self._words.tray and (tap.said is None or tap.said.nth < 2):
            flags.append("apart")
        if place.by == "outside":
            flags.append("outside")
        if tap.said is not None and (tap.said.day, tap.said.meal) != (place.day.isoformat(), place.meal):
            flags.append("said-otherwise")
        return Serving(
            tap=tap.id,
            day=place.day,
            meal=place.meal,
            shift=place.shift,
            when=tap.when,
            device=tap.device,
            point=tap.point,
            pupil=eater.pupil,
            how="card" if tap.hand is None else tap.hand.how,
            nth=nth,
            by="" if tap.hand is None else tap.hand.by,
            adult=eater.adult,
            card=eater.card,
            card_tap=None if tap.hand is None else tap.hand.of,
            flags=tuple(flags),
        )

    # --- class lists --------------------------------------------------------------------------------------------------

    def _listed(self, at_counters: set[tuple[str | None, date, Meal]]) -> list[Serving]:
        """Pupils on class lists whom no counter served; on two lists, the newer one's."""
        found: dict[tuple[str, date, Meal], Serving] = {}
        for one in newest_lists(self._known.lists):
            for pupil in one.served:
                if (pupil, one.day, one.meal) in at_counters:
                    continue
                when = Moment(one.seen_ms, one.seen_ms, one.seen_ms)
                place = placed(self._known.plans, when, None, MealTap(one.day.isoformat(), one.meal))
                its_own = (place.day, place.meal) == (one.day, one.meal)
                found[pupil, one.day, one.meal] = Serving(
                    tap=one.id,
                    day=one.day,
                    meal=one.meal,
                    shift=place.shift if its_own else 1,
                    when=when,
                    device="",
                    point="",
                    pupil=pupil,
                    how="list",
                    by=one.by,
                    flags=() if its_own and place.by != "outside" else ("outside",),
                )
        return list(found.values())


def serving_spans(servings: Iterable[Serving]) -> dict[tuple[date, Meal], tuple[int, int]]:
    """Each meal's first and last tray at a counter, Unix ms; a class list is written later, and doesn't tell."""
    found: dict[tuple[date, Meal], tuple[int, int]] = {}
    for one in servings:
        if one.how != "list" and "clock" not in one.flags:
            at_ms = one.when.best_ms
            first_ms, last_ms = found.get((one.day, one.meal), (at_ms, at_ms))
            found[one.day, one.meal] = min(first_ms, at_ms), max(last_ms, at_ms)
    return found


def newest_lists(lists: Iterable[ClassList]) -> list[ClassList]:
    """The list that counts of each class and meal, oldest first."""
    found: dict[tuple[str, date, Meal], ClassList] = {}
    for one in in_word_order(lists, lambda one: (one.id, one.at_ms)):
        found.pop((one.school_class, one.day, one.meal), None)
        found[one.school_class, one.day, one.meal] = one
    return list(found.values())


def _whose(bindings: Mapping[str, Sequence[Binding]], tap: CounterTap, believed: str | None) -> tuple[str | None, bool]:
    """Whose the card was then, and whether that holds all over the bounds of its time.

    None where it was nobody's, or may be two people's; of a card that nothing is known of, the counter's belief stands.
    """
    known = bindings.get(tap.card)
    if known is None:
        return believed, True
    first_ms, last_ms = max(tap.when.not_before_ms, -NEVER_MS), min(tap.when.not_after_ms, NEVER_MS - 1)
    at_best = {held.pupil for held in known if held.from_ms <= tap.when.best_ms < held.to_ms}
    within = {held.pupil for held in known if held.from_ms <= last_ms and first_ms < held.to_ms}
    whole = any(held.from_ms <= first_ms and last_ms < held.to_ms for held in known)
    if len(at_best) != 1:
        return None, not within
    return next(iter(at_best)), whole and len(within) == 1
