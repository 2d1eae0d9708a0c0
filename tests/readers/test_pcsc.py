"""The PC/SC driver, pyscard and libpcsclite included, against Debian's pcscd and its virtual reader."""

from __future__ import annotations

import gc
import logging
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.patterns import PATTERNS as edge_patterns
from edge.ports import CardRead, CardSeen, Caution, Feedback, ReaderGone, Signal
from edge.readers import acr122, pcsc
from edge.readers.acr122 import GREEN, PATTERNS, QUIET, RED, Acr122Feedback, commands_of, lamp_command
from edge.readers.aside import Aside
from edge.readers.ndeffile import READ_LENGTH, SELECT_APPLICATION, SELECT_FILE
from edge.readers.newcomers import FORGOTTEN_NS
from edge.readers.opening import make_reader
from edge.readers.pcsc import HUNG_S, PcscReader
from edge.readers.pcscwords import (
    STANDARDS,
    CardKind,
    ats_of,
    card_of,
    choose_reader,
    computes,
    data_of,
    historical_bytes,
    kind_of,
    type_of,
)
from edge.readers.supervisor import ReaderSupervisor
from hub.sun import ProofRefused, Proved, open_picc, parse_sun, prove
from protocol.cards import CardUid, suspicion
from protocol.errors import ReaderLost, ReaderRefused
from protocol.taps import TYPE_CHARACTERS_MAX
from sim.emulators.pcsccard import (
    FELICA,
    GET_ATS,
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
from sim.emulators.sun import SunApplication, sun_slot_card

NAME = "K12 Gate 00 00"
URL = "pcsc:k12%20gate%2000%2000"
A, B = CardUid("a", "04A1B2C3D4E580"), CardUid("a", "DEADBEEF")
ACS_FELICA = bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042")
"""ACM1252U-Y3 reference manual 1.03, 5.2.6."""
ACS_FELICA_212 = bytes.fromhex("3B8F8001804F0CA00000030603F011000000008A")
"""ACR122T API 2.02, 7.3."""
DESFIRE = made_atr(b"\x80")
"""The historical byte of a MIFARE DESFire's ATS (AN10833)."""


def lay(slot: Slot, card: CardUid | SlotCard) -> None:
    slot.show(card if isinstance(card, SlotCard) else uid_card(bytes.fromhex(card.hex)))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    with Pcscd(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def slot(daemon: Pcscd) -> Slot:
    return daemon.slots[0]


@pytest.fixture
def reader(daemon: Pcscd) -> Iterator[PcscReader]:
    reader = make_reader(URL)
    assert isinstance(reader, PcscReader)
    reader.open()
    yield reader
    reader.close()


def poll_until(reader: PcscReader, what: Callable[[tuple[CardRead, ...]], bool], within_s: float = 5) -> int:
    """Poll until `what` holds of the reads; how many polls it took."""
    deadline, polls = time.monotonic() + within_s, 0
    while True:
        assert time.monotonic() < deadline, reader.counts
        polls += 1
        if what(tuple(reader.poll())):
            return polls


def sees(card: CardUid) -> Callable[[tuple[CardRead, ...]], bool]:
    return lambda reads: [(read.card, read.proof) for read in reads] == [(card, None)]


class Kept:
    """A supervised reader on its thread and what it saw."""

    def __init__(self, url: str = URL) -> None:
        self.seen: list[CardSeen] = []
        self.changed = threading.Condition()
        self.stop = threading.Event()
        self.keeper = ReaderSupervisor("r", make_reader(url), self._see, time.monotonic_ns, random.Random(1))
        self.thread = threading.Thread(target=self.keeper.run, args=(self.stop,))
        self.thread.start()

    def _see(self, seen: CardSeen) -> None:
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()

    def await_cards(self, *cards: CardUid, within_s: float = 5) -> None:
        with self.changed:
            self.changed.wait_for(lambda: len(self.seen) >= len(cards), within_s)
        assert [seen.card for seen in self.seen] == list(cards), self.keeper.counts

    def close(self) -> None:
        self.stop.set()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def kept(daemon: Pcscd) -> Iterator[Kept]:
    kept = Kept()
    try:
        assert kept.keeper.ready.wait(5)
        yield kept
    finally:
        kept.close()


def await_error(kept: Kept, code: str | None) -> None:
    deadline = time.monotonic() + 8
    while kept.keeper.counts.error != code:
        assert time.monotonic() < deadline, kept.keeper.counts
        time.sleep(0.01)


# --- cards ------------------------------------------------------------------------------------------------------------


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


def test_a_card_that_stays_is_one_tap_and_a_second_coming_another(slot: Slot, kept: Kept) -> None:
    lay(slot, A)
    kept.await_cards(A)
    time.sleep(1.2)  # Longer than presence follows a card that isn't seen any more.
    kept.await_cards(A)
    slot.remove()
    time.sleep(0.8)
    lay(slot, A)
    kept.await_cards(A, A)
    assert kept.keeper.counts.faults == 0


def test_a_card_taken_away_as_soon_as_it_was_read_is_seen(slot: Slot, kept: Kept) -> None:
    expected = []
    for number in range(10):
        card = CardUid("a", f"04{number:012X}")
        lay(slot, card)
        assert slot.powered.wait(5)
        asked = slot.asked
        deadline = time.monotonic() + 5
        while slot.asked == asked and len(kept.seen) <= number:
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
def test_a_card_without_an_atr_worth_the_name_ends_nothing(slot: Slot, kept: Kept, atr: bytes) -> None:
    slot.show(uid_card(bytes.fromhex(B.hex), atr))
    time.sleep(0.3)  # Time in which it may be met, or not: that is the daemon's affair.
    lay(slot, A)
    deadline = time.monotonic() + 5
    while A not in [seen.card for seen in kept.seen]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert kept.keeper.counts.faults == 0


def test_a_card_pulled_out_in_the_middle_of_the_exchange_is_no_fault(slot: Slot, kept: Kept) -> None:
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


# --- cards that compute -----------------------------------------------------------------------------------------------

META, KEY = bytes(range(16)), bytes(range(16, 32))
SUN = CardUid("a", "04DE5F1EACC040")
SUN_TYPE, SUN_ATR = "ats=067577810280", "atr=3b8180018080"


def application(counter: int = 0, key: bytes = KEY) -> SunApplication:
    return SunApplication(bytes.fromhex(SUN.hex), META, key, counter)


def proved(read: CardRead | None, key: bytes = KEY) -> Proved:
    assert read is not None and read.proof is not None
    address = parse_sun(read.proof)
    return prove(address, open_picc(address, META), key)


def first_of(reader: PcscReader) -> CardRead:
    """The first read of the card that lies there."""
    told: list[CardRead] = []
    poll_until(reader, lambda reads: bool(told.extend(reads) or told))
    return told[0]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer than a card that is asked in time."""
    monkeypatch.setattr(pcsc, "ASK_S", 3.0)


@pytest.mark.usefixtures("patient")
def test_a_card_proves_itself_once_each_time_that_it_comes(slot: Slot, kept: Kept) -> None:
    card = application(counter=60)
    for number in (1, 2, 3):
        slot.show(sun_slot_card(card))
        kept.await_cards(*[SUN] * number)
        asked = slot.asked
        time.sleep(0.8)  # Longer than presence, and who asks, remember a card that isn't seen any more.
        assert (slot.asked, card.counter) == (asked, 60 + number), "asked again while it stays"
        slot.remove()
        time.sleep(0.8)
    assert [proved(seen.read) for seen in kept.seen] == [Proved(SUN, number, None) for number in (61, 62, 63)]
    assert {seen.read.kind for seen in kept.seen if seen.read} == {SUN_TYPE}
    assert kept.keeper.counts.faults == 0


@pytest.mark.usefixtures("patient")
def test_only_the_first_look_has_the_proof_and_is_dated_before_the_card_was_asked(
    slot: Slot, reader: PcscReader
) -> None:
    began_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    slot.show(sun_slot_card(application(), slow_ms=20))
    read = first_of(reader)
    assert proved(read) == Proved(SUN, 1, None)
    assert read.since_mono_ns is not None
    assert began_ns < read.since_mono_ns < time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 4 * 20_000_000
    for _ in range(3):
        assert tuple(reader.poll()) == (CardRead(SUN, kind=SUN_TYPE),)


@pytest.mark.usefixtures("patient")
def test_a_proof_is_not_told_again_while_pcscd_lets_us_wait(daemon: Pcscd, slot: Slot, reader: PcscReader) -> None:
    slot.show(sun_slot_card(application()))
    assert proved(first_of(reader))
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        assert tuple(reader.poll()) == (CardRead(SUN, kind=SUN_TYPE),)
        assert reader._look is not None, "nobody has answered this look"
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


@pytest.mark.usefixtures("patient")
def test_a_card_that_flickers_is_asked_once(slot: Slot, reader: PcscReader) -> None:
    card = application()
    slot.show(sun_slot_card(card))
    assert proved(first_of(reader))
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2 * FORGOTTEN_NS / 1e9:
        assert sees(SUN)(tuple(reader.poll()))
    told = reader._session
    assert told is not None
    # pcscd takes it for a second coming, within the time in which the card is taken for the same one.
    told._coming = None
    told._follow(told._state | 0x10000)
    assert told.newcomer is None
    assert sees(SUN)(tuple(reader.poll()))
    assert card.counter == 1


@pytest.mark.usefixtures("patient")
def test_a_copy_with_the_cards_number_and_without_its_key_is_found_out(slot: Slot, reader: PcscReader) -> None:
    slot.show(sun_slot_card(application(key=bytes(16))))
    with pytest.raises(ProofRefused):
        proved(first_of(reader))


class Silent(SunApplication):
    """Falls silent at its n-th command, or says there what it is told to."""

    def __init__(self, at: int, says: bytes | None = None) -> None:
        super().__init__(bytes.fromhex(SUN.hex), META, KEY)
        self.commands, self.at, self.says = 0, at, says

    def answer(self, command: bytes) -> bytes | None:
        self.commands += 1
        return self.says if self.commands == self.at else super().answer(command)


@pytest.mark.parametrize("says", [None, b"\x6a\x82", b"\x90\x00", b"\x90"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_card_that_fails_at_any_command_is_seen_by_its_number(
    slot: Slot, reader: PcscReader, at: int, says: bytes | None
) -> None:
    card = Silent(at, says)
    slot.show(sun_slot_card(card))
    read = first_of(reader)
    assert (read.card, read.kind) in ((SUN, SUN_TYPE), (SUN, SUN_ATR))
    assert read.proof is None or (at < 3 and says == b"\x90\x00"), "two commands say no more than 9000"
    assert card.commands <= 4


def test_a_card_pulled_out_while_it_is_asked_is_seen(slot: Slot, kept: Kept) -> None:
    for number, pulled_at in enumerate((SELECT_APPLICATION, SELECT_FILE, READ_LENGTH), 1):
        slot.show(replace(sun_slot_card(application()), pulled_at=pulled_at))
        assert slot.left.wait(5)
        kept.await_cards(*[SUN] * number)
        time.sleep(0.8)  # Until presence takes it for gone.
    assert [seen.read.proof for seen in kept.seen if seen.read] == [None] * 3
    lay(slot, A)
    kept.await_cards(SUN, SUN, SUN, A)
    assert kept.keeper.counts.faults == 0


def test_a_slow_card_costs_no_poll_more_than_its_time_and_is_told_by_its_number(slot: Slot, reader: PcscReader) -> None:
    slot.show(sun_slot_card(application(), slow_ms=1500))
    assert slot.told.wait(5)
    told: tuple[CardRead, ...] = ()
    began_s = time.monotonic()
    while not told:
        poll_began_s = time.monotonic()
        told = tuple(reader.poll())
        assert time.monotonic() - poll_began_s < 0.3
    # 150 ms for the asking; the rest is what a busy machine takes to meet the card.
    assert time.monotonic() - began_s < 0.5
    assert (told[0].card, told[0].kind, told[0].proof) == (SUN, SUN_ATR, None)
    while time.monotonic() - began_s < 2:
        poll_began_s = time.monotonic()
        assert sees(SUN)(tuple(reader.poll())), "and stays while the card is still at it"
        assert time.monotonic() - poll_began_s < 0.3
    assert list(slot.heard) == [GET_UID, GET_ATS, SELECT_APPLICATION], "too late, it is asked nothing more"
    lay(slot, A)
    poll_until(reader, sees(A))


def test_a_card_that_has_no_such_file_is_asked_once(slot: Slot, reader: PcscReader) -> None:
    slot.show(sun_slot_card(Silent(1, bytes.fromhex("6A82"))))
    assert first_of(reader).proof is None
    assert slot.asked == 3, "UID, ATS, and the application that it has not"


@pytest.mark.parametrize(
    ("uid", "atr"),
    [
        ("04A1B2C3D4E580", storage_atr(0x03, 0x0003)),
        ("DEADBEEF", storage_atr(0x03)),
        ("01010601CB095703", storage_atr(FELICA, 0x003B)),
        ("01010601CB095703", ACS_FELICA_212),
        ("01010601CB095703", made_atr(bytes.fromhex("0443FD 01010601CB095703 07"))),
        ("08DEAD01", DESFIRE),  # a telephone's, drawn anew each time
        ("04A1B2C3D4E580", b""),
    ],
)
def test_other_cards_are_asked_for_their_number_and_nothing_more(
    slot: Slot, reader: PcscReader, uid: str, atr: bytes
) -> None:
    slot.show(uid_card(bytes.fromhex(uid), atr or b"\x3b\x00"))
    assert first_of(reader).proof is None
    for _ in range(3):
        reader.poll()
    assert slot.asked == 1


@pytest.mark.parametrize(
    ("answer", "ats"),
    [
        ("067577810280 9000", "067577810280"),
        ("80 9000", ""),  # the historical bytes alone, as some readers tell
        ("7577810280 9000", ""),  # without its length
        ("067577810281 9000", ""),  # not those in the ATR
        ("067577810280 6300", ""),
        ("0675778102 9000", ""),
        ("9000", ""),
        ("15" + "00" * 20 + "9000", ""),
        ("02F0 9000", ""),
    ],
)
def test_an_ats_is_believed_where_it_is_the_whole_one(answer: str, ats: str) -> None:
    assert ats_of(DESFIRE, bytes.fromhex(answer)).hex() == ats
    assert type_of(DESFIRE, A, bytes.fromhex(ats)) == (SUN_TYPE if ats else SUN_ATR)


def test_no_type_has_its_cards_number_in_it_or_is_too_long_to_be_told() -> None:
    felica = CardUid("f", "01010601CB095703")
    assert type_of(made_atr(bytes.fromhex("0443FD 01010601CB095703 07")), felica) is None
    assert type_of(ACS_FELICA_212, felica) == f"atr={ACS_FELICA_212.hex()}"
    assert type_of(bytes(range(30)), A) is not None and type_of(bytes(range(31)), A) is None
    assert type_of(b"", A) is None
    assert ats_of(b"\x3b\x80\x80\x01\x01", b"\x01\x90\x00") == b"\x01", "a card may say nothing in it"
    assert ats_of(b"\x3b\x80\x80\x01\x01", b"\x02\x70\x90\x00") == b"", "three bytes are announced, and none comes"


# --- an ACR122U's lamp and buzzer -------------------------------------------------------------------------------------

ACR122U = "ACS ACR122U PICC Interface"
TAKEN = b"\x90\x02"
"""Done, and the lamp is green now."""


def panel_card(card: CardUid = A) -> SlotCard:
    """A card in an ACR122U, which takes the commands for its lamp, its buzzer and its own beep itself."""
    own = [QUIET, *(command for pattern in PATTERNS.values() for command in commands_of(pattern))]
    return SlotCard(storage_atr(0x03), {GET_UID: bytes.fromhex(card.hex) + OK} | dict.fromkeys(own, TAKEN))


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("accepted", ["FF00400C0400000000", "FF0040AC0402010101"]),
        ("repeated", ["FF00400C0400000000", "FF0040AC0401010201"]),
        ("refused", ["FF00400C0400000000", "FF0040FC0401020201"]),
        ("wait", ["FF00400F0400000000"]),
        ("alarm", ["FF00400C0400000000", "FF00405C0402010301"]),
    ],
)
def test_the_commands_of_each_signal(name: Signal | Caution, commands: list[str]) -> None:
    assert [command.hex().upper() for command in commands_of(PATTERNS[name])] == commands


def test_signals_are_told_apart_by_rhythm_and_none_keeps_the_reader_from_reading_for_a_second() -> None:
    rhythms = {(p.lit_ds, p.dark_ds, p.times) for p in PATTERNS.values()}
    assert len(rhythms) == len(PATTERNS) == len(edge_patterns)
    assert all((p.lit_ds + p.dark_ds) * p.times < 10 for p in PATTERNS.values())
    for name, steps in edge_patterns.items():
        assert PATTERNS[name].sounds == any(step.buzzer for step in steps)
        assert PATTERNS[name].times in (0, sum(step.buzzer for step in steps)), "as many sounds as everywhere"


def test_a_lamp_command_as_the_manual_has_it() -> None:
    assert lamp_command(RED | GREEN, RED | GREEN).hex() == "ff00400f0400000000"
    assert lamp_command(RED, RED).hex() == "ff0040050400000000"
    assert lamp_command(RED | GREEN, 0, RED, (5, 5, 2, 1)).hex() == "ff00405c0405050201"


def test_the_newest_signal_is_shown_once_and_a_stale_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = Acr122Feedback()
    feedback.pattern("wait")
    feedback.pattern("accepted")
    assert feedback.take() == commands_of(PATTERNS["accepted"])
    assert feedback.take() == ()
    feedback.pattern("nonsense")  # type: ignore[arg-type]
    assert feedback.take() == ()
    monkeypatch.setattr(acr122, "STALE_S", -0.001)
    feedback.pattern("accepted")
    assert feedback.take() == ()


@pytest.fixture
def acr(tmp_path: Path) -> Iterator[Pcscd]:
    """An ACR122U behind a driver that takes no commands without a card, as libccid is delivered."""
    with Pcscd(tmp_path, ACR122U) as daemon:
        yield daemon


def reader_at(daemon: Pcscd) -> PcscReader:
    reader = make_reader("pcsc:" + daemon.name.replace(" ", "%20") + "%2000%2000")
    assert isinstance(reader, PcscReader)
    reader.open()
    return reader


def heard(slot: Slot) -> list[bytes]:
    return [command for command in slot.heard if command[:2] == b"\xff\x00"]


def test_signals_reach_lamp_and_buzzer_over_the_card_that_lies_there(acr: Pcscd) -> None:
    reader, slot = reader_at(acr), acr.slots[0]
    feedback: Feedback = reader
    assert isinstance(reader, Feedback)
    slot.show(panel_card())
    poll_until(reader, sees(A))
    poll_until(reader, lambda reads: bool(heard(slot)))
    assert heard(slot) == [QUIET], "its own beep first"
    expected = [QUIET]
    for name in PATTERNS:
        thread = threading.Thread(target=feedback.pattern, args=(name,))
        thread.start()
        thread.join(5)
        expected += commands_of(PATTERNS[name])
        count = len(expected)
        poll_until(reader, lambda reads, count=count: len(heard(slot)) >= count)  # type: ignore[misc]
        assert sees(A)(tuple(reader.poll()))
    assert heard(slot) == expected
    assert list(slot.heard).count(GET_UID) == 1, "the card was read once"
    lay(slot, panel_card(B))
    poll_until(reader, sees(B))
    reader.poll()
    assert heard(slot) == expected, "its own beep is switched off once"
    reader.close()


def test_while_a_signal_is_played_polls_keep_their_time_and_the_card_stays(acr: Pcscd) -> None:
    reader, slot = reader_at(acr), acr.slots[0]
    slot.show(panel_card())
    poll_until(reader, sees(A))
    poll_until(reader, lambda reads: bool(heard(slot)))
    refused, accepted = commands_of(PATTERNS["refused"]), commands_of(PATTERNS["accepted"])
    reader.pattern("refused")
    for played in (refused[-1], accepted[-1]):
        while slot.heard[-1] != played:
            poll_began_s = time.monotonic()
            assert sees(A)(tuple(reader.poll()))
            assert time.monotonic() - poll_began_s < 0.3
        for name in ("repeated", "alarm", "accepted"):
            reader.pattern(name)  # type: ignore[arg-type]
    assert heard(slot) == [QUIET, *refused, *accepted], "what came meanwhile has given way to the newest"
    slot.show(panel_card(B))
    poll_until(reader, sees(B))
    reader.close()


def test_a_reader_of_another_name_is_told_nothing(slot: Slot, reader: PcscReader) -> None:
    slot.show(panel_card())
    poll_until(reader, sees(A))
    for name in PATTERNS:
        reader.pattern(name)
        reader.poll()
    slot.remove()
    reader.pattern("accepted")
    poll_until(reader, lambda reads: not reads)
    assert list(slot.heard) == [GET_UID]


def test_without_a_card_a_signal_goes_to_the_reader_itself_where_its_driver_takes_it(tmp_path: Path) -> None:
    with Pcscd(tmp_path, ACR122U, escapes=True) as daemon:
        reader, slot = reader_at(daemon), daemon.slots[0]
        poll_until(reader, lambda reads: bool(daemon.escaped))
        assert daemon.escaped == [QUIET], "before the first card"
        slot.show(panel_card())
        poll_until(reader, sees(A))
        slot.remove()
        poll_until(reader, lambda reads: not reads)
        reader.pattern("refused")
        reader.poll()
        assert daemon.escaped == [QUIET, *commands_of(PATTERNS["refused"])]
        assert heard(slot) == []
        slot.show(panel_card(B))
        poll_until(reader, sees(B))
        reader.close()


def test_where_the_driver_takes_none_without_a_card_it_is_told_once_and_reading_goes_on(
    acr: Pcscd, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="k12edge"):
        reader, slot = reader_at(acr), acr.slots[0]
        for _ in range(3):
            reader.pattern("accepted")
            began_s = time.monotonic()
            assert reader.poll() == ()
            assert time.monotonic() - began_s < 0.3
        slot.show(panel_card())
        poll_until(reader, sees(A))
        reader.pattern("accepted")
        poll_until(reader, lambda reads: len(heard(slot)) >= 3)
        assert heard(slot) == [QUIET, *commands_of(PATTERNS["accepted"])]
        reader.close()
    assert caplog.text.count("only while a card lies there") == 1


def test_a_reader_that_refuses_its_commands_reads_on_and_is_asked_for_silence_with_each_card(acr: Pcscd) -> None:
    kept = Kept("pcsc:acr122u%20picc%20interface%2000%2000")
    slot = acr.slots[0]
    try:
        assert kept.keeper.ready.wait(5)
        for number, card in enumerate((A, B), 1):
            lay(slot, card)
            kept.await_cards(*(A, B)[:number])
            kept.keeper._reader.pattern("accepted")  # type: ignore[attr-defined]
            deadline = time.monotonic() + 5
            while len(heard(slot)) < 3 * number:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(0.3)  # Some looks more, at which it isn't asked again.
            assert heard(slot).count(QUIET) == number
        assert kept.keeper.counts.faults == 0
    finally:
        kept.close()


def test_a_signal_that_another_programs_transaction_held_up_is_not_shown(acr: Pcscd) -> None:
    reader, slot = reader_at(acr), acr.slots[0]
    slot.show(panel_card())
    poll_until(reader, sees(A))
    poll_until(reader, lambda reads: bool(heard(slot)))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, f"{ACR122U} 00 00", "2", "transaction"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"0\n"
        reader.pattern("accepted")
        began_s = time.monotonic()
        while time.monotonic() - began_s < acr122.STALE_S + 0.3:
            poll_began_s = time.monotonic()
            assert sees(A)(tuple(reader.poll()))
            assert time.monotonic() - poll_began_s < 0.3
        holder.stdin.close()
    while reader._look is not None:
        reader.poll()
    assert heard(slot) == [QUIET]
    reader.pattern("repeated")
    poll_until(reader, lambda reads: len(heard(slot)) > 1)
    assert heard(slot)[1:] == [*commands_of(PATTERNS["repeated"])][: len(heard(slot)) - 1]
    reader.close()


def test_a_signal_for_a_reader_that_is_lost_or_closed_is_no_fault(daemon: Pcscd) -> None:
    reader = make_reader(URL)
    assert isinstance(reader, PcscReader)
    reader.pattern("accepted")
    reader.open()
    daemon.kill()
    reader.pattern("alarm")
    with pytest.raises(ReaderGone):
        poll_until(reader, lambda reads: False)
    reader.close()
    reader.pattern("alarm")


# --- pcscd ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("brisk", [True, False])
def test_pcscd_restarted_goes_on_and_a_card_that_stayed_is_one_tap(
    tmp_path: Path, how: signal.Signals, brisk: bool
) -> None:
    with Pcscd(tmp_path, brisk=brisk) as daemon:
        kept, slot = Kept(), daemon.slots[0]
        try:
            lay(slot, A)
            kept.await_cards(A)
            for _ in range(2):
                asked = slot.asked
                daemon.kill(how)
                daemon.start()
                deadline = time.monotonic() + 5
                while slot.asked == asked:
                    assert time.monotonic() < deadline, "the card that stayed is read anew"
                    time.sleep(0.01)
            lay(slot, B)
            kept.await_cards(A, B)
            assert kept.keeper.counts.losses == 2
        finally:
            kept.close()


def test_pcscd_away_for_a_while_is_a_lost_reader_and_comes_back(daemon: Pcscd, slot: Slot, kept: Kept) -> None:
    daemon.kill()
    await_error(kept, "reader-lost")
    lay(slot, A)
    time.sleep(1.5)  # It is looked for in vain several times.
    daemon.start()
    kept.await_cards(A)
    assert kept.keeper.counts.error is None


def test_a_socket_that_outlives_pcscd_makes_nobody_wait_for_long(tmp_path: Path) -> None:
    """Below systemd the socket stays: libpcsclite waits in it for as long as no daemon comes."""
    with Pcscd(tmp_path, activated=True) as daemon:
        reader = PcscReader("00 00")
        reader.open()
        lay(daemon.slots[0], A)
        poll_until(reader, sees(A))
        daemon.kill()
        with pytest.raises(ReaderGone):
            poll_until(reader, lambda reads: False)
        reader.close()
        threads = threading.active_count()
        for _ in range(3):
            began_s = time.monotonic()
            with pytest.raises(ReaderLost):
                reader.open()
            with pytest.raises(ReaderLost):
                reader.poll()
            assert time.monotonic() - began_s < 3
            assert threading.active_count() <= threads + 1
        daemon.start()
        deadline = time.monotonic() + 5
        while True:
            try:
                reader.open()
                break
            except ReaderLost:
                assert time.monotonic() < deadline
        poll_until(reader, sees(A))
        reader.close()


def test_a_pcscd_that_hangs_holds_up_no_poll_and_no_other_reader(daemon: Pcscd, slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    before = len(os.listdir("/proc/self/fd"))
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        stopped_s, polls = time.monotonic(), 0
        while True:
            try:
                reads = reader.poll()
            except ReaderGone:
                break
            assert sees(A)(tuple(reads)), "nobody can say that it left"
            polls += 1
        assert polls > 8, "at most 250 ms each, on a machine that runs"
        assert HUNG_S - 0.5 < time.monotonic() - stopped_s < HUNG_S + 2
        began_s = time.monotonic()
        reader.close()
        with pytest.raises(ReaderLost):
            reader.open()
        assert time.monotonic() - began_s < 3
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    deadline = time.monotonic() + 5
    while True:
        try:
            reader.open()
            break
        except ReaderLost:
            assert time.monotonic() < deadline
    poll_until(reader, sees(A))
    assert len(os.listdir("/proc/self/fd")) == before


HOLDER = """
import sys
from smartcard import scard
code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
code, card, _ = scard.SCardConnect(context, sys.argv[1], int(sys.argv[2]), 3)
if sys.argv[3] == "transaction":
    code = scard.SCardBeginTransaction(card)
print(code, flush=True)
sys.stdin.read(1)
scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
"""


@pytest.mark.parametrize(("share", "how"), [("1", "alone"), ("2", "transaction")])
def test_a_card_that_another_program_holds_is_read_when_it_is_free(
    slot: Slot, reader: PcscReader, share: str, how: str
) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, NAME, share, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"0\n"
        reader.close()
        reader.open()
        began_s = time.monotonic()
        assert poll_until(reader, lambda reads: time.monotonic() - began_s > 2) > 4
        holder.stdin.close()
    poll_until(reader, sees(A))
    assert reader.counts.unread == 0


def test_another_program_at_the_card_makes_no_second_tap_and_is_not_disturbed(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, NAME, "2", "shared"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        while not select.select([holder.stdout], [], [], 0)[0]:
            assert sees(A)(tuple(reader.poll()))
        for _ in range(3):
            reader.poll()
        assert slot.asked == 1, "that somebody uses it is no coming"
        # pcscd itself switches a card off that nobody uses; from here on one does.
        disturbed = slot.disturbed
        reader.close()
        reader.open()
        poll_until(reader, sees(A))
        for _ in range(3):
            reader.poll()
        assert (slot.asked, slot.disturbed) == (2, disturbed)
        holder.stdin.close()
    for _ in range(5):
        assert sees(A)(tuple(reader.poll()))
    assert slot.asked == 2, "nor that nobody does any more"


def test_a_reader_that_stops_answering_pcscd_is_lost_and_found_again(daemon: Pcscd, slot: Slot, kept: Kept) -> None:
    lay(slot, A)
    kept.await_cards(A)
    daemon.unplug()
    await_error(kept, "reader-lost")
    time.sleep(0.5)  # Meanwhile it is looked for in vain.
    daemon.replug()
    await_error(kept, None)
    lay(slot, B)
    kept.await_cards(A, B)


def test_a_reader_that_pcscd_has_not_any_more_is_lost_and_found_again(daemon: Pcscd, slot: Slot, kept: Kept) -> None:
    lay(slot, A)
    kept.await_cards(A)
    plugged = daemon.config.rename(daemon.config.parent.with_name("unplugged.conf"))
    daemon.kill(signal.SIGTERM)
    daemon.start()
    await_error(kept, "reader-lost")
    with pytest.raises(ReaderLost, match="it has: none"):
        make_reader(URL).open()
    plugged.rename(daemon.config)
    daemon.kill(signal.SIGTERM)
    daemon.start()
    lay(slot, B)
    kept.await_cards(A, B, within_s=10)


def test_a_name_that_pcscd_does_not_know_any_more_ends_the_line(reader: PcscReader) -> None:
    session = reader._session
    assert session is not None
    session._name = "K12 Kitchen 00 00"
    with pytest.raises(ReaderGone, match="0x80100009"):
        reader.poll()


def test_two_slots_are_two_readers_that_do_not_disturb_each_other(daemon: Pcscd, kept: Kept) -> None:
    other = Kept("pcsc:K12%20Gate%2000%2001")
    try:
        assert other.keeper.ready.wait(5)
        lay(daemon.slots[0], A)
        kept.await_cards(A)
        lay(daemon.slots[1], B)
        other.await_cards(B)
        kept.await_cards(A)
    finally:
        other.close()


def test_a_name_that_several_readers_share_is_refused_with_the_list(daemon: Pcscd) -> None:
    for url in ("pcsc:", "pcsc:K12", "pcsc:gate%2000"):
        with pytest.raises(ReaderRefused) as refused:
            make_reader(url).open()
        assert "'K12 Gate 00 00', 'K12 Gate 00 01'" in str(refused.value)
        assert "NAME" in refused.value.hint
    with pytest.raises(ReaderLost) as lost:
        make_reader("pcsc:Kitchen").open()
    assert "'K12 Gate 00 00', 'K12 Gate 00 01'" in str(lost.value)


def test_names_are_chosen_by_part_and_never_guessed() -> None:
    acs, other = "ACS ACR122U PICC Interface 00 00", "ACS ACR122U PICC Interface 01 00"
    assert choose_reader([acs], "") == acs
    assert choose_reader([acs, other], "01 00") == other
    assert choose_reader(["Gate", "Gate 2"], "gate") == "Gate", "a whole name is meant before a part"
    for names, part in (([acs, other], ""), ([acs, other], "acr122u")):
        with pytest.raises(ReaderRefused):
            choose_reader(names, part)
    for names, part in (([], ""), ([], "x"), ([acs], "x")):
        with pytest.raises(ReaderLost):
            choose_reader(names, part)


def test_nothing_is_left_open_after_many_openings(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    reader.close()
    gc.collect()
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(300):
        reader.open()
        if number % 10 == 0:
            poll_until(reader, sees(A))
        reader.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert threading.active_count() == threads


def test_nothing_is_left_open_after_restarts_of_pcscd(tmp_path: Path) -> None:
    with Pcscd(tmp_path) as daemon:
        reader = PcscReader("00 00")
        descriptors: set[int] = set()
        for number in range(12):
            reader.open()
            reader.poll()
            daemon.kill(signal.SIGKILL if number % 2 else signal.SIGTERM)
            with pytest.raises(ReaderGone):
                poll_until(reader, lambda reads: False)
            for _ in range(3):
                with pytest.raises(ReaderLost):
                    reader.open()
            descriptors.add(_own_descriptors())
            daemon.start()
        assert len(descriptors) == 1
        reader.close()


def _own_descriptors() -> int:
    """Without the pipe of a daemon that was just ended, which its log's thread closes when it comes to it."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.path.lexists(link) and not os.readlink(link).startswith("pipe:") for link in links)


def test_without_pyscard_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "smartcard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "smartcard", None)
    reader = make_reader("pcsc:")
    with pytest.raises(ReaderRefused, match=r"pip install 'k12edge\[pcsc\]'"):
        reader.open()
    with pytest.raises(ReaderLost):
        reader.poll()
    reader.close()


def test_the_doctor_asks_pcscd(daemon: Pcscd, tmp_path: Path) -> None:
    def examined(address: str) -> str:
        config = tmp_path / "g.toml"
        config.write_text(
            f'[gateway]\nid = "g"\nschool = "s1"\ndata_dir = "{tmp_path}"\n'
            f'[[station]]\nname = "cong"\nkind = "gate"\nreader = "{address}"\n',
            encoding="utf-8",
        )
        words = [sys.executable, "-m", "k12edge", "doctor", "--config", str(config)]
        return subprocess.run(words, capture_output=True, text=True, timeout=30).stdout

    assert f"ok   station cong: {URL} is there" in examined(URL)
    assert "LOOK station cong: pcsc:Kitchen" in examined("pcsc:Kitchen")


# --- words ------------------------------------------------------------------------------------------------------------


def test_historical_bytes_lie_behind_as_many_interface_bytes_as_are_announced() -> None:
    assert historical_bytes(storage_atr(0x03)) == bytes.fromhex("804F0CA00000030603000100000000")
    assert historical_bytes(bytes.fromhex("3BF2 11223344 4142")) == b""
    assert historical_bytes(bytes.fromhex("3BF2 11223301 4142")) == b"AB"
    assert historical_bytes(bytes.fromhex("3B00")) == b""
    assert kind_of(ACS_FELICA).felica and kind_of(ACS_FELICA_212).felica


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_atr_and_no_answer_raises_or_makes_a_number_of_nothing(atr: bytes, answer: bytes) -> None:
    _held(atr, answer)


@given(
    st.binary(max_size=12),
    st.sampled_from([b"\x90\x00", b"\x6a\x81", b"\x63\x00", b"\x90", b""]),
    st.sampled_from([*STANDARDS, 0x40, 0xFF]),
    st.integers(0, 0xFFFF),
    st.integers(0, 20),
)
def test_nearly_right_atrs_and_answers(uid: bytes, word: bytes, standard: int, name: int, cut: int) -> None:
    atr = storage_atr(standard, name)
    _held(atr[: len(atr) - cut], uid + word)


def _held(atr: bytes, answer: bytes) -> None:
    card = card_of(atr, answer)
    ats = ats_of(atr, answer)
    assert ats in (b"", data_of(answer)) and (not ats or ats[0] == len(ats))
    if isinstance(card, CardUid):
        assert answer[-2:] == b"\x90\x00" and data_of(answer) == bytes.fromhex(card.hex)
        assert card.technology == ("f" if len(card.hex) == 16 else "a")
        kind = type_of(atr, card, ats)
        assert kind is None or (len(kind) <= TYPE_CHARACTERS_MAX and card.hex.lower() not in kind)
        assert not computes(atr, card) or kind_of(atr) == CardKind()


@given(st.lists(st.text(max_size=20), max_size=20), st.text(max_size=10))
def test_whatever_readers_are_called_one_is_chosen_or_none(names: list[str], part: str) -> None:
    try:
        assert choose_reader(names, part) in names
    except (ReaderLost, ReaderRefused):
        return


def test_a_call_that_raises_tells_its_asker_and_the_thread_goes_on() -> None:
    aside = Aside("t")

    def fails() -> int:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")

    broken, good = aside.do(fails), aside.do(lambda: 7)
    assert broken.wait(5) and good.wait(5)
    with pytest.raises(UnicodeDecodeError):
        broken.result()
    assert good.result() == 7
    assert aside.end(5) and aside.end(5)
