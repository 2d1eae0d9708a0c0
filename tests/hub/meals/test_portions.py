"""Portions: who is registered and cut; a frozen sheet that adjustments alone change, always to what all words say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.evidence import Leave
from hub.meals.portions import (
    Closure,
    Cut,
    Enrolment,
    Excuse,
    PortionWord,
    Said,
    changed,
    difference,
    in_parts,
    is_closed,
    registered,
    sheet_digest,
    sheet_of,
    together,
    total,
)
from hub.meals.sittings import FIRST_PLAN
from hub.meals.wordorder import NOW, Until
from protocol.mealrecords import Portions
from tests.hub.meals.lunch import DAY, at

J = "f" * 16
CLASSES = {"st-an": "1A", "st-be": "1A", "st-chi": "1B", "st-dung": "1B"}
SAID = Said(DAY, FIRST_PLAN, CLASSES, {"1A": 0, "1B": 0})
WEEK = (0, 1, 2, 3, 4)


def enrolled(number: int, pupil: str, clock: str = "06:00", **more: Any) -> Enrolment:
    given_ = {"first": DAY - timedelta(days=60), "last": None, "weekdays": WEEK, "meals": ("lunch",), **more}
    return Enrolment(f"{J}.{number}", at(clock), pupil, **given_)


def cut(number: int, pupil: str, clock: str = "06:30", **more: Any) -> Cut:
    return Cut(f"{J}.{number}", at(clock), pupil, more.pop("first", DAY), more.pop("last", DAY), **more)


ALL = tuple(enrolled(number, pupil) for number, pupil in enumerate(CLASSES, 1))


def told(said: Said, until: Until = NOW) -> dict[str, str]:
    return {one.pupil: "cut" if one.cut else one.portion for one in registered(said, "lunch", until)}


def test_who_is_registered_is_expected_by_default_and_cut_by_exception() -> None:
    said = replace(SAID, enrolments=ALL, cuts=(cut(9, "st-be"),))
    assert told(said) == {"st-an": "regular", "st-be": "cut", "st-chi": "regular", "st-dung": "regular"}
    assert sheet_of(registered(said, "lunch")) == {"1A": Portions(2, 1, 1), "1B": Portions(2, 0, 2)}
    withdrawn = replace(said, cuts=(cut(9, "st-be", gone_ms=at("06:40"), gone=f"{J}.10"),))
    assert told(withdrawn)["st-be"] == "regular"
    assert told(withdrawn, Until(at("06:35"), f"{J}.9"))["st-be"] == "cut"
    assert told(replace(said, cuts=(cut(9, "st-be", meals=("snack",)),)))["st-be"] == "regular"


def test_the_newest_enrolment_that_speaks_of_the_day_decides_whole() -> None:
    ended = enrolled(7, "st-an", "06:10", meals=())
    later = enrolled(8, "st-be", "06:10", first=DAY + timedelta(days=1), meals=())
    tuesdays = enrolled(9, "st-chi", "06:10", weekdays=(1,))
    said = replace(SAID, enrolments=(*ALL, ended, later, tuesdays))
    assert told(said).keys() == {"st-be", "st-dung"}
    as_tuesday = replace(said, taught={"1A": 1, "1B": 1})
    assert told(as_tuesday).keys() == {"st-be", "st-chi", "st-dung"}
    assert told(replace(said, taught={"1A": 0})).keys() == {"st-be"}, "a class without lessons has no meal"
    saturday = replace(said, taught={"1A": 5, "1B": 5})
    assert told(saturday) == {}


def test_a_leave_cuts_the_meals_of_its_half_days() -> None:
    def excused(first: Any, last: Any, **more: Any) -> dict[str, str]:
        leave = Leave(f"{J}.20", "st-an", (DAY, first), (DAY, last), at("06:50"), "co-lan")
        return told(replace(SAID, enrolments=ALL, excuses=(Excuse(leave, **more),)))

    assert excused("am", "pm")["st-an"] == excused("am", "am")["st-an"] == "cut"
    assert excused("pm", "pm")["st-an"] == "regular", "who goes home after lunch eats it"
    assert excused("am", "pm", gone_ms=at("06:55"), gone=f"{J}.21")["st-an"] == "regular"


def test_what_is_cooked_and_a_day_without_a_meal() -> None:
    words = (
        PortionWord(f"{J}.5", at("05:00"), "st-an", DAY, None, "vegetarian"),
        PortionWord(f"{J}.6", at("05:01"), "st-an", DAY, DAY, "porridge"),
        PortionWord(f"{J}.7", at("05:02"), "st-be", DAY - timedelta(days=1), DAY - timedelta(days=1), "diet"),
    )
    said = replace(SAID, enrolments=ALL, portions=words)
    assert (told(said)["st-an"], told(said)["st-be"]) == ("porridge", "regular")
    shut = Closure(f"{J}.8", at("09:00"), DAY, (), closed=True)
    other = Closure(f"{J}.9", at("09:00"), DAY, ("snack",), closed=True)
    opened = Closure(f"{J}.10", at("08:59"), DAY, ("lunch",), closed=False)
    assert told(replace(said, closures=(shut,))) == {} and is_closed(replace(said, closures=(shut,)), "lunch")
    assert not is_closed(replace(said, closures=(other,)), "lunch")
    # The clock was set back between both: the later record of the journal is the newer word.
    assert not is_closed(replace(said, closures=(shut, opened)), "lunch")
    assert is_closed(replace(said, closures=(shut, opened)), "lunch", Until(at("09:00"), f"{J}.8"))


def test_a_meal_that_nobody_planned_has_nobody() -> None:
    assert registered(replace(SAID, enrolments=ALL), "dinner") == []


def test_a_sheet_travels_in_parts_that_fit() -> None:
    sheet = {f"{grade}/{number}": Portions(38, 2, 34, 1, 1) for grade in range(1, 6) for number in range(1, 10)}
    parts = list(in_parts(sheet, 1000))
    assert len(parts) > 3 and together(*parts) == together(sheet)
    assert list(in_parts({}, 1000)) == [{}] and total(sheet) == Portions(45 * 38, 90, 45 * 34, 45, 45)


@pytest.mark.parametrize(
    "until",
    [Until(at("06:00")), Until(at("23:00"), f"{J}.4"), Until(at("05:00"), f"{J}.4")],
    ids=["by-time", "by-place", "clock-set-back"],
)
def test_what_had_been_said_by_a_record_is_told_by_its_place(until: Until) -> None:
    said = replace(SAID, enrolments=ALL, cuts=(cut(5, "st-an", "22:00"),))
    known = told(said, until)
    assert known.get("st-an") == "regular"


# --- whatever is said, in whatever order ------------------------------------------------------------------------------

PUPILS = st.sampled_from(sorted(CLASSES))


@st.composite
def days(draw: Any) -> list[Any]:
    """Words of a day, in the order of one journal; some withdraw earlier ones. Clocks may step back."""
    words: list[Any] = []
    for number in range(1, draw(st.integers(1, 14)) + 1):
        clock = at(f"{draw(st.integers(5, 9)):02d}:{draw(st.integers(0, 59)):02d}")
        pupil = draw(PUPILS)
        name = f"{J}.{number}"
        kind = draw(st.sampled_from(["enrol", "end", "cut", "leave", "portion", "close", "withdraw"]))
        if kind in ("enrol", "end"):
            meals = ("lunch",) if kind == "enrol" else ()
            words.append(Enrolment(name, clock, pupil, DAY, draw(st.sampled_from([None, DAY])), WEEK, meals))
        elif kind == "cut":
            words.append(Cut(name, clock, pupil, DAY, DAY))
        elif kind == "leave":
            half = draw(st.sampled_from(["am", "pm"]))
            words.append(Excuse(Leave(name, pupil, (DAY, half), (DAY, "pm"), clock, "co")))
        elif kind == "portion":
            portion = draw(st.sampled_from(["regular", "vegetarian", "porridge", "diet"]))
            words.append(PortionWord(name, clock, pupil, DAY, None, portion))
        elif kind == "close":
            words.append(Closure(name, clock, DAY, (), closed=draw(st.booleans())))
        else:
            words.append((name, clock, draw(st.integers(0, 100))))
    return words


def as_said(words: list[Any]) -> Said:
    """All of the words together, withdrawals laid onto what they withdraw."""
    held: list[Any] = []
    for word in words:
        if isinstance(word, tuple):
            name, clock, which = word
            open_ = [n for n, one in enumerate(held) if isinstance(one, Cut | Excuse) and one.gone is None]
            if open_:
                number = open_[which % len(open_)]
                held[number] = type(held[number])(
                    **{f: getattr(held[number], f) for f in held[number].__struct_fields__}
                    | {"gone_ms": clock, "gone": name}
                )
        else:
            held.append(word)

    def of(kind: type) -> tuple[Any, ...]:
        return tuple(one for one in held if isinstance(one, kind))

    return replace(
        SAID,
        enrolments=of(Enrolment),
        portions=of(PortionWord),
        cuts=of(Cut),
        excuses=of(Excuse),
        closures=of(Closure),
    )


@given(days(), st.data())
def test_frozen_and_adjusted_together_are_what_all_words_say(words: list[Any], data: st.DataObject) -> None:
    lock = data.draw(st.integers(0, len(words)))
    frozen_at = Until(at("08:00"), f"{J}.{lock}") if lock else Until(-1)
    then = registered(as_said(words[:lock]), "lunch")
    frozen = sheet_of(then)
    asked: dict[str, Portions] = {}
    adjustments: list[dict[str, Portions]] = []
    before = then
    for number in range(lock + 1, len(words) + 1):
        # After each word what follows is appended; now and then a person asks for more, or less, beside it.
        now = registered(as_said(words[:number]), "lunch")
        follows = difference(together(sheet_of(now), asked), together(frozen, *adjustments))
        assert bool(changed(before, now)) >= bool(follows), "who changed is named, wherever numbers change"
        if follows:
            adjustments.append(follows)
        if data.draw(st.booleans()):
            extra = {"1A": Portions(regular=data.draw(st.integers(-3, 3)))}
            asked = together(asked, extra)
            adjustments.append(extra)
        before = now
    whole = as_said(words)
    # Made again from nothing, with everything that is known by now: the frozen sheet is as it was ...
    again = registered(whole, "lunch", frozen_at)
    assert again == then and sheet_digest(again) == sheet_digest(then)
    # ... and with what was adjusted it is what all words say, and what people asked for.
    assert together(frozen, *adjustments) == together(sheet_of(registered(whole, "lunch")), asked)


@given(days())
def test_every_portion_is_somebodys(words: list[Any]) -> None:
    found = registered(as_said(words), "lunch")
    numbers = total(sheet_of(found))
    assert numbers.registered == len(found) == numbers.cut + numbers.total
    assert numbers.cut == sum(one.cut for one in found)
