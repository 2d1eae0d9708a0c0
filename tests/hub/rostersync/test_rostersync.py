"""Pulls of the city's roster without a socket: nobody is lost by paging, goes for a slip, or stays for ever."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.city.oneroster import judged, moment, parameters
from hub.lists.known import Enrolment, KnownPupil
from hub.rostersync.asking import Ask, Busy, Page, Refused, Unreachable
from hub.rostersync.due import DAY_MS, DELTA_MS, HOUR_MS, due, night_of, pause_ms
from hub.rostersync.held import merged
from hub.rostersync.plan import Asked, many
from hub.rostersync.pull import DeltaRefused, Gathered, Harvest, Pull, PullFailed, RosterMisrouted
from hub.rostersync.register import SchoolUnknown, register
from hub.rostersync.rows import NEEDED, OPTIONAL, Row, User, read_page
from hub.rostersync.settling import OVERLAP_MS, Settled, SyncState, YearUnknown, settle, since_ms
from hub.rostersync.walk import PAGES_MAX, WALKS_MAX, Walk, WalkFailed
from protocol.errors import BadMessage
from sim.city.rosterapi import Manners, RosterApi
from sim.city.rosterbook import IDENTIFIER, RosterBook
from sim.rostersync.story import BEGIN_MS
from sim.rostersync.twin import Clock, HubSide

TODAY = date(2026, 11, 25)


class School:
    """A city with a small school, and the hub's side of it."""

    def __init__(self, pupils: int = 60, *, forgets: bool = False, **manners: Any) -> None:
        self.clock = Clock(BEGIN_MS)
        self.book = RosterBook(pupils, 1, self.clock.now_ms, forgets=forgets)
        self.api = RosterApi(self.book, Manners(**manners))
        self.hub = HubSide(self.clock, Random(1))

    def act(self, **changed: Any) -> None:
        self.api.manners = msgspec.structs.replace(self.api.manners, **changed)

    def full(self, **asked: Any) -> Any:
        self.clock.ms += HOUR_MS
        return self.hub.until_pulled(self.api, "full", Asked(**asked))

    def delta(self) -> Any:
        self.clock.ms += DELTA_MS
        return self.hub.until_pulled(self.api, "delta")

    def same(self) -> bool:
        return self.hub.twin.enrolled() == self.book.pupils()

    def some(self, count: int) -> list[str]:
        return sorted(self.book.pupils())[:count]


def because(made: Any, reason: str) -> int:
    """How many changes have this reason."""
    return sum(reason in change.reasons for change in made.changes)


def walked(api: RosterApi, walk: Walk) -> Walk:
    """Walk to the end; no question twice."""
    while (ask := walk.ask()) is not None:
        told = api.answer(ask.collection, parameters(ask))
        answer = judged(ask.collection, told.status, httpx2.Headers(told.headers), told.body, 0)
        if isinstance(answer, Refused):
            assert walk.refused()
        else:
            assert isinstance(answer, Page)
            walk.take(answer.rows)
    return walk


# --- walking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clamp", [1, 7, 59, 60, 61, 0])
def test_a_short_page_ends_nothing(clamp: int) -> None:
    school = School(clamp=clamp)
    walk = walked(school.api, Walk("users"))
    assert walk.rows.keys() == school.book.rows["users"].keys() and walk.whole and not walk.walks


@pytest.mark.parametrize(
    ("manners", "walks"),
    [
        ({"ignores_filter": True}, 2),
        ({"refuses_filter": True}, 2),
        ({"ignores_sort": True}, 2),
        ({"duplicates": 1}, 0),
        ({"duplicates": 1, "ignores_filter": True}, 2),
    ],
    ids=str,
)
def test_a_server_that_can_not_page_by_key_is_walked_by_offset_until_two_walks_agree(
    manners: dict[str, Any], walks: int
) -> None:
    school = School(clamp=7, **manners)
    walk = walked(school.api, Walk("users"))
    assert walk.rows.keys() == school.book.rows["users"].keys()
    assert walk.whole and walk.walks == walks


def test_a_server_that_sorts_by_what_was_edited_last_is_seen_by_the_probe_from_behind() -> None:
    school = School(ignores_sort=True)
    # All but one stand in the order of their ids: the first page looks sorted.
    first = school.some(1)[0]
    held = school.book.rows["users"]
    school.book.rows["users"] = {name: held[name] for name in sorted(held)}
    school.book.rename(first, "Anh")
    school.act(clamp=20)
    walk = walked(school.api, Walk("users"))
    assert first in walk.rows and walk.walks == 2


