"""Cards that compute, before the whole PN532 driver: asked for their proof once, and never lost by it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from edge.ports import CardRead
from edge.readers import pn53xfield
from edge.readers.ndeffile import MESSAGE_BYTES_MAX, query_of, read_query
from edge.readers.newcomers import FORGOTTEN_NS, Newcomers
from edge.readers.pn53xfield import Listed, parse_listed
from edge.readers.pn532 import Pn532Reader
from edge.readers.presence import CARDS_MAX, GONE_NS
from hub.cards.sun import ProofRefused, Proved, open_picc, parse_sun, prove
from protocol.cards import CardUid, parse_card
from protocol.rawread import PROOF_CHARACTERS_MAX
from sim.emulators.bench import Bench
from sim.emulators.pn532 import Faults, FieldCard, Pn532Emulator
from sim.emulators.sun import ATS, SunApplication, ndef_file, sun_card
from tests.contracts.watching import CLOCK, Watch
from tests.patience import within

META, KEY = bytes(range(16)), bytes(range(16, 32))
UID = bytes.fromhex("04DE5F1EACC040")
CARD, PLAIN = CardUid.from_bytes("a", UID), FieldCard(bytes.fromhex("04A1B2C3D4E580"))
KIND = "sak=20,ats=067577810280"


def proved(read: CardRead | None, key: bytes = KEY) -> Proved:
    assert read is not None and read.proof is not None
    address = parse_sun(read.proof)
    return prove(address, open_picc(address, META), key)


def counter(card: FieldCard) -> int:
    assert isinstance(card.application, SunApplication)
    return card.application.counter


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer than a card that is asked in time."""
    monkeypatch.setattr(pn53xfield, "ASK_S", 2.0)


@pytest.fixture
def reader(chip: Pn532Emulator) -> Iterator[Pn532Reader]:
    reader = Pn532Reader(str(chip.link))
    reader.open()
    try:
        yield reader
    finally:
        reader.close()


# --- the driver -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_a_card_proves_itself_once_each_time_that_it_comes(chip: Pn532Emulator, kept: Watch) -> None:
    card = sun_card(UID, META, KEY, counter=60)
    for number in (1, 2, 3):
        chip.place(card)
        kept.await_count(number)
        looks = chip.looks
        while chip.looks < looks + 20:
            time.sleep(0.01)
        assert counter(card) == 60 + number, "asked again while it stays"
        chip.remove()
        time.sleep(GONE_NS / 1e9 + 0.2)  # The time after which a card that is unseen has left.
    assert [proved(seen.read) for seen in kept.seen] == [Proved(CARD, number, None) for number in (61, 62, 63)]
    assert {seen.read.kind for seen in kept.seen if seen.read} == {KIND}


@pytest.mark.usefixtures("patient")
def test_a_copy_with_the_cards_number_and_without_its_key_is_found_out(
    chip: Pn532Emulator, reader: Pn532Reader
) -> None:
    chip.place(sun_card(UID, META, bytes(16)))
    with pytest.raises(ProofRefused):
        proved(reader.poll()[0])


