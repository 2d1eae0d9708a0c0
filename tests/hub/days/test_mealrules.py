"""The meals' office and desk on a real store: what a lock that has passed, and what was told once, hold people to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from hub.days.classbook import midnight_ms
from hub.days.office import EntryRefused
from hub.meals.sittings import FIRST_PLAN, PlannedShift, SchoolMeals
from tests.hub.days.test_daybook import AN, DAY, STRANGE
from tests.hub.days.test_mealbook import Canteen

MONDAY = date(2026, 11, 23)
SUNDAY = MONDAY - timedelta(days=1)
LUNCH: Final = "lunch"


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    yield made
    made.room.close()


def clock(canteen: Canteen, text: str, day: date = MONDAY) -> None:
    hour, minute = map(int, text.split(":"))
    canteen.machine.at_ms = midnight_ms(day) + (hour * 60 + minute) * 60_000


def enrol(canteen: Canteen) -> None:
    """Everybody, for lunch, long before any lock."""
    clock(canteen, "05:00", MONDAY - timedelta(days=20))
    for student in ("st-an", "st-be", "st-chi"):
        canteen.store.mealoffice.enrol("co-hoa", student, MONDAY - timedelta(days=20), None)
    canteen.read()


def planned(**more: Any) -> SchoolMeals:
    return msgspec.structs.replace(FIRST_PLAN, meals=(msgspec.structs.replace(FIRST_PLAN.meals[0], **more),))


def test_a_money_lock_that_has_passed_is_not_moved_through_a_day_without_meals(canteen: Canteen) -> None:
    desk = canteen.store.mealdesk
    enrol(canteen)
    desk.plan("it", MONDAY - timedelta(days=16), planned(money_days_before=3))
    clock(canteen, "09:00", SUNDAY)
    canteen.read()
    assert canteen.store.mealoffice.cut("co-lan", "st-an", MONDAY, MONDAY).charged == (LUNCH,)
    # Of Wednesday's meal the lock has passed, three days before; of Thursday's it hasn't.
    for first in (SUNDAY, MONDAY, MONDAY + timedelta(days=2)):
        for more in ({"money_days_before": 0}, {"money_days_before": 3, "half": "pm"}, {"meal": "dinner"}):
            with pytest.raises(EntryRefused, match="a lock of 2026-11-25 has passed"):
                desk.plan("it", first, planned(**more))
    desk.plan("it", MONDAY + timedelta(days=3), planned(money_days_before=0))
    assert canteen.store.mealoffice.cut("co-lan", "st-be", MONDAY, MONDAY).charged == (LUNCH,)
    # A plan speaks of no day from which on another one holds.
    hall = msgspec.structs.replace(FIRST_PLAN.meals[0].shifts[0], hall="A")
    desk.plan("it", SUNDAY, planned(money_days_before=3, shifts=(hall,)))


def test_a_lock_is_not_put_where_it_has_passed_already(canteen: Canteen) -> None:
    desk = canteen.store.mealdesk
    enrol(canteen)
    clock(canteen, "09:00", SUNDAY)
    assert canteen.store.mealoffice.cut("co-lan", "st-an", MONDAY, MONDAY).charged == ()
    canteen.read()
    for first in (SUNDAY, MONDAY):
        with pytest.raises(EntryRefused, match="a lock of 2026-11-25 has passed"):
            desk.plan("it", first, planned(money_days_before=3))
    # Nor by taking the meal out first, or by calling it off.
    only = msgspec.structs.replace(FIRST_PLAN.meals[0], meal="snack", weekdays=(6,))
    desk.plan("it", MONDAY, msgspec.structs.replace(FIRST_PLAN, meals=(only,)))
    with pytest.raises(EntryRefused, match="a lock of 2026-11-25 has passed"):
        desk.plan("it", MONDAY, planned(money_days_before=3))
    desk.plan("it", MONDAY, FIRST_PLAN)
    for day in (MONDAY, MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)):
        canteen.store.mealoffice.close("thay-minh", day, [], "mất nước")
    canteen.read()
    with pytest.raises(EntryRefused, match="a lock of 2026-11-25 has passed"):
        desk.plan("it", MONDAY, planned(money_days_before=3))
    desk.plan("it", MONDAY + timedelta(days=3), planned(money_days_before=3))
    assert canteen.store.mealoffice.cut("co-lan", "st-be", MONDAY, MONDAY).charged == ()


def test_a_cut_is_told_the_same_whenever_it_is_asked(canteen: Canteen) -> None:
    office = canteen.store.mealoffice
    enrol(canteen)
    clock(canteen, "07:59")
    early = office.cut("co-lan", "st-an", MONDAY, MONDAY)
    clock(canteen, "08:01")
    late = office.cut("co-lan", "st-be", MONDAY, MONDAY)
    clock(canteen, "20:00")
    for taken, said in ((early, ()), (late, (LUNCH,))):
        kept = canteen.store.days.meals.cut_of(taken.record)
        assert kept is not None and office.taken(kept) == taken and (taken.late, taken.charged) == (said, said)


def test_an_enrolment_for_a_meal_that_no_plan_has_is_refused_and_ends_nothing(canteen: Canteen) -> None:
    office, desk = canteen.store.mealoffice, canteen.store.mealdesk
    enrol(canteen)
    first, later = MONDAY + timedelta(days=7), MONDAY + timedelta(days=21)
    for meals in (["breakfast"], ["lunch", "breakfast"]):
        with pytest.raises(EntryRefused, match="the school's plan has no breakfast"):
            office.enrol("co-hoa", "st-an", first, None, meals=meals)
    canteen.read()
    assert "st-an" in {one.pupil for one in canteen.store.mealbook.registered(first, "lunch")}
    # A plan of some of its days is enough; nobody who ends an enrolment names a meal.
    early = msgspec.structs.replace(
        FIRST_PLAN.meals[0],
        meal="breakfast",
        shifts=(PlannedShift(number=1, opens="06:15", closes="06:45"),),
        provisional="05:00",
        final="05:30",
        money="05:30",
    )
    desk.plan("it", later, msgspec.structs.replace(FIRST_PLAN, meals=(*FIRST_PLAN.meals, early)))
    with pytest.raises(EntryRefused, match="plan has no breakfast"):
        office.enrol("co-hoa", "st-an", first, later - timedelta(days=1), meals=["breakfast"])
    office.enrol("co-hoa", "st-an", first, later, meals=["breakfast"])
    office.enrol("co-hoa", "st-an", first, None, meals=["lunch", "breakfast"])
    office.enrol("co-hoa", "st-be", first, None, meals=[])


def test_an_enrolment_is_told_what_it_means_for_the_meal_of_its_first_day(canteen: Canteen) -> None:
    office = canteen.store.mealoffice
    told = {}
    for text in ("07:59", "08:01", "11:51"):
        clock(canteen, text)
        office.enrol("co-hoa", "st-an", MONDAY, None)
        clock(canteen, "20:00")
        [word] = [one for one in canteen.store.days.meals.enrolments(MONDAY, MONDAY) if one.id not in told]
        told[word.id] = office.joined(word)
    assert [(one.late, one.over) for one in told.values()] == [((), ()), ((LUNCH,), ()), ((), (LUNCH,))]


def test_a_first_serving_is_no_repeat_and_a_referred_card_was_served_nothing(canteen: Canteen) -> None:
    first, second = canteen.serve(AN, "10:31", student="st-an"), canteen.serve(AN, "10:45", student="st-an", nth=2)
    referred = canteen.serve(STRANGE, "10:50", decision="refused", reason="unknown")
    canteen.deliver()
    canteen.read()
    clock(canteen, "12:00", DAY)
    settle, before = canteen.store.mealoffice.settle, canteen.told()
    with pytest.raises(EntryRefused, match="is the first serving"):
        settle("co", first, "repeat")
    for why in ("done", "second", "repeat"):
        with pytest.raises(EntryRefused, match="the card was referred"):
            settle("co", referred, why)
    canteen.read()
    assert canteen.told() == before and len(before) == 2
    settle("co", second, "repeat")
    settle("co", referred, "undone")
    settle("co", referred, "done")
    canteen.read()
    assert len(canteen.told()) == 1
    settle("co", first, "undone")
    canteen.read()
    assert len(canteen.told()) == 1, "who called the second the same tray didn't take the child's meal"
    with pytest.raises(EntryRefused, match="is the first serving"):
        settle("co", second, "repeat")