def test_a_page_that_repeats_for_ever_ends_the_walk() -> None:
    school = School(repeats=True, clamp=7)
    with pytest.raises(WalkFailed, match="the same page again and again"):
        walked(school.api, Walk("users"))


def test_walks_that_never_agree_prove_nothing_gone() -> None:
    school = School(ignores_filter=True, clamp=7, edits=2)
    walk = walked(school.api, Walk("users"))
    assert walk.walks == WALKS_MAX and not walk.whole


def test_an_id_that_no_filter_can_hold_is_paged_over_by_offset() -> None:
    walk = Walk("users")
    walk.take([_row("a"), _row("b'c")])
    assert walk.ask() == Ask("users", offset=0)


def test_a_walk_is_bounded() -> None:
    walk = Walk("users")
    walk.take([_row("0")])
    walk.take([_row("zz")])
    for number in range(PAGES_MAX - 2):
        walk.take([_row(f"{number:05d}x")])
    with pytest.raises(WalkFailed, match="pages"):
        walk.take([_row("1")])


@given(
    seed=st.integers(0, 1 << 20),
    clamp=st.integers(1, 40),
    edits=st.sampled_from([0, 0.3, 1, 3]),
    forgets=st.booleans(),
)
def test_who_stands_still_is_seen_however_the_others_move(seed: int, clamp: int, edits: float, forgets: bool) -> None:
    school = School(30, seed=seed, clamp=clamp, edits=edits, forgets=forgets)
    before = set(school.book.rows["users"])
    # Where more come than a page has, a walk may fail; then nothing is taken for gone.
    with suppress(WalkFailed):
        walk = walked(school.api, Walk("users"))
        assert before & set(school.book.rows["users"]) <= set(walk.rows)


# --- a pull -----------------------------------------------------------------------------------------------------------


def pulled(pull: Pull, answers: Sequence[Any]) -> list[int]:
    """The waits that answers lead to."""
    waits = []
    for answer in answers:
        assert pull.ask() is not None
        waits.append(pull.take(answer))
    return waits


def test_failures_are_tried_again_and_end_the_pull_when_they_go_on() -> None:
    pull = Pull("full", None, Random(1))
    waits = pulled(pull, [Unreachable("cut"), Unreachable("slow"), Page((), 5), Unreachable("cut")])
    assert all(wait > 0 for wait in (waits[0], waits[1], waits[3])) and waits[2] == 0
    with pytest.raises(PullFailed, match="academicSessions: cut"):
        pulled(pull, [Unreachable("cut")] * 5)


@pytest.mark.parametrize(
    ("after_ms", "within"), [(0, True), (2_000, True), (60_000, True), (60_001, False), (9_000_000, False)]
)
def test_a_busy_city_is_left_alone_as_long_as_it_asks(after_ms: int, within: bool) -> None:
    pull = Pull("full", None, Random(1))
    if within:
        assert pulled(pull, [Busy(after_ms)])[0] >= max(1, after_ms)
    else:
        with pytest.raises(PullFailed) as caught:
            pulled(pull, [Busy(after_ms)])
        assert caught.value.again_ms == after_ms


@pytest.mark.parametrize("status", [301, 401, 403, 404, 410])
def test_what_is_no_roster_server_is_told_to_people(status: int) -> None:
    with pytest.raises(RosterMisrouted, match=f"orgs: status {status}"):
        Pull("full", None, Random(1)).take(Refused(status))


def test_a_collection_that_a_server_may_lack_is_passed_over() -> None:
    pull = Pull("full", None, Random(1))
    pulled(pull, [Page((), 7)] * len(NEEDED) + [Refused(404), Refused(403), Refused(501), Page((), 9)])
    assert pull.ask() is None and set(pull.harvest().collections) == {*NEEDED, OPTIONAL[-1]}


def test_a_city_that_does_not_say_what_changed_is_asked_for_everything() -> None:
    with pytest.raises(DeltaRefused):
        Pull("delta", 5, Random(1)).take(Refused(400))
    state = SyncState(cursor_ms=5, full_ms=5, delta_refused=True)
    assert since_ms(state) is None
    assert Pull("delta", None, Random(1)).ask() == Ask("orgs")


