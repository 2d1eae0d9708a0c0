"""Coverage, case by case: what a gateway went through, and until when its records count as all here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from hub.attendance.completeness import Completeness, completeness
from hub.attendance.coverage import Blind, Chapter, Claim, DeviceFacts, Gone, Hole, Waiver, ends, is_gate, reach, words
from hub.attendance.coveragewords import FLAWS, WHY, coverage_words
from hub.attendance.goldenday import FILES, parse_day

GATE, CANTEEN = {"cong-1": "gate", "cong-2": "gate"}, {"quay": "canteen"}


def at(clock: str, day: int = 23) -> int:
    return int(datetime.fromisoformat(f"2026-11-{day:02d}T{clock}:00+07:00").timestamp() * 1000)


DAWN, T = at("05:30"), at("07:30")


def claim(journal: str, sequence: int, clock: str, *blind: Blind, **more: object) -> Claim:
    to_ms = at(clock)
    made = Claim(journal, sequence, to_ms, to_ms, 15, GATE, blind)
    return replace(made, **more)  # type: ignore[arg-type]  # Fields of a claim, by their names.


def chapter(
    journal: str,
    opened: str,
    held_last: int,
    previous: tuple[str, int] | None = None,
    *holes: Hole,
    heard: str = "07:40",
) -> Chapter:
    return Chapter(journal, at(opened), previous, held_last, at(heard), holes, at(heard))


def device(
    chapters: tuple[Chapter, ...] = (), claims: tuple[Claim, ...] = (), name: str = "cong", **more: object
) -> DeviceFacts:
    links = {one.journal: (one.previous, one.held_last) for one in chapters}
    made = DeviceFacts(name, at("00:00", 1), None, at("07:40"), frozenset(), ends(links), chapters, claims)
    return replace(made, **more)  # type: ignore[arg-type]  # Fields of the facts, by their names.


ONE = chapter("j1", "05:00", 40)
WHOLE = device((ONE,), (claim("j1", 20, "07:30"), claim("j1", 40, "07:35")))


def told(known: DeviceFacts, *waivers: Waiver, at_ms: int = T) -> Completeness:
    return completeness(words([known], waivers, DAWN), at_ms)


def waiver(name: str = "cong", through: str = "08:00", made: str = "08:05") -> Waiver:
    return Waiver("h.7", name, at(through), at(made), "thay-minh", "Cổng sau mất điện")


def test_a_gateway_whose_word_reaches_and_whose_records_are_here_is_complete() -> None:
    assert reach(WHOLE, (), DAWN).through_ms == at("07:35") - 15
    assert told(WHOLE) == Completeness(())
    assert told(WHOLE, at_ms=at("07:35")).waiting == ("cong",), "15 ms of its clock are no proof"


def test_a_device_that_is_missing() -> None:
    """Nothing came from it since yesterday."""
    away = device((chapter("j0", "05:00", 40, heard="06:00"),), (claim("j0", 40, "18:30", at_ms=at("18:30", 22)),))
    away = replace(away, claims=(replace(away.claims[0], complete_to_ms=at("18:30", 22)),))
    assert told(away).waiting == ("cong",)
    assert reach(away, (), DAWN).why == "not-heard"


def test_a_device_that_is_late() -> None:
    """It says that all is written, and what is written is still on its way."""
    late = device(
        (replace(ONE, holes=(Hole(12, 14, at("07:20")),)),), (claim("j1", 10, "07:00"), claim("j1", 40, "07:35"))
    )
    found = reach(late, (), DAWN)
    assert (found.through_ms, found.why, found.what) == (at("07:00") - 15, "missing", {"records": 3})
    assert told(late).waiting == ("cong",)
    [_, proven, unproven] = words([late], (), DAWN)
    assert (proven.held, proven.last) == (10, 10) and (unproven.held, unproven.last) == (11, 40)
    assert told(WHOLE) == Completeness(()), "and is complete when it has come"


def test_what_is_missing_of_days_before_concerns_nobody_today() -> None:
    old = replace(ONE, holes=(Hole(2, 9, at("05:00")),))
    assert told(replace(WHOLE, chapters=(old,))).complete
    unknown = replace(ONE, holes=(Hole(2, 9, None),))
    assert not told(replace(WHOLE, chapters=(unknown,))).complete, "nobody knows of when they are"


@pytest.mark.parametrize(("why", "complete"), [("missing", False), ("parked", False), ("lost", True)])
def test_parked_records_are_not_here_and_lost_ones_are_waited_for_by_nobody(why: Gone, complete: bool) -> None:
    known = replace(WHOLE, chapters=(replace(ONE, holes=(Hole(7, 7, at("07:10"), why),)),))
    assert told(known).complete == complete
    assert told(known).flawed == ((("cong", "records-lost"),) if complete else ())


def test_the_journals_before_it_must_be_here_to_their_ends() -> None:
    before = chapter("j0", "05:00", 30, heard="06:40")
    after = chapter("j1", "06:41", 40, ("j0", 33))
    short = device((after, before), WHOLE.claims)
    assert (reach(short, (), DAWN).why, reach(short, (), DAWN).what) == ("missing", {"records": 3})
    assert told(replace(short, chapters=(after, replace(before, held_last=33)))).complete
    assert not told(device((after,), WHOLE.claims)).complete, "nothing is here of the one before"
    assert told(device((replace(after, opened_ms=at("05:00")),), WHOLE.claims)).complete, "which ended before dawn"


def test_a_device_restored_from_an_old_card() -> None:
    """Its card is a copy of before: what the one that broke wrote since, only the hub has; and what it didn't send?"""
    broken = chapter("j1", "05:00", 60, heard="06:50")
    restored = chapter("j2", "07:00", 40, ("j1", 30))
    known = device((broken, restored), (claim("j1", 20, "06:00"), claim("j2", 40, "07:35")))
    assert known.ends == ("j1", "j2")
    found = reach(known, (), DAWN)
    assert (found.through_ms, found.why) == (at("06:00") - 15, "other-branch") and found.what["journal"] == "j1"
    assert told(known).waiting == ("cong",)
    # A person knows that the old card is broken. Their word stands beside what is derived of that morning.
    given_up = told(known, waiver(through="06:00"))
    assert given_up.complete and not given_up.waived and ("cong", "other-branch") in given_up.flawed
    tomorrow = at("05:30", 24)
    next_day = replace(
        known,
        chapters=(broken, replace(restored, heard_ms=at("07:40", 24))),
        claims=(replace(claim("j2", 40, "07:35"), complete_to_ms=at("07:35", 24), at_ms=at("07:35", 24)),),
    )
    assert completeness(words([next_day], (), tomorrow), at("07:30", 24)).waiting == ("cong",), "nobody decided it yet"
    assert completeness(words([next_day], [waiver()], tomorrow), at("07:30", 24)) == Completeness(())


