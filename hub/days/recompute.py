"""Recompute: the marks of days made again, by a stated version of the rules; on request from the raw records alone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.attendance.goldenday import marks_csv
from hub.attendance.knowndays import beyond
from hub.attendance.marks import MARKS, RULES
from hub.attendance.schoolday import WHOLE_SCHOOL, Marked, counted
from hub.cards.holders import Holders
from hub.days.classbook import ClassBook, days_between
from hub.days.mealbook import MealBook
from hub.days.scribe import Scribe
from hub.meals.mealdays import evidence_digest, meals_of
from hub.meals.portions import MEAL_RULES, registered
from hub.meals.publicsheet import public_sheet
from hub.store.dayrows import PROJECTED, DayRows
from protocol.errors import NeedsHands

if TYPE_CHECKING:
    from hub.parts import Store

KNOWN_RULES: Final = (RULES,)
DAYS_MAX: Final = 400
"""A school year and its holidays."""
PAGE: Final = 500
"""Records read at once; the ledger is free for others in between."""
CACHE_KIB: Final = 16_384
"""What is written down anew lies in a file of its own beyond that, so that memory doesn't grow with the year."""

MEAL_NUMBERS: Final = ("registered", "cut", "served", "seconds", "strangers", "adults", "unconfirmed")
UNASKED: Final = ("taps_card", "taps_student")
"""Indexes by which single cards and pupils are looked up: whole days aren't, and each makes reading slower."""


class RecomputeRefused(NeedsHands):
    """The marks that were asked for can't be made."""

    code = "recompute-refused"
    hint = "See k12edge hub recompute --help."


def recomputed(
    store: Store, first: date, last: date, rules: str = RULES, *, from_records: bool = False
) -> Iterator[dict[str, Any]]:
    """Each day that has lessons: its counts, the SHA-256 of its marks as CSV; of a single day the marks, too.

    `from_records`: everything but names, classes and the timetable is read again from the ledger's first record on.
    Raises RecomputeRefused.
    """
    if rules not in KNOWN_RULES:
        raise RecomputeRefused(f"rules {rules!r} are not known here; known are {', '.join(KNOWN_RULES)}")
    for day in (first, last):
        if (unknown := beyond(day)) is not None:
            raise RecomputeRefused(unknown)
    if last < first or (last - first).days >= DAYS_MAX:
        raise RecomputeRefused(f"{first} to {last} is no span of at most {DAYS_MAX} days")
    if not from_records:
        while store.daybook.catch_up(PAGE):
            pass
        yield from _days(store, store.classbook, store.mealbook, first, last)
        return
    with _anew(store) as (book, meals):
        yield from _days(store, book, meals, first, last)


def _days(store: Store, book: ClassBook, meals: MealBook, first: date, last: date) -> Iterator[dict[str, Any]]:
    for day in days_between(first, last):
        marked = book.marks(day)
        if marked or first == last:
            with store.database.lock:
                found = _meals(meals, day)
            yield _shown(day, marked, found, whole=first == last)


def _meals(book: MealBook, day: date) -> list[dict[str, Any]]:
    """Each meal that somebody was registered for or ate: its numbers, and a digest of what they rest on."""
    said, servings = book.said(day), book.served(day).servings
    found = []
    for planned in said.plan.meals:
        mine = meals_of(said, planned.meal, servings)
        if mine:
            sheet = public_sheet(day, planned.meal, registered(said, planned.meal), servings)
            numbers = {name: getattr(sheet, name) for name in MEAL_NUMBERS}
            found.append({"meal": planned.meal, "rules": MEAL_RULES, **numbers, "sha256": evidence_digest(mine)})
    return found


def _shown(day: date, marked: list[Marked], meals: list[dict[str, Any]], *, whole: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "date": day.isoformat(),
        "rules": RULES,
        "sha256": hashlib.sha256(marks_csv(marked).encode("utf-8")).hexdigest(),
        "counts": [
            {"half": half, "class": school_class, **{mark: found[mark] for mark in MARKS}}
            for (_, half, school_class), found in counted(marked)
        ],
        "meals": meals,
    }
    if whole:
        shown["marks"] = [mark_shown(mark) for mark in marked]
    return shown


