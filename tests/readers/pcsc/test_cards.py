"""Cards before the PC/SC driver, pyscard and libpcsclite included, with Debian's pcscd and its virtual reader."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from edge.readers.pcsc import PcscReader
from protocol.cards import CardUid, suspicion
from sim.emulators.pcsccard import (
    FELICA,
    GET_UID,
    ISO14443B,
    ISO15693,
    OK,
    Slot,
    SlotCard,
    made_atr,
    storage_atr,
    uid_card,
)
from sim.emulators.pcscdaemon import Pcscd
from tests.contracts.watching import Watch
from tests.readers.pcsc.gate import ACS_FELICA_212, DESFIRE, A, B, lay, poll_until, sees


@pytest.mark.parametrize(
    ("uid", "atr", "canonical"),
    [
        ("DEADBEEF", storage_atr(0x03), "a:DEADBEEF"),
        ("04A1B2C3D4E580", storage_atr(0x03, 0x0003), "a:04A1B2C3D4E580"),
        ("0102030405060708090A", storage_atr(0x02), "a:0102030405060708090A"),
        ("04A1B2C3D4E580", DESFIRE, "a:04A1B2C3D4E580"),
        ("0807FE21", made_atr(b"\x78\x80\x70\x02"), "a:0807FE21"),
        ("01010601CB095703", storage_atr(FELICA, 0x003B), "f:01010601CB095703"),
        ("01010601CB095703", ACS_FELICA_212, "f:01010601CB095703"),
        ("01010601CB095703", made_atr(bytes.fromhex("0443FD 01010601CB095703 07")), "f:01010601CB095703"),
    ],
)
def test_a_card_is_what_its_atr_and_its_answer_say(
    slot: Slot, reader: PcscReader, uid: str, atr: bytes, canonical: str
) -> None:
    slot.show(uid_card(bytes.fromhex(uid), atr))
    poll_until(reader, lambda reads: [read.card.canonical for read in reads] == [canonical])
    if canonical.startswith("a:08"):
        assert suspicion(reader.poll()[0].card) == "random"


def test_a_card_that_stays_is_in_every_look_and_asked_once(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    for _ in range(8):
        assert sees(A)(tuple(reader.poll()))
    assert slot.asked == 1
    slot.remove()
    poll_until(reader, lambda reads: not reads)


def test_a_card_that_stays_is_one_tap_and_a_second_coming_another(slot: Slot, kept: Watch) -> None:
    lay(slot, A)
    kept.await_cards(A)
    time.sleep(1.2)  # Longer than presence follows a card that isn't seen any more.
    kept.await_cards(A)
    slot.remove()
    time.sleep(0.8)
    lay(slot, A)
    kept.await_cards(A, A)
    assert kept.keeper.counts.faults == 0


def test_a_card_taken_away_as_soon_as_it_was_read_is_seen(slot: Slot, kept: Watch) -> None:
    expected = []
    for number in range(10):
        card = CardUid("a", f"04{number:012X}")
        answered = slot.answered
        lay(slot, card)
        deadline = time.monotonic() + 5
        while slot.answered == answered:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        slot.remove()
        expected.append(card)
        kept.await_cards(*expected)


@pytest.mark.parametrize(
    ("uid", "atr", "why"),
    [
        ("E00401501A2B3C4D", storage_atr(ISO15693, 0x0014), "ISO 15693"),
        ("DEADBEEF", storage_atr(ISO14443B), "type B"),
        ("0A00B6ED77", storage_atr(0x40), "another standard"),
        ("0A00B6ED77", storage_atr(0x03), "no UID of ours"),
        ("01010601CB095703", storage_atr(0x03), "no UID of ours"),
    ],
)
def test_what_is_no_card_of_ours_is_refused_without_its_number(
    slot: Slot, reader: PcscReader, caplog: pytest.LogCaptureFixture, uid: str, atr: bytes, why: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        slot.show(uid_card(bytes.fromhex(uid), atr))
        poll_until(reader, lambda reads: reader.counts.foreign == 1)
        for _ in range(3):
            assert reader.poll() == ()
        assert slot.asked == 1, "there is nothing to ask it again"
        lay(slot, A)
        poll_until(reader, sees(A))
    assert reader.counts.foreign == 1
    assert why in caplog.text
    for text in (uid, A.hex, str(list(bytes.fromhex(uid)))[1:-1]):
        assert text.lower() not in caplog.text.lower()


@pytest.mark.parametrize(
    "answer", [b"\x6a\x81", b"\x63\x00", b"\x90", b"\x04\xa1\xb2", b"\x90\x00", bytes(range(250)), b"\x6c\x07"]
)
def test_an_answer_without_a_uid_is_asked_again_for_a_second(slot: Slot, reader: PcscReader, answer: bytes) -> None:
    slot.show(SlotCard(storage_atr(0x03), {GET_UID: answer}))
    poll_until(reader, lambda reads: reader.counts.unread == 1)
    assert 3 <= slot.asked <= 11
    asked = slot.asked
    reader.poll()
    assert slot.asked == asked
    lay(slot, A)
    poll_until(reader, sees(A))


def test_a_card_that_answers_only_at_the_third_time_is_read(slot: Slot, reader: PcscReader) -> None:
    card = SlotCard(storage_atr(0x03), {GET_UID: b"\x63\x00"})
    slot.show(card)
    poll_until(reader, lambda reads: slot.asked == 2)
    card.answers[GET_UID] = bytes.fromhex(A.hex) + OK
    poll_until(reader, sees(A))
    assert reader.counts.unread == 0


@pytest.mark.parametrize("atr", [b"", b"\x3b", b"\x3b\x00", bytes(33), b"\xff" * 33, b"\x3b\x8f\x80\x01\x80\x4f"])
def test_a_card_without_an_atr_worth_the_name_ends_nothing(slot: Slot, kept: Watch, atr: bytes) -> None:
    slot.show(uid_card(bytes.fromhex(B.hex), atr))
    time.sleep(0.3)  # Time in which it may be met, or not: that is the daemon's affair.
    lay(slot, A)
    kept.await_that(lambda: A in kept.cards(), within_s=5)
    assert kept.keeper.counts.faults == 0


def test_a_card_pulled_out_in_the_middle_of_the_exchange_is_no_fault(slot: Slot, kept: Watch) -> None:
    for _ in range(5):
        lay(slot, SlotCard(storage_atr(0x03), {}, pulled_at=GET_UID))
        assert slot.left.wait(5)
    lay(slot, A)
    kept.await_cards(A)
    assert kept.keeper.counts.faults == 0


def test_cards_that_change_places_between_two_looks(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    slot.remove()
    lay(slot, B)
    assert slot.told.wait(5)
    assert sees(B)(tuple(reader.poll())), "the change is told at once, not the card that was there"
    assert reader.counts.too_short == 0


def test_cards_that_change_places_where_pcscd_began_with_a_card(tmp_path: Path) -> None:
    """pcscd's count of comings and goings is 0 then, and libpcsclite takes 0 for no count."""
    daemon = Pcscd(tmp_path, late_ms=300)
    slot, reader = daemon.slots[0], PcscReader("00 00")
    lay(slot, A)
    with daemon:
        assert slot.powered.wait(5)
        reader.open()
        poll_until(reader, sees(A))
        session = reader._session
        assert session is not None and session._state >> 16 == 0
        slot.remove()
        lay(slot, B)
        assert slot.told.wait(5)
        poll_until(reader, sees(B), within_s=2)
        reader.close()


def test_a_card_that_came_and_went_between_two_looks_is_counted(slot: Slot, reader: PcscReader) -> None:
    reader.poll()
    lay(slot, A)
    assert slot.told.wait(5)
    slot.remove()
    assert slot.empty.wait(5)
    poll_until(reader, lambda reads: reader.counts.too_short == 1)
    assert reader.poll() == ()