def test_a_cloned_card_runs_in_two_boxes_and_each_must_say_it() -> None:
    common = chapter("j1", "05:00", 30, heard="06:00")
    first, second = chapter("j2", "06:10", 40, ("j1", 30)), chapter("j3", "06:20", 9, ("j1", 30), heard="07:20")
    claims = (claim("j2", 40, "07:35"), claim("j3", 9, "07:15"))
    known = device((first, common, second), claims)
    assert reach(known, (), DAWN).through_ms == at("07:15") - 15
    assert told(known).waiting == ("cong",)
    assert told(replace(known, claims=(claims[0], claim("j3", 9, "07:31")))).complete
    # Given up by a person, and then it speaks again: it lives, and is waited for.
    given_up = waiver(through="07:00", made="07:21")
    assert told(known, given_up).complete
    alive = replace(known, chapters=(first, common, replace(second, heard_ms=at("07:25"))))
    assert told(alive, given_up).waiting == ("cong",)


def test_a_device_that_is_retired() -> None:
    retired = replace(device(), retired_ms=at("07:00"))
    both = words([retired, replace(WHOLE, device="cong-2")], (), DAWN)
    assert completeness(both, T) == Completeness((), (("cong", "retired"),)), "what it saw by then never came"
    assert completeness(both, at("06:59")).waiting == ("cong",), "until then it was needed"


def test_a_device_that_a_person_does_not_wait_for() -> None:
    assert told(device(), waiver()) == Completeness((), (("cong", "thay-minh"),))
    assert told(device(), waiver(), at_ms=at("08:01")).waiting == ("cong",)
    assert told(WHOLE, waiver()).waived == (), "it came all the same"


def test_a_device_that_is_replaced_under_a_new_name() -> None:
    old, new = (
        replace(WHOLE, claims=(), retired_ms=at("06:00")),
        replace(WHOLE, device="cong-moi", since_ms=at("06:10")),
    )
    assert completeness(words([old, new], (), DAWN), T) == Completeness((), (("cong", "retired"),))
    assert completeness(words([old, new], (), DAWN), at("05:50")).waiting == ("cong",), "the new one wasn't there yet"


def test_a_device_whose_clock_is_unsure() -> None:
    unsure = device((ONE,), (claim("j1", 40, "07:35", error_ms=None),))
    assert reach(unsure, (), DAWN).why == "clock-unsure" and told(unsure).waiting == ("cong",)
    wide = device((ONE,), (claim("j1", 40, "07:35", error_ms=360_000),))
    assert told(wide).waiting == ("cong",)
    assert told(device((ONE,), (claim("j1", 40, "07:35", error_ms=300_000),))).complete


def test_a_device_that_was_accepted_and_never_spoke() -> None:
    silent = device(name="cong-sau", heard_ms=None)
    assert is_gate(silent, DAWN) and told(silent).waiting == ("cong-sau",)
    assert reach(silent, (), DAWN).why == "never-heard"


