"""The meals' scribe: writes down what one record says of meals, as rows that a meal is asked for."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from hub.meals.portions import Closure, Cut, Enrolment, PortionWord
from hub.meals.servings import ClassList, ServingWord
from hub.store.complaintrows import ComplaintRow
from hub.store.sheetrows import AdjustmentRow, LockRow, MonthRow
from protocol.envelope import Event, decode_data, unix_ms_of
from protocol.errors import BadMessage
from protocol.mealrecords import (
    MealAdjusted,
    MealClosed,
    MealComplaint,
    MealCut,
    MealEnrolled,
    MealMonth,
    MealPortion,
    MealService,
    SheetLocked,
)
from protocol.records import MealRated, TapCorrection
from protocol.taps import TapData

if TYPE_CHECKING:
    from hub.store.books import Book
    from hub.store.mealrows import MealRows

SERVING_WORDS: Final = ("undone", "done", "second", "repeat")
"""Why a correction speaks of a serving and not of whose it is."""


def note_tap(rows: MealRows, book: Book, sequence: int, data: TapData) -> None:
    """Write down what a counter believed of a record of its own. A day that is none says nothing."""
    said = None if data.meal is msgspec.UNSET else data.meal
    hand = None if data.hand is msgspec.UNSET else data.hand
    if said is not None:
        try:
            date.fromisoformat(said.day)
        except ValueError:
            said = None
    rows.add_tap(book.number, sequence, said, hand)


def note_of_gateway(rows: MealRows, book: Book, sequence: int, event: Event, at_ms: int) -> None:
    """Write down what a counter says beside its taps; of other gateways' records it has no say. Raises BadMessage."""
    if event.name == "meal.rated":
        rated = decode_data(event, MealRated)
        rows.rate(book.number, sequence, _day(rated.day).isoformat(), rated.meal, rated.point, rated.face)
    elif event.name == "meal.correction":
        said = decode_data(event, TapCorrection)
        if said.source == book.source and said.why in SERVING_WORDS:
            rows.say(ServingWord(said.tap, event.id, at_ms, said.why, said.by))


def note_of_hub(rows: MealRows, event: Event, at_ms: int) -> None:
    """Write down what a record of the hub's own says of meals. Raises BadMessage."""
    match event.name:
        case "meal.enrolled":
            one = decode_data(event, MealEnrolled)
            days, meals = tuple(one.weekdays), tuple(one.meals)
            rows.enrol(Enrolment(event.id, at_ms, one.student, _day(one.first), _last(one.last), days, meals, one.by))
        case "meal.portion":
            kept = decode_data(event, MealPortion)
            first, last = _day(kept.first), _last(kept.last)
            rows.portion(PortionWord(event.id, at_ms, kept.student, first, last, kept.portion, kept.by))
        case "meal.cut":
            cut = decode_data(event, MealCut)
            if cut.withdraws is not None:
                rows.withdraw_cut(cut.withdraws, event.id, at_ms, cut.by)
                return
            span, meals = (_day(cut.first), _day(cut.last)), tuple(cut.meals)
            rows.cut(Cut(event.id, at_ms, cut.student, *span, meals, cut.how, cut.by, cut.reason))
        case "meal.closed":
            shut = decode_data(event, MealClosed)
            day = _day(shut.day)
            rows.close(Closure(event.id, at_ms, day, tuple(shut.meals), shut.closed, shut.by, shut.reason))
        case "meal.service":
            listed = decode_data(event, MealService)
            served, day = tuple(listed.served), _day(listed.day)
            seen_ms = unix_ms_of(listed.seen)
            rows.serve(ClassList(event.id, listed.school_class, day, listed.meal, served, listed.by, at_ms, seen_ms))
        case "meal.sheet.locked":
            rows.sheets.lock(_locked(event, at_ms))
        case "meal.adjusted":
            rows.sheets.adjust(_adjusted(event, at_ms))
        case "meal.month":
            rows.sheets.state_month(_month(event, at_ms))
        case "meal.complaint":
            rows.complaints.say(_complaint(event, at_ms))


def _locked(event: Event, at_ms: int) -> LockRow:
    one = decode_data(event, SheetLocked)
    return LockRow(
        event.id,
        at_ms,
        _day(one.day),
        one.meal,
        one.lock,
        one.version,
        unix_ms_of(one.due),
        unix_ms_of(one.frozen),
        one.rules,
        one.digest,
        one.closed,
        one.by,
        one.classes,
    )


def _adjusted(event: Event, at_ms: int) -> AdjustmentRow:
    one = decode_data(event, MealAdjusted)
    return AdjustmentRow(
        event.id,
        at_ms,
        _day(one.day),
        one.meal,
        one.version,
        one.number,
        one.why,
        tuple(one.students),
        one.by,
        one.reason,
        one.classes,
    )


def _month(event: Event, at_ms: int) -> MonthRow:
    one = decode_data(event, MealMonth)
    return MonthRow(
        event.id, at_ms, one.month, one.meal, one.version, one.rules, one.evidence, one.by, one.reason, one.pupils
    )


def _complaint(event: Event, at_ms: int) -> ComplaintRow:
    one = decode_data(event, MealComplaint)
    day = None if one.day is None else _day(one.day)
    return ComplaintRow(event.id, at_ms, one.student, one.month, day, one.meal, one.says, one.answers, one.by)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise BadMessage(f"{text[:40]!r} is no day") from problem


def _last(text: str | None) -> date | None:
    return None if text is None else _day(text)