def test_for_plain_cards_and_empty_fields_nothing_changes(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    looks, commands = chip.looks, chip.commands
    for cards in ((), (PLAIN,), (PLAIN, FieldCard(bytes.fromhex("DEADBEEF")))):
        chip.place(*cards)
        for _ in range(5):
            reader.poll()
    assert (chip.looks - looks, chip.commands - commands, chip.exchanges) == (15, 30, 0)


def test_a_telephones_random_number_is_never_asked(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    chip.place(sun_card(bytes.fromhex("08010203"), META, KEY))
    for _ in range(3):
        assert reader.poll() == (CardRead(parse_card("08010203"), kind="sak=20"),)
    assert chip.exchanges == 0


@pytest.mark.usefixtures("patient")
def test_beside_another_card_both_are_seen_and_the_proof_is_the_right_ones(
    chip: Pn532Emulator, reader: Pn532Reader
) -> None:
    chip.place(PLAIN, sun_card(UID, META, KEY))
    plain, able = reader.poll()
    assert (plain.card.hex, plain.proof, plain.kind) == ("04A1B2C3D4E580", None, "sak=08")
    assert proved(able) == Proved(CARD, 1, None) and able.kind == KIND


@pytest.mark.usefixtures("patient")
def test_two_cards_that_compute_share_the_time(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    other = bytes.fromhex("04958CAA5C5E80")
    chip.place(sun_card(UID, META, KEY), sun_card(other, META, KEY))
    assert [proved(read).card.hex for read in reader.poll()] == [UID.hex().upper(), other.hex().upper()]


@pytest.mark.usefixtures("patient")
def test_the_sighting_is_dated_before_the_card_was_asked(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    chip.exchange_ms = 20
    chip.place(sun_card(UID, META, KEY))
    began_ns = CLOCK.mono_ns()
    read = reader.poll()[0]
    assert read.since_mono_ns is not None and proved(read)
    assert began_ns < read.since_mono_ns < CLOCK.mono_ns() - 4 * 20_000_000


class Silent(SunApplication):
    """Falls silent at its n-th command, as one that lost its power; from its `wakes`-th activation on it answers."""

    def __init__(self, at: int, wakes: int = 1000) -> None:
        super().__init__(UID, META, KEY)
        self.begins, self.commands, self.at, self.wakes = 0, 0, at, wakes

    def begin(self) -> None:
        super().begin()
        self.begins, self.commands = self.begins + 1, 0

    def answer(self, command: bytes) -> bytes | None:
        self.commands += 1
        return None if self.commands == self.at and self.begins < self.wakes else super().answer(command)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_card_that_falls_silent_at_any_command_is_seen_by_its_number(
    chip: Pn532Emulator, reader: Pn532Reader, at: int
) -> None:
    chip.place(FieldCard(UID, b"\x03\x44", 0x20, ATS, Silent(at)))
    began_s = time.monotonic()
    read = reader.poll()[0]
    assert time.monotonic() - began_s < within(0.3)
    assert (read.card, read.kind, read.proof) == (CARD, KIND, None)
    assert reader.poll() == (CardRead(CARD, kind="sak=20"),)


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.usefixtures("patient")
def test_a_card_that_has_its_power_a_moment_later_proves_itself_still(
    chip: Pn532Emulator, reader: Pn532Reader, at: int
) -> None:
    chip.place(FieldCard(UID, b"\x03\x44", 0x20, ATS, Silent(at, wakes=2)))
    assert proved(reader.poll()[0]).card == CARD


def test_a_card_that_can_not_be_activated_is_seen_as_ever(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    chip.place(FieldCard(UID, b"\x03\x44", 0x20))
    for _ in range(3):
        read = reader.poll()[0]
        assert (read.card, read.kind, read.proof) == (CARD, "sak=20", None)


def test_a_card_that_says_it_has_no_such_file_is_asked_once(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    class Bank(SunApplication):
        def answer(self, command: bytes) -> bytes | None:
            return bytes.fromhex("6A82")

    chip.place(FieldCard(UID, b"\x00\x04", 0x20, ATS, Bank(UID, META, KEY)))
    read = reader.poll()[0]
    assert (read.card, read.kind, read.proof, chip.exchanges) == (CARD, KIND, None, 1)


def test_a_card_taken_away_while_it_is_asked_is_seen(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    class Leaves(SunApplication):
        def answer(self, command: bytes) -> bytes | None:
            chip.remove()
            return None

    chip.place(FieldCard(UID, b"\x03\x44", 0x20, ATS, Leaves(UID, META, KEY)))
    assert [read.card for read in reader.poll()] == [CARD]
    assert reader.poll() == ()


def test_a_slow_card_costs_no_look_more_than_its_time(chip: Pn532Emulator, reader: Pn532Reader) -> None:
    chip.exchange_ms = 2_000
    chip.place(sun_card(UID, META, KEY))
    began_s = time.monotonic()
    assert [read.card for read in reader.poll()] == [CARD]
    assert time.monotonic() - began_s < within(0.3)
    chip.place(PLAIN)
    assert reader.poll() == (CardRead(parse_card("04A1B2C3D4E580"), kind="sak=08"),)


@pytest.mark.parametrize("fault", ["noise", "short", "nack", "silent", "error"])
def test_faults_on_the_wire_lose_no_card_that_computes(chip: Pn532Emulator, kept: Watch, fault: str) -> None:
    chip.faults = Faults(**{fault: 0.1})
    for number in range(8):
        card = sun_card(bytes((0x04, 9, 2, 3, 4, 5, number)), META, KEY)
        chip.place(card)
        kept.await_count(number + 1)
        chip.remove()
    assert len(kept.seen) == 8
    for seen in kept.seen:
        assert seen.read is not None
        assert seen.read.proof is None or proved(seen.read).card == seen.card
    assert any(seen.read is not None and seen.read.proof for seen in kept.seen)


def test_unplugged_while_a_card_is_asked_the_sighting_is_told_before_the_line_has_ended(
    bench: Bench, chip: Pn532Emulator, kept: Watch
) -> None:
    class Pulls(SunApplication):
        def answer(self, command: bytes) -> bytes | None:
            chip.unplug()
            return None

    chip.place(FieldCard(UID, b"\x03\x44", 0x20, ATS, Pulls(UID, META, KEY)))
    kept.await_count(1)
    chip.place(PLAIN)
    bench.do(chip.plug)
    kept.await_count(2)
    assert kept.cards() == [CARD, CardUid.from_bytes("a", PLAIN.uid)]


# --- its parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        ("01 01 0344 20 07 04A1B2C3D4E580 06 7577810280", [Listed(parse_card("04A1B2C3D4E580"), 0x20, ATS)]),
        ("01 01 0344 20 07 04A1B2C3D4E580", [Listed(parse_card("04A1B2C3D4E580"), 0x20)]),
        ("01 01 0344 20 07 04A1B2C3D4E580 06 7577", [Listed(parse_card("04A1B2C3D4E580"), 0x20)]),  # cut
        ("01 01 0344 20 07 04A1B2C3D4E580 00", [Listed(parse_card("04A1B2C3D4E580"), 0x20)]),
        ("01 01 0344 20 07 04A1B2C3D4E580 15" + "00" * 20, [Listed(parse_card("04A1B2C3D4E580"), 0x20)]),  # too long
    ],
)
def test_what_a_listed_card_says_of_itself(answer: str, listed: list[Listed]) -> None:
    assert list(parse_listed(bytes.fromhex(answer.replace(" ", "")))) == listed


def test_the_query_as_the_card_wrote_it() -> None:
    message = ndef_file("k12.vn/t?e=%41+b&c=ECC1#top")[2:]
    assert query_of(message) == "e=%41+b&c=ECC1"
    long = b"\xc1\x01" + (4 + 250).to_bytes(4, "big") + b"U\x04a?c" + b"x" * 250
    assert query_of(long) == "c" + "x" * 250
    assert query_of(b"\xd9\x01\x05\x02U" + b"id" + b"\x04a?c1") == "c1"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xd1",
        b"\xd1\x01\x05",
        b"\xd1\x01\x06U\x04a?c1",  # says more than there is
        b"\xd1\x01\x03U\x04ab",  # no query
        b"\xd1\x01\x03U\x04a?",  # an empty one
        b"\xd1\x01\x05T\x02vi?c",  # a text
        b"\xd2\x01\x05U\x04a?c1",  # a media type
        b"\xf1\x01\x05U\x04a?c1",  # a chunk
        b"\xd1\x01\x05U\x04a?\xe1\xbb",  # not ASCII
        b"\xd1\x01\x05U\x04a?\n1",
        b"\xc1\x01\x00\x00\x02\x00U\x04a?" + b"c" * (PROOF_CHARACTERS_MAX + 1),
        b"\xc1\x01\xff\xff\xff\xffU\x04a?c",
        b"\xd9\x01\x05",
    ],
)
def test_what_is_no_address_with_a_query_is_none(message: bytes) -> None:
    assert query_of(message) is None


def test_no_message_makes_the_parser_stumble() -> None:
    draw = random.Random(1)
    sound = ndef_file("k12.vn/t?e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086")[2:80]
    for _ in range(20_000):
        message = bytearray(sound[: draw.randrange(len(sound) + 1)])
        for _ in range(draw.randrange(4) if message else 0):
            message[draw.randrange(min(len(message), 8 if draw.random() < 0.7 else 80))] = draw.randrange(256)
        query = query_of(bytes(message))
        assert query is None or (query.isascii() and 0 < len(query) <= PROOF_CHARACTERS_MAX)


@pytest.mark.parametrize(
    "answers",
    [
        ["6A82"],
        [""],
        ["9000", "6A82"],
        ["9000", "9000", "6982"],
        ["9000", "9000", "9000"],
        ["9000", "9000", "00009000"],
        ["9000", "9000", f"{MESSAGE_BYTES_MAX + 1:04X}9000"],
        ["9000", "9000", "0000059000"],
        ["9000", "9000", "00059000", "6B00"],
        ["9000", "9000", "00059000", "D10105"],
    ],
)
def test_a_card_that_answers_otherwise_has_no_query_and_is_not_asked_further(answers: list[str]) -> None:
    left = list(answers)
    assert read_query(lambda _: bytes.fromhex(left.pop(0))) is None
    assert not left


def test_a_newcomer_is_one_once_until_it_was_away() -> None:
    newcomers, at_ns = Newcomers(), 0
    for _ in range(10):
        assert newcomers.came(at_ns, (CARD,)) == ((CARD,) if at_ns == 0 else ())
        at_ns += FORGOTTEN_NS - 1
    newcomers.stayed(at_ns, (CARD,))
    assert newcomers.came(at_ns + FORGOTTEN_NS - 1, (CARD,)) == ()
    assert newcomers.came(at_ns + 3 * FORGOTTEN_NS, (CARD,)) == (CARD,)
    assert FORGOTTEN_NS < GONE_NS, "presence must never call new what isn't asked"


def test_noise_can_not_grow_the_memory_of_who_is_there() -> None:
    newcomers = Newcomers()
    for number in range(10 * CARDS_MAX):
        newcomers.came(number, (CardUid("a", f"{number:014X}"),))
    assert len(newcomers._until_ns) == CARDS_MAX


def test_an_ats_with_the_cards_number_in_it_does_not_travel_openly() -> None:
    card = parse_card("a:04A1B2C3D4E580")
    for number in (card.hex, bytes.fromhex(card.hex)[::-1].hex()):
        assert Listed(card, 0x20, bytes.fromhex(f"0d78808202{number}00")).kind == "sak=20"
    assert Listed(card, 0x20, bytes.fromhex("067577810280")).kind == "sak=20,ats=067577810280"
