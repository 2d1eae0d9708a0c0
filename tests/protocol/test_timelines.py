"""Many records learned at once give the same anchors as one after the other."""

from __future__ import annotations

from random import Random

import pytest

from protocol.anchors import SPAN_MAX_MS, Timeline, dated
from protocol.envelope import Event, decode_event, encode_event, rfc3339
from protocol.taps import TapId
from protocol.time import effective_time

JOURNAL = "0b6f5c9e7d2a4f18"


def _event(sequence: int, kind: str, time_ms: int, data: dict[str, object]) -> Event:
    raw = encode_event(
        TapId(JOURNAL, sequence),
        source="urn:k12edge:dev:s1-g1",
        kind=kind,
        time_ms=time_ms,
        recorded_ms=time_ms,
        prev=None if sequence == 1 else "A" * 43,
        data=data,
    )
    return decode_event(raw)


def _records(rng: Random, count: int) -> list[Event]:
    events = []
    for sequence in range(2, count + 2):
        boot = rng.choice(("aaaaaaaa", "bbbbbbbb"))
        # Few different values, so that ties are common.
        mono, wall_ms, err = rng.randrange(12), 1_764_000_000_000 + rng.randrange(6), rng.randrange(4)
        if rng.random() < 0.15:
            # What no clock can say.
            mono, err, wall_ms = rng.choice([(1 << 70, err, wall_ms), (mono, 1 << 70, wall_ms), (mono, err, 1 << 47)])
        if rng.random() < 0.1:
            data: dict[str, object] = {
                "boot": boot,
                "mono": mono,
                "wall": rfc3339(wall_ms),
                "err": err,
                "source": "hub",
            }
            events.append(_event(sequence, "boot.anchored", wall_ms, data))
            continue
        clock: dict[str, object] = {"boot": boot, "mono": mono, "wall": rfc3339(wall_ms), "sync": "ntp"}
        if rng.random() < 0.8:
            clock["err"] = err
        event = _event(sequence, "attendance.tap", wall_ms, {"clock": clock} if rng.random() < 0.9 else {})
        if rng.random() < 0.1:
            event = Event(**{name: getattr(event, name) for name in event.__struct_fields__} | {"time": "no time"})
        events.append(event)
    return events


@pytest.mark.parametrize("seed", range(60))
def test_learning_all_is_learning_each(seed: int) -> None:
    rng = Random(seed)
    one, other = Timeline(), Timeline()
    for _ in range(4):
        records = _records(rng, rng.randrange(1, 12))
        for event in records:
            one.learn(event)
        before = {boot: str(kept) for boot, kept in other.boots.items()}
        changed = other.learn_all(records)
        after = {boot: str(kept) for boot, kept in other.boots.items()}
        assert one.boots == other.boots
        assert {boot for boot, kept in after.items() if before.get(boot) != kept} == changed


@pytest.mark.parametrize("seed", range(60))
def test_a_record_is_dated_by_the_nearest_of_its_own_reading_and_all_that_are_kept(seed: int) -> None:
    line, records = Timeline(), _records(Random(seed), 40)
    line.learn_all(records)
    for record in records:
        found = dated(record)
        if found is None or found.own is None:
            continue
        every = [*line.boots[found.boot].all(), found.own]
        assert line.effective(record) == effective_time(found.boot, found.mono, found.stated_ms, every)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_clocks_say_every_time_is_a_moment_of_a_calendar(seed: int) -> None:
    line, records = Timeline(), _records(Random(seed), 40)
    line.learn_all(records)
    for record in records:
        when = line.effective(record)
        for at_ms in (when.best_ms, when.not_before_ms, when.not_after_ms):
            assert at_ms is None or rfc3339(at_ms)
    assert all(one.err <= SPAN_MAX_MS for kept in line.boots.values() for one in kept.all())


def test_a_bound_below_nothing_is_no_bound() -> None:
    wall_ms = 1_764_000_000_000
    reading = {"boot": "aaaaaaaa", "mono": 5, "wall": rfc3339(wall_ms), "err": -1}
    records = [
        _event(2, "boot.anchored", wall_ms, {**reading, "source": "hub"}),
        _event(3, "attendance.tap", wall_ms, {"clock": {**reading, "sync": "ntp"}}),
    ]
    timeline = Timeline()
    for event in records:
        timeline.learn(event)
    timeline.learn_all(records)
    assert not any(kept.all() for kept in timeline.boots.values())
