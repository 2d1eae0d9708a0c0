"""Cards that come over OSDP: bits and whole numbers, and what is none."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ports import CardRead
from edge.readers.osdpcards import bit_plans
from protocol.cardforms import PartialPlan, number_plan, wiegand_bits
from protocol.cards import CardUid
from protocol.errors import CardNumberError
from sim.emulators.osdppd import OsdpPd
from tests.contracts.watching import opened
from tests.readers.osdp.door import CARD, UID, polled, reader_of


def octets_of(bits: str) -> bytes:
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def test_wiegand_and_whole_numbers_by_their_length(pd: OsdpPd) -> None:
    reader = reader_of(pd, "&order=reversed")
    opened(reader)
    sent = [
        (26, octets_of(wiegand_bits(0xBEADDE, 24)), True),
        (34, octets_of("1110111101010110110111110111011110"), True),
        (40, bytes.fromhex("77EDB6000A"), False),
        (64, bytes.fromhex("0807060504030201"), False),
        (80, bytes(range(10, 0, -1)), False),
    ]
    reads: list[CardRead] = []
    for number, (bits, data, wiegand) in enumerate(sent, 1):
        pd.show(bits, data, wiegand=wiegand)
        reads += polled(reader, bool)
        assert len(reads) == number
    assert [read.card.canonical for read in reads] == [
        "w24:BEADDE",
        "w32:DEADBEEF",
        "em:0A00B6ED77",
        "f:0102030405060708",
        "a:0102030405060708090A",
    ]
    assert reads[0].plan == "format=w26&order=reversed" and len(reads[0].text or "") == 26
    assert reads[2].text == "77EDB6000A"
    assert set(reader.partials) == {PartialPlan(3, "reversed", "first"), PartialPlan(4, "reversed", "first")}
    reader.close()


def test_what_is_no_card_is_passed_over_and_no_number_is_logged(pd: OsdpPd, caplog: pytest.LogCaptureFixture) -> None:
    reader = reader_of(pd)
    opened(reader)
    with caplog.at_level(logging.DEBUG):
        bad = octets_of(wiegand_bits(0xBEADDE, 24).translate({48: 49, 49: 48}))
        for bits, data in (
            (37, bytes.fromhex("DEADBEEF12")),
            (26, bad),
            (8, b"\xde"),
            (1, b"\x80"),
            (512, b"\xde" * 64),
        ):
            pd.show(bits, data)
        pd.show(56, UID)
        assert [read.card for read in polled(reader, bool)] == [CARD]
    told = [record.getMessage() for record in caplog.records]
    assert reader.unread == 5
    assert len(told) == 3 and "37 bits" in told[0] and "parity" in told[1], "the first, second and fourth"
    assert not any(word in line.upper() for line in told for word in ("DEAD", "BEAD", "DEDE", "04A1"))
    reader.close()


@given(st.sampled_from([4, 5, 7, 8, 10]).flatmap(lambda octets: st.binary(min_size=octets, max_size=octets)))
def test_whole_numbers_come_as_they_are_on_the_air(uid: bytes) -> None:
    assert bytes.fromhex(bit_plans().read(8 * len(uid), uid).card.hex) == uid
    assert bytes.fromhex(bit_plans(order="reversed").read(8 * len(uid), uid[::-1]).card.hex) == uid


@given(st.sampled_from([24, 32]), st.data())
def test_parts_match_the_cards_that_they_are_of_and_a_changed_bit_is_no_card(width: int, data: st.DataObject) -> None:
    uid = data.draw(st.binary(min_size=7, max_size=7))
    order = data.draw(st.sampled_from(["wire", "reversed"]))
    plans = bit_plans(order=order)
    (plan,) = [plan for plan in plans.partials() if plan.octets * 8 == width]
    part = plan.of(CardUid.from_bytes("a", uid))
    assert part is not None
    bits = wiegand_bits(int(part.hex, 16), width)
    read = plans.read(width + 2, octets_of(bits))
    assert (read.card, read.text) == (part, bits)
    assert number_plan(f"w{width + 2}", order).read(read.text or "") == part
    at = data.draw(st.integers(0, width + 1))
    with pytest.raises(CardNumberError):
        plans.read(width + 2, octets_of(bits[:at] + str(1 - int(bits[at])) + bits[at + 1 :]))


@given(st.integers(0, 1100), st.binary(max_size=140), st.sampled_from(["", "3", "4", "5", "7", "8"]))
def test_any_read_is_a_card_or_a_refusal_without_its_number(bits: int, data: bytes, octets: str) -> None:
    plans = bit_plans(octets=octets or None)
    read, said = None, ""
    try:
        read = plans.read(bits, data)
    except CardNumberError as problem:
        said = str(problem).lower()
    if read is None:
        assert said and (len(data) < 3 or data.hex() not in said)
        return
    assert len(data) == -(-bits // 8)
    if octets:
        assert len(read.card.hex) == 2 * int(octets)
    if read.card.partial:
        assert len(read.card.hex) // 2 in {partial.octets for partial in plans.partials()}


def test_what_an_address_declares() -> None:
    assert set(bit_plans("w26").by_bits) == {26}
    assert set(bit_plans("w34").by_bits) == {34}
    assert set(bit_plans("hex").by_bits) == {32, 40, 56, 64, 80}
    assert set(bit_plans(octets="3").by_bits) == {24, 26}
    assert bit_plans("hex", part="last").read(32, b"\xde\xad\xbe\xef").card.canonical == "w32:DEADBEEF"
    assert bit_plans("hex", octets="7").partials() == ()
