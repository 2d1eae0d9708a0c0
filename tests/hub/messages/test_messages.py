"""What parents are told: only from evidence, never stale, never without consent, and put right where it was wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attendance.evidence import Direction, Tap, Watermark
from hub.messages.planning import HELD_MS, MESSAGES_MAX, Message, plan
from hub.messages.words import LANGUAGES, TEXTS, Person, person_of, text_of
from tests.hub.messages.morning import Morning, kinds
from tests.hub.reports.book import MONDAY, at

AN = person_of("Nguyễn Văn An", "3/2")


def text(message: Message, clock: str) -> str:
    return text_of(message, AN, at(clock), "vi")


# --- by name, what went wrong elsewhere -------------------------------------------------------------------------------


def test_a_child_in_hospital_is_not_reported_as_arrived() -> None:
    """A brother took the card along; the parents know better, and a notice says so."""
    morning = Morning()
    morning.leave()
    morning.tap("06:58")
    morning.complete("08:00")
    assert morning.look("06:59") == morning.look("07:50") == []


def test_a_child_in_hospital_that_was_reported_as_arrived_is_put_right_by_the_teacher_s_word() -> None:
    morning = Morning()
    morning.tap("06:58")
    assert kinds(morning.look("06:59")) == ["arrived"]
    morning.deliver("06:59")
    morning.say("excused", "07:30")
    (corrected,) = morning.look("07:31")
    assert (corrected.kind, corrected.claim, corrected.by, corrected.first_kind) == (
        "corrected",
        "missing",
        "cô Lan",
        "arrived",
    )
    assert "Đính chính" in text(corrected, "07:31") and "nghỉ học có phép, theo cô Lan" in text(corrected, "07:31")


def test_what_nobody_got_yet_is_taken_back_and_not_corrected() -> None:
    morning = Morning()
    morning.tap("06:58")
    morning.look("06:59")
    morning.say("absent", "07:05")
    assert kinds(morning.look("07:06")) == ["not-recorded"]
    assert morning.states() == [("arrived", "cancelled"), ("not-recorded", "waiting")]


def test_what_somebody_may_have_got_is_not_tried_again_and_put_right() -> None:
    morning = Morning()
    morning.tap("06:58")
    morning.look("06:59")
    morning.rows[0].attempts = 1
    morning.say("absent", "07:05")
    assert kinds(morning.look("07:06")) == ["corrected"]
    assert morning.states() == [("arrived", "cancelled"), ("corrected", "waiting")]


def test_forgot_to_tap_out_and_nobody_is_told_anything_but_the_arrival() -> None:
    morning = Morning()
    morning.tap("06:58")
    morning.complete("20:00")
    assert kinds(morning.look("06:59")) == ["arrived"]
    morning.deliver("06:59")
    assert morning.look("20:00") == morning.look("20:00", "pm") == []
    tuesday = MONDAY + timedelta(days=1)
    morning.tap("06:58", None, day=tuesday)
    assert morning.look("20:00", "pm") == [], "the next morning's tap is no exit of yesterday"


def test_late_is_told_as_late_and_never_as_absent() -> None:
    morning = Morning()
    morning.tap("07:31")
    morning.complete("08:00")
    (late,) = morning.look("07:50")
    assert (late.kind, late.claim, late.minutes) == ("late", "there", 16)
    assert text(late, "07:50") == "An lớp 3/2 đến trường lúc 07:31 ngày 23/11/2026, cổng A, muộn 16 phút."


def test_late_within_the_clock_s_error_is_told_as_arrived() -> None:
    morning = Morning()
    morning.tap("07:21", error_s=90)
    assert kinds(morning.look("07:22")) == ["arrived"]


def test_a_guard_lets_a_pupil_in_and_parents_hear_of_it() -> None:
    morning = Morning()
    morning.say("present", "07:02", "bác Tư")
    (arrived,) = morning.look("07:03")
    assert (arrived.kind, arrived.by, arrived.place) == ("arrived", "bác Tư", "")
    assert text(arrived, "07:03") == "An lớp 3/2 đã đến trường lúc 07:02 ngày 23/11/2026, theo bác Tư."
    at_the_gate = Morning()
    at_the_gate.hands[at_the_gate.tap("07:02")] = "bác Tư"
    (arrived,) = at_the_gate.look("07:03")
    assert arrived.by == "bác Tư" and "cổng A, theo bác Tư" in text(arrived, "07:03")


def test_duplicate_punches_are_one_message() -> None:
    morning = Morning()
    for clock in ("06:58", "06:59", "07:00"):
        morning.tap(clock, None)
    assert kinds(morning.look("07:01")) == ["arrived"]
    morning.deliver("07:01")
    morning.tap("07:02", None)
    assert morning.look("07:03") == []


def test_1970_after_a_boot_without_network_is_told_to_nobody() -> None:
    morning = Morning()
    morning.taps.append(("a:st-an", Tap("j.1", "", 60_000, 0, 120_000, "in")))
    morning.tap("06:58", error_s=86_400 * 365)
    assert kinds(morning.look("07:00")) == [], "a time that may be a year old is no news"
    morning.tap("06:59", error_s=1800)
    (arrived,) = morning.look("07:00")
    assert "khoảng 06:58" in text(arrived, "07:00") and "đến muộn" in text(arrived, "07:00")


# --- never stale ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "told", "late"),
    [
        ("06:59", ["arrived"], False),
        ("07:28", ["arrived"], False),
        ("07:29", ["arrived"], True),
        ("10:29", ["arrived"], True),
        ("10:30", [], True),
        ("23:00", [], True),
    ],
)
def test_an_arrival_that_is_no_news_says_so_and_after_the_lessons_it_is_not_told(
    now: str, told: list[str], late: bool
) -> None:
    morning = Morning()
    morning.tap("06:58")
    found = morning.look(now)
    assert kinds(found) == told
    for message in found:
        assert ("Ghi nhận lúc 06:58 ngày 23/11/2026; tin này đến muộn." in text(message, now)) is late
        assert "07:2" not in text(message, now) and "06:58" in text(message, now)


def test_a_message_that_waited_is_told_late_or_ended_when_it_is_sent() -> None:
    morning = Morning()
    morning.tap("06:58")
    (arrived,) = morning.look("06:59")
    assert "đến muộn" not in text(arrived, "06:59") and "đến muộn" in text(arrived, "08:00")
    assert morning.deliver("10:30") == [] and morning.states() == [("arrived", "expired")]
    assert morning.look("10:31") == [], "and is not thought of again"


def test_an_uncertain_time_is_told_as_about_and_as_old_as_it_may_be() -> None:
    morning = Morning()
    morning.tap("06:58", error_s=600)
    (arrived,) = morning.look("06:59")
    assert "khoảng 06:58" in text(arrived, "06:59")
    assert "đến muộn" in text(arrived, "07:19") and "đến muộn" not in text(arrived, "07:17")


def test_a_tap_ahead_of_the_clock_waits_for_the_truth() -> None:
    morning = Morning()
    morning.tap("07:10")
    facts = morning.facts("07:10")
    assert facts is not None
    assert plan(facts, [], at("07:00")).messages == () and plan(facts, [], at("07:06")).messages


def test_a_leaving_of_two_hours_ago_is_not_told() -> None:
    for now, told in (("09:01", ["left"]), ("10:59", ["left"]), ("11:00", [])):
        morning = Morning()
        morning.tap("06:58")
        morning.look("06:59")
        morning.deliver("06:59")
        morning.tap("09:00", "out")
        assert kinds(morning.look(now)) == told


# --- the safety message -----------------------------------------------------------------------------------------------


def test_not_recorded_is_told_only_behind_the_final_time_with_every_gate_s_records_here() -> None:
    morning = Morning()
    morning.complete("07:44")
    assert morning.look("07:44") == morning.look("07:46") == []
    morning.complete("07:46")
    (missing,) = morning.look("07:46")
    assert text(missing, "07:46") == (
        "An lớp 3/2 chưa được ghi nhận đến trường tính đến 07:45 ngày 23/11/2026 (đủ dữ liệu, 1/1 cổng)."
        " Xin gia đình liên hệ nhà trường."
    )


def test_a_gate_whose_clock_runs_ahead_makes_nobody_missing_before_the_time() -> None:
    morning = Morning()
    morning.watermarks.append(Watermark("w", "cong", "complete", at("07:20"), at("08:00")))
    assert morning.look("07:41") == [] and kinds(morning.look("07:45")) == ["not-recorded"]


def test_a_clock_that_steps_back_behind_the_marks_makes_nobody_missing_before_the_time() -> None:
    morning = Morning()
    morning.complete("07:46")
    facts = morning.facts("07:46")
    assert facts is not None and facts.marked.judged.mark == "absent"
    assert plan(facts, morning.told(), at("07:44")).messages == () != plan(facts, morning.told(), at("07:45")).messages


def test_a_waived_gate_frightens_nobody_and_a_named_word_is_told_at_once() -> None:
    morning = Morning()
    morning.watermarks.append(Watermark("v", "cong", "waived", at("07:46"), at("07:46"), by="thầy Minh"))
    facts = morning.facts("07:50")
    assert facts is not None and facts.marked.judged.mark == "absent"
    assert morning.look("07:50") == []
    morning.say("unexcused", "07:51")
    (missing,) = morning.look("07:52")
    assert "được ghi vắng lúc 07:51 ngày 23/11/2026, theo cô Lan" in text(missing, "07:52")


def test_a_slip_of_the_finger_that_is_undone_is_told_to_nobody() -> None:
    """The page undoes a tap on the roll call for 20 s; a message that went out can't be undone."""
    for state, before in (("unexcused", None), ("absent", None), ("unexcused", "06:58"), ("left-early", "06:58")):
        morning = Morning()
        if before is not None:
            morning.tap(before)
            assert kinds(morning.look("06:59")) == ["arrived"]
            morning.deliver("06:59")
        morning.say(state, "07:30")  # type: ignore[arg-type]
        facts = morning.facts("07:30")
        assert facts is not None
        told = at("07:30") + HELD_MS
        assert plan(facts, morning.told(), at("07:30")).messages == ()
        assert plan(facts, morning.told(), told - 1).messages == () != plan(facts, morning.told(), told).messages
        morning.say("withdrawn", "07:30")
        assert morning.look("07:30") == morning.look("07:35") == []


