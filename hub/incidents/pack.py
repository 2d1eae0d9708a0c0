"""The incident pack: of the meals asked about, who ate, who perhaps, who was there and didn't, whom nobody knows.

Pure: from what was served (hub.meals.servings, which counts each serving once) and what is known of people and menus to
lists of lines, each of which names its record. Where a clock can't tell the meal, a serving stands in the list `maybe`
of each meal that its bounds touch: of an illness too many are asked rather than one too few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Literal, get_args

from hub.meals.servings import Aside, Counters, Served, Serving, served, serving_spans
from hub.meals.sittings import GRACE_AFTER_MS, GRACE_BEFORE_MS, Moment, plan_on, shift_of, sittings_of
from protocol.meals import MEALS, Meal
from protocol.names import class_order, name_order

List = Literal["eaten", "second", "maybe", "adult", "unidentified", "referred", "taken-back", "not-eaten"]
"""Ate this meal; helped themselves again; perhaps ate it, the clock says no more; staff's cards; nobody knows whose;
staff were asked and no serving is recorded, which doesn't mean that nobody ate; was undone; there and no serving."""
LISTS: Final[tuple[List, ...]] = get_args(List)
How = Literal["card", "name", "stranger", "list", "none"]
"""A card; staff found the name; staff served somebody unknown; a class list; no record of a serving."""
Presence = Literal["present", "absent", "unknown"]
LINES_MAX: Final = 60_000
"""Three days of the largest school; a pack beyond it is asked for meal by meal."""
KEYED: Final = "hk"
"""How a card's id begins, see protocol.cards.CardKey; its number never does."""
Asked = tuple[date, Meal]


@dataclass(frozen=True, slots=True)
class Diner:
    """A pupil as the pack names them. `teacher`: of the homeroom class, empty where nobody says who it is."""

    key: str
    name: str = ""
    school_class: str = ""
    code: str = ""
    teacher: str = ""
    portion: str = ""


