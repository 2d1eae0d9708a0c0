"""Printed card numbers: every form there and back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cardforms import (
    FORMS,
    NumberPlan,
    PartialPlan,
    leaked_cascade_tag,
    number_plan,
    parse_partial,
    plans,
    plans_for,
    printed,
    wiegand_bits,
)
from protocol.cards import CardUid, parse_card
from protocol.errors import CardNumberError

# What real readers were seen to print of these cards: the card, the address's options, the text, what it is read as.
SEEN = [
    ("a:DEADBEEF", "hex", None, None, None, "DEADBEEF", "a:DEADBEEF"),
    ("a:DEADBEEF", "hex-reversed", None, None, None, "EFBEADDE", "a:DEADBEEF"),
    ("a:DEADBEEF", "dec", None, None, None, "3735928559", "w32:DEADBEEF"),
    ("a:DEADBEEF", "dec-reversed", None, None, None, "4022250974", "w32:EFBEADDE"),
    ("a:DEADBEEF", "w26", None, None, None, "ADBEEF", "w24:ADBEEF"),
    ("a:DEADBEEF", "w26", "reversed", None, None, "BEADDE", "w24:BEADDE"),
    ("a:DEADBEEF", "3d5d", None, None, None, "173,48879", "w24:ADBEEF"),
    ("a:DEADBEEF", "3d5d", "reversed", None, None, "190,44510", "w24:BEADDE"),
    ("a:DEADBEEF", "w34", None, None, None, "1110111101010110110111110111011110", "w32:DEADBEEF"),
    ("a:0A1B2C3D", "8h10d", None, None, None, "0169552957", "w32:0A1B2C3D"),
    ("a:0A1B2C3D", "8h10d", "reversed", None, None, "1026300682", "w32:3D2C1B0A"),
    ("a:0A1B2C3D", "8h10d", None, None, None, "169552957", "w32:0A1B2C3D"),  # Without its leading zero.
    ("a:04A1B2C3D4E580", "hex-reversed", None, None, None, "80E5D4C3B2A104", "a:04A1B2C3D4E580"),
    ("a:04A1B2C3D4E580", "dec", None, "7", None, "1303689068602752", "a:04A1B2C3D4E580"),
    ("a:04A1B2C3D4E580", "dec-reversed", None, "7", None, "36281498998055172", "a:04A1B2C3D4E580"),
    ("a:04A1B2C3D4E580", "w34", "reversed", None, "first", "C3B2A104", "w32:C3B2A104"),
    ("a:04A1B2C3D4E580", "w34", None, None, "last", "C3D4E580", "w32:C3D4E580"),
    ("a:04A1B2C3D4E580", "w26", "reversed", None, None, "B2A104", "w24:B2A104"),
    ("em:0A00B6ED77", "rdm6300", None, None, None, "0A00B6ED7726", "em:0A00B6ED77"),
    ("em:0A00B6ED77", "id12", None, None, None, "0A00B6ED7726", "em:0A00B6ED77"),
    ("em:0A00B6ED77", "8h10d", None, None, None, "0011988343", "w32:00B6ED77"),
    ("em:0A00B6ED77", "3d5d", None, None, None, "182,60791", "w24:B6ED77"),
    ("em:0A00B6ED77", "5d5d", None, None, None, "00182,60791", "w32:00B6ED77"),
    ("em:0A00B6ED77", "10h13d", None, None, None, "0042961661303", "em:0A00B6ED77"),
    ("f:0123456789ABCDEF", "hex", None, None, None, "01 23 45 67 89 AB CD EF", "f:0123456789ABCDEF"),
    ("a:04A1B2C3D4E5F60718AA", "hex", None, None, None, "04:A1:B2:C3:D4:E5:F6:07:18:AA", "a:04A1B2C3D4E5F60718AA"),
]


@pytest.mark.parametrize(("card", "form", "order", "octets", "part", "text", "read"), SEEN)
def test_a_reader_that_prints_this_shows_that_card(
    card: str, form: str, order: str | None, octets: str | None, part: str | None, text: str, read: str
) -> None:
    plan = number_plan(form, order, octets, part)
    assert plan.read(text).canonical == read
    whole = parse_card(card)
    assert read == card or any(made.of(whole) == parse_card(read) for made in plan.partials())
    assert plan in plans_for(whole, text) or octets is not None or part is not None
    assert any(number_plan(**_declared(found)).read(text).canonical == read for found in plans_for(whole, text))


def _declared(plan: NumberPlan) -> dict[str, str | None]:
    words = dict(word.split("=") for word in str(plan).split("&"))
    return {
        "form": words["format"],
        "order": words.get("order"),
        "octets": words.get("bytes"),
        "part": words.get("part"),
    }


def test_every_plan_stands_in_an_address_as_it_prints_itself() -> None:
    for plan in plans():
        assert number_plan(**_declared(plan)) == plan


cards = st.one_of(
    st.binary(min_size=4, max_size=4).map(lambda uid: CardUid.from_bytes("a", uid)),
    st.binary(min_size=7, max_size=7).map(lambda uid: CardUid.from_bytes("a", uid)),
    st.binary(min_size=10, max_size=10).map(lambda uid: CardUid.from_bytes("a", uid)),
    st.binary(min_size=5, max_size=5).map(lambda uid: CardUid.from_bytes("em", uid)),
    st.binary(min_size=8, max_size=8).map(lambda uid: CardUid.from_bytes("f", uid)),
)


@given(cards)
def test_what_is_printed_of_a_card_is_read_as_that_card_or_its_part(card: CardUid) -> None:
    made = printed(card)
    assert {form.plan.form.name for form in made} >= {"hex", "dec", "w26", "w34", "3d5d", "5d5d", "8h10d"}
    for form in made:
        read = form.plan.read(form.text)
        assert read == card or read in [part.of(card) for part in form.plan.partials()]
        assert form.plan in plans_for(card, form.text)


@given(st.text(max_size=100), st.sampled_from(list(plans())))
def test_nothing_but_numbers_is_read_and_no_number_stands_in_the_error(text: str, plan: NumberPlan) -> None:
    said = ""
    try:
        card = plan.read(text)
    except CardNumberError as problem:
        said = str(problem)
    else:
        assert any(character.isalnum() for character in text) and card.hex
    assert len(text) < 6 or text not in said


@pytest.mark.parametrize(
    ("form", "octets", "text"),
    [
        ("dec", None, "4294967296"),
        ("dec", "3", "16777216"),
        ("dec", None, "١٢٣"),
        ("3d5d", None, "256,00000"),
        ("3d5d", None, "1,65536"),
        ("10h13d", None, "1099511627776"),
        ("hex", None, "DEADBEE"),
        ("hex", None, "DEADBEEF0011"),
        ("hex", "7", "DEADBEEF"),
        ("w34", None, "0110111101010110110111110111011110"),
        ("w34", None, "1110111101010110110111110111011111"),
        ("rdm6300", None, "0A00B6ED7725"),
        ("rdm6300", None, "0A00B6ED77"),
        ("hex", None, "0" * 100_000),
    ],
)
def test_what_does_not_fit_is_refused(form: str, octets: str | None, text: str) -> None:
    with pytest.raises(CardNumberError):
        number_plan(form, None, octets).read(text)


@pytest.mark.parametrize(
    ("form", "order", "octets", "part", "said"),
    [
        ("w27", None, None, None, "known are hex, dec, 3d5d, 5d5d, 8h10d, 10h13d, w26, w34, rdm6300, id12, hex-rev"),
        ("w26-reversed", None, None, None, "no such variant"),
        ("hex-reversed", "wire", None, None, "contradict"),
        ("hex", "backwards", None, None, "not wire or reversed"),
        ("hex", None, "6", None, "not 3, 4, 5, 7 or 8"),
        ("hex", None, "04", None, "not 3, 4, 5, 7 or 8"),
        ("w26", None, "4", None, "has 3 bytes"),
        ("hex", None, "7", "last", "wants a number of 3 or 4 bytes"),
        ("10h13d", None, None, "last", "wants a number of 3 or 4 bytes"),
        ("hex", None, None, "middle", "not first or last"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_what_is_known(
    form: str, order: str | None, octets: str | None, part: str | None, said: str
) -> None:
    with pytest.raises(CardNumberError, match=said):
        number_plan(form, order, octets, part)


def test_parts_have_names() -> None:
    part = PartialPlan(3, "reversed", "first")
    assert str(part) == "w24-reversed-first" and parse_partial(str(part)) == part
    assert part.of(parse_card("a:DEADBEEF")) == CardUid("w24", "BEADDE")
    assert part.of(CardUid("w24", "BEADDE")) is None, "of a part nothing is known"
    for text in ("w25-wire-last", "w24", "w24-wire-middle", "w24-wire-last "):
        with pytest.raises(CardNumberError):
            parse_partial(text)


def test_wiegand_parity() -> None:
    assert wiegand_bits(0xDEADBEEF, 32) == "1110111101010110110111110111011110"
    assert FORMS["w26"].text(0xADBEEF, 3) == "ADBEEF"


def test_half_an_anticollision_is_noticed() -> None:
    assert leaked_cascade_tag(CardUid("a", "8804A1B2")) and leaked_cascade_tag(CardUid("w32", "8804A1B2"))
    assert not leaked_cascade_tag(CardUid("a", "0488A1B2")) and not leaked_cascade_tag(CardUid("em", "8804A1B200"))