def test_a_slip_in_a_roll_call_doesn_t_hold_back_what_gates_prove() -> None:
    morning = Morning()
    morning.complete("07:46")
    assert kinds(morning.look("07:46")) == ["not-recorded"], "a derived word has nobody who takes it back"


def test_who_has_leave_is_not_told_as_missing() -> None:
    morning = Morning()
    morning.say("unexcused", "07:30")
    assert kinds(morning.look("07:31")) == ["not-recorded"]
    morning.deliver("07:31")
    morning.say("withdrawn", "07:35")
    assert [one.claim for one in morning.look("07:36")] == ["unknown"]
    morning.deliver("07:36")
    morning.leave("08:00")
    (corrected,) = morning.look("08:01")
    assert corrected.excused and text_of(corrected, AN, at("08:01"), "en") == (
        "Correction of an earlier message (correction): An of class 3/2 is on leave."
        " If you did not ask for leave, please contact the school."
    )
    assert "An lớp 3/2 nghỉ học có phép." in text(corrected, "08:01")


def test_a_gate_in_which_somebody_may_be_missing_frightens_nobody() -> None:
    morning = Morning()
    morning.complete("07:46")
    morning.watermarks.append(Watermark("f", "cong", "flawed", at("06:30"), by="unread"))
    facts = morning.facts("07:50")
    assert facts is not None and "evidence-flawed" in facts.marked.judged.flags
    assert morning.look("07:50") == []