@pytest.mark.parametrize(
    ("date_ms", "newest_ms", "cursor_ms"),
    [(100, 60, 60), (60, 100, 60), (None, 60, 60), (100, None, 100), (None, None, None)],
)
def test_the_cursor_is_the_earlier_of_the_citys_two_words_on_time(
    date_ms: int | None, newest_ms: int | None, cursor_ms: int | None
) -> None:
    pull = Pull("full", None, Random(1))
    rows = () if newest_ms is None else (Row("a", newest_ms, True, None),)
    pulled(pull, [Page(rows, date_ms), *([Page(rows, 10_000), Page((), 10_000)] if rows else [])])
    pulled(pull, [Page((), 10_000)] * (len(NEEDED) + len(OPTIONAL) - 1))
    assert pull.harvest().cursor_ms == cursor_ms


# --- deltas -----------------------------------------------------------------------------------------------------------


def test_a_delta_brings_who_comes_moves_is_renamed_and_leaves() -> None:
    school = School()
    school.full()
    moved, renamed, leaves = school.some(3)
    school.clock.ms += HOUR_MS
    school.book.move(moved, "9A9")
    school.book.rename(renamed, "Đức")
    school.book.leave(leaves)
    new = school.book.admit("6A1")
    made = school.delta()
    assert (made.counts()["moved"], because(made, "name"), made.counts()["left"], made.counts()["new"]) == (1, 1, 1, 1)
    assert school.same() and new in school.hub.twin.enrolled()
    assert not school.delta().changes
    assert school.hub.harvest is not None and len(school.hub.harvest.collections["users"].rows) < 10


def test_a_row_that_was_stamped_early_and_shown_late_comes_by_the_overlap() -> None:
    school = School()
    school.full()
    late, other = school.some(2)
    school.clock.ms += HOUR_MS
    school.book.rename(other, "Mới")
    school.delta()
    # Its transaction took 25 minutes: it was stamped before the last delta, and is there since.
    school.book.rename(late, "Muộn")
    school.book.rows["users"][late]["dateLastModified"] = moment(school.clock.ms - 25 * 60_000)
    school.delta()
    assert school.same()
    assert OVERLAP_MS == 30 * 60_000


@pytest.mark.parametrize("off_s", [-315_000_000, -3600, 3600, 315_000_000])
def test_a_wrong_date_header_hides_no_change(off_s: int) -> None:
    school = School(date_off_s=off_s)
    school.full()
    for _ in range(3):
        school.delta()
        school.book.move(school.some(1)[0], "9A9")
        school.book.admit("6A1")
        school.delta()
        assert school.same()


def test_a_delta_never_says_that_somebody_is_missing() -> None:
    school = School(forgets=True)
    school.full()
    school.book.leave(school.some(1)[0])
    for _ in range(3):
        assert not school.delta().changes


def test_who_is_moved_while_one_pages_does_not_leave() -> None:
    school = School()
    school.full()
    user = school.some(1)[0]
    enrolled = next(name for name, row in school.book.rows["enrollments"].items() if row["user"]["sourcedId"] == user)
    school.clock.ms += HOUR_MS
    school.book._end("enrollments", enrolled)
    made = school.delta()
    assert not made.changes and user in school.hub.twin.enrolled(), "the old place is gone, the new one not seen"
    assert school.full().counts()["missing"] == 1
    school.book._enrol(user, "9A9", None)
    made = school.delta()
    assert made.counts()["moved"] == because(made, "found") == 1
    assert not school.full().changes and school.same()


# --- grace ------------------------------------------------------------------------------------------------------------


def test_who_is_missing_once_stays_and_who_is_missing_twice_is_gone() -> None:
    school = School(forgets=True)
    school.full()
    gone = school.some(1)[0]
    school.book.leave(gone)
    made = school.full()
    assert made.counts()["missing"] == 1 and len(made.grace) == 1 and gone in school.hub.twin.enrolled()
    made = school.full()
    assert made.counts()["left"] == 1 and not made.grace and school.same()


def test_who_is_there_again_begins_anew() -> None:
    school = School()
    school.full()
    user, rows = school.some(1)[0], school.book.rows["users"]
    for _ in range(3):
        row = rows.pop(user)
        school.book._sorted.clear()
        assert school.full().counts()["missing"] == 1
        rows[user] = row
        school.book._sorted.clear()
        assert because(school.full(), "found") == 1 and school.same()


