"""A list against what is known: who is new, moved, gone; guards; a school year rolled over; twice is nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.lists.changes import Change, ListGuarded, Plan, applied, plan
from hub.lists.enrolling import ended, placed
from hub.lists.known import Enrolment, KnownPupil, class_on
from hub.lists.lines import PupilLine
from protocol.names import folded
from tests.hub.lists.school import FAMILIES, GIVENS, MIDDLES, TODAY, known_of, pupils

DAY = timedelta(days=1)
START = date(2026, 9, 1)


def planned(known: Sequence[KnownPupil], lines: Sequence[PupilLine], day: date = TODAY, **how: Any) -> Plan:
    return plan(known, lines, day, **{"complete": True} | how)


def written(known: Sequence[KnownPupil], made: Plan, *confirmed: str) -> tuple[KnownPupil, ...]:
    numbers = itertools.count()
    return applied(known, made.to_write(confirmed), lambda: f"new-{next(numbers)}")


def one(made: Plan) -> Change:
    assert len(made.changes) == 1, made.changes
    return made.changes[0]


def test_a_first_list_makes_everybody_new_and_holds_since_ever() -> None:
    lines = pupils(100)
    made = planned([], lines)
    assert made.counts["new"] == 100 and not made.guards and not made.new_classes
    known = written([], made)
    assert all(class_on(p, TODAY) == line.school_class for p, line in zip(known, lines, strict=True))
    assert class_on(known[0], START) == lines[0].school_class, "taps that came before the list find their class"
    later = planned([], lines, TODAY + DAY, today=TODAY).changes[0].after
    newcomer = one(planned(known, [*lines, PupilLine("Lê Mới", "1/1", code="n")])).after
    assert [class_on(later, TODAY), class_on(newcomer, TODAY - DAY), class_on(newcomer, TODAY)] == [None, None, "1/1"]
    again = planned(known, lines)
    assert again.empty and again.same == 100 and not again.missing


def test_each_kind_of_change_has_its_reasons() -> None:
    lines = pupils(60)
    known = known_of(lines)
    known[5] = replace(known[5], state="left", enrolments=(Enrolment("1/1", START, TODAY - 20 * DAY),))
    known[6] = replace(known[6], state="provisional", code=None, origin="hand")
    changed = list(lines)
    changed[0] = replace(lines[0], school_class="5/9")
    changed[1] = replace(lines[1], name="Trần Thị Hoàn Toàn Khác")
    changed[2] = replace(lines[2], birth=date(2015, 1, 1), sex=None)
    changed[3] = replace(lines[3], state="left", state_day=TODAY - 3 * DAY)
    new = PupilLine("Lê Mới", "1/1", code="new", birth=date(2018, 1, 1))
    made = planned(known, [*changed[:4], *changed[5:], new])
    found = {change.after.name: change for change in made.changes}
    assert made.counts == {
        "new": 1, "updated": 3, "moved": 1, "left": 1, "returns": 1, "missing": 1, "bad": 0, "same": 53,
    }  # fmt: skip
    assert (found["Lê Mới"].kind, found["Lê Mới"].reasons, found["Lê Mới"].after.key) == ("new", ("new",), "")
    by_key = {change.after.key: change for change in made.changes}
    assert [(by_key[f"st-{n}"].kind, by_key[f"st-{n}"].reasons) for n in (0, 1, 2, 3, 4, 5, 6)] == [
        ("moved", ("class",)), ("updated", ("name",)), ("updated", ("birth",)), ("left", ("left",)),
        ("missing", ("not-listed",)), ("returns", ("returned",)), ("updated", ("confirmed", "code")),
    ]  # fmt: skip
    assert by_key["st-0"].matched_by == "code" and by_key["st-6"].matched_by == "name"
    assert by_key["st-6"].after.origin == "list" and by_key["st-2"].after.sex == lines[2].sex
    assert made.new_classes == ("5/9",) and [pupil.key for pupil in made.missing] == ["st-4"]
    after = written(known, made)
    again = planned(after, [*changed[:4], *changed[5:], new])
    assert again.empty and [pupil.key for pupil in again.missing] == ["st-4"], "still named, written once"


def test_days_before_keep_their_class_and_leavers_end_the_day_before() -> None:
    line = pupils(1)[0]
    known = known_of([line])
    moved = one(planned(known, [replace(line, school_class="2/2")])).after
    assert moved.enrolments == (Enrolment("1/1", START, TODAY - DAY), Enrolment("2/2", TODAY))
    gone = one(planned(known, [replace(line, state="left", state_day=date(2026, 10, 10))])).after
    assert (gone.state, gone.enrolments) == ("left", (Enrolment("1/1", START, date(2026, 10, 9)),))
    early = one(planned(known, [replace(line, state="left", state_day=date(2026, 6, 1))])).after
    assert early.enrolments == (Enrolment("1/1", START, TODAY - DAY),), "who was known to be there was there"


def test_a_move_and_a_leave_that_lie_ahead_are_kept_until_then() -> None:
    line = pupils(1)[0]
    known = known_of([line])
    later = TODAY + 10 * DAY
    leaving = [replace(line, state="left", state_day=later)]
    after = written(known, planned(known, leaving))
    assert after[0].state == "enrolled" and class_on(after[0], later - DAY) == "1/1"
    assert class_on(after[0], later) is None and planned(after, leaving).empty
    assert planned(after, [line]).empty, "a list of today that has them takes nothing back"
    assert one(planned(after, leaving, later)).after.state == "left"
    over = one(planned(after, [], later, complete=False))
    assert (over.kind, over.reasons, over.after.state) == ("left", ("ended",), "left")
    moving = [replace(line, school_class="2/2", state_day=later)]
    after = written(known, planned(known, moving))
    assert [class_on(after[0], day) for day in (later - DAY, later)] == ["1/1", "2/2"] and planned(after, moving).empty


def test_who_left_and_comes_back_has_a_gap() -> None:
    line = pupils(1)[0]
    left = replace(known_of([line])[0], state="left", enrolments=(Enrolment("1/1", START, date(2026, 10, 9)),))
    change = one(planned([left], [line]))
    assert change.kind == "returns" and change.after.state == "enrolled"
    assert change.after.enrolments == (Enrolment("1/1", START, date(2026, 10, 9)), Enrolment("1/1", TODAY))
    assert planned([left], [replace(line, state="left")]).empty and planned([], [replace(line, state="left")]).empty


# --- who is who -------------------------------------------------------------------------------------------------------


def test_our_key_comes_before_the_citys_id_before_the_code_before_the_name() -> None:
    base = replace(known_of(pupils(1))[0], city_id="u1")
    line = PupilLine(base.name, "1/1", birth=base.birth)
    for named, by in (
        (replace(line, key="st-0", code="x", city_id="y"), "key"),
        (replace(line, city_id="u1", code="x"), "city-id"),
        (replace(line, code=base.code), "code"),
        (replace(line, code="x"), "name"),
    ):
        made = planned([base], [replace(named, sex="m" if base.sex == "f" else "f")])
        assert one(made).matched_by == by
    other = planned([base], [replace(line, city_id="u2", code="x")], complete=False)
    assert other.counts["new"] == 1, "two city ids are two children"


def test_a_name_decides_only_where_it_is_one_pupils() -> None:
    base = replace(known_of(pupils(1))[0], code=None)
    twin = replace(base, key="st-1")
    line = PupilLine(base.name, "1/1", birth=base.birth, code="7")
    assert [bad.reason for bad in planned([base, twin], [line]).bad] == ["unclear"]
    assert not planned([base, twin], [line]).missing, "neither of them is called missing"
    assert [bad.reason for bad in planned([base], [line, replace(line, code="8")]).bad] == ["unclear", "unclear"]
    for other in (replace(line, birth=None), replace(line, school_class="9/9"), replace(line, birth=date(2015, 1, 2))):
        assert planned([base], [other], complete=False).counts["new"] == 1


def test_two_lines_of_one_pupil_and_an_id_that_is_somebody_elses_are_bad() -> None:
    one_pupil, other = known_of(pupils(2))
    one_pupil = replace(one_pupil, city_id="u1")
    lines = [PupilLine(one_pupil.name, "1/1", city_id="u1"), PupilLine(one_pupil.name, "1/1", code=one_pupil.code)]
    assert [bad.reason for bad in planned([one_pupil, other], lines, complete=False).bad] == ["matched-twice"]
    taken = planned(
        [one_pupil, other], [PupilLine(one_pupil.name, "1/1", city_id="u1", code=other.code)], complete=False
    )
    assert [(bad.reason, bad.keys) for bad in taken.bad] == [("id-taken", ("st-1",))] and taken.empty
    with pytest.raises(ListGuarded, match="1 lines can't be taken"):
        taken.to_write()


def test_two_pupils_may_exchange_their_codes() -> None:
    one_pupil, other = (replace(pupil, city_id=f"u{n}") for n, pupil in enumerate(known_of(pupils(2))))
    lines = [
        PupilLine(one_pupil.name, "1/1", city_id="u0", code=other.code),
        PupilLine(other.name, "1/1", city_id="u1", code=one_pupil.code),
    ]
    made = planned([one_pupil, other], lines)
    assert made.counts["updated"] == 2 and not made.bad
    assert [pupil.code for pupil in written([one_pupil, other], made)] == [other.code, one_pupil.code]


def test_the_city_says_who_its_own_ids_are_and_not_whose_a_code_is() -> None:
    line = PupilLine("Trần Thị Bình", "1/1", code="1", city_id="u1", birth=date(2018, 2, 2))
    base = known_of([PupilLine("Nguyễn Văn An", "1/1", code="1", birth=date(2018, 1, 1))])
    by_code = planned(base, [line], origin="city", city_says=True)
    assert [bad.reason for bad in by_code.bad] == ["another-person"], "the hub never heard of that id"
    known = [replace(base[0], city_id="u1")]
    assert one(planned(known, [line], origin="city", city_says=True)).after.name == "Trần Thị Bình"
    assert [bad.reason for bad in planned(known, [line], origin="city").bad] == ["another-person"], (
        "in a file it is asked"
    )


def test_an_id_whose_name_and_birth_date_are_somebody_elses_moves_no_card() -> None:
    base = known_of([PupilLine("Nguyễn Văn An", "1/1", code="1", birth=date(2018, 1, 1))])
    line = PupilLine("Trần Thị Bình", "1/1", code="1", birth=date(2018, 2, 2))
    assert [bad.reason for bad in planned(base, [line]).bad] == ["another-person"]
    leaver = replace(line, state="left")
    assert [bad.reason for bad in planned(base, [leaver]).bad] == ["another-person"], "nor does the wrong child leave"
    for close in (replace(line, birth=date(2018, 1, 1)), replace(line, birth=None)):
        assert not planned(base, [close]).bad


BORN, OTHER_DAY = date(2018, 1, 1), date(2018, 2, 2)


@pytest.mark.parametrize(
    ("name", "birth", "bad"),
    [
        ("Nguyễn Văn An", OTHER_DAY, False), ("Nguyen Van An", OTHER_DAY, False), ("NGUYỄN VĂN ÂN", OTHER_DAY, False),
        ("Nguyễn Hoàng An", OTHER_DAY, False), ("Nguyễn An", OTHER_DAY, False), ("Trần Thị Bình", BORN, False),
        ("Trần Thị Bình", None, False), ("Nguyễn Văn Bình", OTHER_DAY, True), ("Trần Văn An", OTHER_DAY, True),
        ("Trần Văn Bình", OTHER_DAY, True), ("An", OTHER_DAY, True), ("Lê Thị Hoa", date(2018, 3, 3), True),
        ("Nguyễn Hữu An", date(2018, 4, 4), True), ("Lê Thị Hoa", BORN, False), ("Lê Thị Hoa", None, False),
    ],
)  # fmt: skip
def test_a_name_or_a_birth_date_may_be_corrected_and_not_both_to_somebody_elses(
    name: str, birth: date | None, bad: bool
) -> None:
    others = [
        PupilLine("Lê Thị Hoa", "1/1", code="2", birth=date(2018, 3, 3)),
        PupilLine("Nguyễn Hữu An", "1/1", code="3", birth=date(2018, 4, 4)),
    ]
    known = known_of([PupilLine("Nguyễn Văn An", "1/1", code="1", birth=BORN), *others])
    made = planned(known, [PupilLine(name, "1/1", code="1", birth=birth), *others])
    assert [one.reason for one in made.bad] == ["another-person"] * bad
    assert made.counts["updated"] == (not bad)


TWO = st.tuples(*(st.tuples(*map(st.sampled_from, (FAMILIES, MIDDLES, GIVENS))),) * 2)


@settings(max_examples=200, deadline=None)
@given(TWO, st.dates(date(2015, 1, 1), date(2019, 1, 1)), st.dates(date(2015, 1, 1), date(2019, 1, 1)), st.booleans())
def test_exchanged_codes_are_never_taken_whatever_words_the_names_share(
    names: tuple[tuple[str, ...], tuple[str, ...]], born: date, other_born: date, births: bool
) -> None:
    one_name, other_name = (" ".join(words) for words in names)
    if folded(one_name) == folded(other_name) and (not births or born == other_born):
        return
    lines = [
        PupilLine(one_name, "1/1", code="1", birth=born if births else None),
        PupilLine(other_name, "1/1", code="2", birth=other_born if births else None),
    ]
    known = known_of(lines)
    assert planned(known, lines).empty and not planned(known, lines).bad
    exchanged = [replace(lines[0], code="2"), replace(lines[1], code="1")]
    made = planned(known, exchanged)
    assert [bad.reason for bad in made.bad] == ["another-person"] * 2 and made.empty
    with pytest.raises(ListGuarded, match="2 lines can't be taken"):
        made.to_write(["many-renamed"])


def test_of_twins_accents_tell_who_is_who() -> None:
    lines = [PupilLine("Trần Hà", "1/1", code="1", birth=BORN), PupilLine("Trần Hạ", "1/1", code="2", birth=BORN)]
    known = known_of(lines)
    assert planned(known, lines).same == 2
    plain = [replace(line, name="Tran Ha") for line in lines]
    assert not planned(known, plain).bad
    exchanged = planned(known, [replace(lines[0], code="2"), replace(lines[1], code="1")])
    assert [bad.keys for bad in exchanged.bad] == [("st-1", "st-0"), ("st-0", "st-1")]


def test_a_delta_names_only_what_changed_and_speaks_of_nobody_else() -> None:
    lines = [replace(line, city_id=f"u{number}") for number, line in enumerate(pupils(50))]
    known = known_of(lines)
    delta = [PupilLine(None, "9/9", city_id="u1"), PupilLine(None, None, "left", city_id="u2")]
    made = planned(known, delta, complete=False, origin="city")
    assert (made.counts["moved"], made.counts["left"], made.counts["missing"]) == (1, 1, 0)
    assert planned(written(known, made), delta, complete=False).empty
    assert [bad.reason for bad in planned(known, [PupilLine(None, "9/9", city_id="?")], complete=False).bad] == [
        "unknown-pupil"
    ]


def test_a_code_that_the_city_gives_to_somebody_else_is_found() -> None:
    base = replace(known_of(pupils(1))[0], city_id="u1")
    made = planned([base], [PupilLine("Lê Khác Hẳn", "1/2", city_id="u2", code=base.code)], complete=False)
    assert [bad.reason for bad in made.bad] == ["id-taken"]


# --- guards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("school", "gone", "guards"),
    [
        (2000, 20, ()), (2000, 21, ("many-gone",)), (100, 5, ()), (100, 6, ("many-gone",)), (10, 1, ()),
        (10, 2, ("many-gone",)), (1, 1, ("empty",)), (400, 400, ("empty", "many-gone")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["missing", "left"])
def test_many_gone_at_once_need_a_person_who_means_it(
    school: int, gone: int, guards: tuple[str, ...], how: str
) -> None:
    lines = pupils(school)
    known = known_of(lines)
    listed = [*lines[gone:], *([replace(line, state="left") for line in lines[:gone]] if how == "left" else [])]
    made = planned(known, listed)
    wanted = tuple(guard for guard in guards if how == "missing" or guard != "empty")
    assert made.guards == wanted
    if wanted:
        with pytest.raises(ListGuarded, match=wanted[0]):
            made.to_write()
    assert len(made.to_write(wanted)) == gone


def test_who_is_missing_leaves_only_where_a_person_says_so() -> None:
    lines = pupils(60)
    known = known_of(lines)
    made = planned(known, lines[2:])
    assert all(pupil.state == "enrolled" and class_on(pupil, TODAY) for pupil in written(known, made))
    decided = planned(known, lines[2:], missing="leave")
    assert [(c.kind, c.reasons) for c in decided.changes] == [("left", ("not-listed",))] * 2
    after = written(known, decided)
    assert [pupil.state for pupil in after[:3]] == ["left", "left", "enrolled"]
    assert planned(after, lines[2:], missing="leave").empty
    found = planned(written(known, made), lines)
    assert [change.reasons for change in found.changes] == [("found",)] * 2


def test_what_pulls_of_the_city_count_no_schools_list_changes() -> None:
    lines = pupils(60)
    known = [replace(pupil, origin="city", missing=1) for pupil in known_of(lines)]
    made = planned(known, lines[1:])
    assert made.empty and [pupil.key for pupil in made.missing] == ["st-0"], "named, and the count stays the pulls'"
    assert {change.reasons for change in planned(known, lines, origin="city").changes} == {("found",)}


def test_a_grades_file_asks_only_for_its_own_classes_and_hands_are_never_missing() -> None:
    lines = pupils(100)
    known = known_of(lines)
    known[0] = replace(known[0], state="provisional", origin="hand")
    first = [line for line in lines[1:] if line.school_class == "1/1"]
    made = planned(known, first[1:], whole_school=False)
    assert [pupil.code for pupil in made.missing] == [first[0].code] and not made.guards
    assert "many-gone" in planned(known, first[1:]).guards


def test_a_column_that_was_sorted_alone_is_bad_and_many_other_names_are_guarded() -> None:
    lines = [replace(line, birth=None) for line in pupils(100)]
    shifted = [replace(line, name=lines[number - 1].name) for number, line in enumerate(lines)]
    assert {bad.reason for bad in planned(known_of(lines), shifted).bad} == {"another-person"}
    others = [replace(line, name=f"Mai {number}") for number, line in enumerate(lines)]
    assert "many-renamed" in planned(known_of(lines), others).guards
    spelled = [replace(line, name=str(line.name).upper()) for line in lines]
    made = planned(known_of(lines), spelled)
    assert not made.guards and {change.reasons for change in made.changes} == {("spelling",)}


def test_a_school_year_is_rolled_over_on_a_day_that_lies_ahead() -> None:
    rollover = date(2027, 8, 16)
    grades = {f"{grade}/{number}": f"{grade + 1}/{number}" for grade in range(1, 6) for number in (1, 2)}
    lines = pupils(400, classes=list(grades))
    known = known_of(lines)
    staying = [
        replace(line, school_class=grades[str(line.school_class)])
        for line in lines
        if not str(line.school_class).startswith("5")
    ]
    newcomers = [replace(line, school_class="1/1", code=f"n{line.code}") for line in pupils(40, 9, ["1/1"])]
    made = planned(known, [*staying, *newcomers], rollover, missing="leave", today=TODAY)
    assert made.guards == ("many-gone", "many-moved")
    assert made.counts == {
        "new": 40, "updated": 0, "moved": 320, "left": 80, "returns": 0, "missing": 80, "bad": 0, "same": 0,
    }  # fmt: skip
    moves = {(move.before, move.after): move.count for move in made.moves}
    assert moves == {(None, "1/1"): 40, ("5/1", None): 40, ("5/2", None): 40} | {
        (a, b): 40 for a, b in grades.items() if a[0] != "5"
    }
    after = written(known, made, "many-gone", "many-moved")
    assert {pupil.key for pupil in known} <= {pupil.key for pupil in after}, "keys stay, and with them their cards"
    for before, pupil in zip(known, after, strict=False):
        assert class_on(pupil, rollover - DAY) == class_on(before, TODAY), "past days and this year keep their class"
        assert class_on(pupil, rollover) == (
            grades[str(class_on(before, TODAY))] if before.enrolments[0].school_class[0] != "5" else None
        )
    assert planned(after, [*staying, *newcomers], rollover, missing="leave", today=TODAY).empty
    assert planned(after, lines, complete=False).empty, "until then this year's list says nothing new"
    assert {pupil.state for pupil in after} == {"enrolled"}
    over = planned(after, [], rollover, complete=False)
    assert [change.reasons for change in over.changes] == [("ended",)] * 80 and not over.guards


# --- enrolments -------------------------------------------------------------------------------------------------------

PIECES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from(["1/1", "1/2", "2/1"])), max_size=5)


def pieces_of(drawn: list[tuple[int, int, str]], open_end: bool) -> tuple[Enrolment, ...]:
    at, found = START, []
    for gap, length, school_class in drawn:
        first = at + gap * DAY
        found.append(Enrolment(school_class, first, first + length * DAY))
        at = first + (length + 1) * DAY
    if found and open_end:
        found[-1] = replace(found[-1], last=None)
    return tuple(found)


def is_sound(pieces: Sequence[Enrolment]) -> bool:
    return all(p.last is None or p.first <= p.last for p in pieces) and all(
        one.last is not None and one.last < other.first for one, other in itertools.pairwise(pieces)
    )


@given(PIECES, st.booleans(), st.integers(-5, 120), st.sampled_from(["1/1", "3/3"]))
@settings(max_examples=300, deadline=None)
def test_moving_and_ending_touch_no_day_before(
    drawn: list[tuple[int, int, str]], open_end: bool, at: int, to: str
) -> None:
    before, since = pieces_of(drawn, open_end), START + at * DAY
    moved, gone = placed(before, to, since), ended(before, since)
    assert is_sound(moved) and is_sound(gone)
    assert placed(moved, to, since) == moved and ended(gone, since) == gone

    def at_school(pieces: tuple[Enrolment, ...], day: date) -> str | None:
        return class_on(replace(known_of(pupils(1))[0], enrolments=pieces), day)

    assert at_school(moved, since) == to and at_school(gone, since) is None
    for day in (since - n * DAY for n in (1, 2, 7, 30)):
        assert at_school(moved, day) == at_school(gone, day) == at_school(before, day)


# --- anything ---------------------------------------------------------------------------------------------------------


def mangled(lines: Sequence[PupilLine], rng: Random) -> list[PupilLine]:
    found = []
    for line in lines:
        draw = rng.random()
        if draw < 0.1:
            continue
        if draw < 0.2:
            line = replace(line, school_class=rng.choice(["1/1", "1/2", "7/7"]))
        elif draw < 0.3:
            since = rng.choice([None, TODAY + DAY, TODAY - 9 * DAY, date(2026, 1, 1)])
            line = replace(line, state="left", state_day=since)
        elif draw < 0.4:
            line = replace(line, name=rng.choice(["Lê Khác", str(line.name).upper()]), birth=None)
        elif draw < 0.5:
            line = replace(line, code=rng.choice([f"x{line.code}", lines[0].code]), city_id=rng.choice([None, "u1"]))
        elif draw < 0.55:
            line = PupilLine(None, "1/2", city_id=rng.choice(["u1", "u2"]))
        found.append(line)
    return found


@given(st.integers(0, 10**9), st.booleans(), st.sampled_from(["keep", "leave"]))
@settings(max_examples=150, deadline=None)
def test_whatever_the_list_a_plan_that_is_applied_is_empty_the_second_time(
    seed: int, complete: bool, missing: str
) -> None:
    rng = Random(seed)
    lines = pupils(30, seed % 7)
    known = list(written([], planned([], [*lines[:25], PupilLine("U", "1/1", city_id="u1")], START)))
    for _ in range(3):
        listed = mangled(lines, rng)
        made = planned(known, listed, complete=complete, missing=missing)
        assert made.same + len(made.bad) + sum(c.kind != "missing" for c in made.changes) >= len(listed) - sum(
            line.state == "left" for line in listed
        )
        after = applied(known, made.changes, lambda: f"n-{rng.getrandbits(64)}")
        assert len({pupil.key for pupil in after}) == len(after) >= len(known), "nobody is ever lost"
        for ids in ([p.code for p in after if p.code], [p.city_id for p in after if p.city_id]):
            assert len(ids) == len(set(ids))
        assert all(is_sound(pupil.enrolments) for pupil in after)
        again = planned(after, listed, complete=complete, missing=missing)
        assert again.empty or made.bad, again.changes
        before = {pupil.key: pupil for pupil in known}
        for pupil in after:
            # Who left months ago, as a list says only now, wasn't in the class since then.
            if pupil.key in before and pupil.state != "left":
                day = TODAY - 60 * DAY
                assert class_on(pupil, day) == class_on(before[pupil.key], day)
        known = list(after)