def test_excused_is_no_news_to_those_who_asked_for_it() -> None:
    morning = Morning()
    morning.leave()
    morning.complete("08:00")
    assert morning.look("08:00") == []
    morning.say("excused", "08:01")
    assert morning.look("08:02") == []


def test_who_comes_after_that_word_is_told_as_late_and_no_correction() -> None:
    morning = Morning()
    morning.complete("07:46")
    morning.look("07:46")
    morning.deliver("07:46")
    morning.tap("08:10")
    assert kinds(morning.look("08:11")) == ["late"]


def test_a_tap_that_came_late_from_an_offline_gate_corrects_it() -> None:
    morning = Morning()
    morning.complete("07:46")
    morning.look("07:46")
    morning.deliver("07:46")
    morning.tap("06:58")
    (corrected,) = morning.look("09:00")
    assert (corrected.kind, corrected.claim, corrected.first_kind) == ("corrected", "there", "not-recorded")
    assert "có mặt ở trường, ghi nhận lúc 06:58 ngày 23/11/2026, cổng A" in text(corrected, "09:00")
    morning.deliver("09:00")
    assert morning.look("09:01") == []


# --- attribution ------------------------------------------------------------------------------------------------------


def test_a_card_that_was_another_pupil_s_is_corrected_for_the_one_and_told_of_the_other() -> None:
    morning = Morning()
    morning.tap("06:58")
    morning.look("06:59")
    morning.deliver("06:59")
    morning.unbind("st-an", "st-binh")
    (corrected,) = morning.look("07:10")
    assert (corrected.kind, corrected.claim) == ("corrected", "unknown")
    assert "chưa rõ" in text(corrected, "07:10")
    assert kinds(morning.look("07:10", pupil="st-binh")) == ["arrived"]
    morning.deliver("07:10")
    morning.complete("08:00")
    (missing,) = morning.look("08:00")
    assert (missing.kind, missing.claim) == ("corrected", "missing")