@dataclass(frozen=True, slots=True)
class Menu:
    """What was cooked: the dishes, the lots of their food, the labels of the kept samples."""

    text: str = ""
    lots: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """A source of records: `complete`, or what is missing of it in `words`: a code of ORIGIN_WORDS and its detail.

    `late`: nothing is missing but that it wasn't there yet.
    """

    name: str
    complete: bool
    complete_to_ms: int | None = None
    words: tuple[tuple[str, str], ...] = ()
    late: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """All that a pack is made of.

    `asked`: the meals. `present`: by day, pupil -> whether they were there; who isn't in it is unknown. `expected`: of
    a meal the pupils who were to eat it: nobody where there was none; without an entry the whole roll was. `adults`: id
    of staff -> as people know them. `ill`: pupil -> ticked ill, or well. `origins`: every source there is or should be.
    `cards`: card that is kept by its number -> the id that stands for it; a pack goes to outsiders, so no number is in
    it.
    """

    asked: tuple[Asked, ...]
    counters: Counters
    roll: Mapping[str, Diner] = field(default_factory=dict)
    menus: Mapping[Asked, Menu] = field(default_factory=dict)
    present: Mapping[date, Mapping[str, Presence]] = field(default_factory=dict)
    expected: Mapping[Asked, frozenset[str]] = field(default_factory=dict)
    adults: Mapping[str, str] = field(default_factory=dict)
    ill: Mapping[str, bool] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    cards: Mapping[str, str] = field(default_factory=dict)

    def shown_card(self, card: str) -> str:
        """A card as a pack names it: its keyed id, empty where nobody made one."""
        return card if card.startswith(KEYED) else self.cards.get(card, "")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list. Without a serving (`not-eaten`) it has no record, no time and no counter.

    `nth`: which helping of this eater at this meal. `by`: who entered it. `unsure`: which helping it is, or whose,
    isn't settled yet. `presence`: of who didn't eat.
    """

    list: List
    day: date
    meal: Meal
    shift: int
    who: Diner | None
    record: str = ""
    when: Moment | None = None
    counter: str = ""
    nth: int = 1
    how: How = "none"
    by: str = ""
    card: str = ""
    adult: str = ""
    unsure: bool = False
    presence: Presence = "present"
    ill: bool | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """See the room. `lines` by meal, list, class and name. `spans`: a meal's first and last tray, Unix ms."""

    known: Known
    lines: tuple[Line, ...]
    spans: Mapping[Asked, tuple[int, int]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every source that was there has said that nothing is missing; where none was, nothing is complete."""
        origins = self.known.origins
        return any(one.complete for one in origins) and all(one.complete or one.late for one in origins)

    def of(self, *lists: List) -> Iterator[Line]:
        """The lines of some lists."""
        return (line for line in self.lines if line.list in lists)

    def keys(self, *lists: List) -> set[str]:
        """The pupils of some lists."""
        return {line.who.key for line in self.of(*lists) if line.who is not None}

    def counts(self) -> dict[str, int]:
        """Lines of each list, and `pupils`: how many ate for sure."""
        found: dict[str, int] = dict.fromkeys(LISTS, 0)
        found.update(Counter(line.list for line in self.lines))
        return found | {"pupils": len(self.keys("eaten"))}


def incident_pack(known: Known) -> Pack:
    """The pack. Raises ValueError beyond LINES_MAX."""
    result = served(known.counters)
    lines = []
    for asked in dict.fromkeys(known.asked):
        lines += _of_meal(known, asked, result.servings, result.aside)
        if len(lines) > LINES_MAX:
            raise ValueError(f"the pack would have more than {LINES_MAX} lines")
    return Pack(known, tuple(sorted(lines, key=_order)), serving_spans(result.servings))


def meals_that_were(known: Known, had: Set[Asked]) -> list[Asked]:
    """Of the meals that may be asked about those that there were: by the plan (`had`), or by any record of one.

    Where there was none, all of them: who is waited for may have served one all the same.
    """
    if all(asked in had for asked in known.asked):
        return list(known.asked)
    result = served(known.counters)
    found = [one for one in known.asked if one in had or any(_recorded(known, one, result))]
    return found or list(known.asked)


def _recorded(known: Known, asked: Asked, result: Served) -> Iterator[Line]:
    """The lines of a meal that rest on a record."""
    return (line for line in _of_meal(known, asked, result.servings, result.aside) if line.record)


def _of_meal(known: Known, asked: Asked, servings: Iterable[Serving], asides: Iterable[Aside]) -> list[Line]:
    spans = spans_of(known, asked)
    ate: set[str] = set()
    perhaps: set[str] = set()
    lines: list[Line] = []
    for serving in servings:
        if "clock" in serving.flags:
            if (serving.day, serving.meal) == asked or touches(spans, serving.when):
                line = _serving(known, asked, serving)
                lines.append(replace(line, list="maybe", unsure=True))
                perhaps.add(_eater(serving))
        elif (serving.day, serving.meal) == asked:
            line = _serving(known, asked, serving)
            if line.list == "eaten" and _eater(serving) in ate:
                line = replace(line, list="second")
            lines.append(line)
            ate.add(_eater(serving))
    for aside in asides:
        here = (aside.day, aside.meal) == asked or (not aside.when.anchored and touches(spans, aside.when))
        if here and aside.what in ("referred", "undone"):
            lines.append(_aside(known, asked, aside))
    return [*lines, *_without(known, asked, ate | perhaps)]


def spans_of(known: Known, asked: Asked) -> list[tuple[int, int]]:
    """From when to when people come to a meal, Unix ms, shift by shift, with the grace that counters give."""
    day, meal = asked
    return [
        (one.opens_ms - GRACE_BEFORE_MS, one.closes_ms + GRACE_AFTER_MS)
        for one in sittings_of(plan_on(known.counters.plans, day), day)
        if one.meal == meal
    ]


def hours_served(known: Known) -> list[tuple[int, int]]:
    """From when to when the meals that were asked about are served by their plan, Unix ms, without any grace."""
    return [
        (one.opens_ms, one.closes_ms)
        for day, meal in known.asked
        for one in sittings_of(plan_on(known.counters.plans, day), day)
        if one.meal == meal
    ]


def touches(spans: Sequence[tuple[int, int]], when: Moment) -> bool:
    """Whether a time may lie in one of these spans by its bounds."""
    return any(when.not_before_ms < until_ms and from_ms <= when.not_after_ms for from_ms, until_ms in spans)


def _serving(known: Known, asked: Asked, serving: Serving) -> Line:
    """A serving as a line, in the list that it is in whatever its time."""
    who = None if serving.pupil is None else known.roll.get(serving.pupil) or Diner(serving.pupil)
    adult = "" if serving.adult is None else known.adults.get(serving.adult, serving.adult)
    return Line(
        "eaten" if who is not None else "adult" if adult else "unidentified",
        *asked,
        serving.shift,
        who,
        serving.tap,
        serving.when,
        _counter(serving),
        serving.nth,
        serving.how,
        serving.by,
        known.shown_card(serving.card),
        adult,
        not serving.confirmed,
        ill=None if who is None else known.ill.get(who.key),
    )


def _aside(known: Known, asked: Asked, aside: Aside) -> Line:
    who = None if aside.pupil is None else known.roll.get(aside.pupil) or Diner(aside.pupil)
    return Line(
        "referred" if aside.what == "referred" else "taken-back",
        *asked,
        aside.shift,
        who,
        aside.tap,
        aside.when,
        _counter(aside),
        how="card",
        card=known.shown_card(aside.card),
        ill=None if who is None else known.ill.get(who.key),
    )


def _counter(one: Serving | Aside) -> str:
    """The counter's name: its gateway and its station; empty in a classroom."""
    return f"{one.device}/{one.point}" if one.device else ""


def _eater(serving: Serving) -> str:
    """Whose helping it is: the pupil's, the card's, or the record's own where a stranger was served by hand."""
    if serving.pupil is not None:
        return serving.pupil
    return f"card {serving.card}" if serving.card else f"tap {serving.tap}"


def _without(known: Known, asked: Asked, ate: set[str]) -> Iterator[Line]:
    """Who was there, or may have been, and has no serving: of those who were to eat, and of whoever was there."""
    day, meal = asked
    present, expected = known.present.get(day, {}), known.expected.get(asked)
    planned = plan_on(known.counters.plans, day).of(meal)
    for key in known.roll.keys() - ate:
        here: Presence = present.get(key, "unknown")
        if here == "absent" or (here == "unknown" and expected is not None and key not in expected):
            continue
        who = known.roll[key]
        shift = 1 if planned is None else shift_of(planned, who.school_class).number
        yield Line("not-eaten", day, meal, shift, who, presence=here, ill=known.ill.get(key))


def _order(line: Line) -> tuple[object, ...]:
    """By meal and list; pupils by class and name, others by time."""
    at_ms = 0 if line.when is None else line.when.best_ms
    who = line.who
    if who is None:
        return _place(line), 1, (), (), "", at_ms, line.record
    return _place(line), 0, class_order(who.school_class), name_order(who.name), who.key, at_ms, line.record


def _place(line: Line) -> tuple[date, int, int]:
    return line.day, MEALS.index(line.meal), LISTS.index(line.list)
