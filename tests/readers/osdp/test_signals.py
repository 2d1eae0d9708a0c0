"""An OSDP reader's lamp and buzzer."""

from __future__ import annotations

import threading
import time

import osdp_sys
import pytest

from edge.ports import Feedback
from edge.readers.osdp import OsdpReader
from edge.readers.osdpfeedback import PATTERNS, STALE_S, OsdpFeedback
from sim.emulators.osdppd import OsdpPd
from tests.contracts.watching import Watch, opened
from tests.readers.osdp.door import CARD, UID, polled, reader_of


def told(pd: OsdpPd, reader: OsdpReader, count: int) -> list[dict[str, object]]:
    polled(reader, lambda reads: len(pd.commands) >= count)
    return pd.commands[:count]


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_reaches_the_readers_lamp_and_buzzer(pd: OsdpPd, name: str) -> None:
    reader = reader_of(pd)
    feedback: Feedback = reader.feedback
    opened(reader)
    thread = threading.Thread(target=feedback.pattern, args=(name,))
    thread.start()
    thread.join(5)
    lamp, sound = told(pd, reader, 2)
    pattern = PATTERNS[name]
    assert lamp["command"] == osdp_sys.CMD_LED and lamp["temporary"] is True
    assert (lamp["on_count"], lamp["off_count"], lamp["timer_count"]) == (
        pattern.lamp_on_ds,
        pattern.lamp_off_ds,
        pattern.lamp_ds,
    )
    assert lamp["on_color"] == getattr(osdp_sys, f"LED_COLOR_{pattern.colour}")
    assert sound["command"] == osdp_sys.CMD_BUZZER
    assert (sound["on_count"], sound["rep_count"]) == (pattern.sound_on_ds, pattern.sounds)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_patterns_differ_in_rhythm_alone() -> None:
    lamps = {(p.lamp_on_ds, p.lamp_off_ds, p.lamp_ds) for p in PATTERNS.values()}
    sounds = {(p.sound_on_ds, p.sound_off_ds, p.sounds) for p in PATTERNS.values()}
    assert len(lamps) == len(sounds) == len(PATTERNS) == 5


def test_the_newest_pattern_is_shown_and_a_stale_one_never(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.feedback.pattern("wait")
    reader.feedback.pattern("accepted")
    opened(reader)
    lamp, _ = told(pd, reader, 2)
    assert lamp["timer_count"] == PATTERNS["accepted"].lamp_ds
    reader.close()
    slow = OsdpFeedback()
    slow.pattern("accepted")
    time.sleep(STALE_S + 0.05)
    assert slow.take() is None and not slow.wanted.is_set()
    slow.pattern("nonsense")  # type: ignore[arg-type]
    assert slow.take() is None


def test_a_reader_that_refuses_its_lamp_reads_on_and_is_not_told_again(pd: OsdpPd, kept: Watch) -> None:
    reader = kept.keeper._reader
    assert isinstance(reader, OsdpReader)
    pd.refuses = {osdp_sys.CMD_LED}
    kept.await_error(None)
    deadline = time.monotonic() + 10
    reader.feedback.pattern("accepted")
    while kept.keeper.counts.opens == 1:
        assert time.monotonic() < deadline, "a declined command takes the reader off line; it is opened again"
        time.sleep(0.005)
    kept.await_error(None)
    reader.feedback.pattern("accepted")
    pd.show(56, UID)
    kept.await_count(1, within_s=15)
    while not any(told["command"] == osdp_sys.CMD_BUZZER for told in pd.commands):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert kept.keeper.counts.opens == 2
