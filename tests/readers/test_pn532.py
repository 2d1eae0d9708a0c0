"""The PN532 driver, nfcpy and pyserial included, against the emulated chip on a real pseudo-terminal."""

from __future__ import annotations

import logging
import os
import pty
import tty
from pathlib import Path

import pytest
import serial
from nfc.clf.pn53x import Chipset

from edge.ports import CardRead
from edge.readers.keeping import FAULTS_IN_ROW_MAX
from edge.readers.pn53xfield import parse_targets
from edge.readers.pn532 import Pn532Reader
from edge.readers.pn532wire import FRAME_BYTES_MAX, FRAMES_MAX, Frames, Pn532Wire
from protocol.cards import CardUid
from protocol.errors import ReaderLost
from sim.emulators.bench import Bench
from sim.emulators.pn532 import ACK, Faults, FieldCard, Pn532Emulator, framed
from tests.contracts.watching import Watch

CARD = FieldCard(bytes.fromhex("04A1B2C3D4E580"))
OTHER = FieldCard(bytes.fromhex("DEADBEEF"))


def test_sees_cards_of_both_lengths_and_two_at_once(chip: Pn532Emulator) -> None:
    reader = Pn532Reader(str(chip.link))
    reader.open()
    try:
        assert reader.poll() == ()
        chip.place(CARD)
        assert reader.poll() == (CardRead(CardUid("a", "04A1B2C3D4E580"), kind="sak=08"),)
        chip.place(CARD, OTHER)
        assert reader.poll() == tuple(
            CardRead(CardUid("a", text), kind="sak=08") for text in ("04A1B2C3D4E580", "DEADBEEF")
        )
        chip.remove()
        assert reader.poll() == ()
    finally:
        reader.close()


def test_five_taps_a_second_are_all_caught_once(chip: Pn532Emulator, kept: Watch) -> None:
    for number in range(25):
        chip.place(FieldCard(bytes((0x04, 1, 2, 3, 4, 5, number))))
        kept.await_count(number + 1)
        chip.remove()
    assert len(kept.seen) == len(set(kept.cards())) == 25


@pytest.mark.parametrize("baud", [921600, 460800, 230400])
def test_a_chip_left_at_another_speed_is_rescued(chip: Pn532Emulator, baud: int) -> None:
    chip.baud = baud
    chip.place(CARD)
    reader = Pn532Reader(str(chip.link))
    reader.open()
    try:
        assert chip.baud == 115200
        assert len(reader.poll()) == 1
    finally:
        reader.close()


def test_the_line_is_ours_alone(chip: Pn532Emulator) -> None:
    reader = Pn532Reader(str(chip.link))
    reader.open()
    try:
        with pytest.raises(serial.SerialException):
            serial.Serial(str(chip.link), exclusive=True)
    finally:
        reader.close()


def test_unplugged_and_plugged_again_goes_on(bench: Bench, chip: Pn532Emulator, kept: Watch) -> None:
    chip.place(CARD)
    kept.await_count(1)
    chip.place()
    bench.do(chip.unplug)
    bench.do(chip.plug)
    chip.place(OTHER)
    kept.await_count(2)
    assert len(kept.seen) == 2
    assert kept.keeper.counts.losses >= 1


@pytest.mark.parametrize("fault", ["noise", "short", "nack", "silent", "error"])
def test_faults_on_the_wire_lose_no_card_that_stays_a_moment(chip: Pn532Emulator, kept: Watch, fault: str) -> None:
    chip.faults = Faults(**{fault: 0.1})
    for number in range(8):
        chip.place(FieldCard(bytes((0x04, 9, 2, 3, 4, 5, number))))
        kept.await_count(number + 1)
        chip.remove()
    assert len(kept.seen) == 8


def test_an_answer_behind_a_nack_puts_no_later_exchange_out_of_step(chip: Pn532Emulator) -> None:
    reader = Pn532Reader(str(chip.link))
    reader.open()
    chip.faults = Faults(late=0.06)
    in_row, longest, failed = 0, 0, 0
    for _ in range(150):
        try:
            reader.poll()
            in_row = 0
        except ReaderLost:
            in_row, failed = in_row + 1, failed + 1
            longest = max(longest, in_row)
    assert failed > 5 and longest < FAULTS_IN_ROW_MAX
    reader.close()


def test_a_line_that_never_stops_ends_an_exchange() -> None:
    """nfcpy reads acknowledgements for as long as they come; a line that repeats one must not hold the thread."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    wire = Pn532Wire(os.ttyname(slave), 115200)
    try:
        for _ in range(2):
            wire.write(b"")
            os.write(master, ACK * (FRAMES_MAX + 1))
            with pytest.raises(OSError, match="doesn't stop"):
                Chipset(wire, logging.getLogger("none")).command(0x02, None, 0.5)
    finally:
        wire.close()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    "noise",
    [
        "00",
        "0000ff",
        "0000ff05fb",
        "0000ff0ff1",
        "0000fffa06",
        "0000ffffff01 09f6",
        "0000ffffffffff02",
        "00ff",
        "ff" * 400,
    ],
)
def test_behind_any_noise_a_frame_is_found_again(noise: str) -> None:
    frame = framed(b"\xd5\x4b\x01" + CARD.listed(1))
    frames = Frames()
    frames.feed(bytes.fromhex(noise.replace(" ", "")))
    for _ in range(FRAME_BYTES_MAX // len(frame) + 2):
        frames.feed(frame)
        while (found := frames.take()) is not None:
            if found == frame:
                return
        assert len(frames) <= FRAME_BYTES_MAX
    raise AssertionError(noise)


def test_no_device_is_a_lost_reader(tmp_path: Path) -> None:
    with pytest.raises(ReaderLost):
        Pn532Reader(str(tmp_path / "nothing")).open()


@pytest.mark.parametrize(
    ("answer", "cards"),
    [
        ("00", []),
        ("01 01 0004 08 04 DEADBEEF", ["DEADBEEF"]),
        ("01 01 0344 20 07 04A1B2C3D4E580 05 7580 6002", ["04A1B2C3D4E580"]),  # with an ATS
        ("02 01 0344 20 07 04A1B2C3D4E580 02 0004 08 04 DEADBEEF", ["04A1B2C3D4E580", "DEADBEEF"]),
        ("01 01 0004 08 07 0102", []),  # cut
        ("02 01 0004 08 04 DEADBEEF", ["DEADBEEF"]),  # says two, holds one
        ("01 01 0004 08 05 0102030405", []),  # no such length
        ("FF", []),
        ("", []),
    ],
)
def test_list_answers(answer: str, cards: list[str]) -> None:
    assert [card.hex for card in parse_targets(bytes.fromhex(answer.replace(" ", "")))] == cards