def test_a_card_that_two_pupils_have_says_nothing_to_either() -> None:
    morning = Morning()
    morning.bindings += [type(morning.bindings[0])("a:st-an", "st-binh", 0, 1 << 60)]
    morning.tap("06:58")
    assert morning.look("06:59") == morning.look("06:59", pupil="st-binh") == []


def test_such_a_card_s_tap_is_not_the_time_that_a_person_s_word_is_told_with() -> None:
    morning = Morning()
    morning.bindings += [type(morning.bindings[0])("a:st-an", "st-binh", 0, 1 << 60)]
    morning.tap("06:40")
    morning.say("present", "07:05")
    (arrived,) = morning.look("07:06")
    assert (arrived.by, arrived.evidence, arrived.place) == ("cô Lan", ("r.1",), "")


def test_a_leaving_that_was_another_pupil_s_is_put_right() -> None:
    morning = Morning()
    morning.say("present", "07:00")
    morning.look("07:01")
    morning.tap("09:00", "out")
    assert kinds(morning.look("09:01")) == ["left"]
    morning.deliver("09:01")
    morning.unbind("st-an", "st-binh")
    (corrected,) = morning.look("09:10")
    assert (corrected.kind, corrected.claim, corrected.first_kind) == ("corrected", "there", "left")
    morning.deliver("09:10")
    assert morning.look("09:11") == []


# --- going in and out -------------------------------------------------------------------------------------------------


def test_out_and_in_again_is_told_step_by_step() -> None:
    morning = Morning()
    steps = (("06:58", "in", "arrived"), ("09:00", "out", "left"), ("09:20", "in", "arrived"), ("10:00", "out", "left"))
    for clock, way, kind in steps:
        morning.tap(clock, way)  # type: ignore[arg-type]
        assert kinds(morning.look(clock)) == [kind]
        morning.deliver(clock)
        assert morning.look(clock) == []


