"""The lunch's checkers: nobody is refused, each serving counts once, seconds are known, sheets are what was said."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Final

from hub.days.classbook import days_between, today_at
from hub.meals.portions import sheet_digest, sheet_of, together
from hub.meals.servings import Aside, CounterTap, Served, Serving, served
from hub.meals.wordorder import Until
from protocol.taps import Reason, parse_tap_id
from sim.world.loop import MS, SECOND
from sim.world.plan import MEALTIME

if TYPE_CHECKING:
    from hub.parts import Store
    from sim.world.lunch import Word
    from sim.world.school import School
    from sim.world.truth import Held

REFERRED: Final[frozenset[Reason]] = frozenset({"unknown", "lost", "not-enrolled", "ambiguous", "random", "misread"})
"""Why a card is referred to staff: nobody knows whose it is. Of food or money none of them speaks."""
KNOWN_NS: Final = SECOND
"""Within so long a serving is known at every counter to which there is a way."""
TURNS_MAX: Final = 2_000
IDLE_MS: Final = 1_000


def check_lunch(school: School) -> None:
    """Ask the hub, which has everything by now, and has read it. Its storage mustn't fail any more."""
    store = school.hub.store
    assert store is not None
    if school.plan.crowds <= MEALTIME:
        return
    for day in days_between(today_at(school.began_ns // MS), today_at(school.loop.now_ns // MS)):
        known = store.mealbook.counters(day)
        found = served(known)
        _check_refused(school, known.taps)
        _check_counted(school, store, day, found)
        _check_ate(school, store, known.taps, found)
        _check_seconds(school, known.taps)
    _check_sheets(school, store)


def _check_refused(school: School, taps: tuple[CounterTap, ...]) -> None:
    """Every card is accepted, repeated or referred; and whoever staff serve is served."""
    pupils = {f"a:{pupil.uid.hex().upper()}" for pupil in school.pupils}
    for tap in taps:
        school.truth.seen[f"at counters: {tap.decision}"] += 1
        if tap.decision != "refused":
            continue
        held = school.truth.signals.get(tap.id)
        if tap.hand is not None or tap.reason not in REFERRED or tap.believed is not None:
            school.truth.broken("nobody refused", f"{tap.id}: {tap.reason}, hand {tap.hand}, {tap.believed}")
        elif held is not None and held.card in pupils and school.lists == 1:
            # The one list that there was names this card.
            school.truth.broken("nobody refused", f"{tap.id}: a pupil's card is {tap.reason}")


# --- each serving counted once ----------------------------------------------------------------------------------------


def _check_counted(school: School, store: Store, day: date, found: Served) -> None:
    """What was shown and not taken back is counted, once; and nothing else."""
    counted: dict[str, list[Serving | Aside]] = defaultdict(list)
    for serving in found.servings:
        counted[serving.tap].append(serving)
    for aside in found.aside:
        counted[aside.tap].append(aside)
    for name, held in school.truth.signals.items():
        if not held.station.startswith("quay-") or today_at(held.at_ns // MS) != day:
            continue
        if not _is_held(store, name):
            continue
        mine = counted.get(name, [])
        if not mine:
            # Its clock was never set, so the hub can't know its day.
            school.truth.seen["serving of an unknown day"] += 1
            continue
        wanted = _wanted(school, store, name, held)
        got = [one.what if isinstance(one, Aside) else "served" for one in mine]
        if len(got) != 1 or got[0] not in wanted:
            school.truth.broken("each serving counted once", f"{name}, shown {held.shown}: {got}, not {sorted(wanted)}")
        school.truth.seen[f"at the hub: {got[0]}"] += 1
        if got[0] == "served" and _sure(store, school.lunch.flipped.get(name)):
            school.truth.seen["a same tray stands"] += 1


def _wanted(school: School, store: Store, name: str, held: Held) -> set[str]:
    """What the hub may take a record for: what was shown as a serving is one, unless it was taken back."""
    if held.shown == "repeated":
        return {"repeat"}
    if held.shown == "refused":
        return {"referred", "answered"}
    word = school.lunch.undone.get(name)
    if name in school.lunch.flipped:
        # Which of both by what else the pupil has: `_check_ate`.
        return {"repeat", "served"}
    if word is None:
        return {"served"}
    return {"undone"} if _sure(store, word) else {"undone", "served"}


def _sure(store: Store, word: Word | None) -> bool:
    """Whether a word was said, and the hub has it."""
    return word is not None and word.sure and (word.record is None or _is_held(store, word.record))


def _check_ate(school: School, store: Store, known: tuple[CounterTap, ...], found: Served) -> None:
    """Whoever was shown a tray that nobody took back ate, whatever was called the same tray; and what was called so is
    a serving only where nothing else of theirs is.
    """
    shown = {one.id for one in known if one.decision == "accepted"}
    ate: dict[tuple[str | None, date, str], list[str]] = defaultdict(list)
    for serving in found.servings:
        ate[serving.pupil, serving.day, serving.meal].append(serving.tap)
    for aside in found.aside:
        if aside.tap in shown and aside.what == "repeat" and not ate[aside.pupil, aside.day, aside.meal]:
            school.truth.broken("each serving counted once", f"{aside.tap}: the same tray as none; {aside.pupil}")
    for (pupil, _, _), taps in ate.items():
        for tap in taps if pupil is not None and len(taps) > 1 else ():
            if _sure(store, school.lunch.flipped.get(tap)):
                school.truth.broken("each serving counted once", f"{tap}: called the same tray, beside {taps}")


def _is_held(store: Store, name: str) -> bool:
    tap = parse_tap_id(name)
    book = None if tap is None else store.ledger.books.find(tap.journal)
    return tap is not None and book is not None and book.held.covers(tap.sequence, tap.sequence)


# --- seconds ----------------------------------------------------------------------------------------------------------


def _check_seconds(school: School, taps: tuple[CounterTap, ...]) -> None:
    """A counter that could hear of a serving knows the next one for a second; one that couldn't says so."""
    signals, seen = school.truth.signals, school.lunch.paths.seen
    # A hub that was replaced lacks what gateways had pruned: how many trays there were in all, it can't say.
    whole = seen.keys() <= {tap.id for tap in taps}
    meals: dict[tuple[str, str, str], list[tuple[int, CounterTap]]] = defaultdict(list)
    for tap in taps:
        held = signals.get(tap.id)
        if tap.decision != "accepted" or tap.said is None:
            continue
        if held is not None and tap.id in seen and seen[tap.id].gone and not tap.said.alone:
            gone = sorted(seen[tap.id].gone)
            school.truth.broken("a counter that hears not all says so", f"{tap.id}: {gone} unheard")
        if tap.believed is not None:
            at_ns = tap.when.best_ms * MS if held is None else held.at_ns
            meals[tap.believed, tap.said.day, tap.said.meal].append((at_ns, tap))
    for mine in meals.values():
        mine.sort(key=lambda one: one[0])
        for number, (at_ns, tap) in enumerate(mine):
            if tap.id in signals and tap.id in seen:
                _check_second(school, at_ns, tap, mine[:number], len(mine) if whole else None)


def _check_second(
    school: School, at_ns: int, tap: CounterTap, before: list[tuple[int, CounterTap]], total: int | None
) -> None:
    assert tap.said is not None
    seen, here = school.lunch.paths.seen, school.lunch.paths.seen[tap.id]
    heard = {here.process, *here.near}
    sure = [
        one.id
        for told_ns, one in before
        if at_ns - told_ns >= KNOWN_NS
        and one.id in seen
        and seen[one.id].process in heard
        and one.id not in school.lunch.undone
        and one.id not in school.lunch.flipped
    ]
    if tap.said.nth < 1 + len(sure) or (total is not None and tap.said.nth > total):
        school.truth.broken(
            "a second is known within a second", f"{tap.id}: {tap.said}, after {sure}; {total} in all, near {heard}"
        )
    if any(seen[one].device != here.device for one in sure):
        school.truth.seen["second known from another counter"] += 1


# --- sheets -----------------------------------------------------------------------------------------------------------


def _check_sheets(school: School, store: Store) -> None:
    """The frozen sheet is what had been said then; with its adjustments it is what is said now, and was asked for.

    Nobody brings records back here, or looks at the calendar: a hub whose ledger was lost freezes nothing; nor does one
    without a clock.
    """
    if store.clock.error_ms() is None or store.regaining() or store.calendar_in_doubt() is not None:
        return
    for _ in range(TURNS_MAX):
        if store.kitchen.turn() >= IDLE_MS and not store.daybook.catch_up(500):
            break
    for day in days_between(today_at(school.began_ns // MS), today_at(school.loop.now_ns // MS)):
        sheet, adjustments, now = store.kitchen.sheet(day, "lunch")
        if sheet is None or sheet.lock != "final":
            continue
        asked = [one.classes for one in adjustments if one.why == "asked"]
        said = together(sheet_of(store.mealbook.registered(day, "lunch")), *asked)
        if said != now:
            school.truth.broken("frozen sheet and adjustments are what was said", f"{day}: {now}, not {said}")
        then = store.mealbook.registered(day, "lunch", Until(sheet.at_ms, sheet.record))
        if school.lists == 1 and (sheet_of(then) != sheet.classes or sheet_digest(then) != sheet.digest):
            school.truth.broken("a frozen sheet is what had been said", f"{day}: {sheet.classes}, not {sheet_of(then)}")
        school.truth.seen["sheet recomputed"] += 1
        school.truth.seen["sheet adjusted"] += len(adjustments)