def _row(name: str, **facts: Any) -> Row:
    return Row(name, None, True, User(facts.get("name", "A B C"), None, ()))


def test_what_an_uncertain_walk_lacks_is_not_missing() -> None:
    whole = Harvest("full", {"users": Gathered({"a": _row("a"), "b": _row("b")}, True)}, 1, 1, ())
    held = merged({}, whole)
    for _ in range(5):
        held = merged(held, replace(whole, collections={"users": Gathered({"a": _row("a")}, False)}))
    assert held["users"]["b"].missing == 0


# --- the guard --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "enrolled", "trips"),
    [
        (20, 2000, False),
        (21, 2000, True),
        (5, 100, False),
        (6, 100, True),
        (1, 20, False),
        (2, 20, True),
        (3, 12, False),
    ],
)
def test_more_than_five_percent_or_twenty_are_a_fault(gone: int, enrolled: int, trips: bool) -> None:
    assert many(gone, enrolled) is trips


@pytest.mark.parametrize("forgets", [True, False])
def test_the_guard_keeps_everything_as_it_is_until_a_person_says_so(forgets: bool) -> None:
    school = School(100, forgets=forgets)
    school.full()
    before = dict(school.hub.twin.people)
    for user in school.some(6):
        school.book.leave(user)
    new = school.book.admit("6A1")
    for _ in range(3):
        made = school.full()
        assert made.guard is not None and made.guard.gone == 6 and made.guard.enrolled == 100
        assert school.hub.twin.people == before
    assert school.full(allow_gone=5).guard is not None, "a person allowed fewer"
    assert school.full(allow_gone=6).guard is None
    assert school.same() and new in school.hub.twin.enrolled()


def test_a_persons_word_takes_nobody_who_is_only_between_two_classes() -> None:
    school = School()
    school.full()
    user = school.some(1)[0]
    for name in school.book._enrolments(user, school.book.year):
        school.book._end("enrollments", name)
    made = school.full(allow_gone=5)
    assert made.counts()["missing"] == 1 and user in school.hub.twin.enrolled()
    assert school.full().counts()["left"] == 1


def test_five_of_a_hundred_may_go() -> None:
    school = School(100)
    school.full()
    for user in school.some(5):
        school.book.leave(user)
    assert school.full().guard is None and school.same()


@pytest.mark.parametrize("collection", ["users", "enrollments", "classes"])
def test_an_empty_answer_takes_nobody(collection: str) -> None:
    school = School(15)
    school.full()
    school.act(empty=[collection])
    for _ in range(3):
        made = school.full()
        assert made.guard is not None and made.guard.reason == "empty" and school.same()
    school.act(empty=[])
    assert school.full().guard is None and school.hub.state.guard is None


def test_many_small_deltas_are_as_much_as_a_large_one() -> None:
    school = School(100)
    school.full()
    for number in range(8):
        school.book.leave(school.some(1)[0])
        made = school.delta()
        assert (made.guard is not None) == (number >= 5), number
    assert len(school.hub.twin.enrolled()) == 95


# --- school years -----------------------------------------------------------------------------------------------------


def test_a_new_year_is_shown_before_it_begins_and_leavers_end_with_the_old_one() -> None:
    school = School(40)
    school.full()
    before = school.hub.twin.enrolled()
    school.clock.ms += 200 * DAY_MS
    gone = school.book.begin_year(2027, 10)
    ahead = school.full().rollover
    assert ahead is not None and not ahead.begins and (ahead.moved, ahead.new, len(ahead.leaving)) == (30, 0, 10)
    assert school.hub.twin.enrolled() == before, "a preview changes nothing"
    school.clock.ms += 90 * DAY_MS
    made = school.full()
    assert made.guard is None and made.rollover is not None and made.rollover.begins
    assert made.counts()["moved"] == 30 and {change.after.enrolments[-1].first for change in made.changes} == {
        date(2027, 9, 5)
    }
    assert gone <= school.hub.twin.enrolled().keys(), "held over: the city may still enter them"
    with pytest.raises(YearUnknown):
        school.full(begin_year="y-2026")
    made = school.full(begin_year="y-2027")
    assert made.counts()["left"] == 10 and made.guard is None and made.rollover is None
    assert set(school.hub.twin.ends().values()) == {date(2027, 5, 31)} and school.same()
    assert school.full().rollover is None


