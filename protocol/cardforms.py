"""Printed card numbers: what readers and cards make of a number off the air, there and back.

A number off the air is a row of bytes in wire order. Printers take it for an integer, its first byte the highest
(order `wire`) or the lowest (order `reversed`), often only the lowest three or four bytes of that integer, and write
it in hexadecimal, in decimal, or as two decimals. Which of all that a reader does is declared, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final, Literal, get_args

from protocol.cards import UID_BYTES, CardUid
from protocol.errors import CardNumberError

Order = Literal["wire", "reversed"]
Part = Literal["first", "last"]

TEXT_CHARACTERS_MAX: Final = 80
"""The longest form, 34 bits of Wiegand, has 34; a line that goes on is noise."""
TECHNOLOGY: Final = {4: "a", 5: "em", 7: "a", 8: "f", 10: "a"}
"""A whole number's technology by its bytes; see cards.UID_BYTES."""
PARTIAL_OCTETS: Final = (3, 4)
"""Widths in bytes of the parts that readers hand over."""


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write an integer of `octets` bytes (None: by what stands there, or declared).

    `value` gives the integer and, where the text tells it, its width in bytes; it raises CardNumberError.
    """

    name: str
    octets: int | None
    pattern: re.Pattern[str]
    value: Callable[[re.Match[str]], tuple[int, int | None]]
    text: Callable[[int, int], str]


@dataclass(frozen=True, slots=True)
class PartialPlan:
    """Which part of a number a reader hands over: `octets` of them, the `first` or `last` on the wire, in its order."""

    octets: int
    order: Order
    part: Part

    def of(self, card: CardUid) -> CardUid | None:
        """What such a reader makes of a whole card; None where the card is no longer than the part, or a part."""
        uid = bytes.fromhex(card.hex)
        if card.partial or len(uid) < self.octets:
            return None
        cut = uid[: self.octets] if self.part == "first" else uid[-self.octets :]
        return CardUid.from_bytes(f"w{8 * self.octets}", cut if self.order == "wire" else cut[::-1])

    def listed(self, part: CardUid) -> str:
        """The text under which a release lists a part for readers of this plan; for another plan's it is another."""
        return f"{self}:{part.hex}"

    def __str__(self) -> str:
        """Its name, such as `w24-reversed-first`."""
        return f"w{8 * self.octets}-{self.order}-{self.part}"


def parse_partial(text: str) -> PartialPlan:
    """Read `w24-reversed-first`; raises CardNumberError."""
    found = re.fullmatch(r"w(24|32)-(wire|reversed)-(first|last)", text)
    if found is None:
        raise CardNumberError(f"{text[:40]!r} is no part of a card number such as w24-reversed-first")
    width, order, part = found.groups()
    return PartialPlan(
        int(width) // 8, "wire" if order == "wire" else "reversed", "first" if part == "first" else "last"
    )


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """What a reader is declared to print: the form, its width in bytes, its byte order, and whether only a part."""

    form: Form
    order: Order = "wire"
    octets: int | None = None
    part: Part | None = None

    def read(self, text: str) -> CardUid:
        """The card that a text names; raises CardNumberError, which says what doesn't fit, without the number."""
        text = text.strip()
        found = self.form.pattern.fullmatch(text) if len(text) <= TEXT_CHARACTERS_MAX else None
        if found is None:
            raise CardNumberError(f"what came is not a number of the form {self.form.name}")
        value, told = self.form.value(found)
        octets = self.octets or self.form.octets or told
        if octets is None or (told is not None and self.octets not in (None, told)):
            raise CardNumberError(f"the number has {told} bytes, bytes={self.octets} is declared")
        if value >= 256**octets:
            raise CardNumberError(f"the number doesn't fit into {octets} bytes")
        raw = value.to_bytes(octets, "big")
        if self._is_part(octets):
            return CardUid.from_bytes(f"w{8 * octets}", raw)
        if octets not in TECHNOLOGY:
            raise CardNumberError(f"no card number has {octets} bytes")
        return CardUid.from_bytes(TECHNOLOGY[octets], raw if self.order == "wire" else raw[::-1])

    def _is_part(self, octets: int) -> bool:
        # Four bytes off a keypad or a controller may be a whole number or the end of a longer one; only who says
        # `hex`, and nothing of a part, is taken to print what is on the air.
        return octets == 3 or (octets == 4 and (self.part is not None or self.form.name != "hex"))

    def partials(self) -> tuple[PartialPlan, ...]:
        """The parts that this reader may hand over; none where it prints whole numbers only."""
        widths = (self.octets,) if self.octets else (self.form.octets,) if self.form.octets else PARTIAL_OCTETS
        part: Part = self.part or ("last" if self.order == "wire" else "first")
        return tuple(
            PartialPlan(width, self.order, part) for width in widths if width is not None and self._is_part(width)
        )

    def __str__(self) -> str:
        """As it stands in a reader's address: `format=dec&order=reversed&bytes=4`."""
        words = [f"format={self.form.name}"]
        words += ["order=reversed"] if self.order == "reversed" else []
        words += [f"bytes={self.octets}"] if self.octets else []
        words += [f"part={self.part}"] if self.part else []
        return "&".join(words)


