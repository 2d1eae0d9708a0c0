"""Cards that compute, before the PC/SC driver: asked for type and proof once, and never lost by it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from edge.ports import CardRead
from edge.readers import pcsc
from edge.readers.ndeffile import READ_LENGTH, SELECT_APPLICATION, SELECT_FILE
from edge.readers.newcomers import FORGOTTEN_NS
from edge.readers.pcsc import PcscReader
from edge.readers.pcscwords import ats_of, type_of
from hub.cards.sun import ProofRefused, Proved, open_picc, parse_sun, prove
from protocol.cards import CardUid
from sim.emulators.pcsccard import FELICA, GET_ATS, GET_UID, Slot, made_atr, storage_atr, uid_card
from sim.emulators.pcscdaemon import Pcscd
from sim.emulators.sun import SunApplication, sun_slot_card
from tests.contracts.watching import Watch
from tests.patience import within
from tests.readers.pcsc.gate import ACS_FELICA_212, DESFIRE, A, lay, poll_until, sees

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
def test_a_card_proves_itself_once_each_time_that_it_comes(slot: Slot, kept: Watch) -> None:
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


def test_a_card_pulled_out_while_it_is_asked_is_seen(slot: Slot, kept: Watch) -> None:
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
        assert time.monotonic() - poll_began_s < within(0.3)
    # 150 ms for the asking; the rest is what a busy machine takes to meet the card.
    assert time.monotonic() - began_s < within(0.5)
    assert (told[0].card, told[0].kind, told[0].proof) == (SUN, SUN_ATR, None)
    while time.monotonic() - began_s < 2:
        poll_began_s = time.monotonic()
        assert sees(SUN)(tuple(reader.poll())), "and stays while the card is still at it"
        assert time.monotonic() - poll_began_s < within(0.3)
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