def test_a_year_that_the_city_has_not_entered_takes_nobody() -> None:
    school = School(40)
    school.full()
    school.clock.ms += 290 * DAY_MS
    school.book.add_year(2027)
    made = school.full()
    assert not made.changes and made.rollover is not None and len(made.rollover.leaving) == 40


def test_a_first_pull_takes_no_pupils_of_last_year() -> None:
    school = School(40)
    school.clock.ms += 290 * DAY_MS
    gone = school.book.begin_year(2027, 10)
    school.full()
    assert school.same() and not gone & school.hub.twin.enrolled().keys()


# --- who is who -------------------------------------------------------------------------------------------------------


def settled(school: School, known: Sequence[KnownPupil], **state: Any) -> Settled:
    pull = Pull("full", None, Random(1))
    while (ask := pull.ask()) is not None:
        told = school.api.answer(ask.collection, parameters(ask))
        pull.take(judged(ask.collection, told.status, httpx2.Headers(told.headers), told.body, 0))
    return settle(SyncState(**state), {}, pull.harvest(), known, IDENTIFIER, TODAY, school.clock.ms)


def pupil(key: str, name: str, at: str, **facts: Any) -> KnownPupil:
    """A pupil of the hub's whom the city didn't name yet."""
    made = KnownPupil(key, name, None, None, None, None, "provisional", "hand", 0, (Enrolment(at, date(2026, 9, 5)),))
    return replace(made, **facts)


def test_a_newcomer_is_found_by_the_schools_code_however_the_name_is_written() -> None:
    school = School(30)
    user = school.some(1)[0]
    one = pupil("st-hand", "Nguyen Van X", school.book.pupils()[user][1], code=code_of(school, user))
    (change,) = [change for change in settled(school, [one]).plan.changes if change.before is not None]
    assert change.after.key == "st-hand" and change.after.city_id == user and change.after.state == "enrolled"
    assert {"confirmed", "name", "city-id"} <= set(change.reasons)


def code_of(school: School, user: str) -> str:
    return str(school.book.rows["users"][user]["identifier"])


def test_a_newcomer_is_found_by_name_and_class_only_where_there_is_one() -> None:
    school = School(30)
    user = school.some(1)[0]
    one = pupil("st-hand", *school.book.pupils()[user])
    assert [change.before for change in settled(school, [one]).plan.changes if change.before] == [one]
    twin = replace(one, key="st-twin")
    assert not [change for change in settled(school, [one, twin]).plan.changes if change.before]


def test_a_newcomer_whom_the_city_never_names_expires() -> None:
    school = School(30)
    one = pupil("st-hand", "Trần Văn Lạ", "6A1")
    first = settled(school, [one])
    assert first.state.provisional == {"st-hand": TODAY}
    assert "provisional-waits" in {note.code for note in first.plan.notes}
    for days, left in ((30, 0), (31, 1)):
        later = settled(school, [one], provisional={"st-hand": TODAY - timedelta(days=days)})
        assert later.plan.counts()["left"] == left


@pytest.mark.parametrize("with_codes", [True, False])
def test_pupils_of_a_list_become_the_citys_and_keep_their_keys(with_codes: bool) -> None:
    school = School(30)
    codes = {user: code_of(school, user) if with_codes else None for user in school.book.pupils()}
    known = [
        pupil(f"st-{user}", *facts, state="enrolled", origin="list", code=codes[user])
        for user, facts in school.book.pupils().items()
    ]
    stranger = pupil("st-0", "Lê Thị Lạ", "6A1", state="enrolled", origin="list", code="HS1")
    made = settled(school, [*known, stranger]).plan
    assert {change.after.key for change in made.changes} == {one.key for one in known}
    assert made.counts()["new"] == 0 and because(made, "city-id") == 30 and made.guard is None
    assert {change.after.origin for change in made.changes} == {"city"}
    assert [note.code for note in made.notes] == ["not-at-city"], "the city may name them yet; a person decides"


def test_a_class_holds_from_now_on_and_days_before_keep_theirs() -> None:
    school = School(30)
    school.full()
    user = school.some(1)[0]
    at = school.book.pupils()[user][1]
    other = next(title for title in school.book.titles if title != at)
    school.clock.ms += 10 * DAY_MS
    school.book.move(user, other)
    school.delta()
    (one,) = [one for one in school.hub.twin.people.values() if one.city_id == user]
    begun = Enrolment(at, date(2026, 9, 5), date(2026, 12, 4))
    assert one.enrolments == (begun, Enrolment(other, date(2026, 12, 5)))