def number_plan(form: str, order: str | None = None, octets: str | None = None, part: str | None = None) -> NumberPlan:
    """The plan that an address declares; raises CardNumberError, which names what is known."""
    name, order = (form.removesuffix("-reversed"), order or "reversed") if form.endswith("-reversed") else (form, order)
    if form.endswith("-reversed") and (order != "reversed" or name not in ("hex", "dec")):
        raise CardNumberError(f"format={form} and order={order} contradict each other, or {name} has no such variant")
    found = FORMS.get(name)
    if found is None:
        known = ", ".join([*FORMS, "hex-reversed", "dec-reversed"])
        raise CardNumberError(f"format={form} is unknown; known are {known}")
    if order not in (None, *get_args(Order)):
        raise CardNumberError(f"order={order} is not wire or reversed")
    if part not in (None, *get_args(Part)):
        raise CardNumberError(f"part={part} is not first or last")
    width: int | None = None
    if octets is not None:
        if octets not in ("3", "4", "5", "7", "8"):
            raise CardNumberError(f"bytes={octets} is not 3, 4, 5, 7 or 8")
        width = int(octets)
    if found.octets is not None and width is not None and width > found.octets:
        raise CardNumberError(f"format={name} has {found.octets} bytes, not {width}")
    if name == "dec" and width is None:
        width = 4
    if part is not None and (width or found.octets or 3) not in PARTIAL_OCTETS:
        raise CardNumberError(f"part={part} wants a number of 3 or 4 bytes")
    return NumberPlan(
        found,
        "reversed" if order == "reversed" else "wire",
        width,
        "first" if part == "first" else "last" if part == "last" else None,
    )


# --- the forms --------------------------------------------------------------------------------------------------------


def _hex(found: re.Match[str]) -> tuple[int, int | None]:
    digits = re.sub("[ :-]", "", found[0])
    if len(digits) % 2 or len(digits) // 2 not in (*PARTIAL_OCTETS, *TECHNOLOGY):
        raise CardNumberError(f"no card number has {len(digits)} hex digits")
    return int(digits, 16), len(digits) // 2


def _decimal(found: re.Match[str]) -> tuple[int, int | None]:
    return int(found[0]), None


def _pair(high_bits: int) -> Callable[[re.Match[str]], tuple[int, int | None]]:
    def value(found: re.Match[str]) -> tuple[int, int | None]:
        high, low = int(found[1]), int(found[2])
        if high >= 1 << high_bits or low >= 1 << 16:
            raise CardNumberError(f"the two numbers don't fit into {high_bits} and 16 bits")
        return high << 16 | low, None

    return value


def _wiegand(bits: int) -> Callable[[re.Match[str]], tuple[int, int | None]]:
    def value(found: re.Match[str]) -> tuple[int, int | None]:
        text = found[0]
        if len(text) != bits + 2:
            return int(text, 16), None
        number = int(text[1:-1], 2)
        if wiegand_bits(number, bits) != text:
            raise CardNumberError("a parity bit is wrong")
        return number, None

    return value


def wiegand_bits(number: int, bits: int) -> str:
    """The bits of a Wiegand transfer: even parity over the first half, the number, odd parity over the second half."""
    data = f"{number:0{bits}b}"
    half = bits // 2
    return f"{data[:half].count('1') % 2}{data}{1 - data[half:].count('1') % 2}"


def _checked(found: re.Match[str]) -> tuple[int, int | None]:
    octets = bytes.fromhex(found[0])
    if reduce(xor, octets[:-1]) != octets[-1]:
        raise CardNumberError("the checksum is wrong")
    return int.from_bytes(octets[:-1], "big"), None


def _checked_text(value: int, octets: int) -> str:
    row = value.to_bytes(octets, "big")
    return (row + bytes((reduce(xor, row),))).hex().upper()


_HEX: Final = re.compile(r"[0-9A-Fa-f]{2}(?:[ :-]?[0-9A-Fa-f]{2}){2,9}")
_FRAME: Final = re.compile(r"[0-9A-Fa-f]{12}")
_PAIR: Final = re.compile(r"([0-9]{1,5})[, ]([0-9]{1,5})", re.ASCII)

