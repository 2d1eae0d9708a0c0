"""The coverage's facts from a real ledger: watermarks, holes, journals before, parked and lost records, waivers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.attendance.claims import claim_of, watermark_of
from hub.attendance.completeness import Completeness, completeness
from hub.attendance.coverage import AWAKE_MS, Blind, Reach, reach
from hub.days.classbook import midnight_ms
from hub.days.office import EntryRefused
from protocol.anchors import BootAnchors, Timeline
from protocol.envelope import decode_event, rfc3339
from protocol.records import DeviceWatermark, Unseeing
from protocol.taps import ClockData
from protocol.time import Anchor
from tests.hub.days.test_daybook import AN, DAY, MINUTE_MS, School, mono_at
from tests.hub.handmade import T0_MS, Gateway, Run

DAWN = midnight_ms(DAY)


def at(clock: str) -> int:
    return T0_MS + mono_at(clock)


def say(
    run: Run, clock: str, *missed: Unseeing, stations: dict[str, str] | None = None, lag_ms: int = 2000,
    clock_day: date = DAY, **more: Any,
) -> int:  # fmt: skip
    """A watermark at a time of the day, of what was seen to `lag_ms` before; its sequence."""
    mono_ms = mono_at(clock, clock_day)

    def data(reading: ClockData) -> DeviceWatermark:
        return DeviceWatermark(
            len(run.lines),
            rfc3339(T0_MS + mono_ms - lag_ms),
            stations or {"cong-a": "gate"},  # type: ignore[arg-type]  # Kinds by their words.
            {"cong-a": "ready"},
            list(missed),
            reading,
        )

    run.add("device.watermark", data, mono_ms=mono_ms, **more)
    return len(run.lines)


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    yield made
    made.room.close()


def told(school: School, clock: str = "07:30", device: str = "cong") -> Reach:
    facts = {one.device: one for one in school.store.coverage.facts(DAWN, DAWN + 86_400_000)}
    waivers = school.store.coverage.waivers(DAWN)
    found = reach(facts[device], waivers, DAWN, DAWN + AWAKE_MS)
    # What the marks eat says the same.
    through = found.through_ms is not None and found.through_ms >= at(clock)
    assert known(school, clock).complete in (through, True)
    return found


def known(school: School, clock: str = "07:30") -> Completeness:
    return completeness(school.store.words(DAWN, DAWN + 86_400_000), at(clock))


def waits(school: School, clock: str = "07:30") -> str:
    """What is waited for, empty where all is here."""
    return "" if known(school, clock).complete else told(school, clock).why


def offer(school: School, run: Run, *ranges: tuple[int, int]) -> None:
    for first, last in ranges:
        school.room.batch(school.gate, school.gate.batch(run, first, last))
    school.read()


def test_the_marks_of_a_day_wait_for_the_gates_word_and_for_all_before_it(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    assert school.marks()["st-be"][0] == "not-known" and waits(school) == "not-heard"
    late = school.tap("a:04A1B2C3D4E582", "06:50", student="st-be")
    said = say(school.run, "08:50")
    offer(school, school.run, (said, said))
    assert school.marks()["st-be"][0] == "not-known" and told(school).what == {"records": 1}, "a tap is on its way"
    school.deliver()
    assert (school.marks()["st-be"], school.marks()["st-chi"][0]) == (("present", (late,)), "absent")
    assert told(school).through_ms == at("08:50") - 2000 - 15


def test_what_the_daybook_has_not_read_is_not_here(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    said = say(school.run, "08:50")
    offer(school, school.run, (1, 1), (said, said))
    assert waits(school) == "missing"
    school.room.batch(school.gate, school.gate.batch(school.run, 2, 2))
    assert waits(school) == "missing", "the ledger holds the tap, and no mark can be made of it yet"
    school.read()
    assert waits(school) == ""
    school.store.daybook.anew()
    assert waits(school) != ""
    school.read()
    assert waits(school) == ""


def test_what_was_asked_while_something_was_written_that_came_to_nothing_is_asked_again(school: School) -> None:
    say(school.run, "08:50")
    offer(school, school.run, (1, 2))

    def interrupted() -> None:
        with school.store.database.transaction() as connection:
            connection.execute("DELETE FROM watermarks")
            assert not known(school).complete
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert known(school).complete
    assert school.store.words(DAWN, DAWN + 1) is school.store.words(DAWN, DAWN + 1), "nothing was written between"


@pytest.mark.parametrize("days", [1, 2, 3, 95])
def test_a_gate_that_was_switched_off_for_days_makes_its_last_day_complete_with_its_next_run(
    school: School, days: int
) -> None:
    school.tap(AN, "06:40", student="st-an")
    say(school.run, "16:00")
    school.deliver()
    assert waits(school, "17:00") == "not-heard"
    before, last = school.run, len(school.run.lines)
    lost = school.tap(AN, "16:30", student="st-an")
    after = school.gate.run(after=before, mono_ms=mono_at("06:00", DAY + timedelta(days=days)))
    say(after, "06:01", clock_day=DAY + timedelta(days=days))
    offer(school, after, (1, 2))
    assert waits(school, "17:00") == "missing", "a tap of the evening is on its way"
    offer(school, before, (last + 1, last + 1))
    assert waits(school, "17:00") == "" and lost.endswith(f".{last + 1}")


def test_a_reader_that_saw_nobody_for_days_is_waited_for_no_longer_once_it_sees(school: School) -> None:
    blind_ms, days = at("07:00"), timedelta(days=4)
    say(school.run, "08:50", Unseeing("cong-a", rfc3339(blind_ms), None))
    say(school.run, "09:00", Unseeing("cong-a", rfc3339(blind_ms), None), clock_day=DAY + days)
    school.deliver()
    assert waits(school, "07:30") == "reader-blind"
    say(school.run, "09:10", Unseeing("cong-a", rfc3339(blind_ms), rfc3339(at("09:00"))), clock_day=DAY + days)
    school.deliver()
    assert waits(school, "07:30") == "" and known(school).flawed


def test_the_journal_before_must_be_here_to_its_end(school: School) -> None:
    for clock in ("06:40", "06:45"):
        school.tap(AN, clock, student="st-an")
    before, last = school.run, len(school.run.lines)
    after = school.gate.run(after=before, mono_ms=mono_at("06:50"))
    say(after, "08:50")
    offer(school, after, (1, 2))
    assert waits(school) == "missing", "the hub has nothing of it"
    offer(school, before, (1, last - 1))
    assert waits(school) == "missing" and told(school).what == {"records": 1}
    offer(school, before, (last, last))
    assert waits(school) == ""


def test_journals_of_days_before_are_asked_for_nothing(school: School) -> None:
    old = school.gate.run(after=school.run, mono_ms=mono_at("05:10", DAY - timedelta(days=2)))
    last = school.gate.run(after=old, mono_ms=mono_at("05:00", DAY - timedelta(days=1)))
    say(last, "08:50")
    offer(school, last, (1, 2))
    assert waits(school) == "", "whatever they hold is older than this day"


def test_a_parked_record_is_not_here_and_one_that_is_lost_is_named(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    run = school.run
    run.lines[1] = run.lines[1].replace(b'"attendance.tap', b'"attendance.nap').replace(b".tap.v1", b".nap.v1")
    broken = len(run.lines)
    say(run, "08:50", prev=None)
    school.deliver()
    assert broken in school.store.ledger.books.of_device("cong")[0].parked
    assert (waits(school), told(school).what) == ("parked", {"records": 1})
    gap = {"journal": run.journal, "first": broken, "last": broken, "reason": "journal-damaged"}
    after = school.gate.run(after=run, mono_ms=mono_at("08:55"))
    after.add("log.gap", gap, mono_ms=mono_at("08:55"))
    offer(school, after, (1, 2))
    assert known(school).complete and ("cong", "records-lost") in known(school).flawed
    absent = next(one for one in school.store.classbook.marks(DAY) if one.pupil.key == "st-chi").judged
    assert (absent.mark, absent.flags) == ("absent", ("evidence-flawed",))


def test_a_card_that_lied_lost_what_only_it_had_and_the_day_says_so(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    before, last = school.run, len(school.run.lines)
    after = school.gate.run(after=before, mono_ms=mono_at("06:41"))
    say(after, "08:50")
    offer(school, after, (1, 2))
    assert known(school) == Completeness(())
    told = f"{before.journal}: records {last + 1} to {last + 3} were synced, and the journal's file lacks them"
    after.add("device.alarm", {"code": "disk-low", "detail": told}, mono_ms=mono_at("08:51"))
    offer(school, after, (3, 3))
    assert known(school) == Completeness(())
    after.add("device.alarm", {"code": "records-gone", "detail": told}, mono_ms=mono_at("08:52"))
    offer(school, after, (4, 4))
    assert known(school) == Completeness((), (), (("cong", "records-lost"),))


def test_two_journals_after_one_and_a_person_who_gives_one_up(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    silent = school.gate.run(after=school.run, mono_ms=mono_at("06:45"))
    offer(school, silent, (1, 1))
    tick(school)
    other = school.gate.run(after=school.run, mono_ms=mono_at("06:50"))
    offer(school, other, (1, 1))
    assert waits(school) == "other-branch", "a copy of the card may be in use somewhere"
    say(other, "08:50")
    offer(school, other, (2, 2))
    assert waits(school) == "other-branch" and told(school).what["journal"] == silent.journal
    school.store.office.waive("thay-minh", "cong", at("07:00"), "thẻ cũ đã hỏng")
    assert known(school) == Completeness((), (), (("cong", "gateway-dark"), ("cong", "other-branch")))
    tick(school)
    silent.taps(1, mono_ms=mono_at("07:20"))
    offer(school, silent, (2, 2))
    assert waits(school) != "", "it lives"
    say(silent, "08:51")
    offer(school, silent, (3, 3))
    assert waits(school) == "", "both have said it"


def tick(school: School) -> None:
    """The hub's clock, which counts in ms, goes on."""
    before = school.store.clock.now_ms()
    while school.store.clock.now_ms() == before:
        pass