@pytest.mark.parametrize("births_too", [False, True])
def test_names_that_the_city_exchanges_are_mirrored(births_too: bool) -> None:
    """Two pupils' names had been mixed up there: its id says who they are, whatever a list would make of it."""
    school = School()
    school.full()
    one, other = school.some(2)
    school.clock.ms += HOUR_MS
    exchanged = [("users", ("familyName", "middleName", "givenName"))]
    for collection, cells in [*exchanged, ("demographics", ("birthDate",))][: 1 + births_too]:
        rows = school.book.rows[collection]
        before = {user: {cell: rows[user].get(cell) for cell in cells} for user in (one, other)}
        for user, whose in ((one, other), (other, one)):
            school.book._change(collection, user, **before[whose])
    made = school.full()
    assert because(made, "name") == 2 and not made.notes
    assert school.same()


@pytest.mark.parametrize("enrolments_too", [False, True])
def test_a_city_that_names_everybody_anew_loses_nobody(enrolments_too: bool) -> None:
    school = School(30)
    school.full()
    keys = {one.code: one.key for one in school.hub.twin.people.values()}
    for rows in (school.book.rows["users"], school.book.rows["demographics"]):
        for name in list(rows):
            rows["v" + name] = rows.pop(name) | {"sourcedId": "v" + name}
    enrolments = school.book.rows["enrollments"]
    for name, row in list(enrolments.items()):
        again = f"v{name}" if enrolments_too else name
        user = {"sourcedId": "v" + row["user"]["sourcedId"]}
        enrolments[again] = enrolments.pop(name) | {"sourcedId": again, "user": user}
    school.book._sorted.clear()
    if enrolments_too:
        assert school.full().guard is not None, "all old ones are missing: a person's matter"
    assert school.full(allow_gone=30 if enrolments_too else 0).guard is None
    assert school.same() and {one.code: one.key for one in school.hub.twin.people.values()} == keys


# --- the register -----------------------------------------------------------------------------------------------------


def found(school: School) -> tuple[Any, list[tuple[str, str]]]:
    state = settled(school, [])
    assert state.held is not None
    made = register(state.held, IDENTIFIER, TODAY, "y-2026")
    return made, [(note.code, note.about) for note in made.notes]


def test_names_are_written_family_middle_given_and_composed() -> None:
    school = School(40)
    made, _ = found(school)
    assert {name: (one.name, one.school_class) for name, one in made.pupils.items()} == school.book.pupils()
    decomposed = [row for row in school.book.rows["users"].values() if len(row["middleName"]) > len("Khánh")]
    assert decomposed, "the city writes some in pieces"


def test_a_pupil_in_two_classes_is_told_and_stands_in_the_newest() -> None:
    school = School(30)
    user = school.some(1)[0]
    other = next(title for title in school.book.titles if title != school.book.pupils()[user][1])
    school.book._enrol(user, other, date(2026, 11, 2))
    made, notes = found(school)
    assert notes == [("two-classes", user)] and made.pupils[user].school_class == other


def test_a_class_that_the_city_lacks_keeps_pupils_where_they_were() -> None:
    school = School(30)
    school.full()
    user = school.some(1)[0]
    at = school.book.pupils()[user][1]
    school.clock.ms += HOUR_MS
    school.book.move(user, "no class")
    made = school.delta()
    assert school.hub.twin.enrolled()[user][1] == at
    assert ("class-unknown", user) in {(note.code, note.about) for note in made.notes}


def test_personal_numbers_and_double_codes_are_nobodys_code() -> None:
    school = School(30)
    one, two, three = school.some(3)
    school.book._change("users", one, identifier="079201000001")
    school.book._change("users", two, identifier="HS7")
    school.book._change("users", three, identifier="HS7")
    _, notes = found(school)
    assert sorted(notes) == [("double-code", two), ("double-code", three), ("personal-number", one)]
    codes = {change.after.city_id: change.after.code for change in settled(school, []).plan.changes}
    assert (codes[one], codes[two], codes[three]) == (None, None, None)


