"""A year's ledger has a million records: what is asked while people wait goes through indexes, never through it all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.days.recompute import recomputed
from hub.store.anchorrows import AnchorRows
from tests.hub.days.test_daybook import AN, DAY, School, mono_at


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    made.tap(AN, "06:40", student="st-an")
    made.deliver()
    yield made
    made.room.close()


@contextmanager
def plans(school: School) -> Iterator[list[str]]:
    """Of every statement meanwhile: how SQLite goes about it, with its words."""
    connection, asked = school.store.database.connection, dict[str, None]()
    found: list[str] = []
    connection.set_trace_callback(lambda words: asked.setdefault(words))
    try:
        yield found
    finally:
        connection.set_trace_callback(None)
    for words in asked:
        if words.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            found += [f"{step[-1]} / {words}" for step in connection.execute(f"EXPLAIN QUERY PLAN {words}")]


def whole(found: list[str]) -> list[str]:
    """The steps that go through all records or all taps."""
    return [step for step in found if step.startswith(("SCAN events", "SCAN taps")) and "taps_unanchored" not in step]


def test_no_question_of_a_page_goes_through_the_whole_ledger(school: School) -> None:
    with plans(school) as found:
        school.tap(AN, "06:50", student="st-an")
        school.deliver()
        school.marks()
        school.store.classbook.on_site(school.store.clock.now_ms())
        school.store.classbook.completeness(DAY)
        school.room.status.whole()
        school.room.status.journals()
        list(recomputed(school.store, DAY, DAY))
    assert len(found) > 40 and whole(found) == []


def test_neither_does_a_hubs_start_nor_a_gateways_new_journal(school: School) -> None:
    with plans(school) as found:
        AnchorRows(school.store.database)
        list(school.store.ledger.own_records("consent.changed"))
        after = school.gate.run(after=school.run, mono_ms=mono_at("07:00"))
        school.room.batch(school.gate, school.gate.batch(after, 1))
        book = school.store.ledger.books.find(after.journal)
        assert book is not None
        school.store.ledger.opened_after(book, school.run.journal)
    assert any("sequence = 1" in step for step in found) and whole(found) == []


def test_neither_does_a_lunch_nor_its_sheets(school: School) -> None:
    store = school.store
    store.mealoffice.enrol("co", "st-an", DAY, None, reason="test")
    school.read()
    with plans(school) as found:
        store.mealbook.served(DAY)
        store.mealbook.registered(DAY, "lunch")
        store.kitchen.work()
        store.kitchen.sheet(DAY, "lunch")
        store.days.meals.ratings(DAY)
        store.days.meals.sheets.month("2026-11", "lunch")
    through = ("SCAN meal_locks", "SCAN meal_adjustments", "SCAN meal_taps", "SCAN serving_words", "SCAN meal_ratings")
    assert len(found) > 30 and whole(found) == []
    assert [step for step in found if step.startswith((*through, "SCAN meal_months", "SCAN meal_services"))] == []


def test_what_goes_through_all_of_them_is_seen(school: School) -> None:
    with plans(school) as found:
        school.store.database.connection.execute("SELECT raw FROM events WHERE sequence = 1").fetchall()
    assert whole(found) == ["SCAN events / SELECT raw FROM events WHERE sequence = 1"]
