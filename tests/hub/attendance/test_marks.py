"""The rules of a mark, one by one: what taps, people, notices and completeness say together of a half-day."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.completeness import Completeness
from hub.attendance.evidence import DAY_MS, STATES, Direction, Leave, Session, Statement, Tap
from hub.attendance.marks import THERE, Judged, Presence, judge, presence
from hub.attendance.redink import corrections_of
from hub.attendance.schoolday import NEVER_MS, Binding, attributed
from protocol.records import Half, State

DAY = date(2026, 11, 23)
COMPLETE, WAITING = Completeness(()), Completeness(("cong-b",))


def at(clock: str) -> int:
    return int(datetime.fromisoformat(f"{DAY}T{clock}+07:00").timestamp() * 1000)


def session(half: Half = "am", *, stays: bool = False) -> Session:
    if half == "am":
        return Session(DAY, "am", at("05:30"), at("07:15"), at("07:20"), at("07:45"), at("10:30"))
    return Session(DAY, "pm", at("11:00"), at("13:15"), at("13:20"), at("13:45"), at("16:15"), stays)


def tap(clock: str, direction: Direction | None = None, error_s: int = 0, name: str = "") -> Tap:
    best_ms = at(clock)
    return Tap(name or f"j.{clock}", "p", best_ms, best_ms - 1000 * error_s, best_ms + 1000 * error_s, direction)


def morning(*taps: Tap) -> Presence:
    return presence("p", session(), taps, at("00:00"), at("11:00"), None)


def afternoon(*taps: Tap, stays: bool = True) -> Presence:
    return presence("p", session("pm", stays=stays), taps, at("10:30"), at("23:59"), morning(*taps))


def said(state: State, clock: str = "07:30", by: str = "co-lan") -> Statement:
    return Statement(f"r.{clock}.{state}", "p", DAY, "am", state, at(clock), by)


def mark(
    *taps: Tap,
    statements: tuple[Statement, ...] = (),
    leaves: tuple[Leave, ...] = (),
    known: Completeness = COMPLETE,
) -> Judged:
    return judge("p", session(), morning(*taps), statements, leaves, known)


LEAVE = Leave("l.1", "p", (DAY, "am"), (DAY, "am"), at("06:00"), "me-an")


# --- taps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taps", "outcome", "minutes", "flags"),
    [
        ((tap("06:58"),), "present", 0, ()),
        ((tap("07:20"),), "present", 0, ()),
        ((tap("07:21"),), "late", 6, ()),
        ((tap("07:21", error_s=90),), "present", 0, ("late-uncertain",)),
        ((tap("07:24", error_s=90),), "late", 9, ()),
        ((tap("06:58", "in"), tap("09:00", "out")), "left-early", 90, ()),
        ((tap("06:58", "in"), tap("09:00", "out"), tap("09:20", "in")), "present", 0, ()),
        ((tap("06:58", "in"), tap("10:29", "out", error_s=120)), "present", 0, ("leaving-uncertain",)),
        ((tap("06:58"), tap("09:00")), "present", 0, ()),
        ((tap("06:58"), tap("06:59"), tap("07:00")), "present", 0, ()),
        ((tap("09:00", "out"),), "left-early", 90, ("no-arrival",)),
        ((tap("10:40", "out"),), "present", 0, ("no-arrival",)),
        ((tap("06:50", "in"), tap("06:55", "out")), "present", 0, ("leaving-uncertain",)),
        ((tap("07:50", error_s=6 * 3600),), "present", 0, ("late-uncertain", "time-uncertain")),
    ],
)
def test_what_taps_say_of_a_morning(taps: tuple[Tap, ...], outcome: str, minutes: int, flags: tuple[str, ...]) -> None:
    found = mark(*taps)
    assert (found.mark, found.minutes, found.flags) == (outcome, minutes, flags)
    assert found.evidence == tuple(sorted(item.id for item in taps)) and found.by == ""


def test_late_is_there_and_never_absent() -> None:
    assert mark(tap("09:30")).mark == "late" and mark(tap("09:30")).there


def test_a_tap_of_another_half_day_says_nothing_of_this_one() -> None:
    assert mark(tap("11:00")).mark == mark(tap("10:59", "in")).mark == "absent"


def test_who_comes_before_the_gates_time_comes_for_the_day() -> None:
    for early in (tap("05:29"), tap("02:30"), tap("05:00", "in"), tap("00:00", "in")):
        found = mark(early)
        assert (found.mark, found.evidence, found.flags) == ("present", (early.id,), ()), early
    late_at_night = mark(tap("02:29"))
    assert (late_at_night.mark, late_at_night.flags) == ("not-known", ("way-uncertain",)), "may have left a feast"
    assert mark(tap("05:00", "out")).mark == "absent"
    assert mark(tap("05:00", "in"), tap("05:10", "out")).mark == "absent", "went before it opened"


def noon(*taps: Tap, stays: bool = True) -> Judged:
    """The mark of the afternoon."""
    return judge("p", session("pm"), afternoon(*taps, stays=stays), (), (), COMPLETE)


@pytest.mark.parametrize("stays", [True, False])
def test_who_comes_between_the_half_days_comes_for_the_afternoon(*, stays: bool) -> None:
    for clock in ("10:30", "10:45", "10:59"):
        came = tap(clock, "in")
        assert mark(came).mark == "absent", "behind the morning's last bell"
        found = noon(came, stays=stays)
        assert (found.mark, found.evidence, found.flags) == ("present", (came.id,), ()), clock
    back = noon(tap("06:58"), tap("10:35", "out"), tap("10:50", "in"), stays=stays)
    assert back.mark == "present" and back.evidence.count("j.10:50") == 1
    straddles = noon(tap("10:29", "in", error_s=120), stays=stays)
    assert straddles.mark == "present" if stays else straddles.flags == ("time-uncertain",)


@pytest.mark.parametrize("stays", [True, False])
def test_who_went_again_between_the_half_days_is_not_there(*, stays: bool) -> None:
    for taps in (
        (tap("10:40", "in"), tap("10:50", "out")),
        (tap("06:58"), tap("10:35", "out"), tap("10:45", "in"), tap("10:50", "out")),
        (tap("06:58"), tap("10:35", "in"), tap("10:50", "out")),
    ):
        found = noon(*taps, stays=stays)
        assert (found.mark, found.flags) == ("absent", ()), taps
    unsure = noon(tap("07:00", "in", error_s=3 * 3600 + 36 * 60), tap("10:40", "out"), tap("13:50", "in"), stays=False)
    assert (unsure.mark, unsure.minutes) == ("late", 35), "the tap before the leaving excuses nothing"


def test_what_happens_between_the_half_days_changes_no_morning() -> None:
    around = tap("10:45", "in"), tap("10:55", "out")
    assert mark(*around).mark == "absent"
    gone = mark(tap("07:00", "in"), tap("09:00", "out"), *around)
    assert (gone.mark, gone.minutes) == ("left-early", 90)


def test_between_the_half_days_a_gate_for_both_ways_says_nothing_for_sure() -> None:
    unseen = noon(tap("10:45"))
    assert (unseen.mark, unseen.evidence, unseen.flags) == ("not-known", ("j.10:45",), ("way-uncertain",))
    home = noon(tap("06:58"), tap("10:35"), stays=False)
    assert (home.mark, home.flags) == ("absent", ()), "who was there left by the first of them"
    maybe = noon(tap("06:58"), tap("10:35"), tap("10:50"), stays=False)
    assert (maybe.mark, maybe.evidence, maybe.flags) == ("not-known", ("j.10:50",), ("way-uncertain",))
    assert noon(tap("06:58"), tap("10:35"), tap("11:01"), stays=False).mark == "present"
    for taps in (
        (tap("07:00", "in"), tap("10:35", "out"), tap("10:50")),
        (tap("07:00", "in"), tap("09:00", "out"), tap("10:50")),
        (tap("10:40", "in"), tap("10:50")),
    ):
        found = noon(*taps, stays=False)
        assert (found.mark, found.evidence, found.flags) == ("not-known", ("j.10:50",), ("way-uncertain",)), taps


def test_a_tap_of_a_shared_card_between_the_half_days_is_no_absence() -> None:
    shared = Tap("j.1", "p", at("10:45"), at("10:45"), at("10:45"), None, sure=False)
    found = noon(shared)
    assert (found.mark, found.evidence, found.flags) == ("not-known", ("j.1",), ("ambiguous-card",))
    night = Tap("j.1", "p", at("02:00"), at("02:00"), at("02:00"), None, sure=False)
    assert mark(night).flags == ("ambiguous-card",)


def only_afternoon(*taps: Tap) -> Judged:
    """The mark in a class without a morning."""
    seen = presence("p", session("pm"), taps, at("00:00"), at("23:59"), None)
    return judge("p", session("pm"), seen, (), (), COMPLETE)


def test_in_a_class_of_the_second_shift_a_gate_for_both_ways_is_no_way_in_before_noon() -> None:
    assert only_afternoon(tap("10:55", "in")).mark == "present"
    for taps in ((tap("10:30"),), (tap("07:30"), tap("10:30")), (tap("07:30", "in"), tap("07:59"))):
        found = only_afternoon(*taps)
        assert (found.mark, found.flags) == ("not-known", ("way-uncertain",)), taps
    assert only_afternoon(tap("07:30", "in"), tap("10:30", "out")).mark == "absent"


def test_a_tap_that_by_its_clock_s_error_may_be_of_this_half_day_is_no_absence() -> None:
    # A box that started without the time: 02:00, give or take two hours.
    found = mark(tap("02:00", error_s=2 * 3600))
    assert (found.mark, found.evidence, found.flags) == ("not-known", ("j.02:00",), ("time-uncertain",))
    assert mark(tap("02:00", error_s=2 * 3600), leaves=(LEAVE,)).mark == "excused"
    late = mark(tap("11:05", "in", error_s=34 * 60))
    assert late.mark == "absent", "after the last bell nobody comes to this half-day"
    assert mark(tap("11:05", "in", error_s=36 * 60)).mark == "not-known"
    assert mark(tap("11:05", error_s=34 * 60)).mark == "not-known", "who leaves behind it was there"
    assert mark(tap("05:00", "out", error_s=2 * 3600)).mark == "absent", "a way out before the bell shows nobody"
    assert mark(tap("02:29", error_s=60)).flags == ("time-uncertain",)
    assert mark(tap("02:31", error_s=60)).flags == (), "within the three hours, at a gate for both ways"
    unsure = Tap("j.1", "p", at("05:00"), at("04:00"), at("06:00"), None, sure=False)
    assert mark(unsure).flags == ("ambiguous-card",)
    assert mark(unsure, tap("02:10", error_s=1800)).flags == ("ambiguous-card", "time-uncertain")


def test_who_only_left_before_the_bell_was_not_there() -> None:
    assert mark(tap("06:55", "out")).mark == "absent"


def within(clock: str, first: str, last: str, direction: Direction | None = "in", *, sure: bool = True) -> Tap:
    return Tap(f"j.{clock}", "p", at(clock), at(first), at(last), direction, sure)


@pytest.mark.parametrize(
    ("taps", "outcome", "flags"),
    [
        # Behind the last bell nobody comes: it is no arrival three hours late.
        ((tap("10:30", "in"),), "absent", ()),
        ((tap("10:29", "in"),), "late", ()),
        ((within("10:40", "10:20", "10:50"),), "not-known", ("time-uncertain",)),
        # Any tap that may have been in time excuses, not the first one's best guess alone.
        ((tap("07:40", "in"), within("07:50", "06:30", "08:30")), "present", ("late-uncertain",)),
        ((tap("07:40", "in"), within("04:30", "03:00", "08:30")), "present", ("late-uncertain",)),
        ((within("07:10", "06:00", "08:00"),), "present", ("late-uncertain",)),
        ((tap("07:40", "in"), within("07:00", "06:59", "07:01", sure=False)), "late", ("ambiguous-card",)),
        # Nor has left early who may have come back, or left before they came.
        (
            (tap("07:00", "in"), tap("09:00", "out"), within("08:55", "08:00", "10:00")),
            "present",
            ("leaving-uncertain",),
        ),
        ((tap("07:00", "in"), within("09:00", "06:00", "10:00", "out")), "present", ("leaving-uncertain",)),
        (
            (tap("07:00", "in"), within("09:05", "08:00", "10:00"), tap("09:00", "out")),
            "present",
            ("leaving-uncertain",),
        ),
        ((tap("07:00", "in"), tap("09:00", "out"), tap("10:35", "out")), "present", ()),
        ((tap("07:00", "in"), tap("08:00", "out"), within("09:00", "08:30", "09:30", "out")), "left-early", ()),
        # A way out that may be behind the bell may show the pupil.
        ((within("07:10", "06:00", "10:00", "out"),), "not-known", ("time-uncertain",)),
        # Who was there, went, and came back late comes late.
        ((tap("06:50", "in"), tap("06:55", "out"), tap("07:40", "in")), "late", ()),
        # A tap that may be of another day shows nobody by itself.
        ((Tap("j.1", "p", at("07:00"), at("07:00") - DAY_MS, at("07:10")),), "not-known", ("time-uncertain",)),
    ],
)
def test_what_an_uncertain_time_says_and_what_it_does_not(
    taps: tuple[Tap, ...], outcome: str, flags: tuple[str, ...]
) -> None:
    found = mark(*taps)
    assert (found.mark, found.flags) == (outcome, flags)


def test_a_card_that_changed_hands_within_a_tap_s_bounds_may_be_either_s() -> None:
    bindings = {"c": [Binding("c", "an", -NEVER_MS, at("12:00")), Binding("c", "be", at("12:00"), NEVER_MS)]}
    exact, wide = tap("11:59"), within("11:59", "11:50", "12:10")
    assert [(one.pupil, one.sure) for one in attributed([("c", exact)], bindings)] == [("an", True)]
    assert [(one.pupil, one.sure) for one in attributed([("c", wide)], bindings)] == [("an", False), ("be", False)]
    later = {"c": [Binding("c", "an", at("07:00"), NEVER_MS)]}
    assert [one.sure for one in attributed([("c", within("06:50", "06:00", "07:40"))], later)] == [False]
    ever = {"c": [Binding("c", "an", -NEVER_MS, NEVER_MS)]}
    unknown = Tap("j.1", "", 0, -NEVER_MS, NEVER_MS)
    assert [(one.pupil, one.sure) for one in attributed([("c", unknown)], ever)] == [("an", True)]


# --- afternoons -------------------------------------------------------------------------------------------------------


def test_present_all_day_with_one_tap_in_the_morning_is_no_absence_in_the_afternoon() -> None:
    found = afternoon(tap("06:58"))
    assert found.judged is not None and found.judged.mark == "present" and found.judged.evidence == ("j.06:58",)


def test_who_goes_home_at_noon_is_only_there_again_by_another_tap() -> None:
    assert afternoon(tap("06:58"), stays=False).judged is None
    again = afternoon(tap("06:58"), tap("13:05"), stays=False)
    assert again.judged is not None and again.judged.mark == "present"


def test_who_left_in_the_morning_is_not_carried_over_noon() -> None:
    assert afternoon(tap("06:58", "in"), tap("09:00", "out")).judged is None


def test_who_stayed_over_noon_and_leaves_early() -> None:
    found = afternoon(tap("06:58", "in"), tap("14:15", "out")).judged
    assert found is not None and (found.mark, found.minutes) == ("left-early", 120)


def test_a_short_way_out_at_noon_makes_nobody_late_who_stayed() -> None:
    found = afternoon(tap("06:58", "in"), tap("12:00", "out"), tap("13:05", "in")).judged
    assert found is not None and found.mark == "present"
    back = afternoon(tap("06:58", "in"), tap("12:00", "out"), tap("13:40", "in")).judged
    assert back is not None and back.mark == "late", "who went away comes like everybody else"


def test_who_went_home_at_noon_without_coming_back_is_not_there() -> None:
    assert afternoon(tap("06:58", "in"), tap("11:30", "out")).judged is None


# --- people, notices, completeness ------------------------------------------------------------------------------------


def test_nobody_is_absent_before_everything_is_here() -> None:
    assert mark(known=WAITING).mark == "not-known"
    assert mark(known=COMPLETE).mark == "absent"
    assert mark(known=Completeness((), (("cong-b", "thay-minh"),))).flags == ("waived",)


def test_excused_and_unexcused_are_only_ever_people_s_words() -> None:
    assert mark(statements=(said("unexcused"),)).by == "co-lan"
    found = mark(leaves=(LEAVE,), known=WAITING)
    assert (found.mark, found.by, found.evidence) == ("excused", "me-an", ("l.1",))


def test_the_newest_word_counts_and_may_be_taken_back() -> None:
    words = (said("unexcused", "07:30"), said("excused", "08:10"), said("present", "07:00"))
    assert mark(statements=words).mark == "excused"
    assert mark(statements=(*words, said("withdrawn", "08:20")), known=WAITING).mark == "not-known"


def test_a_person_s_word_stands_against_a_tap_and_both_are_shown() -> None:
    found = mark(tap("06:58"), statements=(said("absent"),))
    assert (found.mark, found.flags) == ("absent", ("tapped",)) and found.evidence == ("r.07:30.absent", "j.06:58")


def test_a_notice_and_a_tap_the_child_is_there_and_somebody_looks() -> None:
    assert mark(tap("06:58"), leaves=(LEAVE,)).flags == ("leave-but-tapped",)
    assert mark(tap("06:58"), leaves=(LEAVE,)).mark == "present"


def test_a_notice_for_the_afternoon_counts_for_who_stayed_over_noon_unless_a_tap_shows_them() -> None:
    notice = Leave("l.2", "p", (DAY, "pm"), (DAY, "pm"), at("07:00"), "co-lan")

    def judged(*taps: Tap) -> Judged:
        return judge("p", session("pm", stays=True), afternoon(*taps), (), (notice,), COMPLETE)

    assert (judged(tap("06:58")).mark, judged(tap("06:58")).evidence) == ("excused", ("l.2",))
    assert judged(tap("06:58"), tap("14:15", "out")).flags == ("leave-but-tapped",)
    assert judged(tap("06:58"), tap("11:30", "out")).mark == "excused"


def test_of_two_words_within_a_millisecond_the_later_record_is_the_newer() -> None:
    nine, ten = (Statement(f"5d0e.{n}", "p", DAY, "am", s, at("07:30"), "x") for n, s in ((9, "absent"), (10, "late")))  # type: ignore[arg-type]
    for words in ((nine, ten), (ten, nine)):
        assert mark(statements=words).mark == "late"
        assert corrections_of(words)["p", DAY, "am"].after == "late"


def test_a_notice_covers_the_half_days_between_its_ends() -> None:
    long = Leave("l", "p", (date(2026, 11, 20), "pm"), (date(2026, 11, 24), "am"), 0, "me")
    assert not long.covers(date(2026, 11, 20), "am") and long.covers(date(2026, 11, 20), "pm")
    assert (
        long.covers(DAY, "am") and long.covers(date(2026, 11, 24), "am") and not long.covers(date(2026, 11, 24), "pm")
    )


TAPS = st.lists(
    st.tuples(st.integers(at("05:00"), at("17:00")), st.integers(0, 7_200_000), st.sampled_from(["in", "out", None])),
    max_size=8,
).map(lambda rows: [Tap(f"j.{n}", "p", t, t - e, t + e, d) for n, (t, e, d) in enumerate(rows)])  # type: ignore[arg-type]
WORDS = st.lists(st.tuples(st.sampled_from(STATES), st.integers(0, 9)), max_size=4).map(
    lambda rows: tuple(Statement(f"r.{n + 1}", "p", DAY, "am", s, t, "x") for n, (s, t) in enumerate(rows))  # type: ignore[arg-type]
)


@given(TAPS, WORDS, st.booleans(), st.booleans(), st.randoms())
def test_whatever_is_known_a_mark_rests_on_evidence(
    taps: list[Tap], words: tuple[Statement, ...], complete: bool, leave: bool, rng: object
) -> None:
    leaves, known = ((LEAVE,) if leave else ()), (COMPLETE if complete else WAITING)
    found = mark(*taps, statements=words, leaves=leaves, known=known)
    last = words[-1] if words else None
    spoken = last is not None and last.state != "withdrawn"
    if found.mark in ("excused", "unexcused"):
        assert spoken or (leave and found.by == "me-an"), "derived by no rule"
    if found.mark == "absent" and not spoken:
        assert complete and not leave and morning(*taps).judged is None and not morning(*taps).near
    if found.mark == "not-known":
        assert not spoken and not leave and (not complete or morning(*taps).near)
    if found.mark in THERE and not spoken:
        assert found.evidence
    if found.mark == "late" and not spoken:
        gone = [item for item in taps if item.direction == "out" and item.not_after_ms < session().starts_ms]
        left_ms = max((item.not_before_ms for item in gone if item.id in found.evidence), default=0)
        arrivals = [item for item in taps if item.id in found.evidence and item.direction != "out"]
        behind = [item for item in arrivals if item.not_after_ms >= left_ms]
        assert behind and all(item.not_before_ms > session().late_after_ms for item in behind)
    if found.mark == "left-early" and not spoken:
        leavings = [item for item in taps if item.id in found.evidence and item.direction == "out"]
        assert any(item.not_after_ms < session().ends_ms for item in leavings)
    shuffled = sorted(taps, key=lambda item: hash(item.id))
    assert mark(*shuffled, statements=words, leaves=leaves, known=known) == found, "the order of arrival is no evidence"
