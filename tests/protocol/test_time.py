"""Effective time: the truth lies inside the bound, whoever derives it and in whatever order the records came."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.anchors import STATED_MAX, BootAnchors, Timeline, dated, stated_anchor
from protocol.envelope import Event, decode_event, digest, encode_event, rfc3339
from protocol.taps import TapId
from protocol.time import DRIFT_PPM, Anchor, Effective, effective_time, error_at

SOURCE = "urn:k12edge:dev:s1-gate"
BIRTH_MS = 1_795_392_000_000
DAY_MS = 86_400_000
JOURNALS = tuple(f"{number:016x}" for number in range(1, 8))
BOOTS = tuple(f"{number:08x}" for number in range(1, 8))


def event(journal: str, sequence: int, kind: str, data: dict[str, Any], stated_ms: int) -> Event:
    return decode_event(
        encode_event(
            TapId(journal, sequence),
            source=SOURCE,
            kind=kind,
            time_ms=stated_ms,
            recorded_ms=stated_ms,
            prev=None if sequence == 1 else digest(b"x"),
            data=data,
        )
    )


def reading(boot: str, mono: int, err: int | None = None) -> dict[str, Any]:
    clock = {"boot": boot, "mono": mono, "wall": rfc3339(0), "sync": "none" if err is None else "ntp"}
    return clock if err is None else clock | {"err": err}


def opened(journal: str, before: str | None, boot: str, stated_ms: int, err: int | None = None) -> Event:
    previous = None if before is None else {"journal": before, "last": 9, "head": None}
    return event(journal, 1, "journal.opened", {"previous": previous, "clock": reading(boot, 0, err)}, stated_ms)


def tap(journal: str, sequence: int, boot: str, mono: int, stated_ms: int, err: int | None = None) -> Event:
    return event(journal, sequence, "attendance.tap", {"clock": reading(boot, mono, err)}, stated_ms)


def anchored(journal: str, sequence: int, boot: str, mono: int, wall_ms: int, err: int) -> Event:
    data = {"boot": boot, "mono": mono, "wall": rfc3339(wall_ms), "err": err, "source": "hub"}
    return event(journal, sequence, "boot.anchored", data, 0)


DRIFTS = st.integers(-DRIFT_PPM, DRIFT_PPM)


@given(DRIFTS, st.integers(0, 30 * DAY_MS), st.lists(st.tuples(st.integers(0, 30 * DAY_MS), st.integers(0, 5_000),
       st.integers(-100, 100)), min_size=1, max_size=5))  # fmt: skip
def test_the_truth_lies_inside_the_bound(ppm: int, mono: int, looks: list[tuple[int, int, int]]) -> None:
    """A crystal within its tolerance, anchors whose own error is within theirs: so is every time derived."""

    def true_ms(at_mono: int) -> float:
        return BIRTH_MS + at_mono * (1 + ppm / 1_000_000)

    anchors = [Anchor("b", at, round(true_ms(at) + err * share / 100), err + 1, "ntp") for at, err, share in looks]
    found = effective_time("b", mono, 0, anchors)
    assert found.quality == "anchored"
    assert found.not_before_ms is not None
    assert found.not_after_ms is not None
    # The drift tolerance is of true time; over CLOCK_BOOTTIME it differs by ppm of ppm, and results are whole ms.
    assert found.not_before_ms - 1 <= true_ms(mono) <= found.not_after_ms + 1
    assert found.not_before_ms <= found.best_ms <= found.not_after_ms


RIVALS = (
    Anchor("b", 100, 1_000, 5, "ntp"),
    Anchor("b", 200, 1_100, 5, "hub"),
    Anchor("b", 150, 1_040, 3, "ntp"),
    Anchor("b", 150, 1_047, 3, "hub"),
    Anchor("other", 150, 9, 0, "ntp"),
)


@given(st.permutations(RIVALS), st.integers(0, 400))
def test_every_keeper_chooses_alike(anchors: list[Anchor], mono: int) -> None:
    assert effective_time("b", mono, 0, anchors) == effective_time("b", mono, 0, sorted(anchors, key=str))


def test_the_anchor_with_the_least_bound_there_counts() -> None:
    early, late = Anchor("b", 0, BIRTH_MS, 50, "ntp"), Anchor("b", 10 * DAY_MS, BIRTH_MS + 10 * DAY_MS, 900, "hub")
    for mono, bound_ms in ((1_000, 51), (9 * DAY_MS, 900 + 8_640), (10 * DAY_MS, 900)):
        found = effective_time("b", mono, 0, [late, early])
        assert found.not_before_ms is not None and found.best_ms - found.not_before_ms == bound_ms


def test_the_bound_grows_with_the_drift_and_is_rounded_up() -> None:
    anchor = Anchor("b", 1_000, 0, 7, "ntp")
    assert error_at(anchor, 1_000) == 7
    assert error_at(anchor, 1_001) == 8
    assert error_at(anchor, 1_000 + 10_000) == error_at(anchor, 1_000 - 10_000) == 8
    assert error_at(anchor, 1_000 + 7 * DAY_MS) == 7 + 60_480


def test_without_anchors_the_moments_around_bound_it() -> None:
    assert effective_time("b", 5, 50, []) == Effective(50, None, None, "estimated")
    assert effective_time("b", 5, 50, [], before_ms=100) == Effective(100, 100, None, "estimated")
    assert effective_time("b", 5, 150, [], before_ms=100, after_ms=200) == Effective(150, 100, 200, "bounded")
    assert effective_time("b", 5, 900, [], before_ms=100, after_ms=200) == Effective(200, 100, 200, "bounded")
    assert effective_time("b", 5, 900, [], after_ms=200) == Effective(200, None, 200, "bounded")


def test_one_anchor_dates_the_whole_boot_before_and_after() -> None:
    """Booted in 1970, tapped, heard the hub an hour later: the tap is dated, and its own time is never changed."""
    line = Timeline()
    early = tap(JOURNALS[0], 2, BOOTS[0], 60_000, 60_000)
    assert line.effective(early) == Effective(60_000, None, None, "estimated")
    assert line.learn(anchored(JOURNALS[0], 3, BOOTS[0], 3_660_000, BIRTH_MS, 20)) == {BOOTS[0]}
    found = line.effective(early)
    assert found == Effective(BIRTH_MS - 3_600_000, BIRTH_MS - 3_600_380, BIRTH_MS - 3_599_620, "anchored")
    assert early.time == rfc3339(60_000)


def test_a_boot_between_two_others_gets_an_interval() -> None:
    line = Timeline()
    lost = tap(JOURNALS[1], 2, BOOTS[1], 500, 500)
    line.learn(opened(JOURNALS[0], None, BOOTS[0], BIRTH_MS, 10))
    line.learn(opened(JOURNALS[1], JOURNALS[0], BOOTS[1], 0))
    assert line.effective(lost) == Effective(BIRTH_MS - 10, BIRTH_MS - 10, None, "estimated")
    line.learn(opened(JOURNALS[2], JOURNALS[1], BOOTS[2], BIRTH_MS + DAY_MS, 30))
    assert line.effective(lost) == Effective(BIRTH_MS - 10, BIRTH_MS - 10, BIRTH_MS + DAY_MS + 30, "bounded")


def test_a_record_whose_time_cant_be_read_is_dated_at_the_beginning_of_time() -> None:
    record = msgspec.structs.replace(event(JOURNALS[0], 2, "device.alarm", {}, 0), time="then")
    assert Timeline().effective(record) == Effective(0, None, None, "estimated")


def test_another_boots_anchor_dates_nothing_of_this_one() -> None:
    assert effective_time("b", 5, 50, [Anchor("other", 5, 1_000, 1, "ntp")]).quality == "estimated"
    line = Timeline()
    line.learn(anchored(JOURNALS[0], 2, BOOTS[1], 0, BIRTH_MS, 1))
    assert not line.anchored(BOOTS[0])
    assert line.effective(tap(JOURNALS[0], 3, BOOTS[0], 1, 1)).quality == "estimated"


@given(st.integers(0, 2**32))
def test_the_order_of_arrival_changes_nothing(seed: int) -> None:
    rng = Random(seed)
    story: list[Event] = []
    for number, (journal, boot) in enumerate(zip(JOURNALS, BOOTS, strict=True)):
        certain = rng.random() < 0.5
        wall_ms = BIRTH_MS + number * DAY_MS if certain else rng.randrange(DAY_MS)
        story.append(opened(journal, JOURNALS[number - 1] if number else None, boot, wall_ms, 20 if certain else None))
        story += [tap(journal, 2 + n, boot, 1_000 * n, wall_ms + 1_000 * n) for n in range(3)]
        if rng.random() < 0.3:
            story.append(anchored(journal, 9, boot, 5_000, BIRTH_MS + number * DAY_MS, rng.randrange(1, 50)))
    one, other = Timeline(), Timeline()
    shuffled = rng.sample(story, len(story))
    for first, second in zip(story, shuffled, strict=True):
        one.learn(first)
        other.learn(second)
        other.learn(second)
    assert [one.effective(record) for record in story] == [other.effective(record) for record in story]


@pytest.mark.parametrize(
    "data",
    [{}, {"clock": None}, {"clock": 5}, {"clock": {"boot": 1, "mono": 2}}, {"clock": {"boot": "b"}},
     {"clock": {"boot": "b", "mono": "x"}}],
    ids=str,
)  # fmt: skip
def test_a_record_without_a_clock_has_its_own_word_only(data: dict[str, Any]) -> None:
    record = event(JOURNALS[0], 2, "device.alarm", data, BIRTH_MS)
    assert dated(record) is None
    line = Timeline()
    assert line.learn(record) == set()
    assert line.effective(record) == Effective(BIRTH_MS, None, None, "estimated")


@pytest.mark.parametrize(
    "change", [{"wall": "then"}, {"wall": None}, {"mono": "x"}, {"err": None}, {"boot": None}, {"wall": "2026-11-23"}]
)
def test_an_anchor_that_cant_be_understood_is_none(change: dict[str, Any]) -> None:
    data = {"boot": BOOTS[0], "mono": 1, "wall": rfc3339(BIRTH_MS), "err": 1, "source": "hub"}
    assert stated_anchor(event(JOURNALS[0], 2, "boot.anchored", data, 0)) is not None
    assert stated_anchor(event(JOURNALS[0], 2, "boot.anchored", data | change, 0)) is None
    assert stated_anchor(event(JOURNALS[0], 2, "device.alarm", data, 0)) is None


def test_what_is_kept_of_a_boot_is_bounded_and_the_best() -> None:
    kept = BootAnchors()
    for number in range(3 * STATED_MAX):
        kept.state(Anchor("b", number, number, 1 + (number * 7) % 100, "hub"))
        kept.read(Anchor("b", number, number, 1 + (number * 7) % 100, "ntp"))
    assert len(kept.stated) == STATED_MAX
    assert len(kept.all()) <= STATED_MAX + 3
    assert min(anchor.err for anchor in kept.all()) == 1
    assert kept.first is not None
    assert kept.last is not None
    assert (kept.first.mono, kept.last.mono) == (0, 3 * STATED_MAX - 1)
    assert not kept.state(kept.stated[0]), "the same again changes nothing"
    assert msgspec.json.decode(msgspec.json.encode(kept), type=BootAnchors) == kept


def test_what_is_kept_of_a_boot_does_not_go_by_the_order_of_arrival() -> None:
    anchors = [Anchor("b", number, number, 1 + (number * 7) % 191, "hub") for number in range(3 * STATED_MAX)]
    best = sorted(anchor.err for anchor in anchors)[:STATED_MAX]
    for seed in range(5):
        kept = BootAnchors()
        for anchor in Random(seed).sample(anchors, len(anchors)):
            kept.state(anchor)
        assert [anchor.err for anchor in kept.stated] == best


def test_a_records_own_certain_reading_dates_it_where_no_kept_one_is_better() -> None:
    """Of readings only a boot's first, last and best are kept; drift makes them poor in the middle of a month."""
    line, month_ms = Timeline(), 30 * DAY_MS
    middle = tap(JOURNALS[0], 3, BOOTS[0], month_ms // 2, BIRTH_MS + month_ms // 2, 12)
    for one in (
        tap(JOURNALS[0], 2, BOOTS[0], 0, BIRTH_MS, 10),
        middle,
        tap(JOURNALS[0], 4, BOOTS[0], month_ms, BIRTH_MS + month_ms, 10),
    ):
        line.learn(one)
    found = line.effective(middle)
    assert found.not_before_ms is not None and found.best_ms - found.not_before_ms == 12


def test_a_journal_that_is_heard_again_stays_where_it_was() -> None:
    line = Timeline()
    line.learn(opened(JOURNALS[0], None, BOOTS[0], BIRTH_MS, 10))
    line.learn(opened(JOURNALS[1], None, BOOTS[1], BIRTH_MS + 9_000, 10))
    line.learn(opened(JOURNALS[2], JOURNALS[0], BOOTS[2], 0))
    before = line.effective(tap(JOURNALS[2], 2, BOOTS[2], 5, 7))
    line.learn(opened(JOURNALS[2], JOURNALS[1], BOOTS[2], 0))
    assert line.effective(tap(JOURNALS[2], 2, BOOTS[2], 5, 7)) == before
    assert before.not_before_ms == BIRTH_MS - 10


def test_a_circle_of_journals_ends() -> None:
    line = Timeline()
    line.learn(opened(JOURNALS[0], JOURNALS[1], BOOTS[0], 0))
    line.learn(opened(JOURNALS[1], JOURNALS[0], BOOTS[1], 0))
    assert line.effective(tap(JOURNALS[0], 2, BOOTS[0], 1, 7)) == Effective(7, None, None, "estimated")
