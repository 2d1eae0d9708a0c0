"""Card reads of OSDP readers: which card a row of bits is, by its length and by what the reader's address declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge.ports import CardRead
from protocol.cardforms import NumberPlan, PartialPlan, number_plan
from protocol.cards import CardUid
from protocol.errors import CardNumberError

LENGTHS: Final = {26: ("w26", 3), 34: ("w34", 4), 24: ("hex", 3)} | {
    8 * octets: ("hex", octets) for octets in (4, 5, 7, 8, 10)
}
"""Bits of a read -> the form that they have (see cardforms.FORMS), and the bytes of the number in it."""
ONLY_DECLARED: Final = (24,)
"""Three bytes without parity are nobody's custom: a card only where `bytes=3` says so."""


@dataclass(frozen=True, slots=True)
class BitPlans:
    """What a reader is declared to send: a plan for each length in bits; other lengths are no cards."""

    by_bits: Mapping[int, NumberPlan]

    def read(self, bits: int, data: bytes) -> CardRead:
        """The card in `bits` bits, the first the highest of the first byte. CardNumberError never says the number."""
        plan = self.by_bits.get(bits)
        if plan is None:
            raise CardNumberError(f"{bits} bits are no card number here")
        if len(data) != (bits + 7) // 8:
            raise CardNumberError(f"{bits} bits are not {len(data)} bytes")
        if plan.form.name == "hex":
            text = data.hex().upper()
        else:
            text = f"{int.from_bytes(data, 'big') >> -bits % 8:0{bits}b}"
        return CardRead(plan.read(text), text, str(plan))

    def partials(self) -> tuple[PartialPlan, ...]:
        """See Reader.partials."""
        return tuple(
            dict.fromkeys(
                partial
                for bits, plan in self.by_bits.items()
                for partial in plan.partials()
                if partial.octets == LENGTHS[bits][1]
            )
        )


def bit_plans(
    form: str | None = None, order: str | None = None, octets: str | None = None, part: str | None = None
) -> BitPlans:
    """The plans that an address declares; raises CardNumberError, which names what is known.

    Without `form` a read's length tells it; `octets` admits numbers of that many bytes only.
    """
    if form not in (None, "hex", "w26", "w34"):
        raise CardNumberError(f"format={form} is not w26, w34 or hex")
    number_plan("hex", order, octets, part)
    plans = {
        bits: number_plan(name, order, octets, part)
        for bits, (name, width) in LENGTHS.items()
        if form in (None, name) and (octets == str(width) if octets is not None else bits not in ONLY_DECLARED)
    }
    if not plans:
        raise CardNumberError(f"format={form} has no numbers of {octets} bytes")
    return BitPlans(plans)


def declarations_for(card: CardUid, text: str) -> list[tuple[str, ...]]:
    """The options of an address under which a read names this card, the fewest first; `text`: the read's (CardRead)."""
    wiegand = len(text) in (26, 34) and set(text) <= {"0", "1"}
    bits = len(text) if wiegand else 4 * len(text)
    data = (int(text, 2) << -bits % 8).to_bytes((bits + 7) // 8, "big") if wiegand else bytes.fromhex(text)
    found: list[tuple[str, ...]] = []
    for part in (None, "first", "last"):
        for order in (None, "reversed"):
            options = tuple(
                f"{name}={value}" for name, value in (("order", order), ("part", part)) if value is not None
            )
            try:
                plans = bit_plans(None, order, None, part)
                read = plans.read(bits, data).card
            except CardNumberError:
                continue
            if read == card or any(partial.of(card) == read for partial in plans.partials()):
                found.append(options)
    return sorted(found, key=len)