def test_a_gate_for_both_ways_tells_no_leaving() -> None:
    morning = Morning()
    morning.tap("06:58", None)
    morning.look("06:59")
    morning.tap("10:40", None)
    assert morning.look("10:41") == []


def test_who_stayed_over_noon_is_told_of_when_leaving_and_not_as_arrived() -> None:
    morning = Morning()
    morning.tap("06:58")
    assert morning.look("13:20", "pm") == []
    morning.tap("16:20", "out")
    assert kinds(morning.look("16:21", "pm")) == ["left"]


def test_who_comes_between_the_half_days_is_told_of_once_and_never_as_missing() -> None:
    morning = Morning()
    name = morning.tap("10:55", "in")
    morning.complete("13:30")
    assert "there" not in {one.claim for one in morning.look("10:58")}, "the morning is over"
    (arrived,) = morning.look("13:20", "pm")
    assert (arrived.kind, arrived.half, arrived.evidence, arrived.at_ms) == ("arrived", "pm", (name,), at("10:55"))
    again = Morning()
    steps: list[tuple[str, Direction, list[str]]] = [
        ("06:58", "in", ["arrived"]), ("10:50", "out", ["left"]), ("10:55", "in", ["arrived"]),
    ]  # fmt: skip
    for clock, way, told in steps:
        again.tap(clock, way)
        assert kinds(again.look(clock)) == told
        again.deliver(clock)
    assert again.look("11:50", "pm") == [], "it was told at once"


def test_who_only_comes_and_goes_between_the_half_days_is_told_as_neither() -> None:
    morning = Morning()
    morning.complete("08:00")
    assert kinds(morning.look("08:00")) == ["not-recorded"]
    morning.deliver("08:00")
    morning.complete("13:50")
    for clock, way in (("10:45", "in"), ("10:55", "out")):
        morning.tap(clock, way)  # type: ignore[arg-type]
        assert morning.look(clock) == []
    assert morning.look("11:01", "pm") == []
    assert kinds(morning.look("13:50", "pm")) == ["not-recorded"]


def test_a_person_s_word_that_the_pupil_left_early_is_told() -> None:
    morning = Morning()
    morning.say("left-early", "09:00", "cô y tế")
    assert kinds(morning.look("09:01")) == ["arrived", "left"]


def test_who_runs_in_and_out_fills_nobody_s_telephone() -> None:
    morning = Morning()
    for number in range(30):
        morning.tap(f"07:{number:02}", "out" if number % 2 else "in")
        morning.look(f"07:{number:02}")
        morning.deliver(f"07:{number:02}")
    assert len(morning.rows) == MESSAGES_MAX
    morning.say("absent", "08:00")
    assert kinds(morning.look("08:01")) == ["corrected"], "what is wrong is put right all the same"


# --- consent and kinds ------------------------------------------------------------------------------------------------


def test_without_consent_nothing_is_told_and_what_waits_is_taken_back() -> None:
    morning = Morning(consents=set())
    morning.tap("06:58")
    morning.complete("08:00")
    assert morning.look("06:59") == morning.look("08:00") == []
    morning.consents = {"st-an"}
    assert kinds(morning.look("08:00")) == ["arrived"]
    morning.consents = set()
    morning.look("08:00")
    assert morning.states() == [("arrived", "cancelled")]


def test_a_school_sends_only_the_kinds_it_chose_but_corrects_what_it_said() -> None:
    morning = Morning(kinds=("left",))
    morning.tap("06:58")
    assert morning.look("06:59") == []
    morning.tap("09:00", "out")
    assert kinds(morning.look("09:01")) == ["left"]
    morning.deliver("09:01")
    morning.unbind("st-an", "st-binh")
    assert kinds(morning.look("09:02")) == ["corrected"]