def test_a_waiver_is_a_record_and_says_who_and_why(school: School) -> None:
    school.tap(AN, "06:40", student="st-an")
    school.deliver()
    for device, reason in (("cong", "  "), ("khong-co", "mất điện"), ("cong", "x" * 201)):
        with pytest.raises(EntryRefused):
            school.store.office.waive("thay-minh", device, at("08:00"), reason)
    school.store.office.waive("thay-minh", "cong", at("08:00"), "mất điện từ 06:45")
    assert known(school) == Completeness((), (("cong", "thay-minh"),))
    assert school.marks()["st-be"][0] == "absent" and not known(school, "08:01").complete
    assert [waiver.reason for waiver in school.store.coverage.waivers(DAWN)] == ["mất điện từ 06:45"]
    rows = school.rows()
    school.store.daybook.anew()
    school.read()
    assert school.rows() == rows


def test_devices_that_are_accepted_pending_refused_and_retired(school: School) -> None:
    say(school.run, "08:50")
    school.deliver()
    school.room.state(Gateway("la-ai"))
    assert waits(school) == "", "nobody waits for a stranger"
    school.store.desk.carry_out("devices-retire", {"device": "la-ai"})
    assert waits(school) == ""
    school.room.known(Gateway("cong-moi"))
    assert known(school).complete, "it was accepted today, and this is another day"
    today = school.store.clock.now_ms() + 1_000
    assert "cong-moi" in completeness(school.store.words(DAWN, today), today).waiting
    school.store.desk.carry_out("devices-retire", {"device": "cong-moi"})
    [gone] = [one for one in school.store.coverage.facts(DAWN, DAWN) if one.device == "cong-moi"] or [None]
    assert gone is None, "it never said anything"
    school.store.desk.carry_out("devices-retire", {"device": "cong"})
    [cong] = school.store.coverage.facts(DAWN, DAWN + 86_400_000)
    assert cong.retired_ms is not None and cong.retired_ms > at("23:00")
    school.room.accept(school.gate)
    [cong] = school.store.coverage.facts(DAWN, DAWN + 86_400_000)
    assert cong.retired_ms is None


