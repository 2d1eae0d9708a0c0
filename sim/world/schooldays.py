"""The school days at the end: whose each tap is by the cards of then, and the same marks from the records alone."""

from __future__ import annotations

from datetime import date
from typing import Final

from hub.attendance.daymarks import CATEGORIES
from hub.cards.holders import whose
from hub.days.classbook import days_between, today_at
from hub.days.marker import Marker
from hub.days.recompute import recomputed
from protocol.taps import parse_tap_id
from sim.world.loop import MS
from sim.world.school import School

READ_MAX: Final = 1_000_000
"""Turns of the daybook and the marker, far more than a campaign's records need."""
IDLE_MS: Final = 1_000
"""A marker that waits for longer has nothing to tell."""

DERIVED_EVERY: Final = 3
"""Seeds whose marks are told, and held to a recompute from the first record: both take as long as the run itself."""


def check_days(school: School) -> None:
    """Ask the hub, which has everything by now. Its storage mustn't fail any more."""
    store = school.hub.store
    assert store is not None
    for _ in range(READ_MAX):
        if not (store.daybook.catch_up(500) or store.daybook.attribute(500)):
            break
    _check_attribution(school)
    if school.plan.noise % DERIVED_EVERY:
        return
    first = today_at(school.began_ns // MS)
    marker = Marker(store)
    for _ in range(READ_MAX):
        # A new one looks at once, and at everything that is open.
        if marker.turn() >= IDLE_MS and not store.daybook.catch_up(500):
            break
        while store.daybook.catch_up(500):
            pass
    last = today_at(school.loop.now_ns // MS)
    kept = list(recomputed(store, first, last))
    if kept != list(recomputed(store, first, last, from_records=True)):
        school.truth.broken("marks equal a recompute from the records", f"{first} to {last}")
    school.truth.seen["day recomputed"] += len(kept)
    for day in days_between(first, last):
        waits = store.regaining() or store.calendar_in_doubt() is not None
        if not waits and store.clock.error_ms() is not None:
            _check_told(school, day)


def _check_told(school: School, day: date) -> None:
    """What stands told to the city of a day is what is derived of it, from the final moments on.

    Nobody brings records back here, or looks at the calendar, so that a hub whose ledger was lost tells nothing; one
    without a clock neither.
    """
    store = school.hub.store
    assert store is not None
    told = {
        (pupil, half): category
        for pupil, half, category in store.database.connection.execute(
            "SELECT pupil_key, half, category FROM marks_told WHERE day = ? AND category IS NOT NULL",
            (day.isoformat(),),
        )
    }
    now_ms = store.clock.now_ms()
    for one in store.classbook.marks(day):
        category = told.pop((one.pupil.key, one.session.half), None)
        derived = CATEGORIES.get(one.judged.mark) if one.session.final_ms <= now_ms else None
        if category != derived and not (category == "Absent" and one.judged.mark == "not-known"):
            school.truth.broken("the city is told what is derived", f"{day} {one.pupil.key}: {category}, not {derived}")
        school.truth.seen["mark told"] += category is not None
    if told:
        school.truth.broken("the city is told what is derived", f"{day}: {len(told)} of nobody")


def _check_attribution(school: School) -> None:
    """A tap of a card that was one pupil's all the time is that pupil's, and the city was told."""
    store, truth = school.hub.store, school.truth
    assert store is not None
    known = store.holders.bindings()
    owners: dict[str, set[str]] = {}
    for holding in store.holders.holdings():
        owners.setdefault(holding.card, set()).add(holding.pupil)
    changed = {change.card for change in store.days.card_changes() if change.change != "issued"}
    told = store.days.corrections(truth.signals)
    for name, held in truth.signals.items():
        tap = parse_tap_id(name)
        book = None if tap is None else store.ledger.books.find(tap.journal)
        row = None if tap is None or book is None else store.days.tap(book.number, tap.sequence)
        if book is None or row is None or held.card in changed or len(owners.get(held.card, ())) != 1:
            continue
        (owner,) = owners[held.card]
        when = store.anchors.of(book.source).effective_at(book.journal, row.reading())
        student = whose(known, row.card, when.best_ms, row.student)
        if student != owner:
            truth.broken("a tap is the pupil's whose card it was", f"{name}: {student}, not {owner}")
        believed = told[name].student if name in told else row.student
        if when.quality != "estimated" and believed != owner:
            truth.broken("the city learns whose a tap was", f"{name}: {believed}, not {owner}")
        truth.seen["tap attributed"] += 1
