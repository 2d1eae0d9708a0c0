"""A pack without a hub: what the counters' own journals hold, as all that a pack is made of. Pure.

Names, hours, and which counters there are come from the counters' sheet where one could be opened; else pupils go by
their keys, and it is said that nobody knows which counters are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, get_args

import msgspec

from hub.attendance.claims import claim_of, watermark_of
from hub.attendance.coverage import Claim
from hub.attendance.schoolday import Binding
from hub.incidents.pack import Asked, Diner, Known, Menu, Origin, Presence, hours_served, spans_of
from hub.incidents.stood import Running, Span, began_of, may_count, unseen
from hub.meals.servings import Counters, CounterTap, ServingWord, Why
from hub.meals.sittings import (
    DAY_MS,
    MINUTE_MS,
    MealPlans,
    Moment,
    PlannedMeal,
    PlannedShift,
    SchoolMeals,
    day_of,
    midnight_of,
)
from hub.reports.words import moment_text
from protocol.anchors import Timeline
from protocol.countersheet import CounterSheet, Eater
from protocol.envelope import Event, decode_data, unix_ms_of
from protocol.errors import BadMessage
from protocol.meals import SHIFTS_MAX, Meal
from protocol.records import TapCorrection
from protocol.taps import TapData
from protocol.time import Effective

OPEN_MS: Final = 1 << 60
LAST_MINUTE: Final = 24 * 60 - 1
"""Of a day, as an hour that something closes at."""
SOURCE: Final = "urn:k12edge:dev:"
WHYS: Final[tuple[Why, ...]] = get_args(Why)
_USUAL: Final[Mapping[Meal, tuple[str, str]]] = {
    "breakfast": ("06:15", "07:45"),
    "lunch": ("10:15", "12:45"),
    "snack": ("14:30", "15:45"),
    "dinner": ("17:00", "18:45"),
}
UNKNOWN_HOURS: Final = SchoolMeals(
    meals=tuple(
        PlannedMeal(meal=meal, shifts=(PlannedShift(number=1, opens=opens, closes=closes),))
        for meal, (opens, closes) in _USUAL.items()
    )
)
"""Where nothing says when a school eats, not even a record: hours in which each meal lies at most schools."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A journal as it was found. `near`: its records about the time asked; `before`: the journal before, its last then.

    `holes` are below `last`; `newest` is the last record.
    """

    journal: str
    source: str
    last: int
    near: Sequence[Event]
    pruned_through: int = 0
    holes: tuple[tuple[int, int], ...] = ()
    before: tuple[str, int] | None = None
    opened: Event | None = None
    newest: Event | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found. `faults`: file or journal, a code of ORIGIN_WORDS, its detail."""

    volumes: Sequence[Volume]
    timelines: Mapping[str, Timeline]
    faults: Sequence[tuple[str, str, str]] = ()
    sheets: Sequence[CounterSheet] = ()


@dataclass(slots=True)
class _Read:
    """What the records come to."""

    taps: dict[str, CounterTap] = field(default_factory=dict)
    words: dict[str, ServingWord] = field(default_factory=dict)
    present: dict[date, dict[str, Presence]] = field(default_factory=dict)
    sure_ms: dict[str, int] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    claims: dict[str, list[Claim]] = field(default_factory=dict)


def plans_in(found: Found) -> MealPlans:
    """The hours of the newest sheet; without any, those that the counters wrote into their records, else the usual."""
    newest = _newest(found.sheets)
    made = None if newest is None else _plan(newest)
    return _said_hours(_read(found, _namer(None)).taps.values()) if made is None else {date.min: made}


def _said_hours(taps: Iterable[CounterTap]) -> MealPlans:
    """Day by day the meals and shifts that counters said they served, from the first of their records to the last."""
    spans: dict[date, dict[Meal, dict[int, tuple[int, int]]]] = {}
    for tap in taps:
        if tap.said is None or not tap.when.anchored:
            continue
        day, minute = date.fromisoformat(tap.said.day), _minute(tap.when.best_ms)
        if day_of(tap.when.best_ms) == day:
            shifts = spans.setdefault(day, {}).setdefault(tap.said.meal, {})
            first, last = shifts.get(tap.said.shift, (minute, minute))
            shifts[tap.said.shift] = min(first, minute), max(last, minute)
    plans = {date.min: UNKNOWN_HOURS}
    for day, meals in sorted(spans.items()):
        said = tuple(
            PlannedMeal(
                meal=meal,
                shifts=tuple(
                    PlannedShift(number=number, opens=_clock(first), closes=_clock(last + 1))
                    for number, (first, last) in sorted(shifts.items())
                ),
            )
            for meal, shifts in meals.items()
        )
        plans[day] = SchoolMeals(meals=said + tuple(one for one in UNKNOWN_HOURS.meals if one.meal not in meals))
        plans[day + timedelta(days=1)] = UNKNOWN_HOURS
    return plans


