"""No derived absence before the watermark: whatever gateways went through and whatever of it has arrived."""

from __future__ import annotations

from collections import Counter
from datetime import date
from random import Random

import pytest

from hub.attendance.completeness import completeness
from hub.attendance.coverage import Waiver, reach, words
from hub.attendance.evidence import Session, Tap
from hub.attendance.schoolday import Binding, Pupil, SchoolDay, by_card, marks_of
from tests.hub.attendance.gateways import NEVER_MS, Device, delivered

WORLDS = 400
DAY = date(2026, 11, 23)


@pytest.mark.parametrize("branches", [False, True], ids=["one-card", "copied-and-restored"])
def test_what_is_complete_lacks_no_tap_that_stands_in_a_journal(branches: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(WORLDS):
        rng = Random(f"{branches} {seed}")
        device = Device("a", rng, branches=branches)
        device.live(rng.choice((20, 60, 140)))
        got = delivered(device, rng)
        from_ms = rng.choice((0, rng.randint(0, device.now_ms)))
        told = reach(device.facts(got, from_ms), (), from_ms)
        seen[told.why] += 1
        if told.through_ms is None:
            continue
        owed = {
            (tap.journal, tap.sequence) for tap in device.owed(got) if from_ms <= tap.seen_ms <= told.through_ms
        } - got
        lost = {flaw for flaw, _ in told.flaws}
        assert not owed or (owed <= device.damaged and "records-lost" in lost), (seed, told, sorted(owed)[:3])
        seen["proven"] += bool([tap for tap in device.owed(got) if from_ms <= tap.seen_ms <= told.through_ms])
    assert seen["proven"] > WORLDS // 8 and seen["missing"] > WORLDS // 20, seen
    assert not branches or seen["other-branch"], seen


def test_all_that_is_delivered_proves_all_to_the_last_word_of_an_undamaged_card() -> None:
    """The rule isn't kept by never saying anything."""
    for seed in range(100):
        device = Device("a", Random(seed), branches=False)
        device.live(80)
        whole = set(device.everything)
        told = reach(device.facts(whole, 0), (), 0)
        sure = [
            min([record.claim.sure_ms or 0, *(one.since_ms - record.claim.error_ms for one in record.claim.blind)])
            for record in device.everything.values()
            if record.claim is not None and record.claim.error_ms is not None
        ]
        assert told.through_ms == max(sure, default=None)


def test_a_derived_absence_stands_for_no_pupil_whose_tap_is_in_a_gateways_journal() -> None:
    derived = 0
    for seed in range(WORLDS // 2):
        rng = Random(f"marks {seed}")
        school = [Device(name, rng, branches=rng.random() < 0.3) for name in ("a", "b")[: rng.choice((1, 2))]]
        got: dict[str, set[tuple[str, int]]] = {}
        for device in school:
            device.live(60)
            got[device.name] = delivered(device, rng)
        end_ms = min(device.now_ms for device in school)
        final_ms = rng.randint(0, end_ms // 2)
        waivers = [Waiver("w.1", "a", final_ms, NEVER_MS, "thay-minh", "mất điện")] if rng.random() < 0.2 else []
        known = words([device.facts(got[device.name], 0) for device in school], waivers, 0)
        taps = [
            (tap.pupil, Tap(f"{tap.journal}.{tap.sequence}", "", tap.seen_ms, tap.seen_ms, tap.seen_ms))
            for device in school
            for tap in device.everything.values()
            if tap.kind == "tap" and (tap.journal, tap.sequence) in got[device.name]
        ]
        pupils = {tap.pupil for device in school for tap in device.everything.values() if tap.kind == "tap"} | {"away"}
        session = Session(DAY, "am", 0, final_ms, final_ms, final_ms, NEVER_MS)
        day = SchoolDay(
            tuple(Pupil(key, key, "1A", date.min, date.max) for key in sorted(pupils)),
            by_card(Binding(key, key, -NEVER_MS, NEVER_MS) for key in sorted(pupils)),
            {(DAY, "1A", "am"): session},
            tuple(taps),
            (),
            (),
            tuple(known),
        )
        standing = {tap.pupil for device in school for tap in device.owed(got[device.name]) if tap.seen_ms <= final_ms}
        for marked in marks_of(day):
            judged = marked.judged
            if judged.mark == "absent" and not judged.flags:
                derived += 1
                assert judged.pupil not in standing, (seed, judged)
        if waivers and completeness(known, final_ms).waived:
            assert all(one.judged.flags for one in marks_of(day) if one.judged.mark == "absent")
    assert derived > WORLDS // 16
