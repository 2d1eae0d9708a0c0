"""The OSDP driver's line, libosdp and pyserial included: unplugged, silent, noisy, chattering, lying."""

from __future__ import annotations

import os
import threading
import time
from random import Random

import pytest

from edge.ports import ReaderGone
from edge.readers.opening import make_reader
from edge.readers.osdp import SILENT_S
from protocol.errors import ReaderLost
from sim.emulators.osdppd import LineFaults, OsdpPd
from tests.contracts.watching import Watch, opened
from tests.patience import within
from tests.readers.osdp.door import CARD, UID, key_file, polled, reader_of, reply


def test_unplugged_is_gone_and_plugged_again_reads_on(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    opened(reader)
    pd.unplug()
    with pytest.raises(ReaderGone):
        polled(reader, lambda reads: False)
    with pytest.raises(ReaderLost):
        reader.open()
    pd.plug()
    opened(reader)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_a_card_whose_reader_is_unplugged_just_then_is_not_lost(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    opened(reader)
    wire = reader._channel.wire
    assert wire is not None
    pd.show(56, UID)
    while not reader._came:
        reader._turn(wire, 0.1)
    pd.unplug()
    assert [read.card for read in reader.poll()] == [CARD]
    with pytest.raises(ReaderGone):
        polled(reader, lambda reads: False)
    reader.close()


def test_three_hundred_times_unplugged_and_back_leak_no_descriptor_and_no_thread(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(300):
        opened(reader)
        if number % 3 == 0:
            pd.unplug()
            with pytest.raises(ReaderGone):
                polled(reader, lambda reads: False)
            pd.plug()
        if number % 2:
            reader.close()
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads


def test_a_silent_reader_is_lost_and_found_again(pd: OsdpPd, kept: Watch) -> None:
    kept.await_ready()
    pd.faults = LineFaults(silent=1.0)
    kept.await_error("reader-lost", within_s=SILENT_S + 5)
    pd.faults = LineFaults()
    kept.await_error(None)
    pd.show(56, UID)
    kept.await_count(1, within_s=15)


@pytest.mark.parametrize(
    "faults", [LineFaults(noise=0.5), LineFaults(broken=0.3), LineFaults(noise=0.2, broken=0.2, silent=0.02)]
)
def test_a_noisy_line_neither_loses_nor_doubles_nor_invents_a_card(pd: OsdpPd, kept: Watch, faults: LineFaults) -> None:
    kept.await_ready()
    pd.faults = faults
    cards = [bytes((4, 0, 0, 0, 0, 0, number)) for number in range(1, 9)]
    for number, uid in enumerate(cards, 1):
        pd.show(56, uid)
        kept.await_count(number, within_s=15)
    assert [bytes.fromhex(seen.card.hex) for seen in kept.seen] == cards


def test_a_broken_reply_with_a_card_is_asked_for_again_at_once(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    opened(reader)
    took_s: list[float] = []
    for _ in range(3):
        pd.break_next = 3
        began_s = time.monotonic()
        pd.show(56, UID)
        assert [read.card for read in polled(reader, bool)] == [CARD]
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < within(0.6), "libosdp itself waits for a second"
    reader.close()


def test_a_process_that_stood_still_for_a_while_has_not_lost_its_reader(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    opened(reader)
    reader.poll()
    time.sleep(SILENT_S + 0.2)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_a_bad_line_is_never_taken_for_a_wrong_key(pd: OsdpPd) -> None:
    reader, times, codes = reader_of(pd), 0, list[str]()
    pd.faults = LineFaults(silent=0.1, broken=0.3, short=0.05, noise=0.3)
    while min(times, len(codes)) < 3:
        try:
            reader.open()
            times += 1
        except ReaderLost as problem:
            codes.append(problem.code)
        reader.close()
    assert set(codes) == {"reader-lost"}


def test_a_line_that_chatters_without_being_asked_holds_nothing_up(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    opened(reader)
    rng, began_s = Random(1), time.monotonic()
    for _ in range(20):
        pd.say(rng.randbytes(3_000))
        reader.poll()
    assert time.monotonic() - began_s < within(20 * 0.3)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_another_address_answers_nothing(pd: OsdpPd) -> None:
    reader = make_reader(f"osdp://{pd.link}?address=8&key-file={key_file(pd.link.parent)}&baud=115200")
    began_s = time.monotonic()
    with pytest.raises(ReaderLost, match="no OSDP reader answers as 8") as lost:
        reader.open()
    assert lost.value.code == "reader-lost"
    assert time.monotonic() - began_s < within(3)
    reader.close()


def test_no_reply_however_false_ends_the_driver_or_passes_for_a_card(pd: OsdpPd) -> None:
    rng, told = Random(7), 0

    def lie(command: bytes, true: bytes) -> bytes:
        nonlocal told
        told += 1
        if true and rng.random() < 0.5:
            return true
        # A sound check, the right address and mostly the right number: libosdp has to make sense of the rest.
        control = (command[command[0] == 0xFF :][4] & 3 if rng.random() < 0.9 else rng.randrange(4)) | 0x04
        block = bytes((rng.choice((2, 3, 9)), rng.randrange(0x10, 0x1A), rng.randrange(2)))
        secured = rng.random() < 0.4
        code = rng.choice(
            (0x40, 0x41, 0x45, 0x46, 0x48, 0x49, 0x4A, 0x4B, 0x50, 0x51, 0x53, 0x54, 0x76, 0x78, 0x79, 0x7A, 0x90)
        )
        body = (
            (block if secured else b"") + bytes((code,)) + rng.randbytes(rng.choice((0, 1, 3, 7, 12, 16, 32, 60, 120)))
        )
        return reply(pd.address, body, control | (0x08 if secured else 0))

    reader = reader_of(pd)
    pd.lie = lie
    lost = 0
    while told < 150:
        try:
            reader.open()
            for _ in range(5):
                assert reader.poll() == ()
        except ReaderLost:
            lost += 1
        reader.close()
    assert lost
    pd.lie = None
    opened(reader)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()