def _minute(at_ms: int) -> int:
    return min((at_ms - midnight_of(day_of(at_ms))) // MINUTE_MS, LAST_MINUTE - 1)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def known_of(found: Found, asked: Sequence[Asked]) -> Known:
    """All that a pack of these meals is made of."""
    sheet = _newest(found.sheets)
    read = _read(found, _namer(sheet))
    staff = (
        {} if sheet is None else {card: [Binding(card, who, -OPEN_MS, OPEN_MS)] for card, who in sheet.cards.items()}
    )
    counters = Counters(plans_in(found), tuple(read.taps.values()), tuple(read.words.values()), staff=staff)
    roll = {} if sheet is None else {eater.student: _diner(eater) for eater in sheet.eaters if eater.enrolled}
    known = Known(
        tuple(asked),
        counters,
        roll,
        {} if sheet is None else _menus(sheet, asked),
        read.present,
        {} if sheet is None else _expected(sheet, asked),
    )
    ends = [until_ms for one in asked for _, until_ms in spans_of(known, one)]
    begins = [from_ms for one in asked for from_ms, _ in spans_of(known, one)]
    bounds = min(begins, default=0), max(ends, default=OPEN_MS)
    hours = hours_served(known)
    if sheet is None:
        # Of the hours that counters wrote nobody knows how far they reached while all of them were dark.
        hours += hours_served(Known(known.asked, Counters({date.min: UNKNOWN_HOURS}, ())))
    origins = _origins(found, read, sheet, bounds, hours)
    return Known(known.asked, counters, roll, known.menus, read.present, known.expected, origins=tuple(origins))


# --- the sheet ------------------------------------------------------------------------------------------------------


def _newest(sheets: Sequence[CounterSheet]) -> CounterSheet | None:
    return max(sheets, key=lambda sheet: sheet.version, default=None)


def _plan(sheet: CounterSheet) -> SchoolMeals | None:
    """The sheet's hours as a plan; None where it has none that make sense."""
    meals = []
    for plan in {one.meal: one for one in sheet.meals}.values():
        shifts = tuple(
            PlannedShift(
                number=shift.number,
                opens=shift.opens,
                closes=shift.closes,
                classes=tuple(shift.classes),
                hall=shift.hall,
                stations=tuple(shift.stations),
            )
            for shift in plan.shifts[:SHIFTS_MAX]
            if shift.opens < shift.closes
        )
        if shifts:
            meals.append(PlannedMeal(meal=plan.meal, shifts=shifts))
    return SchoolMeals(meals=tuple(meals)) if meals else None


def _diner(eater: Eater) -> Diner:
    return Diner(eater.student, eater.name, eater.school_class, portion=eater.portion)


def _menus(sheet: CounterSheet, asked: Iterable[Asked]) -> dict[Asked, Menu]:
    return {
        (day, meal): Menu(plan.menu)
        for day, meal in asked
        for plan in sheet.meals
        if plan.meal == meal and plan.menu and sheet.day == day.isoformat()
    }


def _expected(sheet: CounterSheet, asked: Iterable[Asked]) -> dict[Asked, frozenset[str]]:
    """Who was to eat, of the sheet's own day."""
    return {
        (day, meal): frozenset(eater.student for eater in sheet.eaters if meal in eater.meals)
        for day, meal in asked
        if sheet.day == day.isoformat()
    }


class _namer:
    """Names devices: without the school where the sheet says which it is."""

    def __init__(self, sheet: CounterSheet | None) -> None:
        self._prefix = "" if sheet is None else f"{sheet.school}-"

    def __call__(self, source: str) -> str:
        return source.removeprefix(SOURCE).removeprefix(self._prefix)


# --- the records ----------------------------------------------------------------------------------------------------


def moment_of(when: Effective) -> Moment:
    """A time as servings are placed by; a bound that nothing gives is open."""
    first = -OPEN_MS if when.not_before_ms is None else when.not_before_ms
    last = OPEN_MS if when.not_after_ms is None else when.not_after_ms
    return Moment(when.best_ms, first, last, when.quality == "anchored" or last - first < DAY_MS)


def _read(found: Found, name: _namer) -> _Read:
    read = _Read()
    for volume in found.volumes:
        timeline = found.timelines.get(volume.source, Timeline())
        for event in volume.near:
            try:
                _take(read, event, name(volume.source), timeline.effective(event))
            except BadMessage:
                # It can't be understood; the pile has named what isn't a record at all.
                continue
    return read


def _take(read: _Read, event: Event, device: str, when: Effective) -> None:
    if event.name in ("meal.pickup", "meal.referred"):
        _tap(read, event, device, when)
    elif event.name == "meal.correction":
        said = decode_data(event, TapCorrection)
        why = next((one for one in WHYS if one == said.why), None)
        if why is not None and said.source == event.source:
            read.words[event.id] = ServingWord(said.tap, event.id, unix_ms_of(event.time), why, said.by)
    elif event.name == "attendance.tap":
        data = decode_data(event, TapData)
        if data.student is not None and data.decision != "refused":
            read.present.setdefault(day_of(when.best_ms), {})[data.student] = "present"
    elif event.name == "device.watermark":
        read.marked.add(device)
        row = watermark_of(event, when)
        if row is not None:
            read.claims.setdefault(device, []).append(claim_of(row))
        if row is not None and row.error_ms is not None:
            sure_ms = row.complete_to_ms - row.error_ms
            read.sure_ms[device] = max(sure_ms, read.sure_ms.get(device, sure_ms))


def _tap(read: _Read, event: Event, device: str, when: Effective) -> None:
    data = decode_data(event, TapData)
    name, fork = event.id, ""
    while name + fork in read.taps:
        # Two versions of one record: both are listed, the second one under a name that says so. Its card is another
        # one's too, lest the same tray be seen in it.
        fork += "*"
    name += fork
    read.taps[name] = CounterTap(
        name,
        device,
        data.point,
        data.card + fork,
        data.student,
        data.decision,
        data.reason,
        moment_of(when),
        None if data.meal is msgspec.UNSET or not _is_day(data.meal.day) else data.meal,
        None if data.hand is msgspec.UNSET else data.hand,
    )


def _is_day(text: str) -> bool:
    """Whether a counter named a day; what it believed of any other counts for nothing."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# --- what is missing ------------------------------------------------------------------------------------------------


def _origins(
    found: Found, read: _Read, sheet: CounterSheet | None, bounds: tuple[int, int], hours: Sequence[Span]
) -> Iterator[Origin]:
    """Every gateway that has a journal here or should have one, and every file that can't be read."""
    name, (from_ms, until_ms) = _namer(sheet), bounds
    by_journal = {volume.journal: volume for volume in found.volumes}
    devices: dict[str, list[Volume]] = {}
    for volume in found.volumes:
        devices.setdefault(name(volume.source), []).append(volume)
    for device, volumes in sorted(devices.items()):
        runs = [_running(volume, found.timelines.get(volume.source, Timeline())) for volume in volumes]
        stood_ms = began_of(runs)
        words = [word for volume in volumes for word in _gaps(volume, by_journal, found.timelines, from_ms)]
        sure_ms = read.sure_ms.get(device)
        if stood_ms is not None and stood_ms >= until_ms:
            # What it says of its own time is of no other.
            sure_ms = None
        elif sure_ms is None:
            words.append(("no-clock" if device in read.marked else "no-watermark", ""))
        elif sure_ms < until_ms:
            words.append(("ends-before", moment_text(sure_ms)))
        words += [(code, about) for where, code, about in found.faults if where in {one.journal for one in volumes}]
        if may_count(claims := read.claims.get(device, ())):
            words += unseen(hours, runs, claims, stood_ms)
        yield Origin(device, not words, sure_ms, tuple(words))
    for counter in sorted((set() if sheet is None else sheet.counters.keys()) - devices.keys()):
        yield Origin(counter, False, None, (("no-journal", ""),))
    if sheet is None:
        yield Origin("*", False, None, (("counters-unknown", ""),))
    for where in dict.fromkeys(where for where, _, _ in found.faults if where not in by_journal):
        yield Origin(where, False, None, tuple((code, about) for at, code, about in found.faults if at == where))


def _running(volume: Volume, timeline: Timeline) -> Running:
    """A journal as a run of its gateway. One without its first record may be of any time before."""
    opened = None if volume.opened is None else timeline.effective(volume.opened)
    ended_ms = None if volume.newest is None else timeline.effective(volume.newest).best_ms
    return Running(
        volume.journal,
        None if opened is None else opened.not_before_ms,
        None if opened is None else opened.not_after_ms,
        ended_ms,
        None if volume.before is None else volume.before[0],
        ended_ms or 0,
    )


def _gaps(
    volume: Volume, by_journal: Mapping[str, Volume], timelines: Mapping[str, Timeline], from_ms: int
) -> Iterator[tuple[str, str]]:
    """What is missing of a journal, and of the one before it where that may reach into the time asked about."""
    if _ended_before(volume, by_journal, timelines, from_ms):
        return
    for first, last in volume.holes:
        yield "hole", f"{volume.journal} {first}–{last}"
    if volume.opened is not None:
        opened = timelines[volume.source].effective(volume.opened)
        if opened.not_before_ms is not None and opened.not_before_ms < from_ms:
            return
    elif volume.pruned_through:
        yield "pruned", f"{volume.journal} 1–{volume.pruned_through}"
    if volume.before is None:
        return
    journal, last = volume.before
    before = by_journal.get(journal)
    if before is None:
        yield "hole", f"{journal} ?–{last}"
    elif before.last < last:
        yield "hole", f"{journal} {before.last + 1}–{last}"


def _ended_before(
    volume: Volume, by_journal: Mapping[str, Volume], timelines: Mapping[str, Timeline], from_ms: int
) -> bool:
    """Whether a later journal of the same gateway was open before the time asked about: then this one had ended."""
    for later in by_journal.values():
        if later.before is not None and later.before[0] == volume.journal and later.opened is not None:
            opened = timelines[later.source].effective(later.opened)
            if opened.not_after_ms is not None and opened.not_after_ms < from_ms:
                return True
    return False
