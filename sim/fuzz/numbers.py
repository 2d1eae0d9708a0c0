"""The parsers of printed card numbers: lines of readers that print them, and the forms that they may have."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from edge.ports import CardRead
from edge.readers.lines import ETX, FRAMED, STX, TWICE_NS, LineSplitter, Twice
from protocol.cardforms import (
    TEXT_CHARACTERS_MAX,
    NumberPlan,
    Printed,
    number_plan,
    parse_partial,
    plans,
    plans_for,
    printed,
    wiegand_bits,
)
from protocol.cards import CardUid, parse_card
from protocol.errors import CardNumberError
from sim.fuzz.mutator import NUMBERS, TEXTS, Mutator, sound_bytes, sound_text
from sim.fuzz.parser import Parser, must

CARDS: Final = tuple(
    parse_card(text)
    for text in ("a:DEADBEEF", "a:04A1B2C3D4E580", "em:0A00B6ED77", "f:01120334C5D6E7F8", "a:04112233445566778899")
)
PLANS: Final = tuple(plans())
PRINTED: Final[tuple[Printed, ...]] = tuple(form for card in CARDS for form in printed(card))
"""What readers of every plan print for these cards."""
DIGITS_KEPT: Final = 6
"""So many digits of a number in a log line or an error text would give it away."""


DECIMALS: Final = ("dec", "8h10d", "10h13d")
KNOWN: Final = tuple(
    (number_plan(form, order, octets, part), text, parse_card(read), parse_card(card))
    for form, order, octets, part, text, read, card in (
        ("hex", "reversed", None, None, "EFBEADDE", "a:DEADBEEF", "a:DEADBEEF"),
        ("dec", "reversed", "7", None, "36281498998055172", "a:04A1B2C3D4E580", "a:04A1B2C3D4E580"),
        ("8h10d", "reversed", None, None, "1026300682", "w32:3D2C1B0A", "a:0A1B2C3D"),
        ("3d5d", None, None, None, "173,48879", "w24:ADBEEF", "a:DEADBEEF"),
        ("w26", "reversed", None, None, "B2A104", "w24:B2A104", "a:04A1B2C3D4E580"),
        ("w34", "reversed", None, "first", "C3B2A104", "w32:C3B2A104", "a:04A1B2C3D4E580"),
        ("w34", None, None, "last", "C3D4E580", "w32:C3D4E580", "a:04A1B2C3D4E580"),
        ("id12", None, None, None, "0A00B6ED7726", "em:0A00B6ED77", "em:0A00B6ED77"),
    )
)
"""What real readers print of cards, as written down by hand: a plan, the text, what is read, the whole card."""


def sound_card(card: CardUid) -> None:
    """Raise Broken unless it is a card number that reads the same when it is written."""
    must(parse_card(card.canonical) == card, "a card that is none")


def read_or_none(plan: NumberPlan, text: str) -> CardUid | None:
    """The card that a text names under a plan; the refusal must not name the number."""
    try:
        card = plan.read(text)
    except CardNumberError as problem:
        must(len(text.strip()) < DIGITS_KEPT or text.strip() not in str(problem), "a refusal names the number")
        return None
    sound_card(card)
    octets = len(card.hex) // 2
    must(octets == (plan.octets or plan.form.octets or octets), "a card of another width than declared")
    must(not card.partial or any(part.octets == octets for part in plan.partials()), "a part that was not announced")
    if plan.form.name in DECIMALS:
        turned = plan.order == "reversed" and not card.partial
        value = int.from_bytes(bytes.fromhex(card.hex), "little" if turned else "big")
        must(value == int(text.strip()), "a number that is not the one printed")
    return card


def known_still(draw: int) -> None:
    """Raise Broken unless what a real reader prints is the card that it is, or its announced part."""
    plan, text, read, card = KNOWN[draw % len(KNOWN)]
    must(plan.read(text) == read, "a known number is another card's now")
    must(read == card or any(part.of(card) == read for part in plan.partials()), "a known part is another card's now")


_FRAMED: Final = re.compile(rb"\x02([^\x02\x03]*)\x03")
_ENDS: Final = re.compile(rb"[\r\n\x03]")


class SerialLines(Parser):
    """`lines`: what a reader that prints numbers sends, by the plan that the first byte names; and what is believed."""

    name = "lines"
    refusals = ()
    STEPS_MS = (0, 40, 65, 100, 299, 300, 301, 2000)

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._good: dict[int, tuple[Printed, ...]] = {
            at: tuple(form for form in PRINTED if form.plan == plan) for at, plan in enumerate(PLANS)
        }
        must(all(self._good.values()), "a plan prints none of the cards")
        self._mutators = {
            at: Mutator([sound_bytes(self._line(plan, form.text) * 2) for form in self._good[at]])
            for at, plan in enumerate(PLANS)
        }
        others = [sound_bytes(self._line(form.plan, form.text)) for form in PRINTED]
        noise = [b"\r\n\r\n\r\n", bytes((STX,)) * 3, bytes((ETX,)) * 3, b"0" * 200, bytes(range(256)), b"\x9a\xf3\xe0"]
        self._others = Mutator([*others, *map(sound_bytes, noise)], NUMBERS)

    @staticmethod
    def _line(plan: NumberPlan, text: str) -> bytes:
        return b"\x02%s\r\n\x03" % text.encode() if plan.form.name in FRAMED else b"%s\r\n" % text.encode()

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        at = int(draw() * len(PLANS))
        pieces = [bytes((at,)), self._mutators[at].mutated(rng)]
        while draw() < 0.3:
            pieces.append(self._others.mutated(rng))
        return b"".join(pieces)

    def take(self, octets: bytes) -> int:
        """See Parser."""
        at, line = octets[0] % len(PLANS), octets[1:]
        plan = PLANS[at]
        framed = plan.form.name in FRAMED
        splitter = LineSplitter(framed=framed)
        texts = splitter.feed(line)
        dribble, also = LineSplitter(framed=framed), []
        step = 1 + len(octets) % 7
        for begin in range(0, len(line), step):
            also += dribble.feed(line[begin : begin + step])
        must(texts == also, "in pieces other texts come than at once")
        between = _FRAMED.findall(line) if framed else [part.rpartition(b"\x02")[2] for part in _ENDS.split(line)[:-1]]
        must(len(texts) == sum(map(bool, between)), "a text of what stands outside, or one too few")
        cards = []
        for text in texts:
            must(text is None or 0 < len(text) <= TEXT_CHARACTERS_MAX, "a text without end, or of nothing")
            card = None if text is None else read_or_none(plan, text)
            if card is not None:
                cards.append(CardRead(card, text, str(plan)))
        self._believed(cards, len(octets))
        self._resynchronises(splitter, at, len(octets))
        return len(cards)

    def _believed(self, reads: list[CardRead], draw: int) -> None:
        """Only what was said just before is believed, and dated then."""
        twice, now_ns, said = Twice(), 0, list[tuple[CardUid, int]]()
        for number, read in enumerate(reads):
            now_ns += self.STEPS_MS[(draw + number) % len(self.STEPS_MS)] * 1_000_000
            believed = twice.heard(read, now_ns)
            before = said[-1] if said else None
            sure = before is not None and before[0] == read.card and now_ns - before[1] <= TWICE_NS
            must((believed is not None) == sure, "a number said once is believed, or one said twice isn't")
            if believed is not None and before is not None:
                must((believed.card, believed.since_mono_ns) == before, "another number, or another moment")
            said.append((read.card, now_ns))

    def _resynchronises(self, splitter: LineSplitter, at: int, draw: int) -> None:
        """Whatever waits costs no more than the text that it hits: none where a frame begins, else one."""
        good = self._good[at][draw % len(self._good[at])]
        line = self._line(good.plan, good.text)
        if good.plan.form.name not in FRAMED:
            must(len(splitter.feed(line)) == 1, "a text that ends is swallowed")
        must(splitter.feed(line) == [good.text], "a sound number is not found again")


class CardForms(Parser):
    """`cardforms`: `t` and a printed number, `p` and the name of a part, `n` and the words that declare a plan."""

    name = "cardforms"
    refusals = (CardNumberError,)
    every = 50
    PLANS_AT_ONCE = 8

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        texts = [
            *sorted({form.text for form in PRINTED}), wiegand_bits(0xADBEEF, 24), wiegand_bits(0xDEADBEEF, 32),
            "DE:AD:BE:EF", "DE AD BE EF", "04-A1-B2-C3-D4-E5-80", "173 48879",
        ]  # fmt: skip
        tokens = [*NUMBERS, *(text.encode() for text in TEXTS), b":", b"-", b",", b"0" * 26, b"1" * 34]
        self._texts = Mutator([sound_text(text.encode()) for text in texts], tokens)
        parts = sorted({str(part) for plan in PLANS for part in plan.partials()})
        words = [
            b"w24",
            b"w32",
            b"w26",
            b"wire",
            b"reversed",
            b"first",
            b"last",
            b"",
            b"-",
            b"\n",
            b"W24",
            *tokens[-9:],
        ]
        self._parts = Mutator([sound_text(part.encode()) for part in parts], words)
        known = (
            b"hex",
            b"dec",
            b"w34",
            b"hex-reversed",
            b"dec-reversed",
            b"3d5d-reversed",
            b"3",
            b"4",
            b"10",
            b"first",
        )
        self._plans = Mutator([sound_text(self._words(plan)) for plan in PLANS], [*known, *words])

    @staticmethod
    def _words(plan: NumberPlan) -> bytes:
        # The width stands there even where it goes without saying, so that another one takes its place.
        octets = str(plan.octets or plan.form.octets or "")
        return f"{plan.form.name}&{plan.order}&{octets}&{plan.part or ''}".encode()

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        kind = rng.random()
        if kind < 0.6:
            return b"t" + self._texts.mutated(rng)
        return b"p" + self._parts.mutated(rng) if kind < 0.7 else b"n" + self._plans.mutated(rng)

    def take(self, octets: bytes) -> Any:
        """See Parser."""
        known_still(len(octets))
        text = octets[1:].decode("utf-8", "replace")
        if octets[:1] == b"p":
            part = parse_partial(text)
            must(str(part) == text and parse_partial(str(part)) == part, "a part that reads otherwise when written")
            return part
        if octets[:1] == b"n":
            return self._declared(text)
        first = len(text) + sum(octets[:8])
        chosen = (PLANS[(first + at) % len(PLANS)] for at in range(self.PLANS_AT_ONCE))
        cards = [card for plan in chosen if (card := read_or_none(plan, text)) is not None]
        if not cards:
            raise CardNumberError("no plan reads it")
        return cards[0], text

    @staticmethod
    def _declared(text: str) -> NumberPlan:
        form, order, octets, part = (*text.split("&"), "", "", "")[:4]
        plan = number_plan(form, order or None, octets or None, part or None)
        words = dict(word.split("=", 1) for word in str(plan).split("&"))
        again = number_plan(words["format"], words.get("order"), words.get("bytes"), words.get("part"))
        must(again == plan, "a plan that reads otherwise when written")
        must(all(parse_partial(str(one)) == one for one in plan.partials()), "a part without a name")
        return plan

    def follow(self, octets: bytes, taken: Any) -> None:
        """Every plan tries the text, and what every plan prints for the card is read as that card or its part."""
        if not isinstance(taken, tuple):
            return
        card, text = taken
        must(plans_for(card, text), "a card that nobody reads")
        for form in printed(card) if not card.partial else ():
            read = form.plan.read(form.text)
            must(read == card or any(part.of(card) == read for part in form.plan.partials()), "printed as another card")
        with suppress(CardNumberError):
            for plan in PLANS:
                read_or_none(plan, text)