def test_what_the_receiver_refused_is_not_made_again_under_another_name() -> None:
    morning = Morning()
    morning.tap("06:58")
    morning.look("06:59")
    morning.rows[0].state, morning.rows[0].attempts = "refused", 1
    assert morning.look("07:00") == []


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_has_name_class_and_time_with_its_date(language: Any) -> None:
    morning = Morning()
    morning.tap("07:31")
    for message in morning.look("07:32"):
        said = text_of(message, Person("Ái", "8.10"), at("07:32"), language)
        assert all(
            part in said for part in ("Ái", "8.10", "07:31", "23/11/2026", "cổng A" if language == "vi" else "gate A")
        )
        assert language == "vi" or "cổng" not in said
    assert TEXTS["vi"].keys() == TEXTS["en"].keys()
    assert person_of("Nguyễn  Thị A\u0301i", "3/2").given == "Ái"


# --- whatever happens -------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.integers(0, 14),
        st.sampled_from(
            ["in", "out", "both", "say", "move", "complete", "leave", "consent", "deliver", "try", "refuse"]
        ),
        st.sampled_from(["present", "absent", "excused", "unexcused", "withdrawn", "late", "left-early"]),
    ),
    max_size=14,
)


@given(STEPS)
def test_whatever_happens_messages_rest_on_evidence_are_few_and_come_to_rest(steps: list[tuple[int, str, Any]]) -> None:
    morning, minute, clock = Morning(), 6 * 60 + 30, "06:30"
    for more, what, state in steps:
        minute += more
        clock = f"{minute // 60:02}:{minute % 60:02}"
        match what:
            case "in" | "out" | "both":
                morning.tap(clock, None if what == "both" else what)  # type: ignore[arg-type]
            case "say":
                morning.say(state, clock)
            case "move":
                morning.unbind("st-an", "st-binh" if morning.bindings[0].pupil == "st-an" else "st-an")
            case "complete":
                morning.complete(clock)
            case "leave":
                morning.leave(clock)
            case "consent":
                morning.consents ^= {"st-an"}
            case "deliver":
                morning.deliver(clock)
            case "try":
                for row in morning.rows:
                    row.attempts += row.state == "waiting"
            case _:
                for row in morning.rows:
                    if row.state == "waiting":
                        row.state = "refused"
        facts = morning.facts(clock)
        for message in morning.look(clock):
            assert facts is not None and "st-an" in morning.consents
            assert at(clock) < message.valid_until_ms and message.at_ms <= at(clock)
            if message.kind in ("arrived", "late", "left"):
                mine = {tap.id for tap in facts.taps} | ({facts.said.id} if facts.said else set())
                assert message.evidence and set(message.evidence) <= mine
            if message.kind == "not-recorded":
                derived = facts.known.complete and not facts.known.waived and at(clock) >= at("07:45")
                assert derived or (facts.said is not None and message.by == facts.said.by)
        assert morning.look(clock) == [], "asked again it says nothing"
        assert len(morning.rows) <= 2 * MESSAGES_MAX
    # A word that frightens is told once it is no slip any more.
    clock = f"{(minute + 1) // 60:02}:{(minute + 1) % 60:02}"
    morning.look(clock)
    heard = [row.message.claim for row in morning.rows if row.state == "sent" and row.message.claim != "gone"]
    facts = morning.facts(clock) if steps else None
    if (
        facts is not None
        and heard
        and "st-an" in morning.consents
        and not any(row.state == "refused" for row in morning.rows)
    ):
        waiting = [row.message.claim for row in morning.rows if row.state == "waiting" and row.message.claim != "gone"]
        last = (waiting or heard)[-1]
        mark = facts.marked.judged
        if mark.by and mark.mark in ("absent", "excused", "unexcused") and len(morning.rows) < 2 * MESSAGES_MAX:
            assert last == "missing", "nobody goes on believing what a person took back"