def test_a_counter_holds_up_no_gate(school: School) -> None:
    say(school.run, "08:50")
    school.deliver()
    counter = school.room.known(Gateway("bep"))
    run = counter.run(mono_ms=mono_at("05:00"))
    say(run, "06:00", stations={"quay": "canteen"})
    school.room.batch(counter, counter.batch(run))
    school.read()
    assert waits(school) == ""


# --- claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_moves_with_the_true_time_of_its_record() -> None:
    run = Run("urn:k12edge:dev:79000701-cong").open()
    since = rfc3339(T0_MS + 1000)
    say(run, "08:50", Unseeing("cong-a", since, None), err_ms=None)
    event = decode_event(run.lines[-1])
    timeline = Timeline()
    row = watermark_of(event, timeline.effective(event))
    assert row is not None and row.error_ms is None and claim_of(row).sure_ms is None
    timeline.boots[run.boot] = BootAnchors()
    timeline.boots[run.boot].state(Anchor(run.boot, mono_at("08:50"), at("08:50") + MINUTE_MS, 40, "ntp"))
    row = watermark_of(event, timeline.effective(event))
    assert row is not None
    claim = claim_of(row)
    assert claim.complete_to_ms == at("08:50") - 2000 + MINUTE_MS and claim.error_ms == 40
    assert claim.blind == (Blind("cong-a", T0_MS + 1000 + MINUTE_MS, None),)
    assert watermark_of(decode_event(run.lines[0]), timeline.effective(event)) is None


def test_a_whole_day_of_nine_gateways_is_complete_at_its_end(tmp_path: Path) -> None:
    school = School(tmp_path)
    for number in range(8):
        gateway = school.room.known(Gateway(f"cong-{number}"))
        run = gateway.run(mono_ms=mono_at("05:00"))
        for slot in range(5 * 12 + 6, 18 * 12 + 6):
            say(run, f"{slot // 12:02d}:{slot % 12 * 5:02d}")
        school.room.batch(gateway, gateway.batch(run))
    say(school.run, "18:30")
    school.deliver()
    assert known(school).complete
    school.room.close()
