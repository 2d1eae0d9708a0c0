"""The words of PC/SC: what an ATR and an answer say, and which reader a name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from protocol.cards import CardUid
from protocol.errors import ReaderLost, ReaderRefused
from protocol.taps import TYPE_CHARACTERS_MAX
from sim.emulators.pcsccard import storage_atr
from tests.readers.pcsc.gate import ACS_FELICA, ACS_FELICA_212


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
