"""FeliCa cards before the PN532 driver, where its address asks for them."""

from __future__ import annotations

import pytest

from edge.ports import CardRead
from edge.readers.opening import make_reader
from edge.readers.pn53xfield import parse_felica
from protocol.cards import CardUid
from protocol.errors import ReaderRefused
from sim.emulators.pn532 import FelicaCard, FieldCard, Pn532Emulator

SLOW, FAST = FelicaCard(bytes.fromhex("0110060BD4133A15")), FelicaCard(bytes.fromhex("0110060BD4133A16"), baud=2)
PLAIN = FieldCard(bytes.fromhex("04A1B2C3D4E580"))
KIND = "pmm=0120220427674eff"


def test_seen_at_either_speed_within_two_looks_and_beside_other_cards(chip: Pn532Emulator) -> None:
    reader = make_reader(f"pn532://{chip.link}?felica=1")
    reader.open()
    try:
        assert (reader.poll(), reader.poll()) == ((), ())
        chip.place(SLOW, FAST, PLAIN)
        plain = CardRead(CardUid.from_bytes("a", PLAIN.uid), kind="sak=08")
        for card in (SLOW, FAST, SLOW, FAST):
            assert reader.poll() == (plain, CardRead(CardUid.from_bytes("f", card.uid), kind=KIND))
    finally:
        reader.close()


def test_not_asked_for_they_are_not_looked_for(chip: Pn532Emulator) -> None:
    reader = make_reader(f"pn532://{chip.link}")
    reader.open()
    try:
        chip.place(SLOW, FAST)
        assert (reader.poll(), reader.poll()) == ((), ())
    finally:
        reader.close()


def test_a_look_for_them_that_fails_loses_no_other_card(chip: Pn532Emulator) -> None:
    reader = make_reader(f"pn532://{chip.link}?felica=1")
    reader.open()
    try:
        chip.place(PLAIN)
        taken, listen = 0, type(chip)._answer

        def refuses(self: Pn532Emulator, code: int, data: bytes) -> tuple[float, bytes | None]:
            nonlocal taken
            if code == 0x4A and data[1] in (1, 2):
                taken += 1
                return 0.5, None
            return listen(self, code, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(chip), "_answer", refuses)
            assert [read.card.hex for read in reader.poll()] == [PLAIN.uid.hex().upper()]
        assert taken == 1
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("answer", "cards"),
    [
        ("", []),
        ("00", []),
        ("01 01 12 01 0110060BD4133A15 0120220427674EFF", ["0110060BD4133A15"]),
        ("01 01 14 01 0110060BD4133A15 0120220427674EFF 8008", ["0110060BD4133A15"]),
        (
            "02 01 12 01 0110060BD4133A15 0120220427674EFF 02 12 01 0110060BD4133A16 0120220427674EFF",
            ["0110060BD4133A15", "0110060BD4133A16"],
        ),
        ("01 01 12 01 01FE060BD4133A15 0120220427674EFF", []),  # a telephone
        ("01 01 12 01 0110060BD4133A15 0120220427674E", []),  # cut
        ("01 01 12 02 0110060BD4133A15 0120220427674EFF", []),
        ("02 02 12 01 0110060BD4133A15 0120220427674EFF", []),
        ("01 01", []),
        ("01 01 00", []),
    ],
)
def test_list_answers(answer: str, cards: list[str]) -> None:
    assert [read.card.hex for read in parse_felica(bytes.fromhex(answer.replace(" ", "")))] == cards


@pytest.mark.parametrize("option", ["felica=2", "felica=", "felica=1&x=1"])
def test_an_option_that_means_nothing_is_refused(option: str) -> None:
    with pytest.raises(ReaderRefused):
        make_reader(f"pn532:///dev/ttyUSB0?{option}")
