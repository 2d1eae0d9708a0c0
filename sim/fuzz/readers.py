"""The parsers of readers that are asked: answers of PC/SC, and an OSDP line with its replies and cards."""

from __future__ import annotations

from binascii import crc_hqx
from itertools import product
from pathlib import Path
from random import Random
from typing import Final, get_args

from edge.readers.osdpcards import BitPlans, bit_plans
from edge.readers.osdpwire import (
    CONTROL_CRC,
    CONTROL_SECURITY,
    CRC_START,
    FRAME_BYTES_MAX,
    FROM_READER,
    HEAD_BYTES,
    START,
    Handshake,
    Message,
    Replies,
    check,
)
from edge.readers.pcscwords import ANSWER_BYTES_MAX, ATR_BYTES_MAX, Foreign, card_of, choose_reader, historical_bytes
from protocol.cardforms import wiegand_bits
from protocol.cards import CardUid
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused
from sim.fuzz.mutator import TEXTS, Mutator, sound_bytes, sound_text
from sim.fuzz.numbers import CARDS, sound_card
from sim.fuzz.parser import Parser, must


class PcscAnswers(Parser):
    """`pcsc`: an ATR and an answer behind a byte of length each, then names of readers, NUL between them."""

    name = "pcsc"
    refusals = (ReaderLost, ReaderRefused)
    STORAGE = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
    FELICA = bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042")
    UID, IDM = bytes.fromhex("04A1B2C3D4E580"), bytes.fromhex("01120334C5D6E7F8")
    IDENTIV = b"\x3b\x8c\x80\x01" + b"\x01\x02\x03" + IDM + b"\x04"
    KNOWN: Final = {
        (STORAGE, UID + b"\x90\x00"): CardUid("a", UID.hex().upper()),
        (FELICA, IDM + b"\x90\x00"): CardUid("f", IDM.hex().upper()),
        (IDENTIV, IDM + b"\x90\x00"): CardUid("f", IDM.hex().upper()),
        (bytes.fromhex("3B8180018080"), bytes.fromhex("DEADBEEF9000")): CardUid("a", "DEADBEEF"),
        (STORAGE, b"\x63\x00"): None,
        (bytes.fromhex("3B8F8001804F0CA0000003060500010000000068"), UID + b"\x90\x00"): "type B",
    }
    """What these cards are, whatever came before."""
    NAMES = (
        "ACS ACR122U PICC Interface 00 00", "Identiv uTrust 3700 F CL Reader [uTrust 3700 F CL Reader] 00 00",
        "ACS ACR122U PICC Interface 01 00", "",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        atrs = {atr for atr, _ in self.KNOWN} | {bytes.fromhex("3BFF1300FF10000031B173") + bytes(10), b"", b"\x3b"}
        answers = {answer for _, answer in self.KNOWN} | {bytes(256) + b"\x90\x00", b"", b"\x90\x00", b"\x6c\x04"}
        self._atrs = Mutator([sound_bytes(atr) for atr in sorted(atrs)])
        self._answers = Mutator([sound_bytes(answer) for answer in sorted(answers)])
        names = "\0".join(("acr122u", *self.NAMES)).encode()
        more = "\0".join(("", self.NAMES[0])).encode()
        self._names = Mutator([sound_text(names), sound_text(more)], [text.encode() for text in TEXTS])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        atr, answer = self._atrs.mutated(rng)[:255], self._answers.mutated(rng)[: ANSWER_BYTES_MAX + 100]
        names = self._names.mutated(rng)[:2000] if rng.random() < 0.3 else b""
        return bytes((len(atr),)) + atr + len(answer).to_bytes(2, "big") + answer + names

    def take(self, octets: bytes) -> CardUid | str | None:
        """See Parser."""
        atr, rest = octets[1 : 1 + octets[0]], octets[1 + octets[0] :]
        size = 2 + int.from_bytes(rest[:2], "big")
        answer, names = rest[2:size], rest[size:]
        told = historical_bytes(atr)
        must(not told or (len(told) == atr[1] & 0x0F and len(atr) <= ATR_BYTES_MAX), "historical bytes of nothing")
        must(told in atr, "historical bytes that did not come")
        card = card_of(atr, answer)
        if isinstance(card, CardUid):
            sound_card(card)
            must(card.technology in ("a", "f") and not card.partial, "a card of no such reader")
            must(bytes.fromhex(card.hex) + b"\x90\x00" == answer, "a number that the card did not tell")
        else:
            must(card is None or card in get_args(Foreign), "no reason of ours")
        for (known_atr, known), meant in (((atr, answer), self.KNOWN.get((atr, answer), card)), *self.KNOWN.items()):
            must(card_of(known_atr, known) == meant, "a known card is another one now")
        if names:
            self._chosen(names.decode("utf-8", "replace").split("\0"))
        return card

    @staticmethod
    def _chosen(names: list[str]) -> None:
        part, *readers = names
        chosen = choose_reader(readers, part)
        exact = [name for name in readers if name.casefold() == part.casefold()]
        fits = exact or [name for name in readers if part.casefold() in name.casefold()]
        must(fits == [chosen], "a reader that was guessed")


class OsdpLine(Parser):
    """`osdp`: what comes over a line to an OSDP reader, by the address in the first byte: replies, their cards."""

    name = "osdp"
    refusals = ()
    RAW: Final = 0x50
    """osdp_RAW: reader, format, bits in two bytes, the lowest first, and the bits (OSDP 2.2, 7.7)."""
    PLANS: Final[tuple[BitPlans, ...]] = (
        bit_plans(), bit_plans("w26", part="last"), bit_plans("hex", "reversed"), bit_plans(octets="3"),
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        rows = [
            (number, int(wiegand_bits(int(card.hex[-number // 4 :], 16) % (1 << number), number), 2), number + 2)
            for number, card in product((24, 32), CARDS)
        ]
        raws = [self._raw(bits, (value << -bits % 8).to_bytes((bits + 7) // 8, "big")) for _, value, bits in rows]
        raws += [self._raw(4 * len(card.hex), bytes.fromhex(card.hex)) for card in CARDS]
        self._known = [
            (26, bytes.fromhex("56DF77C0"), CardUid("w24", "ADBEEF")),
            (34, bytes.fromhex("EF56DF7780"), CardUid("w32", "DEADBEEF")),
            *((4 * len(card.hex), bytes.fromhex(card.hex), card) for card in CARDS),
        ]
        words = (
            b"\x40", b"\x41\x03", b"\x45\x5c\x26\x23\x01\x01\x01\x02\x03\x04\x01\x02\x03",
            b"\x46\x09\x01\x00\x04\x04\x01", b"\x53\x00\x00\x05\x12345", b"\x79", b"\x76" + bytes(32),
        )  # fmt: skip
        self._bodies = [*raws, *words]
        self._frames = [self.framed(0, body, crc=crc) for body in self._bodies for crc in (True, False)]
        self._mutator = Mutator(list(map(sound_bytes, [*self._frames, b"\xff" * 5, b"\x53\x80" * 5])))
        self._body_mutator = Mutator(list(map(sound_bytes, self._bodies)))
        self._good = self.framed(0, raws[0], crc=True)

    @classmethod
    def _raw(cls, bits: int, data: bytes) -> bytes:
        return bytes((cls.RAW, 0, 0)) + bits.to_bytes(2, "little") + data

    @staticmethod
    def framed(address: int, body: bytes, *, crc: bool, security: bytes = b"") -> bytes:
        """A reply whose check adds up."""
        length = 5 + len(security) + len(body) + (2 if crc else 1)
        control = (CONTROL_CRC if crc else 0) | (CONTROL_SECURITY if security else 0)
        head = bytes((START, FROM_READER | address)) + length.to_bytes(2, "little") + bytes((control,))
        frame = head + security + body
        return frame + (check(frame) if crc else bytes((-sum(frame) & 0xFF,)))

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        pieces = [bytes((0 if draw() < 0.9 else int(draw() * 128),))]
        while True:
            if draw() < 0.6:
                # The check adds up, so that what is within is looked at.
                security = b"" if draw() < 0.8 else bytes((int(draw() * 5), 0x12, int(draw() * 2)))
                body = self._body_mutator.mutated(rng)[:FRAME_BYTES_MAX]
                pieces.append(self.framed(0, body, crc=draw() < 0.7, security=security))
            else:
                pieces.append(self._mutator.mutated(rng)[:2000])
            if draw() < 0.5:
                return b"".join(pieces)

    def take(self, octets: bytes) -> int:
        """See Parser."""
        address, line = octets[0] & 0x7F, octets[1:]
        whole = Replies(address)
        whole.feed(line)
        found = self._all(whole)
        must(sum(map(len, found)) + len(whole) <= len(line), "more came out than went in")
        dribble, also = Replies(address), list[bytes]()
        step = 1 + len(octets) % 7
        for at in range(0, len(line), step):
            dribble.feed(line[at : at + step])
            also += self._all(dribble)
        must(found == also, "in pieces other replies come than at once")
        handshake, cards = Handshake(), 0
        for number, frame in enumerate(found):
            must(frame in line and frame[1] == FROM_READER | address, "a reply that did not come, or another's")
            sum_bytes = 2 if frame[4] & CONTROL_CRC else 1
            adds_up = crc_hqx(frame[:-2], CRC_START).to_bytes(2, "little") == frame[-2:]
            must(adds_up if sum_bytes == 2 else sum(frame) % 256 == 0, "a reply whose check doesn't add up")
            if number % 2:
                handshake.sent(frame)
            handshake.came(frame)
            message = Message.of(frame)
            if message is not None:
                block = message.security
                must(len(block) >= 2 if frame[4] & CONTROL_SECURITY else not block, "no security block")
                must(HEAD_BYTES + len(block) + 1 + len(message.data) + sum_bytes == len(frame), "bytes too few or many")
            if message is not None and message.code == self.RAW and len(message.data) >= 4:
                bits = int.from_bytes(message.data[2:4], "little")
                cards += self._cards(bits, message.data[4:])
        handshake.verdict()
        bits, data, card = self._known[len(octets) % len(self._known)]
        must(self.PLANS[0].read(bits, data).card == card, "a known card is another one now")
        self._resynchronises(whole, address)
        return cards

    @staticmethod
    def _all(line: Replies) -> list[bytes]:
        found = []
        while (frame := line.take()) is not None:
            found.append(frame)
        must(len(line) < FRAME_BYTES_MAX, "noise is kept")
        return found

    def _cards(self, bits: int, data: bytes) -> int:
        """How many plans find a card in these bits; none names them when it refuses."""
        cards = 0
        for plan in self.PLANS:
            try:
                read = plan.read(bits, data)
            except CardNumberError as problem:
                must(len(data) < 3 or data.hex().upper() not in str(problem).upper(), "a refusal names the number")
                continue
            sound_card(read.card)
            must(bits in plan.by_bits and len(data) == (bits + 7) // 8, "bits that were not declared")
            width = len(read.card.hex) // 2
            must(not read.card.partial or any(part.octets == width for part in plan.partials()), "no part of a plan's")
            again = plan.by_bits[bits].read(read.text or "")
            must(again == read.card, "it reads otherwise when written")
            cards += 1
        return cards

    def _resynchronises(self, line: Replies, address: int) -> None:
        """Whatever waits, so many sound replies behind it bring one out again."""
        body = self._bodies[0]
        good = self.framed(address, body, crc=True)
        for _ in range(FRAME_BYTES_MAX // len(good) + 2):
            line.feed(good)
            if good in self._all(line):
                return
        must(False, "a sound reply is not found again")
