"""USB readers through all of nfcpy's own code; only libusb's context is an emulated bus's."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.ports import CardRead, ReaderGone
from edge.readers.nfcpy import NfcUsbReader
from edge.readers.opening import make_reader
from edge.readers.usbwire import FRAMES_MAX, bounded
from hub.cards.sun import open_picc, parse_sun, prove
from protocol.cards import CardUid, parse_card
from protocol.errors import ReaderLost, ReaderRefused
from sim.emulators.pn532 import Faults, FieldCard, framed
from sim.emulators.port100 import Port100
from sim.emulators.sun import sun_card
from sim.emulators.usb import UsbBus
from sim.emulators.usbreaders import Acr122, Pn533
from tests.contracts.watching import watching
from tests.patience import within

CARD, OTHER = FieldCard(bytes.fromhex("04A1B2C3D4E580")), FieldCard(bytes.fromhex("DEADBEEF"))
READ, OTHER_READ = (CardRead(CardUid.from_bytes("a", card.uid), kind="sak=08") for card in (CARD, OTHER))
GET_VERSION = framed(b"\xd4\x02")
Make = type[Acr122] | type[Pn533] | type[Port100]
ALL: tuple[Make, ...] = (Acr122, Pn533, Port100)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[UsbBus]:
    bus = UsbBus()
    monkeypatch.setattr("usb1.USBContext", bus.context)
    yield bus
    assert (bus.open_contexts, bus.open_handles) == (0, 0), "something was not given back"


@pytest.mark.parametrize("make", ALL)
def test_each_make_sees_cards_of_all_lengths(bus: UsbBus, make: Make) -> None:
    device = make()
    bus.plug(device)
    reader = make_reader(f"nfcpy:usb:{device.vendor:04X}:{device.product:04x}")
    reader.open()
    try:
        assert reader.poll() == ()
        for card in (CARD, OTHER, FieldCard(bytes.fromhex("04A1B2C3D4E580112233"))):
            device.place(card)
            for _ in range(2):
                assert reader.poll() == (CardRead(CardUid.from_bytes("a", card.uid), kind="sak=08"),)
        device.remove()
        assert reader.poll() == ()
    finally:
        reader.close()


def test_two_cards_at_once_where_the_chip_lists_two_and_one_or_none_where_it_does_not(bus: UsbBus) -> None:
    for make, seen in ((Acr122, (READ, OTHER_READ)), (Pn533, (READ,)), (Port100, ())):
        device = make()
        bus.plug(device)
        device.place(CARD, OTHER)
        reader = NfcUsbReader("usb")
        reader.open()
        try:
            assert reader.poll() == seen, make
        finally:
            reader.close()
            bus.unplug(device)


@pytest.mark.parametrize("make", [Acr122, Pn533])
def test_a_card_that_computes_proves_itself(bus: UsbBus, make: type[Acr122]) -> None:
    device = make()
    bus.plug(device)
    device.place(sun_card(bytes.fromhex("04DE5F1EACC040")))
    reader = NfcUsbReader("usb")
    reader.open()
    try:
        read = reader.poll()[0]
        assert read.proof is not None
        address = parse_sun(read.proof)
        assert prove(address, open_picc(address, bytes(16)), bytes(16)).card == parse_card("a:04DE5F1EACC040")
        assert reader.poll()[0].proof is None
    finally:
        reader.close()


@pytest.mark.parametrize("make", ALL)
def test_pulled_out_and_back_under_another_address_it_goes_on(bus: UsbBus, make: Make) -> None:
    device = make()
    bus.plug(device)
    with watching(NfcUsbReader("usb")) as kept:
        kept.await_ready()
        device.place(CARD)
        kept.await_count(1)
        for _ in range(2):
            opens = kept.keeper.counts.opens
            bus.unplug(device)
            bus.plug(device)
            deadline_s = time.monotonic() + 8
            while kept.keeper.counts.opens == opens:
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
        device.place(OTHER)
        kept.await_count(2)
        assert kept.cards() == [READ.card, OTHER_READ.card]


@pytest.mark.parametrize("make", ALL)
def test_pulled_out_is_gone_and_not_only_lost(bus: UsbBus, make: Make) -> None:
    device = make()
    bus.plug(device)
    reader = NfcUsbReader("usb")
    reader.open()
    bus.unplug(device)
    with pytest.raises(ReaderGone):
        reader.poll()
    reader.close()
    with pytest.raises(ReaderLost, match="no reader is plugged in"):
        reader.open()


@pytest.mark.parametrize("faults", [Faults(silent=0.1), Faults(error=0.1), Faults(flaky=0.6)])
@pytest.mark.parametrize("make", [Acr122, Pn533])
def test_late_answers_and_errors_neither_lose_nor_double_nor_invent_a_card(
    bus: UsbBus, make: type[Acr122], faults: Faults
) -> None:
    device = make(seed=7)
    bus.plug(device)
    with watching(NfcUsbReader("usb")) as kept:
        kept.await_ready()
        device.faults = faults
        for number in range(20):
            card = FieldCard(bytes((0x04, 9, 2, 3, 4, 5, number)))
            device.place(card)
            kept.await_count(number + 1)
            device.remove()
        device.faults = Faults()
        assert [int(seen.card.hex[-2:], 16) for seen in kept.seen] == list(range(20))
        assert kept.keeper.counts.faults or faults.flaky


def test_an_answer_that_came_too_late_is_not_taken_for_the_next_ones(bus: UsbBus) -> None:
    device = Port100()
    bus.plug(device)
    reader = NfcUsbReader("usb")
    reader.open()
    try:
        device.place(CARD)
        device.late = 1
        with pytest.raises(ReaderLost):
            reader.poll()
        deadline_s = time.monotonic() + 3
        while True:
            try:
                assert reader.poll() == (READ,)
            except ReaderLost:
                assert time.monotonic() < deadline_s
            else:
                break
        for _ in range(5):
            assert reader.poll() == (READ,)
    finally:
        reader.close()


@pytest.mark.parametrize("make", [Acr122, Pn533])
def test_killed_between_question_and_answer_it_opens_again(bus: UsbBus, make: type[Acr122]) -> None:
    device = make()
    bus.plug(device)
    reader = NfcUsbReader("usb")
    for _ in range(3):
        reader.open()
        # The kernel closes a dead process's handle; what it asked for is still said.
        reader._wire.write(bytes.fromhex("6f070000000000000000ff00000002d402") if make is Acr122 else GET_VERSION)
        reader._wire.end()
        assert bus.said[id(device)]
        reader._wire = None
    reader.open()
    device.place(CARD)
    assert reader.poll() == (READ,)
    reader.close()


def test_a_look_at_a_reader_that_hangs_ends_in_time(bus: UsbBus) -> None:
    for make in ALL:
        device = make()
        bus.plug(device)
        reader = NfcUsbReader("usb")
        reader.open()
        if isinstance(device, Port100):
            device.late = 1_000
        else:
            device.faults = Faults(silent=1.0)
        began_s = time.monotonic()
        with pytest.raises(ReaderLost):
            reader.poll()
        assert time.monotonic() - began_s < within(0.3)
        began_s = time.monotonic()
        reader.close()
        with pytest.raises(ReaderLost):
            reader.open()
        assert time.monotonic() - began_s < within(3)
        bus.unplug(device)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["sys/module/pn533_usb"], "modprobe -r pn533_usb"),
        (["run/pcscd/pcscd.comm"], "systemctl disable --now pcscd"),
        (["run/pcscd/pcscd.comm", "sys/module/pn533_usb"], "modprobe .* or pcscd has it"),
        ([], "another program has it"),
    ],
)
def test_who_holds_the_reader_is_named_with_what_to_do(
    bus: UsbBus, tmp_path: Path, there: list[str], said: str
) -> None:
    device = Acr122()
    bus.plug(device)
    bus.hold(device)
    for place in there:
        (tmp_path / place).mkdir(parents=True)
    reader = NfcUsbReader("usb", tmp_path)
    with pytest.raises(ReaderLost, match=f"usb:072f:2200 at 1-1: it is taken: .*{said}"):
        reader.open()


def test_what_could_not_be_claimed_is_given_back_while_the_error_is_still_told(bus: UsbBus) -> None:
    device = Acr122()
    bus.plug(device)
    bus.hold(device)
    with pytest.raises(OSError, match="busy") as caught:
        bounded(1, 1)
    assert (bus.open_contexts, bus.open_handles) == (0, 0), caught


@pytest.mark.parametrize("make", [Acr122, Pn533])
def test_pulled_out_between_question_and_answer_is_gone(
    bus: UsbBus, make: type[Acr122], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = make()
    bus.plug(device)
    reader = NfcUsbReader("usb")
    reader.open()
    monkeypatch.setattr(make, "take", lambda self, octets: iter([bus.unplug(device)][:0]))
    with pytest.raises(ReaderGone):
        reader.poll()
    reader.close()


def test_a_reader_that_the_user_may_not_open_is_told(bus: UsbBus) -> None:
    device = Pn533()
    bus.plug(device)
    bus.forbid(device)
    with pytest.raises(ReaderLost, match="udev rule"):
        NfcUsbReader("usb").open()


def test_where_one_reader_is_taken_the_other_serves(bus: UsbBus) -> None:
    first, second = Acr122(), Acr122()
    bus.plug(first)
    bus.plug(second)
    one, two, three = (NfcUsbReader("usb:072f:2200") for _ in range(3))
    try:
        one.open()
        two.open()
        with pytest.raises(ReaderLost, match="it is taken"):
            three.open()
        second.place(CARD)
        assert (one.poll(), two.poll()) == ((), (READ,))
    finally:
        for reader in (one, two, three):
            reader.close()


def test_another_device_is_left_alone_and_an_address_of_one_refused(bus: UsbBus) -> None:
    mouse = Acr122(vendor=0x046D, product=0xC077)
    bus.plug(mouse)
    with pytest.raises(ReaderLost, match="no reader is plugged in"):
        NfcUsbReader("usb").open()
    with pytest.raises(ReaderRefused, match="072f:2200"):
        NfcUsbReader("usb:046d:c077").open()
    assert mouse.commands == 0


@pytest.mark.parametrize("make", ALL)
def test_whatever_a_reader_says_is_a_lost_reader_in_time_and_afterwards_it_goes_on(
    bus: UsbBus, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, honest = random.Random(make.__name__), make.take

    def hostile(self: Any, octets: bytes) -> Iterator[tuple[float, bytes]]:
        for delay_ms, frame in honest(self, octets):
            kind = draw.random()
            if kind < 0.85:
                yield delay_ms, frame
            elif kind < 0.92:
                at = draw.randrange(len(frame))
                yield delay_ms, frame[:at] + bytes((draw.randrange(256),)) + frame[at + 1 :]
            elif kind < 0.96:
                yield delay_ms, frame[: draw.randrange(len(frame))]
            elif kind < 0.98:
                yield delay_ms, draw.randbytes(draw.randrange(301))
            elif kind < 0.99:
                yield delay_ms, frame
                yield 0.0, frame
            # Else nothing comes.

    device = make()
    bus.plug(device)
    device.place(sun_card(bytes.fromhex("04DE5F1EACC040")))
    reader, failed, is_open = NfcUsbReader("usb"), 0, False
    with monkeypatch.context() as patch:
        patch.setattr(make, "take", hostile)
        for _ in range(120):
            began_s = time.monotonic()
            try:
                if not is_open:
                    reader.open()
                is_open = True
                reader.poll()
            except ReaderLost:
                failed += 1
                is_open = is_open and failed % 5 != 0
            assert time.monotonic() - began_s < within(3)
    assert failed > 3
    for _ in range(12):
        # The first answers may still be those of before.
        try:
            reader.open()
            if [read.card.hex for read in reader.poll()] == ["04DE5F1EACC040"]:
                break
        except ReaderLost:
            continue
    else:
        pytest.fail("it never came back")
    reader.close()


def test_a_reader_that_does_not_stop_talking_ends_an_exchange(bus: UsbBus) -> None:
    class Talks(Acr122):
        def take(self, octets: bytes) -> Iterator[tuple[float, bytes]]:
            for _ in range(10 * FRAMES_MAX):
                yield 0.0, b"\x00\x00\xff\x00\xff\x00"

    bus.plug(Talks())
    wire = bounded(1, 1)
    try:
        wire.write(b"x")
        for _ in range(FRAMES_MAX):
            wire.read(10)
        with pytest.raises(OSError, match="doesn't stop"):
            wire.read(10)
    finally:
        wire.end()
        wire.end()


def test_where_the_c_library_is_missing_it_is_told(bus: UsbBus, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise OSError("USB library could not be found")

    monkeypatch.setattr("usb1.getVersion", missing)
    with pytest.raises(ReaderLost) as caught:
        NfcUsbReader("usb").open()
    assert "apt install libusb-1.0-0" in str(caught.value)


@pytest.mark.parametrize(
    "address", ["nfcpy:tty", "nfcpy:usb:072f", "nfcpy:usb:072f:22", "nfcpy:usb:001:002:3", "nfcpy:usb?x=1"]
)
def test_an_address_that_can_never_work_is_refused(address: str) -> None:
    with pytest.raises(ReaderRefused):
        make_reader(address)