FORMS: Final = {
    form.name: form
    for form in (
        Form("hex", None, _HEX, _hex, lambda value, octets: f"{value:0{2 * octets}X}"),
        Form(
            "dec",
            None,
            re.compile(r"[0-9]{1,25}"),
            _decimal,
            lambda value, octets: f"{value:0{len(str(256**octets - 1)) if octets == 4 else 0}d}",
        ),
        Form("3d5d", 3, _PAIR, _pair(8), lambda value, _: f"{value >> 16:03d},{value & 0xFFFF:05d}"),
        Form("5d5d", 4, _PAIR, _pair(16), lambda value, _: f"{value >> 16:05d},{value & 0xFFFF:05d}"),
        Form("8h10d", 4, re.compile(r"[0-9]{1,10}"), _decimal, lambda value, _: f"{value:010d}"),
        Form("10h13d", 5, re.compile(r"[0-9]{1,13}"), _decimal, lambda value, _: f"{value:013d}"),
        Form("w26", 3, re.compile(r"[01]{26}|[0-9A-Fa-f]{6}"), _wiegand(24), lambda value, _: f"{value:06X}"),
        Form("w34", 4, re.compile(r"[01]{34}|[0-9A-Fa-f]{8}"), _wiegand(32), lambda value, _: f"{value:08X}"),
        Form("rdm6300", 5, _FRAME, _checked, _checked_text),
        Form("id12", 5, _FRAME, _checked, _checked_text),
    )
}
"""By their names in a reader's address. The 125 kHz modules' frames are five bytes and their exclusive or, in hex."""


# --- a known card -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as some reader prints it: the plan that reads it, and the text."""

    plan: NumberPlan
    text: str


def plans() -> Iterator[NumberPlan]:
    """Every plan that a reader of ours may declare, the plainest first."""
    for form in FORMS.values():
        for order in get_args(Order):
            if form.name == "hex":
                yield NumberPlan(form, order)
                yield from (NumberPlan(form, order, width, part) for width in PARTIAL_OCTETS for part in get_args(Part))
                continue
            for width in (4, 3, 5, 7, 8) if form.name == "dec" else (form.octets,):
                declared = width if form.name == "dec" else None
                yield NumberPlan(form, order, declared)
                if width in PARTIAL_OCTETS:
                    usual = "last" if order == "wire" else "first"
                    yield from (NumberPlan(form, order, declared, part) for part in get_args(Part) if part != usual)


def printed(card: CardUid) -> tuple[Printed, ...]:
    """What each plan's reader prints for a card, where it can print this card; of a part, what was read of it."""
    uid = bytes.fromhex(card.hex)
    made: list[Printed] = []
    for plan in plans():
        partials = [part for part in plan.partials() if part.of(card) is not None]
        whole = plan.octets or plan.form.octets or len(uid)
        if plan.part is None and whole == len(uid) and _reads_whole(plan, card):
            # Of a part, only what was read is known; what another order would make of it isn't.
            row = uid if plan.order == "wire" else uid[::-1]
        elif partials and (plan.octets or plan.form.octets):
            found = partials[0].of(card)
            assert found is not None
            row = bytes.fromhex(found.hex)
        else:
            continue
        made.append(Printed(plan, plan.form.text(int.from_bytes(row, "big"), len(row))))
    return tuple(made)


def _reads_whole(plan: NumberPlan, card: CardUid) -> bool:
    uid = bytes.fromhex(card.hex)
    row = uid if plan.order == "wire" else uid[::-1]
    try:
        return plan.read(plan.form.text(int.from_bytes(row, "big"), len(row))) == card
    except CardNumberError:
        return False


def plans_for(card: CardUid, text: str) -> tuple[NumberPlan, ...]:
    """The plans under which a text that a reader printed names this card, the plainest first."""
    found: list[NumberPlan] = []
    for plan in plans():
        try:
            read = plan.read(text)
        except CardNumberError:
            continue
        if read == card or any(part.of(card) == read for part in plan.partials()):
            found.append(plan)
    return tuple(found)


def leaked_cascade_tag(card: CardUid) -> bool:
    """Whether four bytes begin with the cascade tag 88 (ISO/IEC 14443-3, 6.5.4): a reader shows half an anticollision.

    Such a number is the tag and the first three bytes of a longer one, and the same for thousands of cards.
    """
    return card.technology in ("a", "w32") and len(card.hex) == 8 and card.hex.startswith("88")


assert set(TECHNOLOGY) == {octets for widths in UID_BYTES.values() for octets in widths}