def test_of_several_schools_only_our_own_counts() -> None:
    school = School(30)
    school.book._put("orgs", "org-x", {"name": "Khác", "type": "school", "identifier": "79000702"})
    school.book._change("classes", "y-2026-6A1", school={"sourcedId": "org-x"})
    made, _ = found(school)
    assert made.pupils.keys() == {user for user, (_, at) in school.book.pupils().items() if at != "6A1"}
    school.book._change("orgs", "org-79000701", identifier="79000799")
    with pytest.raises(SchoolUnknown):
        settled(school, [])


LONG = {"roles": [{"role": "r" * 1000}]}


def test_a_row_that_can_not_be_read_changes_nothing_and_takes_nobody() -> None:
    school = School(30)
    school.full()
    user = school.some(1)[0]
    school.clock.ms += HOUR_MS
    for facts in (
        {"givenName": 7},
        {"familyName": "\u202eevil"},
        {"familyName": "<b>Lê</b>"},
        {"familyName": "=1+1"},
        {"givenName": "x" * 200},
        {"roles": "student"},
        LONG,
    ):
        school.book._change("users", user, **facts)
        for made in (school.delta(), school.full(), school.full()):
            assert not made.changes and user in school.hub.twin.enrolled()
            assert ("row-unreadable", user) in {(note.code, note.about) for note in made.notes}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"users":{}}',
        b'{"users":[1]}',
        b'{"users":[{}]}',
        b'{"users":[{"sourcedId":7}]}',
        b'{"users":[{"sourcedId":""}]}',
        b'{"users":[{"sourcedId":"a\\u0000"}]}',
        b'{"users":[{"sourcedId":"a"}',
        b'{"users":' + b"[" * 10_000,
    ],
)
def test_an_answer_without_rows_is_none(body: bytes) -> None:
    with pytest.raises(BadMessage):
        read_page("users", body)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: b'{"users":[' + text.encode() + b"]}"))
def test_any_bytes_are_rows_or_none(body: bytes) -> None:
    with suppress(BadMessage):
        assert all(isinstance(row, Row) for row in read_page("users", body))


# --- when -------------------------------------------------------------------------------------------------------------

NIGHT_MS = night_of(BEGIN_MS, "s")


@pytest.mark.parametrize(
    ("state", "now_ms", "kind"),
    [
        (SyncState(), BEGIN_MS, "full"),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS), NIGHT_MS, None),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS), NIGHT_MS + DELTA_MS - 1, None),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS), NIGHT_MS + DELTA_MS, "delta"),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS, delta_ms=NIGHT_MS + DELTA_MS), NIGHT_MS + DELTA_MS + 1, None),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS, delta_ms=NIGHT_MS + 2 * DAY_MS), NIGHT_MS + DELTA_MS, "delta"),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS + 1), NIGHT_MS, "full"),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS), NIGHT_MS + DAY_MS - 1, "delta"),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS), NIGHT_MS + DAY_MS, "full"),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS, delta_refused=True), NIGHT_MS + HOUR_MS - 1, None),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS, delta_refused=True), NIGHT_MS + HOUR_MS, "delta"),
        (SyncState(full_ms=NIGHT_MS), NIGHT_MS + DELTA_MS, None),
        (SyncState(cursor_ms=1, full_ms=NIGHT_MS, guarded_ms=NIGHT_MS), NIGHT_MS + HOUR_MS, "full"),
    ],
)
def test_what_is_due(state: SyncState, now_ms: int, kind: str | None) -> None:
    made, wait_ms = due(state, now_ms, "s")
    assert made == kind and (wait_ms > 0) == (kind is None)
    if kind is None:
        assert due(state, now_ms + wait_ms, "s")[0] is not None


@given(st.integers(0, 1 << 42), st.text(max_size=8))
def test_nights_are_a_day_apart_and_between_one_and_four(now_ms: int, school: str) -> None:
    night_ms = night_of(now_ms, school)
    assert 0 <= now_ms - night_ms < DAY_MS
    assert HOUR_MS <= (night_ms + 7 * HOUR_MS) % DAY_MS < 4 * HOUR_MS


@given(st.integers(0, 1000), st.none() | st.integers(0, 1 << 40))
def test_a_city_that_fails_is_asked_ever_less_often_and_at_least_hourly(failures: int, again_ms: int | None) -> None:
    wait_ms = pause_ms(failures, again_ms, Random(1))
    assert 30_000 <= wait_ms <= HOUR_MS
    if again_ms is not None:
        assert wait_ms >= min(again_ms, HOUR_MS)