def test_a_station_that_is_declared_anew_from_gate_to_canteen() -> None:
    now = replace(WHOLE, claims=(claim("j1", 20, "07:00"), claim("j1", 40, "11:00", stations=CANTEEN)))
    assert is_gate(now, DAWN), "this morning children came through it"
    assert not is_gate(now, at("11:00"))
    only = replace(now, claims=now.claims[1:])
    assert words([only], (), DAWN) == []
    assert is_gate(replace(only, tapped=frozenset(("gate", "canteen"))), DAWN), "its taps say so, too"
    assert not is_gate(device(tapped=frozenset(("canteen",))), DAWN) and is_gate(
        device(tapped=frozenset(("gate",))), DAWN
    )


def test_a_gate_whose_reader_sees_nobody_is_complete_only_until_then() -> None:
    still = Blind("cong-2", at("07:05"), None)
    known = device((ONE,), (claim("j1", 20, "07:00"), claim("j1", 40, "07:35", still)))
    found = reach(known, (), DAWN)
    assert (found.through_ms, found.why) == (at("07:05") - 15, "reader-blind") and found.what["station"] == "cong-2"
    assert told(known).waiting == ("cong",) and told(known, at_ms=at("07:04")).complete
    over = replace(still, until_ms=at("07:20"))
    assert told(device((ONE,), (claim("j1", 40, "07:35", over),))).flawed == (("cong", "reader-blind"),)
    assert told(device((ONE,), (claim("j1", 40, "07:35", over),)), at_ms=at("07:04")).flawed == ()
    elsewhere = claim("j1", 40, "07:35", Blind("quay", at("07:05"), None), stations={**GATE, **CANTEEN})
    assert told(device((ONE,), (elsewhere,))) == Completeness(()), "who comes to a counter came through a gate"
    by_night = replace(over, since_ms=at("19:00", 22), until_ms=at("05:00"))
    assert told(device((ONE,), (claim("j1", 40, "07:35", by_night),))) == Completeness(())


def test_a_gateway_that_was_off_in_the_morning_is_complete_and_says_so() -> None:
    off = device((chapter("j1", "07:10", 40, ("j0", 30)), chapter("j0", "05:00", 30, heard="06:40")), WHOLE.claims)
    assert told(off) == Completeness((), (), (("cong", "gateway-dark"),))
    night = replace(off, chapters=(replace(off.chapters[0], opened_ms=at("05:31")), off.chapters[1]))
    assert told(night) == Completeness(())


# --- in words ---------------------------------------------------------------------------------------------------------


def test_five_of_five_gates() -> None:
    names = {f"c-{number}": "gate" for number in range(3)}
    known = [replace(WHOLE, claims=(claim("j1", 40, "07:35", stations=names),)), replace(WHOLE, device="cong-b")]
    vi, en = (coverage_words(known, (), DAWN, T, language) for language in ("vi", "en"))  # type: ignore[arg-type]
    assert (vi.total, en.total, vi.complete) == ("đủ 5/5 cổng", "5 of 5 gates", True)
    assert [(line.device, line.state, line.complete_to) for line in vi.lines] == [
        ("cong", "complete", "07:34"),
        ("cong-b", "complete", "07:34"),
    ]


def test_what_is_waited_for_is_said_of_each_gate() -> None:
    blind = device((ONE,), (claim("j1", 40, "07:35", Blind("cong-2", at("07:05"), None)),), "b")
    away = device(name="c", since_ms=at("17:00", 20))
    known = [replace(WHOLE, device="a"), blind, away, replace(away, device="d", retired_ms=at("06:00"))]
    found = coverage_words(known, (), DAWN, T, "vi")
    assert (found.total, found.complete) == ("đủ 3/5 cổng", False)
    assert [line.why for line in found.lines] == [
        "",
        "đầu đọc cong-2 không thấy ai từ 07:05",
        "chưa nghe thấy lần nào từ khi được duyệt 17:00 20/11/2026",
    ]
    waived = coverage_words(known, [waiver("b"), waiver("c")], DAWN, T, "en")
    assert waived.complete and waived.total == "3 of 5 gates"
    assert waived.lines[2].why == "not waited for: thay-minh, 08:05. Cổng sau mất điện"
    assert not coverage_words([], (), DAWN, T, "vi").complete, "nobody could have seen who came"


def test_every_reason_has_its_words_in_both_languages() -> None:
    from typing import get_args

    from hub.attendance.coverage import Flaw, Why

    assert set(WHY) == set(get_args(Why)) and set(FLAWS) == set(get_args(Flaw))
    assert all(set(said) == {"vi", "en"} and all(said.values()) for said in (*WHY.values(), *FLAWS.values()))


def test_a_golden_day_says_what_is_flawed() -> None:
    files = {name: (",".join(columns) + "\n").encode() for name, columns in FILES.items()}
    files["watermarks.csv"] += b"x.1,2026-11-23T07:00:00.000+07:00,cong,flawed,,,,,records-lost\n"
    [word] = parse_day("day", files).watermarks
    assert (word.kind, word.by) == ("flawed", "records-lost")