def mark_shown(marked: Marked) -> dict[str, Any]:
    """A mark as JSON shows it: no name; evidence leads to the records that it rests on."""
    judged = marked.judged
    return {
        "date": marked.session.day.isoformat(),
        "half": marked.session.half,
        "class": marked.pupil.school_class,
        "student": judged.pupil,
        "mark": judged.mark,
        "minutes": judged.minutes,
        "by": judged.by,
        "evidence": list(judged.evidence),
        "flags": list(judged.flags),
        "rules": judged.rules,
    }


@contextmanager
def _anew(store: Store) -> Iterator[tuple[ClassBook, MealBook]]:
    """The books of classes and meals over rows that are written down anew, beside those that pages are shown from."""
    with closing(sqlite3.connect(f"file:{store.path}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute(f"PRAGMA temp.cache_size = -{CACHE_KIB}")
        # Nobody needs what is half written there: it ends with the connection.
        connection.execute("PRAGMA temp.journal_mode = OFF")
        for kind, sql in connection.execute(
            "SELECT type, sql FROM main.sqlite_master WHERE sql IS NOT NULL AND tbl_name IN"
            f" ({', '.join('?' * len(PROJECTED))}, 'day_cursor') AND name NOT IN ({', '.join('?' * len(UNASKED))})"
            " ORDER BY type = 'index'",
            (*PROJECTED, *UNASKED),
        ).fetchall():
            before, after = ("CREATE INDEX ", "CREATE INDEX temp.") if kind == "index" else ("TABLE ", "TEMP TABLE ")
            connection.execute(sql.replace(before, after, 1))
        connection.execute("INSERT INTO temp.day_cursor (one, position, attributed) VALUES (1, 0, 0)")
        connection.execute("INSERT INTO temp.card_changes SELECT * FROM main.card_changes WHERE record LIKE 'roster.%'")
        rows = DayRows(connection)
        scribe = Scribe(store, rows, apart=True)
        more = PAGE
        while more == PAGE:
            with store.database.lock:
                connection.execute("BEGIN")
                more = scribe.read(PAGE)
                connection.execute("COMMIT")
        holders = Holders(rows, store.secrets, store.devices, store.roster)
        book = ClassBook(
            store.database,
            store.ledger,
            store.anchors,
            store.people,
            rows,
            holders,
            store.timetables,
            store.words,
            store.clock.now_ms,
        )
        yield book, MealBook(store, rows, holders)


def recompute_told(store: Store, words: Mapping[str, str | None]) -> str:
    """What `k12edge hub recompute` prints. Raises RecomputeRefused."""
    first = _date("day", words.get("day"))
    last = first if words.get("to") is None else _date("to", words.get("to"))
    rules = words.get("rules") or RULES
    found = list(recomputed(store, first, last, rules, from_records=words.get("from_records") == "True"))
    if words.get("json") == "True":
        return msgspec.json.encode(found[0] if words.get("to") is None else found).decode("utf-8")
    lines = []
    for day in found:
        lines.append(f"{day['date']} {day['rules']} {day['sha256']}")
        for row in day["counts"]:
            if row["class"] == WHOLE_SCHOOL:
                shown = ", ".join(f"{row[mark]} {mark}" for mark in MARKS if row[mark])
                lines.append(f"  {row['half']}: {shown}")
        for meal in day["meals"]:
            shown = ", ".join(f"{meal[name]} {name}" for name in MEAL_NUMBERS)
            lines.append(f"  {meal['meal']} {meal['rules']} {meal['sha256']}: {shown}")
    return "\n".join(lines) or "không có buổi học / no lessons"


def _date(name: str, text: str | None) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError as problem:
        raise RecomputeRefused(f"--{name} {text!r} is no date such as 2026-11-23") from problem
